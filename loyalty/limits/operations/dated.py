"""Changes of a subject's limits by date: more than they allow, or nothing at all, in `[from, to)`; ended early or by themselves.

They stand in the document that the pump reads, which compares their instants itself: no job has to run for one to begin or end.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.db import locked
from loyalty.errors import NotFound, Refusal
from loyalty.ids import uuid7
from loyalty.limits.model import ChangeKind, LimitChange

from .setting import compile_subject, lock_set


class ChangeNotFound(NotFound):
    zh = "没有找到该限额变更。"
    en = "There is no such change of limits."


class ChangeNotSound(Refusal):
    """More by nothing, a period that is over, or one that ends before it begins."""

    status = 422
    zh = "限额变更的 {field} 不正确。"
    en = "The {field} of the change is not right."
    next_zh = "请改正后再提交。"
    next_en = "Correct it and submit again."


class NewChange(NamedTuple):
    """A change as it is asked for: `percent` of each ceiling, minor units, thousandths more; a block has none of them."""

    kind: ChangeKind
    valid_from: datetime
    valid_to: datetime
    percent: int | None = None
    amount_minor: int | None = None
    quantity_milli: int | None = None
    reason: str = ""


async def add_change(session: AsyncSession, *, company_id: UUID, subject_id: UUID, change: NewChange, actor: Actor, now: datetime) -> UUID:
    """Let a subject's limits allow more, or nothing, in a period; return the change's id.

    :raises ChangeNotSound: if it says nothing, or its period is none
    """
    sizes = (change.percent, change.amount_minor, change.quantity_milli)
    wrong = {
        "valid_to": change.valid_to <= max(now, change.valid_from),
        "percent": change.percent is not None and not 1 <= change.percent <= 1000,
        "amount_minor": change.amount_minor is not None and change.amount_minor <= 0,
        "quantity_milli": change.quantity_milli is not None and change.quantity_milli <= 0,
        "kind": (change.kind is ChangeKind.MORE) != any(size is not None for size in sizes),
    }
    for field, is_wrong in wrong.items():
        if is_wrong:
            raise ChangeNotSound(field=field)
    await lock_set(session, subject_id=subject_id, now=now)
    row = LimitChange(
        change_id=uuid7(now),
        company_id=company_id,
        subject_id=subject_id,
        **change._asdict(),
        created_by_kind=actor.kind.value,
        created_by_id=str(actor.actor_id),
        created_at=now,
        ended_at=None,
    )
    session.add(row)
    await session.flush()
    await compile_subject(session, subject_id=subject_id, actor=actor, now=now)
    facts: dict[str, object] = {
        "change": row.change_id,
        "kind": row.kind.value,
        "from": row.valid_from.isoformat(),
        "to": row.valid_to.isoformat(),
    }
    facts |= {"percent": row.percent, "minor": row.amount_minor, "milli": row.quantity_milli, "reason": row.reason}
    await audit.record(session, actor=actor, action="limits.change_added", subject=("limit_subject", subject_id), facts=facts, now=now)
    return row.change_id


async def end_change(session: AsyncSession, *, company_id: UUID, change_id: UUID, actor: Actor, now: datetime) -> None:
    """End a change before its time, or before it begins.

    :raises ChangeNotFound: if the company has none that stands
    """
    row: LimitChange | None = await session.scalar(locked(select(LimitChange).where(LimitChange.change_id == change_id)))
    if row is None or row.company_id != company_id or row.ended_at is not None or row.valid_to <= now:
        raise ChangeNotFound(change=change_id)
    await lock_set(session, subject_id=row.subject_id, now=now)
    row.ended_at = now
    await session.flush()
    await compile_subject(session, subject_id=row.subject_id, actor=actor, now=now)
    facts = {"change": change_id}
    await audit.record(session, actor=actor, action="limits.change_ended", subject=("limit_subject", row.subject_id), facts=facts, now=now)
