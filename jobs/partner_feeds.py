"""What goes to partners: each feed's file when its instant has come, a transaction a feed; and hourly who is registered, who lapsed."""

from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from jobs.job import Context, Job, hourly, minutely
from loyalty.audit.model import Actor, ActorKind
from loyalty.db import transaction
from partners.operations.feed_runs import run_due, settle
from partners.operations.registrations import lapse, register
from partners.queries.feeds import due_feeds, running_benefits

_ACTOR: Final = Actor(ActorKind.SYSTEM, "jobs.partner_feeds")
_log = structlog.get_logger("jobs")


async def run(context: Context, now: datetime) -> int:
    """Make what is due and note what became of what was sent; return how many files were made. One that fails keeps no other."""
    async with transaction(context.sessions) as session:
        due = await due_feeds(session, now=now)
    made = 0
    for feed_id in due:
        made += await _alone(context, feed_id, now)
    async with transaction(context.sessions) as session:
        await settle(session, now=now)
    return made


async def _alone(context: Context, feed_id: UUID, now: datetime) -> bool:
    try:
        async with transaction(context.sessions) as session:
            sender = context.settings.mail_from
            return await run_due(session, feed_id=feed_id, sender=sender, actor=_ACTOR, now=now) is not None
    except Exception as error:  # noqa: BLE001 - it stays due and is taken up again
        _log.error("feed not made", feed=str(feed_id), error=type(error).__qualname__)
        return False


async def take_up(context: Context, now: datetime) -> int:
    """Register whom vouchers and consents made ready, and let lapse what is over; return how many."""
    async with transaction(context.sessions) as session:
        benefits = await running_benefits(session)
    done = 0
    for partner_id, benefit in benefits:
        async with transaction(context.sessions) as session:
            done += (await register(session, partner_id=partner_id, benefit=benefit, now=now)).added
            done += await lapse(session, partner_id=partner_id, now=now)
    return done


JOB = Job(name="partner-feeds", due={"minute": "*"}, period=minutely, run=run)
HOURLY = Job(name="partner-registrations", due={"minute": "20"}, period=hourly, run=take_up)
