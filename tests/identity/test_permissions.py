"""Who may do what, where: the whole table, and the answers to whoever may not."""

from dataclasses import replace
from itertools import product
from uuid import UUID

import pytest

from loyalty.errors import NotAllowed, NotFound
from loyalty.identity.model import STAFF_MOVES, STAGE_MOVES, Portal, Role, StaffStatus, Stage
from loyalty.identity.rules import (
    ISSUER_WIDE,
    PERMISSIONS,
    STEP_UP,
    Grant,
    PasswordTooWeak,
    Permission,
    Principal,
    StaffPinTooWeak,
    StepUpNeeded,
    approval_binding,
    at_station,
    blocked_for,
    may,
    refuse_weak_password,
    refuse_weak_pin,
    require,
    stations_for,
)
from loyalty.ids import StaffId

HERE, THERE = UUID(int=1), UUID(int=2)
EVERYWHERE = None
# One letter a role: Cashier, station Manager, District manager, Office, Finance, Auditor.
LETTERS = dict(zip("CMDOFA", Role, strict=True))
EXPECTED = {
    Permission.READ_STATION: "CMDOFA",
    Permission.READ_CUSTOMERS: "CMDOFA",
    Permission.READ_CARDS: "CMDOFA",
    Permission.READ_LEDGER: "DOFA",
    Permission.READ_LIABILITY: "FA",
    Permission.READ_AUDIT: "A",
    Permission.READ_STAFF: "MDOA",
    Permission.VIEW_ID_NUMBER: "OA",
    Permission.SELL: "CM",
    Permission.REFUND_SALE: "CM",
    Permission.LOAD: "CM",
    Permission.REVERSE_LOAD: "CM",
    Permission.RUN_SHIFT: "CM",
    Permission.ISSUE_CARDS: "CM",
    Permission.SERVE_CARDS: "CMO",
    Permission.CLOSE_CARDS: "CM",
    Permission.EDIT_CUSTOMERS: "CMO",
    Permission.PRINT_RECEIPTS: "CMOF",
    Permission.APPROVE_ON_SCREEN: "MD",
    Permission.UNLOCK_STAFF_PIN: "MDO",
    Permission.CLOSE_DAY: "MD",
    Permission.RELEASE_DISPENSE: "MD",
    Permission.MOVE_STOCK: "MDO",
    Permission.ENROL_TERMINALS: "MDO",
    Permission.EDIT_STATIONS: "O",
    Permission.EDIT_PRODUCTS: "O",
    Permission.PUBLISH_PRICES: "O",
    Permission.EDIT_CARD_PRODUCTS: "O",
    Permission.EDIT_LIMITS: "O",
    Permission.EDIT_DISCOUNTS: "O",
    Permission.EDIT_RULES: "O",
    Permission.APPROVE_RULES: "OF",
    Permission.READ_ALLIANCES: "OFA",
    Permission.EDIT_ALLIANCES: "O",
    Permission.APPROVE_ALLIANCES: "OF",
    Permission.MERGE_CUSTOMERS: "O",
    Permission.FREEZE_ACCOUNTS: "O",
    Permission.MAKE_ADJUSTMENTS: "O",
    Permission.CHECK_ADJUSTMENTS: "F",
    Permission.CONFIRM_TRANSFERS: "F",
    Permission.ISSUE_INVOICES: "F",
    Permission.PAY_OUT: "F",
    Permission.CLOSE_PERIODS: "F",
    Permission.REVOKE_TERMINALS: "MDO",
    Permission.EDIT_STAFF: "O",
    Permission.GRANT_ROLES: "O",
    Permission.MANAGE_OUTBOX: "O",
}


def somebody(*grants: Grant, fresh: bool = True) -> Principal:
    return Principal(
        staff_id=StaffId(UUID(int=9)),
        name="李",
        employee_number="1",
        grants=grants,
        portal=Portal.OFFICE,
        session_id=UUID(int=8),
        locale="zh_CN",
        fresh=fresh,
    )


def test_the_table_is_complete():
    assert set(EXPECTED) == set(Permission)
    assert set(PERMISSIONS) == set(Role)


@pytest.mark.parametrize(("letter", "permission"), list(product("CMDOFA", Permission)))
def test_every_role_may_exactly_this(letter, permission):
    principal = somebody(Grant(LETTERS[letter], EVERYWHERE))
    if letter in EXPECTED[permission]:
        require(principal, permission, station_id=HERE)
        require(principal, permission)
    else:
        with pytest.raises(NotAllowed):
            require(principal, permission, station_id=HERE)
        with pytest.raises(NotAllowed):
            require(principal, permission)


@pytest.mark.parametrize(("role", "permission"), list(product(Role, Permission)))
def test_another_station_is_unknown_whatever_the_role_may(role, permission):
    principal = somebody(Grant(role, frozenset({HERE})))
    with pytest.raises(NotFound):
        require(principal, permission, station_id=THERE)


@pytest.mark.parametrize(("role", "permission"), [(role, permission) for role in Role for permission in sorted(PERMISSIONS[role])])
def test_a_scope_reaches_its_stations_and_nothing_of_the_whole_issuer(role, permission):
    principal = somebody(Grant(role, frozenset({HERE})))
    assert may(principal, permission, station_id=HERE)
    assert may(principal, permission) is (permission not in ISSUER_WIDE)
    assert stations_for(principal, permission) == {HERE}


@pytest.mark.parametrize("permission", Permission)
def test_money_roles_and_keys_ask_for_the_second_factor_again(permission):
    stale = somebody(*[Grant(role, EVERYWHERE) for role in Role], fresh=False)
    if permission in STEP_UP:
        with pytest.raises(StepUpNeeded):
            require(stale, permission)
        require(replace(stale, fresh=True), permission)
    else:
        require(stale, permission)


def test_nobody_without_a_role_may_anything():
    for permission in Permission:
        assert not may(somebody(), permission)
        assert stations_for(somebody(), permission) == frozenset()
        with pytest.raises(NotFound):
            require(somebody(), permission, station_id=HERE)


def test_no_role_both_makes_and_checks_an_adjustment():
    for permissions in PERMISSIONS.values():
        assert not {Permission.MAKE_ADJUSTMENTS, Permission.CHECK_ADJUSTMENTS} <= permissions


def test_a_permission_counts_only_where_its_own_role_reaches():
    manager_here_cashier_there = somebody(Grant(Role.STATION_MANAGER, frozenset({HERE})), Grant(Role.CASHIER, frozenset({THERE})))
    require(manager_here_cashier_there, Permission.CLOSE_DAY, station_id=HERE)
    with pytest.raises(NotAllowed):
        require(manager_here_cashier_there, Permission.CLOSE_DAY, station_id=THERE)
    assert stations_for(manager_here_cashier_there, Permission.SELL) == {HERE, THERE}


def test_at_a_counter_every_role_counts_there_only():
    grants = at_station((Grant(Role.CASHIER, EVERYWHERE), Grant(Role.STATION_MANAGER, frozenset({THERE}))), HERE)
    assert grants == (Grant(Role.CASHIER, frozenset({HERE})),)


def test_waiting_doubles_up_to_an_hour():
    assert [blocked_for(failures, free=5).total_seconds() // 60 for failures in (1, 4, 5, 6, 7, 10, 11, 500)] == [0, 0, 1, 2, 4, 32, 60, 60]


@pytest.mark.parametrize("password", ["short", "x" * 201, "aaaaaaaaaaaaaaaa", "my name is Wang.Li indeed"])
def test_weak_passwords_are_refused(password):
    with pytest.raises(PasswordTooWeak):
        refuse_weak_password(password, log_in_name="wang.li")


def test_a_long_password_needs_no_special_characters():
    refuse_weak_password("four plain words here", log_in_name="wang.li")


@pytest.mark.parametrize("pin", ["12345", "1234567890123", "111111", "234567", "987654", "890123", "12345a", "１２３４５６", ""])
def test_weak_staff_pins_are_refused(pin):
    with pytest.raises(StaffPinTooWeak):
        refuse_weak_pin(pin)


def test_an_ordinary_pin_is_accepted():
    refuse_weak_pin("260715")


def test_an_approval_is_bound_to_every_fact():
    bound = approval_binding("refund", {"amount_minor": 100, "card": "a"})
    assert bound == approval_binding("refund", {"card": "a", "amount_minor": 100})
    assert bound not in {
        approval_binding("refund", {"amount_minor": 101, "card": "a"}),
        approval_binding("refund", {"amount_minor": 100}),
        approval_binding("void", {"amount_minor": 100, "card": "a"}),
    }


def test_every_stage_and_status_has_its_row():
    assert set(STAGE_MOVES) == set(Stage)
    assert set(STAFF_MOVES) == set(StaffStatus)
    assert all(stage not in STAGE_MOVES[stage] for stage in Stage)
    assert STAGE_MOVES[Stage.OPEN] == frozenset()
