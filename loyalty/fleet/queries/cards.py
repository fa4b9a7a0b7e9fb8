"""Reading a company's cards: to whom each belongs, what it can spend, what limits it."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Select, Text, and_, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.model import LIVING, Card, CardStatus
from loyalty.cards.queries import CardNotFound
from loyalty.fleet.model import CardBinding, Company, CompanyMode, Driver, Vehicle
from loyalty.ledger.model import Purse, PurseKind
from loyalty.limits.model import LimitSetRow
from loyalty.limits.rules import NO_LIMITS, LimitSet, compiled, plate_key
from loyalty.paging import PAGE_SIZE, Column, Page, keys_for, page_rows

from .companies import get_company
from .departments import names_of


class FleetCard(msgspec.Struct, frozen=True):
    """A card as its company lists it. Amounts in minor units of the company's currency; the number by its last digits."""

    card_id: UUID
    chain_id: UUID
    number_tail: str
    status: CardStatus
    is_main: bool
    holder_label: str | None
    expires_on: date | None
    vehicle_id: UUID | None
    plate: str | None
    driver_id: UUID | None
    driver: str | None
    department_id: UUID | None
    department: str | None
    bound_since: datetime | None
    own_minor: int
    """Its own money, without what is held."""
    available_minor: int
    """What it can spend before any limit: its own money, the pool's, or both, as the company's mode says."""
    limits: LimitSet
    """The card's own limits."""


class Money(NamedTuple):
    """A company's money, minor units: in the pool, and on all cards together; held apart. `owed` is its receivable."""

    pool_minor: int
    pool_held_minor: int
    cards_minor: int
    cards_held_minor: int
    credit_limit_minor: int
    owed_minor: int


class CardFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of cards is cut to; replaced and closed ones are left out unless `statuses` names them."""

    text: str = ""
    """The last digits of the number, or any part of the plate, the driver's name or the card's label."""
    department_ids: Collection[UUID] | None = None
    statuses: Collection[CardStatus] = tuple(LIVING)
    bound: bool | None = None
    vehicle_id: UUID | None = None
    driver_id: UUID | None = None


_PLATE = func.coalesce(Vehicle.plate, "").label("plate_or_none")
_DRIVER = func.coalesce(Driver.name, "").label("driver_or_none")
_SORTS: dict[str, Column] = {"number": Card.number_tail, "plate": _PLATE, "driver": _DRIVER, "status": Card.status, "issued": Card.card_id}


async def list_fleet_cards(
    session: AsyncSession,
    *,
    company_id: UUID,
    by: CardFilter | None = None,
    sort: str = "number",
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[FleetCard]:
    """Read a page of a company's cards; sorts: number, plate, driver, status, issued.

    :raises CompanyNotFound: if there is no such company
    :raises UnknownSort: for another sort
    """
    statement = _filtered(_listed(company_id), by or CardFilter())
    found = await page_rows(session, statement, keys=keys_for(sort, _SORTS, unique=Card.card_id), cursor=cursor, limit=limit)
    return Page(rows=await _views(session, company_id, found.rows), next=found.next, previous=found.previous)


async def get_fleet_card(session: AsyncSession, *, company_id: UUID, card_id: UUID) -> FleetCard:
    """Return one card of a company, of whatever status.

    :raises CompanyNotFound: if there is no such company
    :raises CardNotFound: if it is none of the company's
    """
    rows = (await session.execute(_listed(company_id).where(Card.card_id == card_id))).all()
    if not rows:
        raise CardNotFound(card=card_id)
    return (await _views(session, company_id, rows))[0]


async def money_of(session: AsyncSession, *, company_id: UUID) -> Money:
    """Return where a company's money lies.

    :raises CompanyNotFound: if there is no such company
    """
    company = await get_company(session, company_id=company_id)
    principal = Purse.kind == PurseKind.PRINCIPAL
    pool, carded = and_(principal, Purse.card_id.is_(None)), and_(principal, Purse.card_id.is_not(None))
    owed = Purse.kind == PurseKind.RECEIVABLE
    sums = [
        func.coalesce(func.sum(column).filter(which), 0)
        for column, which in (
            (Purse.balance_minor, pool),
            (Purse.held_minor, pool),
            (Purse.balance_minor, carded),
            (Purse.held_minor, carded),
            (Purse.credit_limit_minor, pool),
            (-Purse.balance_minor, owed),
        )
    ]
    row = (await session.execute(select(*sums).where(Purse.account_id == company.account_id, Purse.unit == company.currency))).one()
    return Money(*(int(number) for number in row))


async def count_cards(session: AsyncSession, *, company_id: UUID) -> dict[CardStatus, int]:
    """Return how many cards of each status a company has."""
    rows = await session.execute(
        select(Card.status, func.count())
        .join(Company, Company.account_id == Card.account_id)
        .where(Company.company_id == company_id)
        .group_by(Card.status)
    )
    return {CardStatus(status): int(count) for status, count in rows}


def _listed(company_id: UUID) -> Select[*tuple[Any, ...]]:
    standing = and_(CardBinding.chain_id == Card.chain_id, CardBinding.until.is_(None), CardBinding.company_id == company_id)
    return (
        select(Card, CardBinding, Vehicle.plate, Driver.name)
        .join(Company, Company.account_id == Card.account_id)
        .outerjoin(CardBinding, standing)
        .outerjoin(Vehicle, Vehicle.vehicle_id == CardBinding.vehicle_id)
        .outerjoin(Driver, Driver.driver_id == CardBinding.driver_id)
        .where(Company.company_id == company_id)
    )


def _filtered(statement: Select[*tuple[Any, ...]], by: CardFilter) -> Select[*tuple[Any, ...]]:
    said = by.text.strip()
    if said:
        ways = [
            Card.number_tail.endswith(said[-4:], autoescape=True),
            Driver.name.icontains(said, autoescape=True),
            Card.holder_label.icontains(said, autoescape=True),
        ]
        if plate_key(said):
            ways.append(Vehicle.plate_key.contains(plate_key(said), autoescape=True))
        statement = statement.where(or_(*ways))
    if by.department_ids is not None:
        statement = statement.where(CardBinding.department_id.in_(list(by.department_ids)))
    if by.bound is not None:
        statement = statement.where(CardBinding.chain_id.is_not(None) if by.bound else CardBinding.chain_id.is_(None))
    if by.vehicle_id is not None:
        statement = statement.where(CardBinding.vehicle_id == by.vehicle_id)
    if by.driver_id is not None:
        statement = statement.where(CardBinding.driver_id == by.driver_id)
    return statement.where(Card.status.in_(list(by.statuses)))


async def _views(session: AsyncSession, company_id: UUID, rows: Sequence[Any]) -> list[FleetCard]:
    company = await get_company(session, company_id=company_id)
    departments = await names_of(session, company_id=company_id, department_ids=[row[1] and row[1].department_id for row in rows])
    own, pool_minor = await _spendable(session, company.account_id, [row[0].card_id for row in rows])
    limits = await _limits(session, [row[0].chain_id for row in rows])
    return [
        FleetCard(
            card_id=card.card_id,
            chain_id=card.chain_id,
            number_tail=card.number_tail,
            status=card.status,
            is_main=card.is_main,
            holder_label=card.holder_label,
            expires_on=card.expires_on,
            vehicle_id=None if binding is None else binding.vehicle_id,
            plate=plate,
            driver_id=None if binding is None else binding.driver_id,
            driver=driver,
            department_id=None if binding is None else binding.department_id,
            department=None if binding is None else departments.get(binding.department_id),
            bound_since=None if binding is None else binding.since,
            own_minor=own_minor,
            available_minor=_available(company.mode, own_minor, pool_minor),
            limits=limits.get(card.chain_id, NO_LIMITS.source),
        )
        for card, binding, plate, driver, *_ in rows
        for own_minor in (own.get(card.card_id, 0),)
    ]


def _available(mode: CompanyMode, own_minor: int, pool_minor: int) -> int:
    if mode is CompanyMode.POOLED:
        return pool_minor
    return own_minor if mode is CompanyMode.ALLOCATED else own_minor + pool_minor


async def _spendable(session: AsyncSession, account_id: UUID, card_ids: Sequence[UUID]) -> tuple[dict[UUID, int], int]:
    """Return what cards hold of their own and what the pool has, credit included, without what is held."""
    free = func.sum(Purse.balance_minor + Purse.credit_limit_minor - Purse.held_minor)
    rows = await session.execute(
        select(Purse.card_id, free)
        .where(
            Purse.account_id == account_id,
            Purse.kind == PurseKind.PRINCIPAL,
            or_(Purse.card_id.is_(None), Purse.card_id.in_(card_ids)),
        )
        .group_by(Purse.card_id)
    )
    found = {card_id: int(amount) for card_id, amount in rows}
    pool_minor = found.pop(None, 0)
    return {card_id: amount for card_id, amount in found.items() if card_id is not None}, pool_minor


async def _limits(session: AsyncSession, chains: Sequence[UUID]) -> dict[UUID, LimitSet]:
    rows = await session.execute(select(LimitSetRow.subject_id, cast(LimitSetRow.compiled, Text)).where(LimitSetRow.subject_id.in_(chains)))
    return {chain_id: compiled(document).source for chain_id, document in rows}
