"""A backtest's life: asked for, run by whoever takes it, told how far it is, cancelled, done. Only this writes its row."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.audit.operations import record
from loyalty.backtests.model import BACKTEST_MOVES, Backtest, BacktestStatus
from loyalty.backtests.queries.backtests import get_backtest_for_update
from loyalty.backtests.report import Report
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.pricing.queries.books import get_book

LOST_AFTER: Final = timedelta(minutes=2)
"""A backtest whose runner has not been heard of for so long is taken up anew: nothing of it was written but its progress."""
LONGEST: Final = timedelta(days=400)


class PeriodNotUsable(Refusal):
    """Not a period, too long, or not over yet."""

    status = 422
    zh = "回测期间须在过去且不超过 400 天。"
    en = "A backtest takes a past period of at most 400 days."
    next_zh = "请调整起止日期。"
    next_en = "Choose other dates."


class BacktestOver(Refusal):
    """Done, failed or cancelled already."""

    zh = "该回测已结束，不能取消。"
    en = "This backtest is over and cannot be cancelled."
    next_zh = "请刷新页面查看结果。"
    next_en = "Reload the page to see how it ended."


async def ask(
    session: AsyncSession,
    *,
    number: int,
    since: datetime,
    until: datetime,
    currency: str | None = None,
    actor: Actor,
    now: datetime,
) -> UUID:
    """Ask what a rulebook, whatever its status, would have cost over the sales booked in `[since, until)`; return the backtest's id.

    :param currency: which sales; none: those in the rulebook's own
    :raises RulebookNotFound: if there is none
    :raises PeriodNotUsable: if the period is empty, too long, or reaches into the future
    """
    if not since < until <= now or until - since > LONGEST:
        raise PeriodNotUsable
    book = await get_book(session, number=number)
    row = Backtest(
        backtest_id=uuid7(now),
        number=number,
        version=book.version,
        document=msgspec.to_builtins(book.document),
        currency=currency or book.document.currency,
        since=since,
        until=until,
        status=BacktestStatus.QUEUED,
        rows_done=0,
        rows_total=0,
        asked_by=UUID(str(actor.actor_id)) if actor.kind == ActorKind.STAFF else None,
        asked_at=now,
    )
    session.add(row)
    await session.flush()
    facts = {"number": number, "since": since, "until": until, "currency": row.currency}
    await record(session, actor=actor, action="backtests.asked", subject=("backtest", row.backtest_id), facts=facts, now=now)
    return row.backtest_id


async def cancel(session: AsyncSession, *, backtest_id: UUID, actor: Actor, now: datetime) -> None:
    """Stop a backtest; whoever runs it sees it within a second or two and leaves.

    :raises BacktestNotFound: if there is none
    :raises BacktestOver: if it has ended
    """
    row = await get_backtest_for_update(session, backtest_id=backtest_id)
    if BacktestStatus.CANCELLED not in BACKTEST_MOVES[row.status]:
        raise BacktestOver(backtest=backtest_id)
    await _move(session, row, BacktestStatus.CANCELLED, now=now)
    await record(session, actor=actor, action="backtests.cancelled", subject=("backtest", backtest_id), facts={}, now=now)


async def take(session: AsyncSession, *, backtest_id: UUID | None = None, now: datetime) -> Backtest | None:
    """Take up one that waits, the first asked or the one that is named; None where there is none. Two runners never take the same."""
    await _give_up_lost(session, now=now)
    statement = select(Backtest).where(Backtest.status == BacktestStatus.QUEUED)
    if backtest_id is not None:
        statement = statement.where(Backtest.backtest_id == backtest_id)
    statement = locked(statement.order_by(Backtest.asked_at, Backtest.backtest_id).limit(1)).with_for_update(skip_locked=True)
    row = (await session.scalars(statement)).one_or_none()
    if row is not None:
        row.started_at = row.beat_at = now
        row.rows_done = row.rows_total = 0
        await _move(session, row, BacktestStatus.RUNNING, now=now)
    return row


async def _give_up_lost(session: AsyncSession, *, now: datetime) -> None:
    lost = select(Backtest).where(Backtest.status == BacktestStatus.RUNNING, Backtest.beat_at < now - LOST_AFTER)
    for row in await session.scalars(locked(lost).with_for_update(skip_locked=True)):
        await _move(session, row, BacktestStatus.QUEUED, now=now)


async def beat(session: AsyncSession, *, backtest_id: UUID, rows_done: int, rows_total: int, now: datetime) -> bool:
    """Say how far it is; False where it was cancelled meanwhile, and there is nothing more to do."""
    changed = await session.execute(
        update(Backtest)
        .where(Backtest.backtest_id == backtest_id, Backtest.status == BacktestStatus.RUNNING)
        .values(rows_done=rows_done, rows_total=rows_total, beat_at=now)
        .returning(Backtest.backtest_id)
    )
    return changed.first() is not None


async def finish(session: AsyncSession, *, backtest_id: UUID, report: Report, now: datetime) -> None:
    """Keep the report; one that was cancelled at the last moment stays cancelled."""
    row = await get_backtest_for_update(session, backtest_id=backtest_id)
    if row.status is BacktestStatus.RUNNING:
        made: dict[str, Any] = msgspec.to_builtins(report)
        row.result = made
        row.rows_done = row.rows_total
        await _move(session, row, BacktestStatus.DONE, now=now)


async def fail(session: AsyncSession, *, backtest_id: UUID, problem: str, now: datetime) -> None:
    """Note that it could not be finished, and by what kind of fault."""
    row = await get_backtest_for_update(session, backtest_id=backtest_id)
    if row.status is BacktestStatus.RUNNING:
        row.problem = problem
        await _move(session, row, BacktestStatus.FAILED, now=now)


async def _move(session: AsyncSession, row: Backtest, to: BacktestStatus, *, now: datetime) -> None:
    assert to in BACKTEST_MOVES[row.status], "the caller asked under the row's lock"
    row.status = to
    if to in {BacktestStatus.DONE, BacktestStatus.FAILED, BacktestStatus.CANCELLED}:
        row.finished_at = now
    await session.flush()
