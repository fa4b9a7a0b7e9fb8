"""What a backtest says: what the draft would have cost, by funder and by rule, and who is better or worse off. Pure.

Amounts are minor units of the report's currency. It says nothing about what customers would have bought otherwise.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from loyalty.ids import instant_of
from loyalty.pricing.compiling import budget_id
from loyalty.pricing.document import Document

from .replaying import Cut, RuleSum, Sums

TOP: Final = 20
_STEPS: Final = (100_000, 50_000, 10_000, 5_000, 1_000, 100)
"""Bounds of the spread, in minor units of a currency with two digits: 1,000, 500, 100, 50, 10 and 1."""
_MONEY: Final = frozenset({"discount", "surcharge", "bonus"})


class RuleLine(Struct, frozen=True):
    """One rule: how often, what it would have given without caps and budget, and what it gave. `parties` is None where not counted."""

    rule: str
    kind: str
    name_zh: str
    name_en: str
    times: int
    wanted: int
    given: int
    parties: int | None

    def with_more(self, other: "RuleLine") -> "RuleLine":
        """Return the sum of two stretches of time; parties cannot be added up."""
        wanted, given = self.wanted + other.wanted, self.given + other.given
        return RuleLine(self.rule, self.kind, self.name_zh, self.name_en, self.times + other.times, wanted, given, None)


class FunderLine(Struct, frozen=True):
    """What one funder bears of the benefits of one kind: minor units, points or pieces. `station` is all stations together."""

    funder: str
    kind: str
    amount: int


class Side(Struct, frozen=True):
    """The live rules, or the draft."""

    discount_minor: int
    surcharge_minor: int
    bonus_minor: int
    points: int
    things: int
    """Gifts, vouchers and washes, pieces."""
    parties: int
    """Who saved any money."""
    funders: list[FunderLine]
    rules: list[RuleLine]

    @property
    def cost_minor(self) -> int:
        """Discounts less surcharges, and bonus money."""
        return self.discount_minor - self.surcharge_minor + self.bonus_minor


class Bucket(Struct, frozen=True):
    """Parties whose saving changed by `[least, most)`; None is no bound. `least` 0 and `most` 1: not at all."""

    least: int | None
    most: int | None
    parties: int
    minor: int


class PartyLine(Struct, frozen=True):
    """A customer, or an account that is nobody's."""

    party: UUID
    live_minor: int
    draft_minor: int


class DayLine(Struct, frozen=True):
    """A slice of the period: what its sales saved."""

    since: datetime
    rows: int
    live_minor: int
    draft_minor: int


class BudgetLine(Struct, frozen=True):
    """A budget, used from full; `out_at` is when it ran out."""

    budget: str
    unit: str
    total: int
    used: int
    out_at: datetime | None


class Speed(Struct, frozen=True):
    """The replay's own time, over all its passes, against the plain aggregate over the same rows in the same run."""

    rows_per_s: int
    replay_ms: int
    passes: int
    workers: int
    aggregate_ms: int
    ratio_e4: int
    """Rows per second of the replay in 1/10,000 of the aggregate's."""


class Report(Struct, frozen=True):
    number: int
    currency: str
    since: datetime
    until: datetime
    rows: int
    gross_minor: int
    parties: int
    live: Side
    draft: Side
    winners: int
    losers: int
    won_minor: int
    lost_minor: int
    spread: list[Bucket]
    top_winners: list[PartyLine]
    top_losers: list[PartyLine]
    days: list[DayLine]
    budgets: list[BudgetLine]
    notes: list[str]
    """Codes of what the reader must know: see `notes_of`."""
    speed: Speed


class Changes(NamedTuple):
    """Who is better or worse off."""

    winners: int
    losers: int
    won_minor: int
    lost_minor: int
    spread: list[Bucket]
    top_winners: list[PartyLine]
    top_losers: list[PartyLine]


Parties = Mapping[UUID, tuple[int, int]]
"""Party → what it saved live, and in the draft."""


def parties_of(parts: Iterable[Sums]) -> dict[UUID, tuple[int, int]]:
    """Add up what each party saved."""
    found: dict[UUID, tuple[int, int]] = {}
    for part in parts:
        for party, live, draft in zip(part.parties, part.live, part.draft, strict=True):
            before = found.get(party)
            found[party] = (live, draft) if before is None else (before[0] + live, before[1] + draft)
    return found


def changes_of(parties: Parties) -> Changes:
    """Say who wins and who loses, and how the changes spread."""
    moved = [(draft - live, party, live, draft) for party, (live, draft) in parties.items()]
    # The party's id breaks ties, so that the same sales give the same report.
    moved.sort(key=lambda one: (one[0], one[1].bytes))
    losers = [one for one in moved if one[0] < 0]
    winners = [one for one in moved if one[0] > 0]
    return Changes(
        winners=len(winners),
        losers=len(losers),
        won_minor=sum(one[0] for one in winners),
        lost_minor=-sum(one[0] for one in losers),
        spread=_spread([one[0] for one in moved]),
        top_winners=[PartyLine(*one[1:]) for one in reversed(winners[-TOP:])],
        top_losers=[PartyLine(*one[1:]) for one in losers[:TOP]],
    )


def _spread(differences: Sequence[int]) -> list[Bucket]:
    edges = [*(-step + 1 for step in _STEPS), 0, 1, *reversed(_STEPS)]
    bounds = list(zip([None, *edges], [*edges, None], strict=True))
    found: list[Bucket] = []
    for least, most in bounds:
        inside = [one for one in differences if (least is None or one >= least) and (most is None or one < most)]
        found.append(Bucket(least, most, len(inside), sum(inside)))
    return found


def rules_of(parts: Sequence[Sums]) -> dict[tuple[str, str], RuleSum]:
    """Add up what each rule gave; who had something of it is counted once, whichever worker met it."""
    whole: dict[tuple[str, str], RuleSum] = {}
    had: dict[tuple[str, str], set[UUID]] = {}
    for part in parts:
        for key, rule in part.rules.items():
            total = whole.setdefault(key, RuleSum(rule.funders))
            total.times += rule.times
            total.wanted += rule.wanted
            total.given += rule.given
            for amount, times in rule.amounts.items():
                total.amounts[amount] = total.amounts.get(amount, 0) + times
            had.setdefault(key, set()).update(part.parties[place] for place in rule.parties)
    for key, parties in had.items():
        whole[key].parties = set(range(len(parties)))
    return whole


def draft_side(document: Document, rules: Mapping[tuple[str, str], RuleSum], parties: Parties) -> Side:
    """Return the draft's side of a report."""
    names = {rule.code: (rule.name_zh, rule.name_en) for rule in document.rules}
    lines = [
        RuleLine(code, kind, *names.get(code, (code, code)), one.times, one.wanted, one.given, len(one.parties))
        for (code, kind), one in rules.items()
        if one.times
    ]
    borne: dict[tuple[str, str], int] = {}
    for (_, kind), one in rules.items():
        for funder, amount in one.borne().items():
            borne[funder, kind] = borne.get((funder, kind), 0) + amount
    return side(lines, borne, sum(1 for _, draft in parties.values() if draft > 0))


def side(lines: Iterable[RuleLine], borne: Mapping[tuple[str, str], int], parties: int) -> Side:
    """Return one side: what costs most first."""
    lines = sorted(lines, key=lambda line: (line.kind not in _MONEY, -line.given, line.rule, line.kind))
    given: dict[str, int] = {}
    for line in lines:
        given[line.kind] = given.get(line.kind, 0) + line.given
    funders = [FunderLine(funder, kind, amount) for (funder, kind), amount in borne.items() if amount]
    return Side(
        discount_minor=given.get("discount", 0),
        surcharge_minor=given.get("surcharge", 0),
        bonus_minor=given.get("bonus", 0),
        points=given.get("points", 0),
        things=sum(given.get(kind, 0) for kind in ("gift", "voucher", "wash")),
        parties=parties,
        funders=sorted(funders, key=lambda one: (one.kind not in _MONEY, -one.amount, one.funder, one.kind)),
        rules=lines,
    )


def budgets_of(document: Document, parts: Iterable[Sums], cuts: Mapping[UUID, Cut]) -> list[BudgetLine]:
    """Say what was used of each budget that a rule draws on."""
    used: dict[UUID, int] = {}
    for part in parts:
        for spent, amount in part.spent.items():
            used[spent] = used.get(spent, 0) + amount
    drawn = {rule.budget for rule in document.rules if rule.enabled}
    lines: list[BudgetLine] = []
    for budget in document.budgets:
        if budget.code in drawn:
            cut = cuts.get(budget_id(budget.code))
            out = None if cut is None else instant_of(UUID(cut.sale.decode()))
            lines.append(BudgetLine(budget.code, budget.unit.value, budget.total, used.get(budget_id(budget.code), 0), out))
    return lines


def first_to_run_out(
    spending: Mapping[UUID, Sequence[tuple[bytes, int]]], totals: Mapping[UUID, int], cuts: Mapping[UUID, Cut]
) -> tuple[UUID, Cut] | None:
    """Return the budget that runs out first, of those that are not cut yet, and the sale at which it does.

    Up to that sale every one got what it wanted, so that the pass is exact until there; the next pass starts from this cut.
    """
    first: tuple[bytes, UUID, int] | None = None
    for budget, sales in spending.items():
        if budget in cuts:
            continue
        left = totals[budget]
        for sale, amount in sorted(sales):
            if amount > left:
                if first is None or (sale, budget.bytes) < (first[0], first[1].bytes):
                    first = sale, budget, left
                break
            left -= amount
    return None if first is None else (first[1], Cut(first[0], first[2]))
