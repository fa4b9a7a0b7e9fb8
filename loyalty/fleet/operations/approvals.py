"""Asking the company about a fill that its limits refused: from the pump, to the phone, and back as one fill that passes.

The manager may answer at once, a deputy after the company's time, and its setting where nobody does. Yes is a release of the named limit
for the card: good once, for half an hour, and no further than was asked.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.levelling import ASK
from loyalty.authorizations.model import Authorization, Status
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.fleet.model import Company, SilencePolicy
from loyalty.fleet.model_approvals import APPROVAL_MOVES, Approval, ApprovalStatus, CompanyDeputy, DecidedBy
from loyalty.fleet.model_notices import NoticeKind
from loyalty.fleet.model_webhooks import WebhookEvent
from loyalty.fleet.queries.watching import ApprovalNotFound, get_approval
from loyalty.ids import uuid7
from loyalty.limits.model import LimitChain
from loyalty.limits.operations import release

from .notices import News, notify
from .webhooks import tell

PASSES_FOR: Final = timedelta(minutes=30)
"""How long a yes waits for its retry."""
_SYSTEM: Final = Actor(ActorKind.SYSTEM, "approvals")


class NothingToAsk(Refusal):
    """Only a decline that said `may_ask` is asked about, by the station that was declined, within the hour."""

    status = 409
    zh = "这笔拒绝不能请单位放行。"
    en = "This decline is nothing the company can be asked about."
    next_zh = "请按拒绝提示处理，或改用其他方式付款。"
    next_en = "Do as the decline says, or pay otherwise."


class ApprovalDecided(Refusal):
    """An answer stands."""

    status = 409
    zh = "该申请已经处理（{status}）。"
    en = "This has been answered already ({status})."
    next_zh = "请刷新页面。"
    next_en = "Load the page again."


class DeputyTooEarly(Refusal):
    """A deputy answers when the manager was silent for the company's time."""

    status = 403
    zh = "主管尚在答复时间内，代理人 {time} 秒后可处理。"
    en = "The manager still has time; a deputy may answer in {time} seconds."
    next_zh = "请稍候，或请主管处理。"
    next_en = "Wait, or ask the manager."


async def ask(session: AsyncSession, *, account_id: UUID, authorization_id: UUID, station_id: UUID, now: datetime) -> Approval:
    """Ask the company about a declined fill; asked again, the same asking as it stands by now.

    :raises NothingToAsk: if it is no such decline, another station's, or older than an hour
    """
    known = select(Approval).where(Approval.account_id == account_id, Approval.authorization_id == authorization_id)
    asked = await session.scalar(known)
    if asked is not None and asked.station_id == station_id:
        return await _now_standing(session, asked, now=now)
    declined = await session.get(Authorization, (account_id, authorization_id))
    wanted: dict[str, Any] | None = None if declined is None else (declined.prompts or {}).get(ASK)
    if (
        asked is not None
        or declined is None
        or wanted is None
        or declined.station_id != station_id
        or Status(declined.status) is not Status.DECLINED
        or declined.booked_at + timedelta(hours=1) < now
        or declined.chain_id is None
        or declined.card_id is None
    ):
        raise NothingToAsk
    chain = await session.get(LimitChain, declined.chain_id)
    company = None if chain is None else await session.get(Company, chain.company_id)
    if company is None:
        raise NothingToAsk
    made = Approval(
        approval_id=uuid7(now),
        company_id=company.company_id,
        account_id=account_id,
        authorization_id=authorization_id,
        chain_id=declined.chain_id,
        card_id=declined.card_id,
        station_id=station_id,
        product_id=declined.product_id,
        limit=wanted["limit"],
        asked_minor=wanted["minor"],
        asked_milli=wanted["milli"],
        left_minor=wanted.get("left_minor"),
        left_milli=wanted.get("left_milli"),
        asked_at=now,
        deputy_at=now + timedelta(seconds=company.deputy_after_s),
        decide_at=now + timedelta(seconds=company.decide_after_s),
        status=ApprovalStatus.ASKED,
    )
    session.add(made)
    await session.flush()
    facts = {"limit": made.limit, "minor": made.asked_minor, "milli": made.asked_milli}
    await tell(session, event=WebhookEvent.APPROVAL_ASKED, news=[(made.company_id, made.approval_id, facts)], now=now)
    await _notify(session, made, NoticeKind.PUMP_ASKS, {}, now=now)
    await audit.record(session, actor=_SYSTEM, action="fleet.approval_asked", subject=("approval", made.approval_id), facts=facts, now=now)
    return made


async def look(session: AsyncSession, *, account_id: UUID, authorization_id: UUID, station_id: UUID, now: datetime) -> Approval:
    """Return an asking of a station as it stands by now.

    :raises NothingToAsk: if the company was not asked
    """
    known = select(Approval).where(Approval.account_id == account_id, Approval.authorization_id == authorization_id)
    asked = await session.scalar(known.where(Approval.station_id == station_id))
    if asked is None:
        raise NothingToAsk
    return await _now_standing(session, asked, now=now)


async def answer(
    session: AsyncSession,
    *,
    company_id: UUID,
    approval_id: UUID,
    approve: bool,
    reason: str,
    user_id: UUID,
    actor: Actor,
    now: datetime,
) -> Approval:
    """Answer for the company; a yes lets the retry pass once.

    :raises ApprovalNotFound: if the company was not asked this
    :raises ApprovalDecided: if it was answered
    :raises DeputyTooEarly: if a deputy answers while the manager still has time
    """
    asked = await _locked(session, approval_id=approval_id)
    if asked is None or asked.company_id != company_id:
        raise ApprovalNotFound(approval=approval_id)
    deputy = await session.get(CompanyDeputy, (company_id, user_id)) is not None
    if deputy and now < asked.deputy_at:
        raise DeputyTooEarly(time=int((asked.deputy_at - now).total_seconds()))
    by = DecidedBy.DEPUTY if deputy else DecidedBy.MANAGER
    await _decide(session, asked, approve=approve, by=by, reason=reason, actor=actor, now=now)
    return asked


async def decide_due(session: AsyncSession, *, now: datetime, at_most: int = 500) -> int:
    """Let the companies' settings answer where nobody did in time; return how many. A job calls it every minute, the pump's look too."""
    due = select(Approval).where(Approval.status == ApprovalStatus.ASKED, Approval.decide_at <= now)
    found = list(await session.scalars(due.order_by(Approval.approval_id).limit(at_most).with_for_update(skip_locked=True)))
    for asked in found:
        await _by_policy(session, asked, now=now)
    return len(found)


async def _now_standing(session: AsyncSession, asked: Approval, *, now: datetime) -> Approval:
    """Return an asking as it stands: one whose time is over is decided by the company's setting first."""
    if asked.status is ApprovalStatus.ASKED and asked.decide_at <= now:
        again = await _locked(session, approval_id=asked.approval_id)
        assert again is not None, "an asking is never deleted"
        if again.status is ApprovalStatus.ASKED:
            await _by_policy(session, again, now=now)
        return again
    return asked


async def name_deputies(session: AsyncSession, *, company_id: UUID, user_ids: list[UUID], actor: Actor, now: datetime) -> None:
    """Say who stands in for who may let fills pass; none: nobody does."""
    await session.execute(delete(CompanyDeputy).where(CompanyDeputy.company_id == company_id))
    if user_ids:
        rows = [{"company_id": company_id, "user_id": user_id, "named_at": now} for user_id in sorted(set(user_ids))]
        await session.execute(insert(CompanyDeputy), rows)
    facts = {"deputies": [str(user_id) for user_id in sorted(set(user_ids))]}
    await audit.record(session, actor=actor, action="fleet.deputies_named", subject=("company", company_id), facts=facts, now=now)


async def _locked(session: AsyncSession, *, approval_id: UUID) -> Approval | None:
    found: Approval | None = await session.scalar(locked(select(Approval).where(Approval.approval_id == approval_id)))
    return found


async def _by_policy(session: AsyncSession, asked: Approval, *, now: datetime) -> None:
    company = await session.get_one(Company, asked.company_id)
    yes = company.silence is SilencePolicy.APPROVE
    await _decide(session, asked, approve=yes, by=DecidedBy.POLICY, reason="", actor=_SYSTEM, now=now)
    await _notify(session, asked, NoticeKind.PUMP_UNANSWERED, {"passed": yes}, now=now)


async def _notify(session: AsyncSession, asked: Approval, kind: NoticeKind, facts: dict[str, Any], *, now: datetime) -> None:
    """Tell the company, naming whose card it was."""
    seen = await get_approval(session, company_id=asked.company_id, approval_id=asked.approval_id)
    facts = {"who": seen.plate or seen.driver or f"•••• {seen.card_tail}", "zh": seen.station_zh, "en": seen.station_en} | facts
    await notify(session, kind=kind, news=[News(asked.company_id, asked.approval_id, facts, seen.department_id)], at=now)


async def _decide(
    session: AsyncSession, asked: Approval, *, approve: bool, by: DecidedBy, reason: str, actor: Actor, now: datetime
) -> None:
    to = ApprovalStatus.APPROVED if approve else ApprovalStatus.REFUSED
    if to not in APPROVAL_MOVES[asked.status]:
        raise ApprovalDecided(status=asked.status.value)
    if approve:
        asked.release_id = await release(
            session,
            chain_id=asked.chain_id,
            limits=[asked.limit],
            until=now + PASSES_FOR,
            reason=reason or f"approval {asked.approval_id}",
            minor_max=asked.asked_minor,
            milli_max=asked.asked_milli,
            once=True,
            approval_id=asked.approval_id,
            actor=actor,
            now=now,
        )
    asked.status, asked.decided_at, asked.decided_by = to, now, by
    asked.decided_by_id, asked.reason = str(actor.actor_id), reason or None
    await session.flush()
    facts = {"answer": to.value, "by": by.value, "reason": reason}
    await audit.record(session, actor=actor, action="fleet.approval_decided", subject=("approval", asked.approval_id), facts=facts, now=now)
