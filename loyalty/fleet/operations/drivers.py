"""Drivers: added, changed, given a PIN, sent away and back, gone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.authorizations.rules import PIN_TRIES
from loyalty.cards.operations import require_sound_pin
from loyalty.crypto import DRIVER_PIN, Purpose, pin_verifier, seal_text
from loyalty.customers.queries import get_customer
from loyalty.customers.rules import read_phone
from loyalty.errors import Refusal
from loyalty.fleet.model import DRIVER_MOVES, Driver, DriverStatus
from loyalty.fleet.queries.companies import lock_company
from loyalty.fleet.queries.departments import get_department
from loyalty.fleet.queries.drivers import get_driver_row, open_phone
from loyalty.fleet.rules import DriverFacts, sound_driver
from loyalty.ids import uuid7

from .bindings import follow_moves, unbind
from .stops import RecallReason, recall

KEPT = ("number", "name", "licence_class", "licence_until", "department_id")
"""What of a driver's facts their row keeps under the same name."""


class DriverNumberTaken(Refusal):
    """A number is one driver's for good: it stands in old fills."""

    zh = "编号 {number} 已被本企业另一名驾驶员使用（含已离职）。"
    en = "The company has, or had, another driver with the number {number}."
    next_zh = "请换一个编号，或恢复原驾驶员。"
    next_en = "Choose another number, or bring that driver back."


class DriverCannotMove(Refusal):
    """Their status does not lead there."""

    zh = "驾驶员 {number} 当前为 {status}，不能改为 {to}。"
    en = "Driver {number} is {status} and cannot become {to}."
    next_zh = "请刷新后再试。"
    next_en = "Look at it again."


class DriverPinNotLocked(Refusal):
    """Only a locked PIN is unlocked."""

    status = 409
    zh = "驾驶员 {number} 的密码没有锁定。"
    en = "The PIN of driver {number} is not locked."
    next_zh = "请刷新页面。"
    next_en = "Load the page again."


async def add_driver(session: AsyncSession, *, company_id: UUID, facts: DriverFacts, actor: Actor, now: datetime) -> UUID:
    """Add a driver and return their id; the PIN is set apart.

    :raises CompanyNotFound: if there is no such company
    :raises DriverNotSound: if number or name cannot be
    :raises InvalidPhone: if the phone number cannot exist
    :raises DriverNumberTaken: if the company has or had another of the number
    :raises DepartmentNotFound: if the department is none of the company's, or closed
    """
    await lock_company(session, company_id=company_id)
    sound = await _sound(session, company_id, facts)
    await _require_free(session, company_id, sound.number)
    phone = await read_driver_phone(session, company_id=company_id, text=sound.phone)
    row = Driver(**new_row(sound, phone, company_id=company_id, now=now))
    session.add(row)
    await session.flush()
    await _record(session, "fleet.driver_added", row, {"number": row.number, "department": row.department_id}, actor, now)
    return row.driver_id


async def change_driver(
    session: AsyncSession, *, company_id: UUID, driver_id: UUID, facts: DriverFacts, actor: Actor, now: datetime
) -> None:
    """Put these facts in the place of a driver's; cards that are theirs alone follow them into another department.

    :raises CompanyNotFound: if there is no such company
    :raises DriverNotFound: if there is no such driver
    :raises DriverCannotMove: if they left
    :raises DriverNotSound: if number or name cannot be
    :raises InvalidPhone: if the phone number cannot exist
    :raises DriverNumberTaken: if the company has or had another of the number
    :raises DepartmentNotFound: if the department is none of the company's, or closed
    """
    company = await lock_company(session, company_id=company_id)
    row = await get_driver_row(session, company_id=company_id, driver_id=driver_id)
    if row.status is DriverStatus.LEFT:
        raise DriverCannotMove(number=row.number, status=row.status.value, to="changed")
    sound = await _sound(session, company_id, facts)
    if sound.number != row.number:
        await _require_free(session, company_id, sound.number)
    phone = await read_driver_phone(session, company_id=company_id, text=sound.phone)
    changes = changed_of(row, sound)
    before = row.department_id
    for name, (_, value) in changes.items():
        setattr(row, name, value)
    if open_phone(row) != phone:
        for name, value in phone_values(phone, driver_id=driver_id).items():
            setattr(row, name, value)
        # That it changed, not what it is: the trail carries no personal data.
        changes["phone"] = []
    if not changes:
        return
    await session.flush()
    await _record(session, "fleet.driver_changed", row, {"changes": _shown(changes)}, actor, now)
    if "department_id" in changes:
        await follow_moves(session, company=company, drivers={driver_id: (before, row.department_id)}, actor=actor, now=now)


async def set_driver_pin(session: AsyncSession, *, company_id: UUID, driver_id: UUID, pin: str, actor: Actor, now: datetime) -> None:
    """Give a driver a new PIN; the old one is good no more.

    :raises CompanyNotFound: if there is no such company
    :raises DriverNotFound: if there is no such driver
    :raises DriverCannotMove: if they left
    :raises PinTooSimple: if it is no PIN, or among the first that anybody would guess
    """
    await lock_company(session, company_id=company_id)
    row = await get_driver_row(session, company_id=company_id, driver_id=driver_id)
    if row.status is DriverStatus.LEFT:
        raise DriverCannotMove(number=row.number, status=row.status.value, to="pin")
    require_sound_pin(pin)
    row.pin_generation += 1
    row.pin_tries = 0
    row.pin_verifier = pin_verifier(card_id=driver_id, generation=row.pin_generation, pin=pin, label=DRIVER_PIN)
    await session.flush()
    await _record(session, "fleet.driver_pin_set", row, {"generation": row.pin_generation}, actor, now)


async def unlock_driver_pin(session: AsyncSession, *, company_id: UUID, driver_id: UUID, actor: Actor, now: datetime) -> None:
    """Let a driver whose PIN three wrong tries locked try again.

    :raises CompanyNotFound: if there is no such company
    :raises DriverNotFound: if there is no such driver
    :raises DriverPinNotLocked: if it is not locked
    """
    await lock_company(session, company_id=company_id)
    row = await get_driver_row(session, company_id=company_id, driver_id=driver_id, lock=True)
    if row.pin_tries < PIN_TRIES:
        raise DriverPinNotLocked(number=row.number)
    row.pin_tries = 0
    await session.flush()
    await _record(session, "fleet.driver_pin_unlocked", row, {}, actor, now)


async def move_driver(
    session: AsyncSession, *, company_id: UUID, driver_id: UUID, to: DriverStatus, actor: Actor, reason: str = "", now: datetime
) -> list[UUID]:
    """Let a driver be sent away, leave or come back; return the chains of cards recalled: theirs alone, or their private vehicle's.

    Those cards are stopped; what they hold of their own, without what fills still hold, goes back to the pool. A company
    vehicle's card stays the vehicle's, without its driver. Nobody's PIN outlives their leaving.

    :raises CompanyNotFound: if there is no such company
    :raises DriverNotFound: if there is no such driver
    :raises DriverCannotMove: if their status does not lead there
    :raises AccountNotOpen: if the company's account is closed
    """
    company = await lock_company(session, company_id=company_id)
    row = await get_driver_row(session, company_id=company_id, driver_id=driver_id)
    if to not in DRIVER_MOVES[row.status]:
        raise DriverCannotMove(number=row.number, status=row.status.value, to=to.value)
    recalled: list[UUID] = []
    if to is not DriverStatus.ACTIVE:
        recalled = await unbind(session, company=company, driver_id=driver_id, actor=actor, now=now)
        why = RecallReason.LEFT if to is DriverStatus.LEFT else RecallReason.AWAY
        await recall(session, company=company, chain_ids=recalled, why=why, who=row.name, actor=actor, now=now)
    facts = {"from": row.status, "to": to, "reason": reason, "recalled": recalled}
    row.status = to
    row.left_at = now if to is DriverStatus.LEFT else None
    if to is DriverStatus.LEFT:
        row.pin_verifier = None
    await session.flush()
    await _record(session, "fleet.driver_moved", row, facts, actor, now)
    return recalled


def new_row(sound: DriverFacts, phone: str | None, *, company_id: UUID, now: datetime) -> dict[str, Any]:
    """Return the values of a new driver's row; `phone` is E.164."""
    driver_id = uuid7(now)
    return {name: getattr(sound, name) for name in KEPT} | {
        "driver_id": driver_id,
        "company_id": company_id,
        **phone_values(phone, driver_id=driver_id),
        "pin_verifier": None,
        "pin_generation": 0,
        "status": DriverStatus.ACTIVE,
        "created_at": now,
        "left_at": None,
    }


def changed_of(row: Driver, sound: DriverFacts) -> dict[str, list[Any]]:
    """Return what of a row the facts change, the phone apart, as name → [before, after]."""
    return {name: [getattr(row, name), getattr(sound, name)] for name in KEPT if getattr(row, name) != getattr(sound, name)}


def phone_values(phone: str | None, *, driver_id: UUID) -> dict[str, Any]:
    """Return the columns of an E.164 phone number, sealed for its row."""
    if phone is None:
        return {"phone_sealed": None, "phone_tail": None}
    sealed = seal_text(Purpose.CONTACT, table="drivers", column="phone_sealed", row_id=driver_id, plaintext=phone)
    return {"phone_sealed": sealed, "phone_tail": phone[-4:]}


async def read_driver_phone(session: AsyncSession, *, company_id: UUID, text: str | None) -> str | None:
    """Read a phone number as the company's country dials it; E.164.

    :raises InvalidPhone: if it cannot exist
    """
    if text is None:
        return None
    return read_phone(text, country=(await get_customer(session, customer_id=company_id)).country)


async def _sound(session: AsyncSession, company_id: UUID, facts: DriverFacts) -> DriverFacts:
    sound = sound_driver(facts)
    if sound.department_id is not None:
        await get_department(session, company_id=company_id, department_id=sound.department_id)
    return sound


async def _require_free(session: AsyncSession, company_id: UUID, number: str) -> None:
    if await session.scalar(select(Driver.driver_id).where(Driver.company_id == company_id, Driver.number == number)) is not None:
        raise DriverNumberTaken(number=number)


def _shown(changes: Mapping[str, list[Any]]) -> dict[str, object]:
    """Return changes as the trail keeps them: of a name only that it changed."""
    return {
        name: [] if name == "name" else [str(value) if name == "licence_until" and value else value for value in pair]
        for name, pair in changes.items()
    }


async def _record(session: AsyncSession, action: str, row: Driver, facts: Mapping[str, object], actor: Actor, now: datetime) -> None:
    about = {"company": row.company_id, **facts}
    await audit.record(session, actor=actor, action=action, subject=("driver", row.driver_id), facts=about, now=now)
