"""The running state of one evaluation, and what comes of it."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from .bounding import Count, Question, cap_miss, cap_room
from .compiling import CompiledRule, PlannedRule
from .conditions import Miss

NOTHING: Final = Miss("nothing_left")
_NO_ROOMS: Final[Mapping[str, int | None]] = {}


class Applied:
    """A rule that applies. `wanted` is what it would give without caps and budget, `given` what it does."""

    __slots__ = ("base_minor", "borne", "counts", "given", "lines", "rates", "rule", "wanted")

    def __init__(
        self, rule: CompiledRule, base_minor: int, wanted: int, given: int, lines: list[int] | None, rates: list[int] | None = None
    ) -> None:
        self.rule = rule
        self.base_minor = base_minor
        """What it was worked out of: what the goods cost, or what was left of that where the rule looks at it."""
        self.wanted = wanted
        self.given = given
        self.lines = lines
        """A discount's amount for each line of the basket; None for a grant."""
        self.rates = rates
        """By how much it made a unit of each line cheaper; None where it goes by no rate, or only a part of it was given."""
        self.counts: list[Count] = []
        self.borne: list[tuple[str, int]] | None = None
        """Who bears how much of it, once that was worked out."""


class Missed(NamedTuple):
    """A candidate that does not apply."""

    rule: CompiledRule
    miss: Miss


class Outcome:
    """What a basket comes to."""

    __slots__ = ("applied", "book", "counts", "discounts", "missed", "short", "surcharge_minor")

    def __init__(self, book: int, lines: int) -> None:
        self.book = book
        self.applied: list[Applied] = []
        self.missed: list[Missed] = []
        self.discounts = [0] * lines
        """Minor units off each line."""
        self.counts: list[Count] = []
        """n-th counters of candidates, whether they apply or not."""
        self.short: list[UUID] = []
        """Budgets that had less free than was wanted: another worker's share may have more."""
        self.surcharge_minor = 0
        """What a company's agreement makes the customer pay above the pump's price."""

    @property
    def discount_minor(self) -> int:
        """All discounts together."""
        discounts = self.discounts
        return discounts[0] if len(discounts) == 1 else sum(discounts)


class Run:
    """The running state of one evaluation."""

    __slots__ = ("digits", "empty", "goods", "grants", "is_plain", "left", "off", "outcome", "question", "rooms", "spent")

    def __init__(self, question: Question, empty: frozenset[str] = frozenset()) -> None:
        goods = question.basket.goods
        self.question = question
        self.goods = goods
        self.digits = question.where.digits
        self.is_plain = question.frozen is None and not question.without
        """Nothing is frozen or switched off: a rule without conditions needs no asking."""
        self.rooms: Mapping[str, int | None] = _NO_ROOMS if question.frozen is None else question.frozen
        """At settlement: the candidates and what each may give at most."""
        self.left = [goods[0].amount_minor] if len(goods) == 1 else [line.amount_minor for line in goods]
        """What is left of each line, minor units."""
        self.off = [0] * len(goods)
        """By how much a unit of each line is cheaper already by rates."""
        self.outcome = Outcome(question.book.number, len(goods))
        self.grants: list[PlannedRule] = []
        """Grants that apply; worked out in the end."""
        self.empty = empty
        """Grants that are known to come to nothing in the end."""
        self.spent: dict[UUID, int] = {}
        """Taken of budgets by this very transaction."""

    def quantity(self, places: Sequence[int]) -> int:
        """Return how much of these goods there is, thousandths."""
        return self.goods[places[0]].quantity_milli if len(places) == 1 else sum([self.goods[place].quantity_milli for place in places])

    def initial_minor(self, places: Sequence[int]) -> int:
        """Return what these goods cost at the pump's price."""
        return self.goods[places[0]].amount_minor if len(places) == 1 else sum([self.goods[place].amount_minor for place in places])

    def left_minor(self, places: Sequence[int]) -> int:
        """Return what the rules so far left of that."""
        return self.left[places[0]] if len(places) == 1 else sum([self.left[place] for place in places])

    def taken(self) -> list[int]:
        """Return what the discounts took off each line."""
        if len(self.goods) == 1:
            return [self.goods[0].amount_minor - self.left[0]]
        return [line.amount_minor - left for line, left in zip(self.goods, self.left, strict=True)]

    def within_room(self, rule: CompiledRule, wanted: int) -> tuple[int, Miss]:
        """Return how much of `wanted` caps and budget leave, and what binds."""
        question = self.question
        given, bound = wanted, NOTHING
        frozen = question.frozen
        for cap in rule.caps:
            if frozen is None or cap.counter is None:
                room = cap_room(question, cap)
                if room is not None and room < given:
                    given, bound = room, cap_miss(question, cap)
        if frozen is not None:
            most = frozen[rule.code]
            return (given, bound) if most is None or most >= given else (max(most, 0), Miss("set_aside", most))
        if rule.budget is not None:
            free = question.budgets.get(rule.budget, 0) - self.spent.get(rule.budget, 0)
            if free < given:
                if rule.budget not in self.outcome.short:
                    self.outcome.short.append(rule.budget)
                given, bound = max(free, 0), Miss("budget", rule.rule.budget)
        return given, bound

    def miss(self, rule: CompiledRule, miss: Miss) -> None:
        """Note why a candidate does not apply."""
        self.outcome.missed.append(Missed(rule, miss))
