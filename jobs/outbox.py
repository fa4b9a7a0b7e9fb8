"""What waits in the outbox leaves the house, every minute: mail, and what goes to systems' addresses.

Where no mail server is set a mail is kept for the office to read.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Final

import msgspec

from jobs.job import Context, Job, minutely
from jobs.webhooks import Network, send_all
from loyalty import mail
from loyalty.db import transaction
from loyalty.fleet.operations.webhooks import Message
from loyalty.outbox import Channel, MessageStatus, Outgoing, Result, SignedPost, claim, note

_ROUNDS: Final = 10
_AT_ONCE: Final = 4
_KEPT: Final = Result(MessageStatus.CAPTURED, "no mail server is set (LOYALTY_SMTP)")


async def run(context: Context, now: datetime) -> int:
    """Send what is due."""
    return await send_due(context, now, network=Network())


async def send_due(context: Context, now: datetime, *, network: Network) -> int:
    """Claim, send outside any transaction, and write down what came of it; return how many left."""
    ways: dict[Channel, Callable[[list[Outgoing]], Awaitable[list[Result]]]] = {
        Channel.MAIL: partial(_mails, context),
        Channel.WEBHOOK: partial(_posts, network),
    }
    gone = 0
    for channel, send in ways.items():
        for _round in range(_ROUNDS):
            async with transaction(context.sessions) as session:
                messages = await claim(session, channel=channel, now=now)
            if not messages:
                break
            results = await send(messages)
            async with transaction(context.sessions) as session:
                done = {one.message_id: result for one, result in zip(messages, results, strict=True)}
                gone += await note(session, results=done, now=now)
    return gone


async def _mails(context: Context, messages: list[Outgoing]) -> list[Result]:
    gate = asyncio.Semaphore(_AT_ONCE)
    return await asyncio.gather(*(_mail(context, gate, one) for one in messages))


async def _mail(context: Context, gate: asyncio.Semaphore, message: Outgoing) -> Result:
    if context.settings.smtp_url is None:
        return _KEPT
    by = partial(mail.send, context.settings.smtp_url, sender=context.settings.mail_from, to=message.recipient, payload=message.payload)
    async with gate:
        return await asyncio.to_thread(by)


async def _posts(network: Network, messages: list[Outgoing]) -> list[Result]:
    """Post, signed as companies' webhooks are; its id stays through every try, so that a system that got it twice knows it."""
    posts = []
    for one in messages:
        said = msgspec.json.decode(one.payload, type=SignedPost)
        posts.append(Message(one.message_id, one.recipient, said.secret, said.body))
    answers = await send_all(network, posts)
    return [_answered(answers[one.message_id]) for one in messages]


def _answered(status: int | None) -> Result:
    if status is not None and 200 <= status < 300:
        return Result(MessageStatus.SENT)
    return Result(MessageStatus.WAITING, "no answer came" if status is None else f"the answer was {status}")


JOB = Job(name="outbox", due={"minute": "*"}, period=minutely, run=run)
