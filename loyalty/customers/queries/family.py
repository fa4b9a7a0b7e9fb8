"""Whose record is whose: a customer is one record and all that were merged into it, whatever the depth.

Rooms that keep a `customer_id` keep it for ever; they read by the whole family (`customer_id = ANY(family)`), so that neither a merge nor
its undoing touches them.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Select, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.customers.model import Customer
from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.ids import CustomerId


class CustomerNotFound(NotFound):
    """Unknown, or another tenant's: the answer is the same."""

    zh = "没有此客户。"
    en = "There is no such customer."


async def get_customer_for_update(session: AsyncSession, *, customer_id: CustomerId) -> Customer:
    """Lock and return one record, merged or not.

    :raises CustomerNotFound: if there is no such customer
    """
    customer = await session.scalar(locked(select(Customer).where(Customer.customer_id == customer_id)))
    if customer is None:
        raise CustomerNotFound
    return customer


async def survivor_of(session: AsyncSession, *, customer_id: UUID) -> CustomerId:
    """Return the record that stands for this customer today; a record that was never merged stands for itself.

    :raises CustomerNotFound: if there is no such customer
    """
    found = await survivors_of(session, customer_ids=[customer_id])
    if customer_id not in found:
        raise CustomerNotFound
    return found[customer_id]


async def survivors_of(session: AsyncSession, *, customer_ids: Collection[UUID]) -> dict[UUID, CustomerId]:
    """Return for each record the one that stands for it; unknown ids are left out."""
    climb = (
        select(Customer.customer_id.label("asked_id"), Customer.customer_id, Customer.merged_into)
        .where(Customer.customer_id.in_(list(customer_ids)))
        .cte("climb", recursive=True)
    )
    climb = climb.union_all(
        select(climb.c.asked_id, Customer.customer_id, Customer.merged_into).where(Customer.customer_id == climb.c.merged_into)
    )
    found = await session.execute(select(climb.c.asked_id, climb.c.customer_id).where(climb.c.merged_into.is_(None)))
    return {asked_id: CustomerId(customer_id) for asked_id, customer_id in found}


async def family_of(session: AsyncSession, *, customer_id: UUID) -> list[CustomerId]:
    """Return every record of one customer, the one that stands for it first; what other rooms filter by.

    :raises CustomerNotFound: if there is no such customer
    """
    survivor = await survivor_of(session, customer_id=customer_id)
    return [CustomerId(each) for each in await session.scalars(members(survivor))]


async def families_of(session: AsyncSession, *, customer_ids: Collection[UUID]) -> dict[UUID, tuple[CustomerId, list[CustomerId]]]:
    """Return for each record the one that stands for it, and every record of that customer; unknown ids are left out."""
    survivors = await survivors_of(session, customer_ids=customer_ids)
    one = Customer
    roots = select(one.customer_id.label("root"), one.customer_id).where(one.customer_id.in_(set(survivors.values())))
    descent = roots.cte("descent", recursive=True)
    descent = descent.union_all(select(descent.c.root, one.customer_id).where(one.merged_into == descent.c.customer_id))
    families: dict[CustomerId, list[CustomerId]] = {}
    for root, member in await session.execute(select(descent.c.root, descent.c.customer_id)):
        families.setdefault(CustomerId(root), []).append(CustomerId(member))
    return {asked: (root, families[root]) for asked, root in survivors.items()}


def members(survivor: UUID) -> Select[UUID]:
    """Select the ids of a survivor and all that were merged into it, itself first."""
    descent = select(Customer.customer_id, literal(0).label("depth")).where(Customer.customer_id == survivor).cte("descent", recursive=True)
    descent = descent.union_all(select(Customer.customer_id, descent.c.depth + 1).where(Customer.merged_into == descent.c.customer_id))
    return select(descent.c.customer_id).order_by(descent.c.depth, descent.c.customer_id)
