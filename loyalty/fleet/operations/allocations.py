"""Requests for allocation: proposed for all cards at once, asked for, checked, approved by two people."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import and_, case, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.clock import local_date
from loyalty.errors import NotFound, Refusal
from loyalty.fleet.allocation_rules import Facts, Span, before, check, propose, sources, span_of
from loyalty.fleet.model import CompanyMode, VehicleStatus
from loyalty.fleet.model_allocations import AllocationKind, AllocationLine, AllocationRequest, RequestStatus
from loyalty.fleet.queries.allocations import Candidate, candidates, card_money, filtered, rate_rows, rates_of, terms_of
from loyalty.fleet.queries.companies import CompanyView, get_company
from loyalty.ids import uuid7
from loyalty.money import shown

SYSTEM: Final = Actor(ActorKind.SYSTEM, "jobs.allocations")
OPEN: Final = (RequestStatus.DRAFT, RequestStatus.REQUESTED, RequestStatus.DEPARTMENT_APPROVED)
_MONTHLY: Final = text("kind = 'monthly' AND status NOT IN ('refused', 'withdrawn')")


class CompanyIsPooled(Refusal):
    """Cards of a pooled company draw on the pool: there is nothing to allocate."""

    zh = "该企业的卡直接使用资金池，无需分配。"
    en = "This company's cards draw on its pool; there is nothing to allocate."
    next_zh = "如需按卡分配，请在企业设置中改为“分配”或“混合”。"
    next_en = "Choose the allocated or the mixed mode in the company's settings first."


class FourEyes(Refusal):
    """Two people stand behind an allocation."""

    status = 403
    zh = "部门审批与最终审批不能是同一人。"
    en = "Whoever approved for the department, or asked, cannot approve for the company too."
    next_zh = "请由另一位负责人审批。"
    next_en = "Let another person approve."


class NothingToDecide(Refusal):
    """None of the requests can move so; the facts say why, with how many."""

    zh = "没有可办理的申请（{why}）。"
    en = "No request can be decided so ({why})."
    next_zh = "请刷新页面，核对申请的状态与检查结果。"
    next_en = "Reload the page and look at the requests' state and checks."


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


class Decided(NamedTuple):
    """How many requests moved, what they ask for, and why the others did not (code → how many)."""

    moved: int
    amount_minor: int
    held: dict[str, int]


def who(actor: Actor) -> str:
    """Name an actor as requests keep him."""
    return f"{actor.kind.value}:{actor.actor_id}"


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


async def set_amounts(
    session: AsyncSession,
    *,
    company_id: UUID,
    amounts: Mapping[UUID, int],
    departments: Collection[UUID] | None = None,
    reason: str = "",
    actor: Actor,
    now: datetime,
) -> Decided:
    """Change what drafts ask for: request → minor units, 0 for nothing this period.

    :raises NothingToDecide: if none of them is a draft of the company, or of these departments
    """
    rows = await _lock(session, company_id=company_id, request_ids=list(amounts), departments=departments)
    changed = {row.request_id: max(amounts[row.request_id], 0) for row in rows if row.status is RequestStatus.DRAFT}
    _refuse_none(len(changed), Counter(row.status.value for row in rows if row.status is not RequestStatus.DRAFT), len(amounts) - len(rows))
    await session.execute(
        text(
            """
            UPDATE allocation_requests AS r SET wanted_minor = change.amount, reason = :reason, checks = r.checks - 'nothing_wanted',
                updated_at = :now
            FROM unnest(CAST(:ids AS uuid[]), CAST(:amounts AS bigint[])) AS change (request_id, amount)
            WHERE r.request_id = change.request_id
            """
        ),
        {"ids": list(changed), "amounts": list(changed.values()), "reason": reason.strip(), "now": now},
    )
    session.expire_all()
    facts = {"requests": len(changed), "reason": reason.strip(), "amount_minor": sum(changed.values())}
    await audit.record(session, actor=actor, action="fleet.allocation_changed", subject=("company", company_id), facts=facts, now=now)
    return Decided(len(changed), sum(changed.values()), {})


async def submit(
    session: AsyncSession,
    *,
    company_id: UUID,
    request_ids: Sequence[UUID] | None = None,
    span: Span | None = None,
    departments: Collection[UUID] | None = None,
    actor: Actor,
    now: datetime,
) -> Decided:
    """Ask for drafts, these or all of a period, after a check; drafts of nothing are left.

    :raises NothingToDecide: if there is none
    """
    return await _decide(
        session,
        RequestStatus.REQUESTED,
        company_id=company_id,
        request_ids=request_ids,
        span=span,
        departments=departments,
        actor=actor,
        now=now,
    )


async def approve_for_department(
    session: AsyncSession,
    *,
    company_id: UUID,
    request_ids: Sequence[UUID] | None = None,
    span: Span | None = None,
    departments: Collection[UUID] | None = None,
    actor: Actor,
    now: datetime,
) -> Decided:
    """Approve for the department what was asked for and no check holds back.

    :raises NothingToDecide: if there is none
    """
    return await _decide(
        session,
        RequestStatus.DEPARTMENT_APPROVED,
        company_id=company_id,
        request_ids=request_ids,
        span=span,
        departments=departments,
        actor=actor,
        now=now,
    )


async def approve(
    session: AsyncSession,
    *,
    company_id: UUID,
    request_ids: Sequence[UUID] | None = None,
    span: Span | None = None,
    actor: Actor,
    now: datetime,
) -> Decided:
    """Approve for the company what departments approved, and what no department answers for.

    :raises FourEyes: if this person approved them for the department, or asked for them where there is none
    :raises NothingToDecide: if there is none
    """
    return await _decide(
        session, RequestStatus.APPROVED, company_id=company_id, request_ids=request_ids, span=span, departments=None, actor=actor, now=now
    )


async def refuse(
    session: AsyncSession,
    *,
    company_id: UUID,
    request_ids: Sequence[UUID],
    departments: Collection[UUID] | None = None,
    note: str,
    actor: Actor,
    now: datetime,
) -> Decided:
    """Refuse requests and say why.

    :raises NothingToDecide: if none can be refused any more
    """
    return await _decide(
        session,
        RequestStatus.REFUSED,
        company_id=company_id,
        request_ids=request_ids,
        span=None,
        departments=departments,
        actor=actor,
        now=now,
        note=note,
    )


async def withdraw(
    session: AsyncSession,
    *,
    company_id: UUID,
    request_ids: Sequence[UUID],
    departments: Collection[UUID] | None = None,
    note: str = "",
    actor: Actor,
    now: datetime,
) -> Decided:
    """Take requests back that are in no run yet.

    :raises NothingToDecide: if none can be withdrawn any more
    """
    return await _decide(
        session,
        RequestStatus.WITHDRAWN,
        company_id=company_id,
        request_ids=request_ids,
        span=None,
        departments=departments,
        actor=actor,
        now=now,
        note=note,
    )


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


class _Row(NamedTuple):
    request_id: UUID
    kind: AllocationKind
    status: RequestStatus
    department_id: UUID | None
    wanted_minor: int
    checks: list[str]
    requested_by: str | None
    department_by: str | None
    in_run: bool


async def _lock(
    session: AsyncSession,
    *,
    company_id: UUID,
    request_ids: Sequence[UUID] | None,
    span: Span | None = None,
    statuses: Collection[RequestStatus] | None = None,
    departments: Collection[UUID] | None,
) -> list[_Row]:
    assert request_ids is not None or span is not None, "these, or all of a period"
    where = filtered(
        company_id=company_id,
        period_from=None if span is None else span.first,
        kind=None if span is None else AllocationKind.MONTHLY,
        statuses=statuses if request_ids is None else None,
        departments=departments,
    )
    if request_ids is not None:
        where.append(AllocationRequest.request_id.in_(request_ids))
    in_run = (
        select(func.count())
        .select_from(AllocationLine)
        .where(AllocationLine.request_id == AllocationRequest.request_id, AllocationRequest.status != RequestStatus.FAILED)
        .scalar_subquery()
    )
    columns = [getattr(AllocationRequest, name) for name in _Row._fields if name != "in_run"]
    rows = await session.execute(
        select(*columns, in_run > 0).where(and_(*where)).order_by(AllocationRequest.request_id).with_for_update(of=AllocationRequest)
    )
    return [_Row._make(row) for row in rows]


def _hindrance(row: _Row, to: RequestStatus, actor: Actor) -> str | None:
    """Say why a request does not move so, as a code."""
    person = who(actor)
    if row.status not in sources(to) or row.in_run:
        return row.status.value
    if to is RequestStatus.REQUESTED:
        return "nothing_wanted" if row.wanted_minor <= 0 else None
    if to in {RequestStatus.DEPARTMENT_APPROVED, RequestStatus.APPROVED} and row.checks:
        return row.checks[0]
    if to is RequestStatus.DEPARTMENT_APPROVED and row.department_id is None:
        return "no_department"
    if to is RequestStatus.APPROVED:
        if row.status is RequestStatus.REQUESTED and row.department_id is not None:
            return "department_first"
        if row.status is RequestStatus.FAILED:
            return row.status.value
        first = row.requested_by if row.department_id is None else row.department_by
        if first == person:
            return "four_eyes"
    return None


async def _decide(
    session: AsyncSession,
    to: RequestStatus,
    *,
    company_id: UUID,
    request_ids: Sequence[UUID] | None,
    span: Span | None,
    departments: Collection[UUID] | None,
    actor: Actor,
    now: datetime,
    note: str = "",
) -> Decided:
    """Move requests along the table of moves, those that can be; say why the others were not."""
    rows = await _lock(session, company_id=company_id, request_ids=request_ids, span=span, statuses=sources(to), departments=departments)
    held: Counter[str] = Counter()
    moving: list[_Row] = []
    for row in rows:
        code = _hindrance(row, to, actor)
        if code is None:
            moving.append(row)
        else:
            held[code] += 1
    if not moving and set(held) == {"four_eyes"}:
        raise FourEyes(company=company_id)
    _refuse_none(len(moving), held, 0 if request_ids is None else len(set(request_ids)) - len(rows))
    said: dict[str, Any] = {"status": to, "updated_at": now}
    if to is RequestStatus.REQUESTED:
        said |= {"requested_by": who(actor), "requested_at": now}
    elif to is RequestStatus.DEPARTMENT_APPROVED:
        said |= {"department_by": who(actor), "department_at": now}
    elif to in {RequestStatus.APPROVED, RequestStatus.REFUSED}:
        # Whoever refuses what he had approved for the department is one person all the same: the row's rule is about approval.
        said |= {"decided_by": who(actor), "decided_at": now} if to is RequestStatus.APPROVED else {"decided_at": now}
    if note.strip():
        said["note"] = note.strip()
    ids = [row.request_id for row in moving]
    await session.execute(
        update(AllocationRequest)
        .where(AllocationRequest.request_id == func.any(ids))
        .values(said)
        .execution_options(synchronize_session=False)
    )
    session.expire_all()
    total = sum(row.wanted_minor for row in moving)
    facts = {"requests": len(moving), "amount_minor": total, "held": dict(held), "note": note.strip()}
    if len(ids) <= 50:
        facts["request_ids"] = ids
    await audit.record(session, actor=actor, action=f"fleet.allocation_{to.value}", subject=("company", company_id), facts=facts, now=now)
    return Decided(len(moving), total, dict(held))


def _refuse_none(moved: int, held: Mapping[str, int], unknown: int) -> None:
    if moved:
        return
    why = [f"{code}: {count}" for code, count in sorted(held.items())] + ([f"not_found: {unknown}"] if unknown else [])
    raise NothingToDecide(why=", ".join(why) or "—", **held)
