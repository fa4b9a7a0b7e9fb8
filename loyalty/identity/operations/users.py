"""Log-ins to the office: names, passwords, second factors and their recovery."""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.cores import run_anywhere
from loyalty.crypto import (
    Purpose,
    hash_password,
    matching_totp_step,
    new_code,
    new_totp_secret,
    open_,
    read_code,
    seal,
    token_hash,
    totp_uri,
    verify_password,
)
from loyalty.errors import NotFound, Refusal
from loyalty.identity.model import AttemptKind, RecoveryCode, User
from loyalty.identity.model_partner import PartnerRecoveryCode, PartnerUser
from loyalty.identity.model_portal import PortalRecoveryCode, PortalUser
from loyalty.identity.queries import get_staff_for_update
from loyalty.identity.rules import Permission, Principal, refuse_weak_password, require

from .attempts import forgive, take_attempt
from .sessions import end_sessions_of
from .staff import NotOneself, actor_of

RECOVERY_CODES: Final = 10
ISSUER: Final = "Loyalty"

Someone = User | PortalUser | PartnerUser
"""Whose log-in it is: a member of staff's, a company's user's, or a partner's."""

# Argon2id takes 64 MiB and a tenth of a second each: two at a time, whatever arrives.
_hashing = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2id", initializer=run_anywhere)


class LogInNameTaken(Refusal):
    """Another user has this log-in name."""

    zh = "登录名 {name} 已被使用。"
    en = "The log-in name {name} is taken."
    next_zh = "请换一个登录名。"
    next_en = "Choose another."


class UserNotFound(NotFound):
    """This member of staff has no log-in, or it is disabled."""

    zh = "该员工没有登录账号。"
    en = "This member of staff has no log-in."


class PasswordWrong(Refusal):
    """The present password was not given rightly."""

    status = 403
    zh = "当前密码不正确，或尝试次数过多。"
    en = "The present password is wrong, or was tried too often."
    next_zh = "请稍后再试，或请总部重置密码。"
    next_en = "Try again later, or ask the office to reset it."


class PasswordUnchanged(Refusal):
    """The new password is the present one."""

    status = 422
    zh = "新密码不能与当前密码相同。"
    en = "The new password is the present one."
    next_zh = "请换一个密码。"
    next_en = "Choose another."


@dataclass(frozen=True, slots=True)
class TotpSetup:
    """What an authenticator app is given; shown once, until confirmed."""

    secret: str
    """Base32, for typing."""
    uri: str
    """`otpauth://…`, for the QR."""


async def hashed(password: str) -> str:
    """Hash a password in a worker thread."""
    return await asyncio.get_running_loop().run_in_executor(_hashing, hash_password, password)


async def password_is_right(stored: str | None, password: str) -> bool:
    """Compare a password in a worker thread; None takes as long as a wrong one."""
    return await asyncio.get_running_loop().run_in_executor(_hashing, verify_password, stored, password)


async def create_user(
    session: AsyncSession,
    *,
    staff_id: UUID,
    log_in_name: str,
    password: str,
    must_change: bool = True,
    by: Principal | None = None,
    now: datetime,
) -> None:
    """Give a member of staff a log-in to the office; the password is changed, and a second factor set up, at the first one.

    :raises StaffNotFound: if there is no such member of staff
    :raises LogInNameTaken: if the name is in use, or the person has a log-in already
    :raises PasswordTooWeak: if the password is
    """
    if by is not None:
        require(by, Permission.EDIT_STAFF)
    name = log_in_name.strip().lower()
    await get_staff_for_update(session, staff_id=staff_id)
    if await session.scalar(select(User.staff_id).where((User.log_in_name == name) | (User.staff_id == staff_id))):
        raise LogInNameTaken(name=name)
    refuse_weak_password(password, log_in_name=name)
    await session.execute(
        insert(User).values(
            staff_id=staff_id,
            log_in_name=name,
            password_hash=await hashed(password),
            must_change_password=must_change,
            password_changed_at=now,
        )
    )
    await _record(session, by, "identity.user_created", staff_id, now)


async def reset_password(session: AsyncSession, *, staff_id: UUID, password: str, by: Principal | None, now: datetime) -> None:
    """Set a password that must be changed at the next log-in, for somebody who forgot theirs; all their sessions end.

    :raises UserNotFound: if they have no log-in
    :raises NotOneself: if it is the caller's own
    :raises PasswordTooWeak: if the password is
    """
    user = await _user_for(session, staff_id=staff_id, by=by)
    refuse_weak_password(password, log_in_name=user.log_in_name)
    user.password_hash, user.must_change_password, user.password_changed_at = await hashed(password), True, now
    user.disabled_at = None
    await session.flush()
    await forgive(session, kind=AttemptKind.LOG_IN_NAME, subject=user.log_in_name)
    await end_sessions_of(session, staff_id=staff_id, reason="password reset", now=now)
    await _record(session, by, "identity.password_reset", staff_id, now)


async def reset_second_factor(session: AsyncSession, *, staff_id: UUID, by: Principal | None, now: datetime) -> None:
    """Forget a lost authenticator and its recovery codes; the next log-in sets up a new one. All sessions end.

    :raises UserNotFound: if they have no log-in
    :raises NotOneself: if it is the caller's own
    """
    user = await _user_for(session, staff_id=staff_id, by=by)
    user.totp_confirmed_at = user.totp_secret = None
    await session.flush()
    await forget_recovery_codes(session, user)
    await end_sessions_of(session, staff_id=staff_id, reason="second factor reset", now=now)
    await _record(session, by, "identity.second_factor_reset", staff_id, now)


async def disable_user(session: AsyncSession, *, staff_id: UUID, by: Principal | None, now: datetime) -> None:
    """Close a log-in and its sessions; `reset_password` opens it again.

    :raises UserNotFound: if they have none
    :raises NotOneself: if it is the caller's own
    """
    user = await _user_for(session, staff_id=staff_id, by=by)
    user.disabled_at = now
    await session.flush()
    await end_sessions_of(session, staff_id=staff_id, reason="disabled", now=now)
    await _record(session, by, "identity.user_disabled", staff_id, now)


async def change_password(session: AsyncSession, *, by: Principal, present: str, password: str, now: datetime) -> bool:
    """Change one's own password and end one's other sessions; False where the present one was wrong.

    A wrong try is an answer, not an exception: its count must be committed.

    :raises PasswordTooWeak: if the new one is
    :raises PasswordUnchanged: if it is the present one
    """
    user = await get_user(session, staff_id=by.staff_id)
    if not await take_attempt(session, kind=AttemptKind.LOG_IN_NAME, subject=user.log_in_name, now=now):
        return False
    if not await password_is_right(user.password_hash, present):
        return False
    await forgive(session, kind=AttemptKind.LOG_IN_NAME, subject=user.log_in_name)
    await replace_password(session, user, password, now=now)
    await end_sessions_of(session, staff_id=by.staff_id, reason="password changed", keep=by.session_id, now=now)
    await _record(session, by, "identity.password_changed", by.staff_id, now)
    return True


async def replace_password(session: AsyncSession, user: Someone, password: str, *, now: datetime) -> None:
    """Store a new password that differs from the present one.

    :raises PasswordTooWeak: if it is too short, too long, or contains the log-in name
    :raises PasswordUnchanged: if it is the present one
    """
    refuse_weak_password(password, log_in_name=user.log_in_name)
    if await password_is_right(user.password_hash, password):
        raise PasswordUnchanged
    user.password_hash, user.must_change_password, user.password_changed_at = await hashed(password), False, now
    await session.flush()


async def get_user(session: AsyncSession, *, staff_id: UUID) -> User:
    """Lock and return a log-in.

    :raises UserNotFound: if there is none, or it is disabled
    """
    user = await session.scalar(
        select(User)
        .where(User.staff_id == staff_id, User.disabled_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if user is None:
        raise UserNotFound
    return user


async def set_totp(session: AsyncSession, *, staff_id: UUID, secret: bytes, by: Principal | None = None, now: datetime) -> None:
    """Give a log-in a confirmed second factor from the command line, `secret` 20 bytes: for a demo, or the very first user.

    :raises UserNotFound: if they have no log-in
    """
    user = await get_user(session, staff_id=staff_id)
    user.totp_secret, user.totp_confirmed_at = sealed_totp(user, secret), now
    await session.flush()
    await _record(session, by, "identity.second_factor_set", staff_id, now)


async def pending_totp(session: AsyncSession, user: Someone) -> TotpSetup:
    """Return the secret of a second factor that is being set up, the same until it is confirmed."""
    if user.totp_secret is None:
        user.totp_secret = sealed_totp(user, new_totp_secret())
        await session.flush()
    secret = _opened(user)
    return TotpSetup(base64.b32encode(secret).decode("ascii"), totp_uri(secret, account=user.log_in_name, issuer=ISSUER))


async def totp_is_right(session: AsyncSession, user: Someone, code: str, *, now: datetime) -> bool:
    """Judge a code and use it up: it and all before it are good no more. The caller holds the user's row and the budget."""
    if user.totp_secret is None:
        return False
    step = matching_totp_step(_opened(user), code.replace(" ", ""), now=now, last_step=user.totp_last_step)
    if step is None:
        return False
    user.totp_last_step = step
    await session.flush()
    return True


async def new_recovery_codes(session: AsyncSession, user: Someone, *, now: datetime) -> list[str]:
    """Make ten codes in place of all before and return them: shown once, stored hashed."""
    await forget_recovery_codes(session, user)
    codes = [new_code() for _ in range(RECOVERY_CODES)]
    table, owner = _codes_of(user)
    rows = [{owner.key: user.person_id, "code_hash": token_hash(code), "made_at": now} for code in codes]
    await session.execute(insert(table), rows)
    return codes


async def use_recovery_code(session: AsyncSession, user: Someone, *, typed: str, now: datetime) -> bool:
    """Use one code up and say whether it was good."""
    code = read_code(typed)
    if code is None:
        return False
    table, owner = _codes_of(user)
    mine = select(table).where(owner == user.person_id, table.code_hash == token_hash(code), table.used_at.is_(None))
    row = await session.scalar(mine.with_for_update())
    if row is None:
        return False
    row.used_at = now
    await session.flush()
    return True


async def forget_recovery_codes(session: AsyncSession, user: Someone) -> None:
    """Make the codes of a log-in good no more."""
    table, owner = _codes_of(user)
    await session.execute(delete(table).where(owner == user.person_id))


def _codes_of(user: Someone) -> tuple[Any, Any]:
    """Return the table of a person's recovery codes, and its column that names them."""
    if isinstance(user, User):
        return RecoveryCode, RecoveryCode.staff_id
    codes = PortalRecoveryCode if isinstance(user, PortalUser) else PartnerRecoveryCode
    return codes, codes.user_id


async def _user_for(session: AsyncSession, *, staff_id: UUID, by: Principal | None) -> User:
    """Lock a log-in that the caller may reset: never their own, since a stolen session must not take the account over."""
    if by is not None:
        require(by, Permission.EDIT_STAFF)
        if by.staff_id == staff_id:
            raise NotOneself
    user = await session.scalar(select(User).where(User.staff_id == staff_id).with_for_update().execution_options(populate_existing=True))
    if user is None:
        raise UserNotFound
    return user


def sealed_totp(user: Someone, secret: bytes) -> bytes:
    """Return a second factor's secret as its row keeps it."""
    return seal(Purpose.TOTP_SECRET, table=user.__tablename__, column="totp_secret", row_id=user.person_id, plaintext=secret)


def _opened(user: Someone) -> bytes:
    assert user.totp_secret is not None, "only a user with a second factor comes here"
    return open_(Purpose.TOTP_SECRET, table=user.__tablename__, column="totp_secret", row_id=user.person_id, envelope=user.totp_secret)


async def _record(session: AsyncSession, by: Principal | None, action: str, staff_id: UUID, now: datetime) -> None:
    await audit.record(session, actor=actor_of(by), action=action, subject=("staff", staff_id), facts={}, now=now)
