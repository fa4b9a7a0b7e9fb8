"""What waits in the outbox is sent to companies' systems every minute, signed; to addresses of the open internet only."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import httpx

from jobs.job import Context, Job, minutely
from loyalty import clock
from loyalty.db import transaction
from loyalty.fleet.operations.webhooks import Message, claim, note_answers
from loyalty.fleet.webhook_rules import is_public, signature

_SECONDS: Final = 10
_AT_ONCE: Final = 20
_ROUNDS: Final = 10


class Network:
    """How messages leave: names are looked up here and the address that was judged is the one that is connected to."""

    def __init__(self, *, inside: bool = False, trust: ssl.SSLContext | None = None) -> None:
        self.inside = inside
        """Addresses that are not public, too: for tests."""
        self.trust = trust or ssl.create_default_context()

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return what a name leads to; empty where a part of it is not in the open internet, or it is unknown."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, ValueError):  # a name that cannot be encoded is a ValueError
            return []
        known = [str(one[4][0]) for one in found]
        return known if self.inside or all(map(is_public, known)) else []


async def send(client: httpx.AsyncClient, network: Network, message: Message) -> int | None:
    """Send one message and return the answer's status, None where none came. A redirect is no yes and is not followed."""
    url = httpx.URL(message.url)
    port = url.port or 443
    addresses = await network.addresses(url.host, port)
    if not addresses:
        return None
    at, message_id = int(clock.real_now().timestamp()), str(message.delivery_id)
    headers = {
        "Host": url.netloc.decode(),
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": signature(message.secret, message_id=message_id, at=at, body=message.body),
    }
    try:
        async with asyncio.timeout(_SECONDS):
            to, named = url.copy_with(host=addresses[0]), {"sni_hostname": url.host}
            async with client.stream("POST", to, content=message.body.encode(), headers=headers, extensions=named) as answer:
                return answer.status_code
    except (httpx.HTTPError, OSError, TimeoutError):
        return None


async def send_due(context: Context, now: datetime, *, network: Network) -> int:
    """Claim, send outside any transaction, and write down what came of it; return how many were taken."""
    taken = 0
    for _round in range(_ROUNDS):
        async with transaction(context.sessions) as session:
            messages = await claim(session, now=now)
        if not messages:
            break
        answers = await send_all(network, messages)
        async with transaction(context.sessions) as session:
            taken += await note_answers(session, answers=answers, now=now)
    return taken


async def send_all(network: Network, messages: Sequence[Message]) -> dict[UUID, int | None]:
    """Send some at once and return the answers by message."""
    gate = asyncio.Semaphore(_AT_ONCE)
    answers: dict[UUID, int | None] = {}

    async def one(message: Message) -> None:
        async with gate:
            try:
                answers[message.delivery_id] = await send(client, network, message)
            except (httpx.InvalidURL, ValueError):  # one company's odd address must not keep the others' messages
                answers[message.delivery_id] = None

    async with httpx.AsyncClient(verify=network.trust, trust_env=False, timeout=_SECONDS) as client, asyncio.TaskGroup() as group:
        for message in messages:
            group.create_task(one(message))
    return answers


async def run(context: Context, now: datetime) -> int:
    """Send what is due."""
    return await send_due(context, now, network=Network())


JOB = Job(name="webhooks", due={"minute": "*"}, period=minutely, run=run)
