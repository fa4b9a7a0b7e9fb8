"""The counter: a browser made a till, staff signing in by card and PIN, the locked screen, a manager's approval on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.card_numbers import plain_card_number
from loyalty.crypto import Purpose, blind_index, new_token, pin_matches, pin_verifier, token_hash
from loyalty.errors import Refusal
from loyalty.identity.model import AttemptKind, Portal, Staff, StaffStatus, Stage, UserSession
from loyalty.identity.model_terminals import EnrolmentUse, ScreenApproval, TerminalDevice
from loyalty.identity.queries import grants_of
from loyalty.identity.rules import PIN_TRIES, Permission, Principal, SessionTerms, approval_binding, at_station, may
from loyalty.ids import StaffId, TerminalId, uuid7

from .attempts import forgive, take_attempt, used_up
from .sessions import TERMS, NotSignedIn, find_session, open_session, principal_for, rotate
from .terminals import redeem_code

APPROVAL_LIFE: Final = timedelta(minutes=2)


class DeviceNotEnrolled(Refusal):
    """This browser is no till, or is one no more."""

    status = 401
    zh = "此设备未登记为收银终端，或登记已撤销。"
    en = "This device is not enrolled as a till, or no longer."
    next_zh = "请由站长签发登记码后重新登记。"
    next_en = "Ask the station manager for an enrolment code."


class ApprovalNotValid(Refusal):
    """Used, run out, or given for something else."""

    status = 403
    zh = "授权无效：已使用、已过期，或与当前操作不符。"
    en = "The approval is not valid: used, run out, or given for something else."
    next_zh = "请授权人重新刷卡确认。"
    next_en = "Ask the approver to confirm again."


@dataclass(frozen=True, slots=True)
class DeviceEnrolment:
    """A browser that became a till; `token` is its long-lived cookie, shown here only."""

    token: str
    device_id: UUID
    terminal_id: TerminalId
    station_id: UUID


@dataclass(frozen=True, slots=True)
class SignIn:
    """The answer to card and PIN at the counter; without a token it was refused."""

    token: str | None = None
    principal: Principal | None = None
    locked: bool = False
    """No tries are left: for an unknown card the same is said."""
    not_here: bool = False
    """Card and PIN are right, but the person has no role at this station's counter."""

    @property
    def refused(self) -> bool:
        """Whether nobody was signed in."""
        return self.token is None


@dataclass(frozen=True, slots=True)
class Approval:
    """The answer to an approver's card and PIN; `token` goes back with the act it is for."""

    token: str | None = None
    approver: str | None = None
    locked: bool = False
    not_allowed: bool = False
    """Card and PIN are right, but the person may not approve here, or is the one who asked."""


async def redeem_browser_code(
    session: AsyncSession, *, code: str, address: str | None = None, user_agent: str | None = None, now: datetime
) -> DeviceEnrolment | None:
    """Make this browser the till that the code names; None for any code that is not good, whatever the reason."""
    redeemed = await redeem_code(session, typed=code, use=EnrolmentUse.BROWSER, address=address, now=now)
    if redeemed is None:
        return None
    token = new_token()
    device = TerminalDevice(
        device_id=uuid7(now),
        token_hash=token_hash(token),
        terminal_id=redeemed.terminal_id,
        station_id=redeemed.station_id,
        user_agent=None if user_agent is None else user_agent[:300],
        enrolled_at=now,
    )
    session.add(device)
    await session.flush()
    await audit.record(
        session,
        actor=Actor(ActorKind.TERMINAL, device.terminal_id, address, user_agent),
        action="identity.device_enrolled",
        subject=("terminal_device", device.device_id),
        facts={"terminal_id": device.terminal_id, "code_id": redeemed.code_id},
        station_id=device.station_id,
        now=now,
    )
    return DeviceEnrolment(token, device.device_id, TerminalId(device.terminal_id), device.station_id)


async def get_device(session: AsyncSession, *, device_token: str) -> TerminalDevice:
    """Return the till that a browser is.

    :raises DeviceNotEnrolled: if it is none, or its enrolment was revoked
    """
    device = await session.scalar(
        select(TerminalDevice)
        .where(TerminalDevice.token_hash == token_hash(device_token), TerminalDevice.revoked_at.is_(None))
        .execution_options(populate_existing=True)
    )
    if device is None:
        raise DeviceNotEnrolled
    return device


async def sign_in_at_terminal(
    session: AsyncSession,
    *,
    device_token: str,
    card_number: str,
    pin: str,
    address: str | None = None,
    user_agent: str | None = None,
    now: datetime,
    terms: SessionTerms = TERMS,
) -> SignIn:
    """Sign a member of staff in by card and PIN; whoever else is signed in on this screen is locked, not thrown out.

    A refusal is an answer: its count must be committed. An unknown card, one without PIN and a wrong PIN give the same one.

    :raises DeviceNotEnrolled: if the browser is no till
    """
    device = await get_device(session, device_token=device_token)
    staff, locked = await judge_card(session, device.device_id, card_number, pin, now=now)
    if staff is None:
        await _note_refusal(session, device, address, user_agent, now)
        return SignIn(locked=locked)
    grants = at_station(await grants_of(session, staff_id=staff.staff_id, now=now), device.station_id)
    await _leave_screen(session, device, staff.staff_id, now)
    token, row = await open_session(
        session,
        staff_id=staff.staff_id,
        portal=Portal.CASHIER,
        stage=Stage.OPEN,
        device=device,
        expires_at=now + terms.longest,
        stepped_up_at=now,
        address=address,
        user_agent=user_agent,
        now=now,
    )
    principal = await principal_for(session, row=row, now=now, terms=terms)
    if not grants or not may(principal, Permission.SELL, station_id=device.station_id):
        row.ended_at, row.end_reason = now, "no role at this station"
        await session.flush()
        return SignIn(not_here=True)
    await _note(session, principal, "identity.signed_in", now)
    return SignIn(token, principal)


async def lock_screen(session: AsyncSession, *, token: str, now: datetime) -> None:
    """Lock the screen of a counter session; an unknown token is no fault."""
    await session.execute(
        update(UserSession)
        .where(
            UserSession.token_hash == token_hash(token),
            UserSession.portal == Portal.CASHIER,
            UserSession.ended_at.is_(None),
            UserSession.locked_at.is_(None),
        )
        .values(locked_at=now)
    )


async def unlock_screen(
    session: AsyncSession, *, token: str, device_token: str, pin: str, now: datetime, terms: SessionTerms = TERMS
) -> SignIn:
    """Open a locked screen by the PIN of the same person; the answer's token replaces the cookie.

    :raises DeviceNotEnrolled: if the browser is no till
    :raises NotSignedIn: if the session ended meanwhile
    """
    device = await get_device(session, device_token=device_token)
    row = await find_session(session, token=token, now=now, terms=terms)
    if row is None or row.device_id != device.device_id or row.stage is not Stage.OPEN:
        raise NotSignedIn
    staff = await session.scalar(
        select(Staff)
        .where(Staff.staff_id == row.staff_id, Staff.status == StaffStatus.ACTIVE)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if staff is None or not await _pin_is_right(session, staff, pin):
        return SignIn(locked=staff is not None and staff.pin_tries >= PIN_TRIES)
    await _lock_others(session, device, row.session_id, now)
    row.locked_at, row.stepped_up_at = None, now
    token = await rotate(session, row, now=now)
    return SignIn(token, await principal_for(session, row=row, now=now, terms=terms))


async def people_at_device(
    session: AsyncSession, *, device_token: str, now: datetime, terms: SessionTerms = TERMS
) -> list[tuple[UUID, str]]:
    """Return session ids and names of who is signed in on this screen, the last one first: for the fast switch.

    :raises DeviceNotEnrolled: if the browser is no till
    """
    device = await get_device(session, device_token=device_token)
    rows = await session.execute(
        select(UserSession.session_id, Staff.name)
        .join(Staff, Staff.staff_id == UserSession.staff_id)
        .where(
            UserSession.device_id == device.device_id,
            UserSession.ended_at.is_(None),
            UserSession.expires_at > now,
            UserSession.last_seen_at > now - terms.idle,
        )
        .order_by(UserSession.last_seen_at.desc())
    )
    return [(session_id, name) for session_id, name in rows]


async def approve_on_screen(
    session: AsyncSession, *, asked_by: Principal, card_number: str, pin: str, action: str, facts: Mapping[str, object], now: datetime
) -> Approval:
    """Let another person approve one act by card and PIN on the cashier's own screen, for two minutes and once.

    `facts` (amount, card, sale …) bind the approval: with others it is worth nothing. A refusal is an answer: its count must be committed.

    :raises DeviceNotEnrolled: if the asker's session is not at a counter
    """
    device = await _device_of(session, asked_by)
    staff, locked = await judge_card(session, device.device_id, card_number, pin, now=now)
    if staff is None:
        await _note_refusal(session, device, asked_by.address, asked_by.user_agent, now)
        return Approval(locked=locked)
    grants = at_station(await grants_of(session, staff_id=staff.staff_id, now=now), device.station_id)
    approver = Principal(
        staff_id=StaffId(staff.staff_id),
        name=staff.name,
        employee_number=staff.employee_number,
        grants=grants,
        portal=Portal.CASHIER,
        session_id=asked_by.session_id,
        locale=staff.locale,
        fresh=True,
    )
    if staff.staff_id == asked_by.staff_id or not may(approver, Permission.APPROVE_ON_SCREEN, station_id=device.station_id):
        return Approval(not_allowed=True)
    token = new_token()
    session.add(
        ScreenApproval(
            approval_id=uuid7(now),
            token_hash=token_hash(token),
            action=action,
            binding=approval_binding(action, facts),
            session_id=asked_by.session_id,
            asked_by=asked_by.staff_id,
            approved_by=staff.staff_id,
            station_id=device.station_id,
            approved_at=now,
            expires_at=now + APPROVAL_LIFE,
        )
    )
    await session.flush()
    await _note(session, approver, "identity.approved_on_screen", now, {"action": action, "asked_by": asked_by.staff_id})
    return Approval(token, staff.name)


async def spend_approval(
    session: AsyncSession, *, token: str, action: str, facts: Mapping[str, object], by: Principal, now: datetime
) -> StaffId:
    """Use an approval up for exactly the act it was given for, in the act's own transaction, and return who approved.

    :raises ApprovalNotValid: if it was used, ran out, or was given for another act, amount or session
    """
    approver = await session.scalar(
        update(ScreenApproval)
        .where(
            ScreenApproval.token_hash == token_hash(token),
            ScreenApproval.action == action,
            ScreenApproval.binding == approval_binding(action, facts),
            ScreenApproval.session_id == by.session_id,
            ScreenApproval.used_at.is_(None),
            ScreenApproval.expires_at > now,
        )
        .values(used_at=now)
        .returning(ScreenApproval.approved_by)
    )
    if approver is None:
        raise ApprovalNotValid
    return StaffId(approver)


async def _device_of(session: AsyncSession, principal: Principal) -> TerminalDevice:
    device = await session.scalar(
        select(TerminalDevice)
        .join(UserSession, UserSession.device_id == TerminalDevice.device_id)
        .where(UserSession.session_id == principal.session_id, UserSession.ended_at.is_(None), TerminalDevice.revoked_at.is_(None))
    )
    if device is None:
        raise DeviceNotEnrolled
    return device


async def judge_card(session: AsyncSession, place_id: UUID, card_number: str, pin: str, *, now: datetime) -> tuple[Staff | None, bool]:
    """Return whose card and PIN these are, else None and whether no tries are left; `place_id` is the device or till that asks."""
    if not await take_attempt(session, kind=AttemptKind.DEVICE, subject=place_id.bytes, now=now):
        return None, True
    index = blind_index(Purpose.INDEX_CARD_NUMBER, plain_card_number(card_number))
    staff = await session.scalar(
        select(Staff)
        .where(Staff.card_index == index, Staff.status == StaffStatus.ACTIVE)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if staff is None or staff.pin_verifier is None:
        return None, await _spend_unknown(session, index, place_id, pin, now)
    if not await _pin_is_right(session, staff, pin):
        return None, staff.pin_tries >= PIN_TRIES
    await forgive(session, kind=AttemptKind.DEVICE, subject=place_id.bytes)
    return staff, False


async def _pin_is_right(session: AsyncSession, staff: Staff, pin: str) -> bool:
    """Judge a PIN under the staff row's lock, which the caller holds until its commit; the try is counted before it is judged."""
    if staff.pin_verifier is None or staff.pin_tries >= PIN_TRIES:
        return False
    staff.pin_tries += 1
    await session.flush()
    if not pin_matches(staff.pin_verifier, card_id=staff.staff_id, generation=staff.pin_generation, pin=pin):
        return False
    staff.pin_tries = 0
    await session.flush()
    return True


async def _spend_unknown(session: AsyncSession, index: bytes, place_id: UUID, pin: str, now: datetime) -> bool:
    """Do for an unknown card what is done for a known one, and say whether it would be locked by now."""
    pin_verifier(card_id=place_id, generation=0, pin=pin)
    if not await take_attempt(session, kind=AttemptKind.STAFF_CARD, subject=index, now=now):
        return True
    return await used_up(session, kind=AttemptKind.STAFF_CARD, subject=index, now=now)


async def _leave_screen(session: AsyncSession, device: TerminalDevice, staff_id: UUID, now: datetime) -> None:
    """End the person's own earlier session on this screen and lock everybody else's."""
    await session.execute(
        update(UserSession)
        .where(UserSession.device_id == device.device_id, UserSession.staff_id == staff_id, UserSession.ended_at.is_(None))
        .values(ended_at=now, end_reason="signed in again")
    )
    await _lock_others(session, device, None, now)


async def _lock_others(session: AsyncSession, device: TerminalDevice, keep: UUID | None, now: datetime) -> None:
    others = update(UserSession).where(
        UserSession.device_id == device.device_id, UserSession.ended_at.is_(None), UserSession.locked_at.is_(None)
    )
    if keep is not None:
        others = others.where(UserSession.session_id != keep)
    await session.execute(others.values(locked_at=now))


async def _note(session: AsyncSession, principal: Principal, action: str, now: datetime, facts: Mapping[str, object] | None = None) -> None:
    await audit.record(
        session,
        actor=principal.actor,
        action=action,
        subject=("user_session", principal.session_id),
        facts=facts or {"terminal_id": principal.terminal_id},
        station_id=principal.station_id,
        now=now,
    )


async def _note_refusal(session: AsyncSession, device: TerminalDevice, address: str | None, user_agent: str | None, now: datetime) -> None:
    await audit.record(
        session,
        actor=Actor(ActorKind.TERMINAL, device.terminal_id, address, user_agent),
        action="identity.sign_in_refused",
        subject=("terminal_device", device.device_id),
        facts={},
        station_id=device.station_id,
        now=now,
    )
