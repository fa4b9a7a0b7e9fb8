"""Limits above the card: company, department, vehicle, driver. Pure, on the hot path; only company cards have them.

Each level is judged on what *it* used, whoever's card it was, and the most restrictive of all wins, named with its level
(`vehicle.day.quantity`; the card's own without). A *release* turns what would block into a flag for a while: what passed under it is seen.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from .model import Level, LimitKind, Needs, Reaction
from .presented import Odometer, OrderFacts, PumpDriver, PumpDriverCard
from .rules import NO_LIMITS, UNUSED, Block, Compiled, Judgement, LimitSet, Reason, Used, judge, overlay, window_start

LEVEL_NAMES: Final = {int(level): level.name.lower() for level in Level}
_WINDOWS: Final = ((1, "day"), (2, "week"), (3, "month"))
_FOR_EVER: Final = date.min
_ONCE: Final = (0, _FOR_EVER)
RELEASE: Final = "release"
"""What binds where a release itself says how far it goes."""
ORDER: Final = "order"
PERMIT: Final = "permit"
"""The limit that a permit lifts: a release of it, for one fill."""


class Lasting(UUID):
    """Who is counted for ever, not by windows: an order."""

    __slots__ = ()


class LevelFacts(NamedTuple):
    """One level over a card as it was read: its limits, the nine sums of its open windows, and its last fill."""

    level: int
    subject_id: UUID
    limits: Compiled | None
    used: Used
    last_at: datetime | None


class Relief(NamedTuple):
    """A release as it was read. `limits` None: all. Maxima are a fill's, in minor units and thousandths."""

    release_id: UUID
    limits: frozenset[str] | None
    valid_from: datetime
    valid_until: datetime
    minor_max: int | None
    milli_max: int | None
    once: bool
    used: bool


class LevelCount(NamedTuple):
    """What a fill adds to one window of one level, and how far that window may go (None: any way)."""

    subject_id: UUID
    window: int
    start: date
    minor: int
    milli: int
    fills: int
    minor_max: int | None
    milli_max: int | None
    fills_max: int | None


class Above:
    """What stands over a company's card."""

    __slots__ = ("doubtful", "driver", "driver_card", "levels", "needs", "odometer", "order", "reliefs")

    def __init__(
        self,
        levels: Sequence[LevelFacts],
        reliefs: Sequence[Relief],
        needs: int = 0,
        driver: PumpDriver | None = None,
        odometer: Odometer | None = None,
        order: OrderFacts | None = None,
        driver_card: PumpDriverCard | None = None,
    ) -> None:
        self.levels = levels
        self.reliefs = reliefs
        for level in levels:
            if level.limits is not None:
                needs |= level.limits.needs
        self.needs = Needs(needs)
        self.driver = driver
        """Whose number was typed or whose card was shown; their level is among the levels."""
        self.driver_card = driver_card
        self.odometer = odometer
        self.order = order
        self.doubtful = False
        """The odometer's reading that was given cannot be."""

    def _with(self, levels: Sequence[LevelFacts], reliefs: Sequence[Relief], order: OrderFacts | None) -> "Above":
        made = Above(levels, reliefs, self.needs, self.driver, self.odometer, order, self.driver_card)
        made.doubtful = self.doubtful
        return made

    def driven_by(self, driver_id: UUID) -> "Above":
        """Return it with the driver who showed their PIN in the place of the card's own."""
        kept = [one for one in self.levels if one.level != Level.DRIVER or one.subject_id == driver_id]
        return self if len(kept) == len(self.levels) else self._with(kept, self.reliefs, self.order)

    def without_order(self) -> "Above":
        """Return it as it is where the order that was named counts for nothing."""
        return self._with(self.levels, self.reliefs, None)

    def known_driver(self, tries: int) -> None:
        """Note the tries that the typed driver's PIN has had by now: another request of the batch tried it too."""
        if self.driver is not None:
            self.driver = self.driver._replace(pin_tries=tries)

    def permits(self, instant: datetime) -> bool:
        """Say whether somebody allowed this use."""
        return any(one.limits is None or PERMIT in one.limits for one in self.standing(instant))

    @property
    def subjects(self) -> list[UUID]:
        """Return whom a fill counts for."""
        return [level.subject_id for level in self.levels]

    @property
    def may_flag(self) -> bool:
        """Say whether a limit here only flags, or a release may make one: only then is what was approved judged again."""
        return bool(self.reliefs) or any(one.limits is not None and one.limits.flags for one in self.levels)

    def grades_of(self, name: str) -> tuple[str, ...]:
        """Return the grades that the level of a limit's name (`vehicle.grades`) allows."""
        level = name.partition(".")[0]
        allowed = [one.limits.source.grades for one in self.levels if LEVEL_NAMES[one.level] == level and one.limits is not None]
        return next((grades for grades in allowed if grades is not None), ())

    def standing(self, instant: datetime) -> list[Relief]:
        """Return the releases that hold at an instant."""
        return [one for one in self.reliefs if one.valid_from <= instant < one.valid_until and not (one.once and one.used)]

    def judge(
        self,
        own: Compiled | None,
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
    ) -> Judgement:
        """Judge one line as `loyalty.limits.rules.judge` does, by the card's own limits and by those of every level."""
        reliefs = self.standing(local_time)
        card = overlay(own or NO_LIMITS, defaults or NO_LIMITS)
        judged: list[tuple[str, Compiled, Judgement]] = []
        for prefix, limits, sums, since_s in (("", card, used, since_last_s), *self._each(local_time)):
            lifted = relieved(limits, prefix, reliefs)
            if lifted.quiet:
                continue
            said = judge(
                lifted,
                None,
                product_code=product_code,
                shop_category=shop_category,
                station=station,
                district=district,
                region=region,
                local_time=local_time,
                plate=plate,
                amount_minor=amount_minor,
                quantity_milli=quantity_milli,
                used=sums,
                since_last_s=since_s,
                doubtful=self.doubtful,
            )
            judged.append((prefix, lifted, said))
        said = _within(most_restrictive(judged), reliefs, amount_minor, quantity_milli)
        if self.order is None:
            return said
        if not self.order.is_for(product_code, station):
            return Judgement(Block(Reason.ORDER, ORDER), said.flags, 0, 0, said.remaining_count, ORDER, ORDER)
        return _at_most(said, self.order.left_minor, self.order.left_milli, ORDER, amount_minor, quantity_milli)

    def _each(self, local_time: datetime) -> Iterable[tuple[str, Compiled, Used, int | None]]:
        for level in self.levels:
            if level.limits is not None:
                since_s = None if level.last_at is None else max(0, int((local_time - level.last_at).total_seconds()))
                yield LEVEL_NAMES[level.level] + ".", level.limits, level.used, since_s

    def counts(self, day: date, instant: datetime, counted: tuple[int, int, int]) -> list[LevelCount]:
        """Return what a fill adds to the windows of `day` of every level, each with how far it may go; a release for once is used up."""
        reliefs = self.standing(instant)
        found = [
            LevelCount(level.subject_id, number, window_start(window, day), *counted, *maxima)
            for level in self.levels
            for number, window, maxima in _maxima(level, reliefs, instant)
        ]
        if self.order is not None:
            most = self.order.amount_minor, self.order.quantity_milli, self.order.fills_max
            found.append(LevelCount(self.order.order_id, 0, _FOR_EVER, *counted, *most))
        found += [LevelCount(one.release_id, 0, _FOR_EVER, counted[0], counted[1], 1, None, None, 1) for one in reliefs if one.once]
        return found

    def after(self, day: date, counts: Sequence[LevelCount]) -> "Above":
        """Return it as it stands after other fills of the same batch were counted."""
        added: dict[UUID, list[int]] = {}
        used_up: set[UUID] = set()
        order = self.order
        for one in counts:
            if order is not None and one.subject_id == order.order_id:
                order = order._replace(
                    used_minor=order.used_minor + one.minor,
                    used_milli=order.used_milli + one.milli,
                    used_count=order.used_count + one.fills,
                )
            elif one.window == 0:
                used_up.add(one.subject_id)
            elif one.start == window_start(_WINDOWS[one.window - 1][1], day):
                sums = added.setdefault(one.subject_id, [0] * 9)
                for place, value in enumerate((one.minor, one.milli, one.fills), 3 * (one.window - 1)):
                    sums[place] += value
        if not added and not used_up and order is self.order:
            return self
        levels = [
            level
            if level.subject_id not in added
            else level._replace(used=[(was or 0) + more for was, more in zip(level.used, added[level.subject_id], strict=True)])
            for level in self.levels
        ]
        return self._with(levels, [one._replace(used=one.used or one.release_id in used_up) for one in self.reliefs], order)


def settled_counts(subjects: Sequence[UUID], day: date, counted: tuple[int, int, int]) -> list[LevelCount]:
    """Return what the end of a fill changes of what its beginning counted on `day`: no bound, since it has happened."""
    if not any(counted):
        return []
    return [
        LevelCount(subject, number, start, *counted, None, None, None)
        for subject in subjects
        for number, start in (
            (_ONCE,) if isinstance(subject, Lasting) else ((number, window_start(window, day)) for number, window in _WINDOWS)
        )
    ]


def most_restrictive(judged: Sequence[tuple[str, Compiled, Judgement]]) -> Judgement:
    """Join what the levels say: a wall before a ceiling, what only blocks before what may be asked for, the least that remains."""
    if not judged:
        return _FREE
    blocks: list[tuple[int, int, Block]] = []
    flags: list[str] = []
    asks: set[str] = set()
    amount: tuple[int, str | None] | None = None
    quantity: tuple[int, str | None] | None = None
    count: int | None = None
    for prefix, limits, said in judged:
        flags += [prefix + name for name in said.flags]
        asks.update(prefix + name for name in limits.asking)
        if said.blocked is not None:
            name = said.blocked.limit
            named = msgspec.structs.replace(said.blocked, limit=prefix + name, ask=name in limits.asking)
            blocks.append((2 * named.partial + named.ask, named.remaining, named))
        amount = _less(amount, said.remaining_amount_minor, prefix, said.binding_amount)
        quantity = _less(quantity, said.remaining_quantity_milli, prefix, said.binding_quantity)
        if said.remaining_count is not None:
            count = said.remaining_count if count is None else min(count, said.remaining_count)
    blocked = min(blocks, key=lambda block: block[:2])[2] if blocks else None
    return Judgement(
        blocked,
        tuple(flags),
        None if amount is None else amount[0],
        None if quantity is None else quantity[0],
        count,
        None if amount is None else amount[1],
        None if quantity is None else quantity[1],
        frozenset(asks),
    )


def _less(least: tuple[int, str | None] | None, left: int | None, prefix: str, name: str | None) -> tuple[int, str | None] | None:
    if left is None or (least is not None and least[0] <= left):
        return least
    return left, None if name is None else prefix + name


def _within(said: Judgement, reliefs: Sequence[Relief], amount_minor: int, quantity_milli: int) -> Judgement:
    """Keep a fill within what a release allows."""
    for relief in reliefs:
        said = _at_most(said, relief.minor_max, relief.milli_max, RELEASE, amount_minor, quantity_milli)
    return said


def _at_most(said: Judgement, amount: int | None, quantity: int | None, name: str, amount_minor: int, quantity_milli: int) -> Judgement:
    """Keep a fill within so much money and quantity more; `name` is what binds where they do."""
    blocked = None
    if amount is not None and (said.remaining_amount_minor is None or amount < said.remaining_amount_minor):
        said = msgspec.structs.replace(said, remaining_amount_minor=amount, binding_amount=name)
        if amount_minor > amount:
            blocked = Block(Reason.AMOUNT, name, remaining=amount, partial=True)
    if quantity is not None and (said.remaining_quantity_milli is None or quantity < said.remaining_quantity_milli):
        said = msgspec.structs.replace(said, remaining_quantity_milli=quantity, binding_quantity=name)
        if quantity_milli > quantity:
            blocked = Block(Reason.QUANTITY, name, remaining=quantity, partial=True)
    return said if said.blocked is not None or blocked is None else msgspec.structs.replace(said, blocked=blocked)


def relieved(limits: Compiled, prefix: str, reliefs: Sequence[Relief]) -> Compiled:
    """Return a level's limits as they are while releases stand."""
    if not reliefs or limits.quiet:
        return limits
    if any(one.limits is None for one in reliefs):
        return _softened(limits, None)
    names = frozenset(name for one in reliefs for name in one.limits or ())
    if prefix:
        names = frozenset(name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return _softened(limits, names) if names else limits


@lru_cache(maxsize=4096)
def _softened(limits: Compiled, names: frozenset[str] | None) -> Compiled:
    """Return limits of which the named (None: all) only flag."""
    source = limits.source
    windows = tuple(
        msgspec.structs.replace(limit, reaction=Reaction.FLAG) if names is None or f"{limit.window}.{limit.measure}" in names else limit
        for limit in source.windows
    )
    kinds = [kind for kind in LimitKind if kind not in _WINDOWED and (names is None or kind.value in names)]
    soft: LimitSet = msgspec.structs.replace(
        source, windows=windows, reactions=dict(source.reactions) | dict.fromkeys(kinds, Reaction.FLAG)
    )
    return Compiled(soft)


def _maxima(
    level: LevelFacts, reliefs: Sequence[Relief], instant: datetime
) -> Iterable[tuple[int, str, tuple[int | None, int | None, int | None]]]:
    """Yield each window with the most that its row may hold of money, quantity and fills."""
    limits = NO_LIMITS if level.limits is None else relieved(level.limits, LEVEL_NAMES[level.level] + ".", reliefs)
    ceilings = limits.ceilings_at(instant)[0] if limits.more else limits.ceilings
    for number, window in _WINDOWS:
        most: list[int | None] = [None, None, None]
        for at, measure, value, _ in ceilings:
            if at is not None and at // 3 == number - 1:
                known = most[measure]
                most[measure] = value if known is None else min(known, value)
        yield number, window, (most[0], most[1], most[2])


_WINDOWED: Final = frozenset({LimitKind.AMOUNT, LimitKind.QUANTITY, LimitKind.COUNT})
_FREE: Final = Judgement(None, (), None, None, None, None, None)
