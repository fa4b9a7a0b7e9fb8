"""Reading which vehicle, driver or department a card belongs to, now and at any instant before."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Uuid, any_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.model import LIVING, Card
from loyalty.fleet.model import CardBinding, Company
from loyalty.ledger.model import Purse, PurseKind
from loyalty.paging import Column


class BindingView(NamedTuple):
    """To whom a chain of cards belongs, `[since, until)`; `department_id` is the one that answers for it."""

    chain_id: UUID
    since: datetime
    until: datetime | None
    company_id: UUID
    vehicle_id: UUID | None
    driver_id: UUID | None
    department_id: UUID | None


_COLUMNS = tuple(getattr(CardBinding, name) for name in BindingView._fields)


async def binding_at(session: AsyncSession, *, chain_id: UUID, instant: datetime) -> BindingView | None:
    """Return to whom a card belonged at an instant, None where to nobody: the context of a fill, whatever happened since."""
    row = (
        await session.execute(
            select(*_COLUMNS).where(
                CardBinding.chain_id == chain_id,
                CardBinding.since <= instant,
                or_(CardBinding.until.is_(None), CardBinding.until > instant),
            )
        )
    ).first()
    return None if row is None else BindingView._make(row)


async def standing_bindings(
    session: AsyncSession,
    *,
    company_id: UUID,
    chain_ids: Collection[UUID] | None = None,
    vehicle_ids: Collection[UUID] | None = None,
    driver_ids: Collection[UUID] | None = None,
    department_ids: Collection[UUID] | None = None,
) -> list[BindingView]:
    """Return a company's present bindings by chain: all, or those of some chains, vehicles, drivers, departments."""
    statement = select(*_COLUMNS).where(CardBinding.company_id == company_id, CardBinding.until.is_(None))
    columns = (CardBinding.chain_id, CardBinding.vehicle_id, CardBinding.driver_id, CardBinding.department_id)
    for column, wanted in zip(columns, (chain_ids, vehicle_ids, driver_ids, department_ids), strict=True):
        if wanted is not None:
            statement = statement.where(among(column, wanted))
    return [BindingView._make(row) for row in await session.execute(statement.order_by(CardBinding.chain_id))]


async def bindings_of(session: AsyncSession, *, company_id: UUID, chain_id: UUID) -> list[BindingView]:
    """Return to whom a card belonged over time, the latest first."""
    statement = select(*_COLUMNS).where(CardBinding.company_id == company_id, CardBinding.chain_id == chain_id)
    return [BindingView._make(row) for row in await session.execute(statement.order_by(CardBinding.since.desc()))]


async def cards_of_company(session: AsyncSession, *, company_id: UUID, chain_ids: Collection[UUID] | None = None) -> dict[UUID, UUID]:
    """Return the living card of each of a company's chains (of those asked for): chain → card."""
    statement = (
        select(Card.chain_id, Card.card_id)
        .join(Company, Company.account_id == Card.account_id)
        .where(Company.company_id == company_id, Card.status.in_(LIVING))
    )
    if chain_ids is not None:
        statement = statement.where(among(Card.chain_id, chain_ids))
    return {chain_id: card_id for chain_id, card_id in await session.execute(statement)}  # noqa: C416 - a Row is no pair


async def allocated_of(session: AsyncSession, *, company_id: UUID, chain_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return what the cards of these chains hold of their own, minor units, held money included; chains with nothing are missing."""
    statement = (
        select(Card.chain_id, func.sum(Purse.balance_minor))
        .join(Company, Company.account_id == Card.account_id)
        .join(Purse, (Purse.account_id == Card.account_id) & (Purse.card_id == Card.card_id))
        .where(
            Company.company_id == company_id,
            among(Card.chain_id, chain_ids),
            Purse.kind == PurseKind.PRINCIPAL,
            Purse.balance_minor != 0,
        )
        .group_by(Card.chain_id)
    )
    return {chain_id: int(amount) for chain_id, amount in await session.execute(statement)}


def among(column: Column, ids: Collection[UUID]) -> ColumnElement[bool]:
    """Say that a column is one of these ids: as one value, whether they are three or ten thousand."""
    return column == any_(literal(list(ids), ARRAY(Uuid)))
