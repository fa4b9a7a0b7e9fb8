"""The people of a tenant who log in at its portal, a company's or a partner's: asked in by a link, given a role, closed and opened again;
and the sessions they come with.

Whoever calls from within a portal has the tenant's fence around the session: another tenant's people are unknown there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import new_token, token_hash
from loyalty.db import locked
from loyalty.errors import NotFound, Refusal
from loyalty.identity.model import Portal, Stage, UserSession
from loyalty.identity.rules import SessionTerms, refuse_weak_password
from loyalty.ids import uuid7

from .sessions import TERMS, NotSignedIn, end_sessions_of_user, log_out, open_session
from .staff import NotOneself
from .users import PasswordUnchanged, forget_recovery_codes, hashed, password_is_right, sealed_totp

INVITATION_LIFE: Final = timedelta(days=7)
OWNER: Final = "owner"
"""The role that lets others in; a tenant keeps one who can."""


class PortalUserNotFound(NotFound):
    """Unknown, or another tenant's: the answer is the same."""

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
    """One address logs in to one tenant's portal."""

    zh = "邮箱 {email} 已用于登录。"
    en = "The address {email} is in use for a log-in already."
    next_zh = "请换一个邮箱。"
    next_en = "Choose another address."


class LastOwner(Refusal):
    """A tenant keeps one who may let others in."""

    zh = "至少要保留一位可登录的管理员。"
    en = "One owner who can log in has to be kept."
    next_zh = "请先指定另一位管理员。"
    next_en = "Make somebody else an owner first."


@dataclass(frozen=True, slots=True)
class People:
    """Whose people they are: their portal, their tables, which look alike, and how the trail names them."""

    portal: Portal
    users: Any
    """`PortalUser` or `PartnerUser`."""
    invitations: Any
    kind: ActorKind
    word: str
    """In the trail's actions and facts: `company`."""
    table: str
    """In the trail's subjects: `portal_user`, `portal_invitation`."""

    def user_is(self, user_id: UUID) -> ColumnElement[bool]:
        """Return the condition that names one user."""
        return self.users.user_id == user_id  # type: ignore[no-any-return]

    def open_of(self, tenant_id: UUID) -> tuple[ColumnElement[bool], ...]:
        """Return what makes an invitation of a tenant an open one."""
        one = self.invitations
        return (one.tenant_id == tenant_id, one.accepted_at.is_(None), one.withdrawn_at.is_(None))


class Member(Protocol):
    """Whoever acts: a principal of a portal."""

    @property
    def user_id(self) -> UUID: ...
    @property
    def tenant_id(self) -> UUID: ...
    @property
    def session_id(self) -> UUID: ...
    @property
    def actor(self) -> Actor: ...


@dataclass(frozen=True, slots=True)
class Invited:
    """What somebody is asked in as."""

    tenant_id: UUID
    role: StrEnum
    place_id: UUID | None = None
    """The department that they head, the outlet where they serve."""
    email: str | None = None
    name: str | None = None
    user_id: UUID | None = None
    """Who is there already, and gets another link."""


async def ask_in(session: AsyncSession, people: People, *, asked: Invited, actor: Actor, now: datetime) -> str:
    """Ask somebody in and return the link's token, kept nowhere else; a former open invitation of theirs ends. `now` is real.

    :raises EmailTaken: if somebody logs in with it; a guest of another tenant is told so only when they accept
    """
    one = people.invitations
    same = one.user_id == asked.user_id if asked.email is None else one.email == asked.email
    if asked.email is not None:
        mine = select(people.users.user_id).where(people.users.tenant_id == asked.tenant_id, people.users.log_in_name == asked.email)
        if await session.scalar(mine):
            raise EmailTaken(email=asked.email)
    if asked.email is not None or asked.user_id is not None:
        for former in await session.scalars(locked(select(one).where(*people.open_of(asked.tenant_id), same))):
            former.withdrawn_at = now
    await session.flush()
    token = new_token()
    named = {} if asked.name is None else {"name": asked.name}
    invitation = one(
        invitation_id=uuid7(now),
        tenant_id=asked.tenant_id,
        token_hash=token_hash(token),
        email=asked.email,
        role=asked.role,
        place_id=asked.place_id,
        invited_by=f"{actor.kind.value}:{actor.actor_id}",
        invited_at=now,
        expires_at=now + INVITATION_LIFE,
        user_id=asked.user_id,
        **named,
    )
    session.add(invitation)
    await session.flush()
    facts = {people.word: asked.tenant_id, "role": asked.role.value, "place": asked.place_id}
    subject = (f"{people.table}_invitation", invitation.invitation_id)
    await audit.record(session, actor=actor, action=f"identity.{people.word}_user_invited", subject=subject, facts=facts, now=now)
    return token


async def valid_invitation(session: AsyncSession, people: People, *, token: str, now: datetime, lock: bool = False) -> Any:
    """Return the row of a link that still opens something.

    :raises InvitationNotValid: if it is unknown, used, withdrawn, or too old
    """
    one = people.invitations
    wanted = select(one).where(
        one.token_hash == token_hash(token), one.accepted_at.is_(None), one.withdrawn_at.is_(None), one.expires_at > now
    )
    row = await session.scalar(locked(wanted) if lock else wanted)
    if row is None:
        raise InvitationNotValid
    return row


async def take_up(
    session: AsyncSession,
    people: People,
    *,
    invitation: Any,
    user: Any,
    stage: Stage,
    address: str | None,
    user_agent: str | None,
    previous_token: str | None,
    now: datetime,
    terms: SessionTerms = TERMS,
) -> str:
    """Let a guest who accepted in, and return the cookie's token of their log-in at `stage`."""
    session.add(user)
    await session.flush()
    invitation.accepted_at, invitation.user_id = now, user.user_id
    await session.flush()
    if previous_token is not None:
        await log_out(session, token=previous_token, now=now)
    cookie, _ = await open_session(
        session,
        tenant_user=user,
        portal=people.portal,
        stage=stage,
        expires_at=now + (terms.longest if stage is Stage.OPEN else terms.between_factors),
        address=address,
        user_agent=user_agent,
        now=now,
    )
    actor = Actor(people.kind, user.user_id, address, user_agent)
    facts = {people.word: invitation.tenant_id, "invitation": invitation.invitation_id, "role": invitation.role.value}
    subject = (f"{people.table}_user", user.user_id)
    await audit.record(session, actor=actor, action="identity.invitation_accepted", subject=subject, facts=facts, now=now)
    return cookie


async def withdraw(session: AsyncSession, people: People, *, tenant_id: UUID, invitation_id: UUID, actor: Actor, now: datetime) -> None:
    """Take an open invitation back: its link opens nothing from now on.

    :raises InvitationNotValid: if it is not open, or another tenant's
    """
    one = people.invitations
    row = await session.scalar(locked(select(one).where(*people.open_of(tenant_id), one.invitation_id == invitation_id)))
    if row is None:
        raise InvitationNotValid
    row.withdrawn_at = now
    await session.flush()
    subject = (f"{people.table}_invitation", invitation_id)
    facts = {people.word: tenant_id}
    await audit.record(session, actor=actor, action="identity.invitation_withdrawn", subject=subject, facts=facts, now=now)


async def change_role(
    session: AsyncSession, people: People, *, user_id: UUID, role: StrEnum, place_id: UUID | None, by: Member, now: datetime
) -> None:
    """Give somebody another role: the next request is judged with it.

    :raises PortalUserNotFound: if there is no such user of the tenant
    :raises NotOneself: if it is the caller's own
    :raises LastOwner: if nobody would be left to let others in
    """
    user = await _other(session, people, user_id, by)
    if role.value != OWNER:
        await _keep_an_owner(session, people, user)
    facts = {"from": user.role.value, "to": role.value, "place": place_id}
    user.role, user.place_id = role, place_id
    await session.flush()
    await _record(session, people, by, f"identity.{people.word}_role_changed", user_id, facts, now)


async def disable(session: AsyncSession, people: People, *, user_id: UUID, by: Member, now: datetime) -> None:
    """Close somebody's log-in and sessions.

    :raises PortalUserNotFound: if there is no such user of the tenant
    :raises NotOneself: if it is the caller's own
    :raises LastOwner: if nobody would be left to let others in
    """
    user = await _other(session, people, user_id, by)
    await _keep_an_owner(session, people, user)
    user.disabled_at = user.disabled_at or now
    await session.flush()
    await end_sessions_of_user(session, user_id=user_id, reason="disabled", now=now)
    await _record(session, people, by, f"identity.{people.word}_user_disabled", user_id, {}, now)


async def enable(session: AsyncSession, people: People, *, user_id: UUID, by: Member, now: datetime) -> None:
    """Open a closed log-in again, password and second factor as they were.

    :raises PortalUserNotFound: if there is no such user of the tenant
    :raises NotOneself: if it is the caller's own
    """
    user = await _other(session, people, user_id, by)
    user.disabled_at = None
    await session.flush()
    await _record(session, people, by, f"identity.{people.word}_user_enabled", user_id, {}, now)


async def reset_factor(session: AsyncSession, people: People, *, user_id: UUID, by: Member, now: datetime) -> None:
    """Forget somebody's lost authenticator and its recovery codes; the next log-in sets up a new one. All their sessions end.

    :raises PortalUserNotFound: if there is no such user of the tenant
    :raises NotOneself: if it is the caller's own
    """
    user = await _other(session, people, user_id, by)
    user.totp_confirmed_at = user.totp_secret = None
    await session.flush()
    await forget_recovery_codes(session, user)
    await end_sessions_of_user(session, user_id=user_id, reason="second factor reset", now=now)
    await _record(session, people, by, f"identity.{people.word}_second_factor_reset", user_id, {}, now)


async def change_own_password(session: AsyncSession, people: People, *, by: Member, password: str, now: datetime) -> None:
    """Change one's own password, shortly after the second factor was asked for again, and end one's other sessions.

    :raises PasswordTooWeak: if the new one is
    :raises PasswordUnchanged: if it is the present one
    """
    user = await get_person(session, people, user_id=by.user_id)
    refuse_weak_password(password, log_in_name=user.log_in_name)
    if await password_is_right(user.password_hash, password):
        raise PasswordUnchanged
    user.password_hash, user.password_changed_at = await hashed(password), now
    await session.flush()
    await end_sessions_of_user(session, user_id=by.user_id, reason="password changed", keep=by.session_id, now=now)
    await _record(session, people, by, "identity.password_changed", by.user_id, {}, now)


async def new_person(
    session: AsyncSession, people: People, *, asked: Invited, name: str, password: str, locale: str, invited_by: str, now: datetime
) -> Any:
    """Return a user with a password and no second factor yet; not stored.

    :raises PasswordTooWeak: if the password is
    :raises EmailTaken: if somebody logs in with the address, at whatever tenant
    """
    assert asked.email is not None, "who has a password has an address"
    refuse_weak_password(password, log_in_name=asked.email)
    if await session.scalar(select(people.users.user_id).where(people.users.log_in_name == asked.email)):
        raise EmailTaken(email=asked.email)
    return people.users(
        user_id=uuid7(now),
        tenant_id=asked.tenant_id,
        name=name,
        role=asked.role,
        place_id=asked.place_id,
        locale=locale,
        log_in_name=asked.email,
        password_hash=await hashed(password),
        must_change_password=False,
        password_changed_at=now,
        totp_last_step=0,
        invited_by=invited_by,
        created_at=now,
    )


async def make_known(
    session: AsyncSession,
    people: People,
    *,
    asked: Invited,
    name: str,
    password: str,
    totp_secret: bytes,
    locale: str,
    actor: Actor,
    now: datetime,
) -> UUID:
    """Make a user with a known password and a confirmed second factor, `totp_secret` 20 bytes: for a demonstration.

    :raises EmailTaken, PasswordTooWeak: as `new_person`
    """
    by = f"{actor.kind.value}:{actor.actor_id}"
    user = await new_person(session, people, asked=asked, name=name, password=password, locale=locale, invited_by=by, now=now)
    user.totp_secret, user.totp_confirmed_at = sealed_totp(user, totp_secret), now
    session.add(user)
    await session.flush()
    facts = {people.word: asked.tenant_id, "role": asked.role.value}
    subject = (f"{people.table}_user", user.user_id)
    await audit.record(session, actor=actor, action=f"identity.{people.word}_user_made", subject=subject, facts=facts, now=now)
    return user.user_id  # type: ignore[no-any-return]


async def get_person(session: AsyncSession, people: People, *, user_id: UUID) -> Any:
    """Lock and return a user whose log-in is open.

    :raises PortalUserNotFound: if there is none, or it is closed
    """
    user = await session.scalar(locked(select(people.users).where(people.user_is(user_id), people.users.disabled_at.is_(None))))
    if user is None:
        raise PortalUserNotFound
    return user


async def resume_person(
    session: AsyncSession, people: People, *, token: str, seen: bool, now: datetime, terms_of: Callable[[Any], SessionTerms]
) -> tuple[UserSession, Any, bool]:
    """Return the open session of a token, whose it is, and whether a step-up lies within the last minutes. `now` is real time.

    `seen`: somebody is there, so that the session does not idle out; False where a page asks by itself. `terms_of` says how long one may.

    :raises NotSignedIn: if the token is no open session of a user whose log-in is open
    """
    owner = UserSession.partner_user_id if people.portal is Portal.PARTNER else UserSession.portal_user_id
    found = await session.execute(
        select(UserSession, people.users)
        .join(people.users, people.users.user_id == owner)
        .where(
            UserSession.token_hash == token_hash(token),
            UserSession.portal == people.portal,
            UserSession.stage == Stage.OPEN,
            UserSession.ended_at.is_(None),
            UserSession.expires_at > now,
            people.users.disabled_at.is_(None),
        )
        .execution_options(populate_existing=True)
    )
    pair = found.one_or_none()
    if pair is None:
        raise NotSignedIn
    row, user = pair
    terms = terms_of(user)
    if row.last_seen_at <= now - terms.idle:
        raise NotSignedIn
    if seen and row.last_seen_at <= now - terms.idle / 30:
        row.last_seen_at = now
        await session.flush()
    return row, user, row.stepped_up_at is not None and row.stepped_up_at > now - terms.step_up


def sound_email(text: str) -> str:
    """Return an e-mail address as it logs in: in lower case.

    :raises EmailNotSound: if it is none
    """
    plain = text.replace("\0", "").strip().lower()
    local, at, host = plain.rpartition("@")
    if not (at and local and "." in host.strip(".") and len(plain) <= 200 and plain.isprintable() and " " not in plain):
        raise EmailNotSound(email=text[:200])
    return plain


async def _other(session: AsyncSession, people: People, user_id: UUID, by: Member) -> Any:
    """Lock a colleague, whatever became of their log-in: never oneself, since a stolen session must not take the account over."""
    if user_id == by.user_id:
        raise NotOneself
    user = await session.scalar(locked(select(people.users).where(people.user_is(user_id), people.users.tenant_id == by.tenant_id)))
    if user is None:
        raise PortalUserNotFound
    return user


async def _keep_an_owner(session: AsyncSession, people: People, user: Any) -> None:
    if user.role.value != OWNER:
        return
    # Locked together: two owners who close each other at once would else leave nobody.
    one = people.users
    owners = await session.scalars(
        locked(select(one).where(one.tenant_id == user.tenant_id, one.role == user.role, one.disabled_at.is_(None)).order_by(one.user_id))
    )
    if not [owner for owner in owners if owner.user_id != user.user_id]:
        raise LastOwner


async def _record(
    session: AsyncSession, people: People, by: Member, action: str, user_id: UUID, facts: dict[str, object], now: datetime
) -> None:
    subject = (f"{people.table}_user", user_id)
    await audit.record(session, actor=by.actor, action=action, subject=subject, facts={people.word: by.tenant_id} | facts, now=now)
