"""Amounts of a period from a file: one row a card, by its tail or its vehicle's plate, judged before anything is written."""

import hashlib
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.cards.numbers import number_index
from loyalty.fleet.allocation_rules import Span
from loyalty.fleet.model_allocations import AllocationKind, AllocationRequest, RequestStatus
from loyalty.fleet.queries.allocations import card_keys, filtered
from loyalty.fleet.queries.companies import CompanyView, get_company
from loyalty.fleet.sheets import Cells, Column, Report, RowResult, RowState, money_in, read_cells, read_lines
from loyalty.limits.rules import plate_key

from .allocation_decisions import set_amounts
from .allocations import propose_all


class _Judged(NamedTuple):
    result: RowResult
    chain_id: UUID | None
    amount_minor: int


def amount_columns(currency: str) -> tuple[Column, ...]:
    """Return the columns of such a file; a row needs the card or the plate."""
    return (
        Column("card", "卡号", "Card", key=True, others=("卡尾号", "尾号", "Tail", "Card tail")),
        Column("plate", "车牌号", "Plate", key=True, others=("车牌", "车号")),
        Column("amount", "金额", "Amount", money_in(currency), others=("分配金额", "申请金额")),
    )


async def preview_amounts(
    session: AsyncSession, *, company_id: UUID, span: Span, data: bytes, departments: Collection[UUID] | None = None
) -> Report:
    """Say what a file of amounts would do, row by row; write nothing.

    :raises CompanyNotFound: if there is no such company
    :raises SheetNotReadable: if it is neither CSV nor a workbook
    :raises SheetTooLarge: if it has more than 20,000 rows or 10 MB
    :raises ColumnMissing: if neither card nor plate is there
    """
    company = await get_company(session, company_id=company_id)
    judged, ignored = await _judge(session, company, span, data, departments)
    return Report([one.result for one in judged], ignored)


async def apply_amounts(
    session: AsyncSession,
    *,
    company_id: UUID,
    span: Span,
    data: bytes,
    departments: Collection[UUID] | None = None,
    actor: Actor,
    now: datetime,
) -> Report:
    """Put a file's good rows into the period's drafts, proposing those without; say of each row what it did. Raises like `preview`."""
    company = await get_company(session, company_id=company_id)
    judged, ignored = await _judge(session, company, span, data, departments)
    wanted = {one.chain_id: one.amount_minor for one in judged if one.chain_id is not None and one.result.state in _WRITTEN}
    fresh = [one.chain_id for one in judged if one.chain_id is not None and one.result.state is RowState.NEW]
    if fresh:
        await propose_all(session, company_id=company_id, span=span, chain_ids=fresh, actor=actor, now=now)
    if wanted:
        where = filtered(
            company_id=company_id,
            kind=AllocationKind.MONTHLY,
            period_from=span.first,
            statuses=[RequestStatus.DRAFT],
            departments=departments,
        )
        rows = await session.execute(select(AllocationRequest.chain_id, AllocationRequest.request_id).where(and_(*where)))
        amounts = {row.request_id: wanted[row.chain_id] for row in rows if row.chain_id in wanted}
        if amounts:
            await set_amounts(session, company_id=company_id, amounts=amounts, departments=departments, actor=actor, now=now)
    report = Report([one.result for one in judged], ignored)
    facts = {state.value: report.count(state) for state in RowState} | {"sha256": hashlib.sha256(data).hexdigest()}
    await audit.record(session, actor=actor, action="fleet.amounts_imported", subject=("company", company_id), facts=facts, now=now)
    return report


_WRITTEN = {RowState.NEW, RowState.CHANGE}


async def _judge(
    session: AsyncSession, company: CompanyView, span: Span, data: bytes, departments: Collection[UUID] | None
) -> tuple[list[_Judged], tuple[str, ...]]:
    rows, ignored = read_cells(read_lines(data), amount_columns(company.currency))
    keys = await card_keys(session, company=company, departments=departments)
    by_tail: dict[str, list[UUID]] = defaultdict(list)
    by_plate: dict[str, list[UUID]] = defaultdict(list)
    for key in keys:
        by_tail[key.card_tail].append(key.chain_id)
        if key.plate_key is not None:
            by_plate[key.plate_key].append(key.chain_id)
    by_index = {key.number_index: key.chain_id for key in keys}
    where = filtered(company_id=company.company_id, kind=AllocationKind.MONTHLY, period_from=span.first)
    found = await session.execute(
        select(AllocationRequest.chain_id, AllocationRequest.status, AllocationRequest.wanted_minor).where(
            and_(*where), AllocationRequest.status.not_in([RequestStatus.REFUSED, RequestStatus.WITHDRAWN])
        )
    )
    standing = {row.chain_id: (row.status, row.wanted_minor) for row in found}
    seen: dict[UUID, int] = {}
    return [_row(cells, by_tail, by_plate, by_index, standing, seen) for cells in rows], ignored


def _row(
    cells: Cells,
    by_tail: dict[str, list[UUID]],
    by_plate: dict[str, list[UUID]],
    by_index: dict[bytes, UUID],
    standing: dict[UUID, tuple[RequestStatus, int]],
    seen: dict[UUID, int],
) -> _Judged:
    chain_id = _chain(cells, by_tail, by_plate, by_index)
    amount = cells.values.get("amount")
    if amount is None and not any(fault.column == cells.names.get("amount") for fault in cells.faults):
        cells.fault("amount", "missing")
    elif amount is not None and amount < 0:
        cells.fault("amount", "not_a_number", value=amount)
    state = RowState.ERROR
    if chain_id is not None:
        first = seen.setdefault(chain_id, cells.number)
        if first != cells.number:
            cells.fault("", "twice", first=first)
        status, before = standing.get(chain_id, (None, None))
        if status not in {None, RequestStatus.DRAFT}:
            cells.fault("", "refused", zh="该卡本期申请已提交，不能再改。", en="The card's request of this period has been submitted.")
        if not cells.faults:
            state = RowState.NEW if status is None else RowState.SAME if before == amount else RowState.CHANGE
    key = str(cells.values.get("plate") or (cells.values.get("card") or "")[-4:])
    changes = (cells.names.get("amount", ""),) if state is RowState.CHANGE else ()
    return _Judged(RowResult(cells.number, state, key, changes, tuple(cells.faults)), chain_id, amount or 0)


def _chain(cells: Cells, by_tail: dict[str, list[UUID]], by_plate: dict[str, list[UUID]], by_index: dict[bytes, UUID]) -> UUID | None:
    plate, said = cells.values.get("plate"), cells.values.get("card")
    number = "".join(letter for letter in said or "" if letter.isalnum())
    if plate:
        found, field, value = by_plate.get(plate_key(plate), []), "plate", plate
    elif len(number) > 4:
        # The whole number never leaves in a sentence.
        one = by_index.get(number_index(number))
        found, field, value = ([] if one is None else [one]), "card", number[-4:]
    elif number:
        found, field, value = by_tail.get(number.zfill(4), []), "card", number
    else:
        cells.fault("card" if "card" in cells.names else "plate", "missing")
        return None
    if len(found) != 1:
        code = "card_not_clear" if found else "unknown_vehicle" if field == "plate" else "unknown_card"
        cells.fault(field, code, value=value)
        return None
    return found[0]
