"""Reading allocation: what proposals are made of, requests, runs and their lines. Everything takes the company first."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, and_, cast, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.model import HOLDING, Card
from loyalty.errors import NotFound
from loyalty.fleet.allocation_rules import Consumer, Rate, Span, instants
from loyalty.fleet.model import CardBinding, Department, Ownership, Vehicle, VehicleStatus
from loyalty.fleet.model_allocations import (
    AllocationKind,
    AllocationLine,
    AllocationRate,
    AllocationRequest,
    AllocationRun,
    AllocationSettings,
    LineResult,
    PoolMove,
    RequestStatus,
    RunStatus,
)
from loyalty.ids import uuid7_floor
from loyalty.ledger.model import Purse, PurseKind
from loyalty.limits.rules import plate_key
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, one_as, page_as

from .companies import CompanyView


class RunNotFound(NotFound):
    """Unknown, or another company's."""

    zh = "没有找到该批次的分配。"
    en = "There is no such allocation run."


class RequestNotFound(NotFound):
    """Unknown, or another company's."""

    zh = "没有找到该分配申请。"
    en = "There is no such allocation request."


class Terms(msgspec.Struct, frozen=True):
    """A company's settings of allocation; the defaults where it has none."""

    standing: bool = True
    early_below_percent: int = 20


class Candidate(NamedTuple):
    """A usable card of a company, its vehicle, and what the chain used in one period."""

    chain_id: UUID
    card_id: UUID
    vehicle_id: UUID | None
    department_id: UUID | None
    vehicle_status: VehicleStatus | None
    is_new: bool
    """Bound, or issued where nothing is bound, within that period or after it."""
    odometer_read: bool
    consumer: Consumer


async def terms_of(session: AsyncSession, *, company_id: UUID) -> Terms:
    """Return a company's settings of allocation."""
    row = await session.get(AllocationSettings, company_id)
    return Terms() if row is None else Terms(row.standing, row.early_below_percent)


async def rates_of(session: AsyncSession, *, company_id: UUID) -> list[AllocationRate]:
    """Return a company's table, by type and displacement."""
    statement = select(AllocationRate).where(AllocationRate.company_id == company_id)
    return list(await session.scalars(statement.order_by(AllocationRate.vehicle_type, AllocationRate.from_ml)))


def rate_rows(rows: Sequence[AllocationRate]) -> list[Rate]:
    """Return the table as the rules read it."""
    return [Rate(row.vehicle_type, row.from_ml, row.below_ml, row.quantity_milli, row.amount_minor, row.factor_percent) for row in rows]


_CANDIDATES = """
    WITH used AS (
        SELECT chain_id, count(*) AS fills, sum(quantity_milli) AS quantity, sum(quantity_milli::numeric * unit_price_e4) AS worth
        FROM sales
        WHERE account_id = :account AND sale_id >= :since_id AND event_at >= :since AND event_at < :until AND status IN (1, 2)
            AND quantity_milli > 0 AND chain_id IS NOT NULL AND (CAST(:chains AS uuid[]) IS NULL OR chain_id = ANY (:chains))
        GROUP BY chain_id
    ), listed AS (
        -- What a litre costs at most of our stations, for who has not fuelled yet.
        SELECT p.code, percentile_disc(0.5) WITHIN GROUP (ORDER BY now.unit_price_e4) AS price
        FROM products AS p JOIN LATERAL (
            SELECT DISTINCT ON (s.station_id) s.unit_price_e4 FROM station_prices AS s
            WHERE s.product_id = p.product_id AND s.withdrawn_at IS NULL AND s.effective_from <= :now
            ORDER BY s.station_id, s.effective_from DESC
        ) AS now ON true
        WHERE p.code IN (SELECT product_code FROM vehicles WHERE company_id = :company)
        GROUP BY p.code
    )
    SELECT c.chain_id, c.card_id, b.vehicle_id, coalesce(b.department_id, v.department_id) AS department_id, v.status AS vehicle_status,
        coalesce((SELECT min(f.since) FROM card_bindings AS f WHERE f.chain_id = c.chain_id AND f.company_id = :company),
            c.issued_at, c.created_at) >= :since AS is_new,
        coalesce(v.odometer_at >= :since, false) AS odometer_read,
        v.type, v.displacement_ml, v.ownership, v.fixed_amount_minor, coalesce(u.fills, 0) AS fills, coalesce(u.quantity, 0) AS quantity,
        coalesce((u.worth / nullif(u.quantity, 0)), (SELECT sum(worth) / nullif(sum(quantity), 0) FROM used
            WHERE v.product_code IS NULL), l.price, (SELECT sum(worth) / nullif(sum(quantity), 0) FROM used))::bigint AS price
    FROM cards AS c
    LEFT JOIN card_bindings AS b ON b.chain_id = c.chain_id AND b.until IS NULL AND b.company_id = :company
    LEFT JOIN vehicles AS v ON v.vehicle_id = b.vehicle_id
    LEFT JOIN used AS u ON u.chain_id = c.chain_id
    LEFT JOIN listed AS l ON l.code = v.product_code
    WHERE c.account_id = :account AND c.status IN (1, 2, 3) AND NOT c.is_main
        AND (CAST(:chains AS uuid[]) IS NULL OR c.chain_id = ANY (:chains))
    ORDER BY c.chain_id
"""


async def candidates(
    session: AsyncSession, *, company: CompanyView, last: Span, now: datetime, chain_ids: Sequence[UUID] | None = None
) -> list[Candidate]:
    """Return the usable cards of a company but its managing one, with what each used in the period `last`."""
    since, until = instants(last, company.time_zone)
    rows = await session.execute(
        text(_CANDIDATES),
        {
            "account": company.account_id,
            "company": company.company_id,
            "since_id": uuid7_floor(since),
            "since": since,
            "until": until,
            "now": now,
            "chains": None if chain_ids is None else list(chain_ids),
        },
    )
    return [
        Candidate(
            row.chain_id,
            row.card_id,
            row.vehicle_id,
            row.department_id,
            None if row.vehicle_status is None else VehicleStatus(row.vehicle_status),
            row.is_new,
            row.odometer_read,
            Consumer(
                row.type,
                row.displacement_ml,
                None if row.ownership is None else Ownership(row.ownership),
                row.fixed_amount_minor,
                int(row.fills),
                int(row.quantity),
                row.price,
            ),
        )
        for row in rows
    ]


class RequestView(msgspec.Struct, frozen=True):
    """A request as pages show it, with its card and vehicle."""

    request_id: UUID
    kind: AllocationKind
    period_from: date
    period_to: date
    chain_id: UUID
    card_id: UUID | None
    card_tail: str | None
    vehicle_id: UUID | None
    plate: str | None
    department_id: UUID | None
    department: str | None
    proposal_minor: int
    basis: dict[str, Any]
    wanted_minor: int
    reason: str
    status: RequestStatus
    checks: list[str]
    note: str
    requested_by: str | None
    department_by: str | None
    decided_by: str | None
    run_id: UUID | None
    line: int | None
    result: LineResult | None
    code: str | None
    loaded_minor: int | None
    gathered_minor: int | None


class Sum(NamedTuple):
    """How many requests stand so, and what they ask for."""

    status: RequestStatus
    requests: int
    held: int
    """Those that a check holds back."""
    wanted_minor: int


def _usable() -> Any:
    """Return each chain's usable card."""
    return (
        select(Card.card_id, Card.number_tail)
        .where(Card.chain_id == AllocationRequest.chain_id, Card.status.in_([1, 2, 3, 4]))
        .order_by(Card.card_id.desc())
        .limit(1)
        .lateral("usable")
    )


def _requests(company_id: UUID) -> Select[*tuple[Any, ...]]:
    usable = _usable()
    columns: dict[str, Any] = {
        "card_id": usable.c.card_id,
        "card_tail": usable.c.number_tail.label("card_tail"),
        "plate": Vehicle.plate,
        "department": Department.name.label("department"),
        "run_id": AllocationLine.run_id,
        "line": AllocationLine.line,
        "result": AllocationLine.result,
        "code": AllocationLine.code,
        "loaded_minor": AllocationLine.loaded_minor,
        "gathered_minor": AllocationLine.gathered_minor,
    }
    own = [columns[name] if name in columns else getattr(AllocationRequest, name) for name in RequestView.__struct_fields__]
    return (
        select(*own)
        .select_from(AllocationRequest)
        .join(usable, text("true"), isouter=True)
        .join(Vehicle, Vehicle.vehicle_id == AllocationRequest.vehicle_id, isouter=True)
        .join(Department, Department.department_id == AllocationRequest.department_id, isouter=True)
        .join(AllocationLine, AllocationLine.request_id == AllocationRequest.request_id, isouter=True)
        .where(AllocationRequest.company_id == company_id)
    )


def filtered(
    *,
    company_id: UUID,
    kind: AllocationKind | None = None,
    period_from: date | None = None,
    statuses: Collection[RequestStatus] | None = None,
    held: bool | None = None,
    departments: Collection[UUID] | None = None,
) -> list[ColumnElement[bool]]:
    """Return the conditions of a list of requests; `departments` None: all of the company, else those only."""
    found: list[ColumnElement[bool]] = [AllocationRequest.company_id == company_id]
    if kind is not None:
        found.append(AllocationRequest.kind == kind)
    if period_from is not None:
        found.append(AllocationRequest.period_from == period_from)
    if statuses is not None:
        found.append(AllocationRequest.status.in_(list(statuses)))
    if held is not None:
        found.append((func.jsonb_array_length(AllocationRequest.checks) > 0).is_(held))
    if departments is not None:
        found.append(AllocationRequest.department_id.in_(list(departments)))
    return found


async def list_requests(
    session: AsyncSession,
    *,
    company_id: UUID,
    kind: AllocationKind | None = None,
    period_from: date | None = None,
    statuses: Collection[RequestStatus] | None = None,
    held: bool | None = None,
    departments: Collection[UUID] | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[RequestView]:
    """Return a page of a company's requests, in the order in which they were made."""
    where = filtered(company_id=company_id, kind=kind, period_from=period_from, statuses=statuses, held=held, departments=departments)
    statement = _requests(company_id).where(and_(*where))
    return await page_as(session, RequestView, statement, keys=[Key(AllocationRequest.request_id)], cursor=cursor, limit=limit)


async def get_request(session: AsyncSession, *, company_id: UUID, request_id: UUID) -> RequestView:
    """Return one request.

    :raises RequestNotFound: if the company has none such
    """
    found = await one_as(session, RequestView, _requests(company_id).where(AllocationRequest.request_id == request_id))
    if found is None:
        raise RequestNotFound(request=request_id)
    return found


async def sums(
    session: AsyncSession,
    *,
    company_id: UUID,
    kind: AllocationKind,
    period_from: date | None = None,
    departments: Collection[UUID] | None = None,
) -> list[Sum]:
    """Return how the requests stand, by status."""
    where = filtered(company_id=company_id, kind=kind, period_from=period_from, departments=departments)
    held = func.count().filter(func.jsonb_array_length(AllocationRequest.checks) > 0)
    rows = await session.execute(
        select(AllocationRequest.status, func.count(), held, func.coalesce(func.sum(AllocationRequest.wanted_minor), 0))
        .where(and_(*where))
        .group_by(AllocationRequest.status)
    )
    return [Sum(status, count, stopped, int(wanted)) for status, count, stopped, wanted in rows]


class RunView(msgspec.Struct, frozen=True):
    """A run as pages show it: how far it is, and what it came to."""

    run_id: UUID
    kind: AllocationKind
    period_from: date
    period_to: date
    check_on: date | None
    status: RunStatus
    alarm: str | None
    lines: int
    loaded: int
    refused: int
    amount_minor: int
    loaded_minor: int
    gathered_minor: int
    started_by: str | None
    started_at: datetime | None
    heartbeat_at: datetime | None
    finished_at: datetime | None


_RUN = [getattr(AllocationRun, name) for name in RunView.__struct_fields__]


async def get_run(session: AsyncSession, *, company_id: UUID, run_id: UUID) -> RunView:
    """Return a run with its counts, readable while it loads.

    :raises RunNotFound: if the company has none such
    """
    statement = select(*_RUN).where(AllocationRun.company_id == company_id, AllocationRun.run_id == run_id)
    found = await one_as(session, RunView, statement)
    if found is None:
        raise RunNotFound(run=run_id)
    return found


async def monthly_run(session: AsyncSession, *, company_id: UUID, period_from: date) -> RunView | None:
    """Return the one run of a company and period, None while there is none."""
    statement = select(*_RUN).where(
        AllocationRun.company_id == company_id,
        AllocationRun.period_from == period_from,
        AllocationRun.kind == AllocationKind.MONTHLY,
    )
    return await one_as(session, RunView, statement)


async def list_runs(session: AsyncSession, *, company_id: UUID, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[RunView]:
    """Return a page of a company's runs, the latest first."""
    statement = select(*_RUN).where(AllocationRun.company_id == company_id)
    return await page_as(session, RunView, statement, keys=[Key(AllocationRun.run_id, descending=True)], cursor=cursor, limit=limit)


async def runs_loading(session: AsyncSession) -> list[tuple[UUID, UUID]]:
    """Return the runs that are to be loaded, as (company, run), the first asked for first: for the job."""
    statement = select(AllocationRun.company_id, AllocationRun.run_id).where(AllocationRun.status == RunStatus.LOADING)
    return [(company_id, run_id) for company_id, run_id in await session.execute(statement.order_by(AllocationRun.run_id))]


class MoveView(msgspec.Struct, frozen=True):
    """A single move between pool and card."""

    operation_id: UUID
    card_id: UUID
    card_tail: str
    direction: str
    amount_minor: int
    reason: str
    actor_kind: str
    actor_id: str
    moved_at: datetime


async def list_moves(session: AsyncSession, *, company_id: UUID, limit: int = PAGE_SIZE) -> list[MoveView]:
    """Return the latest single moves of a company."""
    own = [getattr(PoolMove, name) for name in MoveView.__struct_fields__ if name != "card_tail"]
    own.insert(2, Card.number_tail.label("card_tail"))
    statement = select(*own).join(Card, Card.card_id == PoolMove.card_id).where(PoolMove.company_id == company_id)
    return await all_as(session, MoveView, statement.order_by(PoolMove.moved_at.desc(), PoolMove.operation_id).limit(limit))


class CardMoney(msgspec.Struct, frozen=True):
    """A card that may be given money, and what it has of its own."""

    card_id: UUID
    chain_id: UUID
    card_tail: str
    plate: str | None
    balance_minor: int
    held_minor: int


async def card_money(
    session: AsyncSession,
    *,
    company: CompanyView,
    chain_id: UUID | None = None,
    said: str | None = None,
    departments: Collection[UUID] | None = None,
    limit: int | None = None,
) -> list[CardMoney]:
    """Return the usable cards of a company, or of these departments, with their own money, by card.

    :param said: only the cards of this plate, however it is written, or whose numbers end in these digits
    """
    principal = and_(Purse.account_id == company.account_id, Purse.card_id == Card.card_id, Purse.kind == PurseKind.PRINCIPAL)
    balance, held = (cast(func.coalesce(func.sum(column), 0), BigInteger) for column in (Purse.balance_minor, Purse.held_minor))
    statement = (
        select(
            Card.card_id,
            Card.chain_id,
            Card.number_tail.label("card_tail"),
            func.coalesce(Vehicle.plate, Card.plate).label("plate"),
            balance.label("balance_minor"),
            held.label("held_minor"),
        )
        .join(Purse, principal, isouter=True)
        .join(CardBinding, and_(CardBinding.chain_id == Card.chain_id, CardBinding.until.is_(None)), isouter=True)
        .join(Vehicle, Vehicle.vehicle_id == CardBinding.vehicle_id, isouter=True)
        .where(Card.account_id == company.account_id, Card.status.in_(HOLDING), ~Card.is_main)
        .group_by(Card.card_id, Vehicle.plate)
        .order_by(Card.card_id)
    )
    if chain_id is not None:
        statement = statement.where(Card.chain_id == chain_id)
    if said is not None:
        statement = statement.where(or_(Vehicle.plate_key == plate_key(said), Card.number_tail == said))
    if departments is not None:
        statement = statement.where(func.coalesce(CardBinding.department_id, Vehicle.department_id).in_(list(departments)))
    return await all_as(session, CardMoney, statement.limit(limit))


async def on_cards_minor(session: AsyncSession, *, company: CompanyView) -> int:
    """Return what lies on the usable cards of a company."""
    statement = (
        select(func.sum(Purse.balance_minor))
        .join(Card, Card.card_id == Purse.card_id)
        .where(Purse.account_id == company.account_id, Purse.kind == PurseKind.PRINCIPAL, Card.status.in_(HOLDING), ~Card.is_main)
    )
    return int(await session.scalar(statement) or 0)


async def pool_minor(session: AsyncSession, *, company: CompanyView, with_credit: bool = True) -> int:
    """Return what the pool may still give: its principal, holds left out; without its credit what it holds of the company's own."""
    credit = Purse.credit_limit_minor if with_credit else 0
    free = func.coalesce(func.sum(Purse.balance_minor + credit - Purse.held_minor), 0)
    statement = select(free).where(
        Purse.account_id == company.account_id,
        Purse.card_id.is_(None),
        Purse.kind == PurseKind.PRINCIPAL,
        Purse.unit == company.currency,
        Purse.expires_at.is_(None),
    )
    return int(await session.scalar(statement) or 0)


class CardKeys(msgspec.Struct, frozen=True):
    """By what a row of a file may name a usable card."""

    chain_id: UUID
    card_tail: str
    number_index: bytes
    plate_key: str | None


async def card_keys(session: AsyncSession, *, company: CompanyView, departments: Collection[UUID] | None = None) -> list[CardKeys]:
    """Return by what files may name the usable cards of a company, or of these departments."""
    statement = (
        select(Card.chain_id, Card.number_tail, Card.number_index, Vehicle.plate_key)
        .join(CardBinding, and_(CardBinding.chain_id == Card.chain_id, CardBinding.until.is_(None)), isouter=True)
        .join(Vehicle, Vehicle.vehicle_id == CardBinding.vehicle_id, isouter=True)
        .where(Card.account_id == company.account_id, Card.status.in_(HOLDING), ~Card.is_main)
    )
    if departments is not None:
        statement = statement.where(func.coalesce(CardBinding.department_id, Vehicle.department_id).in_(list(departments)))
    return await all_as(session, CardKeys, statement)
