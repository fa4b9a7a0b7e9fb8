"""Whose record is whose: a customer is one record and all that were merged into it, whatever the depth.

Rooms that keep a `customer_id` keep it for ever; they read by the whole family (`customer_id = ANY(family)`), so that neither a merge nor
its undoing touches them.
"""

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
    climb = (
        select(Customer.customer_id, Customer.merged_into, literal(0).label("steps"))
        .where(Customer.customer_id == customer_id)
        .cte("climb", recursive=True)
    )
    climb = climb.union_all(
        select(Customer.customer_id, Customer.merged_into, climb.c.steps + 1).where(Customer.customer_id == climb.c.merged_into)
    )
    found = await session.scalar(select(climb.c.customer_id).order_by(climb.c.steps.desc()).limit(1))
    if found is None:
        raise CustomerNotFound
    return CustomerId(found)


async def family_of(session: AsyncSession, *, customer_id: UUID) -> list[CustomerId]:
    """Return every record of one customer, the one that stands for it first; what other rooms filter by.

    :raises CustomerNotFound: if there is no such customer
    """
    survivor = await survivor_of(session, customer_id=customer_id)
    return [CustomerId(each) for each in await session.scalars(members(survivor))]


def members(survivor: UUID) -> Select[UUID]:
    """Select the ids of a survivor and all that were merged into it, itself first."""
    descent = select(Customer.customer_id, literal(0).label("depth")).where(Customer.customer_id == survivor).cte("descent", recursive=True)
    descent = descent.union_all(select(Customer.customer_id, descent.c.depth + 1).where(Customer.merged_into == descent.c.customer_id))
    return select(descent.c.customer_id).order_by(descent.c.depth, descent.c.customer_id)
