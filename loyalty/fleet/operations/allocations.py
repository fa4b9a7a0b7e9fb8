"""Requests for allocation: proposed for all cards at once, asked for early, checked."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import and_, case, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.clock import local_date
from loyalty.errors import NotFound, Refusal
from loyalty.fleet.allocation_rules import Facts, Span, before, check, propose, span_of
from loyalty.fleet.model import CompanyMode, VehicleStatus
from loyalty.fleet.model_allocations import AllocationKind, AllocationLine, AllocationRequest, RequestStatus
from loyalty.fleet.queries.allocations import Candidate, candidates, card_money, filtered, rate_rows, rates_of, terms_of
from loyalty.fleet.queries.companies import CompanyView, get_company
from loyalty.ids import uuid7
from loyalty.money import shown

from .allocation_decisions import who

SYSTEM: Final = Actor(ActorKind.SYSTEM, "jobs.allocations")
OPEN: Final = (RequestStatus.DRAFT, RequestStatus.REQUESTED, RequestStatus.DEPARTMENT_APPROVED)
_MONTHLY: Final = text("kind = 'monthly' AND status NOT IN ('refused', 'withdrawn')")


class CompanyIsPooled(Refusal):
    """Cards of a pooled company draw on the pool: there is nothing to allocate."""

    zh = "该企业的卡直接使用资金池，无需分配。"
    en = "This company's cards draw on its pool; there is nothing to allocate."
    next_zh = "如需按卡分配，请在企业设置中改为“分配”或“混合”。"
    next_en = "Choose the allocated or the mixed mode in the company's settings first."


class BalanceNotLow(Refusal):
    """An early request is for a card that is nearly empty."""

    zh = "该卡余额 {balance}，未低于提前申请线 {line}。"
    en = "The card holds {balance}, which is not below the line of {line} for an early request."
    next_zh = "请在余额低于该线后再申请，或等待下一次月度分配。"
    next_en = "Ask once it is below, or wait for the next monthly allocation."


class EarlyRequestOpen(Refusal):
    """One early request a card at a time."""

    zh = "该卡已有未办结的提前申请。"
    en = "The card has an early request that is not finished."
    next_zh = "请等待其办结，或先撤回。"
    next_en = "Wait for it, or withdraw it first."


class CardNotAllocatable(NotFound):
    """Not a usable card of the company's."""

    zh = "没有找到该企业可分配的卡。"
    en = "The company has no such usable card."


class Proposed(NamedTuple):
    """How many cards have a proposal, and what they come to."""

    cards: int
    amount_minor: int


async def propose_all(
    session: AsyncSession, *, company_id: UUID, span: Span, chain_ids: Sequence[UUID] | None = None, actor: Actor, now: datetime
) -> Proposed:
    """Propose an amount for every usable card of a company, or for these; drafts that somebody changed keep their amount.

    A card whose request was refused or withdrawn is proposed again only where it is named.

    :raises CompanyNotFound: if there is no such company
    :raises CompanyIsPooled: if its cards draw on the pool
    """
    company = await get_company(session, company_id=company_id)
    if company.mode is CompanyMode.POOLED:
        raise CompanyIsPooled(company=company_id)
    rates = rate_rows(await rates_of(session, company_id=company_id))
    found = await candidates(session, company=company, last=before(span), now=now, chain_ids=chain_ids)
    over: set[UUID] = set()
    if chain_ids is None:
        where = filtered(
            company_id=company_id,
            kind=AllocationKind.MONTHLY,
            period_from=span.first,
            statuses=[RequestStatus.REFUSED, RequestStatus.WITHDRAWN],
        )
        over = set(await session.scalars(select(AllocationRequest.chain_id).where(and_(*where))))
    rows = []
    for one in found:
        if one.chain_id not in over:
            amount, basis = propose(one.consumer, rates, currency=company.currency)
            rows.append(_request(company_id, one, AllocationKind.MONTHLY, span, amount, basis=basis, now=now))
    if rows:
        made = upsert(AllocationRequest)
        kept = AllocationRequest.wanted_minor != AllocationRequest.proposal_minor
        values = {
            "proposal_minor": made.excluded.proposal_minor,
            "basis": made.excluded.basis,
            "wanted_minor": case((kept, AllocationRequest.wanted_minor), else_=made.excluded.wanted_minor),
            "vehicle_id": made.excluded.vehicle_id,
            "department_id": made.excluded.department_id,
            "updated_at": now,
        }
        keys = [AllocationRequest.company_id, AllocationRequest.period_from, AllocationRequest.chain_id]
        is_draft = AllocationRequest.status == RequestStatus.DRAFT
        await session.execute(made.on_conflict_do_update(index_elements=keys, index_where=_MONTHLY, set_=values, where=is_draft), rows)
    total = sum(row["proposal_minor"] for row in rows)
    facts = {"period": span.first.isoformat(), "cards": len(rows), "amount_minor": total}
    await audit.record(session, actor=actor, action="fleet.allocation_proposed", subject=("company", company_id), facts=facts, now=now)
    return Proposed(len(rows), total)


def _request(
    company_id: UUID, one: Candidate, kind: AllocationKind, span: Span, amount_minor: int, *, basis: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    return {
        "request_id": uuid7(now),
        "company_id": company_id,
        "kind": kind,
        "period_from": span.first,
        "period_to": span.end,
        "chain_id": one.chain_id,
        "vehicle_id": one.vehicle_id,
        "department_id": one.department_id,
        "proposal_minor": amount_minor,
        "basis": dict(basis),
        "wanted_minor": amount_minor,
        "reason": "",
        "status": RequestStatus.DRAFT,
        "checks": [],
        "note": "",
        "created_at": now,
        "updated_at": now,
    }


async def request_early(
    session: AsyncSession,
    *,
    company_id: UUID,
    chain_id: UUID,
    amount_minor: int,
    reason: str,
    departments: Collection[UUID] | None = None,
    actor: Actor,
    now: datetime,
) -> UUID:
    """Ask for money before the period is over, because a card is nearly empty; return the request's id.

    :raises CompanyIsPooled: if the company's cards draw on the pool
    :raises CardNotAllocatable: if the chain has no usable card of the company, or of these departments
    :raises BalanceNotLow: if the card is not below the company's line
    :raises EarlyRequestOpen: if the card has one that is not finished
    """
    company = await get_company(session, company_id=company_id)
    if company.mode is CompanyMode.POOLED:
        raise CompanyIsPooled(company=company_id)
    span = span_of(local_date(now, company.time_zone), period_day=company.period_day)
    found = await candidates(session, company=company, last=before(span), now=now, chain_ids=[chain_id])
    if not found or (departments is not None and found[0].department_id not in departments):
        raise CardNotAllocatable(chain=chain_id)
    await _require_low(session, company, chain_id=chain_id)
    row = _request(company_id, found[0], AllocationKind.EARLY, span, amount_minor, basis={"by": "asked"}, now=now)
    row |= {"status": RequestStatus.REQUESTED, "reason": reason.strip(), "requested_by": who(actor), "requested_at": now, "checked_at": now}
    row["checks"] = ["vehicle_closed"] if found[0].vehicle_status is VehicleStatus.CLOSED else []
    row["checks"] += ["nothing_wanted"] if amount_minor <= 0 else []
    made: UUID | None = await session.scalar(
        upsert(AllocationRequest).values(row).on_conflict_do_nothing().returning(AllocationRequest.request_id)
    )
    if made is None:
        raise EarlyRequestOpen(chain=chain_id)
    facts = {"chain": chain_id, "amount_minor": amount_minor, "reason": reason.strip()}
    await audit.record(session, actor=actor, action="fleet.allocation_early", subject=("allocation_request", made), facts=facts, now=now)
    return made


async def _require_low(session: AsyncSession, company: CompanyView, *, chain_id: UUID) -> None:
    last = await session.scalar(
        select(AllocationLine.amount_minor)
        .join(AllocationRequest, AllocationRequest.request_id == AllocationLine.request_id)
        .where(
            AllocationLine.company_id == company.company_id,
            AllocationLine.chain_id == chain_id,
            AllocationLine.loaded_minor > 0,
            AllocationRequest.kind == AllocationKind.MONTHLY,
        )
        .order_by(AllocationLine.done_at.desc())
        .limit(1)
    )
    if last is None:
        return
    terms = await terms_of(session, company_id=company.company_id)
    free = sum(one.balance_minor - one.held_minor for one in await card_money(session, company=company, chain_id=chain_id))
    line = last * terms.early_below_percent // 100
    if free >= line:
        raise BalanceNotLow(balance=shown(free, company.currency), line=shown(line, company.currency), line_minor=line)


async def check_requests(session: AsyncSession, *, company_id: UUID, span: Span, now: datetime) -> dict[str, int]:
    """Check a period's open monthly requests against last period's records, readings and the cards; return code → how many.

    Each request keeps its codes; one that has any cannot be approved until a later check finds it in order.
    """
    company = await get_company(session, company_id=company_id)
    where = filtered(company_id=company_id, kind=AllocationKind.MONTHLY, period_from=span.first, statuses=OPEN)
    rows = (
        await session.execute(
            select(AllocationRequest.request_id, AllocationRequest.chain_id, AllocationRequest.wanted_minor)
            .where(and_(*where))
            .order_by(AllocationRequest.request_id)
            .with_for_update()
        )
    ).all()
    found = {one.chain_id: one for one in await candidates(session, company=company, last=before(span), now=now)}
    codes = [
        check(_facts(found.get(chain_id), wanted_minor=wanted), needs_records=company.needs_records, needs_odometer=company.needs_odometer)
        for _, chain_id, wanted in rows
    ]
    await session.execute(
        text(
            """
            UPDATE allocation_requests AS r SET checks = CAST(found.checks AS jsonb), checked_at = :now, updated_at = :now
            FROM unnest(CAST(:ids AS uuid[]), CAST(:checks AS text[])) AS found (request_id, checks) WHERE r.request_id = found.request_id
            """
        ),
        {"ids": [row.request_id for row in rows], "checks": [msgspec.json.encode(one).decode() for one in codes], "now": now},
    )
    session.expire_all()
    return dict(Counter(code for one in codes for code in one))


def _facts(one: Candidate | None, *, wanted_minor: int) -> Facts:
    if one is None:
        return Facts(
            has_card=False,
            vehicle_closed=False,
            has_vehicle=False,
            is_new=True,
            fills=0,
            odometer_read=False,
            wanted_minor=wanted_minor,
        )
    return Facts(
        has_card=True,
        vehicle_closed=one.vehicle_status is VehicleStatus.CLOSED,
        has_vehicle=one.vehicle_id is not None,
        is_new=one.is_new,
        fills=one.consumer.fills,
        odometer_read=one.odometer_read,
        wanted_minor=wanted_minor,
    )
