"""Reading staff, sessions and terminals' keys."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Select, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.card_numbers import plain_card_number
from loyalty.crypto import Purpose, SessionKeys, blind_index, open_, open_text
from loyalty.errors import NotFound
from loyalty.identity.model import Portal, Role, ScopeKind, Staff, StaffRole, StaffStatus, Stage, User, UserSession
from loyalty.identity.model_terminals import TerminalDevice, TerminalKey, TerminalSession
from loyalty.identity.rules import PIN_TRIES, Grant
from loyalty.paging import PAGE_SIZE, Key, Page, page

READABLE_AFTER: Final = timedelta(hours=48)
"""So long after its end a day session still opens the PINs sealed under it."""

_SCOPED: Final = """
    SELECT granted.role, granted.scope_kind, array_remove(array_agg(station.station_id), NULL)
    FROM staff_roles AS granted
    LEFT JOIN (stations AS station JOIN districts AS district ON district.district_id = station.district_id)
        ON station.station_id = granted.station_id
        OR station.district_id = granted.district_id
        OR district.region_id = granted.region_id
    WHERE granted.staff_id = :staff_id AND granted.valid_from <= :now AND (granted.valid_to IS NULL OR granted.valid_to > :now)
    GROUP BY granted.grant_id
    ORDER BY granted.grant_id
"""
_STATIONS: Final = {
    ScopeKind.STATION: "SELECT station_id FROM stations WHERE station_id = :scope_id",
    ScopeKind.DISTRICT: "SELECT station_id FROM stations WHERE district_id = :scope_id",
    ScopeKind.REGION: "SELECT station_id FROM stations JOIN districts USING (district_id) WHERE region_id = :scope_id",
}
"""A scope is a reference into the stations room, which stands above this one: hence its tables by name."""


class StaffNotFound(NotFound):
    """Unknown, left, or outside the caller's scope: the answer is the same."""

    zh = "没有找到该员工。"
    en = "There is no such member of staff."


async def get_staff_for_update(session: AsyncSession, *, staff_id: UUID, also_left: bool = False) -> Staff:
    """Lock and return one member of staff.

    :raises StaffNotFound: if there is none, or they left and `also_left` is not said
    """
    staff = await session.scalar(
        select(Staff).where(Staff.staff_id == staff_id).with_for_update().execution_options(populate_existing=True)
    )
    if staff is None or (staff.status is StaffStatus.LEFT and not also_left):
        raise StaffNotFound(staff=staff_id)
    return staff


async def grants_of(session: AsyncSession, *, staff_id: UUID, now: datetime) -> tuple[Grant, ...]:
    """Return the roles in force at `now`, each with the stations it reaches."""
    rows = await session.execute(text(_SCOPED), {"staff_id": staff_id, "now": now})
    return tuple(Grant(Role(role), None if scope == ScopeKind.ALL else frozenset(stations)) for role, scope, stations in rows)


async def stations_in_scope(session: AsyncSession, *, scope: ScopeKind, scope_id: UUID | None) -> frozenset[UUID]:
    """Return the stations of a station, district or region scope."""
    return frozenset(await session.scalars(text(_STATIONS[scope]), {"scope_id": scope_id}))


@dataclass(frozen=True, slots=True)
class StaffView:
    """A member of staff as lists show them; no card number, no PIN."""

    staff_id: UUID
    employee_number: str
    name: str
    status: StaffStatus
    locale: str
    home_station_id: UUID | None
    card_tail: str | None
    pin_set: bool
    pin_locked: bool
    log_in_name: str | None
    second_factor: bool
    roles: tuple["RoleView", ...]


@dataclass(frozen=True, slots=True)
class RoleView:
    """A role as lists show it; `scope_id` is the station, district or region."""

    grant_id: UUID
    role: Role
    scope: ScopeKind
    scope_id: UUID | None
    valid_from: datetime
    valid_to: datetime | None


async def list_staff(
    session: AsyncSession,
    *,
    stations: Collection[UUID] | None = None,
    search: str = "",
    status: StaffStatus | None = StaffStatus.ACTIVE,
    now: datetime,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[StaffView]:
    """Return a page of staff by employee number.

    `stations` cuts to home stations (None: everybody); `search` matches the number's beginning or part of the name.
    """
    wanted: Select[Staff] = select(Staff)
    if stations is not None:
        wanted = wanted.where(Staff.home_station_id.in_(stations))
    if status is not None:
        wanted = wanted.where(Staff.status == status)
    if search:
        plain = search.replace("\0", "").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        wanted = wanted.where(or_(Staff.employee_number.ilike(f"{plain}%"), Staff.name.ilike(f"%{plain}%")))
    found = await page(session, wanted, keys=[Key(Staff.employee_number)], cursor=cursor, limit=limit)
    return Page(await _viewed(session, found.rows, now), found.next, found.previous)


async def staff_view(session: AsyncSession, *, staff_id: UUID, now: datetime) -> StaffView:
    """Return one member of staff.

    :raises StaffNotFound: if there is none
    """
    staff = await session.get(Staff, staff_id)
    if staff is None:
        raise StaffNotFound(staff=staff_id)
    return (await _viewed(session, [staff], now))[0]


async def staff_names(session: AsyncSession, *, staff_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return names by id, for lists that show who did it."""
    rows = await session.execute(select(Staff.staff_id, Staff.name).where(Staff.staff_id.in_(staff_ids)))
    return {row.staff_id: row.name for row in rows}


async def staff_by_card(session: AsyncSession, *, card_number: str) -> UUID | None:
    """Return who holds a staff card; the number alone proves nothing."""
    index = blind_index(Purpose.INDEX_CARD_NUMBER, plain_card_number(card_number))
    return await session.scalar(select(Staff.staff_id).where(Staff.card_index == index))


async def staff_phone(session: AsyncSession, *, staff_id: UUID) -> str | None:
    """Return a member of staff's phone number, E.164, None where none was given.

    :raises StaffNotFound: if there is no such member of staff
    """
    staff = await session.get(Staff, staff_id)
    if staff is None:
        raise StaffNotFound(staff=staff_id)
    return None if staff.phone is None else open_text(Purpose.CONTACT, table="staff", column="phone", row_id=staff_id, envelope=staff.phone)


async def _viewed(session: AsyncSession, rows: Collection[Staff], now: datetime) -> list[StaffView]:
    ids = [row.staff_id for row in rows]
    roles: dict[UUID, list[RoleView]] = {staff_id: [] for staff_id in ids}
    in_force = select(StaffRole).where(StaffRole.staff_id.in_(ids), or_(StaffRole.valid_to.is_(None), StaffRole.valid_to > now))
    for granted in await session.scalars(in_force.order_by(StaffRole.grant_id)):
        scope_id = granted.station_id or granted.district_id or granted.region_id
        view = RoleView(granted.grant_id, granted.role, granted.scope_kind, scope_id, granted.valid_from, granted.valid_to)
        roles[granted.staff_id].append(view)
    users = {user.staff_id: user for user in await session.scalars(select(User).where(User.staff_id.in_(ids), User.disabled_at.is_(None)))}
    return [_view(row, users.get(row.staff_id), tuple(roles[row.staff_id])) for row in rows]


def _view(staff: Staff, user: User | None, roles: tuple[RoleView, ...]) -> StaffView:
    return StaffView(
        staff_id=staff.staff_id,
        employee_number=staff.employee_number,
        name=staff.name,
        status=staff.status,
        locale=staff.locale,
        home_station_id=staff.home_station_id,
        card_tail=staff.card_tail,
        pin_set=staff.pin_verifier is not None,
        pin_locked=staff.pin_tries >= PIN_TRIES,
        log_in_name=None if user is None else user.log_in_name,
        second_factor=user is not None and user.totp_confirmed_at is not None,
        roles=roles,
    )


@dataclass(frozen=True, slots=True)
class SessionView:
    """A signed-in browser as its owner and the office see it."""

    session_id: UUID
    staff_id: UUID | None
    portal: Portal
    station_id: UUID | None
    terminal_id: UUID | None
    address: str | None
    user_agent: str | None
    opened_at: datetime
    last_seen_at: datetime
    expires_at: datetime


async def sessions_of(session: AsyncSession, *, staff_id: UUID, now: datetime) -> list[SessionView]:
    """Return a member of staff's open sessions, newest first."""
    rows = await session.scalars(
        select(UserSession)
        .where(
            UserSession.staff_id == staff_id,
            UserSession.ended_at.is_(None),
            UserSession.expires_at > now,
            UserSession.stage == Stage.OPEN,
        )
        .order_by(UserSession.opened_at.desc(), UserSession.session_id)
    )
    return [
        SessionView(
            row.session_id,
            row.staff_id,
            row.portal,
            row.station_id,
            row.terminal_id,
            row.address,
            row.user_agent,
            row.opened_at,
            row.last_seen_at,
            row.expires_at,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class DaySession:
    """A terminal's day session with its unsealed keys, which never print."""

    session_id: str
    """The `keyid` of its request signatures."""
    terminal_id: UUID
    epoch: int
    keys: SessionKeys
    opened_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    revoked: bool
    """Its till's key was revoked or replaced: what it reports is booked and flagged, nothing new is authorised."""

    def signs(self, now: datetime) -> bool:
        """Say whether requests signed under it count at `now`; its PIN key opens for 48 hours more."""
        return self.is_open(now) and not self.revoked

    def is_open(self, now: datetime) -> bool:
        """Say whether it has begun and not ended at `now`, whatever its till's key."""
        return self.opened_at <= now < self.expires_at and self.ended_at is None


async def session_keys(session: AsyncSession, *, session_id: str, now: datetime) -> DaySession | None:
    """Return a day session by the id its signatures name; None where there is none, or its 48 hours of grace are over."""
    try:
        wanted = UUID(session_id)
    except ValueError:
        return None
    found = await _day_sessions(session, _readable(now).where(TerminalSession.session_id == wanted))
    return found[0] if found and found[0].session_id == session_id else None


async def readable_sessions(session: AsyncSession, *, now: datetime, opened_after: datetime | None = None) -> list[DaySession]:
    """Return every day session whose keys a worker should know, oldest first; `opened_after` gives only what is new since then."""
    wanted = _readable(now)
    if opened_after is not None:
        wanted = wanted.where(TerminalSession.opened_at > opened_after)
    return await _day_sessions(session, wanted.order_by(TerminalSession.opened_at))


def _readable(now: datetime) -> Select[TerminalSession, datetime | None]:
    return (
        select(TerminalSession, TerminalKey.revoked_at)
        .join(TerminalKey, (TerminalKey.terminal_id == TerminalSession.terminal_id) & (TerminalKey.epoch == TerminalSession.epoch))
        .where(func.least(TerminalSession.expires_at, TerminalSession.ended_at) > now - READABLE_AFTER)
    )


async def _day_sessions(session: AsyncSession, wanted: Select[TerminalSession, datetime | None]) -> list[DaySession]:
    return [_day_session(row, revoked_at) for row, revoked_at in await session.execute(wanted)]


def _day_session(row: TerminalSession, revoked_at: datetime | None) -> DaySession:
    opened = open_(Purpose.SESSION_KEY, table="terminal_sessions", column="sealed_keys", row_id=row.session_id, envelope=row.sealed_keys)
    return DaySession(
        session_id=str(row.session_id),
        terminal_id=row.terminal_id,
        epoch=row.epoch,
        keys=SessionKeys.from_bytes(opened, row.expires_at),
        opened_at=row.opened_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        revoked=revoked_at is not None,
    )


@dataclass(frozen=True, slots=True)
class TerminalKeyView:
    """A till's present key: its epoch and the Ed25519 public key (32 bytes) that signs its shift closes."""

    terminal_id: UUID
    epoch: int
    public_key: bytes
    enrolled_at: datetime


async def snapshot_terminal_keys(session: AsyncSession) -> list[TerminalKeyView]:
    """Return the present key of every enrolled till: what hot workers keep until `revisions.Kind.TERMINAL` moves."""
    rows = await session.execute(
        select(TerminalKey.terminal_id, TerminalKey.epoch, TerminalKey.public_key, TerminalKey.enrolled_at)
        .where(TerminalKey.revoked_at.is_(None))
        .order_by(TerminalKey.terminal_id)
    )
    return [TerminalKeyView(*row) for row in rows]


async def terminal_key(session: AsyncSession, *, terminal_id: UUID, epoch: int) -> bytes | None:
    """Return the public key of one epoch, revoked ones too: an old shift close is still checked with it."""
    found = select(TerminalKey.public_key).where(TerminalKey.terminal_id == terminal_id, TerminalKey.epoch == epoch)
    return await session.scalar(found)


async def enrolled_devices(session: AsyncSession, *, terminal_id: UUID) -> list[TerminalDevice]:
    """Return the browsers that are this till's counter page, newest first."""
    found = select(TerminalDevice).where(TerminalDevice.terminal_id == terminal_id, TerminalDevice.revoked_at.is_(None))
    return list(await session.scalars(found.order_by(TerminalDevice.enrolled_at.desc())))
