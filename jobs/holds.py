"""What the pump waits for and did not get: holds become unresolved dispenses, codes on fills run out."""

from datetime import datetime, timedelta
from typing import Final

from jobs.job import Context, Job, minutely
from jobs.steps import in_batches
from loyalty.authorizations.operations import expire_holds, expire_payments
from loyalty.authorizations.operations.holds import LOOK_BACK
from loyalty.db import transaction

_BATCH: Final = 1000
_OUTAGE: Final = timedelta(days=60)
"""How far back the first run of a day looks, so that nothing is missed however long nobody was there."""


async def run(context: Context, now: datetime) -> int:
    """End what ran out by `now`; return how many."""
    look_back = _OUTAGE if now.hour == 0 and now.minute < 5 else LOOK_BACK
    ended = await in_batches(context, lambda session: expire_holds(session, now=now, look_back=look_back, limit=_BATCH), most=_BATCH)
    async with transaction(context.sessions) as session:
        ended += await expire_payments(session, now=now)
    return ended


JOB = Job(name="holds", due={"minute": "*/5"}, period=minutely, run=run)
