"""What the portal's pages read across rooms: a period's figures, cards with whose they are, the company's people and invitations."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.model import Sale
from loyalty.authorizations.queries import SaleLine
from loyalty.authorizations.queries.sales import sale_lines
from loyalty.cards.model import LIVING, Card, CardStatus
from loyalty.fleet.model import CardBinding, Department, Driver, Vehicle
from loyalty.fleet.queries.bindings import among
from loyalty.identity.model_portal import PortalInvitation, PortalRole, PortalUser
from loyalty.ids import uuid7_floor
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, one_as, page_as


class CardLine(msgspec.Struct, frozen=True):
    """A living card and whose it is."""

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
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[SaleLine]:
    """Read a page of a company's sales, the latest booked first."""
    statement = sale_lines().where(Sale.account_id == account_id)
    if begin is not None:
        statement = statement.where(Sale.sale_id >= uuid7_floor(begin))
    if end is not None:
        statement = statement.where(Sale.sale_id < uuid7_floor(end))
    if departments is not None:
        statement = statement.where(_answered(departments))
    return await page_as(session, SaleLine, statement, keys=[Key(Sale.sale_id, descending=True)], cursor=cursor, limit=limit)


async def list_company_cards(
    session: AsyncSession,
    *,
    account_id: UUID,
    departments: Collection[UUID] | None = None,
    text: str = "",
    status: CardStatus | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[CardLine]:
    """Read a page of a company's living cards; `text` is a plate, a driver's name or number, or the last digits."""
    statement = _cards().where(Card.account_id == account_id, Card.status.in_(LIVING))
    if departments is not None:
        statement = statement.where(among(CardBinding.department_id, departments))
    if status is not None:
        statement = statement.where(Card.status == status)
    if said := text.strip():
        statement = statement.where(
            or_(
                Vehicle.plate.icontains(said, autoescape=True),
                Driver.name.icontains(said, autoescape=True),
                Driver.number == said,
                Card.number_tail == said[-4:],
            )
        )
    return await page_as(session, CardLine, statement, keys=[Key(Card.card_id)], cursor=cursor, limit=limit)


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
        )
        .outerjoin(CardBinding, (CardBinding.chain_id == Card.chain_id) & CardBinding.until.is_(None))
        .outerjoin(Vehicle, Vehicle.vehicle_id == CardBinding.vehicle_id)
        .outerjoin(Driver, Driver.driver_id == CardBinding.driver_id)
        .outerjoin(Department, Department.department_id == CardBinding.department_id)
    )


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
