"""The forecourt's list of finished, unpaid fills: fed by the pumps, locked while somebody pays, struck off when paid otherwise."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.authorizations.model import FILL_MOVES, Fill, FillStatus
from loyalty.errors import NotFound, Refusal
from loyalty.ids import uuid7

LOCK_FOR: Final = timedelta(seconds=120)
"""How long a fill waits for the phone (decisions.md)."""


class FillNotFound(NotFound):
    """Unknown, or another station's: the answer is the same."""

    zh = "本站没有这笔加油记录。"
    en = "This station has no such fill."


class FillCannotMove(Refusal):
    """Its present status does not lead there."""

    zh = "该笔加油状态为 {status}，不能变为 {to}。"
    en = "The fill is {status}; it cannot become {to}."
    next_zh = "请刷新加油列表。"
    next_en = "Reload the list of fills."


class FillReportedOtherwise(Refusal):
    """The pump's reference stands for another fill already."""

    zh = "加油机流水 {pump_reference} 已有一笔不同的记录。"
    en = "The pump's reference {pump_reference} already stands for another fill."
    next_zh = "请核对加油机流水号。"
    next_en = "Check the pump's own number."


async def record_fill(
    session: AsyncSession,
    *,
    station_id: UUID,
    pump_reference: str,
    nozzle: int,
    product_id: UUID,
    quantity_milli: int,
    unit_price_e4: int,
    amount_minor: int,
    finished_at: datetime,
    now: datetime,
) -> Fill:
    """Put a finished fill on the list; reported again, it stands once.

    :raises FillReportedOtherwise: if the reference stands for another fill
    """
    facts = {
        "nozzle": nozzle,
        "product_id": product_id,
        "quantity_milli": quantity_milli,
        "unit_price_e4": unit_price_e4,
        "amount_minor": amount_minor,
    }
    row = {"fill_id": uuid7(now), "station_id": station_id, "pump_reference": pump_reference, "status": FillStatus.UNPAID}
    await session.execute(
        upsert(Fill)
        .values(**row, **facts, finished_at=finished_at)
        .on_conflict_do_nothing(index_elements=[Fill.station_id, Fill.pump_reference])
    )
    statement = select(Fill).where(Fill.station_id == station_id, Fill.pump_reference == pump_reference)
    fill = (await session.scalars(statement.execution_options(populate_existing=True))).one()
    if any(getattr(fill, name) != value for name, value in facts.items()):
        raise FillReportedOtherwise(pump_reference=pump_reference)
    return fill


async def get_fill_for_update(session: AsyncSession, *, fill_id: UUID, station_id: UUID) -> Fill:
    """Lock and return a fill of the station.

    :raises FillNotFound: if it has none such
    """
    statement = select(Fill).where(Fill.fill_id == fill_id, Fill.station_id == station_id)
    fill: Fill | None = await session.scalar(statement.with_for_update(key_share=True).execution_options(populate_existing=True))
    if fill is None:
        raise FillNotFound(fill=fill_id)
    return fill


async def lock_fill(session: AsyncSession, *, fill_id: UUID, station_id: UUID, now: datetime, until: datetime | None = None) -> Fill:
    """Keep an unpaid fill for who is about to pay it, 120 seconds unless said otherwise; a lock that ran out counts as none.

    :raises FillNotFound: if the station has none such
    :raises FillCannotMove: if it is paid, struck off, or locked by somebody else
    """
    fill = await get_fill_for_update(session, fill_id=fill_id, station_id=station_id)
    lapsed = fill.status == FillStatus.LOCKED and fill.locked_until is not None and fill.locked_until <= now
    if not lapsed:
        require_fill_move(fill, FillStatus.LOCKED)
    fill.status = FillStatus.LOCKED
    fill.locked_until = until or now + LOCK_FOR
    await session.flush()
    return fill


async def unlock_fill(session: AsyncSession, *, fill_id: UUID, station_id: UUID) -> Fill:
    """Put a locked fill back on the list; one that is not locked stays as it is.

    :raises FillNotFound: if the station has none such
    """
    fill = await get_fill_for_update(session, fill_id=fill_id, station_id=station_id)
    if fill.status == FillStatus.LOCKED:
        fill.status, fill.locked_until = FillStatus.UNPAID, None
        await session.flush()
    return fill


async def move_fill(
    session: AsyncSession, *, fill_id: UUID, station_id: UUID, to: FillStatus, actor: Actor, reason: str, now: datetime
) -> Fill:
    """Strike a fill off the list, paid otherwise (OTHER) or a pump test (TEST), or take that back (UNPAID).

    :raises FillNotFound: if the station has none such
    :raises FillCannotMove: if its status does not lead there; a paid one goes back only by voiding its sale
    """
    assert to in {FillStatus.OTHER, FillStatus.TEST, FillStatus.UNPAID}, "locks and payments have operations of their own"
    fill = await get_fill_for_update(session, fill_id=fill_id, station_id=station_id)
    if fill.status == FillStatus.PAID:
        raise FillCannotMove(status="paid", to=to.name.lower())
    require_fill_move(fill, to)
    before = FillStatus(fill.status)
    fill.status, fill.locked_until = to, None
    await audit.record(
        session,
        actor=actor,
        action="authorizations.fill_moved",
        subject=("fill", fill_id),
        facts={"from": before.name.lower(), "to": to.name.lower(), "amount_minor": fill.amount_minor, "reason": reason},
        station_id=station_id,
        now=now,
    )
    await session.flush()
    return fill


def require_fill_move(fill: Fill, to: FillStatus) -> None:
    """Hold the table of moves.

    :raises FillCannotMove: if the fill's status does not lead there
    """
    if to not in FILL_MOVES[FillStatus(fill.status)]:
        raise FillCannotMove(status=FillStatus(fill.status).name.lower(), to=to.name.lower())
