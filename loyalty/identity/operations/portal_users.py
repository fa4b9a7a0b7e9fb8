"""A company's people: asked in by a link, given a role, closed and opened again; and the sessions they come with.

Whoever calls from within the portal has the tenant's fence around the session: another company's people are unknown there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import new_token, token_hash
from loyalty.db import locked
from loyalty.errors import NotFound, Refusal
from loyalty.identity.model import Portal, Stage, UserSession
from loyalty.identity.model_portal import PortalInvitation, PortalRole, PortalUser
from loyalty.identity.portal_rules import PortalPrincipal
from loyalty.identity.rules import SessionTerms, refuse_weak_password
from loyalty.ids import uuid7

from .sessions import TERMS, NotSignedIn, end_sessions_of_user, log_out, open_session
from .staff import NotOneself
from .users import PasswordUnchanged, forget_recovery_codes, hashed, password_is_right, sealed_totp

INVITATION_LIFE: Final = timedelta(days=7)


class PortalUserNotFound(NotFound):
    """Unknown, or another company's: the answer is the same."""

    zh = "没有此用户。"
    en = "There is no such user."


class InvitationNotValid(NotFound):
    """Unknown, used, withdrawn or too old: the answer is the same."""

    zh = "邀请链接无效、已使用或已过期。"
    en = "This invitation is not valid: it was used, withdrawn, or is too old."
    next_zh = "请联系邀请您的人重新发送邀请。"
    next_en = "Ask whoever invited you for a new one."


class EmailNotSound(Refusal):
    """No e-mail address."""

    status = 422
    zh = "邮箱地址 {email} 不正确。"
    en = "{email} is no e-mail address."
    next_zh = "请核对后重新输入。"
    next_en = "Check it and type it again."


class EmailTaken(Refusal):
    """One address logs in to one company."""

    zh = "邮箱 {email} 已用于登录车队管理。"
    en = "The address {email} is in use for a log-in already."
    next_zh = "请换一个邮箱。"
    next_en = "Choose another address."


class DepartmentMissing(Refusal):
    """A department's head heads a department, and nobody else does."""

    status = 422
    zh = "部门负责人须选定部门，其他角色不选部门。"
    en = "A department head needs a department, and no other role has one."
    next_zh = "请核对角色与部门。"
    next_en = "Check role and department."


class LastOwner(Refusal):
    """A company keeps one who may let others in."""

    zh = "企业至少要保留一位可登录的管理员。"
    en = "A company keeps at least one owner who can log in."
    next_zh = "请先指定另一位管理员。"
    next_en = "Make somebody else an owner first."


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation as its guest sees it."""

    invitation_id: UUID
    company_id: UUID
    email: str
    role: PortalRole
    expires_at: datetime


async def invite(
    session: AsyncSession, *, company_id: UUID, email: str, role: PortalRole, department_id: UUID | None = None, actor: Actor, now: datetime
) -> str:
    """Ask somebody into a company and return the link's token, kept nowhere else; a former open invitation ends. `now` is real.

    :raises EmailNotSound: if it is no address
    :raises EmailTaken: if somebody logs in with it; a guest of another company is told so only when they accept
    :raises DepartmentMissing: if role and department do not fit
    """
    plain = sound_email(email)
    _require_fitting(role, department_id)
    if await session.scalar(select(PortalUser.user_id).where(PortalUser.company_id == company_id, PortalUser.log_in_name == plain)):
        raise EmailTaken(email=plain)
    for former in await session.scalars(locked(select(PortalInvitation).where(*_open_of(company_id), PortalInvitation.email == plain))):
        former.withdrawn_at = now
    await session.flush()
    token = new_token()
    invitation = PortalInvitation(
        invitation_id=uuid7(now),
        company_id=company_id,
        token_hash=token_hash(token),
        email=plain,
        role=role,
        department_id=department_id,
        invited_by=f"{actor.kind.value}:{actor.actor_id}",
        invited_at=now,
        expires_at=now + INVITATION_LIFE,
    )
    session.add(invitation)
    await session.flush()
    facts = {"company": company_id, "role": role.value, "department": department_id}
    await _record(session, actor, "identity.company_user_invited", ("portal_invitation", invitation.invitation_id), facts, now)
    return token


async def find_invitation(session: AsyncSession, *, token: str, now: datetime) -> Invitation:
    """Return what a link asks somebody to.

    :raises InvitationNotValid: if it is unknown, used, withdrawn, or too old
    """
    row = await _valid(session, token, now)
    return Invitation(row.invitation_id, row.company_id, row.email, row.role, row.expires_at)


async def accept_invitation(
    session: AsyncSession,
    *,
    token: str,
    name: str,
    password: str,
    locale: str,
    address: str | None = None,
    user_agent: str | None = None,
    previous_token: str | None = None,
    now: datetime,
    terms: SessionTerms = TERMS,
) -> str:
    """Make the guest a user and return the cookie's token of a log-in that has its second factor to set up. `now` is real time.

    :raises InvitationNotValid: if it is unknown, used, withdrawn, or too old
    :raises EmailTaken: if somebody logs in with the address, at whatever company
    :raises PasswordTooWeak: if the password is
    """
    row = await _valid(session, token, now, lock=True)
    user = await _new_user(
        session,
        company_id=row.company_id,
        email=row.email,
        name=name,
        password=password,
        role=row.role,
        department_id=row.department_id,
        locale=locale,
        invited_by=row.invited_by,
        now=now,
    )
    session.add(user)
    await session.flush()
    row.accepted_at, row.user_id = now, user.user_id
    await session.flush()
    if previous_token is not None:
        await log_out(session, token=previous_token, now=now)
    cookie, _ = await open_session(
        session,
        portal_user_id=user.user_id,
        portal=Portal.FLEET,
        stage=Stage.ENROL_TOTP,
        expires_at=now + terms.between_factors,
        address=address,
        user_agent=user_agent,
        now=now,
    )
    actor = Actor(ActorKind.COMPANY_USER, user.user_id, address, user_agent)
    facts = {"company": row.company_id, "invitation": row.invitation_id, "role": row.role.value}
    await _record(session, actor, "identity.invitation_accepted", ("portal_user", user.user_id), facts, now)
    return cookie


async def withdraw_invitation(session: AsyncSession, *, company_id: UUID, invitation_id: UUID, actor: Actor, now: datetime) -> None:
    """Take an open invitation back: its link opens nothing from now on.

    :raises InvitationNotValid: if it is not open, or another company's
    """
    row = await session.scalar(
        locked(select(PortalInvitation).where(*_open_of(company_id), PortalInvitation.invitation_id == invitation_id))
    )
    if row is None:
        raise InvitationNotValid
    row.withdrawn_at = now
    await session.flush()
    await _record(session, actor, "identity.invitation_withdrawn", ("portal_invitation", invitation_id), {"company": company_id}, now)


async def change_portal_role(
    session: AsyncSession, *, user_id: UUID, role: PortalRole, department_id: UUID | None, by: PortalPrincipal, now: datetime
) -> None:
    """Give somebody another role: the next request is judged with it.

    :raises PortalUserNotFound: if there is no such user of the company
    :raises NotOneself: if it is the caller's own
    :raises DepartmentMissing: if role and department do not fit
    :raises LastOwner: if nobody would be left to let others in
    """
    _require_fitting(role, department_id)
    user = await _other(session, user_id, by)
    if role is not PortalRole.OWNER:
        await _keep_an_owner(session, user)
    facts = {"company": user.company_id, "from": user.role.value, "to": role.value, "department": department_id}
    user.role, user.department_id = role, department_id
    await session.flush()
    await _record(session, by.actor, "identity.company_role_changed", ("portal_user", user_id), facts, now)


async def disable_portal_user(session: AsyncSession, *, user_id: UUID, by: PortalPrincipal, now: datetime) -> None:
    """Close somebody's log-in and sessions.

    :raises PortalUserNotFound: if there is no such user of the company
    :raises NotOneself: if it is the caller's own
    :raises LastOwner: if nobody would be left to let others in
    """
    user = await _other(session, user_id, by)
    await _keep_an_owner(session, user)
    user.disabled_at = user.disabled_at or now
    await session.flush()
    await end_sessions_of_user(session, user_id=user_id, reason="disabled", now=now)
    await _record(session, by.actor, "identity.company_user_disabled", ("portal_user", user_id), {"company": user.company_id}, now)


async def enable_portal_user(session: AsyncSession, *, user_id: UUID, by: PortalPrincipal, now: datetime) -> None:
    """Open a closed log-in again, password and second factor as they were.

    :raises PortalUserNotFound: if there is no such user of the company
    :raises NotOneself: if it is the caller's own
    """
    user = await _other(session, user_id, by)
    user.disabled_at = None
    await session.flush()
    await _record(session, by.actor, "identity.company_user_enabled", ("portal_user", user_id), {"company": user.company_id}, now)


async def reset_portal_second_factor(session: AsyncSession, *, user_id: UUID, by: PortalPrincipal, now: datetime) -> None:
    """Forget somebody's lost authenticator and its recovery codes; the next log-in sets up a new one. All their sessions end.

    :raises PortalUserNotFound: if there is no such user of the company
    :raises NotOneself: if it is the caller's own
    """
    user = await _other(session, user_id, by)
    user.totp_confirmed_at = user.totp_secret = None
    await session.flush()
    await forget_recovery_codes(session, user)
    await end_sessions_of_user(session, user_id=user_id, reason="second factor reset", now=now)
    await _record(session, by.actor, "identity.company_second_factor_reset", ("portal_user", user_id), {"company": user.company_id}, now)


async def change_portal_password(session: AsyncSession, *, by: PortalPrincipal, password: str, now: datetime) -> None:
    """Change one's own password, shortly after the second factor was asked for again, and end one's other sessions.

    :raises PasswordTooWeak: if the new one is
    :raises PasswordUnchanged: if it is the present one
    """
    user = await get_portal_user(session, user_id=by.user_id)
    refuse_weak_password(password, log_in_name=user.log_in_name)
    if await password_is_right(user.password_hash, password):
        raise PasswordUnchanged
    user.password_hash, user.password_changed_at = await hashed(password), now
    await session.flush()
    await end_sessions_of_user(session, user_id=by.user_id, reason="password changed", keep=by.session_id, now=now)
    await _record(session, by.actor, "identity.password_changed", ("portal_user", by.user_id), {"company": by.company_id}, now)


async def make_portal_user(
    session: AsyncSession,
    *,
    company_id: UUID,
    email: str,
    name: str,
    password: str,
    totp_secret: bytes,
    role: PortalRole,
    department_id: UUID | None = None,
    locale: str = "zh_CN",
    actor: Actor,
    now: datetime,
) -> UUID:
    """Make a user with a known password and a confirmed second factor, `totp_secret` 20 bytes: for a demonstration.

    :raises EmailNotSound, EmailTaken, DepartmentMissing, PasswordTooWeak: as inviting and accepting do
    """
    plain = sound_email(email)
    _require_fitting(role, department_id)
    user = await _new_user(
        session,
        company_id=company_id,
        email=plain,
        name=name,
        password=password,
        role=role,
        department_id=department_id,
        locale=locale,
        invited_by=f"{actor.kind.value}:{actor.actor_id}",
        now=now,
    )
    user.totp_secret, user.totp_confirmed_at = sealed_totp(user, totp_secret), now
    session.add(user)
    await session.flush()
    facts = {"company": company_id, "role": role.value}
    await _record(session, actor, "identity.company_user_made", ("portal_user", user.user_id), facts, now)
    return user.user_id


async def get_portal_user(session: AsyncSession, *, user_id: UUID) -> PortalUser:
    """Lock and return a company's user whose log-in is open.

    :raises PortalUserNotFound: if there is none, or it is closed
    """
    user = await session.scalar(locked(select(PortalUser).where(PortalUser.user_id == user_id, PortalUser.disabled_at.is_(None))))
    if user is None:
        raise PortalUserNotFound
    return user


async def resume_portal_user(
    session: AsyncSession,
    *,
    token: str,
    address: str | None = None,
    user_agent: str | None = None,
    seen: bool = True,
    now: datetime,
    terms: SessionTerms = TERMS,
) -> PortalPrincipal:
    """Return who makes this request; role and department are read anew each time. `now` is real time.

    `seen`: somebody is there, so that the session does not idle out; False where a page asks by itself.

    :raises NotSignedIn: if the token is no open session of a company's user whose log-in is open
    """
    found = await session.execute(
        select(UserSession, PortalUser)
        .join(PortalUser, PortalUser.user_id == UserSession.portal_user_id)
        .where(
            UserSession.token_hash == token_hash(token),
            UserSession.portal == Portal.FLEET,
            UserSession.stage == Stage.OPEN,
            UserSession.ended_at.is_(None),
            UserSession.expires_at > now,
            UserSession.last_seen_at > now - terms.idle,
            PortalUser.disabled_at.is_(None),
        )
        .execution_options(populate_existing=True)
    )
    pair = found.one_or_none()
    if pair is None:
        raise NotSignedIn
    row, user = pair
    if seen and row.last_seen_at <= now - terms.idle / 30:
        row.last_seen_at = now
        await session.flush()
    return PortalPrincipal(
        user_id=user.user_id,
        company_id=user.company_id,
        name=user.name,
        email=user.log_in_name,
        role=user.role,
        department_id=user.department_id,
        session_id=row.session_id,
        locale=user.locale,
        fresh=row.stepped_up_at is not None and row.stepped_up_at > now - terms.step_up,
        address=address,
        user_agent=user_agent,
    )


def sound_email(text: str) -> str:
    """Return an e-mail address as it logs in: in lower case.

    :raises EmailNotSound: if it is none
    """
    plain = text.replace("\0", "").strip().lower()
    local, at, host = plain.rpartition("@")
    if not (at and local and "." in host.strip(".") and len(plain) <= 200 and plain.isprintable() and " " not in plain):
        raise EmailNotSound(email=text[:200])
    return plain


async def _new_user(
    session: AsyncSession,
    *,
    company_id: UUID,
    email: str,
    name: str,
    password: str,
    role: PortalRole,
    department_id: UUID | None,
    locale: str,
    invited_by: str,
    now: datetime,
) -> PortalUser:
    """Return a user with a password and no second factor yet.

    :raises PasswordTooWeak: if the password is
    :raises EmailTaken: if somebody logs in with the address, at whatever company
    """
    refuse_weak_password(password, log_in_name=email)
    if await session.scalar(select(PortalUser.user_id).where(PortalUser.log_in_name == email)):
        raise EmailTaken(email=email)
    return PortalUser(
        user_id=uuid7(now),
        company_id=company_id,
        name=name,
        role=role,
        department_id=department_id,
        locale=locale,
        log_in_name=email,
        password_hash=await hashed(password),
        must_change_password=False,
        password_changed_at=now,
        totp_last_step=0,
        invited_by=invited_by,
        created_at=now,
    )


def _require_fitting(role: PortalRole, department_id: UUID | None) -> None:
    if (role is PortalRole.DEPARTMENT_HEAD) != (department_id is not None):
        raise DepartmentMissing


async def _valid(session: AsyncSession, token: str, now: datetime, *, lock: bool = False) -> PortalInvitation:
    wanted = select(PortalInvitation).where(
        PortalInvitation.token_hash == token_hash(token),
        PortalInvitation.accepted_at.is_(None),
        PortalInvitation.withdrawn_at.is_(None),
        PortalInvitation.expires_at > now,
    )
    row = await session.scalar(locked(wanted) if lock else wanted)
    if row is None:
        raise InvitationNotValid
    return row


def _open_of(company_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (
        PortalInvitation.company_id == company_id,
        PortalInvitation.accepted_at.is_(None),
        PortalInvitation.withdrawn_at.is_(None),
    )


async def _other(session: AsyncSession, user_id: UUID, by: PortalPrincipal) -> PortalUser:
    """Lock a colleague, whatever became of their log-in: never oneself, since a stolen session must not take the account over."""
    if user_id == by.user_id:
        raise NotOneself
    user = await session.scalar(locked(select(PortalUser).where(PortalUser.user_id == user_id, PortalUser.company_id == by.company_id)))
    if user is None:
        raise PortalUserNotFound
    return user


async def _keep_an_owner(session: AsyncSession, user: PortalUser) -> None:
    if user.role is not PortalRole.OWNER:
        return
    # Locked together: two owners who close each other at once would else leave nobody.
    owners = await session.scalars(
        locked(
            select(PortalUser)
            .where(PortalUser.company_id == user.company_id, PortalUser.role == PortalRole.OWNER, PortalUser.disabled_at.is_(None))
            .order_by(PortalUser.user_id)
        )
    )
    if not [owner for owner in owners if owner.user_id != user.user_id]:
        raise LastOwner


async def _record(
    session: AsyncSession, actor: Actor, action: str, subject: tuple[str, UUID], facts: Mapping[str, object], now: datetime
) -> None:
    await audit.record(session, actor=actor, action=action, subject=subject, facts=facts, now=now)
