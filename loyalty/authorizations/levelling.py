"""Counting for the levels over a company's card: as a fill begins, and as it ends. Pure.

Whom it counted for is kept with it (`prompts` of the authorisation, `detail` of the sale), so that its end, its refund and its reversal
change the same counters, wherever the card belongs by then.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from loyalty.limits.levels import Above, Lasting, settled_counts

from .decision import Decision
from .rules import Refused
from .wire import reference

SUBJECTS: Final = "subjects"
ASK: Final = "ask"
ORDER: Final = "order"
DRIVER: Final = "driver"


class Askable(Protocol):
    """An answer that may name the decline about which the company can be asked."""

    authorization: str | None


def begin(decision: Decision, above: Above | None, local: datetime) -> None:
    """Count what was decided for every level, each within its limits, and remember whom it counted for."""
    if above is None:
        return
    assert decision.counted is not None, "only what counts is counted"
    decision.levels = above.counts(decision.counter_day, local, decision.counted)
    _remember(decision, above)


def happened(decision: Decision, above: Above) -> None:
    """Count what has happened, whatever the limits."""
    assert decision.counted is not None, "only what counts is counted"
    order = [] if above.order is None else [Lasting(str(above.order.order_id))]
    decision.levels = settled_counts([*above.subjects, *order], decision.counter_day, decision.counted)
    _remember(decision, above)


def _remember(decision: Decision, above: Above) -> None:
    decision.prompts = (decision.prompts or {}) | {SUBJECTS: [str(subject) for subject in above.subjects]}
    if above.order is not None:
        decision.prompts[ORDER] = str(above.order.order_id)


def kept(subjects: Sequence[UUID]) -> dict[str, Any]:
    """Return what a completion's sale keeps of whom its fill counts for."""
    found: dict[str, Any] = {SUBJECTS: [str(subject) for subject in subjects if not isinstance(subject, Lasting)]}
    order = next((subject for subject in subjects if isinstance(subject, Lasting)), None)
    return found if order is None else found | {ORDER: str(order)}


def end(decision: Decision, subjects: Sequence[UUID]) -> None:
    """Change what the beginning counted to what it became."""
    if subjects and decision.counted is not None:
        decision.levels = settled_counts(subjects, decision.counter_day, decision.counted)


def said(decision: Decision) -> dict[str, Any]:
    """Return what a company's sale keeps of what was said and whom it counts for."""
    return {name: value for name, value in (decision.prompts or {}).items() if value is not None} if decision.levels else {}


def ask(decision: Decision, answer: Askable, refused: Refused, *, minor: int | None, milli: int | None) -> Refused:
    """Keep what the company may be asked about: the limit, what was wanted and is left of it. Return the refusal, with a name to ask by."""
    if refused.may_ask:
        left = {"left_minor": refused.remaining_minor, "left_milli": refused.remaining_milli}
        decision.prompts = (decision.prompts or {}) | {ASK: {"limit": refused.limit, "minor": minor, "milli": milli, **left}}
        answer.authorization = reference(decision.account_id, decision.subject_id)
    return refused


def subjects_in(document: dict[str, Any] | None) -> tuple[UUID, ...]:
    """Return whom an authorisation's prompts or a sale's detail say that it counted for; an order counts for ever."""
    if document is None:
        return ()
    found = tuple(UUID(subject) for subject in document.get(SUBJECTS, ()))
    return found if ORDER not in document else (*found, Lasting(document[ORDER]))
