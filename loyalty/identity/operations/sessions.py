"""Browser sessions: a new random token at every step of trust, and never one that the browser brought along."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.crypto import new_token, token_hash
from loyalty.errors import NotFound, Refusal
from loyalty.identity.model import STAGE_MOVES, Portal, Staff, StaffStatus, Stage, UserSession
from loyalty.identity.model_partner import PartnerUser
from loyalty.identity.model_portal import PortalUser
from loyalty.identity.model_terminals import TerminalDevice
from loyalty.identity.queries import grants_of
from loyalty.identity.rules import Principal, SessionTerms, at_station
from loyalty.ids import StaffId, StationId, TerminalId, uuid7

TERMS = SessionTerms()
TenantUser = PortalUser | PartnerUser


class NotSignedIn(Refusal):
    """No session, an ended or idle one, or another portal's: the answer is the same."""

    status = 401
    zh = "尚未登录，或登录已过期。"
    en = "You are not signed in, or your session has ended."
    next_zh = "请重新登录。"
    next_en = "Sign in again."


class ScreenLocked(Refusal):
    """The counter's screen is locked; nothing on it is lost."""

    status = 401
    zh = "屏幕已锁定，未完成的操作仍保留。"
    en = "The screen is locked; what you began is kept."
    next_zh = "请输入员工密码解锁。"
    next_en = "Enter your staff PIN to go on."


class SessionNotFound(NotFound):
    """No such open session of this person."""


async def open_session(
    session: AsyncSession,
    *,
    staff_id: UUID | None = None,
    customer_id: UUID | None = None,
    tenant_user: TenantUser | None = None,
    portal: Portal,
    stage: Stage,
    device: TerminalDevice | None = None,
    expires_at: datetime,
    stepped_up_at: datetime | None = None,
    address: str | None = None,
    user_agent: str | None = None,
    now: datetime,
) -> tuple[str, UserSession]:
    """Begin a session and return its cookie's token, which stands nowhere else, and its row."""
    token = new_token()
    row = UserSession(
        session_id=uuid7(now),
        token_hash=token_hash(token),
        staff_id=staff_id,
        customer_id=customer_id,
        portal_user_id=tenant_user.user_id if isinstance(tenant_user, PortalUser) else None,
        partner_user_id=tenant_user.user_id if isinstance(tenant_user, PartnerUser) else None,
        portal=portal,
        stage=stage,
        device_id=None if device is None else device.device_id,
        terminal_id=None if device is None else device.terminal_id,
        station_id=None if device is None else device.station_id,
        address=address,
        user_agent=None if user_agent is None else user_agent[:300],
        opened_at=now,
        last_seen_at=now,
        expires_at=expires_at,
        stepped_up_at=stepped_up_at,
    )
    session.add(row)
    await session.flush()
    return token, row


async def rotate(session: AsyncSession, row: UserSession, *, now: datetime) -> str:
    """Give a session a new token; the one before opens nothing from this commit on."""
    token = new_token()
    row.token_hash, row.last_seen_at = token_hash(token), now
    await session.flush()
    return token


async def advance(session: AsyncSession, row: UserSession, to: Stage, *, terms: SessionTerms, now: datetime) -> str:
    """Bring a log-in one stage on, with a new token; an open session gets its full life."""
    assert to in STAGE_MOVES[row.stage], "a log-in goes forward only"
    row.stage = to
    row.expires_at = now + (terms.longest if to is Stage.OPEN else terms.between_factors)
    return await rotate(session, row, now=now)


async def find_session(session: AsyncSession, *, token: str, now: datetime, terms: SessionTerms = TERMS) -> UserSession | None:
    """Lock and return the session of a token if it has neither ended nor run out nor idled out, at whatever stage."""
    row = await session.scalar(
        select(UserSession)
        .where(UserSession.token_hash == token_hash(token), UserSession.ended_at.is_(None), UserSession.expires_at > now)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return None if row is None or row.last_seen_at + terms.idle <= now else row


async def resume(
    session: AsyncSession,
    *,
    token: str,
    portal: Portal,
    device_token: str | None = None,
    address: str | None = None,
    user_agent: str | None = None,
    quiet: bool = False,
    now: datetime,
    terms: SessionTerms = TERMS,
) -> Principal:
    """Return who makes this request; roles are read anew each time, so a role that ended or a session that was revoked works no more.

    `now` is real time. `device_token`, the till's own cookie, is asked for at the counter: a copied session cookie opens no other browser.
    `quiet`: the page asked by itself, which is no touch and keeps no screen awake.

    :raises NotSignedIn: if the token is no open session of this portal, or the person left, or the counter's device is another
    :raises ScreenLocked: if the counter's screen was locked or left alone
    """
    found = await session.execute(
        select(UserSession, Staff)
        .join(Staff, Staff.staff_id == UserSession.staff_id)
        .where(
            UserSession.token_hash == token_hash(token),
            UserSession.portal == portal,
            UserSession.stage == Stage.OPEN,
            UserSession.ended_at.is_(None),
            UserSession.expires_at > now,
            UserSession.last_seen_at > now - terms.idle,
            Staff.status == StaffStatus.ACTIVE,
        )
        .execution_options(populate_existing=True)
    )
    pair = found.one_or_none()
    if pair is None:
        raise NotSignedIn
    row, staff = pair
    if portal is Portal.CASHIER:
        if device_token is None or not await _is_device(session, row, device_token):
            raise NotSignedIn
        if row.locked_at is not None or row.last_seen_at <= now - terms.screen_lock:
            raise ScreenLocked
    if not quiet:
        await _touch(session, row, now=now, terms=terms)
    return await _principal(session, row, staff, address=address, user_agent=user_agent, now=now, terms=terms)


async def _is_device(session: AsyncSession, row: UserSession, device_token: str) -> bool:
    known = select(TerminalDevice.device_id).where(
        TerminalDevice.token_hash == token_hash(device_token),
        TerminalDevice.device_id == row.device_id,
        TerminalDevice.revoked_at.is_(None),
    )
    return await session.scalar(known) is not None


async def _touch(session: AsyncSession, row: UserSession, *, now: datetime, terms: SessionTerms) -> None:
    """Note that the session is in use, not more often than a thirtieth of what it may idle."""
    allowed = terms.screen_lock if row.portal is Portal.CASHIER else terms.idle
    if row.last_seen_at <= now - allowed / 30:
        await session.execute(
            update(UserSession).where(UserSession.session_id == row.session_id, UserSession.last_seen_at < now).values(last_seen_at=now)
        )


async def _principal(
    session: AsyncSession,
    row: UserSession,
    staff: Staff,
    *,
    address: str | None,
    user_agent: str | None,
    now: datetime,
    terms: SessionTerms,
) -> Principal:
    grants = await grants_of(session, staff_id=staff.staff_id, now=now)
    return Principal(
        staff_id=StaffId(staff.staff_id),
        name=staff.name,
        employee_number=staff.employee_number,
        grants=grants if row.station_id is None else at_station(grants, row.station_id),
        portal=row.portal,
        session_id=row.session_id,
        locale=staff.locale,
        fresh=row.stepped_up_at is not None and row.stepped_up_at > now - terms.step_up,
        stepped_up_at=row.stepped_up_at,
        station_id=None if row.station_id is None else StationId(row.station_id),
        terminal_id=None if row.terminal_id is None else TerminalId(row.terminal_id),
        address=address,
        user_agent=user_agent,
    )


async def principal_for(session: AsyncSession, *, row: UserSession, now: datetime, terms: SessionTerms = TERMS) -> Principal:
    """Return the principal of a session that was just opened or advanced."""
    staff = await session.get_one(Staff, row.staff_id)
    return await _principal(session, row, staff, address=row.address, user_agent=row.user_agent, now=now, terms=terms)


async def log_out(session: AsyncSession, *, token: str, now: datetime) -> None:
    """End the session of this token; an unknown token is no fault."""
    row = await session.scalar(
        select(UserSession).where(UserSession.token_hash == token_hash(token), UserSession.ended_at.is_(None)).with_for_update()
    )
    if row is not None:
        row.ended_at, row.end_reason = now, "logged out"
        await session.flush()


async def revoke_session(session: AsyncSession, *, session_id: UUID, by: Principal, now: datetime) -> None:
    """End one of one's own sessions at once; another person's are ended with `revoke_sessions_of`.

    :raises SessionNotFound: if it is not an open session of the caller
    """
    ended = await session.scalar(
        update(UserSession)
        .where(UserSession.session_id == session_id, UserSession.staff_id == by.staff_id, UserSession.ended_at.is_(None))
        .values(ended_at=now, end_reason="revoked")
        .returning(UserSession.session_id)
    )
    if ended is None:
        raise SessionNotFound
    await audit.record(session, actor=by.actor, action="identity.session_revoked", subject=("user_session", session_id), facts={}, now=now)


async def end_sessions_of(
    session: AsyncSession, *, staff_id: UUID, reason: str, keep: UUID | None = None, counter_only: bool = False, now: datetime
) -> int:
    """End every open session of a member of staff but `keep`, and return how many; only those at counters if `counter_only`."""
    wanted = update(UserSession).where(UserSession.staff_id == staff_id, UserSession.ended_at.is_(None))
    if keep is not None:
        wanted = wanted.where(UserSession.session_id != keep)
    if counter_only:
        wanted = wanted.where(UserSession.portal == Portal.CASHIER)
    ended = await session.execute(wanted.values(ended_at=now, end_reason=reason).returning(UserSession.session_id))
    return len(ended.all())


async def end_sessions_of_user(session: AsyncSession, *, user_id: UUID, reason: str, keep: UUID | None = None, now: datetime) -> int:
    """End every open session of a company's or partner's user but `keep`, and return how many."""
    mine = (UserSession.portal_user_id == user_id) | (UserSession.partner_user_id == user_id)
    wanted = update(UserSession).where(mine, UserSession.ended_at.is_(None))
    if keep is not None:
        wanted = wanted.where(UserSession.session_id != keep)
    ended = await session.execute(wanted.values(ended_at=now, end_reason=reason).returning(UserSession.session_id))
    return len(ended.all())


async def forget_old_sessions(session: AsyncSession, *, before: datetime) -> int:
    """Delete unfinished log-ins that ran out before an instant and return how many; opened sessions stay, since the trail names them."""
    gone = await session.execute(
        delete(UserSession).where(UserSession.expires_at < before, UserSession.stage != Stage.OPEN).returning(UserSession.session_id)
    )
    return len(gone.all())
