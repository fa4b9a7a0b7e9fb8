"""Lending a card that a custodian keeps: asked for, approved by another person, handed out and taken back with the odometer.

A custodian may hand out at once what they keep themselves (the company's setting `custodian_lends`): approval and handing out are then
one act, both in the trail. Who asked for anything else never approves it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.cards.model import Card, CardStatus
from loyalty.cards.queries import CardNotFound
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.fleet.model import Company, DriverStatus
from loyalty.fleet.model_custody import LOAN_MOVES, STANDING, CardLoan, LoanStatus
from loyalty.fleet.model_fills import ReadingSource
from loyalty.fleet.model_notices import NoticeKind
from loyalty.fleet.queries.bindings import standing_bindings
from loyalty.fleet.queries.companies import lock_company
from loyalty.fleet.queries.custody import LoanNotFound, keeper_of
from loyalty.fleet.queries.drivers import get_driver_row
from loyalty.fleet.queries.vehicles import get_vehicle_row
from loyalty.ids import uuid7

from .bindings import DriverNotHere
from .custody import settle_permits
from .fills import take_reading
from .notices import News, notify

JOB: Final = Actor(ActorKind.SYSTEM, "jobs.custody")
# The first moment alone is marked: a loan is told of once.
_OVERDUE: Final = """
WITH late AS (
    UPDATE card_loans SET overdue_told_at = :now
    WHERE status = 'lent' AND due_at <= :now AND overdue_told_at IS NULL
    RETURNING company_id, loan_id, chain_id, card_id, driver_id, department_id
)
SELECT l.company_id, l.loan_id, l.chain_id, l.department_id, d.name AS driver, c.number_tail, m.custody_blocks
FROM late l
JOIN companies m ON m.company_id = l.company_id
JOIN drivers d ON d.driver_id = l.driver_id
JOIN cards c ON c.card_id = l.card_id
ORDER BY l.company_id, l.loan_id
"""


class CardNotKept(Refusal):
    """Only what somebody keeps can be lent."""

    status = 409
    zh = "该卡没有保管人，不能借出。"
    en = "Nobody keeps this card, so it cannot be lent."
    next_zh = "请先为该卡指定保管人。"
    next_en = "Name its custodian first."


class CardNotUsable(Refusal):
    """A card that is lost or suspended is of no use on a trip."""

    status = 409
    zh = "该卡当前不可使用，不能借出。"
    en = "This card cannot be used now, so it is not lent."
    next_zh = "请选择一张正常使用的卡。"
    next_en = "Choose a card that is active."


class CardIsPromised(Refusal):
    """One loan a card at a time."""

    status = 409
    zh = "该卡已借出，或已批准借给他人。"
    en = "This card is lent or promised to somebody else."
    next_zh = "请待其归还后再批准，或改借另一张卡。"
    next_en = "Approve it when the card is back, or lend another card."


class LoanCannotMove(Refusal):
    """Its status does not lead there."""

    status = 409
    zh = "该借用当前为 {status}，不能进行此操作。"
    en = "This loan is {status}; that can no longer be done with it."
    next_zh = "请刷新后再试。"
    next_en = "Look at it again."


class LoanNotSound(Refusal):
    """A trip ends after it begins, and after now."""

    status = 422
    zh = "归还时间须晚于借出时间和当前时间。"
    en = "A card is due back after it is taken, and after now."
    next_zh = "请修改归还时间。"
    next_en = "Choose a later time."


class AnotherPersonApproves(Refusal):
    """Who asks does not approve."""

    status = 409
    zh = "借用申请须由他人批准。"
    en = "Somebody else approves what you asked for."
    next_zh = "请由该卡保管人或其他有权限的人员批准。"
    next_en = "The card's custodian, or another who may lend, approves it."


class OdometerMissing(Refusal):
    """Borrowing and returning are recorded with the odometer."""

    status = 422
    zh = "请填写车辆里程表读数。"
    en = "Enter what the vehicle's odometer shows."


class Trip(NamedTuple):
    """Who takes the card, where to and why, and from when until when. `vehicle_id`: where the card has none of its own."""

    driver_id: UUID
    destination: str
    purpose: str
    begins_at: datetime
    due_at: datetime
    vehicle_id: UUID | None = None


async def ask_loan(session: AsyncSession, *, company_id: UUID, chain_id: UUID, trip: Trip, actor: Actor, now: datetime) -> UUID:
    """Ask for a card; several may ask for the same one.

    :raises CompanyNotFound, DriverNotFound, VehicleNotFound: if there is none of the company's
    :raises CardNotFound, CardNotKept, CardNotUsable: if the card cannot be lent
    :raises DriverNotHere: if the driver is away or has left
    :raises LoanNotSound: if the times cannot be
    """
    await lock_company(session, company_id=company_id)
    card_id = await _lendable(session, company_id, chain_id)
    if trip.due_at <= max(trip.begins_at, now):
        raise LoanNotSound
    driver = await get_driver_row(session, company_id=company_id, driver_id=trip.driver_id)
    if driver.status is not DriverStatus.ACTIVE:
        raise DriverNotHere(number=driver.number)
    bound = next(iter(await standing_bindings(session, company_id=company_id, chain_ids=[chain_id])), None)
    vehicle_id = trip.vehicle_id
    if bound is not None and bound.vehicle_id is not None:
        vehicle_id = bound.vehicle_id
    elif vehicle_id is not None:
        await get_vehicle_row(session, company_id=company_id, vehicle_id=vehicle_id)
    made = CardLoan(
        loan_id=uuid7(now),
        company_id=company_id,
        chain_id=chain_id,
        card_id=card_id,
        driver_id=trip.driver_id,
        vehicle_id=vehicle_id,
        department_id=None if bound is None else bound.department_id,
        destination=trip.destination,
        purpose=trip.purpose,
        begins_at=trip.begins_at,
        due_at=trip.due_at,
        status=LoanStatus.REQUESTED,
        asked_at=now,
        asked_by=_user(actor),
    )
    session.add(made)
    await session.flush()
    await _trail(session, made, "fleet.loan_asked", {"driver": trip.driver_id, "due": trip.due_at.isoformat()}, actor, now)
    return made.loan_id


async def approve_loan(session: AsyncSession, *, company_id: UUID, loan_id: UUID, actor: Actor, now: datetime) -> None:
    """Promise the card.

    :raises LoanNotFound: if the company has no such loan
    :raises LoanCannotMove: if it does not wait
    :raises AnotherPersonApproves: if who asked may not approve it
    :raises CardIsPromised: if the card is lent or promised
    :raises CardNotKept, CardNotUsable: if it cannot be lent by now
    """
    company, found = await _locked(session, company_id, loan_id)
    await _approve(session, company, found, actor, now)


async def refuse_loan(session: AsyncSession, *, company_id: UUID, loan_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Refuse the card, with the reason.

    :raises LoanNotFound: if the company has no such loan
    :raises LoanCannotMove: if it does not wait
    """
    _company, found = await _locked(session, company_id, loan_id)
    move_loan(found, LoanStatus.REFUSED)
    found.decided_at, found.decided_by, found.reason = now, _user(actor), reason
    await session.flush()
    await _trail(session, found, "fleet.loan_refused", {"reason": reason}, actor, now)


async def withdraw_loan(session: AsyncSession, *, company_id: UUID, loan_id: UUID, actor: Actor, now: datetime) -> None:
    """Take an asking back, or a promise that is no longer needed.

    :raises LoanNotFound: if the company has no such loan
    :raises LoanCannotMove: if the card was handed out, or it is settled
    """
    _company, found = await _locked(session, company_id, loan_id)
    move_loan(found, LoanStatus.WITHDRAWN)
    await session.flush()
    await _trail(session, found, "fleet.loan_withdrawn", {}, actor, now)


async def hand_out(
    session: AsyncSession, *, company_id: UUID, loan_id: UUID, km: int | None, due_at: datetime | None = None, actor: Actor, now: datetime
) -> None:
    """Hand the card out with what the odometer shows, until `due_at`, else as it was asked; what only waits is approved with it.

    :raises LoanNotFound: if the company has no such loan
    :raises LoanCannotMove: if it is settled or out
    :raises OdometerMissing: if the trip has a vehicle and no reading is given
    :raises LoanNotSound: if it would be due already
    :raises AnotherPersonApproves, CardIsPromised, CardNotKept, CardNotUsable: as `approve_loan`
    """
    company, found = await _locked(session, company_id, loan_id)
    if found.status is LoanStatus.REQUESTED:
        await _approve(session, company, found, actor, now)
    else:
        await _lendable(session, company_id, found.chain_id)
    move_loan(found, LoanStatus.LENT)
    found.due_at = due_at or found.due_at
    if found.due_at <= max(now, found.begins_at):
        raise LoanNotSound
    found.lent_at, found.lent_by = now, _user(actor)
    found.out_reading_id = await _read(session, found, km, actor, now)
    await session.flush()
    await settle_permits(session, company=company, chain_ids=[found.chain_id], actor=actor, now=now)
    facts = {"driver": found.driver_id, "km": km, "due": found.due_at.isoformat()}
    await _trail(session, found, "fleet.loan_lent", facts, actor, now)


async def take_back(
    session: AsyncSession, *, company_id: UUID, loan_id: UUID, km: int | None, note: str = "", actor: Actor, now: datetime
) -> None:
    """Take the card back with what the odometer shows.

    :raises LoanNotFound: if the company has no such loan
    :raises LoanCannotMove: if the card is not out
    :raises OdometerMissing: if the trip has a vehicle and no reading is given
    """
    company, found = await _locked(session, company_id, loan_id)
    move_loan(found, LoanStatus.RETURNED)
    found.returned_at, found.returned_to, found.note = now, _user(actor), note or None
    found.in_reading_id = await _read(session, found, km, actor, now)
    await session.flush()
    await settle_permits(session, company=company, chain_ids=[found.chain_id], actor=actor, now=now)
    await _trail(session, found, "fleet.loan_returned", {"km": km, "note": note}, actor, now)


async def tell_overdue(session: AsyncSession, *, now: datetime) -> int:
    """Mark the loans that became overdue, tell their companies once, and block the cards where the setting says so; return how many."""
    late = (await session.execute(text(_OVERDUE), {"now": now})).all()
    news = [News(row.company_id, row.loan_id, {"who": row.driver, "number": row.number_tail}, row.department_id) for row in late]
    await notify(session, kind=NoticeKind.CARD_OVERDUE, news=news, at=now)
    for company_id in sorted({row.company_id for row in late if row.custody_blocks}):
        company = await session.get_one(Company, company_id)
        chains = [row.chain_id for row in late if row.company_id == company_id]
        await settle_permits(session, company=company, chain_ids=chains, actor=JOB, now=now)
    return len(late)


def move_loan(found: CardLoan, to: LoanStatus) -> None:
    """Move a loan along its table.

    :raises LoanCannotMove: if its status does not lead there
    """
    if to not in LOAN_MOVES[found.status]:
        raise LoanCannotMove(status=found.status.value)
    found.status = to


async def _approve(session: AsyncSession, company: Company, found: CardLoan, actor: Actor, now: datetime) -> None:
    who = _user(actor)
    if LoanStatus.APPROVED in LOAN_MOVES[found.status]:
        await _lendable(session, company.company_id, found.chain_id)
        if found.asked_by == who and not (company.custodian_lends and await keeper_of(session, chain_id=found.chain_id) == who):
            raise AnotherPersonApproves
        standing = select(CardLoan.loan_id).where(CardLoan.chain_id == found.chain_id, CardLoan.status.in_(STANDING))
        if await session.scalar(standing) is not None:
            raise CardIsPromised
    move_loan(found, LoanStatus.APPROVED)
    found.decided_at, found.decided_by = now, who
    await session.flush()
    await _trail(session, found, "fleet.loan_approved", {}, actor, now)


async def _lendable(session: AsyncSession, company_id: UUID, chain_id: UUID) -> UUID:
    """Return the chain's card, which is active and kept."""
    statement = select(Card.card_id, Card.status).join(Company, Company.account_id == Card.account_id)
    mine = statement.where(Company.company_id == company_id, Card.chain_id == chain_id).order_by((Card.status == CardStatus.ACTIVE).desc())
    row = (await session.execute(mine.limit(1))).first()
    if row is None:
        raise CardNotFound(card=chain_id)
    if row.status is not CardStatus.ACTIVE:
        raise CardNotUsable
    if await keeper_of(session, chain_id=chain_id) is None:
        raise CardNotKept
    card_id: UUID = row.card_id
    return card_id


async def _locked(session: AsyncSession, company_id: UUID, loan_id: UUID) -> tuple[Company, CardLoan]:
    """Lock the company, then the loan: two loans of one card never move at once."""
    company = await lock_company(session, company_id=company_id)
    found: CardLoan | None = await session.scalar(locked(select(CardLoan).where(CardLoan.loan_id == loan_id)))
    if found is None or found.company_id != company_id:
        raise LoanNotFound(loan=loan_id)
    return company, found


async def _read(session: AsyncSession, found: CardLoan, km: int | None, actor: Actor, now: datetime) -> UUID | None:
    if found.vehicle_id is None:
        return None
    if km is None:
        raise OdometerMissing
    taken = await take_reading(
        session, company_id=found.company_id, vehicle_id=found.vehicle_id, km=km, source=ReadingSource.CUSTODY, actor=actor, now=now
    )
    return taken.reading_id


def _user(actor: Actor) -> UUID:
    assert actor.kind is ActorKind.COMPANY_USER, "cards are lent by a company's own people"
    return UUID(str(actor.actor_id))


async def _trail(session: AsyncSession, one: CardLoan, action: str, facts: Mapping[str, Any], actor: Actor, now: datetime) -> None:
    facts = {"chain": one.chain_id, **facts}
    await audit.record(session, actor=actor, action=action, subject=("card_loan", one.loan_id), facts=facts, now=now)
