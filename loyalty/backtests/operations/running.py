"""Running a backtest: the plain aggregate first, then pass after pass by the workers, then the report.

Nothing is written but the backtest's own row, and no transaction lives while the workers read. A pass asks every sale as if no budget ran
out; where one does, the next pass knows at which sale, so that what a budget's end changes is asked again. The result does not depend on
how many workers there are.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from loyalty.backtests.asking import Asks
from loyalty.backtests.model import Backtest
from loyalty.backtests.orders import Order, opened
from loyalty.backtests.processes import Finish, Slice, Sliced, Spending, Worker, hire
from loyalty.backtests.queries import live
from loyalty.backtests.queries.rows import Part
from loyalty.backtests.queries.world import read_order
from loyalty.backtests.replaying import Cut, Sums
from loyalty.backtests.report import (
    DayLine,
    Report,
    RuleLine,
    Side,
    Speed,
    budgets_of,
    changes_of,
    draft_side,
    first_to_run_out,
    parties_of,
    rules_of,
    side,
)
from loyalty.db import Sessions, transaction
from loyalty.pricing.document import Document

from . import backtests

_SLICE_ROWS: Final = 25_000
_BEAT_S: Final = 0.5
_DAY: Final = timedelta(days=1)
_MONTH: Final = timedelta(days=31)


class Edge(NamedTuple):
    """What only the edge knows: the business instant, and a stopwatch in seconds."""

    now: Callable[[], datetime]
    seconds: Callable[[], float]


class Cancelled(Exception):  # noqa: N818 - somebody's wish, not an error
    """The backtest was cancelled while it ran."""


class _Job(NamedTuple):
    """A backtest in hand."""

    backtest: Backtest
    document: Document
    order: Order
    asks: Asks
    slices: list[Slice]
    rows: int
    gross_minor: int
    live: Side
    aggregate_s: float


async def run(sessions: Sessions, *, dsn: str, backtest: Backtest, workers: int, edge: Edge) -> bool:
    """Run a backtest that was taken to its end; False where it was cancelled or failed.

    :param dsn: the database of `sessions`, for the workers' own connections
    :param workers: processes; 0 for none but this one
    """
    identity = backtest.backtest_id
    try:
        report = await _report(sessions, dsn, backtest, workers, edge)
    except Cancelled:
        return False
    except Exception as error:
        problem = f"{type(error).__module__}.{type(error).__qualname__}"
        async with transaction(sessions) as session:
            await backtests.fail(session, backtest_id=identity, problem=problem, now=edge.now())
        raise
    async with transaction(sessions) as session:
        await backtests.finish(session, backtest_id=identity, report=report, now=edge.now())
    return True


async def _report(sessions: Sessions, dsn: str, backtest: Backtest, workers: int, edge: Edge) -> Report:
    job = await _prepare(sessions, dsn, backtest, edge)
    cuts: dict[UUID, Cut] = {}
    started = edge.seconds()
    passes = 0
    while True:
        parts, days, cut = await _pass(sessions, job, cuts, passes, workers, edge)
        passes += 1
        if cut is None:
            break
        cuts[cut[0]] = cut[1]
    replay_s = edge.seconds() - started
    aggregate_s = min(job.aggregate_s, (await _aggregate(sessions, backtest, edge))[1])
    parties = parties_of(parts)
    changes = changes_of(parties)
    rows = sum(part.rows for part in parts)
    per_s = rows * passes / max(replay_s, 1e-6)
    speed = Speed(
        rows_per_s=round(per_s),
        replay_ms=round(replay_s * 1000),
        passes=passes,
        workers=max(workers, 1),
        aggregate_ms=max(round(aggregate_s * 1000), 1),
        ratio_e4=round(10_000 * per_s * aggregate_s / rows) if rows else 0,
    )
    return Report(
        number=backtest.number,
        currency=backtest.currency,
        since=backtest.since,
        until=backtest.until,
        rows=rows,
        gross_minor=job.gross_minor,
        parties=len(parties),
        live=msgspec.structs.replace(job.live, parties=sum(1 for saved, _ in parties.values() if saved > 0)),
        draft=draft_side(job.document, rules_of(parts), parties),
        **changes._asdict(),
        days=days,
        budgets=budgets_of(job.document, parts, cuts),
        notes=_notes(job.asks),
        speed=speed,
    )


def _notes(asks: Asks) -> list[str]:
    """Return what the reader must know about how the figures were made."""
    told = {
        "customers_as_now": bool(asks.named or asks.dated),
        "counters_from_zero": bool(asks.counters),
        "budgets_from_full": bool(asks.budgets),
    }
    return [note for note, is_so in told.items() if is_so]


async def _aggregate(sessions: Sessions, backtest: Backtest, edge: Edge) -> tuple[live.Whole, float]:
    """Add the rows up, a month a transaction: none lives longer than transactions may."""
    whole, spent = live.Whole(0, 0, 0), 0.0
    for since, until in _cut(backtest.since, backtest.until, _MONTH):
        async with transaction(sessions) as session:
            started = edge.seconds()
            found = await live.aggregate(session, currency=backtest.currency, since=since, until=until)
            spent += edge.seconds() - started
        whole = live.Whole(*(one + more for one, more in zip(whole, found, strict=True)))
    return whole, spent


async def _given_live(sessions: Sessions, backtest: Backtest) -> Side:
    """Read what the live rules gave, a day a transaction."""
    lines: dict[tuple[str, str], RuleLine] = {}
    borne: dict[tuple[str, str], int] = {}
    for since, until in _cut(backtest.since, backtest.until, _DAY):
        async with transaction(sessions) as session:
            for line in await live.live_rules(session, currency=backtest.currency, since=since, until=until):
                known = lines.get((line.rule, line.kind))
                lines[line.rule, line.kind] = line if known is None else line.with_more(known)
            for key, amount in (await live.live_funders(session, currency=backtest.currency, since=since, until=until)).items():
                borne[key] = borne.get(key, 0) + amount
    return side(lines.values(), borne, 0)


async def _prepare(sessions: Sessions, dsn: str, backtest: Backtest, edge: Edge) -> _Job:
    """Read what workers need, how many rows there are, and what the live rules gave."""
    whole, aggregate_s = await _aggregate(sessions, backtest, edge)
    currency, since, until = backtest.currency, backtest.since, backtest.until
    document = msgspec.convert(backtest.document, Document, strict=False)
    async with transaction(sessions) as session:
        order = await read_order(session, dsn=dsn, number=backtest.number, document=document, currency=currency, since=since, until=until)
    asks, _, _ = opened(order)
    # Counters ask that each party's sales meet one worker, in their order; else any worker takes the next hours.
    order = order._replace(part=Part(0, 1) if asks.counters else None)
    # The column is what was booked; sales of the release before the rulebooks name no rule.
    live_side = msgspec.structs.replace(await _given_live(sessions, backtest), discount_minor=whole.discount_minor)
    slices = list(_slices(since, until, whole.rows))
    return _Job(backtest, document, order, asks, slices, whole.rows, whole.gross_minor, live_side, aggregate_s)


def _slices(since: datetime, until: datetime, rows: int) -> Iterator[Slice]:
    """Cut the period into days, and these where they hold many rows."""
    days = max((until - since) / _DAY, 1)
    parts = max(1, round(rows / days / _SLICE_ROWS))
    for begin, end in _cut(since, until, _DAY / parts):
        yield Slice(begin, end)


def _cut(since: datetime, until: datetime, step: timedelta) -> Iterator[tuple[datetime, datetime]]:
    while since < until:
        end = min(since + step, until)
        yield since, end
        since = end


async def _pass(
    sessions: Sessions, job: _Job, cuts: dict[UUID, Cut], passes: int, workers: int, edge: Edge
) -> tuple[list[Sums], list[DayLine], tuple[UUID, Cut] | None]:
    """Ask all sales once; return the sums, or the next cut where a budget ran out that nobody knew of."""
    progress = _Progress(sessions, job, passes, edge)
    hired = hire(job.order._replace(cuts=dict(cuts)), workers)
    try:
        shared = iter(job.slices)
        queues = [iter(job.slices) if job.order.part else shared for _ in hired]
        drives = [_drive(worker, queue, progress) for worker, queue in zip(hired, queues, strict=True)]
        for ended in await asyncio.gather(*drives, return_exceptions=True):
            if ended is not None:
                raise ended
        if progress.is_cancelled:
            raise Cancelled
        spending: dict[UUID, list[tuple[bytes, int]]] = {}
        for budget in job.asks.budgets:
            answers = await asyncio.gather(*(worker.ask(Spending(budget)) for worker in hired))
            spending[budget] = list(itertools.chain.from_iterable(answers))
        cut = first_to_run_out(spending, job.asks.budgets, cuts)
        if cut is not None:
            return [], [], cut
        parts: list[Sums] = await asyncio.gather(*(worker.ask(Finish()) for worker in hired))
        return parts, progress.days(), None
    finally:
        await asyncio.gather(*(worker.leave() for worker in hired))


class _Progress:
    """How far a pass is; told to the backtest's row now and then, which answers whether to go on."""

    def __init__(self, sessions: Sessions, job: _Job, passes: int, edge: Edge) -> None:
        self._sessions = sessions
        self._job = job
        self._edge = edge
        self._before = job.rows * passes
        self._total = job.rows * (passes + 1)
        self._done = 0
        self._told_at = -_BEAT_S
        self._sums: dict[datetime, tuple[int, int, int]] = {}
        self._lock = asyncio.Lock()
        self.is_cancelled = False
        self.is_over = False
        """Cancelled, or a worker was lost: nobody takes a further slice."""

    async def done(self, wanted: Slice, answer: Sliced) -> None:
        """Note a slice."""
        rows, live_minor, draft_minor = self._sums.get(wanted.since, (0, 0, 0))
        self._sums[wanted.since] = rows + answer.rows, live_minor + answer.live_minor, draft_minor + answer.draft_minor
        self._done += answer.rows
        async with self._lock:
            if self._edge.seconds() - self._told_at < _BEAT_S and self._done < self._total - self._before:
                return
            self._told_at = self._edge.seconds()
            async with transaction(self._sessions) as session:
                is_ours = await backtests.beat(
                    session,
                    backtest_id=self._job.backtest.backtest_id,
                    rows_done=self._before + self._done,
                    rows_total=max(self._total, self._before + self._done),
                    now=self._edge.now(),
                )
            if not is_ours:
                self.is_cancelled = self.is_over = True

    def days(self) -> list[DayLine]:
        """Return the slices in their order."""
        return [DayLine(since, *sums) for since, sums in sorted(self._sums.items())]


async def _drive(worker: Worker, slices: Iterator[Slice], progress: _Progress) -> None:
    try:
        for wanted in slices:
            if progress.is_over:
                return
            await progress.done(wanted, await worker.ask(wanted))
    except BaseException:
        progress.is_over = True
        raise
