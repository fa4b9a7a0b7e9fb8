"""What is agreed with a partner: drafted, submitted, approved by another person; a version that was approved never changes."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.topups.operations.traces import staff_of
from partners.model import AGREEMENT_MOVES, AgreementStatus, PartnerAgreement, PartnerStatus
from partners.queries.alliances import AgreementNotFound, latest_version
from partners.rules import Terms, faults_of

from .alliances import PartnerCannotMove, lock_partner


class TermsNotSound(Refusal):
    """What cannot be agreed."""

    status = 422
    zh = "协议内容有误：{fault_zh}。"
    en = "The terms are not sound: {fault_en}."
    next_zh = "请改正后重新提交。"
    next_en = "Correct them and submit again."


class AgreementNotADraft(Refusal):
    """What was submitted stands as it is; what was decided never changes."""

    status = 409
    zh = "协议当前为 {status}，不能修改。"
    en = "The agreement is {status}; it cannot be changed."
    next_zh = "请撤回后重新起草，或起草下一版。"
    next_en = "Withdraw it, or draft the next version."


class AgreementWaits(Refusal):
    """One version at a time."""

    status = 409
    zh = "该商户已有一版协议在起草或待审批。"
    en = "A version is being drafted or waits for approval already."
    next_zh = "请先完成该版本。"
    next_en = "Finish that one first."


class AnotherPersonApproves(Refusal):
    """Whoever drafted it does not approve it."""

    status = 403
    zh = "协议须由起草人以外的人审批。"
    en = "An agreement is approved by somebody other than who drafted it."
    next_zh = "请由另一位有权限的人员审批。"
    next_en = "Let another person with the right approve it."


class AgreementBeganAlready(Refusal):
    """What was redeemed under the terms of a day stays under them."""

    status = 422
    zh = "协议生效日 {day} 早于今天。"
    en = "The agreement would begin on {day}, which is over."
    next_zh = "请把生效日改为今天或以后。"
    next_en = "Let it begin today or later."


async def draft_agreement(
    session: AsyncSession, *, partner_id: UUID, first_day: date, end_day: date | None, terms: Terms, actor: Actor, now: datetime
) -> UUID:
    """Draft the next version of what is agreed with a partner; nothing holds by it yet.

    :raises PartnerNotFound: if there is no such partner
    :raises PartnerCannotMove: if the alliance has ended
    :raises AgreementWaits: if a version is a draft or waits
    :raises TermsNotSound: if it ends before it begins
    """
    partner = await lock_partner(session, partner_id=partner_id)
    if partner.status is PartnerStatus.ENDED:
        raise PartnerCannotMove(status=partner.status.value, to="agreed")
    waiting = (AgreementStatus.DRAFT, AgreementStatus.SUBMITTED)
    known = select(PartnerAgreement.agreement_id).where(PartnerAgreement.partner_id == partner_id, PartnerAgreement.status.in_(waiting))
    if await session.scalar(known) is not None:
        raise AgreementWaits(partner=partner_id)
    _require_days(first_day, end_day)
    made = PartnerAgreement(
        agreement_id=uuid7(now),
        partner_id=partner_id,
        version=await latest_version(session, partner_id=partner_id) + 1,
        status=AgreementStatus.DRAFT,
        first_day=first_day,
        end_day=end_day,
        terms=msgspec.to_builtins(terms),
        made_by=staff_of(actor),
        made_at=now,
    )
    session.add(made)
    await session.flush()
    await _trail(session, made, "partners.agreement_drafted", {}, actor, now)
    return made.agreement_id


async def change_draft(
    session: AsyncSession, *, agreement_id: UUID, first_day: date, end_day: date | None, terms: Terms, actor: Actor, now: datetime
) -> None:
    """Change a draft; its maker is then who changed it last.

    :raises AgreementNotFound: if there is none
    :raises AgreementNotADraft: if it was submitted
    :raises TermsNotSound: if it ends before it begins
    """
    row = await _locked(session, agreement_id)
    if row.status is not AgreementStatus.DRAFT:
        raise AgreementNotADraft(status=row.status.value)
    _require_days(first_day, end_day)
    row.first_day, row.end_day, row.terms = first_day, end_day, msgspec.to_builtins(terms)
    row.made_by, row.made_at = staff_of(actor), now
    await session.flush()
    await _trail(session, row, "partners.agreement_changed", {}, actor, now)


async def submit_agreement(session: AsyncSession, *, agreement_id: UUID, actor: Actor, now: datetime) -> None:
    """Let another person decide a draft.

    :raises AgreementNotFound, AgreementNotADraft: as `change_draft`
    :raises TermsNotSound: naming the first thing that keeps it from being agreed
    """
    row = await _locked(session, agreement_id)
    if row.status is not AgreementStatus.DRAFT:
        raise AgreementNotADraft(status=row.status.value)
    _require_sound(row)
    row.status, row.submitted_at = AgreementStatus.SUBMITTED, now
    await session.flush()
    await _trail(session, row, "partners.agreement_submitted", {}, actor, now)


async def decide_agreement(
    session: AsyncSession, *, agreement_id: UUID, to: AgreementStatus, today: date, why: str = "", actor: Actor, now: datetime
) -> None:
    """Approve, reject or withdraw a version. Approved it holds from its first day on, which is today or later.

    :raises AgreementNotFound: if there is none
    :raises AgreementNotADraft: if its status does not lead there
    :raises AnotherPersonApproves: if its maker decides
    :raises AgreementBeganAlready: if its first day is over
    :raises TermsNotSound: as `submit_agreement`
    """
    row = await _locked(session, agreement_id)
    if to not in AGREEMENT_MOVES[row.status]:
        raise AgreementNotADraft(status=row.status.value)
    decides = to in {AgreementStatus.APPROVED, AgreementStatus.REJECTED}
    if decides and staff_of(actor) == row.made_by:
        raise AnotherPersonApproves
    if to is AgreementStatus.APPROVED:
        _require_sound(row)
        if row.first_day < today:
            raise AgreementBeganAlready(day=row.first_day.isoformat())
    row.status, row.why = to, why or None
    if decides:
        row.decided_by, row.decided_at = staff_of(actor), now
    await session.flush()
    await _trail(session, row, f"partners.agreement_{to.value}", {"why": why}, actor, now)


def _require_days(first_day: date, end_day: date | None) -> None:
    if end_day is not None and end_day <= first_day:
        raise TermsNotSound(fault_zh="结束日早于生效日", fault_en="it ends before it begins")


def _require_sound(row: PartnerAgreement) -> None:
    for fault in faults_of(msgspec.convert(row.terms, Terms)):
        of = "" if fault.benefit is None else f"{fault.benefit}: "
        raise TermsNotSound(fault_zh=of + fault.zh, fault_en=of + fault.en)


async def _locked(session: AsyncSession, agreement_id: UUID) -> PartnerAgreement:
    """Lock a version after its partner, as drafting does."""
    known = await session.scalar(select(PartnerAgreement.partner_id).where(PartnerAgreement.agreement_id == agreement_id))
    if known is None:
        raise AgreementNotFound(agreement=agreement_id)
    await lock_partner(session, partner_id=known)
    return (await session.scalars(locked(select(PartnerAgreement).where(PartnerAgreement.agreement_id == agreement_id)))).one()


async def _trail(session: AsyncSession, one: PartnerAgreement, action: str, facts: dict[str, Any], actor: Actor, now: datetime) -> None:
    facts = {"agreement": one.agreement_id, "version": one.version, **facts}
    await audit.record(session, actor=actor, action=action, subject=("partner", one.partner_id), facts=facts, now=now)
