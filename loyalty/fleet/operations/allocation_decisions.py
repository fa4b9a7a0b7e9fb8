"""Deciding on requests for allocation: asked for, approved by two people, refused, withdrawn; each along the table of moves."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import and_, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.errors import Refusal
from loyalty.fleet.allocation_rules import Span, sources
from loyalty.fleet.model_allocations import AllocationKind, AllocationLine, AllocationRequest, RequestStatus
from loyalty.fleet.queries.allocations import filtered


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


class Decided(NamedTuple):
    """How many requests moved, what they ask for, and why the others did not (code → how many)."""

    moved: int
    amount_minor: int
    held: dict[str, int]


def who(actor: Actor) -> str:
    """Name an actor as requests keep him."""
    return f"{actor.kind.value}:{actor.actor_id}"


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
    return await _decide(session, RequestStatus.APPROVED, company_id=company_id, request_ids=request_ids, span=span, actor=actor, now=now)


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
        departments=departments,
        actor=actor,
        now=now,
        note=note,
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
    request_ids: Sequence[UUID] | None = None,
    span: Span | None = None,
    departments: Collection[UUID] | None = None,
    note: str = "",
    actor: Actor,
    now: datetime,
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
    elif to is RequestStatus.APPROVED:
        said |= {"decided_by": who(actor), "decided_at": now}
    elif to is RequestStatus.REFUSED:
        # Whoever refuses what he had approved for the department is one person all the same: the row's rule is about approval.
        said |= {"decided_at": now}
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
