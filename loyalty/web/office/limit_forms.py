"""The form of one limit: first its kind, then the fields that kind needs; and how what was sent is read."""

from collections.abc import Iterable
from typing import Any

from loyalty.limits.model import LimitKind, Reaction, Window
from loyalty.limits.operations import NewLimit
from loyalty.stations.model import ProductCategory
from loyalty.stations.queries import snapshot_products
from loyalty.web.desk import PageDesk
from loyalty.web.office import lookups
from loyalty.web.office.labels import LIMIT_KIND, REACTION, WINDOW
from loyalty.web.office.limit_words import day_options
from loyalty.web.office.lookups import area, chips, field, hidden
from loyalty.web.office.parts import Field

_LISTED = frozenset({LimitKind.GRADES, LimitKind.STATIONS, LimitKind.DISTRICTS, LimitKind.REGIONS})
_TYPED = frozenset({LimitKind.PLATE, LimitKind.SHOP})


def kind_field(desk: PageDesk, kinds: Iterable[LimitKind], default: LimitKind) -> Field:
    """Return the choice of what is limited."""
    _ = desk.gettext
    return chips("kind", _("What is limited?"), [(kind.value, _(LIMIT_KIND[kind])) for kind in kinds], value=default.value)


async def limit_fields(desk: PageDesk, kind: LimitKind, reactions: Iterable[Reaction], *, currency: str) -> list[Field]:
    """Return all fields of a limit of a kind; amounts are in `currency`."""
    _ = desk.gettext
    words = {Reaction.BLOCK: _("the pump refuses"), Reaction.FLAG: _("it is sold and marked"), Reaction.ASK: _("the driver may ask you")}
    effects: Any = [(one.value, _(REACTION[one][0]), words[one]) for one in reactions]
    return [
        hidden("kind", kind.value),
        *await _of_kind(desk, kind, currency),
        chips("reaction", _("Effect"), effects, value=Reaction.BLOCK.value),
        field("valid_to", _("Until"), type="datetime-local", required=False, help=_("Empty: until it is taken away.")),
    ]


async def _of_kind(desk: PageDesk, kind: LimitKind, currency: str) -> list[Field]:
    _ = desk.gettext
    windows = [(window.value, _(name)) for window, name in WINDOW.items()]
    window = chips("window", _("Window"), windows, value=Window.DAY.value)
    if kind is LimitKind.AMOUNT:
        return [window, field("value", _("At most"), num=True, autofocus=True, before=desk.f.sign_of(currency))]
    if kind is LimitKind.QUANTITY:
        return [window, field("value", _("At most"), num=True, autofocus=True, after="L")]
    if kind is LimitKind.COUNT:
        window = chips("window", _("Window"), windows[1:], value=Window.DAY.value)
        return [window, field("value", _("At most"), num=True, autofocus=True)]
    if kind is LimitKind.TANK:
        return [field("value", _("Tank holds"), num=True, after="L", autofocus=True)]
    if kind is LimitKind.MIN_INTERVAL:
        return [field("value", _("Minutes between two fills"), num=True, autofocus=True)]
    if kind is LimitKind.HOURS:
        return [
            field("from_time", _("From"), type="time", value="06:00"),
            field("to_time", _("To"), type="time", value="20:00"),
            chips("days", _("Days"), day_options(desk), many=True, value=[str(day) for day in range(1, 8)]),
        ]
    if kind is LimitKind.PLATE:
        return [field("codes", _("Plate"), autofocus=True, help=_("Asked for at the pump, so the card needs a PIN."))]
    if kind is LimitKind.ODOMETER:
        return []
    if kind is LimitKind.SHOP:
        return [area("codes", _("Only these categories"), help=_("Parted by commas; empty: nothing from the shop."), required=False)]
    return [chips("codes", _("Only these"), await _codes(desk, kind), many=True, value=[])]


async def _codes(desk: PageDesk, kind: LimitKind) -> lookups.Options:
    """Return what a limit to a list may name."""
    if kind is LimitKind.STATIONS:
        return (await lookups.places(desk)).options()
    if kind is LimitKind.DISTRICTS:
        return await lookups.districts(desk)
    if kind is LimitKind.REGIONS:
        return await lookups.regions(desk)
    fuels = [one for one in await snapshot_products(desk.session) if one.category is ProductCategory.FUEL and one.active]
    return [(one.code, desk.either(one.name_zh, one.name_en)) for one in fuels]


def read_kind(desk: PageDesk, default: LimitKind) -> LimitKind:
    """Read which kind was chosen."""
    return desk.form.choice("kind", desk.gettext("What is limited?"), LimitKind, default)


def read_limit(desk: PageDesk, default: LimitKind, *, currency: str) -> NewLimit:
    """Read a limit as it was sent; the form's faults are the caller's to check. Amounts are in `currency`."""
    _, form = desk.gettext, desk.form
    kind = read_kind(desk, default)
    codes: tuple[str, ...] | None = None
    if kind in _LISTED:
        codes = tuple(form.many("codes"))
    elif kind in _TYPED:
        codes = tuple(part.strip() for part in form.raw("codes").replace("，", ",").split(",") if part.strip())
    hours = kind is LimitKind.HOURS
    return NewLimit(
        kind,
        window=form.maybe("window", Window),
        value=_value(desk, kind, currency),
        codes=codes,
        days=tuple(int(day) for day in form.many("days") if day.isdigit()) if hours else None,
        from_time=form.clock_time("from_time", _("From")) if hours else None,
        to_time=form.clock_time("to_time", _("To")) if hours else None,
        reaction=form.choice("reaction", _("Effect"), Reaction, Reaction.BLOCK),
        valid_to=form.instant("valid_to", _("Until"), required=False),
    )


def _value(desk: PageDesk, kind: LimitKind, currency: str) -> int | None:
    _, form = desk.gettext, desk.form
    if kind is LimitKind.AMOUNT:
        return form.money("value", _("At most"), currency)
    if kind in {LimitKind.QUANTITY, LimitKind.TANK}:
        return form.quantity("value", _("At most"))
    if kind is LimitKind.COUNT:
        return form.whole("value", _("At most"), low=1, high=1000)
    if kind is LimitKind.MIN_INTERVAL:
        minutes = form.whole("value", _("Minutes between two fills"), low=1, high=100_000)
        return None if minutes is None else minutes * 60
    return None
