"""A company's people: asked in by a link, given a role, closed and opened again; and the sessions they come with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.errors import Refusal
from loyalty.identity.model import Portal, Stage
from loyalty.identity.model_portal import PortalInvitation, PortalRole, PortalUser
from loyalty.identity.portal_rules import PortalPrincipal
from loyalty.identity.rules import SessionTerms

from . import people
from .people import Invited, People, sound_email
from .sessions import TERMS

COMPANYS: Final = People(Portal.FLEET, PortalUser, PortalInvitation, ActorKind.COMPANY_USER, "company", "portal")


class DepartmentMissing(Refusal):
    """A department's head heads a department, and nobody else does."""

    status = 422
    zh = "部门负责人须选定部门，其他角色不选部门。"
    en = "A department head needs a department, and no other role has one."
    next_zh = "请核对角色与部门。"
    next_en = "Check role and department."


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
    asked = _asked(company_id, email, role, department_id)
    return await people.ask_in(session, COMPANYS, asked=asked, actor=actor, now=now)


async def find_invitation(session: AsyncSession, *, token: str, now: datetime) -> Invitation:
    """Return what a link asks somebody to.

    :raises InvitationNotValid: if it is unknown, used, withdrawn, or too old
    """
    row = await people.valid_invitation(session, COMPANYS, token=token, now=now)
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
    row = await people.valid_invitation(session, COMPANYS, token=token, now=now, lock=True)
    asked = Invited(row.company_id, row.role, row.department_id, row.email)
    by = row.invited_by
    user = await people.new_person(session, COMPANYS, asked=asked, name=name, password=password, locale=locale, invited_by=by, now=now)
    return await people.take_up(
        session,
        COMPANYS,
        invitation=row,
        user=user,
        stage=Stage.ENROL_TOTP,
        address=address,
        user_agent=user_agent,
        previous_token=previous_token,
        now=now,
        terms=terms,
    )


async def withdraw_invitation(session: AsyncSession, *, company_id: UUID, invitation_id: UUID, actor: Actor, now: datetime) -> None:
    """Take an open invitation back: its link opens nothing from now on.

    :raises InvitationNotValid: if it is not open, or another company's
    """
    await people.withdraw(session, COMPANYS, tenant_id=company_id, invitation_id=invitation_id, actor=actor, now=now)


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
    await people.change_role(session, COMPANYS, user_id=user_id, role=role, place_id=department_id, by=by, now=now)


async def disable_portal_user(session: AsyncSession, *, user_id: UUID, by: PortalPrincipal, now: datetime) -> None:
    """Close somebody's log-in and sessions.

    :raises PortalUserNotFound: if there is no such user of the company
    :raises NotOneself: if it is the caller's own
    :raises LastOwner: if nobody would be left to let others in
    """
    await people.disable(session, COMPANYS, user_id=user_id, by=by, now=now)


async def enable_portal_user(session: AsyncSession, *, user_id: UUID, by: PortalPrincipal, now: datetime) -> None:
    """Open a closed log-in again, password and second factor as they were.

    :raises PortalUserNotFound: if there is no such user of the company
    :raises NotOneself: if it is the caller's own
    """
    await people.enable(session, COMPANYS, user_id=user_id, by=by, now=now)


async def reset_portal_second_factor(session: AsyncSession, *, user_id: UUID, by: PortalPrincipal, now: datetime) -> None:
    """Forget somebody's lost authenticator and its recovery codes; the next log-in sets up a new one. All their sessions end.

    :raises PortalUserNotFound: if there is no such user of the company
    :raises NotOneself: if it is the caller's own
    """
    await people.reset_factor(session, COMPANYS, user_id=user_id, by=by, now=now)


async def change_portal_password(session: AsyncSession, *, by: PortalPrincipal, password: str, now: datetime) -> None:
    """Change one's own password, shortly after the second factor was asked for again, and end one's other sessions.

    :raises PasswordTooWeak: if the new one is
    :raises PasswordUnchanged: if it is the present one
    """
    await people.change_own_password(session, COMPANYS, by=by, password=password, now=now)


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
    asked = _asked(company_id, email, role, department_id)
    return await people.make_known(
        session, COMPANYS, asked=asked, name=name, password=password, totp_secret=totp_secret, locale=locale, actor=actor, now=now
    )


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
    row, user, fresh = await people.resume_person(session, COMPANYS, token=token, seen=seen, now=now, terms_of=lambda _user: terms)
    return PortalPrincipal(
        user_id=user.user_id,
        company_id=user.company_id,
        name=user.name,
        email=user.log_in_name,
        role=user.role,
        department_id=user.department_id,
        session_id=row.session_id,
        locale=user.locale,
        fresh=fresh,
        address=address,
        user_agent=user_agent,
    )


def _asked(company_id: UUID, email: str, role: PortalRole, department_id: UUID | None) -> Invited:
    _require_fitting(role, department_id)
    return Invited(company_id, role, department_id, sound_email(email))


def _require_fitting(role: PortalRole, department_id: UUID | None) -> None:
    if (role is PortalRole.DEPARTMENT_HEAD) != (department_id is not None):
        raise DepartmentMissing
