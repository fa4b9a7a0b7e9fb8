"""What promotional money may be spent on: a bonus lot's conditions, frozen with it, and how a bill is divided over lots that have some."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta

from .rules import DEFAULT_ORDER, PurseView, SpendStep, Take, allocate, in_spend_order

Listed = tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...]


class Spending(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Where, for what and from which size on a lot's money may be spent; what is left out does not matter. Lists are "any of", by code."""

    products: Listed = ()
    categories: Listed = ()
    """`fuel`, `shop`, a fuel's kind or a shop category. With `products` too, either will do."""
    stations: Listed = ()
    districts: Listed = ()
    regions: Listed = ()
    least_minor: Annotated[int, Meta(gt=0, le=10**13)] | None = None
    """The whole purchase, at the pump's and the shelf's prices, must come to so much."""


class Due(NamedTuple):
    """One line of a bill: its goods, and what is to be paid for it in minor units."""

    product: str
    tags: frozenset[str]
    """Its category, fuel kind and shop category."""
    amount_minor: int


class Site(NamedTuple):
    """Codes of the place where it is spent."""

    station: str = ""
    district: str = ""
    region: str = ""


class Bill(NamedTuple):
    """What is to be paid: the lines, what they cost before discounts, and where."""

    lines: Sequence[Due]
    gross_minor: int
    site: Site


ANY_SIZE: Final = 10**18
"""A purchase that is large enough for every condition: where its size is found later."""
_NONE: Final[frozenset[UUID]] = frozenset()
_spending: Final = msgspec.json.Decoder(Spending)


@lru_cache(maxsize=4096)
def spending_of(terms: str) -> Spending:
    """Return a lot's conditions from the document that its row keeps."""
    return _spending.decode(terms)


def has_conditions(purses: Sequence[PurseView]) -> bool:
    """Say whether any of these purses may not be spent on everything."""
    for purse in purses:  # noqa: SIM110 - a generator costs more than the few rows there are
        if purse.spending is not None:
            return True
    return False


def usable(purses: list[PurseView], bill: Bill) -> list[PurseView]:
    """Return the purses that may pay something of a bill, in their order; the very list where none has conditions."""
    if not has_conditions(purses):
        return purses
    return [purse for purse in purses if purse.spending is None or _covers(spending_of(purse.spending), bill)]


def allocate_bill(purses: list[PurseView], amount_minor: int, bill: Bill, order: Sequence[SpendStep] = DEFAULT_ORDER) -> list[Take]:
    """Say what each purse gives towards `amount_minor` of a bill, in spend order; a lot with conditions pays only lines it may.

    A purse never gives less because of one after it, and where any division pays the whole, one is found: a later purse may take over
    a line from an earlier one, which then pays another. Less than the amount is given where the purses do not reach.
    """
    able = usable(purses, bill)
    if not has_conditions(able) or len(bill.lines) == 1:
        return allocate(able, amount_minor, order)
    split = _Split(in_spend_order(able, order), bill)
    takes = []
    for place, purse in enumerate(split.purses):
        given = split.give(place, min(purse.available_minor, amount_minor))
        if given > 0:
            takes.append(Take(purse.purse_id, given))
            amount_minor -= given
    return takes


def asking_more(purses: Sequence[PurseView], gross_minor: int) -> frozenset[UUID]:
    """Return the purses whose conditions ask for a larger purchase than this."""
    if not has_conditions(purses):
        return _NONE
    return frozenset(
        purse.purse_id for purse in purses if purse.spending is not None and (spending_of(purse.spending).least_minor or 0) > gross_minor
    )


def _covers(spending: Spending, bill: Bill) -> bool:
    return _holds(spending, bill) and any(_pays(spending, line) for line in bill.lines)


def _holds(spending: Spending, bill: Bill) -> bool:
    site = bill.site
    return (
        (spending.least_minor is None or bill.gross_minor >= spending.least_minor)
        and (not spending.stations or site.station in spending.stations)
        and (not spending.districts or site.district in spending.districts)
        and (not spending.regions or site.region in spending.regions)
    )


def _pays(spending: Spending, line: Due) -> bool:
    if not spending.products and not spending.categories:
        return True
    return line.product in spending.products or not line.tags.isdisjoint(spending.categories)


class _Split:
    """Which purse pays how much of which line: a flow that only grows."""

    def __init__(self, purses: list[PurseView], bill: Bill) -> None:
        self.purses = purses
        self.left = [line.amount_minor for line in bill.lines]
        self.open = [
            [place for place, line in enumerate(bill.lines) if purse.spending is None or _pays(spending_of(purse.spending), line)]
            for purse in purses
        ]
        self.paid: list[dict[int, int]] = [{} for _ in purses]

    def give(self, purse: int, want: int) -> int:
        """Let a purse pay up to `want` of the lines it may; return how much it did."""
        given = 0
        while given < want:
            pushed = self._push(purse, want - given, set())
            if not pushed:
                break
            given += pushed
        return given

    def _push(self, purse: int, want: int, seen: set[int]) -> int:
        """Bring some of `want` onto a line that is not yet paid, moving what others pay where that makes room."""
        for line in self.open[purse]:
            if line in seen:
                continue
            seen.add(line)
            pushed = min(want, self.left[line])
            if pushed:
                self.left[line] -= pushed
            else:
                pushed = self._displace(purse, line, want, seen)
            if pushed:
                self.paid[purse][line] = self.paid[purse].get(line, 0) + pushed
                return pushed
        return 0

    def _displace(self, purse: int, line: int, want: int, seen: set[int]) -> int:
        for other, paid in enumerate(self.paid):
            if other != purse and paid.get(line, 0):
                moved = self._push(other, min(want, paid[line]), seen)
                if moved:
                    paid[line] -= moved
                    return moved
        return 0
