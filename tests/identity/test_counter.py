"""The counter's browser: card and PIN, the locked screen, the switch, a manager's approval."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from loyalty.db import transaction
from loyalty.errors import NotFound
from loyalty.identity import operations, queries
from loyalty.identity.model import Portal, Role, ScopeKind, Staff
from loyalty.identity.operations import ApprovalNotValid, DeviceNotEnrolled, NotSignedIn, ScreenLocked, SignIn
from loyalty.identity.queries import StaffNotFound
from loyalty.identity.rules import Permission, require

from .conftest import CARD, NOW, PIN, People, actions, later, make_places

MANAGER_CARD, MANAGER_PIN = "9000012345678912", "914703"
WRONG = "111222"


async def sign_in(session, device, card=CARD, pin=PIN, now=NOW) -> SignIn:
    return await operations.sign_in_at_terminal(session, device_token=device.token, card_number=card, pin=pin, now=now)


async def at_work(session, device, token, now=NOW):
    return await operations.resume(session, token=token, portal=Portal.CASHIER, device_token=device.token, now=now)


async def test_card_and_pin_open_the_counter_of_this_station(session, people, places):
    staff_id = await people.at_station()
    device = await people.device()
    signed = await sign_in(session, device)
    principal = await at_work(session, device, signed.token)
    assert principal.staff_id == staff_id
    assert (principal.terminal_id, principal.station_id) == (places.terminals[0], places.stations[0])
    require(principal, Permission.SELL, station_id=places.stations[0])
    assert await actions(session) == [
        "identity.hired",
        "identity.role_granted",
        "identity.staff_card_issued",
        "identity.staff_pin_set",
        "identity.enrolment_code_issued",
        "identity.device_enrolled",
        "identity.signed_in",
    ]


async def test_an_unknown_card_a_wrong_pin_and_a_card_without_pin_answer_alike(session, people):
    await people.at_station()
    bare = await people.hire((Role.CASHIER, ScopeKind.STATION, people.places.stations[0]))
    await operations.issue_staff_card(session, staff_id=bare, card_number="9000012345678920", now=NOW)
    device = await people.device()
    for _ in range(2):
        wrong = await sign_in(session, device, pin=WRONG)
        unknown = await sign_in(session, device, card="9000999999999999")
        without = await sign_in(session, device, card="9000012345678920")
        assert wrong == unknown == without == SignIn()
    wrong = await sign_in(session, device, pin=WRONG)
    unknown = await sign_in(session, device, card="9000999999999999")
    without = await sign_in(session, device, card="9000012345678920")
    assert wrong == unknown == without == SignIn(locked=True)


async def test_three_wrong_pins_lock_it_until_a_station_manager_unlocks(session, people):
    cashier = await people.at_station()
    device = await people.device()
    for _ in range(3):
        assert (await sign_in(session, device, pin=WRONG)).refused
    assert await sign_in(session, device) == SignIn(locked=True)
    assert (await queries.staff_view(session, staff_id=cashier, now=NOW)).pin_locked
    await people.at_station(Role.STATION_MANAGER, card=MANAGER_CARD, pin=MANAGER_PIN)
    manager = (await sign_in(session, device, MANAGER_CARD, MANAGER_PIN)).principal
    await operations.unlock_staff_pin(session, staff_id=cashier, by=manager, now=NOW)
    assert not (await sign_in(session, device)).refused


async def test_nobody_unlocks_their_own_pin_or_another_stations(session, people):
    manager_id = await people.at_station(Role.STATION_MANAGER, card=MANAGER_CARD, pin=MANAGER_PIN)
    elsewhere = await people.at_station(station=1)
    device = await people.device()
    manager = (await sign_in(session, device, MANAGER_CARD, MANAGER_PIN)).principal
    with pytest.raises(operations.NotOneself):
        await operations.unlock_staff_pin(session, staff_id=manager_id, by=manager, now=NOW)
    with pytest.raises(NotFound):
        await operations.unlock_staff_pin(session, staff_id=elsewhere, by=manager, now=NOW)


async def test_a_right_pin_gives_the_tries_back(session, people):
    await people.at_station()
    device = await people.device()
    for _ in range(3):
        assert (await sign_in(session, device, pin=WRONG)).refused
        assert (await sign_in(session, device, pin=WRONG)).refused
        assert not (await sign_in(session, device)).refused


async def test_somebody_of_another_station_is_told_so_only_after_the_proof(session, people):
    await people.at_station(station=1)
    device = await people.device(0)
    assert await sign_in(session, device, pin=WRONG) == SignIn()
    assert await sign_in(session, device) == SignIn(not_here=True)


async def test_an_auditor_does_not_stand_at_the_till(session, people):
    await people.at_station(Role.AUDITOR)
    device = await people.device()
    assert await sign_in(session, device) == SignIn(not_here=True)


async def test_a_copied_session_cookie_opens_no_other_browser(session, people):
    await people.at_station()
    device, other = await people.device(), await people.device(1)
    token = (await sign_in(session, device)).token
    for stolen in (None, other.token, "nothing"):
        with pytest.raises(NotSignedIn):
            await operations.resume(session, token=token, portal=Portal.CASHIER, device_token=stolen, now=NOW)


async def test_the_screen_locks_itself_and_the_same_pin_opens_it(session, people):
    await people.at_station()
    device = await people.device()
    token = (await sign_in(session, device)).token
    await at_work(session, device, token, later(minutes=2))
    await at_work(session, device, token, later(minutes=4))
    with pytest.raises(ScreenLocked):
        await at_work(session, device, token, later(minutes=7))
    at = later(minutes=8)
    assert (await operations.unlock_screen(session, token=token, device_token=device.token, pin=WRONG, now=at)).refused
    opened = await operations.unlock_screen(session, token=token, device_token=device.token, pin=PIN, now=at)
    assert opened.token != token
    await at_work(session, device, opened.token, at)
    with pytest.raises(NotSignedIn):
        await at_work(session, device, token, at)


async def test_a_locked_screen_stays_locked_until_the_pin(session, people):
    await people.at_station()
    device = await people.device()
    token = (await sign_in(session, device)).token
    await operations.lock_screen(session, token=token, now=NOW)
    with pytest.raises(ScreenLocked):
        await at_work(session, device, token)
    for _ in range(3):
        last = await operations.unlock_screen(session, token=token, device_token=device.token, pin=WRONG, now=NOW)
    assert last == SignIn(locked=True)
    assert (await operations.unlock_screen(session, token=token, device_token=device.token, pin=PIN, now=NOW)).refused


async def test_a_second_person_takes_over_and_the_first_comes_back_by_pin(session, people):
    await people.at_station()
    await people.at_station(Role.STATION_MANAGER, card=MANAGER_CARD, pin=MANAGER_PIN)
    device = await people.device()
    first = (await sign_in(session, device)).token
    second = (await sign_in(session, device, MANAGER_CARD, MANAGER_PIN, later(seconds=1))).token
    with pytest.raises(ScreenLocked):
        await at_work(session, device, first, later(seconds=2))
    await at_work(session, device, second, later(seconds=2))
    names = await operations.people_at_device(session, device_token=device.token, now=later(seconds=2))
    assert [name for _, name in names] == ["员工2", "员工1"]
    back = await operations.unlock_screen(session, token=first, device_token=device.token, pin=PIN, now=later(seconds=3))
    await at_work(session, device, back.token, later(seconds=3))
    with pytest.raises(ScreenLocked):
        await at_work(session, device, second, later(seconds=3))


async def test_a_manager_approves_one_act_on_the_cashiers_screen(session, people):
    await people.at_station()
    manager_id = await people.at_station(Role.STATION_MANAGER, card=MANAGER_CARD, pin=MANAGER_PIN)
    device = await people.device()
    cashier = (await sign_in(session, device)).principal
    facts = {"amount_minor": 17615, "card": "…4417"}
    approval = await operations.approve_on_screen(
        session, asked_by=cashier, card_number=MANAGER_CARD, pin=MANAGER_PIN, action="sale.refund", facts=facts, now=NOW
    )
    assert approval.approver == "员工2"

    async def spend(action="sale.refund", facts=facts, by=cashier, now=NOW):
        return await operations.spend_approval(session, token=approval.token, action=action, facts=facts, by=by, now=now)

    another = (await sign_in(session, await people.device(), MANAGER_CARD, MANAGER_PIN)).principal
    for attempt in (
        {"action": "sale.void"},
        {"facts": {**facts, "amount_minor": 17616}},
        {"by": another},
        {"now": later(minutes=2)},
    ):
        with pytest.raises(ApprovalNotValid):
            await spend(**attempt)
    assert await spend() == manager_id
    with pytest.raises(ApprovalNotValid):
        await spend()


async def test_a_cashier_approves_nothing_and_nobody_approves_themselves(session, people):
    await people.at_station()
    await people.at_station(card="9000012345678938", pin="480217")
    await people.at_station(Role.STATION_MANAGER, card=MANAGER_CARD, pin=MANAGER_PIN)
    device = await people.device()
    ask = {"action": "sale.refund", "facts": {"amount_minor": 1}, "now": NOW}
    cashier = (await sign_in(session, device)).principal
    colleague = await operations.approve_on_screen(session, asked_by=cashier, card_number="9000012345678938", pin="480217", **ask)
    wrong = await operations.approve_on_screen(session, asked_by=cashier, card_number=MANAGER_CARD, pin=WRONG, **ask)
    manager = (await sign_in(session, device, MANAGER_CARD, MANAGER_PIN)).principal
    oneself = await operations.approve_on_screen(session, asked_by=manager, card_number=MANAGER_CARD, pin=MANAGER_PIN, **ask)
    assert colleague == oneself == operations.Approval(not_allowed=True)
    assert wrong == operations.Approval()


async def test_a_new_card_ends_the_counters_sessions(session, people):
    staff_id = await people.at_station()
    device = await people.device()
    token = (await sign_in(session, device)).token
    await operations.issue_staff_card(session, staff_id=staff_id, card_number="9000012345678953", now=NOW)
    with pytest.raises(NotSignedIn):
        await at_work(session, device, token)
    assert (await sign_in(session, device)).refused


async def test_a_revoked_till_ends_its_browsers_at_once(session, people, places):
    await people.at_station()
    device = await people.device()
    token = (await sign_in(session, device)).token
    await operations.revoke_terminal(session, terminal_id=places.terminals[0], reason="stolen", now=NOW)
    with pytest.raises(NotSignedIn):
        await at_work(session, device, token)
    with pytest.raises(DeviceNotEnrolled):
        await sign_in(session, device)


async def test_one_browser_is_revoked_and_the_other_goes_on(session, people):
    await people.at_station()
    lost, kept = await people.device(), await people.device()
    token = (await sign_in(session, lost)).token
    other = (await sign_in(session, kept)).token
    await operations.revoke_device(session, device_id=lost.device_id, reason="lost", now=NOW)
    with pytest.raises(NotSignedIn):
        await at_work(session, lost, token)
    await at_work(session, kept, other)
    with pytest.raises(operations.TerminalNotFound):
        await operations.revoke_device(session, device_id=lost.device_id, reason="lost", now=NOW)


async def test_the_pin_is_never_stored_readably(session, people):
    await people.at_station()
    device = await people.device()
    await sign_in(session, device)
    rows = str((await session.execute(text("SELECT row_to_json(staff)::text FROM staff"))).all())
    assert PIN not in rows
    assert CARD.replace(" ", "")[:12] not in rows
    assert device.token not in str((await session.execute(text("SELECT row_to_json(d)::text FROM terminal_devices d"))).all())


async def test_a_member_of_staff_who_does_not_exist_is_not_found(session, people, places):
    with pytest.raises(StaffNotFound):
        await operations.set_staff_pin(session, staff_id=places.region, pin=PIN, now=NOW)


async def test_500_parallel_wrong_pins_are_three_evaluations(sessions, monkeypatch):
    """Every guess commits before it is answered, and the row's lock lets them in one by one."""
    async with transaction(sessions) as session:
        places = await make_places(session)
        people = People(session, places)
        staff_id = await people.at_station()
        devices = [await people.device() for _ in range(50)]
    judged = 0
    real = operations.counter.pin_matches

    def counting(*args, **kwargs) -> bool:
        nonlocal judged
        judged += 1
        return real(*args, **kwargs)

    monkeypatch.setattr(operations.counter, "pin_matches", counting)
    gate = asyncio.Semaphore(40)

    async def guess(number: int) -> SignIn:
        async with gate, transaction(sessions) as session:
            moment = NOW + timedelta(milliseconds=number)
            return await sign_in(session, devices[number % 50], pin=f"{100200 + 7 * number}", now=moment)

    answers = await asyncio.gather(*(guess(number) for number in range(500)))
    assert judged == 3
    assert all(answer.refused for answer in answers)
    assert sum(not answer.locked for answer in answers) == 2
    async with transaction(sessions) as session:
        assert await session.scalar(select(Staff.pin_tries).where(Staff.staff_id == staff_id)) == 3
        assert await sign_in(session, await People(session, places).device(), now=later(minutes=1)) == SignIn(locked=True)
