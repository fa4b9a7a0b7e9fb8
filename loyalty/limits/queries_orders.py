"""Reading orders: a company's list, or one, each with what was taken on it."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.errors import NotFound
from loyalty.paging import PAGE_SIZE, Page, keys_for, page

from .model import FuelOrder, LevelCounter, OrderStatus


class OrderNotFound(NotFound):
    """Unknown, or another company's: the answer is the same."""

    zh = "没有找到该加油单。"
    en = "There is no such order."


class OrderView(NamedTuple):
    """An order and what was taken on it, minor units and thousandths."""

    row: FuelOrder
    used_minor: int
    used_milli: int
    fills: int


async def list_orders(
    session: AsyncSession,
    *,
    company_id: UUID,
    status: OrderStatus | None = None,
    text: str = "",
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[OrderView]:
    """Read a page of a company's orders, the latest first; `text`: how the number begins."""
    statement = select(FuelOrder).where(FuelOrder.company_id == company_id)
    if status is not None:
        statement = statement.where(FuelOrder.status == status)
    if text:
        statement = statement.where(FuelOrder.number.startswith(text, autoescape=True))
    found = await page(
        session,
        statement,
        keys=keys_for("-order_id", {"order_id": FuelOrder.order_id}, unique=FuelOrder.order_id),
        cursor=cursor,
        limit=limit,
    )
    return Page(rows=await _taken(session, found.rows), next=found.next, previous=found.previous)


async def get_order(session: AsyncSession, *, company_id: UUID, order_id: UUID) -> OrderView:
    """Return one order of a company.

    :raises OrderNotFound: if there is none
    """
    row = await session.scalar(select(FuelOrder).where(FuelOrder.company_id == company_id, FuelOrder.order_id == order_id))
    if row is None:
        raise OrderNotFound(order=order_id)
    return (await _taken(session, [row]))[0]


async def _taken(session: AsyncSession, rows: Sequence[FuelOrder]) -> list[OrderView]:
    used = select(LevelCounter).where(
        LevelCounter.account_id.in_({row.account_id for row in rows}),
        LevelCounter.subject_id.in_([row.order_id for row in rows]),
        LevelCounter.window == 0,
    )
    by_order = {one.subject_id: one for one in await session.scalars(used)} if rows else {}
    return [
        OrderView(row, 0, 0, 0) if one is None else OrderView(row, one.amount_minor, one.quantity_milli, one.count)
        for row in rows
        for one in (by_order.get(row.order_id),)
    ]
