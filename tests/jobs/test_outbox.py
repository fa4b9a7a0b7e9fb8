"""What leaves the house: once, by a real mail server; what came to nothing waits, and what may have left is never sent again by itself."""

import email
import email.policy
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from jobs import outbox
from jobs.job import Context
from loyalty import mail
from loyalty.db import transaction
from loyalty.outbox import (
    KEPT,
    LEASE,
    MESSAGE_MOVES,
    WAITS,
    Channel,
    MessageCannotGo,
    MessageNotFound,
    MessageStatus,
    OutboxMessage,
    Result,
    claim,
    forget,
    list_messages,
    note,
    payload_of,
    put,
    send_again,
    shown,
)
from loyalty.settings import Settings
from tests.authorizations.conftest import bench, key_set, keys
from tests.factories.smtp import mail_server

__all__ = ["bench", "key_set", "keys"]

NOW = datetime(2026, 9, 28, 8, tzinfo=UTC)


def letter(text: str = "你好") -> bytes:
    files = [mail.Attached("a.pdf", "application/pdf", b"%PDF-1.7")]
    return mail.compose(
        sender="Loyalty <no-reply@example.com>",
        to="wang@ours.example",
        subject="九月对账单",
        text=text,
        html="<b>hello</b>",
        files=files,
        message_id="m.1",
        at=NOW,
    )


LETTER = letter()


async def leave(bench, once: str = "m:1") -> bool:
    async with transaction(bench.sessions) as session:
        return await put(session, channel=Channel.MAIL, once=once, about="test", recipient="wang@ours.example", payload=LETTER, now=NOW)


async def only(bench) -> OutboxMessage:
    async with transaction(bench.sessions) as session:
        return (await session.scalars(select(OutboxMessage))).one()


def context(bench, **settings) -> Context:
    settings = Settings.from_environment({"DATABASE_URL": "postgresql://unused", "LOYALTY_SMTP": settings.get("url", "")})
    return Context(bench.sessions, settings)


async def test_a_mail_is_sent_once_and_then_forgotten(bench):
    assert await leave(bench)
    assert not await leave(bench), "said twice, it is one"
    async with mail_server() as server:
        with_server = context(bench, url=server.url)
        assert await outbox.run(with_server, NOW) == 1
        assert await outbox.run(with_server, NOW) == 0
    read = email.message_from_bytes(server.taken[0], policy=email.policy.default)
    assert (read["Subject"], read["To"], read["Message-ID"]) == ("九月对账单", "wang@ours.example", "<m.1@example.com>")
    assert read.get_body(("plain",)).get_content().strip() == "你好"
    assert [one.get_filename() for one in read.iter_attachments()] == ["a.pdf"]
    row = await only(bench)
    assert (row.status, row.payload, row.recipient_shown) == (MessageStatus.SENT, None, "w•••@ours.example")
    assert b"wang" not in row.recipient


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ({"to_recipient": "550 no such person"}, MessageStatus.DEAD),
        ({"to_recipient": "450 busy"}, MessageStatus.WAITING),
        ({"to_mail": "554 no"}, MessageStatus.DEAD),
        ({"to_mail": "451 later"}, MessageStatus.WAITING),
        ({"hangs_up": True}, MessageStatus.UNCERTAIN),
    ],
)
async def test_what_the_server_answers_decides(bench, answers, status):
    await leave(bench)
    async with mail_server() as server:
        for name, value in answers.items():
            setattr(server, name, value)
        await outbox.run(context(bench, url=server.url), NOW)
    row = await only(bench)
    assert row.status is status
    assert row.error
    assert row.payload is not None


async def test_a_server_that_is_not_there_is_tried_again_and_given_up_at_last(bench):
    await leave(bench)
    nowhere = context(bench, url="smtp://127.0.0.1:1?tls=no")
    at = NOW
    for wait in WAITS:
        await outbox.run(nowhere, at)
        assert (await only(bench)).status is MessageStatus.WAITING
        await outbox.run(nowhere, at)
        at += wait
    await outbox.run(nowhere, at)
    row = await only(bench)
    assert (row.status, row.attempts) == (MessageStatus.DEAD, len(WAITS) + 1)
    async with transaction(bench.sessions) as session:
        await send_again(session, message_id=row.message_id, now=at)
        with pytest.raises(MessageCannotGo):
            await send_again(session, message_id=row.message_id, now=at)
    async with mail_server() as server:
        assert await outbox.run(context(bench, url=server.url), at) == 1


async def test_a_sender_that_died_leaves_it_uncertain_and_nobody_sends_it_again(bench):
    await leave(bench)
    async with transaction(bench.sessions) as session:
        assert len(await claim(session, channel=Channel.MAIL, now=NOW)) == 1
    async with mail_server() as server:
        with_server = context(bench, url=server.url)
        assert await outbox.run(with_server, NOW + timedelta(minutes=1)) == 0, "its sender still has it"
        assert await outbox.run(with_server, NOW + LEASE) == 0
        assert not server.taken
    row = await only(bench)
    assert row.status is MessageStatus.UNCERTAIN
    async with transaction(bench.sessions) as session:
        late = {row.message_id: Result(MessageStatus.SENT)}
        assert await note(session, results=late, now=NOW + LEASE) == 0, "who comes back too late changes nothing"


async def test_without_a_server_it_is_kept_and_may_be_read(bench):
    await leave(bench)
    await outbox.run(context(bench), NOW)
    row = await only(bench)
    assert row.status is MessageStatus.CAPTURED
    async with transaction(bench.sessions) as session:
        assert await payload_of(session, message_id=row.message_id) == LETTER
        assert [one.status for one in (await list_messages(session)).rows] == [MessageStatus.CAPTURED]
        with pytest.raises(MessageNotFound):
            await payload_of(session, message_id=bench.world.station_id)
        assert await forget(session, now=NOW + KEPT) == 0
        assert await forget(session, now=NOW + KEPT + timedelta(seconds=1)) == 1


def test_statuses_lead_on_or_end():
    assert set(MESSAGE_MOVES) == set(MessageStatus)
    assert {one for one, to in MESSAGE_MOVES.items() if not to} == {MessageStatus.SENT}


@pytest.mark.parametrize(("whole", "part"), [("a@b.example", "a•••@b.example"), ("13800138000", "•••8000"), ("", "•••")])
def test_a_recipient_is_shown_in_part(whole, part):
    assert shown(whole) == part
