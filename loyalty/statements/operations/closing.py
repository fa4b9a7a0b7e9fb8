"""The prints of a receipt counted; closing: business days, accounting periods, and the seal on a period that can no longer change."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.clock import day_bounds, local_date, period_of
from loyalty.db import TRANSACTION_SECONDS
from loyalty.errors import Refusal
from loyalty.ids import instant_of
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import Period, Transfer
from loyalty.ledger.queries import require_settled
from loyalty.statements.model import ClosedDay, PeriodSeal, ReceiptKind, ReceiptPrint
from loyalty.statements.queries import picture_of_period, prints_of

_DAYS_LOCK = 0x64617973


class BusinessDayNotOver(Refusal):
    """A day closes after its last instant."""

    zh = "{day} 尚未结束，不能生成日终余额。"
    en = "{day} is not over yet: its closing balances cannot be written."
    next_zh = "请在当地时间 24:00 之后再试。"
    next_en = "Close it after midnight, local time."


class DayBeforeStillOpen(Refusal):
    """Days close one after the other."""

    zh = "{expected} 尚未日结，请先结该日。"
    en = "{expected} is not closed yet; days close one after the other."
    next_zh = "请按日期顺序日结。"
    next_en = "Close that day first."


async def count_print(
    session: AsyncSession, *, kind: ReceiptKind, subject_id: UUID, terminal_id: UUID, staff_id: UUID, now: datetime
) -> int:
    """Note that a receipt is printed, and return how many times it was before: 0 is the original, any other a copy of that number."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"receipt:{kind}:{subject_id}", 13))))
    before = await prints_of(session, kind=kind, subject_id=subject_id)
    await session.execute(
        insert(ReceiptPrint).values(
            kind=kind, subject_id=subject_id, copy=before + 1, printed_at=now, terminal_id=terminal_id, staff_id=staff_id
        )
    )
    return before


async def close_business_day(session: AsyncSession, *, day: date, zone: str, now: datetime) -> int:
    """Write the closing balance of every purse that moved on a day of the issuer's `zone`; return how many. Said twice, done once.

    :raises BusinessDayNotOver: if the day has not ended
    :raises DayBeforeStillOpen: if the day before is not closed
    :raises InstantNotSettled: if a transaction that began before the day's end still runs
    """
    await session.execute(select(func.pg_advisory_xact_lock(_DAYS_LOCK)))
    known = await session.get(ClosedDay, day)
    if known is not None:
        return known.purses
    starts_at, ends_at = day_bounds(day, zone)
    if now < ends_at:
        raise BusinessDayNotOver(day=day.isoformat())
    expected = await next_day_to_close(session, zone=zone)
    if expected is not None and expected != day:
        raise DayBeforeStillOpen(expected=expected.isoformat())
    await require_settled(session, instant=ends_at)
    before = await session.scalar(select(func.max(ClosedDay.ends_at)))
    # The first day takes in whatever came before it: imported history, say.
    purses = await ledger.close_day(session, day=day, starts_at=starts_at if before is None else before, ends_at=ends_at)
    await session.execute(
        insert(ClosedDay).values(day=day, zone=zone, starts_at=before or starts_at, ends_at=ends_at, purses=purses, closed_at=now)
    )
    return purses


async def next_day_to_close(session: AsyncSession, *, zone: str) -> date | None:
    """Return the day that is closed next: the one after the last closed, else that of the first transfer; None without transfers."""
    last: date | None = await session.scalar(select(func.max(ClosedDay.day)))
    if last is not None:
        return last + timedelta(days=1)
    first = await session.scalar(select(Transfer.transfer_id).order_by(Transfer.transfer_id).limit(1))
    return None if first is None else local_date(instant_of(first), zone)


async def close_period_due(session: AsyncSession, *, zone: str, actor: Actor, now: datetime) -> int | None:
    """Close the accounting period when its month is over in the issuer's `zone`, and open the present month's; return the closed one."""
    if not await session.scalar(select(func.count()).select_from(Period)):
        return None
    opens = period_of(local_date(now, zone))
    closed = await ledger.close_period(session, opens=opens, now=now)
    if closed is not None:
        await audit.record(
            session, actor=actor, action="statements.period_closed", subject=("period", str(closed)), facts={"opened": opens}, now=now
        )
    return closed


async def seal_periods(session: AsyncSession, *, actor: Actor, now: datetime) -> list[int]:
    """Keep what each closed period looks like, once nothing that ran when it was closed can still book in it; return the sealed ones."""
    settled = now - timedelta(seconds=2 * TRANSACTION_SECONDS)
    sealed = select(PeriodSeal.period)
    due = select(Period).where(Period.closed_at < settled, Period.period.not_in(sealed)).order_by(Period.period)
    done: list[int] = []
    for period in (await session.scalars(due)).all():
        picture = await picture_of_period(session, period=period.period)
        session.add(
            PeriodSeal(period=period.period, transfers=picture.transfers, totals=picture.totals, digest=picture.digest, sealed_at=now)
        )
        facts = {"transfers": picture.transfers, "digest": picture.digest.hex()}
        await audit.record(
            session, actor=actor, action="statements.period_sealed", subject=("period", str(period.period)), facts=facts, now=now
        )
        done.append(period.period)
    await session.flush()
    return done
