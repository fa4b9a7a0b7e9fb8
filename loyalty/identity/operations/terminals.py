"""Enrolment of tills, their day sessions, and their end."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import revisions
from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import (
    Purpose,
    SessionAnswer,
    SessionOpening,
    SessionRefusedError,
    accept_session_server,
    enrolment_proof_is_good,
    new_code,
    public_keys,
    read_code,
    seal,
    token_hash,
)
from loyalty.errors import NotFound, Refusal
from loyalty.identity.model import AttemptKind, UserSession
from loyalty.identity.model_terminals import EnrolmentCode, EnrolmentUse, TerminalDevice, TerminalKey, TerminalSession
from loyalty.identity.rules import Permission, Principal, require
from loyalty.ids import TerminalId, uuid7

from .attempts import forgive, take_attempt
from .staff import actor_of

CODE_LIFE: Final = timedelta(minutes=15)
SESSION_LIFE: Final = timedelta(hours=24)
LIVE_SESSIONS_MAX: Final = 10
"""A till opens one a day, and again after a restart; beyond this the oldest ends."""


class TerminalNotFound(NotFound):
    """Unknown, or outside the caller's scope: the answer is the same."""

    zh = "没有找到该终端。"
    en = "There is no such terminal."


class EnrolmentRefused(Refusal):
    """Unknown, used or expired code, wrong proof, known key, or too many tries: the answer is the same."""

    status = 403
    zh = "登记未成功：登记码无效或已过期，或尝试次数过多。"
    en = "Not enrolled: the code is not valid or has run out, or there were too many tries."
    next_zh = "请站长签发新的登记码。"
    next_en = "Ask the station manager for a new code."


class SessionNotOpened(Refusal):
    """The opening is not signed by the till's present key, comes twice, or its clock is off: the answer is the same."""

    status = 401
    zh = "日会话未能建立：终端签名、时钟或登记状态不符。"
    en = "No day session was opened: the terminal's signature, clock or enrolment does not fit."
    next_zh = "请校准终端时钟（误差须小于 5 分钟）；仍不行则重新登记终端。"
    next_en = "Set the terminal's clock (within 5 minutes); if that does not help, enrol it again."


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A code that was just used up."""

    code_id: UUID
    terminal_id: UUID
    station_id: UUID


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A till that enrolled its key."""

    terminal_id: TerminalId
    station_id: UUID
    epoch: int
    issuer_keys: dict[int, bytes]
    """The issuer's Ed25519 public keys (32 bytes each) by key id, by which the till knows the server's answers."""


async def issue_enrolment_code(
    session: AsyncSession, *, terminal_id: UUID, use: EnrolmentUse, by: Principal | None = None, now: datetime
) -> tuple[str, datetime]:
    """Return a fresh code for a till and when it runs out; codes before it for the same use are void.

    :raises TerminalNotFound: if there is no such till in the caller's scope
    """
    station_id = await _station_of(session, terminal_id)
    if by is not None:
        require(by, Permission.ENROL_TERMINALS, station_id=station_id)
    await session.execute(
        update(EnrolmentCode)
        .where(EnrolmentCode.terminal_id == terminal_id, EnrolmentCode.use == use, EnrolmentCode.used_at.is_(None))
        .values(used_at=now)
    )
    code, code_id = new_code(), uuid7(now)
    await session.execute(
        insert(EnrolmentCode).values(
            code_id=code_id,
            code_hash=token_hash(code),
            terminal_id=terminal_id,
            station_id=station_id,
            use=use,
            issued_by=None if by is None else by.staff_id,
            issued_at=now,
            expires_at=now + CODE_LIFE,
        )
    )
    facts = {"use": use.value, "code_id": code_id}
    await _record(session, actor_of(by), "identity.enrolment_code_issued", terminal_id, facts, station_id, now)
    return code, now + CODE_LIFE


async def redeem_code(session: AsyncSession, *, typed: str, use: EnrolmentUse, address: str | None, now: datetime) -> Redeemed | None:
    """Use a code up, once whoever comes first; None for every code that is not good.

    A slip that the check characters catch is no guess and costs none of the address's tries.
    """
    code = read_code(typed)
    if code is None:
        return None
    subject = address or "no address"
    if not await take_attempt(session, kind=AttemptKind.ENROLMENT, subject=subject, now=now):
        return None
    row = await session.execute(
        update(EnrolmentCode)
        .where(
            EnrolmentCode.code_hash == token_hash(code),
            EnrolmentCode.use == use,
            EnrolmentCode.used_at.is_(None),
            EnrolmentCode.expires_at > now,
        )
        .values(used_at=now)
        .returning(EnrolmentCode.code_id, EnrolmentCode.terminal_id, EnrolmentCode.station_id)
    )
    found = row.one_or_none()
    if found is None:
        return None
    await forgive(session, kind=AttemptKind.ENROLMENT, subject=subject, only_this=True)
    return Redeemed(*found)


async def enrol_terminal(
    session: AsyncSession, *, code: str, public_key: bytes, proof: bytes, address: str | None = None, now: datetime
) -> Enrolment | None:
    """Take a till's new Ed25519 key, 32 raw bytes; the till keeps its id and gets the next epoch, its key before is revoked.

    `proof` is `crypto.prove_enrolment_key` over the code in its one spelling. None is the one answer to everything that is not good, and
    must be committed like any other: the try was counted.
    """
    spelled = read_code(code)
    if spelled is None or not enrolment_proof_is_good(public_key, proof, spelled):
        return None
    if await session.scalar(select(TerminalKey.epoch).where(TerminalKey.public_key == public_key)) is not None:
        return None
    redeemed = await redeem_code(session, typed=spelled, use=EnrolmentUse.KEY, address=address, now=now)
    if redeemed is None:
        return None
    # Two codes for one till at once: one after the other, since both read the last epoch.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(redeemed.terminal_id), 4))))
    known = select(func.coalesce(func.max(TerminalKey.epoch), 0)).where(TerminalKey.terminal_id == redeemed.terminal_id)
    epoch = (await session.scalar(known) or 0) + 1
    await _end_key(session, redeemed.terminal_id, reason="replaced by a new enrolment", now=now)
    await session.execute(insert(TerminalKey).values(terminal_id=redeemed.terminal_id, epoch=epoch, public_key=public_key, enrolled_at=now))
    await revisions.bump(session, revisions.Kind.TERMINAL)
    actor = Actor(ActorKind.TERMINAL, redeemed.terminal_id, address)
    facts = {"epoch": epoch, "code_id": redeemed.code_id, "key": hashlib.sha256(public_key).hexdigest()[:16]}
    await _record(session, actor, "identity.terminal_enrolled", redeemed.terminal_id, facts, redeemed.station_id, now)
    return Enrolment(TerminalId(redeemed.terminal_id), redeemed.station_id, epoch, public_keys(Purpose.ISSUER))


async def open_day_session(
    session: AsyncSession, *, opening: SessionOpening, life: timedelta = SESSION_LIFE, now: datetime
) -> SessionAnswer:
    """Open a day session, at most 24 hours, and return the server's half. `now` is real time.

    A till may have several at once: a restart forgets the keys, not the session.

    :raises SessionNotOpened: if the signature, epoch or clock is wrong, the key revoked, or the opening was used before
    """
    key = await session.scalar(
        select(TerminalKey)
        .where(TerminalKey.terminal_id == opening.terminal_id, TerminalKey.revoked_at.is_(None))
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )
    if key is None:
        raise SessionNotOpened
    session_id = uuid7(now)
    expires_at = (now + min(life, SESSION_LIFE)).replace(microsecond=0)
    try:
        keys, answer = accept_session_server(
            opening,
            enrolled_key=key.public_key,
            enrolled_epoch=key.epoch,
            session_id=str(session_id),
            expires_at=expires_at,
            now=now,
        )
    except SessionRefusedError:
        raise SessionNotOpened from None
    sealed = seal(Purpose.SESSION_KEY, table="terminal_sessions", column="sealed_keys", row_id=session_id, plaintext=keys.to_bytes())
    stored = await session.scalar(
        upsert(TerminalSession)
        .values(
            session_id=session_id,
            terminal_id=key.terminal_id,
            epoch=key.epoch,
            opening_hash=hashlib.sha256(opening.signature).digest(),
            sealed_keys=sealed,
            opened_at=now,
            expires_at=expires_at,
        )
        .on_conflict_do_nothing(index_elements=["opening_hash"])
        .returning(TerminalSession.session_id)
    )
    if stored is None:
        raise SessionNotOpened
    await _end_oldest(session, key.terminal_id, now)
    return answer


async def close_day_session(session: AsyncSession, *, session_id: UUID, now: datetime) -> None:
    """End a day session: nothing signed under it counts from this commit on; PINs under it stay readable for 48 hours."""
    ended = await session.scalar(
        update(TerminalSession)
        .where(TerminalSession.session_id == session_id, TerminalSession.ended_at.is_(None))
        .values(ended_at=now, end_reason="closed")
        .returning(TerminalSession.session_id)
    )
    if ended is not None:
        await revisions.bump(session, revisions.Kind.TERMINAL)


async def revoke_terminal(session: AsyncSession, *, terminal_id: UUID, reason: str, by: Principal | None = None, now: datetime) -> None:
    """End a till's key, browsers, counter sessions and open codes, all at once. Its `status` is the stations room's to set.

    Its day sessions authorise nothing more (`DaySession.revoked`), but completions signed under them are still booked and flagged.

    :raises TerminalNotFound: if there is no such till in the caller's scope
    """
    station_id = await _station_of(session, terminal_id)
    if by is not None:
        require(by, Permission.REVOKE_TERMINALS, station_id=station_id)
    await _end_key(session, terminal_id, reason=reason, now=now)
    await session.execute(
        update(TerminalDevice)
        .where(TerminalDevice.terminal_id == terminal_id, TerminalDevice.revoked_at.is_(None))
        .values(revoked_at=now, revoke_reason=reason)
    )
    await session.execute(
        update(UserSession)
        .where(UserSession.terminal_id == terminal_id, UserSession.ended_at.is_(None))
        .values(ended_at=now, end_reason="terminal revoked")
    )
    await session.execute(
        update(EnrolmentCode).where(EnrolmentCode.terminal_id == terminal_id, EnrolmentCode.used_at.is_(None)).values(used_at=now)
    )
    await revisions.bump(session, revisions.Kind.TERMINAL)
    await _record(session, actor_of(by), "identity.terminal_revoked", terminal_id, {"reason": reason}, station_id, now)


async def revoke_device(session: AsyncSession, *, device_id: UUID, reason: str, by: Principal | None = None, now: datetime) -> None:
    """Make one browser no till any more, and end whoever is signed in on it; the till's key and other browsers stay.

    :raises TerminalNotFound: if there is no such browser in the caller's scope
    """
    device = await session.scalar(
        select(TerminalDevice).where(TerminalDevice.device_id == device_id, TerminalDevice.revoked_at.is_(None)).with_for_update()
    )
    if device is None:
        raise TerminalNotFound
    if by is not None:
        require(by, Permission.REVOKE_TERMINALS, station_id=device.station_id)
    device.revoked_at, device.revoke_reason = now, reason
    await session.flush()
    await session.execute(
        update(UserSession)
        .where(UserSession.device_id == device_id, UserSession.ended_at.is_(None))
        .values(ended_at=now, end_reason="device revoked")
    )
    facts = {"device_id": device_id, "reason": reason}
    await _record(session, actor_of(by), "identity.device_revoked", device.terminal_id, facts, device.station_id, now)


async def _end_key(session: AsyncSession, terminal_id: UUID, *, reason: str, now: datetime) -> None:
    """Revoke the present key. Its day sessions are not ended: what the till still reports is verified, booked and flagged, no more."""
    await session.execute(
        update(TerminalKey)
        .where(TerminalKey.terminal_id == terminal_id, TerminalKey.revoked_at.is_(None))
        .values(revoked_at=now, revoke_reason=reason)
    )


async def _end_oldest(session: AsyncSession, terminal_id: UUID, now: datetime) -> None:
    live = (
        select(TerminalSession.session_id)
        .where(TerminalSession.terminal_id == terminal_id, TerminalSession.ended_at.is_(None), TerminalSession.expires_at > now)
        .order_by(TerminalSession.opened_at.desc(), TerminalSession.session_id.desc())
        .offset(LIVE_SESSIONS_MAX)
    )
    ended = await session.execute(
        update(TerminalSession)
        .where(TerminalSession.session_id.in_(live))
        .values(ended_at=now, end_reason="too many at once")
        .returning(TerminalSession.session_id)
    )
    if ended.all():
        await revisions.bump(session, revisions.Kind.TERMINAL)


async def _station_of(session: AsyncSession, terminal_id: UUID) -> UUID:
    """Return where a till stands; a reference into the stations room, which is above this one."""
    found = await session.execute(text("SELECT station_id FROM terminals WHERE terminal_id = :terminal_id"), {"terminal_id": terminal_id})
    station_id: UUID | None = found.scalar_one_or_none()
    if station_id is None:
        raise TerminalNotFound
    return station_id


async def _record(
    session: AsyncSession, actor: Actor, action: str, terminal_id: UUID, facts: Mapping[str, object], station_id: UUID, now: datetime
) -> None:
    await audit.record(session, actor=actor, action=action, subject=("terminal", terminal_id), facts=facts, station_id=station_id, now=now)
