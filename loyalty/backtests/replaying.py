"""Past sales asked again, row by row, by the pump's own evaluation. Pure: rows in, sums out.

A row comes as the database wrote it. Its tail holds everything that rules can ask about the sale itself, so that sales with the same tail
and customers whom the book sees alike come to the same: those are evaluated once and counted. Where caps, counts or budgets matter, each
sale is evaluated on what the sales before it left, in memory.
"""

from collections import ChainMap
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from loyalty.authorizations.facts import Product
from loyalty.authorizations.offering import Offer, article, fuel
from loyalty.pricing.basket import CARD, Goods, Moment, Person, Where
from loyalty.pricing.calculators import STATION, split_funders
from loyalty.pricing.compiling import Book, Plan
from loyalty.pricing.document import Funder, Of
from loyalty.pricing.evaluating import Outcome, all_counts, budget_uses

from .asking import Asks, depends_on_others, likeness

FREE: Final = 10**15
"""More than any budget: none runs out unless the coordinator says where it did."""
_MEMORY: Final = 200_000
"""So many different sales are kept before they are summed up and forgotten."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NULL: Final = b"\\N"
_JSON: Final = msgspec.json.Decoder(list[dict[str, Any]]).decode
_NAMES: Final = msgspec.json.Decoder(list[str]).decode

Row = list[bytes]
"""at_ms, sale, account, chain, live_minor, live_bonus_minor, tail: see `queries.rows`."""
Counts = MutableMapping[tuple[UUID, date], tuple[int, int]]


class Place(NamedTuple):
    where: Where
    zone: ZoneInfo


class World(NamedTuple):
    """What rows name, by the text of its id; places by the number of their kind."""

    book: Book
    places: Mapping[bytes, Place]
    products: Mapping[bytes, Product]
    products_by_code: Mapping[str, Product]
    cards: Mapping[bytes, str]
    """The codes of card products."""


class Cut(NamedTuple):
    """Where a budget runs out: the sale that gets the remainder, and how much that is. Later ones get nothing of it."""

    sale: bytes
    left: int


class RuleSum:
    """What one rule comes to over many sales."""

    __slots__ = ("amounts", "funders", "given", "parties", "times", "wanted")

    def __init__(self, funders: tuple[Funder, ...]) -> None:
        self.times = self.wanted = self.given = 0
        self.funders = funders
        self.amounts: dict[int, int] = {}
        """How often it gave how much; only where several funders share each."""
        self.parties: set[int] = set()
        """By their place in `Sums.parties`."""

    def add(self, wanted: int, given: int, times: int) -> None:
        """Count a benefit that came so often."""
        self.times += times
        self.wanted += wanted * times
        self.given += given * times
        if len(self.funders) > 1:
            self.amounts[given] = self.amounts.get(given, 0) + times

    def borne(self) -> dict[str, int]:
        """Return who bears how much; each benefit is split for itself, as the pump does."""
        if len(self.funders) == 1:
            return {self.funders[0].funder: self.given}
        borne: dict[str, int] = {}
        for given, times in self.amounts.items():
            for funder, amount in split_funders(self.funders, given, station=STATION):
                borne[funder] = borne.get(funder, 0) + amount * times
        return borne


class Sums:
    """What a part of the sales comes to. A party is a customer, or an account that is nobody's."""

    def __init__(self) -> None:
        self.rows = 0
        self.parties: list[UUID] = []
        self.live: list[int] = []
        """By party: discounts less surcharges, and bonus money."""
        self.draft: list[int] = []
        self.rules: dict[tuple[str, str], RuleSum] = {}
        """By code and kind."""
        self.spent: dict[UUID, int] = {}


class _Gain(NamedTuple):
    rule: RuleSum
    wanted: int
    given: int


class _Sale:
    """A sale as its tail says it: what it comes to where it depends on no other, and what to ask again where it does."""

    __slots__ = ("card", "flow", "gains", "goods", "place", "saved", "stands_alone", "tenders", "times")

    def __init__(self, place: Place, card: str, flow: int, goods: tuple[Goods, ...], tenders: tuple[str, ...]) -> None:
        self.place = place
        self.card = card
        self.flow = flow
        self.goods = goods
        self.tenders = tenders
        self.times = 0
        self.saved = 0
        self.gains: tuple[_Gain, ...] = ()
        self.stands_alone = False


class _Account(NamedTuple):
    party: int
    like: tuple[object, ...] | None
    """None: asked for itself, since a company's agreement has times of its own."""
    person: Person


class Replay:
    """One worker's share of a pass."""

    def __init__(self, world: World, asks: Asks, cuts: Mapping[UUID, Cut]) -> None:
        self._world = world
        self._asks = asks
        self._cuts = cuts
        self._accounts: dict[bytes, _Account] = {}
        self._places: dict[UUID, int] = {}
        self._known: dict[tuple[bytes, tuple[object, ...]], _Sale] = {}
        self.counts: dict[UUID, Counts] = {}
        """By subject: what it had of each cap, or how often it came, in each window."""
        self._plans: dict[int, tuple[Plan, bool]] = {}
        self._people: dict[tuple[bytes, bytes], Person] = {}
        self.free = dict.fromkeys(asks.budgets, FREE)
        self.sums = Sums()
        self.spending: dict[UUID, list[tuple[bytes, int]]] = {budget: [] for budget in asks.budgets}

    def unknown(self, rows: Sequence[Row]) -> list[bytes]:
        """Return the accounts of which nothing is known yet."""
        return list({row[2] for row in rows} - self._accounts.keys())

    def learn(self, person: Person) -> None:
        """Take note of an account's customer."""
        identity = person.customer_id or person.account_id
        party = self._places.get(identity)
        if party is None:
            party = self._places[identity] = len(self.sums.parties)
            self.sums.parties.append(identity)
            self.sums.live.append(0)
            self.sums.draft.append(0)
        campaigns = self._world.book.document.campaigns
        like = likeness(self._asks, campaigns, person) if person.agreement is None else None
        self._accounts[str(person.account_id).encode()] = _Account(party, like, person)

    def replay(self, rows: Sequence[Row]) -> tuple[int, int]:
        """Ask these sales again, in the order in which they were booked wherever one depends on another.

        Return what they saved under the live rules and what they would have saved.
        """
        known, accounts, sums = self._known, self._accounts, self.sums
        live_of, draft_of = sums.live, sums.draft
        all_live = all_draft = 0
        for row in rows:
            _, _, account, _, live, bonus, tail = row
            party, like, _ = accounts[account]
            sale = None if like is None else known.get((tail, like))
            if sale is None:
                saved = self._first(row, like, party)
            elif sale.stands_alone:
                sale.times += 1
                saved = sale.saved
                for gain in sale.gains:
                    gain.rule.parties.add(party)
            else:
                saved = self._keep(row[1], party, self._offer(row, sale).evaluate(sale.goods, sale.flow, sale.tenders)[1])
            saved_live = int(live) + int(bonus)
            draft_of[party] += saved
            live_of[party] += saved_live
            all_draft += saved
            all_live += saved_live
        sums.rows += len(rows)
        return all_live, all_draft

    def subjects(self, rows: Sequence[Row]) -> set[UUID]:
        """Return whose counters these sales may look at."""
        if not self._asks.counters:
            return set()
        people = [self._person(row[2], row[3]) for row in rows]
        subjects = {subject for one in people for subject in (one.chain_id, one.account_id, one.customer_id)}
        return {subject for subject in subjects if subject is not None}

    def one(self, row: Row) -> Outcome | None:
        """Ask one sale on what is counted and free so far, and count it; None where the pump offers it nothing."""
        sale = self._read(row[6])
        if not sale.card:
            return None
        outcome = self._offer(row, sale).evaluate(sale.goods, sale.flow, sale.tenders)[1]
        self._count(outcome)
        for budget, taken in budget_uses(outcome).items():
            self.free[budget] -= taken
        return outcome

    def finish(self) -> Sums:
        """Sum up what was counted, and return all of it."""
        self._sum_up()
        return self.sums

    def _first(self, row: Row, like: tuple[object, ...] | None, party: int) -> int:
        """Ask a sale that comes for the first time, and keep what holds for all like it; return what it saves."""
        sale = self._read(row[6])
        if like is not None:
            if len(self._known) >= _MEMORY:
                self._sum_up()
            self._known[row[6], like] = sale
        if not sale.card:
            sale.stands_alone = True
            return 0
        plan, outcome = self._offer(row, sale).evaluate(sale.goods, sale.flow, sale.tenders)
        if like is None or self._depends(plan):
            return self._keep(row[1], party, outcome)
        sale.stands_alone, sale.times = True, 1
        sale.gains, sale.saved = self._gains(outcome), _saved(outcome)
        for gain in sale.gains:
            gain.rule.parties.add(party)
        return sale.saved

    def _depends(self, plan: Plan) -> bool:
        """Say whether a plan's sales depend on others; the book keeps its plans, so it is worked out once for each."""
        known = self._plans.get(id(plan))
        if known is None or known[0] is not plan:
            known = self._plans[id(plan)] = plan, depends_on_others(plan)
        return known[1]

    def _keep(self, sale: bytes, party: int, outcome: Outcome) -> int:
        """Keep what one sale counts, spends and gives; return what it saves."""
        self._count(outcome)
        for budget, taken in budget_uses(outcome).items():
            self.spending[budget].append((sale, taken))
            self.sums.spent[budget] = self.sums.spent.get(budget, 0) + taken
        for gain in self._gains(outcome):
            gain.rule.add(gain.wanted, gain.given, 1)
            gain.rule.parties.add(party)
        return _saved(outcome)

    def _count(self, outcome: Outcome) -> None:
        for count in all_counts(outcome):
            counts = self.counts.setdefault(count.subject_id, {})
            at = (count.counter, date.fromordinal(count.start_ordinal))
            amount, times = counts.get(at, (0, 0))
            counts[at] = amount + count.amount, times + count.times

    def _offer(self, row: Row, sale: _Sale) -> Offer:
        now = _EPOCH + timedelta(milliseconds=int(row[0]))
        person = self._person(row[2], row[3]) if self._asks.counters else self._accounts[row[2]].person
        moment = Moment(now, now.astimezone(sale.place.zone) if self._asks.local else now)
        return Offer(self._world.book, sale.place.where, sale.card, person, moment, free=self._left(row[1]))

    def _left(self, sale: bytes) -> Mapping[UUID, int]:
        """Return what is free of each budget for a sale."""
        if not self._cuts:
            return self.free
        free = dict(self.free)
        for budget, cut in self._cuts.items():
            if sale >= cut.sale:
                free[budget] = cut.left if sale == cut.sale else 0
        return free

    def _person(self, account: bytes, chain: bytes) -> Person:
        """Return the customer with the counters as they stand; the same object for all sales of a card."""
        person = self._people.get((account, chain))
        if person is None:
            person = self._accounts[account].person
            person = person._replace(chain_id=None if chain in {b"", _NULL} else UUID(chain.decode()))
            person = person._replace(had=self._had(person))
            self._people[account, chain] = person
        return person

    def _had(self, person: Person) -> Counts:
        subjects = {Of.CARD: person.chain_id, Of.ACCOUNT: person.account_id, Of.CUSTOMER: person.customer_id}
        named = [subjects[of] for of in sorted(set(self._asks.counters.values()))]
        found = [self.counts.setdefault(subject, {}) for subject in named if subject is not None]
        return found[0] if len(found) == 1 else ChainMap(*found)

    def _read(self, tail: bytes) -> _Sale:
        _, _, _, kind, card, flow, product, quantity, price, gross, lines, tenders = tail.split(b"\t")
        place = self._world.places[kind]
        amount, goods = int(gross), list[Goods]()
        for line in () if lines == _NULL else _JSON(lines.replace(b"\\\\", b"\\")):
            amount -= line["amount_minor"]
            found = self._world.products_by_code.get(line["product"])
            if found is not None:
                goods.append(article(found, line["quantity_milli"], line["amount_minor"], place.where.digits))
        if product != _NULL:
            goods.insert(0, fuel(self._world.products[product], int(quantity), int(price), amount))
        others = () if tenders == _NULL else _NAMES(tenders.replace(b"\\\\", b"\\"))
        # A card that is not known stands on the suspense account: the pump offers it nothing.
        code = "" if card == _NULL or not goods else self._world.cards[card]
        return _Sale(place, code, int(flow), tuple(goods), (CARD, *others))

    def _gains(self, outcome: Outcome) -> tuple[_Gain, ...]:
        rules = self.sums.rules
        found: list[_Gain] = []
        for one in outcome.applied:
            key = (one.rule.code, one.rule.kind)
            rule = rules.get(key)
            if rule is None:
                rule = rules[key] = RuleSum(one.rule.funders)
            found.append(_Gain(rule, one.wanted, one.given))
        return tuple(found)

    def _sum_up(self) -> None:
        for sale in self._known.values():
            if sale.stands_alone:
                for gain in sale.gains:
                    gain.rule.add(gain.wanted, gain.given, sale.times)
        self._known.clear()


def _saved(outcome: Outcome) -> int:
    """Return what the customer is better off by in money: discounts less surcharges, and bonus."""
    bonus = sum([one.given for one in outcome.applied if one.rule.kind == "bonus"])
    return outcome.discount_minor - outcome.surcharge_minor + bonus
