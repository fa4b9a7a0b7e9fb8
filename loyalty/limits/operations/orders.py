"""Orders of a company's own system: made, cancelled, and moved on by what was taken on them.

How much of an order is used its counter says, which the pump's batch guards: two pumps at once cannot both take it. The status follows it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.limits.model import ORDER_MOVES, FuelOrder, OrderStatus
from loyalty.limits.queries_orders import OrderNotFound


class OrderNotSound(Refusal):
    """An order of nothing, of both money and litres, or for a time that is over."""

    status = 422
    zh = "加油单 {number} 的 {field} 不正确。"
    en = "The {field} of order {number} is not right."
    next_zh = "请改正后再提交。"
    next_en = "Correct it and submit again."


class OrderNumberTaken(Refusal):
    """A number is one order's for good: it stands in fills."""

    status = 409
    zh = "加油单号 {number} 已被使用。"
    en = "There is an order with the number {number} already."
    next_zh = "请换一个单号。"
    next_en = "Choose another number."


class OrderCannotMove(Refusal):
    """Its status does not lead there."""

    status = 409
    zh = "加油单 {number} 当前为 {status}，不能改为 {to}。"
    en = "Order {number} is {status} and cannot become {to}."
    next_zh = "请刷新页面。"
    next_en = "Load the page again."


class NewOrder(NamedTuple):
    """An order as it is asked for: minor units or thousandths, one of both. What is None does not bind it.

    `keeps_rest`: what the first fill leaves may be taken by another; else it goes back to the limits and the order is done.
    """

    number: str
    valid_from: datetime
    valid_until: datetime
    amount_minor: int | None = None
    quantity_milli: int | None = None
    product_code: str | None = None
    station_id: UUID | None = None
    chain_id: UUID | None = None
    vehicle_id: UUID | None = None
    keeps_rest: bool = False
    note: str | None = None


async def add_orders(
    session: AsyncSession, *, company_id: UUID, account_id: UUID, orders: Sequence[NewOrder], actor: Actor, now: datetime
) -> list[UUID]:
    """Make a company's orders, all or none, and return their ids in order. The caller has checked that vehicle and card are the company's.

    :raises OrderNotSound: if one says nothing, or something that cannot be
    :raises OrderNumberTaken: if the company has or had an order of a number, or two have the same
    """
    for order in orders:
        _refuse_unsound(order, now)
    numbers = [order.number for order in orders]
    taken = set(await session.scalars(select(FuelOrder.number).where(FuelOrder.company_id == company_id, FuelOrder.number.in_(numbers))))
    for place, number in enumerate(numbers):
        if number in taken or number in numbers[:place]:
            raise OrderNumberTaken(number=number)
    rows = [
        {
            "order_id": uuid7(now),
            "company_id": company_id,
            "account_id": account_id,
            "status": OrderStatus.OPEN,
            **order._asdict(),
            "created_by_kind": actor.kind.value,
            "created_by_id": str(actor.actor_id),
            "created_at": now,
            "ended_at": None,
        }
        for order in orders
    ]
    if rows:
        await session.execute(insert(FuelOrder), rows)
        facts = {"count": len(rows), "first": numbers[0], "last": numbers[-1]}
        await audit.record(session, actor=actor, action="limits.orders_made", subject=("company", company_id), facts=facts, now=now)
    return [row["order_id"] for row in rows]


async def cancel_order(session: AsyncSession, *, company_id: UUID, order_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Cancel an order that is open; a fill that has begun on it ends as it would.

    :raises OrderNotFound: if the company has no such order
    :raises OrderCannotMove: if it is not open
    """
    row: FuelOrder | None = await session.scalar(locked(select(FuelOrder).where(FuelOrder.order_id == order_id)))
    if row is None or row.company_id != company_id:
        raise OrderNotFound(order=order_id)
    if OrderStatus.CANCELLED not in ORDER_MOVES[row.status]:
        raise OrderCannotMove(number=row.number, status=row.status.value, to=OrderStatus.CANCELLED.value)
    row.status, row.ended_at = OrderStatus.CANCELLED, now
    await session.flush()
    facts = {"number": row.number, "reason": reason}
    await audit.record(session, actor=actor, action="limits.order_cancelled", subject=("fuel_order", order_id), facts=facts, now=now)


async def use_late(session: AsyncSession, *, order_id: UUID, actor: Actor, now: datetime) -> None:
    """Move an order that has expired since to used: it was fuelled on in time, told of only now. Of any other the job moves the status."""
    row: FuelOrder | None = await session.scalar(locked(select(FuelOrder).where(FuelOrder.order_id == order_id)))
    if row is None or OrderStatus.USED not in ORDER_MOVES[row.status] or row.status is OrderStatus.OPEN:
        return
    row.status = OrderStatus.USED
    await session.flush()
    facts = {"number": row.number, "late": True}
    await audit.record(session, actor=actor, action="limits.order_used", subject=("fuel_order", order_id), facts=facts, now=now)


async def settle_orders(session: AsyncSession, *, now: datetime) -> int:
    """Let the status of orders follow what was taken on them, and what has passed; return how many moved. A job calls it every minute."""
    moved = await session.execute(
        text(
            """
            UPDATE fuel_orders o SET status = n.status, ended_at = CASE WHEN n.status = 'open' THEN NULL ELSE :now END
            FROM (
                SELECT o.order_id, CASE
                    WHEN w.count > 0 AND (NOT o.keeps_rest OR w.amount_minor >= o.amount_minor OR w.quantity_milli >= o.quantity_milli)
                        THEN 'used'
                    WHEN o.valid_until <= :now THEN CASE WHEN w.count > 0 THEN 'used' ELSE 'expired' END
                    ELSE 'open' END AS status
                FROM fuel_orders o
                LEFT JOIN level_counters w ON w.account_id = o.account_id AND w.subject_id = o.order_id AND w."window" = 0
                WHERE o.status = 'open' OR (o.status = 'used' AND o.valid_until > :now)
            ) n
            WHERE n.order_id = o.order_id AND n.status <> o.status
            """
        ),
        {"now": now},
    )
    return int(moved.rowcount)  # type: ignore[attr-defined]  # an UPDATE has one


def _refuse_unsound(order: NewOrder, now: datetime) -> None:
    sizes = [size for size in (order.amount_minor, order.quantity_milli) if size is not None]
    wrong = {
        "number": not (0 < len(order.number) <= 32 and order.number.isascii() and all(c.isalnum() or c in "._/-" for c in order.number)),
        "size": len(sizes) != 1 or sizes[0] <= 0,
        "valid_until": order.valid_until <= max(now, order.valid_from),
    }
    for field, is_wrong in wrong.items():
        if is_wrong:
            raise OrderNotSound(number=order.number, field=field)
