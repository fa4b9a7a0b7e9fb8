"""Disputing a fill: the company says what is wrong, the station answers, somebody else decides; a yes is the sale's own refund mirror."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.facts import Place
from loyalty.authorizations.model import Sale
from loyalty.authorizations.operations.refunds import refund_sale
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.fleet.model_disputes import DISPUTE_MOVES, STANDING, DisputeReason, DisputeStatus, FillDispute
from loyalty.fleet.model_notices import NoticeKind
from loyalty.fleet.queries.disputes import DisputeNotFound, FillNotFound, get_dispute
from loyalty.ids import uuid7
from loyalty.policy import Policy

from .notices import News, notify

STATION_HAS: Final = timedelta(days=3)
"""How long a station may take before the office decides without its answer."""
DISPUTABLE_FOR: Final = timedelta(days=180)
"""How old a fill may be."""


class FillNotDisputable(Refusal):
    """Nothing is left of it, it is older than half a year, or another dispute of it stands."""

    status = 409
    zh = "该笔加油不能提出争议：{why_zh}。"
    en = "This fill cannot be disputed: {why_en}."
    next_zh = "如有疑问请联系发卡方。"
    next_en = "Talk to the issuer if you have a question."


class DisputeExceedsFill(Refusal):
    """More is wanted than the fill still comes to."""

    status = 422
    zh = "争议金额超过该笔加油的余额。"
    en = "More is disputed than is left of this fill."
    next_zh = "请改小金额后重试。"
    next_en = "Lower the amount."


class DisputeSettled(Refusal):
    """A word was said already."""

    status = 409
    zh = "该争议当前为“{status}”，不能再变更。"
    en = "This dispute is {status}; it cannot be changed any more."
    next_zh = "请刷新页面。"
    next_en = "Load the page again."


class StationStillAnswers(Refusal):
    """The office decides after the station's answer, or after its time."""

    status = 409
    zh = "油站尚未答复，期限至 {until}。"
    en = "The station has not answered yet; it has until {until}."
    next_zh = "请先由油站答复，或在期限后裁定。"
    next_en = "Let the station answer, or decide after that."


class AnotherPersonDecides(Refusal):
    """Who answered for the station does not decide."""

    status = 403
    zh = "答复人不能裁定同一争议。"
    en = "Who answered for the station cannot decide the dispute."
    next_zh = "请由另一位有权限的人员裁定。"
    next_en = "Let somebody else with the right decide."


async def open_dispute(
    session: AsyncSession,
    *,
    company_id: UUID,
    account_id: UUID,
    sale_id: UUID,
    reason: DisputeReason,
    comment: str,
    wanted_minor: int | None = None,
    actor: Actor,
    now: datetime,
) -> FillDispute:
    """Dispute a fill of the company's account; `wanted_minor` is the gross amount it wants back, None all that is left.

    :raises FillNotFound: if the account has no such sale
    :raises FillNotDisputable: if nothing is left of it, it is too old, or a dispute stands
    :raises DisputeExceedsFill: if more is wanted than is left
    """
    sale: Sale | None = await session.get(Sale, (account_id, sale_id))
    if sale is None:
        raise FillNotFound(sale=sale_id)
    left = sale.gross_minor - sale.refunded_minor
    if left <= 0:
        raise FillNotDisputable(why_zh="已全部退款", why_en="all of it was given back")
    if sale.event_at + DISPUTABLE_FOR < now:
        raise FillNotDisputable(why_zh="已超过 180 天", why_en="it is older than 180 days")
    if wanted_minor is not None and wanted_minor > left:
        raise DisputeExceedsFill(left=left)
    made = FillDispute(
        dispute_id=uuid7(now),
        company_id=company_id,
        account_id=account_id,
        sale_id=sale_id,
        station_id=sale.station_id,
        reason=reason,
        comment=comment,
        wanted_minor=wanted_minor or left,
        currency=sale.currency,
        status=DisputeStatus.OPENED,
        opened_at=now,
        opened_by=str(actor.actor_id),
        answer_by=now + STATION_HAS,
    )
    try:
        async with session.begin_nested():
            session.add(made)
            await session.flush()
    except IntegrityError:
        raise FillNotDisputable(why_zh="已有处理中的争议", why_en="a dispute of it stands") from None
    await _trail(session, made, "fleet.dispute_opened", {"reason": reason.value, "wanted_minor": made.wanted_minor}, actor, now)
    return made


async def withdraw_dispute(session: AsyncSession, *, company_id: UUID, dispute_id: UUID, actor: Actor, now: datetime) -> None:
    """Take a dispute back.

    :raises DisputeNotFound: if the company has no such dispute
    :raises DisputeSettled: if it is decided
    """
    found = await _locked(session, dispute_id)
    if found.company_id != company_id:
        raise DisputeNotFound(dispute=dispute_id)
    _move(found, DisputeStatus.WITHDRAWN)
    await session.flush()
    await _trail(session, found, "fleet.dispute_withdrawn", {}, actor, now)


async def answer_dispute(session: AsyncSession, *, dispute_id: UUID, agrees: bool, words: str, staff_id: UUID, now: datetime) -> None:
    """Say what the station knows, and whether it agrees.

    :raises DisputeNotFound: if there is none
    :raises DisputeSettled: if it was answered or decided
    """
    found = await _locked(session, dispute_id)
    _move(found, DisputeStatus.ANSWERED)
    found.answered_at, found.answered_by, found.answer, found.agrees = now, staff_id, words, agrees
    await session.flush()
    await _trail(session, found, "fleet.dispute_answered", {"agrees": agrees}, _staff(staff_id), now)
    await _notify(session, found, NoticeKind.DISPUTE_ANSWERED, {"agrees": agrees}, now)


async def reject_dispute(session: AsyncSession, *, dispute_id: UUID, words: str, staff_id: UUID, now: datetime) -> None:
    """Decide against the company, with the reason.

    :raises DisputeNotFound, DisputeSettled, StationStillAnswers, AnotherPersonDecides: as `approve_dispute`
    """
    found = await _decidable(session, dispute_id, staff_id, now)
    _move(found, DisputeStatus.REJECTED)
    found.decided_at, found.decided_by, found.decision = now, staff_id, words
    await session.flush()
    await _trail(session, found, "fleet.dispute_rejected", {}, _staff(staff_id), now)
    await _notify(session, found, NoticeKind.DISPUTE_DECIDED, {"approved": False}, now)


async def approve_dispute(
    session: AsyncSession,
    *,
    dispute_id: UUID,
    gross_minor: int,
    words: str,
    place: Place,
    policy: Policy,
    staff_id: UUID,
    now: datetime,
) -> FillDispute:
    """Decide for the company: `gross_minor` of the fill goes back by the refund mirror, in this transaction; whatever is then decided
    again finds the dispute settled, so it is given back once.

    :raises DisputeNotFound: if there is none
    :raises DisputeSettled: if it is decided
    :raises StationStillAnswers: if the station neither answered nor is late
    :raises AnotherPersonDecides: if who decides answered for the station
    :raises RefundExceedsSale, NothingToRefund, SecondPersonNeeded: as `refund_sale`; who answered is its first person
    """
    found = await _decidable(session, dispute_id, staff_id, now)
    refunded = await refund_sale(
        session,
        account_id=found.account_id,
        sale_id=found.sale_id,
        place=place,
        policy=policy,
        reason=f"dispute {found.dispute_id}",
        staff_id=found.answered_by or staff_id,
        approved_by=staff_id if found.answered_by is not None else None,
        gross_minor=gross_minor,
        void=False,
        now=now,
    )
    _move(found, DisputeStatus.APPROVED)
    found.decided_at, found.decided_by, found.decision = now, staff_id, words
    found.refund_id, found.given_minor = refunded.refund_id, gross_minor
    await session.flush()
    await _trail(session, found, "fleet.dispute_approved", {"given_minor": gross_minor}, _staff(staff_id), now)
    await _notify(session, found, NoticeKind.DISPUTE_DECIDED, {"approved": True, "minor": gross_minor}, now)
    return found


async def _decidable(session: AsyncSession, dispute_id: UUID, staff_id: UUID, now: datetime) -> FillDispute:
    found = await _locked(session, dispute_id)
    if found.status not in STANDING:
        raise DisputeSettled(status=found.status.value)
    if found.status is DisputeStatus.OPENED and now < found.answer_by:
        raise StationStillAnswers(until=f"{found.answer_by:%Y-%m-%d %H:%M} UTC")
    if found.answered_by == staff_id:
        raise AnotherPersonDecides
    return found


async def _locked(session: AsyncSession, dispute_id: UUID) -> FillDispute:
    found: FillDispute | None = await session.scalar(locked(select(FillDispute).where(FillDispute.dispute_id == dispute_id)))
    if found is None:
        raise DisputeNotFound(dispute=dispute_id)
    return found


async def _notify(session: AsyncSession, one: FillDispute, kind: NoticeKind, facts: dict[str, Any], now: datetime) -> None:
    whose = await get_dispute(session, dispute_id=one.dispute_id, company_id=one.company_id)
    facts = {"who": whose.plate or "", "wanted": one.wanted_minor} | facts
    await notify(session, kind=kind, news=[News(one.company_id, one.dispute_id, facts, whose.department_id)], at=now)


def _move(found: FillDispute, to: DisputeStatus) -> None:
    if to not in DISPUTE_MOVES[found.status]:
        raise DisputeSettled(status=found.status.value)
    found.status = to


def _staff(staff_id: UUID) -> Actor:
    return Actor(ActorKind.STAFF, str(staff_id))


async def _trail(session: AsyncSession, one: FillDispute, action: str, facts: dict[str, Any], actor: Actor, now: datetime) -> None:
    facts = {"sale": str(one.sale_id), **facts}
    await audit.record(
        session, actor=actor, action=action, subject=("dispute", one.dispute_id), facts=facts, station_id=one.station_id, now=now
    )
