"""Reading who keeps which card, and loans as the portal shows them."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from loyalty.cards.model import Card
from loyalty.errors import NotFound
from loyalty.fleet.model import Driver, Vehicle
from loyalty.fleet.model_custody import STANDING, CardCustody, CardLoan, LoanStatus
from loyalty.fleet.model_fills import Doubt, FleetFill, OdometerReading, ReadingStatus
from loyalty.identity.model_portal import PortalUser
from loyalty.identity.portal_rules import FLEET_PERMISSIONS, FleetPermission
from loyalty.paging import PAGE_SIZE, Column, Key, Page, all_as, one_as, page_as
from loyalty.stations.model import Product, Station


class LoanNotFound(NotFound):
    """Unknown, or another company's: the answer is the same."""

    zh = "没有找到该借用记录。"
    en = "There is no such loan."


class LoanView(msgspec.Struct, frozen=True):
    """One loan with whose card it is, who takes it, and who did what."""

    loan_id: UUID
    chain_id: UUID
    card_id: UUID
    card_tail: str
    driver_id: UUID
    driver: str
    vehicle_id: UUID | None
    plate: str | None
    department_id: UUID | None
    destination: str
    purpose: str
    begins_at: datetime
    due_at: datetime
    status: LoanStatus
    asked_at: datetime
    asked_by: UUID
    asker: str
    decided_at: datetime | None
    decider: str | None
    reason: str | None
    lent_at: datetime | None
    lender: str | None
    out_reading_id: UUID | None
    returned_at: datetime | None
    receiver: str | None
    in_reading_id: UUID | None
    note: str | None

    def is_overdue(self, now: datetime) -> bool:
        """Say whether the card should have come back."""
        return self.status is LoanStatus.LENT and self.due_at <= now


class ReadingOfLoan(msgspec.Struct, frozen=True):
    """What the odometer showed when a card left or came back; a correction stands in its place."""

    reading_id: UUID
    km: int
    status: ReadingStatus
    doubt: Doubt | None


class LoanFigures(NamedTuple):
    """What a card took while it was lent, refunds taken off: minor units and thousandths."""

    fills: int
    quantity_milli: int
    card_minor: int


class LoanFill(msgspec.Struct, frozen=True):
    """One fill while the card was lent; `driver` is who is known to have fuelled, None where nobody said."""

    sale_id: UUID
    event_at: datetime
    station_zh: str
    station_en: str
    product_zh: str | None
    product_en: str | None
    quantity_milli: int
    card_minor: int
    odometer_km: int | None
    driver: str | None


class KeeperView(msgspec.Struct, frozen=True):
    """Somebody who may keep cards, and how many they do."""

    user_id: UUID
    name: str
    cards: int
    may_lend: bool
    """Who no longer may still keeps what they kept, until somebody else does."""


class CustodyView(msgspec.Struct, frozen=True):
    """Who kept a card, `[since, until)`."""

    keeper: str
    since: datetime
    until: datetime | None


_ASKER, _DECIDER, _LENDER, _RECEIVER = (aliased(PortalUser, name=name) for name in ("asker", "decider", "lender", "receiver"))


def _loans() -> Select[*tuple[Any, ...]]:
    one = CardLoan
    return (
        select(
            *(one.loan_id, one.chain_id, one.card_id, Card.number_tail, one.driver_id, Driver.name, one.vehicle_id, Vehicle.plate),
            *(one.department_id, one.destination, one.purpose, one.begins_at, one.due_at, one.status, one.asked_at, one.asked_by),
            *(_ASKER.name, one.decided_at, _DECIDER.name, one.reason, one.lent_at, _LENDER.name, one.out_reading_id, one.returned_at),
            *(_RECEIVER.name, one.in_reading_id, one.note),
        )
        .join(Card, Card.card_id == one.card_id)
        .join(Driver, Driver.driver_id == one.driver_id)
        .join(_ASKER, _ASKER.user_id == one.asked_by)
        .outerjoin(Vehicle, Vehicle.vehicle_id == one.vehicle_id)
        .outerjoin(_DECIDER, _DECIDER.user_id == one.decided_by)
        .outerjoin(_LENDER, _LENDER.user_id == one.lent_by)
        .outerjoin(_RECEIVER, _RECEIVER.user_id == one.returned_to)
    )


def _of(company_id: UUID, departments: Collection[UUID] | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [CardLoan.company_id == company_id]
    if departments is not None:
        found.append(CardLoan.department_id.in_(departments))
    return found


async def list_loans(
    session: AsyncSession,
    *,
    company_id: UUID,
    departments: Collection[UUID] | None = None,
    status: LoanStatus | None = None,
    overdue_at: datetime | None = None,
    text: str = "",
    chain_id: UUID | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[LoanView]:
    """Read a page of loans, the latest asked first; `overdue_at`: out and due by then; `text`: a driver, a plate, or the last digits."""
    statement = _loans().where(*_of(company_id, departments))
    if status is not None:
        statement = statement.where(CardLoan.status == status)
    if overdue_at is not None:
        statement = statement.where(CardLoan.status == LoanStatus.LENT, CardLoan.due_at <= overdue_at)
    if chain_id is not None:
        statement = statement.where(CardLoan.chain_id == chain_id)
    if said := text.strip():
        ways = [Driver.name.icontains(said, autoescape=True), Vehicle.plate.icontains(said, autoescape=True)]
        statement = statement.where(or_(*ways, Card.number_tail == said[-4:]))
    return await page_as(session, LoanView, statement, keys=[Key(CardLoan.loan_id, descending=True)], cursor=cursor, limit=limit)


async def get_loan(session: AsyncSession, *, company_id: UUID, loan_id: UUID) -> LoanView:
    """Return one loan.

    :raises LoanNotFound: if the company has none
    """
    found = await one_as(session, LoanView, _loans().where(CardLoan.company_id == company_id, CardLoan.loan_id == loan_id))
    if found is None:
        raise LoanNotFound(loan=loan_id)
    return found


async def standing_loan(session: AsyncSession, *, company_id: UUID, chain_id: UUID) -> LoanView | None:
    """Return the loan by which a card is promised or out, None where it is neither."""
    statement = _loans().where(CardLoan.company_id == company_id, CardLoan.chain_id == chain_id, CardLoan.status.in_(STANDING))
    return await one_as(session, LoanView, statement)


async def loans_waiting(
    session: AsyncSession, *, company_id: UUID, departments: Collection[UUID] | None = None, now: datetime
) -> tuple[int, int]:
    """Return how many loans wait for approval, and how many cards are overdue."""
    mine = _of(company_id, departments)
    asked = select(func.count()).where(*mine, CardLoan.status == LoanStatus.REQUESTED)
    late = select(func.count()).where(*mine, CardLoan.status == LoanStatus.LENT, CardLoan.due_at <= now)
    return await session.scalar(asked) or 0, await session.scalar(late) or 0


async def reading_of_loan(session: AsyncSession, *, reading_id: UUID) -> ReadingOfLoan | None:
    """Return a loan's reading, or what was corrected into its place: of the same vehicle and instant, and of no fill."""
    said = aliased(OdometerReading)
    now = OdometerReading
    statement = (
        select(now.reading_id, now.km, now.status, now.doubt)
        .join(said, (said.vehicle_id == now.vehicle_id) & (said.read_at == now.read_at))
        .where(said.reading_id == reading_id, now.sale_id.is_(None), now.status != ReadingStatus.REPLACED)
        .order_by((now.reading_id == reading_id).desc(), now.reading_id.desc())
        .limit(1)
    )
    return await one_as(session, ReadingOfLoan, statement)


def _fills(loan: LoanView, now: datetime) -> tuple[ColumnElement[bool], ...]:
    assert loan.lent_at is not None, "nothing is fuelled before the card is out"
    until = loan.returned_at or now
    return FleetFill.chain_id == loan.chain_id, FleetFill.event_at >= loan.lent_at, FleetFill.event_at < until


async def figures_of_loan(session: AsyncSession, *, loan: LoanView, now: datetime) -> LoanFigures:
    """Return what a card took while it was lent, until now where it is still out."""
    milli, minor = FleetFill.quantity_milli - FleetFill.back_milli, FleetFill.card_minor - FleetFill.back_card_minor
    sums = select(func.count(), func.coalesce(func.sum(milli), 0), func.coalesce(func.sum(minor), 0)).where(*_fills(loan, now))
    return LoanFigures(*(int(number) for number in (await session.execute(sums)).one()))


async def fills_of_loan(
    session: AsyncSession, *, loan: LoanView, now: datetime, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[LoanFill]:
    """Read a page of what a card took while it was lent, the first first."""
    one = FleetFill
    statement = (
        select(
            *(one.sale_id, one.event_at, Station.name_zh, Station.name_en, Product.name_zh, Product.name_en),
            *(one.quantity_milli - one.back_milli, one.card_minor - one.back_card_minor, one.odometer_km, Driver.name),
        )
        .join(Station, Station.station_id == one.station_id)
        .outerjoin(Product, Product.product_id == one.product_id)
        .outerjoin(Driver, Driver.driver_id == one.driver_id)
        .where(*_fills(loan, now))
    )
    return await page_as(session, LoanFill, statement, keys=[Key(one.event_at), Key(one.sale_id)], cursor=cursor, limit=limit)


def lent_when(chain: Column, instant: Column) -> ColumnElement[bool]:
    """Say that a loan had the card of a fill when it was used: to be joined on the fill's chain and time."""
    out = or_(CardLoan.returned_at.is_(None), CardLoan.returned_at > instant)
    return (CardLoan.chain_id == chain) & (CardLoan.lent_at <= instant) & out


async def keeper_of(session: AsyncSession, *, chain_id: UUID) -> UUID | None:
    """Return who keeps a chain of cards now, None where nobody does."""
    found: UUID | None = await session.scalar(
        select(CardCustody.keeper_id).where(CardCustody.chain_id == chain_id, CardCustody.until.is_(None))
    )
    return found


async def keepers_of(session: AsyncSession, *, company_id: UUID) -> list[KeeperView]:
    """Return who of a company may keep cards, and whoever does though they no longer may, by name."""
    kept = select(func.count()).where(CardCustody.keeper_id == PortalUser.user_id, CardCustody.until.is_(None)).scalar_subquery()
    roles = [role for role, may in FLEET_PERMISSIONS.items() if FleetPermission.LEND_CARDS in may]
    able = PortalUser.disabled_at.is_(None) & PortalUser.role.in_(roles)
    statement = select(PortalUser.user_id, PortalUser.name, kept, able).where(PortalUser.company_id == company_id, or_(able, kept > 0))
    return await all_as(session, KeeperView, statement.order_by(PortalUser.name, PortalUser.user_id))


async def custody_of(session: AsyncSession, *, company_id: UUID, chain_id: UUID, limit: int = 20) -> list[CustodyView]:
    """Return who kept a card over time, the latest first."""
    statement = (
        select(PortalUser.name, CardCustody.since, CardCustody.until)
        .join(PortalUser, PortalUser.user_id == CardCustody.keeper_id)
        .where(CardCustody.company_id == company_id, CardCustody.chain_id == chain_id)
        .order_by(CardCustody.since.desc())
        .limit(limit)
    )
    return await all_as(session, CustodyView, statement)
