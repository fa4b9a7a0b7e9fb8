"""The trail: it only grows, its seals name every altered row, and nobody can rewrite it unseen."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from loyalty.audit.checkpoints import append_checkpoint, read_checkpoints
from loyalty.audit.model import Actor, ActorKind
from loyalty.audit.operations import record, seal
from loyalty.audit.queries import Breach, EntryFilter, last_checkpoint, list_entries, trail_state, verify_chain
from loyalty.audit.rules import SealedEntry, entry_hash, merkle_root, pack_leaves, unpack_leaves
from loyalty.crypto import Purpose, public_keys
from loyalty.db import make_engine, make_sessions, transaction
from tests.conftest import NOW

WANG = Actor(ActorKind.STAFF, UUID(int=7), "203.0.113.4", "Firefox")
JOB = Actor(ActorKind.SYSTEM, "nightly")


async def note(session, number: int, actor: Actor = WANG) -> None:
    await record(
        session,
        actor=actor,
        action="cards.lost",
        subject=("card", UUID(int=number)),
        facts={"number": number, "when": NOW, "list": [UUID(int=1), None, True], "more": {"zh": "挂失", "big": 2**60}},
        now=NOW + timedelta(seconds=number),
    )


async def seal_all(session) -> int:
    links = 0
    while await seal(session, now=NOW) is not None:
        links += 1
    return links


@pytest.fixture
async def owner(database_url):
    """Yield a session maker of the owner, who can take the guards away: the intruder of these tests."""
    engine = make_engine(database_url)
    yield make_sessions(engine)
    await engine.dispose()


@pytest.fixture
async def trail(sessions):
    """Thirty entries in three seals."""
    for start in (0, 10, 20):
        async with transaction(sessions) as session:
            for number in range(start, start + 10):
                await note(session, number)
        async with transaction(sessions) as session:
            assert await seal_all(session) == 1
    return sessions


async def tamper(owner, *sentences: str) -> None:
    async with transaction(owner) as session:
        for table in ("audit_entries", "audit_seals"):
            await session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only"))
        for sentence in sentences:
            await session.execute(text(sentence))


async def breaches(sessions, **more) -> list[Breach]:
    async with transaction(sessions) as session:
        return await verify_chain(session, issuer_keys=public_keys(Purpose.AUDIT), **more)


async def test_a_whole_trail_has_no_breach(trail):
    assert await breaches(trail) == []
    async with transaction(trail) as session:
        assert await seal(session, now=NOW) is None
        state = await trail_state(session)
        assert (state.entries, state.sealed_up_to, state.seals) == (30, 30, 3)


CHANGES = (
    "UPDATE audit_entries SET action = 'x.y'",
    "DELETE FROM audit_entries",
    "TRUNCATE audit_entries",
    "UPDATE audit_seals SET entries = 1",
    "DELETE FROM audit_seals",
)


@pytest.mark.parametrize("role", ["loyalty_hot", "loyalty_jobs", "loyalty_portal", None])
async def test_no_role_may_change_it_and_a_trigger_refuses_even_the_owner(worker_engine, role):
    engine = make_engine(worker_engine.url, role=role)
    async with engine.connect() as connection:
        for change in CHANGES:
            with pytest.raises(DBAPIError, match="append-only" if role is None else "permission denied"):
                await connection.execute(text(change))
            await connection.rollback()
    await engine.dispose()


COLUMNS = (
    "at = at + interval '1 microsecond'",
    "actor_id = 'somebody else'",
    "actor_kind = 'system'",
    "action = 'cards.found'",
    "subject_kind = 'account'",
    "subject_id = 'other'",
    "facts = facts || '{\"number\": 99}'",
    "facts = facts - 'list'",
    "address = NULL",
    "user_agent = 'Chrome'",
)


async def test_an_altered_row_is_named_whatever_was_altered(trail, owner):
    for column in COLUMNS:
        async with owner() as session:
            await session.execute(text("ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_append_only"))
            await session.execute(text(f"UPDATE audit_entries SET {column} WHERE entry_id = 17"))
            assert await verify_chain(session) == [Breach("audit_entries:17", "altered")], column
            await session.rollback()


async def test_a_missing_row_is_named(trail, owner):
    await tamper(owner, "DELETE FROM audit_entries WHERE entry_id IN (5, 30)")
    assert await breaches(trail) == [Breach("audit_entries:5", "missing"), Breach("audit_entries:30", "missing")]


async def test_a_row_put_in_later_is_named(trail, owner):
    copied = "SELECT 5, at, actor_kind, actor_id, action, subject_kind, subject_id, facts FROM audit_entries WHERE entry_id = 6"
    await tamper(
        owner,
        "DELETE FROM audit_entries WHERE entry_id = 5",
        "INSERT INTO audit_entries (entry_id, at, actor_kind, actor_id, action, subject_kind, subject_id, facts) "
        f"OVERRIDING SYSTEM VALUE {copied}",
    )
    assert await breaches(trail) == [Breach("audit_entries:5", "altered")]


async def test_a_seal_that_was_made_to_fit_breaks_its_own_hash(trail, owner):
    await tamper(owner, "UPDATE audit_seals SET leaves = overlay(leaves placing '\\x00' from 30) WHERE seal_id = 2")
    found = await breaches(trail)
    assert Breach("audit_seals:2", "its leaves do not give its root") in found
    await tamper(owner, "UPDATE audit_seals SET merkle_root = sha256('x') WHERE seal_id = 2")
    assert Breach("audit_seals:2", "its hash is not that of its columns") in await breaches(trail)


async def test_a_cut_chain_is_seen(trail, owner):
    await tamper(owner, "DELETE FROM audit_seals WHERE seal_id = 2")
    rows = {breach.row for breach in await breaches(trail)}
    assert "audit_seals:3" in rows


async def test_a_chain_written_anew_is_seen_by_its_signature_and_by_the_checkpoint(trail, owner, tmp_path):
    async with transaction(trail) as session:
        checkpoint = await last_checkpoint(session)
    file = tmp_path / "checkpoints"
    append_checkpoint(file, checkpoint)
    append_checkpoint(file, checkpoint)
    assert read_checkpoints(file) == [checkpoint]
    assert file.stat().st_mode & 0o777 == 0o600
    await tamper(owner, "DELETE FROM audit_seals", "UPDATE audit_entries SET action = 'cards.found' WHERE entry_id = 17")
    async with transaction(trail) as session:
        assert await seal(session, signed=False, now=NOW) is not None
    assert await breaches(trail) == []
    assert await breaches(trail, checkpoints=read_checkpoints(file)) == [
        Breach("audit_seals:3", "exported as a checkpoint, missing from the database")
    ]
    await tamper(owner, "UPDATE audit_seals SET signature = decode(repeat('00', 66), 'hex')")
    assert [breach.what for breach in await breaches(trail)] == ["its signature is not the issuer's"]


async def test_an_entry_committed_late_is_sealed_all_the_same(sessions):
    """Ids are drawn before the commit: a smaller one may appear after a larger one was there to be sealed."""
    async with transaction(sessions) as slow:
        await note(slow, 1)
        async with transaction(sessions) as quick:
            await note(quick, 2)
        async with transaction(sessions) as sealer:
            assert await seal(sealer, now=NOW) is None
    async with transaction(sessions) as sealer:
        made = await seal(sealer, now=NOW)
        assert (made.first_id, made.last_id, made.entries) == (1, 2, 2)
    assert await breaches(sessions) == []


async def test_an_entry_rolled_back_leaves_a_hole_that_is_no_breach(sessions):
    with pytest.raises(ZeroDivisionError):
        async with transaction(sessions) as session:
            await note(session, 1)
            raise ZeroDivisionError
    async with transaction(sessions) as session:
        await note(session, 2)
    async with transaction(sessions) as session:
        assert await seal_all(session) == 1
    assert await breaches(sessions) == []


async def test_sealers_and_writers_race_and_the_chain_stays_whole(sessions):
    async def write(number: int) -> None:
        async with transaction(sessions) as session:
            await note(session, number)
            await asyncio.sleep(0)
            await note(session, number + 1000)

    async def seal_once() -> None:
        async with transaction(sessions) as session:
            await seal(session, now=NOW)

    await asyncio.gather(*(job for number in range(40) for job in (write(number), seal_once())))
    async with transaction(sessions) as session:
        await seal_all(session)
        assert (await trail_state(session)).entries == 80
        assert await session.scalar(text("SELECT sum(entries) FROM audit_seals")) == 80
    assert await breaches(sessions) == []


@pytest.mark.parametrize("fact", [1.5, b"secret", object(), {"deep": [1.5]}])
async def test_a_fact_is_never_a_float_or_bytes(session, fact):
    with pytest.raises(TypeError):
        await record(session, actor=JOB, action="test.noted", subject=("test", "1"), facts={"fact": fact}, now=NOW)


async def test_the_page_filters_and_walks_by_cursor(session):
    for number in range(7):
        await note(session, number, JOB if number % 2 else WANG)
    newest = await list_entries(session, wanted=EntryFilter(), limit=3)
    assert [entry.subject_id for entry in newest.rows] == [str(UUID(int=number)) for number in (6, 5, 4)]
    following = await list_entries(session, wanted=EntryFilter(), limit=3, cursor=newest.next)
    assert [entry.facts["number"] for entry in following.rows] == [3, 2, 1]
    for wanted, expected in (
        (EntryFilter(actor_kind=ActorKind.SYSTEM), [5, 3, 1]),
        (EntryFilter(actor_id=UUID(int=7), since=NOW + timedelta(seconds=2)), [6, 4, 2]),
        (EntryFilter(until=NOW + timedelta(seconds=1)), [0]),
        (EntryFilter(subject_kind="card", subject_id=UUID(int=3)), [3]),
        (EntryFilter(action="cards."), [6, 5, 4, 3, 2, 1, 0]),
        (EntryFilter(action="cards.lost", stations=[UUID(int=1)]), []),
        (EntryFilter(action="identity."), []),
    ):
        found = await list_entries(session, wanted=wanted)
        assert [entry.facts["number"] for entry in found.rows] == expected


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40), st.data())
def test_a_root_stands_for_its_leaves_in_their_order(leaves, data):
    root = merkle_root(leaves)
    at = data.draw(st.integers(0, len(leaves) - 1))
    changed = [*leaves[:at], bytes(32) if leaves[at] != bytes(32) else b"\1" * 32, *leaves[at + 1 :]]
    assert merkle_root(changed) != root
    numbered = list(enumerate(leaves))
    assert list(unpack_leaves(pack_leaves(numbered)).items()) == numbered


def test_the_tree_is_that_of_rfc_9162():
    """The split at the largest power of two, computed as the RFC words it."""

    def as_defined(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return leaves[0]
        half = 1 << ((len(leaves) - 1).bit_length() - 1)
        return merkle_root([as_defined(leaves[:half]), as_defined(leaves[half:])])

    for count in range(1, 40):
        leaves = [bytes([number]) * 32 for number in range(count)]
        assert merkle_root(leaves) == as_defined(leaves)


def test_an_entrys_hash_does_not_depend_on_the_zone_it_is_read_in():
    entry = SealedEntry(1, NOW, "staff", "7", "cards.lost", "card", "1", None, {"b": 1, "a": 2}, None, None)
    elsewhere = entry._replace(at=datetime(2026, 9, 24, 10, 15, tzinfo=UTC).astimezone() - timedelta(hours=8), facts={"a": 2, "b": 1})
    assert entry_hash(entry) == entry_hash(elsewhere)
