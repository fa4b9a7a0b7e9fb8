"""Backtests that were asked for in the office: taken up within the minute, one after the other, by processes beside the scheduler."""

import os
import time
from datetime import datetime

import structlog

from jobs.job import Context, Job, minutely
from loyalty import clock
from loyalty.backtests.operations import backtests
from loyalty.backtests.operations.running import Edge
from loyalty.backtests.operations.running import run as run_backtest
from loyalty.db import transaction

_log = structlog.get_logger("jobs")


async def run(context: Context, now: datetime) -> int:
    """Run what waits; return how many were finished. One that fails is told on its page, and the others go on."""
    assert context.settings.database_url is not None, "the scheduler needs it"
    edge = Edge(clock.business_now, time.perf_counter)
    done = 0
    while True:
        async with transaction(context.sessions) as session:
            taken = await backtests.take(session, now=now if not done else edge.now())
        if taken is None:
            return done
        try:
            # One core is left to whoever serves.
            workers = max(1, (os.cpu_count() or 1) - 1)
            done += await run_backtest(context.sessions, dsn=context.settings.database_url, backtest=taken, workers=workers, edge=edge)
        except Exception as error:  # noqa: BLE001 - its own row says what; one fault does not keep the others waiting
            _log.error("backtest failed", backtest=str(taken.backtest_id), error=type(error).__qualname__)


JOB = Job(name="backtests", due={"minute": "*"}, period=minutely, run=run, when_starting=False)
