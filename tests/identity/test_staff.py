"""Staff: who may hire, grant and unlock whom, and how far a scope reaches."""

from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from loyalty.crypto import Purpose, needs_rotation
from loyalty.errors import NotAllowed, NotFound
from loyalty.identity import operations, queries
from loyalty.identity.model import STAFF_MOVES, Portal, Role, ScopeKind, Staff, StaffStatus
from loyalty.identity.operations import (
    EmployeeNumberTaken,
    LogInNameTaken,
    NotOneself,
    StaffCannotMove,
    StaffCardTaken,
    StaffHasNoCard,
)
from loyalty.identity.queries import StaffNotFound
from loyalty.identity.rules import Permission, StaffPinTooWeak, StepUpNeeded, require, stations_for

from .conftest import CARD, NOW, PASSWORD, PIN, actions, later, roles_of


async def test_a_scope_reaches_its_stations(session, people, places):
    expected = {
        ScopeKind.STATION: (places.stations[2], {places.stations[2]}),
        ScopeKind.DISTRICT: (places.districts[0], set(places.stations[:2])),
        ScopeKind.REGION: (places.region, set(places.stations)),
        ScopeKind.ALL: (None, None),
    }
    for scope, (scope_id, stations) in expected.items():
        staff_id = await people.hire((Role.STATION_MANAGER, scope, scope_id))
        [grant] = await queries.grants_of(session, staff_id=staff_id, now=NOW)
        assert grant.stations == stations
        assert grant.role is Role.STATION_MANAGER


async def test_a_role_counts_from_its_first_instant_to_its_last(session, people, places):
    staff_id = await people.hire()
    await operations.grant_role(
        session,
        staff_id=staff_id,
        role=Role.CASHIER,
        scope=ScopeKind.STATION,
        scope_id=places.stations[0],
        valid_from=later(days=1),
        valid_to=later(days=2),
        now=NOW,
    )
    second = timedelta(seconds=1)
    instants = (NOW, later(days=1) - second, later(days=1), later(days=2) - second, later(days=2))
    assert [len(await queries.grants_of(session, staff_id=staff_id, now=at)) for at in instants] == [0, 0, 1, 1, 0]


async def test_a_district_without_stations_reaches_nothing(session, people, places):
    await session.execute(text("UPDATE stations SET district_id = :other"), {"other": places.districts[0]})
    staff_id = await people.hire((Role.DISTRICT_MANAGER, ScopeKind.DISTRICT, places.districts[1]))
    [grant] = await queries.grants_of(session, staff_id=staff_id, now=NOW)
    assert grant.stations == frozenset()


async def test_the_office_hires_grants_and_lets_go(session, people, places):
    office = await people.principal(Role.OFFICE)
    staff_id = await operations.hire(
        session, employee_number="A17", name="周", home_station_id=places.stations[0], phone="+8613800138000", by=office, now=NOW
    )
    await operations.grant_role(
        session, staff_id=staff_id, role=Role.CASHIER, scope=ScopeKind.STATION, scope_id=places.stations[0], by=office, now=NOW
    )
    await operations.issue_staff_card(session, staff_id=staff_id, card_number=CARD, by=office, now=NOW)
    await operations.set_staff_pin(session, staff_id=staff_id, pin=PIN, by=office, now=NOW)
    view = await queries.staff_view(session, staff_id=staff_id, now=NOW)
    assert (view.name, view.card_tail, view.pin_set, [role.role for role in view.roles]) == ("周", "8904", True, [Role.CASHIER])
    assert await queries.staff_by_card(session, card_number="9000012345678904") == staff_id
    assert await queries.staff_phone(session, staff_id=staff_id) == "+8613800138000"
    await operations.let_go(session, staff_id=staff_id, by=office, now=later(minutes=1))
    gone = await queries.staff_view(session, staff_id=staff_id, now=later(minutes=1))
    assert (gone.status, gone.card_tail, gone.pin_set, gone.roles) == (StaffStatus.LEFT, None, False, ())
    assert (await actions(session))[-1] == "identity.left"
    await operations.take_back(session, staff_id=staff_id, by=office, now=later(minutes=2))
    assert await queries.grants_of(session, staff_id=staff_id, now=later(minutes=2)) == ()


async def test_the_phone_number_stands_sealed(session):
    staff_id = await operations.hire(session, employee_number="A1", name="吴", phone="+8613800138000", now=NOW)
    row = await session.get_one(Staff, staff_id)
    assert not needs_rotation(Purpose.CONTACT, row.phone)
    assert b"138001" not in row.phone


async def test_the_office_corrects_what_it_knows_and_ends_sessions(session, people, places):
    staff_id = await people.at_station()
    device = await people.device()
    signed = await operations.sign_in_at_terminal(session, device_token=device.token, card_number=CARD, pin=PIN, now=NOW)
    office = await people.principal(Role.OFFICE)
    facts = {"name": "新名", "home_station_id": places.stations[1], "phone": "+8613900139000", "locale": "en"}
    for _ in range(2):
        await operations.change_staff(session, staff_id=staff_id, **facts, by=office, now=NOW)
    assert (await actions(session)).count("identity.staff_changed") == 1
    view = await queries.staff_view(session, staff_id=staff_id, now=NOW)
    assert (view.name, view.home_station_id, view.locale) == ("新名", places.stations[1], "en")
    assert await queries.staff_phone(session, staff_id=staff_id) == "+8613900139000"
    assert await operations.revoke_sessions_of(session, staff_id=staff_id, by=office, now=NOW) == 1
    with pytest.raises(operations.NotSignedIn):
        await operations.resume(session, token=signed.token, portal=Portal.CASHIER, device_token=device.token, now=NOW)


@pytest.mark.parametrize(("status", "to"), list(product(StaffStatus, StaffStatus)))
async def test_staff_move_by_the_table_only(session, people, status, to):
    staff_id = await people.hire()
    if status is StaffStatus.LEFT:
        await operations.let_go(session, staff_id=staff_id, by=None, now=NOW)
    move = operations.let_go if to is StaffStatus.LEFT else operations.take_back
    if to in STAFF_MOVES[status]:
        await move(session, staff_id=staff_id, by=None, now=NOW)
        assert await session.scalar(select(Staff.status).where(Staff.staff_id == staff_id)) is to
    else:
        with pytest.raises(StaffCannotMove):
            await move(session, staff_id=staff_id, by=None, now=NOW)


async def test_numbers_cards_and_names_belong_to_one_person(session, people):
    first, second = await people.hire(), await people.hire()
    with pytest.raises(EmployeeNumberTaken):
        await operations.hire(session, employee_number="N001", name="重", now=NOW)
    await operations.issue_staff_card(session, staff_id=first, card_number=CARD, now=NOW)
    with pytest.raises(StaffCardTaken):
        await operations.issue_staff_card(session, staff_id=second, card_number=CARD.replace(" ", ""), now=NOW)
    await operations.create_user(session, staff_id=first, log_in_name="Li.Na", password=PASSWORD, now=NOW)
    with pytest.raises(LogInNameTaken):
        await operations.create_user(session, staff_id=second, log_in_name="li.na ", password=PASSWORD, now=NOW)


async def test_a_pin_needs_a_card_and_some_thought(session, people):
    staff_id = await people.hire()
    with pytest.raises(StaffHasNoCard):
        await operations.set_staff_pin(session, staff_id=staff_id, pin=PIN, now=NOW)
    await operations.issue_staff_card(session, staff_id=staff_id, card_number=CARD, now=NOW)
    with pytest.raises(StaffPinTooWeak):
        await operations.set_staff_pin(session, staff_id=staff_id, pin="123456", now=NOW)


async def test_a_cashier_changes_their_own_pin_and_nobody_elses(session, people):
    await people.at_station()
    other = await people.at_station(card="9000012345678912")
    device = await people.device()
    cashier = (await operations.sign_in_at_terminal(session, device_token=device.token, card_number=CARD, pin=PIN, now=NOW)).principal
    await operations.set_staff_pin(session, staff_id=cashier.staff_id, pin="915264", by=cashier, now=NOW)
    again = await operations.sign_in_at_terminal(session, device_token=device.token, card_number=CARD, pin="915264", now=NOW)
    assert not again.refused
    with pytest.raises(NotAllowed):
        await operations.set_staff_pin(session, staff_id=other, pin="915264", by=cashier, now=NOW)


async def test_nobody_gives_themselves_a_role_or_one_wider_than_their_own(session, people, places):
    regional = await people.hire((Role.OFFICE, ScopeKind.DISTRICT, places.districts[0]))
    await operations.create_user(session, staff_id=regional, log_in_name="wang.li", password=PASSWORD, must_change=False, now=NOW)
    await operations.set_totp(session, staff_id=regional, secret=b"12345678901234567890", now=NOW)
    done = await people.log_in()
    by = await operations.resume(session, token=done.token, portal=Portal.OFFICE, now=NOW)
    somebody = await people.hire()

    async def grant(scope, scope_id, staff_id=somebody, role=Role.CASHIER):
        await operations.grant_role(session, staff_id=staff_id, role=role, scope=scope, scope_id=scope_id, by=by, now=NOW)

    with pytest.raises(NotOneself):
        await grant(ScopeKind.STATION, places.stations[0], staff_id=regional)
    await grant(ScopeKind.STATION, places.stations[1])
    await grant(ScopeKind.DISTRICT, places.districts[0])
    for scope, scope_id in (
        (ScopeKind.ALL, None),
        (ScopeKind.REGION, places.region),
        (ScopeKind.DISTRICT, places.districts[1]),
        (ScopeKind.STATION, places.stations[2]),
        (ScopeKind.STATION, places.region),
    ):
        with pytest.raises(NotAllowed):
            await grant(scope, scope_id)
    assert len(await roles_of(session, somebody)) == 2
    abroad = await operations.grant_role(
        session, staff_id=somebody, role=Role.CASHIER, scope=ScopeKind.STATION, scope_id=places.stations[2], now=NOW
    )
    with pytest.raises(NotAllowed):
        await operations.end_role(session, grant_id=abroad, by=by, now=NOW)


async def test_staff_of_another_station_are_not_found_and_head_office_takes_an_unlimited_scope(session, people, places):
    here, there, nowhere = [await people.hire(home=home) for home in (places.stations[0], places.stations[2], None)]
    regional = await people.hire((Role.OFFICE, ScopeKind.DISTRICT, places.districts[0]))
    await operations.create_user(session, staff_id=regional, log_in_name="wang.li", password=PASSWORD, must_change=False, now=NOW)
    await operations.set_totp(session, staff_id=regional, secret=b"12345678901234567890", now=NOW)
    by = await operations.resume(session, token=(await people.log_in()).token, portal=Portal.OFFICE, now=NOW)
    await operations.let_go(session, staff_id=here, by=by, now=NOW)
    with pytest.raises(NotFound):
        await operations.let_go(session, staff_id=there, by=by, now=NOW)
    with pytest.raises(NotAllowed):
        await operations.let_go(session, staff_id=nowhere, by=by, now=NOW)
    assert stations_for(by, Permission.READ_STAFF) == set(places.stations[:2])


async def test_roles_take_a_fresh_second_factor(session, people):
    await people.in_office(Role.OFFICE)
    token = (await people.log_in()).token
    stale = await operations.resume(session, token=token, portal=Portal.OFFICE, now=later(minutes=6))
    with pytest.raises(StepUpNeeded):
        await operations.hire(session, employee_number="X", name="急", by=stale, now=later(minutes=6))
    require(stale, Permission.READ_STAFF)


async def test_an_unknown_grant_is_not_found(session, places):
    with pytest.raises(StaffNotFound):
        await operations.end_role(session, grant_id=places.region, now=NOW)


async def test_a_scope_without_its_place_is_no_row(session, people):
    staff_id = await people.hire()
    with pytest.raises(IntegrityError):
        async with session.begin_nested():
            await operations.grant_role(session, staff_id=staff_id, role=Role.CASHIER, scope=ScopeKind.STATION, now=NOW)


async def test_lists_are_cut_to_stations_searched_and_paged(session, people, places):
    for home in (*places.stations, None, places.stations[0]):
        await people.hire(home=home)
    page = await queries.list_staff(session, stations=[places.stations[0]], now=NOW)
    assert [view.employee_number for view in page.rows] == ["N001", "N005"]
    first = await queries.list_staff(session, now=NOW, limit=3)
    rest = await queries.list_staff(session, now=NOW, limit=3, cursor=first.next)
    assert [view.employee_number for view in (*first.rows, *rest.rows)] == [f"N{number:03}" for number in range(1, 6)]
    assert rest.next is None
    assert [view.name for view in (await queries.list_staff(session, search="工4", now=NOW)).rows] == ["员工4"]
    assert (await queries.list_staff(session, search="%", now=NOW)).rows == []


async def test_old_budgets_and_unfinished_log_ins_are_cleared_away(session, people):
    await people.in_office(Role.OFFICE)
    await operations.start_log_in(session, name="wang.li", password=PASSWORD, now=NOW)
    await operations.start_log_in(session, name="nobody", password=PASSWORD, now=NOW)
    assert await operations.forget_old_attempts(session, now=later(days=1)) == 0
    assert await operations.forget_old_attempts(session, now=later(days=3)) == 2
    assert await operations.forget_old_sessions(session, before=later(minutes=4)) == 0
    assert await operations.forget_old_sessions(session, before=later(minutes=6)) == 1
