"""Logging in to the office, and to a company's portal: name and password, then the second factor; a new token at each step.

A refused step is an answer and never an exception, since its count must be committed; and every refusal is the same answer, whether the
name is unknown, the password wrong, the log-in closed or tried too often.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import password_needs_rehash, token_hash
from loyalty.identity.model import AttemptKind, Portal, Staff, StaffStatus, Stage, User, UserSession
from loyalty.identity.model_partner import PartnerRole, PartnerUser
from loyalty.identity.model_portal import PortalUser
from loyalty.identity.rules import SessionTerms

from .attempts import forgive, take_attempt
from .partner_users import PARTNERS
from .people import get_person
from .portal_users import COMPANYS
from .sessions import TERMS, advance, find_session, log_out, open_session, rotate
from .users import (
    Someone,
    TotpSetup,
    get_user,
    hashed,
    new_recovery_codes,
    password_is_right,
    pending_totp,
    replace_password,
    totp_is_right,
)
from .users import use_recovery_code as spend_recovery_code

_NAME_MAX: Final = 200
_LOGGED_IN: Final = {Portal.OFFICE, Portal.FLEET, Portal.PARTNER}
"""Where a second factor is asked for."""
_KINDS: Final = {Portal.OFFICE: ActorKind.STAFF, Portal.FLEET: ActorKind.COMPANY_USER, Portal.PARTNER: ActorKind.PARTNER}


@dataclass(frozen=True, slots=True)
class LogIn:
    """How far a log-in came. `token` is the session's new cookie; both are None where the step was refused."""

    stage: Stage | None = None
    token: str | None = None
    recovery_codes: tuple[str, ...] = ()
    """Shown once, when a second factor was just set up."""

    @property
    def refused(self) -> bool:
        """Whether the step was refused: wrong, unknown, closed, run out, or tried too often."""
        return self.token is None


_REFUSED: Final = LogIn()


async def start_log_in(
    session: AsyncSession,
    *,
    name: str,
    password: str,
    portal: Portal = Portal.OFFICE,
    address: str | None = None,
    user_agent: str | None = None,
    previous_token: str | None = None,
    now: datetime,
    terms: SessionTerms = TERMS,
) -> LogIn:
    """Judge name and password and say what comes next: `second_factor`, or `enrol_totp` at the first log-in.

    At the portals `fleet` and `partner` the name is an e-mail address.
    `previous_token`, whatever cookie the browser brought, is ended and never adopted. `now` is real time.
    """
    plain = name.replace("\0", "").strip().lower()[:_NAME_MAX]
    if previous_token is not None:
        await log_out(session, token=previous_token, now=now)
    if address is not None and not await take_attempt(session, kind=AttemptKind.LOG_IN_ADDRESS, subject=address, now=now):
        return _REFUSED
    budget = name_budget(portal, plain)
    if not await take_attempt(session, kind=AttemptKind.LOG_IN_NAME, subject=budget, now=now):
        return _REFUSED
    user = await _named(session, portal, plain)
    if not await password_is_right(None if user is None else user.password_hash, password[: 4 * _NAME_MAX]) or user is None:
        await _note_refusal(session, budget, address, user_agent, now)
        return _REFUSED
    await forgive(session, kind=AttemptKind.LOG_IN_NAME, subject=budget)
    if address is not None:
        await forgive(session, kind=AttemptKind.LOG_IN_ADDRESS, subject=address, only_this=True)
    if password_needs_rehash(user.password_hash):
        user.password_hash = await hashed(password)
    stage = Stage.ENROL_TOTP if user.totp_confirmed_at is None else Stage.SECOND_FACTOR
    token, _ = await open_session(
        session,
        staff_id=user.staff_id if isinstance(user, User) else None,
        tenant_user=None if isinstance(user, User) else user,
        portal=portal,
        stage=stage,
        expires_at=now + terms.between_factors,
        address=address,
        user_agent=user_agent,
        now=now,
    )
    return LogIn(stage, token)


async def verify_totp(session: AsyncSession, *, token: str, code: str, now: datetime, terms: SessionTerms = TERMS) -> LogIn:
    """Judge the authenticator's code. Each code is good once; five wrong ones make wait."""
    row = await _at_stage(session, token, Stage.SECOND_FACTOR, now, terms)
    if row is None:
        return _REFUSED
    return await _second_factor(session, row, code, recovery=False, now=now, terms=terms)


async def use_recovery_code(session: AsyncSession, *, token: str, code: str, now: datetime, terms: SessionTerms = TERMS) -> LogIn:
    """Judge a recovery code in place of the authenticator's; each is good once."""
    row = await _at_stage(session, token, Stage.SECOND_FACTOR, now, terms)
    if row is None:
        return _REFUSED
    return await _second_factor(session, row, code, recovery=True, now=now, terms=terms)


async def begin_totp(session: AsyncSession, *, token: str, now: datetime, terms: SessionTerms = TERMS) -> TotpSetup | None:
    """Return what to scan at the first log-in, the same until it is confirmed; None where the token is not at that stage."""
    row = await _at_stage(session, token, Stage.ENROL_TOTP, now, terms)
    return None if row is None else await pending_totp(session, await _user_of(session, row))


async def confirm_totp(session: AsyncSession, *, token: str, code: str, now: datetime, terms: SessionTerms = TERMS) -> LogIn:
    """Take the first code of a new authenticator; the answer holds the recovery codes, shown once."""
    row = await _at_stage(session, token, Stage.ENROL_TOTP, now, terms)
    if row is None:
        return _REFUSED
    user = await _user_of(session, row)
    if not await _code_is_right(session, user, code, recovery=False, now=now):
        return _REFUSED
    user.totp_confirmed_at = now
    codes = await new_recovery_codes(session, user, now=now)
    answer = await _pass_second_factor(session, row, user, terms=terms, now=now)
    return LogIn(answer.stage, answer.token, tuple(codes))


async def choose_password(session: AsyncSession, *, token: str, password: str, now: datetime, terms: SessionTerms = TERMS) -> LogIn:
    """Replace the password that somebody else set, the last step of a first log-in.

    :raises PasswordTooWeak: if the new one is
    :raises PasswordUnchanged: if it is the present one
    """
    row = await _at_stage(session, token, Stage.CHANGE_PASSWORD, now, terms)
    if row is None:
        return _REFUSED
    user = await _user_of(session, row)
    await replace_password(session, user, password, now=now)
    return await _open(session, row, user, terms=terms, now=now)


async def step_up(session: AsyncSession, *, token: str, code: str, now: datetime, terms: SessionTerms = TERMS) -> LogIn:
    """Judge the second factor again within an open session; the answer's token replaces the cookie."""
    row = await _at_stage(session, token, Stage.OPEN, now, terms)
    if row is None or row.portal not in _LOGGED_IN:
        return _REFUSED
    user = await _user_of(session, row)
    if not await _code_is_right(session, user, code, recovery=False, now=now):
        return _REFUSED
    row.stepped_up_at = now
    token = await rotate(session, row, now=now)
    await _note(session, row, user, "identity.stepped_up", now)
    return LogIn(Stage.OPEN, token)


def name_budget(portal: Portal, name: str) -> str:
    """Return under what tries at a log-in name are counted: guessing at one portal closes no name at another."""
    return name if portal is Portal.OFFICE else f"{portal.value}:{name}"


async def _named(session: AsyncSession, portal: Portal, name: str) -> Someone | None:
    if portal is Portal.FLEET:
        known = select(PortalUser).where(PortalUser.log_in_name == name, PortalUser.disabled_at.is_(None))
        return await session.scalar(known.execution_options(populate_existing=True))
    if portal is Portal.PARTNER:
        # A clerk comes in with a phone and a PIN (`partner_users.sign_in_clerk`), never with a PIN alone.
        theirs = select(PartnerUser).where(
            PartnerUser.log_in_name == name, PartnerUser.role != PartnerRole.CLERK, PartnerUser.disabled_at.is_(None)
        )
        return await session.scalar(theirs.execution_options(populate_existing=True))
    assert portal is Portal.OFFICE, "people log in with a password there and at the portals of companies and partners"
    return await session.scalar(
        select(User)
        .join(Staff, Staff.staff_id == User.staff_id)
        .where(User.log_in_name == name, User.disabled_at.is_(None), Staff.status == StaffStatus.ACTIVE)
        .execution_options(populate_existing=True)
    )


async def _second_factor(
    session: AsyncSession, row: UserSession, code: str, *, recovery: bool, now: datetime, terms: SessionTerms
) -> LogIn:
    user = await _user_of(session, row)
    if not await _code_is_right(session, user, code, recovery=recovery, now=now):
        await _note(session, row, user, "identity.second_factor_refused", now)
        return _REFUSED
    if recovery:
        await _note(session, row, user, "identity.recovery_code_used", now)
    return await _pass_second_factor(session, row, user, terms=terms, now=now)


async def _code_is_right(session: AsyncSession, user: Someone, code: str, *, recovery: bool, now: datetime) -> bool:
    if not await take_attempt(session, kind=AttemptKind.SECOND_FACTOR, subject=user.person_id.bytes, now=now):
        return False
    if recovery:
        right = await spend_recovery_code(session, user, typed=code, now=now)
    else:
        right = await totp_is_right(session, user, code, now=now)
    if right:
        await forgive(session, kind=AttemptKind.SECOND_FACTOR, subject=user.person_id.bytes)
    return right


async def _pass_second_factor(session: AsyncSession, row: UserSession, user: Someone, *, terms: SessionTerms, now: datetime) -> LogIn:
    row.stepped_up_at = now
    if user.must_change_password:
        return LogIn(Stage.CHANGE_PASSWORD, await advance(session, row, Stage.CHANGE_PASSWORD, terms=terms, now=now))
    return await _open(session, row, user, terms=terms, now=now)


async def _open(session: AsyncSession, row: UserSession, user: Someone, *, terms: SessionTerms, now: datetime) -> LogIn:
    token = await advance(session, row, Stage.OPEN, terms=terms, now=now)
    user.last_log_in_at = now
    await session.flush()
    await _note(session, row, user, "identity.logged_in", now)
    return LogIn(Stage.OPEN, token)


async def _at_stage(session: AsyncSession, token: str, stage: Stage, now: datetime, terms: SessionTerms) -> UserSession | None:
    row = await find_session(session, token=token, now=now, terms=terms)
    return row if row is not None and row.stage is stage and row.customer_id is None else None


async def _user_of(session: AsyncSession, row: UserSession) -> Someone:
    if row.portal_user_id is not None:
        return cast("Someone", await get_person(session, COMPANYS, user_id=row.portal_user_id))
    if row.partner_user_id is not None:
        return cast("Someone", await get_person(session, PARTNERS, user_id=row.partner_user_id))
    assert row.staff_id is not None, "a log-in is somebody's"
    return await get_user(session, staff_id=row.staff_id)


async def _note(session: AsyncSession, row: UserSession, user: Someone, action: str, now: datetime) -> None:
    await audit.record(
        session,
        actor=Actor(_KINDS[row.portal], user.person_id, row.address, row.user_agent),
        action=action,
        subject=("user_session", row.session_id),
        facts={"portal": row.portal.value},
        now=now,
    )


async def _note_refusal(session: AsyncSession, name: str, address: str | None, user_agent: str | None, now: datetime) -> None:
    """Record a refused log-in under the name's hash: people type their password into the name's field."""
    await audit.record(
        session,
        actor=Actor(ActorKind.UNKNOWN, "log-in", address, user_agent),
        action="identity.log_in_refused",
        subject=("log_in_name", token_hash(name).hex()[:16]),
        facts={},
        now=now,
    )
