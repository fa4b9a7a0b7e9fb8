"""What a card may take here and now: pure, lean, on the hot path.

A *document* (`LimitSet`, JSON) is compiled once into `Compiled` and kept by its text; `judge` only compares numbers and sets. Times are the
station's local time, windows begin at local midnight, on Monday, on the first of the month. The most restrictive limit wins; a product's
default speaks only where the card's own set is silent (same kind; for amounts, quantities and counts: same window too).
(Domain notes, "Limits a card … may carry".)
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec

from .model import LimitKind, Reaction, Window

_DAY_MINUTES: Final = 24 * 60
_PLACES: Final = ("stations", "districts", "regions")
_AMOUNT, _QUANTITY, _COUNT = 0, 1, 2
_MEASURES: Final = {LimitKind.AMOUNT: _AMOUNT, LimitKind.QUANTITY: _QUANTITY, LimitKind.COUNT: _COUNT}
_WINDOWS: Final = ("day", "week", "month")
_WINDOW_AT: Final = {window: 3 * place for place, window in enumerate(_WINDOWS)}

Ceiling = tuple[int | None, int, int, str]
"""Place in `Used` (None: the transaction's own), measure, value, name."""
Used = Sequence[int | None]
"""What the windows that are open now have used so far, nine numbers: amount (minor units), quantity (thousandths) and count of the day, of
the week, of the month; None is zero."""
UNUSED: Final = (0,) * 9


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"from_": "from"}):
    """A daily span `[from, to)` of local time, "HH:MM" up to "24:00", on the ISO weekdays on which it begins.

    Where `to` is not later than `from` it ends on the next day; both equal: 24 hours.
    """

    from_: str
    to: str
    days: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)


class WindowLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """At most `value` (minor units, thousandths, times) in the window; `measure` is amount, quantity or count."""

    window: Window
    measure: LimitKind
    value: int
    reaction: Reaction = Reaction.BLOCK


class More(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """In `[since, until)` each ceiling lies higher: by hundredths of itself, and by minor units or thousandths where it is such a one."""

    since: datetime
    until: datetime
    percent: int = 0
    amount_minor: int = 0
    quantity_milli: int = 0


class Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In `[since, until)` nothing is sold."""

    since: datetime
    until: datetime


class LimitSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The document of one subject; whatever is left out does not limit.

    Where stations, districts and regions are given together, each must allow the place. `reactions` names, by kind, what is only flagged.
    """

    grades: tuple[str, ...] | None = None
    shop: tuple[str, ...] | None = None
    stations: tuple[UUID, ...] | None = None
    districts: tuple[UUID, ...] | None = None
    regions: tuple[UUID, ...] | None = None
    hours: tuple[Hours, ...] | None = None
    plate: str | None = None
    windows: tuple[WindowLimit, ...] = ()
    min_interval_s: int | None = None
    tank_milli: int | None = None
    reactions: dict[LimitKind, Reaction] = {}
    odometer: bool | None = None
    """The reading given must be one that can be."""
    more: tuple[More, ...] = ()
    closed: tuple[Closed, ...] = ()
    needs: int = 0
    """What must be said or shown (`loyalty.limits.model.Needs`)."""


class Reason(StrEnum):
    """Why a limit blocks."""

    GRADE = "grade_not_allowed"
    SHOP = "shop_category_not_allowed"
    PLACE = "station_not_allowed"
    HOURS = "outside_hours"
    PLATE_NEEDED = "plate_needed"
    PLATE_DIFFERS = "plate_differs"
    AMOUNT = "amount_limit"
    QUANTITY = "quantity_limit"
    COUNT = "count_limit"
    INTERVAL = "too_soon"
    ODOMETER = "odometer_differs"
    CLOSED = "closed_for_now"
    ORDER = "order_differs"


class Block(msgspec.Struct, frozen=True, gc=False):
    """The limit that blocks, by name (`day.amount`, `grades`, `tank` …), and what remains under it.

    `partial`: less than was asked would pass. `wait_s`: seconds until a minimum interval is over. `ask`: the company may be asked to let
    this one pass.
    """

    reason: Reason
    limit: str
    remaining: int = 0
    partial: bool = False
    wait_s: int = 0
    ask: bool = False


class Judgement(msgspec.Struct, frozen=True):
    """What the limits say.

    `remaining_*` is what may be taken now in this transaction (minor units, thousandths, times), None where nothing limits it, 0 where a
    limit forbids any; `binding_*` names the limit that makes it so. Flags are the names of passed limits that only flag.
    """

    blocked: Block | None
    flags: tuple[str, ...]
    remaining_amount_minor: int | None
    remaining_quantity_milli: int | None
    remaining_count: int | None
    binding_amount: str | None
    binding_quantity: str | None
    asks: frozenset[str] = frozenset()
    """Names of limits that the company may be asked to let pass."""

    @property
    def binding(self) -> str | None:
        """The limit that forbids or, else, the one that binds the amount, else the quantity."""
        return self.blocked.limit if self.blocked is not None else self.binding_amount or self.binding_quantity


class Compiled:
    """A limit set ready to be judged; equal documents are one object. Walls are everything but amounts, quantities and counts."""

    __slots__ = (
        *(
            "asking",
            "ceilings",
            "closed",
            "flagged",
            "flags",
            "grades",
            "hours",
            "min_interval_s",
            "more",
            "needs",
            "odometer",
            "places",
            "plate",
            "quiet",
            "shop",
            "soft",
            "source",
        ),
        "walled",
    )

    def __init__(self, source: LimitSet) -> None:
        self.source = source
        self.grades = _allowed(source.grades)
        self.shop = _allowed(source.shop)
        places = (_allowed(source.stations), _allowed(source.districts), _allowed(source.regions))
        self.places = tuple((index, _PLACES[index], allowed) for index, allowed in enumerate(places) if allowed is not None)
        self.hours = None if source.hours is None else _week_of(source.hours)
        self.plate = None if source.plate is None else plate_key(source.plate)
        self.min_interval_s = source.min_interval_s
        self.soft = frozenset(kind.value for kind, reaction in source.reactions.items() if reaction is Reaction.FLAG)
        """Kinds that only flag."""
        self.asking = frozenset(
            [kind.value for kind, reaction in source.reactions.items() if reaction is Reaction.ASK]
            + [f"{limit.window}.{limit.measure}" for limit in source.windows if limit.reaction is Reaction.ASK]
        )
        """Names of limits that the company may be asked to lift."""
        self.odometer, self.more, self.closed, self.needs = bool(source.odometer), source.more, source.closed, source.needs
        self.walled = bool(self.places or self.closed or self.odometer) or any(
            wall is not None for wall in (self.grades, self.shop, self.hours, self.plate, self.min_interval_s)
        )
        ceilings = _ceilings(source)
        self.ceilings = tuple(ceiling for ceiling, blocks in ceilings if blocks)
        self.flagged = tuple(ceiling for ceiling, blocks in ceilings if not blocks)
        self.quiet = not (self.walled or self.ceilings or self.flagged or self.more)
        self.flags = bool(self.flagged or self.soft)
        """Whether anything here only flags."""

    def ceilings_at(self, instant: datetime) -> tuple[tuple[Ceiling, ...], tuple[Ceiling, ...]]:
        """Return the ceilings that block and those that only flag, as high as a dated change lets them be at an instant."""
        standing = [one for one in self.more if one.since <= instant < one.until]
        if not standing:
            return self.ceilings, self.flagged
        return tuple(_raised(one, standing) for one in self.ceilings), tuple(_raised(one, standing) for one in self.flagged)


def _raised(ceiling: Ceiling, standing: Sequence[More]) -> Ceiling:
    at, measure, value, name = ceiling
    if name == "tank":
        return ceiling
    more = value * sum(one.percent for one in standing) // 100
    if measure == _AMOUNT:
        more += sum(one.amount_minor for one in standing)
    elif measure == _QUANTITY:
        more += sum(one.quantity_milli for one in standing)
    return at, measure, value + more, name


def _allowed(codes: tuple[Any, ...] | None) -> frozenset[Any] | None:
    return None if codes is None else frozenset(codes)


def plate_key(text: str) -> str:
    """Return a number plate without the marks that people write differently: `京A·82K61` and `京a 82k61` are one."""
    return "".join(letter for letter in text.upper() if letter.isalnum())


def _minute(text: str) -> int:
    """Read "HH:MM" as minutes since midnight.

    :raises ValueError: if it is no time of day up to 24:00
    """
    hour, colon, minute = text.partition(":")
    if not (colon and len(hour) == len(minute) == 2 and hour.isdecimal() and minute.isdecimal() and int(minute) < 60):
        raise ValueError(f"not a time of day: {text!r}")
    total = int(hour) * 60 + int(minute)
    if total > _DAY_MINUTES:
        raise ValueError(f"not a time of day: {text!r}")
    return total


def _week_of(spans: tuple[Hours, ...]) -> tuple[tuple[tuple[int, int], ...], ...]:
    week: list[list[tuple[int, int]]] = [[] for _ in range(8)]
    for span in spans:
        start, end = _minute(span.from_), _minute(span.to)
        for day in span.days:
            if not 1 <= day <= 7:
                raise ValueError(f"not an ISO weekday: {day}")
            if start < end:
                week[day].append((start, end))
            else:
                week[day].append((start, _DAY_MINUTES))
                week[day % 7 + 1].append((0, end))
    return tuple(tuple(day) for day in week)


def used_in(counters: Mapping[str, Sequence[int]]) -> Used:
    """Return the nine numbers from (amount, quantity, count) by window; a missing window is zero."""
    return [number for window in _WINDOWS for number in counters.get(window, UNUSED[:3])]


def _ceilings(source: LimitSet) -> list[tuple[Ceiling, bool]]:
    """Return each as (place in `Used`, measure, value, name), and whether it blocks; of a transaction's own window nothing is used yet."""
    found = []
    for limit in source.windows:
        if limit.measure not in _MEASURES or limit.value < 0:
            raise ValueError(f"not a window limit: {limit.measure} {limit.value}")
        name = f"{limit.window}.{limit.measure}"
        measure, start = _MEASURES[limit.measure], _WINDOW_AT.get(Window(limit.window).value)
        found.append(((None if start is None else start + measure, measure, limit.value, name), limit.reaction is not Reaction.FLAG))
    if source.tank_milli is not None:
        blocks = source.reactions.get(LimitKind.TANK, Reaction.BLOCK) is not Reaction.FLAG
        found.append(((None, _QUANTITY, source.tank_milli, "tank"), blocks))
    return found


@lru_cache(maxsize=65_536)
def compiled(document: str | bytes) -> Compiled:
    """Return the compiled form of a JSON document, made once for each text.

    :raises msgspec.ValidationError: if it is not a limit set
    :raises ValueError: if a time, weekday or value in it makes no sense
    """
    return Compiled(msgspec.json.decode(document, type=LimitSet))


def _overlaid(own: LimitSet, defaults: LimitSet) -> LimitSet:
    """Return `own`, and of `defaults` only the kinds on which `own` is silent."""
    said = {limit.window + limit.measure for limit in own.windows}
    chosen = {
        name: getattr(own if getattr(own, name) is not None else defaults, name)
        for name in ("grades", "shop", "stations", "districts", "regions", "hours", "plate", "min_interval_s", "tank_milli", "odometer")
    }
    reactions = dict(own.reactions)
    for kind, reaction in defaults.reactions.items():
        field = {LimitKind.MIN_INTERVAL: "min_interval_s", LimitKind.TANK: "tank_milli"}.get(kind, kind.value)
        if getattr(own, field, None) is None:
            reactions[kind] = reaction
    windows = own.windows + tuple(limit for limit in defaults.windows if limit.window + limit.measure not in said)
    return LimitSet(
        **chosen, windows=windows, reactions=reactions, more=own.more, closed=own.closed + defaults.closed, needs=own.needs | defaults.needs
    )


@lru_cache(maxsize=65_536)
def overlay(own: Compiled, defaults: Compiled) -> Compiled:
    """Return the one set that a card's own limits and its product's defaults make together."""
    if own.quiet:
        return defaults
    return own if defaults.quiet else Compiled(_overlaid(own.source, defaults.source))


NO_LIMITS: Final = compiled("{}")


def window_start(window: str, day: date) -> date:
    """Return the first local day of the window that `day` (the station's local date) lies in."""
    if window == Window.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if window == Window.MONTH else day


def judge(
    limit_set: Compiled | None,
    defaults: Compiled | None,
    *,
    product_code: str | None,
    shop_category: str | None,
    station: UUID,
    district: UUID | None,
    region: UUID | None,
    local_time: datetime,
    plate: str | None,
    amount_minor: int,
    quantity_milli: int,
    used: Used = UNUSED,
    since_last_s: int | None = None,
    doubtful: bool = False,
) -> Judgement:
    """Judge one line: a fuel product (`product_code`) or a shop line (`shop_category`); with neither, only the money and the place.

    `amount_minor` and `quantity_milli` are what is asked for, 0 where it is open (fill up): then a limit blocks only if nothing is left.
    `local_time` is the station's. `plate` is None where none was given. `since_last_s`: seconds since the chain's last fill, None: never.
    `doubtful`: the odometer's reading that was given cannot be.
    """
    limits = limit_set or defaults or NO_LIMITS
    if limit_set is not None and defaults is not None:
        limits = overlay(limit_set, defaults)
    if limits.quiet:
        return _FREE
    ceilings, flagged = limits.ceilings_at(local_time) if limits.more else (limits.ceilings, limits.flagged)
    amount, quantity, count, names = _left(ceilings, used)
    flags: list[str] = []
    if flagged:
        asked = (amount_minor, quantity_milli, 1)
        flags = [name for at, measure, value, name in flagged if (0 if at is None else used[at] or 0) + asked[measure] > value]
    blocked = None
    if limits.walled:
        place = (station, district, region)
        blocked = _wall_hit(limits, flags, product_code, shop_category, place, local_time, plate, since_last_s, doubtful=doubtful)
    if blocked is None and (
        count == 0 or (amount is not None and amount_minor >= amount) or (quantity is not None and quantity_milli >= quantity)
    ):
        blocked = _ceiling_hit(amount, quantity, count, names, amount_minor, quantity_milli)
    if blocked is not None and not blocked.partial:
        return Judgement(blocked, tuple(flags), 0, 0, count, blocked.limit, blocked.limit)
    return Judgement(blocked, tuple(flags), amount, quantity, count, names[_AMOUNT], names[_QUANTITY])


def _left(
    ceilings: Sequence[tuple[int | None, int, int, str]], used: Used
) -> tuple[int | None, int | None, int | None, tuple[str | None, str | None, str | None]]:
    """Return the least that is left of amount, quantity and count, None where nothing limits it, and the names of what binds them."""
    amount = quantity = count = amount_name = quantity_name = count_name = None
    for at, measure, value, name in ceilings:
        left = value if at is None else value - (used[at] or 0)
        if measure == _AMOUNT:
            if amount is None or left < amount:
                amount, amount_name = max(0, left), name
        elif measure == _QUANTITY:
            if quantity is None or left < quantity:
                quantity, quantity_name = max(0, left), name
        elif count is None or left < count:
            count, count_name = max(0, left), name
    return amount, quantity, count, (amount_name, quantity_name, count_name)


def _wall_hit(  # noqa: C901 - one line a wall, and no call each on the hot path
    limits: Compiled,
    flags: list[str],
    product_code: str | None,
    shop_category: str | None,
    place: tuple[UUID, UUID | None, UUID | None],
    local_time: datetime,
    plate: str | None,
    since_last_s: int | None,
    *,
    doubtful: bool,
) -> Block | None:
    """Find the first limit other than an amount, quantity or count that blocks; note those that only flag."""
    hits: list[tuple[str, Reason]] = []
    if limits.closed and any(one.since <= local_time < one.until for one in limits.closed):
        hits.append(("closed", Reason.CLOSED))
    if product_code is not None and limits.grades is not None and product_code not in limits.grades:
        hits.append(("grades", Reason.GRADE))
    if shop_category is not None and limits.shop is not None and shop_category not in limits.shop:
        hits.append(("shop", Reason.SHOP))
    for index, name, allowed in limits.places:
        if place[index] not in allowed:
            hits.append((name, Reason.PLACE))
    if limits.hours is not None and not _within(limits.hours[local_time.isoweekday()], local_time.hour * 60 + local_time.minute):
        hits.append(("hours", Reason.HOURS))
    if limits.plate is not None and plate != limits.plate:
        if plate is None:
            hits.append(("plate", Reason.PLATE_NEEDED))
        elif plate_key(plate) != limits.plate:
            hits.append(("plate", Reason.PLATE_DIFFERS))
    if since_last_s is not None and limits.min_interval_s is not None and since_last_s < limits.min_interval_s:
        hits.append(("min_interval", Reason.INTERVAL))
    if doubtful and limits.odometer:
        hits.append(("odometer", Reason.ODOMETER))
    return _first_blocking(limits, hits, flags, since_last_s) if hits else None


def _first_blocking(limits: Compiled, hits: list[tuple[str, Reason]], flags: list[str], since_last_s: int | None) -> Block | None:
    flags.extend(name for name, _ in hits if name in limits.soft)
    for name, reason in hits:
        if name not in limits.soft:
            wait_s = (limits.min_interval_s or 0) - (since_last_s or 0) if reason is Reason.INTERVAL else 0
            return Block(reason, name, wait_s=wait_s)
    return None


def _within(spans: tuple[tuple[int, int], ...], minute: int) -> bool:
    for start, end in spans:  # noqa: SIM110 - a generator costs as much as the rest of the judgement's walls
        if start <= minute < end:
            return True
    return False


def _ceiling_hit(
    amount: int | None, quantity: int | None, count: int | None, names: Sequence[str | None], amount_minor: int, quantity_milli: int
) -> Block | None:
    """Say which ceiling is passed: first the count, then one that leaves nothing, then one that leaves less than is asked."""
    if count == 0:
        return Block(Reason.COUNT, names[_COUNT] or "")
    if amount == 0:
        return Block(Reason.AMOUNT, names[_AMOUNT] or "")
    if quantity == 0:
        return Block(Reason.QUANTITY, names[_QUANTITY] or "")
    if amount is not None and amount_minor > amount:
        return Block(Reason.AMOUNT, names[_AMOUNT] or "", remaining=amount, partial=True)
    if quantity is not None and quantity_milli > quantity:
        return Block(Reason.QUANTITY, names[_QUANTITY] or "", remaining=quantity, partial=True)
    return None


_FREE: Final = Judgement(None, (), None, None, None, None, None)
