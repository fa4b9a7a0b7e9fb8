"""What every operation of the room leaves behind: a line a change, and a payment's number used once."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.errors import NotAllowed, Refusal
from loyalty.topups.model import PaymentReference, TopupEvent

S = TypeVar("S", bound=StrEnum)


class CannotMove(Refusal):
    """The present status does not lead there."""

    zh = "当前状态为 {status}，不能变为 {to}。"
    en = "It is {status} and cannot become {to}."
    next_zh = "请刷新后核对最新状态。"
    next_en = "Look at its present status first."


class PaymentAlreadyUsed(Refusal):
    """This payment paid for something before."""

    zh = "支付流水号已使用过，不能重复入账。"
    en = "This payment was used before and cannot be booked again."
    next_zh = "请核对流水号，并在充值记录中查找该笔。"
    next_en = "Check the number, and look the top-up up by it."


def staff_of(actor: Actor) -> UUID:
    """Return the member of staff who acts.

    :raises NotAllowed: if it is anybody else: money operations have a person who answers for them
    """
    if actor.staff_id is None:
        raise NotAllowed
    return actor.staff_id


def require_move(moves: Mapping[S, frozenset[S]], present: S, to: S) -> None:
    """Hold a transition table.

    :raises CannotMove: if it does not lead there
    """
    if to not in moves[present]:
        raise CannotMove(status=present.value, to=to.value)


def note(
    session: AsyncSession,
    *,
    subject: tuple[str, UUID],
    moved_to: StrEnum | str,
    actor: Actor,
    reason: str = "",
    facts: Mapping[str, Any] | None = None,
    now: datetime,
) -> None:
    """Append one line to the history of a top-up, purchase, adjustment, freeze or closure; no personal data in it."""
    session.add(
        TopupEvent(
            subject_kind=subject[0],
            subject_id=subject[1],
            moved_to=str(moved_to),
            happened_at=now,
            staff_id=actor.staff_id,
            reason=reason,
            facts=dict(facts or {}),
        )
    )


async def take_reference(
    session: AsyncSession, *, kind: str, reference: str, subject: tuple[str, UUID], amount_minor: int, currency: str, now: datetime
) -> None:
    """Use a payment's number up; a second user waits for the first one's commit.

    :raises PaymentAlreadyUsed: if it was used before
    """
    cleaned = reference.strip()
    made = await session.execute(
        upsert(PaymentReference)
        .values(
            kind=kind,
            reference=cleaned,
            subject_kind=subject[0],
            subject_id=subject[1],
            amount_minor=amount_minor,
            currency=currency,
            taken_at=now,
        )
        .on_conflict_do_nothing(index_elements=[PaymentReference.kind, PaymentReference.reference])
        .returning(PaymentReference.subject_id)
    )
    if made.scalar_one_or_none() is None:
        found = await session.execute(
            select(PaymentReference.subject_kind, PaymentReference.subject_id).where(
                PaymentReference.kind == kind, PaymentReference.reference == cleaned
            )
        )
        used = found.one()
        raise PaymentAlreadyUsed(kind=kind, subject_kind=used.subject_kind, subject=used.subject_id)
