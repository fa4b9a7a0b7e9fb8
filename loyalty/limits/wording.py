"""Limits in words: the name a refusal, a receipt and a page use for `day.amount`, `grades`, `tank` …"""

from typing import Final

from .model import LimitKind, Window

_WINDOWS: Final[dict[str, tuple[str, str]]] = {
    Window.TRANSACTION: ("单次", "per fill"),
    Window.DAY: ("每日", "per day"),
    Window.WEEK: ("每周", "per week"),
    Window.MONTH: ("每月", "per month"),
}
_KINDS: Final[dict[str, tuple[str, str]]] = {
    LimitKind.GRADES: ("油品限制", "fuel grades"),
    LimitKind.SHOP: ("商品类别限制", "shop categories"),
    LimitKind.STATIONS: ("站点限制", "stations"),
    LimitKind.DISTRICTS: ("片区限制", "districts"),
    LimitKind.REGIONS: ("区域限制", "regions"),
    LimitKind.HOURS: ("时段限制", "hours"),
    LimitKind.PLATE: ("车牌限制", "number plate"),
    LimitKind.AMOUNT: ("金额上限", "amount"),
    LimitKind.QUANTITY: ("加油量上限", "quantity"),
    LimitKind.COUNT: ("次数上限", "number of fills"),
    LimitKind.MIN_INTERVAL: ("最短间隔", "shortest interval"),
    LimitKind.TANK: ("油箱容量", "tank capacity"),
    LimitKind.ODOMETER: ("里程合理性", "odometer"),
    "closed": ("停用日期", "days without fuel"),
}


_LEVELS: Final[dict[str, tuple[str, str]]] = {
    "company": ("单位", "company"),
    "department": ("部门", "department"),
    "vehicle": ("车辆", "vehicle"),
    "driver": ("驾驶员", "driver"),
}
_WHOLE: Final = {
    "release": ("临时放行额度", "what the release allows"),
    "order": ("加油单", "what the order allows"),
    "permit": ("用卡许可", "a permit for this use"),
}


def limit_label(name: str, language: str) -> str:
    """Return a limit's name for a reader of `language` ("zh…" or anything else for English): `day.amount` → 每日金额上限 / amount per day.

    Above the card the level comes first: `vehicle.day.amount` → 车辆每日金额上限 / vehicle: amount per day. A name from elsewhere
    (`terminal`, a code of a later release) is returned as it is.
    """
    chinese = language.startswith("zh")
    if name in _WHOLE:
        return _WHOLE[name][0 if chinese else 1]
    level, dot, rest = name.partition(".")
    if dot and level in _LEVELS:
        below = limit_label(rest, language)
        return f"{_LEVELS[level][0]}{below}" if chinese else f"{_LEVELS[level][1]}: {below}"
    return _own_label(name, chinese=chinese)


def _own_label(name: str, *, chinese: bool) -> str:
    window, dot, measure = name.rpartition(".")
    kind = _KINDS.get(measure)
    if kind is None or (dot and window not in _WINDOWS):
        return name
    if not dot:
        return kind[0] if chinese else kind[1]
    return f"{_WINDOWS[window][0]}{kind[0]}" if chinese else f"{kind[1]} {_WINDOWS[window][1]}"
