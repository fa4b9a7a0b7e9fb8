"""Cash fills: filed or asked for beforehand, decided by somebody else, counted once approved and with a receipt that counts only once."""

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.crypto import Purpose, seal
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.fleet.model import Vehicle
from loyalty.fleet.model_cash import CASH_MOVES, STANDING, CashFill, CashReason, CashReceipt, CashStatus
from loyalty.fleet.model_fills import ReadingSource
from loyalty.fleet.queries.cash import CashFillNotFound
from loyalty.fleet.queries.companies import get_company
from loyalty.fleet.queries.drivers import get_driver_row
from loyalty.fleet.queries.vehicles import get_vehicle_row
from loyalty.ids import uuid7
from loyalty.limits.rules import plate_key
from loyalty.media import media_of

from .fills import take_reading

RECEIPT_WITHIN: Final = timedelta(days=7)
"""How long after the fill the receipt of one that was asked for beforehand may take before pages call it overdue."""
RECEIPT_BYTES_MAX: Final = 5_000_000


class CashFillSettled(Refusal):
    """A word was said already."""

    status = 409
    zh = "该笔现金加油当前为“{status}”，不能再变更。"
    en = "This cash fill is {status}; it cannot be changed so any more."
    next_zh = "请刷新页面。"
    next_en = "Load the page again."


class AnotherPersonApproves(Refusal):
    """Who filed it, or handed its receipt in, neither approves it nor pays it back."""

    status = 403
    zh = "填报人和提交凭证的人不能审批同一笔现金加油。"
    en = "Who filed a cash fill or handed its receipt in cannot decide about it."
    next_zh = "请由另一位有权限的人员处理。"
    next_en = "Let somebody else with the right do it."


class CashFillAhead(Refusal):
    """A receipt is of something that has happened."""

    status = 422
    zh = "加油时间晚于现在。"
    en = "This fill lies in the future."
    next_zh = "请核对时间；事先申请请使用“事前申请”。"
    next_en = "Check the time; to have it allowed first, ask beforehand."


class ReceiptNotRead(Refusal):
    """Neither photo nor PDF by its content, whatever its name says, or too large."""

    status = 422
    zh = "凭证须为 5 MB 以内的照片（JPEG、PNG、WebP）或 PDF。"
    en = "A receipt is a photo (JPEG, PNG, WebP) or a PDF of at most 5 MB."
    next_zh = "请重新拍照，或导出为 PDF 后再提交。"
    next_en = "Take the photo again, or save it as a PDF."


class ReceiptUsedBefore(Refusal):
    """A receipt counts once in a company."""

    status = 409
    zh = "该凭证已用于 {plate} {day} 的现金加油（{status}）。"
    en = "This receipt was handed in before: {plate} on {day} ({status})."
    next_zh = "请提交本次加油的凭证；若前一笔有误，请先撤回。"
    next_en = "Hand in the receipt of this fill; if the earlier one is wrong, withdraw that first."


class ReceiptMissing(Refusal):
    """Money is not paid back on a promise."""

    status = 409
    zh = "该笔现金加油尚无凭证。"
    en = "This cash fill has no receipt yet."
    next_zh = "请先补交凭证。"
    next_en = "Hand the receipt in first."


class Taken(NamedTuple):
    """What was, or will be, bought: `station_id` or a `place` in words, litres in thousandths, minor units."""

    event_at: datetime
    station_id: UUID | None
    place: str | None
    product_id: UUID | None
    quantity_milli: int
    amount_minor: int
    odometer_km: int | None


class Receipt(NamedTuple):
    """The file, and the plate that can be read on it."""

    content: bytes
    plate: str


async def file_cash_fill(
    session: AsyncSession,
    *,
    company_id: UUID,
    vehicle_id: UUID,
    driver_id: UUID,
    taken: Taken,
    reason: CashReason,
    comment: str,
    receipt: Receipt | None,
    actor: Actor,
    now: datetime,
) -> UUID:
    """Record a cash fill with its receipt, or, without one, ask for it beforehand.

    :raises VehicleNotFound, DriverNotFound: if they are none of the company's
    :raises CashFillAhead: if there is a receipt of a fill to come
    :raises ReceiptNotRead, ReceiptUsedBefore: as `add_receipt`
    """
    company = await get_company(session, company_id=company_id)
    vehicle = await get_vehicle_row(session, company_id=company_id, vehicle_id=vehicle_id)
    await get_driver_row(session, company_id=company_id, driver_id=driver_id)
    made = CashFill(
        cash_fill_id=uuid7(now),
        company_id=company_id,
        vehicle_id=vehicle_id,
        driver_id=driver_id,
        department_id=vehicle.department_id,
        currency=company.currency,
        reason=reason,
        comment=comment,
        asked_before=receipt is None,
        status=CashStatus.FILED,
        filed_at=now,
        filed_by=str(actor.actor_id),
        plate_differs=False,
        **_facts(taken, company.time_zone),
    )
    if receipt is None:
        session.add(made)
        await session.flush()
    else:
        await _keep(session, made, receipt, vehicle=vehicle, actor=actor, now=now)
    facts = {"vehicle": str(vehicle_id), "amount_minor": made.amount_minor, "asked_before": made.asked_before}
    await _trail(session, made, "fleet.cash_fill_filed", facts, actor, now)
    return made.cash_fill_id


async def add_receipt(
    session: AsyncSession, *, company_id: UUID, cash_fill_id: UUID, taken: Taken, receipt: Receipt, actor: Actor, now: datetime
) -> CashStatus:
    """Hand the receipt of an asked-for fill in, with what was really bought; return where that leads.

    What stays within the approval keeps it. More litres or money, or another plate on the receipt, wants another look.

    :raises CashFillNotFound: if the company has no such cash fill
    :raises CashFillSettled: if it has its receipt, or is refused or withdrawn
    :raises AnotherPersonApproves: if whoever approved it hands it in
    :raises CashFillAhead: if the fill lies in the future
    :raises ReceiptNotRead: if the file is no photo and no PDF, or too large
    :raises ReceiptUsedBefore: if the company had that very file before
    """
    found = await _locked(session, company_id, cash_fill_id)
    if found.receipt_at is not None or found.status not in {CashStatus.FILED, CashStatus.APPROVED}:
        raise CashFillSettled(status=found.status.value)
    if found.decided_by == str(actor.actor_id):
        raise AnotherPersonApproves
    company = await get_company(session, company_id=company_id)
    vehicle = await get_vehicle_row(session, company_id=company_id, vehicle_id=found.vehicle_id)
    allowed = (found.quantity_milli, found.amount_minor)
    for name, value in _facts(taken, company.time_zone).items():
        setattr(found, name, value)
    exceeds = taken.quantity_milli > allowed[0] or taken.amount_minor > allowed[1]
    differs = plate_key(receipt.plate) != vehicle.plate_key
    if found.status is CashStatus.APPROVED and (exceeds or differs):
        _move(found, CashStatus.FILED)
        found.decided_at = found.decided_by = found.decision = None
    await _keep(session, found, receipt, vehicle=vehicle, actor=actor, now=now)
    facts = {"amount_minor": found.amount_minor, "allowed_minor": allowed[1], "plate_differs": differs, "status": found.status.value}
    await _trail(session, found, "fleet.cash_receipt_added", facts, actor, now)
    await _count(session, found, actor=actor, now=now)
    return found.status


async def approve_cash_fill(
    session: AsyncSession, *, company_id: UUID, cash_fill_id: UUID, words: str = "", actor: Actor, now: datetime
) -> None:
    """Say yes: with its receipt it counts from now on, and its odometer is read.

    :raises CashFillNotFound: if the company has no such cash fill
    :raises CashFillSettled: if it is decided
    :raises AnotherPersonApproves: if whoever filed it, or handed its receipt in, decides
    """
    found = await _decided(session, company_id, cash_fill_id, CashStatus.APPROVED, words, actor, now)
    facts = {"amount_minor": found.amount_minor, "plate_differs": found.plate_differs}
    await _trail(session, found, "fleet.cash_fill_approved", facts, actor, now)
    await _count(session, found, actor=actor, now=now)


async def refuse_cash_fill(session: AsyncSession, *, company_id: UUID, cash_fill_id: UUID, words: str, actor: Actor, now: datetime) -> None:
    """Say no, and why; its receipt may then be filed again.

    :raises CashFillNotFound, CashFillSettled, AnotherPersonApproves: as `approve_cash_fill`
    """
    found = await _decided(session, company_id, cash_fill_id, CashStatus.REFUSED, words, actor, now)
    await _trail(session, found, "fleet.cash_fill_refused", {}, actor, now)


async def withdraw_cash_fill(session: AsyncSession, *, company_id: UUID, cash_fill_id: UUID, actor: Actor, now: datetime) -> None:
    """Take it back: before it is decided, or, approved beforehand, when nothing was bought after all.

    :raises CashFillNotFound: if the company has no such cash fill
    :raises CashFillSettled: if it counts, or is over
    """
    found = await _locked(session, company_id, cash_fill_id)
    if found.status is CashStatus.APPROVED and found.receipt_at is not None:
        raise CashFillSettled(status=found.status.value)
    _move(found, CashStatus.WITHDRAWN)
    await session.flush()
    await _trail(session, found, "fleet.cash_fill_withdrawn", {}, actor, now)


async def reimburse_cash_fill(session: AsyncSession, *, company_id: UUID, cash_fill_id: UUID, actor: Actor, now: datetime) -> None:
    """Note that whoever paid has the money back; the company pays it, no card's money moves.

    :raises CashFillNotFound: if the company has no such cash fill
    :raises CashFillSettled: if it is not approved, or paid back already
    :raises ReceiptMissing: if its receipt is not there
    :raises AnotherPersonApproves: if whoever filed it, or handed its receipt in, says so
    """
    found = await _locked(session, company_id, cash_fill_id)
    _by_another(found, actor)
    if found.status is CashStatus.APPROVED and found.receipt_at is None:
        raise ReceiptMissing
    _move(found, CashStatus.REIMBURSED)
    found.reimbursed_at, found.reimbursed_by = now, str(actor.actor_id)
    await session.flush()
    await _trail(session, found, "fleet.cash_fill_reimbursed", {"amount_minor": found.amount_minor}, actor, now)


async def _decided(
    session: AsyncSession, company_id: UUID, cash_fill_id: UUID, to: CashStatus, words: str, actor: Actor, now: datetime
) -> CashFill:
    found = await _locked(session, company_id, cash_fill_id)
    _by_another(found, actor)
    _move(found, to)
    found.decided_at, found.decided_by, found.decision = now, str(actor.actor_id), words or None
    await session.flush()
    return found


async def _count(session: AsyncSession, found: CashFill, *, actor: Actor, now: datetime) -> None:
    """Read the odometer of a fill that has come to count."""
    if found.status is not CashStatus.APPROVED or found.receipt_at is None:
        return
    assert found.odometer_km is not None, "a receipt comes with its odometer"
    taken = await take_reading(
        session,
        company_id=found.company_id,
        vehicle_id=found.vehicle_id,
        km=found.odometer_km,
        read_at=found.event_at,
        source=ReadingSource.CASH,
        actor=actor,
        now=now,
    )
    found.reading_id = taken.reading_id
    await session.flush()


async def _keep(session: AsyncSession, one: CashFill, receipt: Receipt, *, vehicle: Vehicle, actor: Actor, now: datetime) -> None:
    """Write the fill with its receipt; the database says whether the company had that file before."""
    if one.event_at > now:
        raise CashFillAhead
    media = media_of(receipt.content)
    if media is None or len(receipt.content) > RECEIPT_BYTES_MAX:
        raise ReceiptNotRead
    digest = hashlib.sha256(receipt.content).digest()
    fill_id, company_id = one.cash_fill_id, one.company_id
    sealed = seal(Purpose.DOCUMENT, table="cash_receipts", column="content_sealed", row_id=fill_id, plaintext=receipt.content)
    try:
        async with session.begin_nested():
            one.receipt_at, one.receipt_by, one.receipt_digest = now, str(actor.actor_id), digest
            one.plate_read, one.plate_differs = receipt.plate, plate_key(receipt.plate) != vehicle.plate_key
            session.add(one)
            await session.flush()
            session.add(CashReceipt(cash_fill_id=fill_id, company_id=company_id, media=media, content_sealed=sealed))
            await session.flush()
    except IntegrityError as error:
        if "ux_cash_fills_receipt" not in str(error.orig):
            raise
        raise await _used_before(session, company_id, digest) from None


async def _used_before(session: AsyncSession, company_id: UUID, digest: bytes) -> Refusal:
    statement = (
        select(Vehicle.plate, CashFill.day, CashFill.status)
        .join(Vehicle, Vehicle.vehicle_id == CashFill.vehicle_id)
        .where(CashFill.company_id == company_id, CashFill.receipt_digest == digest, CashFill.status.in_(STANDING))
    )
    earlier = (await session.execute(statement)).first()
    if earlier is None:
        return ReceiptUsedBefore()
    return ReceiptUsedBefore(plate=earlier[0], day=earlier[1].isoformat(), status=earlier[2].value)


def _facts(taken: Taken, zone: str) -> dict[str, Any]:
    assert (taken.station_id is None) is (taken.place is not None), "a station, or a place in words"
    return taken._asdict() | {"day": clock.local_date(taken.event_at, zone)}


async def _locked(session: AsyncSession, company_id: UUID, cash_fill_id: UUID) -> CashFill:
    statement = locked(select(CashFill).where(CashFill.cash_fill_id == cash_fill_id, CashFill.company_id == company_id))
    found: CashFill | None = await session.scalar(statement)
    if found is None:
        raise CashFillNotFound(cash_fill=cash_fill_id)
    return found


def _by_another(found: CashFill, actor: Actor) -> None:
    if str(actor.actor_id) in {found.filed_by, found.receipt_by}:
        raise AnotherPersonApproves


def _move(found: CashFill, to: CashStatus) -> None:
    if to not in CASH_MOVES[found.status]:
        raise CashFillSettled(status=found.status.value)
    found.status = to


async def _trail(session: AsyncSession, one: CashFill, action: str, facts: dict[str, Any], actor: Actor, now: datetime) -> None:
    await audit.record(session, actor=actor, action=action, subject=("cash_fill", one.cash_fill_id), facts=facts, now=now)
