"""Hiring, roles, staff cards and their PINs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.card_numbers import plain_card_number
from loyalty.crypto import Purpose, blind_index, open_text, pin_verifier, seal_text
from loyalty.errors import NotAllowed, Refusal
from loyalty.identity.model import STAFF_MOVES, Role, ScopeKind, Staff, StaffRole, StaffStatus, User
from loyalty.identity.queries import StaffNotFound, get_staff_for_update, stations_in_scope
from loyalty.identity.rules import PERMISSIONS, Permission, Principal, refuse_weak_pin, require
from loyalty.ids import StaffId, uuid7

from .sessions import end_sessions_of

COMMAND_LINE: Final = Actor(ActorKind.SYSTEM, "command line")


class EmployeeNumberTaken(Refusal):
    """Another member of staff has this number."""

    zh = "工号 {employee_number} 已被使用。"
    en = "Employee number {employee_number} is taken."
    next_zh = "请核对工号。"
    next_en = "Check the number."


class StaffCardTaken(Refusal):
    """The card belongs to somebody else."""

    zh = "该员工卡已发给其他员工。"
    en = "This staff card belongs to another member of staff."
    next_zh = "请换一张卡，或先收回原卡。"
    next_en = "Take another card, or withdraw it first."


class StaffCannotMove(Refusal):
    """The present status does not lead there."""

    zh = "员工状态为 {status}，不能变为 {to}。"
    en = "A member of staff cannot go from {status} to {to}."
    next_zh = "请刷新后查看当前状态。"
    next_en = "Reload to see the present status."


class StaffHasNoCard(Refusal):
    """A PIN belongs to a card."""

    zh = "该员工没有员工卡。"
    en = "This member of staff has no staff card."
    next_zh = "请先发卡，再设密码。"
    next_en = "Issue a card first, then set its PIN."


class NotOneself(Refusal):
    """Two persons are needed."""

    status = 403
    zh = "不能由本人办理。"
    en = "You cannot do this for yourself."
    next_zh = "请由另一位有权限的同事办理。"
    next_en = "Ask a colleague who may."


def actor_of(by: Principal | None) -> Actor:
    """Return whom the trail names; None is the command line."""
    return COMMAND_LINE if by is None else by.actor


async def hire(
    session: AsyncSession,
    *,
    employee_number: str,
    name: str,
    home_station_id: UUID | None = None,
    phone: str | None = None,
    locale: str = "zh_CN",
    by: Principal | None = None,
    now: datetime,
) -> StaffId:
    """Enter a member of staff, without roles, card or log-in yet. `phone` in E.164; `by` None is the command line.

    :raises EmployeeNumberTaken: if the number is in use, by whoever left too
    """
    if by is not None:
        require(by, Permission.EDIT_STAFF, station_id=home_station_id)
    if await session.scalar(select(Staff.staff_id).where(Staff.employee_number == employee_number)):
        raise EmployeeNumberTaken(employee_number=employee_number)
    staff_id = StaffId(uuid7(now))
    sealed, index = _sealed_phone(staff_id, phone)
    await session.execute(
        insert(Staff).values(
            staff_id=staff_id,
            employee_number=employee_number,
            name=name,
            status=StaffStatus.ACTIVE,
            locale=locale,
            home_station_id=home_station_id,
            phone=sealed,
            phone_index=index,
            hired_at=now,
        )
    )
    await _record(session, by, "identity.hired", staff_id, {"employee_number": employee_number}, now, home_station_id)
    return staff_id


async def change_staff(
    session: AsyncSession,
    *,
    staff_id: UUID,
    name: str,
    home_station_id: UUID | None,
    phone: str | None,
    locale: str,
    by: Principal | None = None,
    now: datetime,
) -> None:
    """Write what is known of a member of staff anew. `phone` in E.164, None forgets it; roles are not touched.

    :raises StaffNotFound: if there is none
    :raises NotFound: if the present or the new home station lies outside the caller's scope
    """
    staff = await _in_scope(session, staff_id, by, Permission.EDIT_STAFF)
    if by is not None and home_station_id != staff.home_station_id:
        require(by, Permission.EDIT_STAFF, station_id=home_station_id)
    changed = [
        field
        for field, value in (("name", name), ("home_station_id", home_station_id), ("locale", locale))
        if getattr(staff, field) != value
    ]
    staff.name, staff.home_station_id, staff.locale = name, home_station_id, locale
    if phone != _phone_of(staff):
        changed.append("phone")
        staff.phone, staff.phone_index = _sealed_phone(staff_id, phone)
    await session.flush()
    if changed:
        await _record(session, by, "identity.staff_changed", staff_id, {"changed": changed}, now, home_station_id)


async def revoke_sessions_of(session: AsyncSession, *, staff_id: UUID, by: Principal, now: datetime) -> int:
    """End every session of a member of staff at once and return how many.

    :raises StaffNotFound: if there is none
    :raises NotFound: if they belong to a station outside the caller's scope
    """
    staff = await _in_scope(session, staff_id, by, Permission.EDIT_STAFF)
    ended = await end_sessions_of(session, staff_id=staff_id, reason="revoked by the office", now=now)
    await _record(session, by, "identity.sessions_revoked", staff_id, {"ended": ended}, now, staff.home_station_id)
    return ended


async def let_go(session: AsyncSession, *, staff_id: UUID, by: Principal | None, now: datetime) -> None:
    """End a member of staff's roles, card, log-in and sessions at once; the row stays, since the trail names it.

    :raises StaffNotFound: if there is none in the caller's scope
    :raises StaffCannotMove: if they left before
    """
    staff = await _in_scope(session, staff_id, by, Permission.EDIT_STAFF)
    _move(staff, StaffStatus.LEFT)
    staff.left_at = now
    staff.card_index = staff.card_tail = staff.pin_verifier = None
    await session.flush()
    await session.execute(
        update(StaffRole)
        .where(StaffRole.staff_id == staff_id, StaffRole.valid_from <= now, StaffRole.valid_to.is_(None) | (StaffRole.valid_to > now))
        .values(valid_to=now, ended_by=_id_of(by))
    )
    # A role that was to begin later never does.
    await session.execute(
        update(StaffRole)
        .where(StaffRole.staff_id == staff_id, StaffRole.valid_from > now)
        .values(valid_to=StaffRole.valid_from, ended_by=_id_of(by))
    )
    await session.execute(update(User).where(User.staff_id == staff_id, User.disabled_at.is_(None)).values(disabled_at=now))
    await end_sessions_of(session, staff_id=staff_id, reason="left", now=now)
    await _record(session, by, "identity.left", staff_id, {}, now, staff.home_station_id)


async def take_back(session: AsyncSession, *, staff_id: UUID, by: Principal | None, now: datetime) -> None:
    """Let a former member of staff be active again, with nothing of what they had.

    :raises StaffNotFound: if there is none in the caller's scope
    :raises StaffCannotMove: if they never left
    """
    staff = await _in_scope(session, staff_id, by, Permission.EDIT_STAFF)
    _move(staff, StaffStatus.ACTIVE)
    staff.left_at = None
    await session.flush()
    await _record(session, by, "identity.came_back", staff_id, {}, now, staff.home_station_id)


async def grant_role(
    session: AsyncSession,
    *,
    staff_id: UUID,
    role: Role,
    scope: ScopeKind,
    scope_id: UUID | None = None,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    by: Principal | None = None,
    now: datetime,
) -> UUID:
    """Give a role within a scope, `[valid_from, valid_to)`; `scope_id` is the station, district or region, None for `all`.

    Nobody gives themselves a role, nor one that reaches further than their own.

    :raises StaffNotFound: if there is no such member of staff, or they left
    :raises NotAllowed: if the scope goes beyond the caller's
    """
    if by is not None:
        require(by, Permission.GRANT_ROLES)
        if by.staff_id == staff_id:
            raise NotOneself
        await _refuse_wider(session, by, scope, scope_id)
    await get_staff_for_update(session, staff_id=staff_id)
    grant_id = uuid7(now)
    begins = valid_from or now
    await session.execute(
        insert(StaffRole).values(
            grant_id=grant_id,
            staff_id=staff_id,
            role=role,
            scope_kind=scope,
            station_id=scope_id if scope is ScopeKind.STATION else None,
            district_id=scope_id if scope is ScopeKind.DISTRICT else None,
            region_id=scope_id if scope is ScopeKind.REGION else None,
            valid_from=begins,
            valid_to=valid_to,
            granted_by=_id_of(by),
        )
    )
    facts = {"role": role.value, "scope": scope.value, "scope_id": scope_id, "valid_from": begins, "valid_to": valid_to}
    await _record(session, by, "identity.role_granted", staff_id, facts, now)
    return grant_id


async def end_role(session: AsyncSession, *, grant_id: UUID, by: Principal | None = None, now: datetime) -> None:
    """End a role at once: the next request of its holder is judged without it.

    :raises StaffNotFound: if there is no such role in force
    """
    grant = await session.scalar(
        select(StaffRole).where(StaffRole.grant_id == grant_id, StaffRole.valid_to.is_(None) | (StaffRole.valid_to > now)).with_for_update()
    )
    if grant is None:
        raise StaffNotFound
    if by is not None:
        require(by, Permission.GRANT_ROLES)
        await _refuse_wider(session, by, grant.scope_kind, grant.station_id or grant.district_id or grant.region_id)
    grant.valid_to, grant.ended_by = max(now, grant.valid_from), _id_of(by)
    await session.flush()
    await _record(session, by, "identity.role_ended", grant.staff_id, {"role": grant.role.value, "grant_id": grant_id}, now)


async def issue_staff_card(session: AsyncSession, *, staff_id: UUID, card_number: str, by: Principal | None = None, now: datetime) -> None:
    """Give a member of staff a card in place of the one before; its PIN must be set anew.

    :raises StaffNotFound: if there is no such member of staff in the caller's scope
    :raises StaffCardTaken: if the card is somebody else's
    """
    staff = await _in_scope(session, staff_id, by, Permission.EDIT_STAFF)
    number = plain_card_number(card_number)
    index = blind_index(Purpose.INDEX_CARD_NUMBER, number)
    if await session.scalar(select(Staff.staff_id).where(Staff.card_index == index, Staff.staff_id != staff_id)):
        raise StaffCardTaken
    staff.card_index, staff.card_tail, staff.pin_verifier, staff.pin_tries = index, number[-4:], None, 0
    await session.flush()
    await end_sessions_of(session, staff_id=staff_id, reason="card changed", counter_only=True, now=now)
    await _record(session, by, "identity.staff_card_issued", staff_id, {"card_tail": number[-4:]}, now, staff.home_station_id)


async def set_staff_pin(session: AsyncSession, *, staff_id: UUID, pin: str, by: Principal | None = None, now: datetime) -> None:
    """Set the PIN of a staff card; the person may always do so for themselves.

    :raises StaffNotFound: if there is no such member of staff in the caller's scope
    :raises StaffHasNoCard: if they have no card
    :raises StaffPinTooWeak: if the PIN is too short or too regular
    """
    own = by is not None and by.staff_id == staff_id
    staff = await _in_scope(session, staff_id, None if own else by, Permission.EDIT_STAFF)
    if staff.card_index is None:
        raise StaffHasNoCard
    refuse_weak_pin(pin)
    staff.pin_generation += 1
    staff.pin_verifier = pin_verifier(card_id=staff_id, generation=staff.pin_generation, pin=pin)
    staff.pin_tries = 0
    await session.flush()
    await _record(session, by, "identity.staff_pin_set", staff_id, {"generation": staff.pin_generation}, now, staff.home_station_id)


async def unlock_staff_pin(session: AsyncSession, *, staff_id: UUID, by: Principal, now: datetime) -> None:
    """Give back the three tries of a locked staff PIN; a station manager of the person's station does it, never the person.

    :raises StaffNotFound: if there is no such member of staff in the caller's scope
    :raises NotOneself: if it is the caller's own
    """
    if by.staff_id == staff_id:
        raise NotOneself
    staff = await _in_scope(session, staff_id, by, Permission.UNLOCK_STAFF_PIN)
    tries, staff.pin_tries = staff.pin_tries, 0
    await session.flush()
    await _record(session, by, "identity.staff_pin_unlocked", staff_id, {"tries": tries}, now, staff.home_station_id)


async def _in_scope(session: AsyncSession, staff_id: UUID, by: Principal | None, permission: Permission) -> Staff:
    """Lock and return a member of staff whom the caller's scope reaches: by home station, else by the stations of their roles."""
    staff = await get_staff_for_update(session, staff_id=staff_id, also_left=True)
    if by is None:
        return staff
    if staff.home_station_id is not None:
        require(by, permission, station_id=staff.home_station_id)
    else:
        # People of the head office belong to no station: only an unlimited scope reaches them.
        require(by, permission)
        if not any(grant.stations is None and permission in PERMISSIONS[grant.role] for grant in by.grants):
            raise NotAllowed(permission=permission.value)
    return staff


async def _refuse_wider(session: AsyncSession, by: Principal, scope: ScopeKind, scope_id: UUID | None) -> None:
    mine = [grant.stations for grant in by.grants if Permission.GRANT_ROLES in PERMISSIONS[grant.role]]
    if None in mine:
        return
    wanted = None if scope is ScopeKind.ALL else await stations_in_scope(session, scope=scope, scope_id=scope_id)
    if wanted is None or not any(stations is not None and wanted <= stations for stations in mine) or not wanted:
        raise NotAllowed(permission=Permission.GRANT_ROLES.value)


def _sealed_phone(staff_id: UUID, phone: str | None) -> tuple[bytes | None, bytes | None]:
    if phone is None:
        return None, None
    sealed = seal_text(Purpose.CONTACT, table="staff", column="phone", row_id=staff_id, plaintext=phone)
    return sealed, blind_index(Purpose.INDEX_PHONE, phone)


def _phone_of(staff: Staff) -> str | None:
    if staff.phone is None:
        return None
    return open_text(Purpose.CONTACT, table="staff", column="phone", row_id=staff.staff_id, envelope=staff.phone)


def _move(staff: Staff, to: StaffStatus) -> None:
    if to not in STAFF_MOVES[staff.status]:
        raise StaffCannotMove(status=staff.status.value, to=to.value)
    staff.status = to


def _id_of(by: Principal | None) -> UUID | None:
    return None if by is None else by.staff_id


async def _record(
    session: AsyncSession,
    by: Principal | None,
    action: str,
    staff_id: UUID,
    facts: Mapping[str, object],
    now: datetime,
    station_id: UUID | None = None,
) -> None:
    await audit.record(session, actor=actor_of(by), action=action, subject=("staff", staff_id), facts=facts, station_id=station_id, now=now)
