"""How far a benefit may go, and what it counts: caps within a transaction or a window, and what an evaluation is asked with."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from .basket import Basket, Moment, Person, Where
from .compiling import Book, CompiledCap
from .conditions import Miss, window_start
from .document import Of

_CARD: Final = Of.CARD
_ACCOUNT: Final = Of.ACCOUNT
_NONE: Final = (0, 0)


class Count(NamedTuple):
    """What a benefit adds to a counter, and how far that may go."""

    subject_id: UUID
    counter: UUID
    start_ordinal: int
    """The window's first day, `date.toordinal()`: 1 for ever."""
    amount: int
    times: int
    amount_max: int | None
    times_max: int | None


class Question:
    """One evaluation: the basket and who asks, and what is free of budgets or was set aside."""

    __slots__ = ("basket", "book", "budgets", "frozen", "moment", "person", "where", "without")

    def __init__(
        self,
        book: Book,
        where: Where,
        basket: Basket,
        person: Person,
        moment: Moment,
        *,
        budgets: Mapping[UUID, int] | None = None,
        frozen: Mapping[str, int | None] | None = None,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self.book = book
        self.where = where
        self.basket = basket
        self.person = person
        self.moment = moment
        self.budgets = budgets or {}
        """What is free of each budget."""
        self.frozen = frozen
        """At settlement: the candidates and what each may give at most (None: no bound); groups as `group:code`."""
        self.without = without
        """Rules that are asked not to be there (simulation)."""


def subject_of(person: Person, of: Of) -> UUID | None:
    """Return whose counter it is; None where the bearer is nobody's customer."""
    if of is _CARD:
        return person.chain_id
    return person.account_id if of is _ACCOUNT else person.customer_id


def cap_room(question: Question, cap: CompiledCap) -> int | None:
    """Return what a cap leaves (None without bound); a count that is used up leaves nothing."""
    if cap.counter is None:
        return cap.amount
    person = question.person
    if subject_of(person, cap.of) is None:
        return 0
    had_amount, had_times = _had(question, cap, cap.counter)
    if cap.times is not None and had_times >= cap.times:
        return 0
    return None if cap.amount is None else max(cap.amount - had_amount, 0)


def _had(question: Question, cap: CompiledCap, counter: UUID) -> tuple[int, int]:
    """Return what the window's counter shows: amount and times."""
    had = question.person.had
    return had.get((counter, window_start(cap.per, question.moment.local.date())), _NONE) if had else _NONE


def cap_miss(question: Question, cap: CompiledCap) -> Miss:
    """Return how a cap that binds is told."""
    if cap.counter is None:
        return Miss("cap", cap.amount, "transaction")
    if subject_of(question.person, cap.of) is None:
        return Miss("unregistered")
    window = f"{cap.of.value} {cap.per.value}"
    if cap.times is not None and _had(question, cap, cap.counter)[1] >= cap.times:
        return Miss("cap_times", cap.times, window)
    return Miss("cap", cap.amount, window)


def counts_of(question: Question, caps: Sequence[CompiledCap], given: int) -> list[Count]:
    """Return what a benefit of so much adds to the counters of its caps."""
    found: list[Count] = []
    for cap in caps:
        subject = None if cap.counter is None else subject_of(question.person, cap.of)
        if cap.counter is not None and subject is not None:
            start = window_start(cap.per, question.moment.local.date()).toordinal()
            found.append(Count(subject, cap.counter, start, given, 1, cap.amount, cap.times))
    return found
