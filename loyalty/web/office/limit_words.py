"""Limits in plain words, as pages say them."""

from uuid import UUID

from loyalty.limits.model import CardLimit, LimitKind
from loyalty.web.desk import PageDesk
from loyalty.web.office.labels import LIMIT_KIND, WINDOW
from loyalty.web.office.lookups import Places

_DAYS_ZH = "一二三四五六日"
_DAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def limit_words(desk: PageDesk, limit: CardLimit, places: Places) -> str:
    """Say a limit: "Litres per day: at most 200.00 L"."""
    _ = desk.gettext
    name = _(LIMIT_KIND[limit.kind])
    if limit.window is not None:
        value = limit.value or 0
        most = {
            LimitKind.AMOUNT: desk.f.money(value),
            LimitKind.QUANTITY: desk.f.quantity(value),
        }.get(limit.kind, desk.f.count(value))
        return _("%(name)s %(window)s: at most %(most)s", name=name, window=_(WINDOW[limit.window]), most=most)
    if limit.kind is LimitKind.MIN_INTERVAL:
        return f"{name}: {desk.f.duration(limit.value or 0)}"
    if limit.kind is LimitKind.TANK:
        return f"{name}: {desk.f.quantity(limit.value)}"
    if limit.kind is LimitKind.HOURS:
        return f"{name}: {limit.from_time:%H:%M}–{limit.to_time:%H:%M}, {days_words(desk, limit.days or ())}"
    if limit.kind is LimitKind.ODOMETER:
        return f"{name}: {_('it rises, by no more than can be driven')}"
    codes = list(limit.codes or ())
    if limit.kind is LimitKind.STATIONS:
        codes = [places.names.get(UUID(code), code) for code in codes]
    return _("%(name)s: only %(codes)s", name=name, codes=", ".join(codes) or "—")


def days_words(desk: PageDesk, days: tuple[int, ...] | list[int]) -> str:
    """Say weekdays, 1 being Monday."""
    if not days or len(set(days)) == 7:
        return desk.gettext("every day")
    if desk.words.is_chinese:
        return "周" + "、".join(_DAYS_ZH[day - 1] for day in sorted(days))
    return ", ".join(_DAYS_EN[day - 1] for day in sorted(days))


def day_options(desk: PageDesk) -> list[tuple[str, str]]:
    """Return the weekdays to choose from."""
    names = [f"周{name}" for name in _DAYS_ZH] if desk.words.is_chinese else list(_DAYS_EN)
    return [(str(number), name) for number, name in enumerate(names, 1)]
