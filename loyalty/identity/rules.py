"""Who may do what, where: roles to permissions, scopes to stations. Plain values in and out."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final
from uuid import UUID

from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import canonical_json
from loyalty.errors import NotAllowed, NotFound, Refusal
from loyalty.ids import StaffId, StationId, TerminalId

from .model import Portal, Role

PIN_TRIES: Final = 3
"""Three wrong PINs lock the PIN on every channel (the holders' rule, applied to staff)."""
PASSWORD_LENGTH_MIN: Final = 12
PASSWORD_LENGTH_MAX: Final = 200
STAFF_PIN_LENGTH_MIN: Final = 6


class StepUpNeeded(Refusal):
    """Money and roles ask for the second factor again."""

    status = 403
    zh = "此操作需要再次验证身份。"
    en = "This asks for your second factor again."
    next_zh = "请输入动态验证码后重试。"
    next_en = "Enter the code from your authenticator, then repeat."


class PasswordTooWeak(Refusal):
    """Too short, too long, or made of the name."""

    status = 422
    zh = "密码须为 {min} 至 {max} 个字符，且不得包含登录名。"
    en = "A password has {min} to {max} characters and does not contain your log-in name."
    next_zh = "可以用几个不相干的词连成一句。"
    next_en = "Several unrelated words in a row do well."


class StaffPinTooWeak(Refusal):
    """Too short, one digit repeated, or digits in a row."""

    status = 422
    zh = "员工密码须为 {min} 至 12 位数字，且不能全部相同或连号。"
    en = "A staff PIN has {min} to 12 digits, not all the same and not in a row."
    next_zh = "请换一个密码。"
    next_en = "Choose another."


class Permission(StrEnum):
    """What may be done. One verb of the trade each."""

    READ_STATION = "read_station"
    """Stations, terminals, prices, shifts, stock."""
    READ_CUSTOMERS = "read_customers"
    READ_CARDS = "read_cards"
    READ_LEDGER = "read_ledger"
    READ_LIABILITY = "read_liability"
    READ_AUDIT = "read_audit"
    READ_STAFF = "read_staff"
    VIEW_ID_NUMBER = "view_id_number"

    SELL = "sell"
    """Authorise, complete, reverse, one-step sale, fills."""
    REFUND_SALE = "refund_sale"
    LOAD = "load"
    REVERSE_LOAD = "reverse_load"
    RUN_SHIFT = "run_shift"
    ISSUE_CARDS = "issue_cards"
    SERVE_CARDS = "serve_cards"
    """Lost report, replacement, PIN set and unlock with the holder's document, anonymous to registered."""
    CLOSE_CARDS = "close_cards"
    EDIT_CUSTOMERS = "edit_customers"
    PRINT_RECEIPTS = "print_receipts"

    APPROVE_ON_SCREEN = "approve_on_screen"
    """Stand in with card and PIN for one act of a cashier beyond their limits."""
    UNLOCK_STAFF_PIN = "unlock_staff_pin"
    CLOSE_DAY = "close_day"
    RELEASE_DISPENSE = "release_dispense"
    """Resolve an unresolved dispense with evidence."""
    MOVE_STOCK = "move_stock"
    ENROL_TERMINALS = "enrol_terminals"

    EDIT_STATIONS = "edit_stations"
    EDIT_PRODUCTS = "edit_products"
    PUBLISH_PRICES = "publish_prices"
    EDIT_CARD_PRODUCTS = "edit_card_products"
    EDIT_LIMITS = "edit_limits"
    EDIT_DISCOUNTS = "edit_discounts"
    EDIT_RULES = "edit_rules"
    """Draft and submit rulebooks; nothing changes at the pump by it."""
    APPROVE_RULES = "approve_rules"
    """Approve a rulebook that somebody else submitted, send it back, or cancel it before its time."""
    READ_ALLIANCES = "read_alliances"
    """Partners, what is agreed with them, their book: the issuer's business, not a station's."""
    EDIT_ALLIANCES = "edit_alliances"
    """Partners' facts, outlets, notices, papers; drafts of agreements, by which nothing holds yet."""
    APPROVE_ALLIANCES = "approve_alliances"
    """Approve an agreement that somebody else drafted, or reject it."""
    MERGE_CUSTOMERS = "merge_customers"
    FREEZE_ACCOUNTS = "freeze_accounts"
    MAKE_ADJUSTMENTS = "make_adjustments"
    CHECK_ADJUSTMENTS = "check_adjustments"
    CONFIRM_TRANSFERS = "confirm_transfers"
    """Match a pending bank-transfer load to a bank-statement line."""
    ISSUE_INVOICES = "issue_invoices"
    """Answer companies' requests for VAT invoices, and take issued ones back by a red letter."""
    PAY_OUT = "pay_out"
    CLOSE_PERIODS = "close_periods"
    REVOKE_TERMINALS = "revoke_terminals"
    EDIT_STAFF = "edit_staff"
    GRANT_ROLES = "grant_roles"
    MANAGE_OUTBOX = "manage_outbox"
    """What leaves the house: read where it is kept, send again what came to nothing."""


_READ_COUNTER: Final = frozenset({Permission.READ_STATION, Permission.READ_CUSTOMERS, Permission.READ_CARDS})
_COUNTER: Final = _READ_COUNTER | {
    Permission.SELL,
    Permission.REFUND_SALE,
    Permission.LOAD,
    Permission.REVERSE_LOAD,
    Permission.RUN_SHIFT,
    Permission.ISSUE_CARDS,
    Permission.SERVE_CARDS,
    Permission.CLOSE_CARDS,
    Permission.EDIT_CUSTOMERS,
    Permission.PRINT_RECEIPTS,
}
_RESPONSIBLE: Final = frozenset(
    {
        Permission.READ_STAFF,
        Permission.APPROVE_ON_SCREEN,
        Permission.UNLOCK_STAFF_PIN,
        Permission.CLOSE_DAY,
        Permission.RELEASE_DISPENSE,
        Permission.MOVE_STOCK,
        Permission.ENROL_TERMINALS,
        Permission.REVOKE_TERMINALS,
    }
)
PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.CASHIER: _COUNTER,
    Role.STATION_MANAGER: _COUNTER | _RESPONSIBLE,
    # An area manager answers for stations and does not stand at their tills.
    Role.DISTRICT_MANAGER: _READ_COUNTER | _RESPONSIBLE | {Permission.READ_LEDGER},
    Role.OFFICE: _READ_COUNTER
    | {
        Permission.READ_STAFF,
        Permission.READ_LEDGER,
        Permission.VIEW_ID_NUMBER,
        Permission.UNLOCK_STAFF_PIN,
        Permission.MOVE_STOCK,
        Permission.ENROL_TERMINALS,
        Permission.REVOKE_TERMINALS,
        Permission.EDIT_CUSTOMERS,
        Permission.SERVE_CARDS,
        Permission.PRINT_RECEIPTS,
        Permission.EDIT_STATIONS,
        Permission.EDIT_PRODUCTS,
        Permission.PUBLISH_PRICES,
        Permission.EDIT_CARD_PRODUCTS,
        Permission.EDIT_LIMITS,
        Permission.EDIT_DISCOUNTS,
        Permission.EDIT_RULES,
        Permission.APPROVE_RULES,
        Permission.READ_ALLIANCES,
        Permission.EDIT_ALLIANCES,
        Permission.APPROVE_ALLIANCES,
        Permission.MERGE_CUSTOMERS,
        Permission.FREEZE_ACCOUNTS,
        Permission.MAKE_ADJUSTMENTS,
        Permission.EDIT_STAFF,
        Permission.GRANT_ROLES,
        Permission.MANAGE_OUTBOX,
    },
    # Whoever checks an adjustment never makes one: maker and checker differ by role, and by person in the operation.
    Role.FINANCE: _READ_COUNTER
    | {
        Permission.READ_LEDGER,
        Permission.READ_LIABILITY,
        Permission.PRINT_RECEIPTS,
        Permission.CHECK_ADJUSTMENTS,
        Permission.CONFIRM_TRANSFERS,
        Permission.ISSUE_INVOICES,
        Permission.PAY_OUT,
        Permission.CLOSE_PERIODS,
        Permission.APPROVE_RULES,
        Permission.READ_ALLIANCES,
        Permission.APPROVE_ALLIANCES,
    },
    Role.AUDITOR: _READ_COUNTER
    | {
        Permission.READ_LEDGER,
        Permission.READ_LIABILITY,
        Permission.READ_ALLIANCES,
        Permission.READ_AUDIT,
        Permission.READ_STAFF,
        Permission.VIEW_ID_NUMBER,
    },
}

ISSUER_WIDE: Final = frozenset(
    {
        Permission.READ_LIABILITY,
        Permission.READ_AUDIT,
        Permission.EDIT_PRODUCTS,
        Permission.EDIT_CARD_PRODUCTS,
        Permission.EDIT_DISCOUNTS,
        Permission.EDIT_RULES,
        Permission.APPROVE_RULES,
        Permission.READ_ALLIANCES,
        Permission.EDIT_ALLIANCES,
        Permission.APPROVE_ALLIANCES,
        Permission.MERGE_CUSTOMERS,
        Permission.FREEZE_ACCOUNTS,
        Permission.MAKE_ADJUSTMENTS,
        Permission.CHECK_ADJUSTMENTS,
        Permission.CONFIRM_TRANSFERS,
        Permission.ISSUE_INVOICES,
        Permission.PAY_OUT,
        Permission.CLOSE_PERIODS,
        Permission.MANAGE_OUTBOX,
    }
)
"""What belongs to the whole issuer: without a station it takes a role whose scope is everything."""

STEP_UP: Final = frozenset(
    {
        Permission.PUBLISH_PRICES,
        Permission.EDIT_DISCOUNTS,
        Permission.APPROVE_RULES,
        Permission.APPROVE_ALLIANCES,
        Permission.FREEZE_ACCOUNTS,
        Permission.MAKE_ADJUSTMENTS,
        Permission.CHECK_ADJUSTMENTS,
        Permission.CONFIRM_TRANSFERS,
        Permission.ISSUE_INVOICES,
        Permission.PAY_OUT,
        Permission.CLOSE_PERIODS,
        Permission.REVOKE_TERMINALS,
        Permission.VIEW_ID_NUMBER,
        Permission.EDIT_STAFF,
        Permission.GRANT_ROLES,
    }
)
"""Money, roles, keys and ID numbers: a second factor within the last minutes."""


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """How long sessions last. Real time, never the demo clock's."""

    idle: timedelta = timedelta(minutes=30)
    longest: timedelta = timedelta(hours=12)
    between_factors: timedelta = timedelta(minutes=5)
    """How long a log-in may wait for its second factor."""
    step_up: timedelta = timedelta(minutes=5)
    screen_lock: timedelta = timedelta(minutes=3)
    """The counter's screen locks itself after so long without a touch."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One role in force and the stations it reaches; None is every station, those to come included."""

    role: Role
    stations: frozenset[UUID] | None

    def reaches(self, station_id: UUID) -> bool:
        """Say whether the station lies within the scope."""
        return self.stations is None or station_id in self.stations


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A signed-in member of staff, as one request sees them."""

    staff_id: StaffId
    name: str
    employee_number: str
    grants: tuple[Grant, ...]
    portal: Portal
    session_id: UUID
    locale: str
    fresh: bool
    """A step-up lies within the last minutes."""
    stepped_up_at: datetime | None = None
    station_id: StationId | None = None
    """The counter's station; None in the office."""
    terminal_id: TerminalId | None = None
    address: str | None = None
    user_agent: str | None = None

    @property
    def roles(self) -> frozenset[Role]:
        """The roles in force, whatever their scope."""
        return frozenset(grant.role for grant in self.grants)

    @property
    def actor(self) -> Actor:
        """Who the trail names."""
        return Actor(ActorKind.STAFF, self.staff_id, self.address, self.user_agent)


def may(principal: Principal, permission: Permission, *, station_id: UUID | None = None) -> bool:
    """Say whether a page should offer it: roles and scope only, since a step-up can still be asked for."""
    for grant in principal.grants:
        if permission in PERMISSIONS[grant.role]:
            if station_id is not None and grant.reaches(station_id):
                return True
            if station_id is None and (grant.stations is None or permission not in ISSUER_WIDE):
                return True
    return False


def require(principal: Principal, permission: Permission, *, station_id: UUID | None = None) -> None:
    """Let the principal do it, or refuse.

    With `station_id`, the object's station, a scope that does not reach it makes the object unknown. Without, an issuer-wide permission
    takes an unlimited scope, and any other takes any scope: lists are then cut by `stations_for`.

    :raises NotFound: if no role of the principal reaches the station, whatever it may do
    :raises NotAllowed: if the roles that reach it may not
    :raises StepUpNeeded: if it asks for a second factor within the last minutes
    """
    if station_id is not None and not any(grant.reaches(station_id) for grant in principal.grants):
        raise NotFound
    if not may(principal, permission, station_id=station_id):
        raise NotAllowed(permission=permission.value)
    if permission in STEP_UP and not principal.fresh:
        raise StepUpNeeded(permission=permission.value)


def stations_for(principal: Principal, permission: Permission) -> frozenset[UUID] | None:
    """Return the stations at which the principal may do it: what a list is cut to; None is every station, the empty set none."""
    reached: frozenset[UUID] = frozenset()
    for grant in principal.grants:
        if permission in PERMISSIONS[grant.role]:
            if grant.stations is None:
                return None
            reached |= grant.stations
    return reached


def at_station(grants: tuple[Grant, ...], station_id: UUID) -> tuple[Grant, ...]:
    """Return the grants as they count at one station's counter: those that reach it, and there only."""
    here = frozenset({station_id})
    return tuple(Grant(grant.role, here) for grant in grants if grant.reaches(station_id))


def blocked_for(failures: int, *, free: int) -> timedelta:
    """Return how long to wait after the `failures`-th failure in a row: nothing below `free`, then 1, 2, 4 … minutes, an hour at most."""
    over = failures - free
    return timedelta() if over < 0 else timedelta(minutes=min(60, 2 ** min(over, 6)))


def refuse_weak_password(password: str, *, log_in_name: str) -> None:
    """Accept a password by its length alone (NIST SP 800-63B-4, section 3.1.1.2: no composition rules).

    :raises PasswordTooWeak: if it is too short, too long, or contains the log-in name
    """
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX or log_in_name in password.lower() or len(set(password)) < 5:
        raise PasswordTooWeak(min=PASSWORD_LENGTH_MIN, max=PASSWORD_LENGTH_MAX)


def refuse_weak_pin(pin: str) -> None:
    """Accept a staff PIN: 6 to 12 digits, not one digit repeated, not a run up or down.

    :raises StaffPinTooWeak: otherwise
    """
    well_formed = STAFF_PIN_LENGTH_MIN <= len(pin) <= 12 and pin.isascii() and pin.isdigit()
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)} if well_formed else {0}
    if steps in ({0}, {1}, {9}):
        raise StaffPinTooWeak(min=STAFF_PIN_LENGTH_MIN)


def approval_binding(action: str, facts: Mapping[str, object]) -> bytes:
    """Return the 32 bytes that tie an approval to one act: SHA-256 of the action and its facts (amount, card, sale) as canonical JSON."""
    return hashlib.sha256(canonical_json([action, {name: str(facts[name]) for name in facts}])).digest()
