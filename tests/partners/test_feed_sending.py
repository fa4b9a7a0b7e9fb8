"""How a list leaves: by mail once, to a system signed, never twice by itself when the process dies; the log says what became of it."""

import asyncio
import base64
import email
import email.policy
import hashlib
import hmac
import json
import os
import signal
import sys
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from jobs import outbox
from jobs.webhooks import Network
from loyalty.crypto import FileKeyProvider, open_keyring, use_keyring
from loyalty.crypto.age import open_sealed
from loyalty.db import transaction
from loyalty.outbox import LEASE, Channel, OutboxMessage, claim
from partners.feed_rules import read_file
from partners.model_feeds import FeedChannel, LogEvent
from partners.operations.feed_runs import FeedHoldsWithdrawn, require_consents_of, send_again
from partners.operations.feeds import FeedCannotMove
from partners.queries.feeds import log_of
from tests.factories.smtp import mail_server
from tests.fleet.test_webhooks import System
from tests.partners.feeding import MONDAY, Feeding, feeding_house

MINUTE = timedelta(minutes=1)


@pytest.fixture
def keys(tmp_path, now):
    use_keyring(open_keyring(FileKeyProvider(tmp_path / "keys"), expected_fingerprint=None, now=now))
    yield tmp_path / "keys"
    use_keyring(None)


@pytest.fixture
async def house(sessions, now, keys) -> Feeding:
    house = await feeding_house(sessions, now)
    await house.person("给", now)
    return house


async def events(house) -> list[LogEvent]:
    async with transaction(house.sessions) as session:
        return [one.event for one in reversed((await log_of(session, partner_id=house.partner_id)).rows)]


async def messages(house) -> int:
    async with transaction(house.sessions) as session:
        return int(await session.scalar(select(func.count()).select_from(OutboxMessage)) or 0)


async def again(house, batch, now) -> None:
    async with transaction(house.sessions) as session:
        of = {"partner_id": house.partner_id, "batch_id": batch.batch_id, "sender": "x@example.com", "actor": house.checker}
        await send_again(session, **of, now=now)


def is_signed(secret: str, headers, body: str) -> bool:
    """Judge a message as Standard Webhooks says, from its text alone."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    return headers["webhook-signature"] == "v1," + base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()


def attached(content: bytes) -> bytes:
    mail = email.message_from_bytes(content, policy=email.policy.default)
    (file,) = mail.iter_attachments()
    return file.get_content()


async def test_a_list_goes_by_mail_once_and_the_same_bytes_again_when_asked(house, now):
    await house.propose(now, channel=FeedChannel.MAIL, mail_to="list@insurer.example")
    async with mail_server() as server:
        house.settings["LOYALTY_SMTP"] = server.url
        await house.runs(MONDAY)
        for minute in range(3):
            await outbox.run(house.context, MONDAY + minute * MINUTE)
            await house.runs(MONDAY + minute * MINUTE)
        assert len(server.taken) == 1
        assert await events(house) == [LogEvent.MADE, LogEvent.QUEUED, LogEvent.SENT]
        (batch,) = await house.batches()
        await again(house, batch, MONDAY + 9 * MINUTE)
        await outbox.run(house.context, MONDAY + 9 * MINUTE)
        await house.runs(MONDAY + 9 * MINUTE)
        first, second = (attached(one) for one in server.taken)
        assert first == second
        assert hashlib.sha256(first).digest() == batch.digest
        assert "给".encode() not in server.taken[0]
        assert read_file(open_sealed(house.identity, first))[2][2] == "给"
        assert (await events(house))[3:] == [LogEvent.QUEUED, LogEvent.SENT]
        async with transaction(house.sessions) as session:
            messages = list(await session.scalars(select(OutboxMessage.message_id)))
            await require_consents_of(session, message_id=messages[0], now=MONDAY + 9 * MINUTE)
        await house.says("给", False, MONDAY + 10 * MINUTE)
        # The office's "send again" of the outbox asks the same as the feed's own.
        with pytest.raises(FeedHoldsWithdrawn):
            async with transaction(house.sessions) as session:
                await require_consents_of(session, message_id=messages[0], now=MONDAY + 11 * MINUTE)
        with pytest.raises(FeedHoldsWithdrawn):
            await again(house, batch, MONDAY + 11 * MINUTE)


async def test_without_a_mail_server_it_is_kept_and_said_so(house, now):
    await house.propose(now, channel=FeedChannel.MAIL, mail_to="list@insurer.example")
    await house.runs(MONDAY)
    await outbox.run(house.context, MONDAY)
    await house.runs(MONDAY + MINUTE)
    await house.runs(MONDAY + 2 * MINUTE)
    assert await events(house) == [LogEvent.MADE, LogEvent.QUEUED, LogEvent.CAPTURED]


async def test_a_partners_system_is_told_signed_and_the_same_message_when_it_did_not_answer(house, now, tmp_path):
    await house.propose(now, channel=FeedChannel.WEBHOOK, webhook_url="https://feeds.insurer.example/told")
    async with System(tmp_path) as system:
        async with transaction(house.sessions) as session:
            await session.execute(text("UPDATE partner_feeds SET webhook_url = :url"), {"url": system.url})
        network = Network(inside=True, trust=system.trust)
        await house.runs(MONDAY)
        system.answer = 503
        assert await outbox.send_due(house.context, MONDAY, network=network) == 0
        system.answer = 204
        assert await outbox.send_due(house.context, MONDAY, network=network) == 0, "it waits before it is tried again"
        assert await outbox.send_due(house.context, MONDAY + MINUTE, network=network) == 1
        await house.runs(MONDAY + MINUTE)
        (first, body), (second, same) = system.heard
        assert (first["webhook-id"], body) == (second["webhook-id"], same)
        assert is_signed(house.secret, second, same)
        assert not is_signed(house.secret, second, same.replace('"new":1', '"new":2'))
        told = json.loads(same)
    (batch,) = await house.batches()
    file = base64.b64decode(told["data"]["file"])
    assert (told["type"], told["data"]["new"], told["data"]["sha256"]) == ("partners.feed", 1, batch.digest.hex())
    assert read_file(open_sealed(house.identity, file))[2][2] == "给"
    assert await events(house) == [LogEvent.MADE, LogEvent.QUEUED, LogEvent.SENT]


async def test_who_dies_while_sending_leaves_it_to_a_person(house, now):
    """Between the claim and the sending: it may have left, so it is not sent again by itself; the log says so."""
    await house.propose(now, channel=FeedChannel.MAIL, mail_to="list@insurer.example")
    await house.runs(MONDAY)
    async with transaction(house.sessions) as session:
        assert len(await claim(session, channel=Channel.MAIL, now=MONDAY)) == 1
    async with mail_server() as server:
        house.settings["LOYALTY_SMTP"] = server.url
        await outbox.run(house.context, MONDAY + 2 * LEASE)
        await house.runs(MONDAY + 2 * LEASE)
        assert server.taken == []
    assert await events(house) == [LogEvent.MADE, LogEvent.QUEUED, LogEvent.UNCERTAIN]


_JOB = """
import asyncio
import sys
from datetime import datetime
from pathlib import Path
from jobs import partner_feeds
from jobs.job import Context
from loyalty.crypto import FileKeyProvider, open_keyring, use_keyring
from loyalty.db import make_engine, make_sessions
from loyalty.settings import Settings
url, keys, now = sys.argv[1], Path(sys.argv[2]), datetime.fromisoformat(sys.argv[3])
use_keyring(open_keyring(FileKeyProvider(keys), expected_fingerprint=None, now=now))
sessions = make_sessions(make_engine(url, role="loyalty_jobs"))
from partners.queries.feeds import due_feeds
async def main():
    async with sessions() as session:
        (feed,) = await due_feeds(session, now=now)
    await partner_feeds._alone(Context(sessions, Settings.from_environment({"DATABASE_URL": url})), feed, now)
asyncio.run(main())
"""


@pytest.mark.parametrize(("point", "after"), [("before-commit", 0), ("after-commit", 1)])
async def test_a_job_that_is_killed_has_made_the_file_or_not_and_the_next_run_leaves_one(house, now, keys, database_url, point, after):
    await house.propose(now, channel=FeedChannel.MAIL, mail_to="list@insurer.example")
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _JOB, database_url, str(keys), MONDAY.isoformat()), env=os.environ | {"LOYALTY_CRASH": point}
    )
    assert await killed.wait() == -signal.SIGKILL
    assert (len(await house.batches()), await messages(house)) == (after, after)
    await house.runs(MONDAY + MINUTE)
    async with mail_server() as server:
        house.settings["LOYALTY_SMTP"] = server.url
        await outbox.run(house.context, MONDAY + MINUTE)
        await outbox.run(house.context, MONDAY + 2 * MINUTE)
        assert len(server.taken) == 1
    assert [one.sequence for one in await house.batches()] == [1]


async def test_another_key_or_a_feed_that_stands_is_not_sent_the_old_file(house, now):
    await house.runs(MONDAY)
    (batch,) = await house.batches()
    with pytest.raises(FeedCannotMove):
        await again(house, batch, MONDAY)
    await house.propose(now, channel=FeedChannel.MAIL, mail_to="list@insurer.example")
    house.recipient = ""
    await house.propose(now, channel=FeedChannel.MAIL, mail_to="list@insurer.example")
    with pytest.raises(FeedCannotMove):
        await again(house, batch, MONDAY)
