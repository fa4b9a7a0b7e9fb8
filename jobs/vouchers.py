"""Vouchers and gifts whose time is over, what was set aside and not fetched, monthly vouchers, and what referrals reached."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from jobs.job import Context, Job, daily, minutely
from loyalty.audit.model import Actor, ActorKind
from loyalty.db import transaction
from loyalty.rewards.operations.gifts import expire_gifts
from loyalty.rewards.operations.monthly import START, issue_monthly, monthly_running
from loyalty.rewards.operations.redemptions import expire_due, release_lapsed
from loyalty.rewards.operations.referrals import find_referrals, pay_milestones
from loyalty.rewards.queries.referrals import programmes_running

_ACTOR: Final = Actor(ActorKind.SYSTEM, "jobs.vouchers")


async def run(context: Context, now: datetime) -> int:
    """Free and end what is due; return how many."""
    done = 0
    for work in (release_lapsed, expire_due, expire_gifts):
        done += await _until_none(context, partial(work, actor=_ACTOR, now=now))
    return done


async def run_daily(context: Context, now: datetime) -> int:
    """Issue this month's vouchers to whoever has not got them, and pay what referrals reached; return how many of both."""
    done = 0
    async with transaction(context.sessions) as session:
        monthly = await monthly_running(session)
        programmes = await programmes_running(session)
    for code in monthly:
        place = START
        while True:
            async with transaction(context.sessions) as session:
                chunk = await issue_monthly(session, code=code, actor=_ACTOR, now=now, after=place)
            done += chunk.issued
            if chunk.goes_on is None:
                break
            place = chunk.goes_on
    for code in programmes:
        await _until_none(context, partial(find_referrals, code=code, now=now))
        done += await _until_none(context, partial(pay_milestones, code=code, actor=_ACTOR, now=now))
    return done


async def _until_none(context: Context, work: Callable[[AsyncSession], Awaitable[int]]) -> int:
    """Work batch by batch, a transaction each, until nothing is left; return how many."""
    done = 0
    while True:
        async with transaction(context.sessions) as session:
            batch = await work(session)
        done += batch
        if not batch:
            return done


JOB = Job(name="vouchers", due={"minute": "*/5"}, period=minutely, run=run)
DAILY = Job(name="vouchers-daily", due={"hour": 1, "minute": 10}, period=daily, run=run_daily)
