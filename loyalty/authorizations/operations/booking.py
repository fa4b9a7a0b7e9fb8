"""Writing a decision outside the hot path: the same rows as its batch function writes, one request at a time, under the cold locks."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.decision import Decision, Write
from loyalty.authorizations.model import Authorization, Fill, FillStatus, Sale, SaleStatus, Status
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import Leg
from loyalty.ledger.queries import open_period
from loyalty.ledger.rules import Take
from loyalty.pricing.operations import budgets

from .holds import resolve
from .locking import count, count_levels


async def book_decision(
    session: AsyncSession,
    decision: Decision,
    *,
    terminal_id: UUID,
    tenders: Sequence[str] = (),
    authorization: Authorization | None = None,
    resolution: str = "late_completion",
    evidence: str | None = None,
    staff_id: UUID | None = None,
    approved_by: UUID | None = None,
    now: datetime,
) -> None:
    """Book a decided sale or completion. Cards, authorisation and purses are locked, and the decision was made on what they are now.

    `tenders` are the names of the other tenders used; `resolution` is how a dispense that was unresolved came to its end.
    """
    await _houses(session, decision, tenders, now)
    if decision.new_receivable is not None:
        await ledger.ensure_purse(
            session,
            account_id=decision.account_id,
            kind=PurseKind.RECEIVABLE,
            unit=decision.currency,
            purse_id=decision.new_receivable,
            now=now,
        )
    released: dict[UUID, int] = {}
    for change in decision.changes:
        released[change.purse_id] = released.get(change.purse_id, 0) - change.held
    takes = [Take(purse_id, amount) for purse_id, amount in released.items() if amount]
    if takes:
        await ledger.release_holds(session, account_id=decision.account_id, takes=takes)
    if decision.transfers:
        legs = [
            Leg(debit, credit, amount, TransferKind(kind), decision.currency, decision.card_id, decision.station_id)
            for debit, credit, amount, kind in decision.transfers
        ]
        await ledger.post(
            session, account_id=decision.account_id, legs=legs, operation_id=decision.subject_id, event_at=decision.event_at, now=now
        )
    await _counted(session, decision)
    if decision.write is not Write.RELEASE:
        await _sale(session, decision, terminal_id, now)
    if authorization is not None:
        await _move_on(session, decision, authorization)
        if Status(authorization.status) is not Status.PART_COMPLETED:
            await resolve(
                session, authorization, resolution=resolution, evidence=evidence, staff_id=staff_id, approved_by=approved_by, now=now
            )
    if decision.fill_id is not None:
        await session.execute(
            update(Fill)
            .where(Fill.fill_id == decision.fill_id, Fill.status.in_([FillStatus.UNPAID, FillStatus.LOCKED]))
            .values(status=int(FillStatus.PAID), account_id=decision.account_id, sale_id=decision.subject_id, locked_until=None)
        )


async def _counted(session: AsyncSession, decision: Decision) -> None:
    """Change the counters of limits and benefits, and the budgets."""
    if decision.counted is not None:
        amount, quantity, fills = decision.counted
        await count(
            session,
            account_id=decision.account_id,
            chain_id=decision.chain_id,
            day=decision.counter_day,
            amount_minor=amount,
            quantity_milli=quantity,
            fills=fills,
            at=decision.event_at,
        )
    await count_levels(session, account_id=decision.account_id, counts=decision.levels, at=decision.event_at)
    await budgets.count(session, counts=decision.counts)
    await budgets.take(session, uses=decision.budgets)


async def _houses(session: AsyncSession, decision: Decision, tenders: Sequence[str], now: datetime) -> None:
    station = str(decision.station_id)
    wanted = [(HouseCode.SALES, station), *((HouseCode.TENDER, f"{station}:{tender}") for tender in tenders)]
    wanted += [(HouseCode.DISCOUNT, funder) for funder in decision.funders]
    if decision.surcharged is not None:
        wanted.append((HouseCode.SURCHARGE, decision.surcharged))
    for code, reference in sorted(set(wanted)):
        await ledger.ensure_house(session, code=code, currency=decision.currency, reference=reference, now=now)


async def _sale(session: AsyncSession, decision: Decision, terminal_id: UUID, now: datetime) -> None:
    await session.execute(
        insert(Sale).values(
            account_id=decision.account_id,
            sale_id=decision.subject_id,
            authorization_id=None if decision.authorization is None else decision.authorization[0],
            card_id=decision.card_id,
            chain_id=decision.chain_id,
            terminal_id=terminal_id,
            station_id=decision.station_id,
            staff_id=decision.staff_id,
            flow=int(decision.flow),
            nozzle=decision.nozzle,
            product_id=decision.product_id,
            quantity_milli=decision.quantity_milli,
            unit_price_e4=decision.unit_price_e4,
            gross_minor=decision.gross_minor,
            discount_minor=decision.discount_minor,
            card_minor=decision.card_minor,
            currency=decision.currency,
            detail=decision.detail,
            flags=int(decision.flags),
            status=int(SaleStatus.BOOKED),
            refunded_minor=0,
            fill_id=decision.fill_id,
            event_at=decision.event_at,
            booked_at=now,
            business_day=decision.business_day,
            period=await open_period(session),
        )
    )


async def _move_on(session: AsyncSession, decision: Decision, authorization: Authorization) -> None:
    """Move the completed authorisation on: status, what was captured, what is still held."""
    to = Status(decision.status)
    changed: dict[UUID, int] = {}
    for change in decision.changes:
        changed[change.purse_id] = changed.get(change.purse_id, 0) + change.held
    if to is Status.PART_COMPLETED:
        held = zip(authorization.hold_purses, authorization.hold_minors, strict=True)
        authorization.hold_minors = [amount + changed.get(purse_id, 0) for purse_id, amount in held]
    else:
        authorization.hold_purses, authorization.hold_minors = [], []
    authorization.status = int(to)
    authorization.completions += decision.write is Write.COMPLETION
    authorization.captured_minor += decision.gross_minor
    authorization.captured_milli += decision.quantity_milli
    authorization.flags |= int(decision.flags)
    if decision.frozen is not None:
        authorization.frozen = msgspec.json.decode(decision.frozen)
    await session.flush()
