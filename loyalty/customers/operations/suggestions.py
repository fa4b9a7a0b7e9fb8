"""Doubtful pairs: noted by the rules, decided by people."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.operations import Actor, record
from loyalty.customers.model import SUGGESTION_MOVES, MergeSuggestion, SuggestionReason, SuggestionStatus
from loyalty.db import locked
from loyalty.errors import NotFound, Refusal
from loyalty.ids import uuid7


class SuggestionNotFound(NotFound):
    """Unknown."""

    zh = "没有此疑似重复记录。"
    en = "There is no such suggestion."


class SuggestionDecided(Refusal):
    """Somebody decided it meanwhile."""

    zh = "该疑似重复已处理（{status}）。"
    en = "This suggestion is already {status}."
    next_zh = "请刷新列表。"
    next_en = "Reload the list."


async def suggest(session: AsyncSession, *, one: UUID, other: UUID, reason: SuggestionReason, now: datetime) -> bool:
    """Note that two records may be one customer; False where the pair was noted before, whatever became of it."""
    first, second = sorted((one, other))
    noted = await session.execute(
        insert(MergeSuggestion)
        .values(suggestion_id=uuid7(now), first_id=first, second_id=second, reason=reason, status=SuggestionStatus.OPEN, made_at=now)
        .on_conflict_do_nothing(index_elements=["first_id", "second_id"])
        .returning(MergeSuggestion.suggestion_id)
    )
    return noted.first() is not None


async def dismiss_suggestion(session: AsyncSession, *, suggestion_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Decide that two records are two customers.

    :raises SuggestionNotFound: if there is no such suggestion
    :raises SuggestionDecided: if it is not open
    """
    suggestion = await session.scalar(locked(select(MergeSuggestion).where(MergeSuggestion.suggestion_id == suggestion_id)))
    if suggestion is None:
        raise SuggestionNotFound
    if suggestion.status is not SuggestionStatus.OPEN:
        raise SuggestionDecided(status=suggestion.status)
    decide(suggestion, SuggestionStatus.DISMISSED, actor=actor, now=now)
    await record(
        session,
        actor=actor,
        action="customers.suggestion_dismissed",
        subject=("merge_suggestion", suggestion_id),
        facts={"reason": reason},
        now=now,
    )


async def decide_pair(session: AsyncSession, *, one: UUID, other: UUID, to: SuggestionStatus, actor: Actor, now: datetime) -> None:
    """Carry a decision over to the pair's suggestion, where there is one that leads there."""
    first, second = sorted((one, other))
    suggestion = await session.scalar(
        locked(select(MergeSuggestion).where(MergeSuggestion.first_id == first, MergeSuggestion.second_id == second))
    )
    if suggestion is not None and to in SUGGESTION_MOVES[suggestion.status]:
        decide(suggestion, to, actor=actor, now=now)


def decide(suggestion: MergeSuggestion, to: SuggestionStatus, *, actor: Actor, now: datetime) -> None:
    """Move one locked suggestion along its table."""
    if to not in SUGGESTION_MOVES[suggestion.status]:
        raise SuggestionDecided(status=suggestion.status)
    suggestion.status, suggestion.decided_at, suggestion.decided_by = to, now, actor.staff_id
