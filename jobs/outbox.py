"""What waits in the outbox leaves the house, every minute; where no mail server is set it is kept for the office to read."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Final

from jobs.job import Context, Job, minutely
from loyalty import mail
from loyalty.db import transaction
from loyalty.outbox import Channel, MessageStatus, Outgoing, Result, claim, note

_ROUNDS: Final = 10
_AT_ONCE: Final = 4
_KEPT: Final = Result(MessageStatus.CAPTURED, "no mail server is set (LOYALTY_SMTP)")


async def run(context: Context, now: datetime) -> int:
    """Claim, send outside any transaction, and write down what came of it; return how many left."""
    gone = 0
    for _round in range(_ROUNDS):
        async with transaction(context.sessions) as session:
            messages = await claim(session, channel=Channel.MAIL, now=now)
        if not messages:
            break
        gate = asyncio.Semaphore(_AT_ONCE)
        results = await asyncio.gather(*(_send(context, gate, one) for one in messages))
        async with transaction(context.sessions) as session:
            done = {one.message_id: result for one, result in zip(messages, results, strict=True)}
            gone += await note(session, results=done, now=now)
    return gone


async def _send(context: Context, gate: asyncio.Semaphore, message: Outgoing) -> Result:
    if context.settings.smtp_url is None:
        return _KEPT
    by = partial(mail.send, context.settings.smtp_url, sender=context.settings.mail_from, to=message.recipient, payload=message.payload)
    async with gate:
        return await asyncio.to_thread(by)


JOB = Job(name="outbox", due={"minute": "*"}, period=minutely, run=run)
