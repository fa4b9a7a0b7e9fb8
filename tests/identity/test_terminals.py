"""Tills: one code one key, day sessions that only the enrolled key opens, and an end that works at once."""

import asyncio
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from loyalty import revisions
from loyalty.crypto import (
    SessionKeys,
    enrolment_public_key,
    new_code,
    new_enrolment_key,
    open_pin,
    open_session_client,
    prove_enrolment_key,
    seal_pin,
)
from loyalty.db import transaction
from loyalty.errors import NotAllowed, NotFound
from loyalty.identity import operations, queries
from loyalty.identity.model import Role
from loyalty.identity.model_terminals import EnrolmentUse
from loyalty.identity.operations import SessionNotOpened, TerminalNotFound

from .conftest import NOW, People, actions, later, make_places


async def code_for(session, terminal_id, use=EnrolmentUse.KEY, now=NOW) -> str:
    code, _ = await operations.issue_enrolment_code(session, terminal_id=terminal_id, use=use, now=now)
    return code


async def enrol(session, code, key=None, now=NOW, address=None):
    key = key or new_enrolment_key()
    return await operations.enrol_terminal(
        session,
        code=code,
        public_key=enrolment_public_key(key),
        proof=prove_enrolment_key(key, code),
        address=address,
        now=now,
    )


class Till:
    """An enrolled till of the tests."""

    def __init__(self, key, enrolment) -> None:
        self.key, self.enrolment = key, enrolment

    @classmethod
    async def enrolled(cls, session, terminal_id, now=NOW) -> "Till":
        key = new_enrolment_key()
        return cls(key, await enrol(session, await code_for(session, terminal_id, now=now), key, now))

    def begin(self, now=NOW):
        return open_session_client(terminal_id=self.enrolment.terminal_id, epoch=self.enrolment.epoch, enrolment_key=self.key, now=now)

    async def open(self, session, now=NOW) -> tuple[str, SessionKeys]:
        pending = self.begin(now)
        answer = await operations.open_day_session(session, opening=pending.opening, now=now)
        return answer.session_id, pending.finish(answer, issuer_keys=self.enrolment.issuer_keys)


async def test_a_code_enrols_a_key_and_the_till_keeps_its_identity(session, places):
    before = await revisions.current(session)
    first = await Till.enrolled(session, places.terminals[0])
    second = await Till.enrolled(session, places.terminals[0])
    assert (first.enrolment.epoch, second.enrolment.epoch) == (1, 2)
    assert first.enrolment.terminal_id == second.enrolment.terminal_id == places.terminals[0]
    [present] = await queries.snapshot_terminal_keys(session)
    assert (present.epoch, present.public_key) == (2, enrolment_public_key(second.key))
    assert await queries.terminal_key(session, terminal_id=places.terminals[0], epoch=1) == enrolment_public_key(first.key)
    assert (await revisions.current(session))[revisions.Kind.TERMINAL] == before[revisions.Kind.TERMINAL] + 2
    assert (await actions(session)).count("identity.terminal_enrolled") == 2


async def test_every_code_that_is_not_good_gets_the_same_answer(session, places):
    used = await code_for(session, places.terminals[0])
    await enrol(session, used)
    old = await code_for(session, places.terminals[1])
    replaced = await code_for(session, places.terminals[2])
    await code_for(session, places.terminals[2])
    browsers = await code_for(session, places.terminals[0], EnrolmentUse.BROWSER)
    at = later(minutes=14)
    assert await enrol(session, used, now=at) is None
    assert await enrol(session, old, now=later(minutes=15)) is None
    assert await enrol(session, replaced, now=at) is None
    assert await enrol(session, browsers, now=at) is None
    assert await enrol(session, new_code(), now=at) is None
    assert await operations.enrol_terminal(session, code="", public_key=b"", proof=b"", now=at) is None
    assert await operations.redeem_browser_code(session, code=old, now=at) is None
    assert await enrol(session, old, now=at) is not None


async def test_a_proof_by_another_key_spends_no_code(session, places):
    code = await code_for(session, places.terminals[0])
    mine, theirs = new_enrolment_key(), new_enrolment_key()
    bad = {"code": code, "public_key": enrolment_public_key(mine), "proof": prove_enrolment_key(theirs, code)}
    assert await operations.enrol_terminal(session, **bad, now=NOW) is None
    assert await enrol(session, code, mine) is not None


async def test_a_key_serves_one_till_only(session, places):
    key = new_enrolment_key()
    assert await enrol(session, await code_for(session, places.terminals[0]), key) is not None
    assert await enrol(session, await code_for(session, places.terminals[1]), key) is None


async def test_ten_wrong_codes_from_one_address_make_it_wait(session, places):
    code = await code_for(session, places.terminals[0])
    for _ in range(10):
        assert await enrol(session, new_code(), address="203.0.113.5") is None
    assert await enrol(session, code, address="203.0.113.5") is None
    assert await enrol(session, code, address="203.0.113.6") is not None


async def test_codes_are_for_whoever_may_enrol_at_this_station(session, people, places):
    await people.at_station(Role.STATION_MANAGER)
    manager = await operations.sign_in_at_terminal(
        session, device_token=(await people.device()).token, card_number="9000012345678904", pin="260715", now=NOW
    )
    await operations.issue_enrolment_code(session, terminal_id=places.terminals[0], use=EnrolmentUse.KEY, by=manager.principal, now=NOW)
    with pytest.raises(NotFound):
        await operations.issue_enrolment_code(session, terminal_id=places.terminals[1], use=EnrolmentUse.KEY, by=manager.principal, now=NOW)
    with pytest.raises(NotAllowed):
        auditor = await people.principal(Role.AUDITOR)
        await operations.issue_enrolment_code(session, terminal_id=places.terminals[0], use=EnrolmentUse.KEY, by=auditor, now=NOW)
    with pytest.raises(TerminalNotFound):
        await code_for(session, places.region)


async def test_a_day_session_gives_both_sides_the_same_keys(session, places):
    till = await Till.enrolled(session, places.terminals[0])
    session_id, keys = await till.open(session)
    stored = await queries.session_keys(session, session_id=session_id, now=NOW)
    assert stored.keys.mac_key == keys.mac_key
    assert (stored.terminal_id, stored.epoch) == (places.terminals[0], 1)
    assert stored.signs(NOW)
    assert stored.signs(later(hours=23, minutes=59))
    assert not stored.signs(later(hours=24))
    sealed = seal_pin(keys, card="9000", request_key="k1", pin="1234")
    assert open_pin(sealed, session=stored.keys, card="9000", request_key="k1") == "1234"
    assert keys.mac_key.hex() not in str((await session.execute(text("SELECT row_to_json(s)::text FROM terminal_sessions s"))).all())
    assert keys.mac_key.hex() not in repr(stored)


async def test_yesterdays_pins_are_readable_for_48_hours(session, places):
    till = await Till.enrolled(session, places.terminals[0])
    session_id, _ = await till.open(session)
    assert (await queries.session_keys(session, session_id=session_id, now=later(hours=71, minutes=59))) is not None
    assert (await queries.session_keys(session, session_id=session_id, now=later(hours=72))) is None
    await operations.close_day_session(session, session_id=UUID(session_id), now=later(hours=1))
    closed = await queries.session_keys(session, session_id=session_id, now=later(hours=2))
    assert not closed.signs(later(hours=2))
    assert (await queries.session_keys(session, session_id=session_id, now=later(hours=49))) is None


@pytest.mark.parametrize("session_id", ["", "pos", "0199", "{01990000-0000-7000-8000-000000000000}"])
async def test_a_session_id_has_one_spelling(session, session_id):
    assert await queries.session_keys(session, session_id=session_id, now=NOW) is None


async def test_a_recorded_opening_opens_nothing_twice(session, places):
    till = await Till.enrolled(session, places.terminals[0])
    opening = till.begin().opening
    await operations.open_day_session(session, opening=opening, now=NOW)
    with pytest.raises(SessionNotOpened):
        await operations.open_day_session(session, opening=opening, now=later(seconds=1))


async def test_only_the_present_key_with_a_right_clock_opens_a_session(session, places):
    first = await Till.enrolled(session, places.terminals[0])
    other = await Till.enrolled(session, places.terminals[1])
    second = await Till.enrolled(session, places.terminals[0])
    impostor = Till(other.key, second.enrolment)
    refused = [
        first.begin().opening,
        impostor.begin().opening,
        second.begin(later(minutes=6)).opening,
        msgspec.structs.replace(second.begin().opening, epoch=1),
        msgspec.structs.replace(second.begin().opening, terminal_id=places.terminals[2]),
    ]
    for opening in refused:
        with pytest.raises(SessionNotOpened):
            await operations.open_day_session(session, opening=opening, now=NOW)
    await second.open(session)


async def test_a_revoked_till_stops_at_once_and_its_old_pins_stay_readable(session, places):
    till = await Till.enrolled(session, places.terminals[0])
    session_id, _ = await till.open(session)
    code = await code_for(session, places.terminals[0])
    before = (await revisions.current(session))[revisions.Kind.TERMINAL]
    await operations.revoke_terminal(session, terminal_id=places.terminals[0], reason="stolen", now=later(minutes=1))
    assert (await revisions.current(session))[revisions.Kind.TERMINAL] == before + 1
    stored = await queries.session_keys(session, session_id=session_id, now=later(minutes=1))
    assert stored.revoked
    assert not stored.signs(later(minutes=1))
    assert await queries.snapshot_terminal_keys(session) == []
    with pytest.raises(SessionNotOpened):
        await till.open(session, later(minutes=2))
    assert await enrol(session, code, now=later(minutes=2)) is None
    again = await Till.enrolled(session, places.terminals[0], later(minutes=3))
    assert again.enrolment.epoch == 2
    await again.open(session, later(minutes=3))


async def test_a_till_keeps_its_ten_newest_sessions(session, places):
    till = await Till.enrolled(session, places.terminals[0])
    opened = [(await till.open(session, later(seconds=number)))[0] for number in range(12)]
    at = later(seconds=20)
    signing = {stored.session_id for stored in await queries.readable_sessions(session, now=at) if stored.signs(at)}
    assert signing == set(opened[2:])
    fresh = await queries.readable_sessions(session, now=at, opened_after=later(seconds=10))
    assert [stored.session_id for stored in fresh] == opened[11:]


async def test_one_of_20_parallel_redemptions_wins(sessions):
    async with transaction(sessions) as session:
        places = await make_places(session)
        code = await code_for(session, places.terminals[0])

    async def redeem(number: int):
        async with transaction(sessions) as session:
            return await enrol(session, code, address=f"203.0.113.{number}")

    enrolled = [one for one in await asyncio.gather(*(redeem(number) for number in range(20))) if one is not None]
    assert [one.epoch for one in enrolled] == [1]


async def test_parallel_enrolments_of_one_till_get_different_epochs(sessions):
    async with transaction(sessions) as session:
        places = await make_places(session)
        terminal = places.terminals[0]
        key_code = await code_for(session, terminal)
        browser = await People(session, places).device()

    async def by_code(code):
        async with transaction(sessions) as session:
            return await enrol(session, code)

    assert browser.terminal_id == terminal
    assert (await by_code(key_code)).epoch == 1
    async with transaction(sessions) as session:
        code = await code_for(session, terminal)
    results = await asyncio.gather(by_code(code), by_code(code), by_code(code))
    assert sorted(one.epoch for one in results if one) == [2]
