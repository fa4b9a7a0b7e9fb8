"""Backtests as people look at them."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.backtests.model import Backtest, BacktestStatus
from loyalty.backtests.report import Report
from loyalty.customers.model import Customer
from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.identity.model import Staff
from loyalty.paging import PAGE_SIZE, Key, Page, one_as, page_as


class BacktestNotFound(NotFound):
    zh = "没有找到该回测。"
    en = "There is no such backtest."


class BacktestLine(msgspec.Struct, frozen=True):
    """A backtest in a list. Rows are over all passes; the total is known once it runs."""

    backtest_id: UUID
    number: int
    version: int
    currency: str
    since: datetime
    until: datetime
    status: BacktestStatus
    rows_done: int
    rows_total: int
    asked_by_name: str | None
    asked_at: datetime
    started_at: datetime | None
    beat_at: datetime | None
    finished_at: datetime | None
    problem: str | None


class BacktestView(BacktestLine, frozen=True):
    """With its report, once it is done."""

    report: Report | None


def _lines() -> Select[*tuple[Any, ...]]:
    return select(
        Backtest.backtest_id,
        Backtest.number,
        Backtest.version,
        Backtest.currency,
        Backtest.since,
        Backtest.until,
        Backtest.status,
        Backtest.rows_done,
        Backtest.rows_total,
        Staff.name.label("asked_by_name"),
        Backtest.asked_at,
        Backtest.started_at,
        Backtest.beat_at,
        Backtest.finished_at,
        Backtest.problem,
    ).outerjoin(Staff, Staff.staff_id == Backtest.asked_by)


async def list_backtests(
    session: AsyncSession, *, number: int | None = None, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[BacktestLine]:
    """Read a page of backtests, of one rulebook or of all, the latest asked first.

    :raises CursorNotUnderstood, PageSizeOutOfRange: as `paging.page`
    """
    statement = _lines()
    if number is not None:
        statement = statement.where(Backtest.number == number)
    keys = [Key(Backtest.asked_at, descending=True), Key(Backtest.backtest_id)]
    return await page_as(session, BacktestLine, statement, keys=keys, cursor=cursor, limit=limit)


async def get_backtest(session: AsyncSession, *, backtest_id: UUID) -> BacktestView:
    """Return one backtest, with its report where it is done.

    :raises BacktestNotFound: if there is none
    """
    line = await one_as(session, BacktestLine, _lines().where(Backtest.backtest_id == backtest_id))
    if line is None:
        raise BacktestNotFound(backtest=backtest_id)
    result = await session.scalar(select(Backtest.result).where(Backtest.backtest_id == backtest_id))
    report = None if result is None else msgspec.convert(result, Report, strict=False)
    return BacktestView(**msgspec.structs.asdict(line), report=report)


async def get_backtest_for_update(session: AsyncSession, *, backtest_id: UUID) -> Backtest:
    """Lock and return one backtest.

    :raises BacktestNotFound: if there is none
    """
    row = (await session.scalars(locked(select(Backtest).where(Backtest.backtest_id == backtest_id)))).one_or_none()
    if row is None:
        raise BacktestNotFound(backtest=backtest_id)
    return row


async def names_of_parties(session: AsyncSession, *, parties: list[UUID]) -> dict[UUID, str]:
    """Return the customers among the parties, by name; accounts that are nobody's have none."""
    rows = await session.execute(select(Customer.customer_id, Customer.name).where(Customer.customer_id.in_(parties)))
    return {row.customer_id: row.name for row in rows}
