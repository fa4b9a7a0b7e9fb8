"""Cards handed out to a company that manages a fleet: within a minute they stand under the company's limits too."""

from datetime import datetime
from typing import Final

from jobs.job import Context, Job, minutely
from jobs.steps import in_batches
from loyalty.audit.model import Actor, ActorKind
from loyalty.fleet.operations.bindings import CHUNK, tell_new_cards

_ACTOR: Final = Actor(ActorKind.SYSTEM, "jobs.fleet_cards")


async def run(context: Context, now: datetime) -> int:
    """Tell the pump of new cards, batch by batch; return how many."""
    return await in_batches(context, lambda session: tell_new_cards(session, actor=_ACTOR, now=now), most=CHUNK)


JOB = Job(name="fleet-cards", due={"minute": "*"}, period=minutely, run=run)
