"""Words a cashier can read out: what applied, and why a candidate did not."""

from collections.abc import Callable, Mapping
from typing import Final

from loyalty.money import shown

from .compiling import CompiledRule, kind_of
from .conditions import Miss
from .document import Rule, When

_WEEKDAYS_ZH: Final = ("周一", "周二", "周三", "周四", "周五", "周六", "周日")
_WEEKDAYS_EN: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WINDOW_ZH: Final = {"day": "今天", "week": "本周", "month": "本月", "ever": "总共", "transaction": "单笔"}
_WINDOW_EN: Final = {"day": "today", "week": "this week", "month": "this month", "ever": "in all", "transaction": "at once"}
_TENDER_ZH: Final = {
    "card": "油卡",
    "cash": "现金",
    "bank_card": "银行卡",
    "wechat": "微信",
    "alipay": "支付宝",
    "bank_transfer": "转账",
    "voucher": "优惠券",
}
_TENDER_EN: Final = {
    "card": "the card",
    "cash": "cash",
    "bank_card": "a bank card",
    "wechat": "WeChat",
    "alipay": "Alipay",
    "bank_transfer": "a bank transfer",
    "voucher": "a voucher",
}

Words = tuple[str, str]
"""Chinese and English."""


def litres(milli: int | str | None) -> str:
    """Write a quantity: `30`, or `22.5`; the unit stands beside it."""
    whole, rest = divmod(int(milli or 0), 1000)
    return f"{whole}.{rest:03}".rstrip("0") if rest else str(whole)


def explain(rule: CompiledRule | Rule, miss: Miss, currency: str, names: Mapping[str, Words] | None = None) -> Words:
    """Return why a candidate does not apply, in Chinese and English; `names` are those of rules and groups (`Book.names`), else codes."""
    plain = rule.rule if isinstance(rule, CompiledRule) else rule
    if miss.why in _LOST and names is not None and str(miss.need) in names:
        return _lost_to(names[str(miss.need)])
    if miss.why == "tier" and names is not None:
        return _of_tier(miss, names)
    written = _WRITTEN.get(miss.why)
    return written(plain, miss, currency) if written is not None else _FIXED.get(miss.why, ("不适用", "does not apply"))


_FIXED: Final[dict[str, Words]] = {
    "customer": ("仅限指定客户", "for named customers only"),
    "unregistered": ("仅限记名客户", "for registered customers only"),
    "bearer": ("不记名卡不积分", "bearer cards earn no points"),
    "flyer": ("需出示宣传单码", "needs the flyer's code"),
    "birthday": ("仅限生日期间", "around the birthday only"),
    "hold_out": ("该客户在对照组，不参加本活动", "this customer is in the comparison group"),
    "nothing_left": ("已无可优惠金额", "nothing is left to take it off"),
    "bundle_incomplete": ("组合商品不齐", "the bundle is not complete"),
    "exclusive_after": ("不与其他优惠同享", "not together with other offers"),
    "disabled": ("已停用", "switched off"),
    "not_frozen": ("授权时未冻结", "was not frozen at authorisation"),
    "set_aside": ("授权时未预留额度", "nothing was set aside for it at authorisation"),
    "budget": ("活动预算已用完", "its budget is used up"),
}


def _least_quantity(_rule: Rule, miss: Miss, _currency: str) -> Words:
    need, have = litres(miss.need), litres(miss.have)
    return f"需满 {need}，本次 {have}", f"needs ≥ {need}, this is {have}"


def _most_quantity(_rule: Rule, miss: Miss, _currency: str) -> Words:
    need, have = litres(miss.need), litres(miss.have)
    return f"不超过 {need} 才有，本次 {have}", f"up to {need} only, this is {have}"


def _least_amount(_rule: Rule, miss: Miss, currency: str) -> Words:
    need, have = shown(int(miss.need or 0), currency), shown(int(miss.have or 0), currency)
    return f"需满 {need}，本次 {have}", f"needs ≥ {need}, this is {have}"


def _most_amount(_rule: Rule, miss: Miss, currency: str) -> Words:
    need, have = shown(int(miss.need or 0), currency), shown(int(miss.have or 0), currency)
    return f"不超过 {need} 才有，本次 {have}", f"up to {need} only, this is {have}"


def _below_bands(_rule: Rule, miss: Miss, currency: str) -> Words:
    need = shown(int(miss.need or 0), currency) if miss.have == "amount" else litres(miss.need)
    return f"满 {need} 起", f"from {need} on"


def _weekday(_rule: Rule, miss: Miss, _currency: str) -> Words:
    days = [int(day) - 1 for day in str(miss.need).split()]
    return f"仅限{'、'.join(_WEEKDAYS_ZH[day] for day in days)}", f"on {', '.join(_WEEKDAYS_EN[day] for day in days)} only"


def _month_day(_rule: Rule, miss: Miss, _currency: str) -> Words:
    days = str(miss.need).split()
    return f"仅限每月 {'、'.join(days)} 日", f"on day {', '.join(days)} of the month only"


def _hours(_rule: Rule, miss: Miss, _currency: str) -> Words:
    return f"仅限 {miss.need}，现在 {miss.have}", f"{miss.need} only, it is {miss.have}"


def _tier(_rule: Rule, miss: Miss, _currency: str) -> Words:
    return _of_tier(miss, {})


def _of_tier(miss: Miss, names: Mapping[str, Words]) -> Words:
    """Say for whom by the tiers' names; a code without a name stands for itself."""
    found = [names.get(f"tier:{code}", (code, code)) for code in str(miss.need).split()]
    have = ("无", "none") if miss.have is None else names.get(f"tier:{miss.have}", (str(miss.have), str(miss.have)))
    zh, en = "、".join(one for one, _ in found), " or ".join(one for _, one in found)
    return f"仅限会员等级 {zh}，当前 {have[0]}", f"for tier {en} only, this is {have[1]}"


def _segment(_rule: Rule, miss: Miss, _currency: str) -> Words:
    return f"仅限客户分组 {miss.need}", f"for segment {miss.need} only"


def _account_kind(_rule: Rule, miss: Miss, _currency: str) -> Words:
    zh = {"personal": "个人卡", "anonymous": "不记名卡", "company": "单位卡"}
    en = {"personal": "personal cards", "anonymous": "anonymous cards", "company": "company cards"}
    kinds = str(miss.need).split()
    return f"仅限{'、'.join(zh.get(kind, kind) for kind in kinds)}", f"for {', '.join(en.get(kind, kind) for kind in kinds)} only"


def _tender(_rule: Rule, miss: Miss, _currency: str) -> Words:
    tender = str(miss.have)
    return f"使用{_TENDER_ZH.get(tender, tender)}付款时不享受", f"not where {_TENDER_EN.get(tender, tender)} pays"


def _nth(_rule: Rule, miss: Miss, _currency: str) -> Words:
    return f"第 {miss.need} 次才有，本次第 {miss.have} 次", f"at visit {miss.need}, this is visit {miss.have}"


def _joined(_rule: Rule, miss: Miss, _currency: str) -> Words:
    return f"仅限开卡 {miss.need} 天内", f"within {miss.need} days of opening the card only"


def _converted(_rule: Rule, miss: Miss, _currency: str) -> Words:
    return f"仅限转为记名卡 {miss.need} 天内", f"within {miss.need} days of registering the card only"


def _cap(rule: Rule, miss: Miss, currency: str) -> Words:
    window = str(miss.have).rpartition(" ")[2]
    is_money = kind_of(rule) in {"discount", "bonus"}
    most = shown(int(miss.need or 0), currency) if is_money else str(miss.need)
    return f"{_WINDOW_ZH.get(window, '')}最多 {most}，已用完", f"at most {most} {_WINDOW_EN.get(window, '')}, all used"


def _cap_times(_rule: Rule, miss: Miss, _currency: str) -> Words:
    window = str(miss.have).rpartition(" ")[2]
    return f"{_WINDOW_ZH.get(window, '')}限 {miss.need} 次，已用完", f"{miss.need} times {_WINDOW_EN.get(window, '')}, all used"


def _price_not_lower(rule: Rule, _miss: Miss, _currency: str) -> Words:
    return f"现价不高于“{rule.name_zh}”的价格", f"the price is not above that of “{rule.name_en}”"


def _lost_to(name: Words) -> Words:
    return f"已享受“{name[0]}”", f"“{name[1]}” was taken instead"


def _agreed(_rule: Rule, miss: Miss, _currency: str) -> Words:
    return f"按单位协议“{miss.need}”计价", f"the company's agreement “{miss.need}” stands instead"


def _lost(_rule: Rule, miss: Miss, _currency: str) -> Words:
    return _lost_to((str(miss.need), str(miss.need)))


_LOST: Final = frozenset({"better_offer", "cheaper_offer", "first_taken", "exclusive"})


_WRITTEN: Final[dict[str, Callable[[Rule, Miss, str], Words]]] = {
    "least_quantity": _least_quantity,
    "most_quantity": _most_quantity,
    "least_amount": _least_amount,
    "most_amount": _most_amount,
    "below_bands": _below_bands,
    "weekday": _weekday,
    "month_day": _month_day,
    "hours": _hours,
    "tier": _tier,
    "segment": _segment,
    "account_kind": _account_kind,
    "tender": _tender,
    "nth": _nth,
    "joined": _joined,
    "converted": _converted,
    "cap": _cap,
    "cap_times": _cap_times,
    "price_not_lower": _price_not_lower,
    **dict.fromkeys(_LOST, _lost),
    "agreement": _agreed,
}


def is_behaviour(when: When) -> bool:
    """Say whether a customer could still meet the rule by buying more or otherwise: what a cashier mentions before the pump starts."""
    return bool(when.least_quantity_milli or when.least_minor or when.tenders or when.nth)
