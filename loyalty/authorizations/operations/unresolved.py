"""Unresolved dispenses: approved, and no completion came. Ended by the pump's own record, or by an authorised person with evidence.

A late completion ends one by itself, on the hot path or as an advice.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.authorizations.decision import Decision, Write
from loyalty.authorizations.facts import Place
from loyalty.authorizations.hot import AuthorizationNotFound, business_day, local_time
from loyalty.authorizations.model import Authorization, Status
from loyalty.authorizations.settling import decide_completion
from loyalty.authorizations.snapshot import Snapshot
from loyalty.authorizations.wire import CompletionRequest
from loyalty.errors import Refusal
from loyalty.identity.rules import Permission, Principal, require
from loyalty.ids import uuid7
from loyalty.ledger.model import AccountKind
from loyalty.ledger.queries import get_account, lock_purses
from loyalty.policy import Policy
from loyalty.topups.rules import require_second_person

from .booking import book_decision
from .holds import end_hold
from .locking import find_authorization, held_by
from .reading import authorization_facts, frozen_book


class NotUnresolved(Refusal):
    """It was resolved meanwhile, or a completion is still awaited."""

    zh = "该笔授权状态为 {status}，不在未结加油之列。"
    en = "The authorisation is {status}: it is no unresolved dispense."
    next_zh = "请刷新未结加油列表。"
    next_en = "Reload the board."


class EvidenceNeeded(Refusal):
    """What was found out is written down with the decision."""

    status = 422
    zh = "请填写依据（如加油机流水号、监控时间）。"
    en = "Say what was found out: the pump's record number, the camera's time."
    next_zh = "填写后再提交。"
    next_en = "Write it down and send it again."


class PumpRecord(NamedTuple):
    """What the pump itself recorded; `event_at` when it finished."""

    quantity_milli: int
    unit_price_e4: int
    amount_minor: int
    event_at: datetime
    product: str | None = None
    nozzle: int | None = None


class Resolved(NamedTuple):
    """How a dispense ended: the sale booked from the pump's record, or what was released, minor units."""

    account_id: UUID
    authorization_id: UUID
    sale_id: UUID | None
    released_minor: int
    answer: bytes


async def complete_from_pump_record(
    session: AsyncSession,
    *,
    account_id: UUID,
    authorization_id: UUID,
    record: PumpRecord,
    evidence: str,
    place: Place,
    snapshot: Snapshot,
    by: Principal,
    now: datetime,
) -> Resolved:
    """Book the completion that never came from the pump's own record: it settles as any completion does.

    `place` is any till of the station; the sale stands under it.

    :raises AuthorizationNotFound: if there is none at this station
    :raises NotFound, NotAllowed: if the person may not resolve dispenses here
    :raises NotUnresolved: if it is resolved, or a completion is still awaited
    :raises EvidenceNeeded: if nothing says what was found out
    """
    authorization = await _unresolved(session, account_id, authorization_id, station_id=place.station_id, evidence=evidence, by=by)
    account = await get_account(session, account_id=account_id)
    purses = await lock_purses(session, account_id=account_id)
    original = await authorization_facts(session, authorization=authorization, account=account, purses=purses)
    delivered = bool(record.amount_minor or record.quantity_milli)
    decision = Decision(
        Write.COMPLETION if delivered else Write.RELEASE,
        station_id=authorization.station_id,
        event_at=record.event_at,
        business_day=business_day(now, place),
        subject_id=uuid7(now),
        currency=account.currency,
    )
    decision.account_id, decision.card_id, decision.chain_id = account_id, authorization.card_id, authorization.chain_id
    decision.staff_id = by.staff_id
    held = sum(held_by(authorization).values())
    decided = decide_completion(
        decision,
        CompletionRequest(
            quantity_milli=record.quantity_milli,
            unit_price_e4=record.unit_price_e4,
            amount_minor=record.amount_minor,
            product=record.product,
            nozzle=record.nozzle,
            event_at=record.event_at,
        ),
        original=original,
        product=None if record.product is None else snapshot.products.get(record.product),
        sold=snapshot.products_by_id.get(original.product_id),
        place=place,
        book=await frozen_book(session, snapshot=snapshot, frozen=original.frozen),
        spend_order=snapshot.card_terms[original.card_product_id].spend_order,
        exact=account.kind in {AccountKind.PERSONAL, AccountKind.ANONYMOUS},
        now=now,
        local=local_time(now, place.zone),
    )
    await book_decision(
        session,
        decided,
        terminal_id=place.terminal_id,
        authorization=authorization,
        resolution="pump_record" if delivered else "released",
        evidence=evidence,
        staff_id=by.staff_id,
        now=now,
    )
    released = max(0, held - decided.card_minor)
    facts = {"gross_minor": decided.gross_minor, "quantity_milli": decided.quantity_milli, "released_minor": released, "evidence": evidence}
    await _record(session, authorization, "authorizations.dispense_completed", facts, by, now)
    sale_id = decided.subject_id if delivered else None
    return Resolved(account_id, authorization_id, sale_id, released, decided.answer)


async def release_dispense(
    session: AsyncSession,
    *,
    account_id: UUID,
    authorization_id: UUID,
    evidence: str,
    policy: Policy,
    by: Principal,
    now: datetime,
    approved_by: UUID | None = None,
) -> Resolved:
    """Give an unresolved dispense's hold back: somebody entitled to it saw that no fuel was taken, or how it was paid.

    :raises AuthorizationNotFound: if there is none
    :raises NotFound, NotAllowed: if the person may not resolve dispenses at its station
    :raises NotUnresolved: if it is resolved, or a completion is still awaited
    :raises EvidenceNeeded: if nothing says what was found out
    :raises SecondPersonNeeded: if the amount asks for a second person (the profile's `control`)
    """
    authorization = await _unresolved(session, account_id, authorization_id, station_id=None, evidence=evidence, by=by)
    account = await get_account(session, account_id=account_id)
    control = policy.for_currency(account.currency).control
    require_second_person(
        rule=control.rule,
        from_minor=control.reversal_second_person_from_minor,
        amount_minor=sum(held_by(authorization).values()),
        currency=account.currency,
        first=by.staff_id,
        second=approved_by,
    )
    to = Status.COMPLETED if authorization.completions else Status.RELEASED
    released = await end_hold(session, authorization, to=to, evidence=evidence, staff_id=by.staff_id, approved_by=approved_by, now=now)
    facts = {"released_minor": released, "currency": account.currency, "evidence": evidence, "approved_by": approved_by}
    await _record(session, authorization, "authorizations.dispense_released", facts, by, now)
    return Resolved(account_id, authorization_id, None, released, b"")


async def _unresolved(
    session: AsyncSession, account_id: UUID, authorization_id: UUID, *, station_id: UUID | None, evidence: str, by: Principal
) -> Authorization:
    authorization = await find_authorization(session, account_id=account_id, authorization_id=authorization_id, lock=True)
    if authorization is None or station_id not in {None, authorization.station_id}:
        raise AuthorizationNotFound
    require(by, Permission.RELEASE_DISPENSE, station_id=authorization.station_id)
    if Status(authorization.status) is not Status.UNRESOLVED:
        raise NotUnresolved(status=Status(authorization.status).name.lower())
    if not evidence.strip():
        raise EvidenceNeeded
    return authorization


async def _record(
    session: AsyncSession, authorization: Authorization, action: str, facts: dict[str, object], by: Principal, now: datetime
) -> None:
    await audit.record(
        session,
        actor=by.actor,
        action=action,
        subject=("authorization", authorization.authorization_id),
        facts=facts,
        station_id=authorization.station_id,
        now=now,
    )
