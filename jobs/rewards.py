"""What sales and top-ups granted: collected every minute, posted in time, taken back with refunds; points run out at night."""

from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.job import Context, Job, daily, minutely
from jobs.steps import Spans, Stepped
from loyalty.db import transaction
from loyalty.errors import Refusal
from loyalty.policy import load_policy
from loyalty.rewards.operations.grant_returns import Unmirrored, find_refunds, mirror_refund, next_refunds, refunds_done
from loyalty.rewards.operations.grants import SOURCES, Source, activate_due, collect, collect_next, settle_days
from loyalty.rewards.operations.points import expire_due, reckon_liability
from loyalty.rewards.operations.things import COLLECTOR, hand_out_due
from loyalty.rewards.operations.voucher_tenders import settle_vouchers

_SPANS: Final = Spans(first=timedelta(hours=1), least=timedelta(minutes=1), few=2_000, many=10_000)
_BATCH: Final = 2_000
_SWEPT: Final = timedelta(days=40)
"""How far back the night's run looks at everything again: what an import or a long outage wrote behind the marks is found."""
_LAPSED_SINCE: Final = timedelta(days=400)
_log = structlog.get_logger("jobs")


async def run(context: Context, now: datetime) -> int:
    """Collect, take back, post and hand out what there is by `now`, a chunk a transaction; return how many things were done."""
    until = now + timedelta(milliseconds=1)
    done = 0
    for source in SOURCES:
        done += await _collect(context, source, until=until, now=now)
    async with transaction(context.sessions) as session:
        waiting = await next_refunds(session, until=until)
    done += await _mirror(context, waiting, now=now)
    async with transaction(context.sessions) as session:
        await refunds_done(session, until=until)
    async with transaction(context.sessions) as session:
        done += await settle_vouchers(session, until=until, actor=COLLECTOR, now=now)
    return done + await _post(context, now=now)


async def run_nightly(context: Context, now: datetime) -> int:
    """Look again at the last weeks, then let points run out; return how many grants were found and lots emptied."""
    done, since = 0, now - _SWEPT
    while since < now:
        until = min(since + timedelta(hours=6), now)
        async with transaction(context.sessions) as session:
            for source in SOURCES:
                done += await collect(session, source=source, since=since, until=until, zone=context.settings.zone, now=now)
        since = until
    async with transaction(context.sessions) as session:
        waiting = await find_refunds(session, since=now - _SWEPT, until=now)
    done += await _mirror(context, waiting, now=now)
    done += await _post(context, now=now)
    while True:
        async with transaction(context.sessions) as session:
            lots, _ = await expire_due(session, now=now, since=now - _LAPSED_SINCE, most=_BATCH)
        done += lots
        if lots < _BATCH:
            break
    async with transaction(context.sessions) as session:
        await reckon_liability(session, zone=context.settings.zone, now=now)
    return done


async def _collect(context: Context, source: Source, *, until: datetime, now: datetime) -> int:
    """Go on from the mark to `until` in spans that hold neither too few rows nor too many."""

    async def step(session: AsyncSession, span: timedelta) -> Stepped:
        progress = await collect_next(session, source=source, span=span, until=until, zone=context.settings.zone, now=now)
        return Stepped(progress.made, progress.made, progress.is_done)

    return await _SPANS.run(context, step)


async def _mirror(context: Context, waiting: list[Unmirrored], *, now: datetime) -> int:
    """Take back what each refund says, each in a transaction: one that cannot be is left to the checks, and the others go on."""
    policy = load_policy(context.settings.policy)
    done = 0
    for one in waiting:
        try:
            async with transaction(context.sessions) as session:
                done += await mirror_refund(
                    session,
                    account_id=one.account_id,
                    refund_id=one.refund_id,
                    source=one.source,
                    policy=policy,
                    zone=context.settings.zone,
                    now=now,
                )
        except (Refusal, DBAPIError) as error:
            _log.error("refund's benefits were not taken back", refund=str(one.refund_id), error=type(error).__qualname__)
    return done


async def _post(context: Context, *, now: datetime) -> int:
    done = 0
    async with transaction(context.sessions) as session:
        await settle_days(session)
    for post in (activate_due, hand_out_due):
        while True:
            async with transaction(context.sessions) as session:
                batch = await post(session, now=now)
            done += batch
            if not batch:
                break
    return done


JOB = Job(name="rewards", due={"minute": "*"}, period=minutely, run=run)
NIGHTLY = Job(name="rewards-nightly", due={"hour": 0, "minute": 20}, period=daily, run=run_nightly)
