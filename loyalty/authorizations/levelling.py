"""Counting for the levels over a company's card: as a fill begins, and as it ends. Pure.

Whom it counted for is kept with it (`prompts` of the authorisation, `detail` of the sale), so that its end, its refund and its reversal
change the same counters, wherever the card belongs by then.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from loyalty.limits.levels import Above, settled_counts

from .decision import Decision

SUBJECTS = "subjects"


def begin(decision: Decision, above: Above | None, local: datetime) -> None:
    """Count what was decided for every level, each within its limits, and remember whom it counted for."""
    if above is None:
        return
    assert decision.counted is not None, "only what counts is counted"
    decision.levels = above.counts(decision.counter_day, local, decision.counted)
    decision.prompts = (decision.prompts or {}) | {SUBJECTS: [str(subject) for subject in above.subjects]}


def happened(decision: Decision, above: Above) -> None:
    """Count what has happened, whatever the limits."""
    assert decision.counted is not None, "only what counts is counted"
    decision.levels = settled_counts(above.subjects, decision.counter_day, decision.counted)
    decision.prompts = (decision.prompts or {}) | {SUBJECTS: [str(subject) for subject in above.subjects]}


def end(decision: Decision, subjects: Sequence[UUID]) -> None:
    """Change what the beginning counted to what it became."""
    if subjects and decision.counted is not None:
        decision.levels = settled_counts(subjects, decision.counter_day, decision.counted)


def said(decision: Decision) -> dict[str, Any]:
    """Return what a company's sale keeps of what was said and whom it counts for."""
    return {name: value for name, value in (decision.prompts or {}).items() if value is not None} if decision.levels else {}


def subjects_in(document: dict[str, Any] | None) -> tuple[UUID, ...]:
    """Return whom an authorisation's prompts or a sale's detail say that it counted for."""
    return tuple(UUID(subject) for subject in (document or {}).get(SUBJECTS, ()))
