"""What the portal's pages read across rooms: a period's figures, cards with whose they are, the company's people and invitations."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from loyalty.authorizations.model import Sale
from loyalty.authorizations.queries import SaleLine
from loyalty.authorizations.queries.sales import sale_lines
from loyalty.cards.model import LIVING, PIN_TRIES, Card, CardStatus
from loyalty.fleet.model import CardBinding, Department, Driver, Vehicle
from loyalty.fleet.model_custody import CardCustody, CardLoan, LoanStatus
from loyalty.fleet.model_fills import FleetFill
from loyalty.fleet.queries.bindings import among
from loyalty.identity.model_portal import PortalInvitation, PortalRole, PortalUser
from loyalty.ids import uuid7_floor
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, one_as, page_as

_BORROWER = aliased(Driver, name="borrower")


class Whereabouts(StrEnum):
    """Where a card is that somebody keeps."""

    KEPT = "kept"
    OUT = "out"
    OVERDUE = "overdue"


class CardLine(msgspec.Struct, frozen=True):
    """A living card, whose it is, who keeps it, and the loan by which it is out."""

    card_id: UUID
    chain_id: UUID
    bin: str
    number_tail: str
    status: CardStatus
    vehicle_id: UUID | None
    plate: str | None
    driver_id: UUID | None
    driver: str | None
    department_id: UUID | None
    department: str | None
    pin_locked: bool
    keeper_id: UUID | None
    keeper: str | None
    loan_id: UUID | None
    borrower: str | None
    due_at: datetime | None

    def whereabouts(self, now: datetime) -> Whereabouts | None:
        """Say where it is; None: nobody keeps it."""
        if self.due_at is None:
            return None if self.keeper_id is None else Whereabouts.KEPT
        return Whereabouts.OVERDUE if self.due_at <= now else Whereabouts.OUT


class CardsBy(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of cards is cut to; `text` is a plate, a driver's name or number, or the last digits."""

    departments: Collection[UUID] | None = None
    text: str = ""
    status: CardStatus | None = None
    keeper_id: UUID | None = None
    is_kept: bool | None = None
    where: Whereabouts | None = None


class PersonView(msgspec.Struct, frozen=True):
    """A company's user."""

    user_id: UUID
    name: str
    email: str
    role: PortalRole
    department_id: UUID | None
    department: str | None
    totp_confirmed_at: datetime | None
    last_log_in_at: datetime | None
    disabled_at: datetime | None


class InvitationView(msgspec.Struct, frozen=True):
    """An open invitation."""

    invitation_id: UUID
    email: str
    role: PortalRole
    department: str | None
    invited_at: datetime
    expires_at: datetime


async def list_fills(
    session: AsyncSession,
    *,
    account_id: UUID,
    departments: Collection[UUID] | None = None,
    begin: datetime | None = None,
    end: datetime | None = None,
    plate: str = "",
    driver: str = "",
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[SaleLine]:
    """Read a page of a company's sales, the latest booked first; of vehicles and drivers whose plate, name or number has what is said."""
    statement = sale_lines().where(Sale.account_id == account_id)
    if begin is not None:
        statement = statement.where(Sale.sale_id >= uuid7_floor(begin))
    if end is not None:
        statement = statement.where(Sale.sale_id < uuid7_floor(end))
    if departments is not None:
        statement = statement.where(_answered(departments))
    if said := plate.strip():
        vehicles = select(Vehicle.vehicle_id).where(Vehicle.plate.icontains(said, autoescape=True))
        statement = statement.where(_was(account_id, FleetFill.vehicle_id.in_(vehicles)))
    if said := driver.strip():
        drivers = select(Driver.driver_id).where(or_(Driver.name.icontains(said, autoescape=True), Driver.number == said))
        statement = statement.where(_was(account_id, FleetFill.driver_id.in_(drivers)))
    return await page_as(session, SaleLine, statement, keys=[Key(Sale.sale_id, descending=True)], cursor=cursor, limit=limit)


async def whose_were(session: AsyncSession, *, account_id: UUID, sale_ids: Collection[UUID]) -> dict[UUID, tuple[str | None, str | None]]:
    """Return whose fills were, plate and driver's name; those of the last minute are not collected yet and not named."""
    wanted = (
        select(FleetFill.sale_id, func.coalesce(Vehicle.plate, FleetFill.plate), Driver.name)
        .outerjoin(Vehicle, Vehicle.vehicle_id == FleetFill.vehicle_id)
        .outerjoin(Driver, Driver.driver_id == FleetFill.driver_id)
        .where(FleetFill.account_id == account_id, FleetFill.sale_id.in_(sale_ids))
    )
    return {sale_id: (plate, driver) for sale_id, plate, driver in await session.execute(wanted)}


async def list_company_cards(
    session: AsyncSession, *, account_id: UUID, by: CardsBy, now: datetime, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[CardLine]:
    """Read a page of a company's living cards."""
    statement = _cards().where(*_cut(account_id, by, now))
    return await page_as(session, CardLine, statement, keys=[Key(Card.card_id)], cursor=cursor, limit=limit)


async def chains_of_cards(session: AsyncSession, *, account_id: UUID, by: CardsBy, now: datetime) -> list[UUID]:
    """Return the chains of all the cards that such a list has."""
    return list(await session.scalars(_cards().with_only_columns(Card.chain_id).where(*_cut(account_id, by, now)).order_by(Card.chain_id)))


async def get_company_card(session: AsyncSession, *, account_id: UUID, card_id: UUID) -> CardLine | None:
    """Return one living card of a company, None where there is none."""
    wanted = _cards().where(Card.account_id == account_id, Card.card_id == card_id, Card.status.in_(LIVING))
    return await one_as(session, CardLine, wanted)


async def count_cards(session: AsyncSession, *, account_id: UUID, departments: Collection[UUID] | None = None) -> int:
    """Return how many living cards a company has."""
    statement = select(func.count()).where(Card.account_id == account_id, Card.status.in_(LIVING))
    if departments is not None:
        bound = exists().where(
            CardBinding.chain_id == Card.chain_id, CardBinding.until.is_(None), among(CardBinding.department_id, departments)
        )
        statement = statement.where(bound)
    return int(await session.scalar(statement) or 0)


async def list_people(session: AsyncSession, *, company_id: UUID) -> list[PersonView]:
    """Return a company's users, those with an open log-in first, by name."""
    wanted = _people().where(PortalUser.company_id == company_id)
    return await all_as(session, PersonView, wanted.order_by(PortalUser.disabled_at.is_not(None), PortalUser.name, PortalUser.user_id))


async def names_of_users(session: AsyncSession, *, company_id: UUID, actor_ids: Collection[str | None]) -> dict[str, str]:
    """Return the names of a company's users by the ids that the trail has of them; others have none."""
    wanted = {UUID(one) for one in actor_ids if one is not None and _is_id(one)}
    if not wanted:
        return {}
    rows = await session.execute(
        select(PortalUser.user_id, PortalUser.name).where(PortalUser.company_id == company_id, PortalUser.user_id.in_(wanted))
    )
    return {str(user_id): name for user_id, name in rows}


async def get_person(session: AsyncSession, *, company_id: UUID, user_id: UUID) -> PersonView | None:
    """Return one user of a company, None where there is none."""
    return await one_as(session, PersonView, _people().where(PortalUser.company_id == company_id, PortalUser.user_id == user_id))


async def open_invitations(session: AsyncSession, *, company_id: UUID, now: datetime) -> list[InvitationView]:
    """Return the invitations whose links still open something, the latest first. `now` is real time."""
    wanted = (
        select(
            PortalInvitation.invitation_id,
            PortalInvitation.email,
            PortalInvitation.role,
            Department.name,
            PortalInvitation.invited_at,
            PortalInvitation.expires_at,
        )
        .outerjoin(Department, Department.department_id == PortalInvitation.department_id)
        .where(
            PortalInvitation.company_id == company_id,
            PortalInvitation.accepted_at.is_(None),
            PortalInvitation.withdrawn_at.is_(None),
            PortalInvitation.expires_at > now,
        )
        .order_by(PortalInvitation.invitation_id.desc())
    )
    return await all_as(session, InvitationView, wanted)


def _people() -> Select[*tuple[Any, ...]]:
    return select(
        PortalUser.user_id,
        PortalUser.name,
        PortalUser.log_in_name,
        PortalUser.role,
        PortalUser.department_id,
        Department.name,
        PortalUser.totp_confirmed_at,
        PortalUser.last_log_in_at,
        PortalUser.disabled_at,
    ).outerjoin(Department, Department.department_id == PortalUser.department_id)


def _cards() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Card.card_id,
            Card.chain_id,
            Card.number_bin,
            Card.number_tail,
            Card.status,
            CardBinding.vehicle_id,
            Vehicle.plate,
            CardBinding.driver_id,
            Driver.name,
            CardBinding.department_id,
            Department.name,
            Card.pin_tries >= PIN_TRIES,
            CardCustody.keeper_id,
            PortalUser.name,
            CardLoan.loan_id,
            _BORROWER.name,
            CardLoan.due_at,
        )
        .outerjoin(CardBinding, (CardBinding.chain_id == Card.chain_id) & CardBinding.until.is_(None))
        .outerjoin(Vehicle, Vehicle.vehicle_id == CardBinding.vehicle_id)
        .outerjoin(Driver, Driver.driver_id == CardBinding.driver_id)
        .outerjoin(Department, Department.department_id == CardBinding.department_id)
        .outerjoin(CardCustody, (CardCustody.chain_id == Card.chain_id) & CardCustody.until.is_(None))
        .outerjoin(PortalUser, PortalUser.user_id == CardCustody.keeper_id)
        .outerjoin(CardLoan, (CardLoan.chain_id == Card.chain_id) & (CardLoan.status == LoanStatus.LENT))
        .outerjoin(_BORROWER, _BORROWER.driver_id == CardLoan.driver_id)
    )


def _was(account_id: UUID, whose: ColumnElement[bool]) -> ColumnElement[bool]:
    """Say that a sale was collected as somebody's."""
    return Sale.sale_id.in_(select(FleetFill.sale_id).where(FleetFill.account_id == account_id, whose))


def _cut(account_id: UUID, by: CardsBy, now: datetime) -> list[ColumnElement[bool]]:
    found = [Card.account_id == account_id, Card.status.in_(LIVING)]
    if by.departments is not None:
        found.append(among(CardBinding.department_id, by.departments))
    if by.status is not None:
        found.append(Card.status == by.status)
    if by.keeper_id is not None:
        found.append(CardCustody.keeper_id == by.keeper_id)
    if by.is_kept is not None:
        found.append(CardCustody.keeper_id.is_not(None) if by.is_kept else CardCustody.keeper_id.is_(None))
    if by.where is Whereabouts.KEPT:
        found += [CardCustody.keeper_id.is_not(None), CardLoan.loan_id.is_(None)]
    elif by.where is not None:
        found.append(CardLoan.due_at <= now if by.where is Whereabouts.OVERDUE else CardLoan.loan_id.is_not(None))
    if said := by.text.strip():
        ways = [Vehicle.plate.icontains(said, autoescape=True), Driver.name.icontains(said, autoescape=True), Driver.number == said]
        found.append(or_(*ways, Card.number_tail == said[-4:]))
    return found


def _answered(departments: Collection[UUID]) -> ColumnElement[bool]:
    """Say that one of these departments answered for the card when it was used."""
    return exists().where(
        CardBinding.chain_id == Sale.chain_id,
        among(CardBinding.department_id, departments),
        CardBinding.since <= Sale.booked_at,
        or_(CardBinding.until.is_(None), CardBinding.until > Sale.booked_at),
    )


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
