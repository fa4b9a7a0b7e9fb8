"""A partner's people. Owners and finance come as a company's people do; a clerk by a link that their phone takes, and a PIN.

A clerk's two factors are the phone, which keeps a secret of 256 bits, and the PIN that they chose: no mailbox, no authenticator. The PIN
is judged with the phone only; five wrong ones in a row make wait, and a lost phone opens nothing once the owner gave out a new link.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import new_token, token_hash
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.identity.model import AttemptKind, Portal, Stage
from loyalty.identity.model_partner import PartnerInvitation, PartnerRole, PartnerUser
from loyalty.identity.partner_rules import PartnerPrincipal
from loyalty.identity.rules import SessionTerms
from loyalty.ids import uuid7

from . import people
from .attempts import forgive, take_attempt
from .people import InvitationNotValid, Invited, People, PortalUserNotFound, sound_email
from .sessions import TERMS, end_sessions_of_user, open_session
from .users import hashed, password_is_right

PARTNERS: Final = People(Portal.PARTNER, PartnerUser, PartnerInvitation, ActorKind.PARTNER, "partner", "partner")
CLERK_TERMS: Final = SessionTerms(idle=timedelta(hours=4), longest=timedelta(hours=14))
"""A working day at the counter, a lunch in it: the phone is in the clerk's hand, and its own lock before it."""
_PIN_DIGITS: Final = (6, 12)


class ClerksOnly(Refusal):
    """A clerk serves at one outlet, and is asked in by a link; the others have an address."""

    status = 422
    zh = "店员须选定网点，其他角色须填写邮箱。"
    en = "A clerk needs an outlet, every other role an e-mail address."
    next_zh = "请核对角色。"
    next_en = "Check the role."


class PinNotSound(Refusal):
    """A clerk's PIN has six digits or more, and is not one that everybody tries first."""

    status = 422
    zh = "密码须为 6 至 12 位数字，且不能是连续或重复的数字。"
    en = "The PIN has 6 to 12 digits, not all alike and not in a row."
    next_zh = "请换一个密码。"
    next_en = "Choose another."


@dataclass(frozen=True, slots=True)
class PartnerInvitationView:
    """An invitation as its guest sees it."""

    invitation_id: UUID
    partner_id: UUID
    email: str | None
    name: str | None
    role: PartnerRole
    outlet_id: UUID | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Phone:
    """What a clerk's phone is given when it took a link: both go into cookies and stand nowhere else."""

    session_token: str
    secret: str


async def invite_partner_user(
    session: AsyncSession, *, partner_id: UUID, email: str, role: PartnerRole, actor: Actor, now: datetime
) -> str:
    """Ask somebody with a mailbox in; return the link's token. `now` is real time.

    :raises EmailNotSound: if it is no address
    :raises EmailTaken: if somebody logs in with it
    :raises ClerksOnly: if it is a clerk's role
    """
    if role is PartnerRole.CLERK:
        raise ClerksOnly
    asked = Invited(partner_id, role, email=sound_email(email))
    return await people.ask_in(session, PARTNERS, asked=asked, actor=actor, now=now)


async def invite_clerk(
    session: AsyncSession,
    *,
    partner_id: UUID,
    outlet_id: UUID,
    name: str,
    user_id: UUID | None = None,
    actor: Actor,
    now: datetime,
) -> str:
    """Make the link that a clerk's phone takes; return its token. `user_id`: a clerk who is there and gets another phone.

    :raises PortalUserNotFound: if there is no such clerk at this partner
    """
    if user_id is not None:
        known = await people.get_person(session, PARTNERS, user_id=user_id)
        if known.partner_id != partner_id or known.role is not PartnerRole.CLERK:
            raise PortalUserNotFound
    asked = Invited(partner_id, PartnerRole.CLERK, outlet_id, name=name, user_id=user_id)
    return await people.ask_in(session, PARTNERS, asked=asked, actor=actor, now=now)


async def find_partner_invitation(session: AsyncSession, *, token: str, now: datetime) -> PartnerInvitationView:
    """Return what a link asks somebody to.

    :raises InvitationNotValid: if it is unknown, used, withdrawn, or too old
    """
    row = await people.valid_invitation(session, PARTNERS, token=token, now=now)
    return PartnerInvitationView(row.invitation_id, row.partner_id, row.email, row.name, row.role, row.outlet_id, row.expires_at)


async def accept_partner_invitation(
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

    :raises InvitationNotValid: if it is unknown, used, withdrawn, too old, or a clerk's
    :raises EmailTaken: if somebody logs in with the address, at whatever partner
    :raises PasswordTooWeak: if the password is
    """
    row = await people.valid_invitation(session, PARTNERS, token=token, now=now, lock=True)
    if row.role is PartnerRole.CLERK:
        raise InvitationNotValid
    asked = Invited(row.partner_id, row.role, email=row.email)
    by = row.invited_by
    user = await people.new_person(session, PARTNERS, asked=asked, name=name, password=password, locale=locale, invited_by=by, now=now)
    return await people.take_up(
        session,
        PARTNERS,
        invitation=row,
        user=user,
        stage=Stage.ENROL_TOTP,
        address=address,
        user_agent=user_agent,
        previous_token=previous_token,
        now=now,
        terms=terms,
    )


async def accept_as_clerk(
    session: AsyncSession,
    *,
    token: str,
    pin: str,
    locale: str,
    address: str | None = None,
    user_agent: str | None = None,
    previous_token: str | None = None,
    now: datetime,
) -> Phone:
    """Let a phone take a clerk's link, with the PIN that the clerk chose; a phone they had before opens nothing from now on.

    :raises InvitationNotValid: if it is unknown, used, withdrawn, too old, or no clerk's
    :raises PinNotSound: if the PIN is too short, or what everybody tries first
    """
    row = await people.valid_invitation(session, PARTNERS, token=token, now=now, lock=True)
    if row.role is not PartnerRole.CLERK:
        raise InvitationNotValid
    require_sound_pin(pin)
    secret = new_token()
    if row.user_id is None:
        user = await _new_clerk(row, pin, locale, now)
    else:
        user = await people.get_person(session, PARTNERS, user_id=row.user_id)
        user.password_hash, user.password_changed_at, user.outlet_id = await hashed(pin), now, row.outlet_id
        await end_sessions_of_user(session, user_id=user.user_id, reason="another phone", now=now)
        await forgive(session, kind=AttemptKind.LOG_IN_NAME, subject=_budget(user.user_id))
    user.phone_hash = token_hash(secret)
    user.last_log_in_at = now
    cookie = await people.take_up(
        session,
        PARTNERS,
        invitation=row,
        user=user,
        stage=Stage.OPEN,
        address=address,
        user_agent=user_agent,
        previous_token=previous_token,
        now=now,
        terms=CLERK_TERMS,
    )
    return Phone(cookie, secret)


async def clerk_of_phone(session: AsyncSession, *, secret: str) -> PartnerUser | None:
    """Return the clerk to whom a phone belongs, if their log-in is open; whoever holds the phone learns a name, and needs the PIN."""
    known: PartnerUser | None = await session.scalar(
        select(PartnerUser).where(PartnerUser.phone_hash == token_hash(secret), PartnerUser.disabled_at.is_(None))
    )
    return known


async def sign_in_clerk(
    session: AsyncSession,
    *,
    secret: str,
    pin: str,
    address: str | None = None,
    user_agent: str | None = None,
    now: datetime,
) -> str | None:
    """Open a clerk's session on their phone and return its cookie's token; None for every refusal, which is counted.

    The caller commits before it answers, so that each try counts.
    """
    wanted = select(PartnerUser).where(PartnerUser.phone_hash == token_hash(secret), PartnerUser.disabled_at.is_(None))
    user = await session.scalar(locked(wanted))
    if user is None or not await take_attempt(session, kind=AttemptKind.LOG_IN_NAME, subject=_budget(user.user_id), now=now):
        return None
    if not await password_is_right(user.password_hash, pin[:64]):
        return None
    await forgive(session, kind=AttemptKind.LOG_IN_NAME, subject=_budget(user.user_id))
    token, row = await open_session(
        session,
        tenant_user=user,
        portal=Portal.PARTNER,
        stage=Stage.OPEN,
        expires_at=now + CLERK_TERMS.longest,
        address=address,
        user_agent=user_agent,
        now=now,
    )
    user.last_log_in_at = now
    await session.flush()
    actor = Actor(ActorKind.PARTNER, user.user_id, address, user_agent)
    subject, facts = ("user_session", row.session_id), {"portal": Portal.PARTNER.value}
    await audit.record(session, actor=actor, action="identity.logged_in", subject=subject, facts=facts, now=now)
    return token


async def withdraw_partner_invitation(session: AsyncSession, *, partner_id: UUID, invitation_id: UUID, actor: Actor, now: datetime) -> None:
    """Take an open invitation back: its link opens nothing from now on.

    :raises InvitationNotValid: if it is not open, or another partner's
    """
    await people.withdraw(session, PARTNERS, tenant_id=partner_id, invitation_id=invitation_id, actor=actor, now=now)


async def disable_partner_user(session: AsyncSession, *, user_id: UUID, by: PartnerPrincipal, now: datetime) -> None:
    """Close somebody's log-in and sessions; a clerk's phone opens nothing.

    :raises PortalUserNotFound: if there is no such user of the partner
    :raises NotOneself: if it is the caller's own
    :raises LastOwner: if nobody would be left to let others in
    """
    await people.disable(session, PARTNERS, user_id=user_id, by=by, now=now)


async def enable_partner_user(session: AsyncSession, *, user_id: UUID, by: PartnerPrincipal, now: datetime) -> None:
    """Open a closed log-in again, as it was.

    :raises PortalUserNotFound: if there is no such user of the partner
    :raises NotOneself: if it is the caller's own
    """
    await people.enable(session, PARTNERS, user_id=user_id, by=by, now=now)


async def reset_partner_second_factor(session: AsyncSession, *, user_id: UUID, by: PartnerPrincipal, now: datetime) -> None:
    """Forget somebody's lost authenticator and its recovery codes; the next log-in sets up a new one. All their sessions end.

    :raises PortalUserNotFound: if there is no such user of the partner
    :raises NotOneself: if it is the caller's own
    """
    await people.reset_factor(session, PARTNERS, user_id=user_id, by=by, now=now)


async def make_partner_user(
    session: AsyncSession,
    *,
    partner_id: UUID,
    email: str,
    name: str,
    password: str,
    totp_secret: bytes,
    role: PartnerRole,
    locale: str = "zh_CN",
    actor: Actor,
    now: datetime,
) -> UUID:
    """Make a user with a known password and a confirmed second factor, `totp_secret` 20 bytes: for a demonstration.

    :raises EmailNotSound, EmailTaken, ClerksOnly, PasswordTooWeak: as inviting and accepting do
    """
    if role is PartnerRole.CLERK:
        raise ClerksOnly
    asked = Invited(partner_id, role, email=sound_email(email))
    return await people.make_known(
        session, PARTNERS, asked=asked, name=name, password=password, totp_secret=totp_secret, locale=locale, actor=actor, now=now
    )


async def resume_partner_user(
    session: AsyncSession,
    *,
    token: str,
    address: str | None = None,
    user_agent: str | None = None,
    seen: bool = True,
    now: datetime,
) -> PartnerPrincipal:
    """Return who makes this request; role and outlet are read anew each time. `now` is real time.

    :raises NotSignedIn: if the token is no open session of a partner's user whose log-in is open
    """
    row, user, fresh = await people.resume_person(session, PARTNERS, token=token, seen=seen, now=now, terms_of=_terms_of)
    return PartnerPrincipal(
        user_id=user.user_id,
        partner_id=user.partner_id,
        name=user.name,
        email=None if user.role is PartnerRole.CLERK else user.log_in_name,
        role=user.role,
        outlet_id=user.outlet_id,
        session_id=row.session_id,
        locale=user.locale,
        fresh=fresh,
        address=address,
        user_agent=user_agent,
    )


def require_sound_pin(pin: str) -> None:
    """Let a PIN pass that is not among the first that are tried.

    :raises PinNotSound: if it is
    """
    least, most = _PIN_DIGITS
    digits = [int(each) for each in pin] if pin.isascii() and pin.isdigit() else []
    steps = {(after - before) % 10 for before, after in pairwise(digits)}
    if not least <= len(digits) <= most or steps in ({0}, {1}, {9}):
        raise PinNotSound


async def _new_clerk(row: PartnerInvitation, pin: str, locale: str, now: datetime) -> PartnerUser:
    user_id = uuid7(now)
    return PartnerUser(
        user_id=user_id,
        partner_id=row.partner_id,
        name=row.name or "",
        role=PartnerRole.CLERK,
        outlet_id=row.outlet_id,
        locale=locale,
        log_in_name=f"clerk {user_id}",
        password_hash=await hashed(pin),
        must_change_password=False,
        password_changed_at=now,
        totp_last_step=0,
        invited_by=row.invited_by,
        created_at=now,
    )


def _terms_of(user: PartnerUser) -> SessionTerms:
    return CLERK_TERMS if user.role is PartnerRole.CLERK else TERMS


def _budget(user_id: UUID) -> str:
    return f"{Portal.PARTNER.value}-clerk:{user_id}"
