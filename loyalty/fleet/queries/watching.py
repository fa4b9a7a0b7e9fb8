"""Reading what waits for the company and what is odd: askings of the pump, and findings."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.model import Card
from loyalty.errors import NotFound
from loyalty.fleet.detecting import Kind, Severity
from loyalty.fleet.model import CardBinding, Driver, Vehicle
from loyalty.fleet.model_allocations import AllocationRequest, RequestStatus
from loyalty.fleet.model_approvals import Approval, ApprovalStatus, CompanyDeputy, DecidedBy
from loyalty.fleet.model_fills import FleetFill
from loyalty.fleet.model_findings import Disposition, FindingStep, MisuseFinding
from loyalty.paging import PAGE_SIZE, Key, Page, one_as, page_as
from loyalty.stations.model import Product, Station


class ApprovalNotFound(NotFound):
    """Unknown, or another company's: the answer is the same."""

    zh = "没有找到该放行申请。"
    en = "There is no such asking."


class FindingNotFound(NotFound):
    """Unknown, or another company's: the answer is the same."""

    zh = "没有找到该异常记录。"
    en = "There is no such finding."


class ApprovalView(msgspec.Struct, frozen=True):
    """One asking, in the words of its reader: whose card, where, what for, and until when it waits."""

    approval_id: UUID
    department_id: UUID | None
    card_id: UUID
    card_tail: str
    plate: str | None
    driver: str | None
    station_zh: str
    station_en: str
    product_zh: str | None
    product_en: str | None
    limit: str
    asked_minor: int | None
    asked_milli: int | None
    left_minor: int | None
    left_milli: int | None
    asked_at: datetime
    deputy_at: datetime
    decide_at: datetime
    status: ApprovalStatus
    decided_at: datetime | None
    decided_by: DecidedBy | None
    reason: str | None


class FindingView(msgspec.Struct, frozen=True):
    """One finding with whose fill it was."""

    finding_id: UUID
    department_id: UUID | None
    vehicle_id: UUID
    plate: str
    driver: str | None
    kind: Kind
    severity: Severity
    evidence: dict[str, Any]
    event_at: datetime
    sale_id: UUID
    disposition: Disposition
    card_id: UUID | None
    card_tail: str | None
    station_zh: str | None
    station_en: str | None
    product_zh: str | None
    product_en: str | None
    quantity_milli: int | None
    card_minor: int | None
    odometer_km: int | None
    """What the fill was; None where it is not collected."""


def _approvals(company_id: UUID) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Approval.approval_id,
            func.coalesce(CardBinding.department_id, Vehicle.department_id, Driver.department_id).label("department_id"),
            Approval.card_id,
            Card.number_tail.label("card_tail"),
            Vehicle.plate,
            Driver.name.label("driver"),
            Station.name_zh.label("station_zh"),
            Station.name_en.label("station_en"),
            Product.name_zh.label("product_zh"),
            Product.name_en.label("product_en"),
            *(Approval.limit, Approval.asked_minor, Approval.asked_milli, Approval.left_minor, Approval.left_milli),
            *(Approval.asked_at, Approval.deputy_at, Approval.decide_at),
            *(Approval.status, Approval.decided_at, Approval.decided_by, Approval.reason),
        )
        .join(Card, Card.card_id == Approval.card_id)
        .join(Station, Station.station_id == Approval.station_id)
        .outerjoin(Product, Product.product_id == Approval.product_id)
        .outerjoin(CardBinding, (CardBinding.chain_id == Approval.chain_id) & CardBinding.until.is_(None))
        .outerjoin(Vehicle, Vehicle.vehicle_id == CardBinding.vehicle_id)
        .outerjoin(Driver, Driver.driver_id == CardBinding.driver_id)
        .where(Approval.company_id == company_id)
    )


def _of_departments(statement: Select[*tuple[Any, ...]], departments: Collection[UUID] | None, *columns: Any) -> Select[*tuple[Any, ...]]:
    return statement if departments is None else statement.where(func.coalesce(*columns).in_(departments))


async def list_approvals(
    session: AsyncSession,
    *,
    company_id: UUID,
    departments: Collection[UUID] | None = None,
    status: ApprovalStatus | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[ApprovalView]:
    """Return what the company was asked, the latest first."""
    statement = _of_departments(_approvals(company_id), departments, CardBinding.department_id, Vehicle.department_id, Driver.department_id)
    if status is not None:
        statement = statement.where(Approval.status == status)
    keys = [Key(Approval.approval_id, descending=True)]
    return await page_as(session, ApprovalView, statement, keys=keys, cursor=cursor, limit=limit)


async def get_approval(session: AsyncSession, *, company_id: UUID, approval_id: UUID) -> ApprovalView:
    """Return one asking.

    :raises ApprovalNotFound: if the company was not asked this
    """
    found = await one_as(session, ApprovalView, _approvals(company_id).where(Approval.approval_id == approval_id))
    if found is None:
        raise ApprovalNotFound(approval=approval_id)
    return found


async def deputies_of(session: AsyncSession, *, company_id: UUID) -> list[UUID]:
    """Return who stands in for the manager."""
    return list(await session.scalars(select(CompanyDeputy.user_id).where(CompanyDeputy.company_id == company_id)))


async def waiting_of(session: AsyncSession, *, company_id: UUID, departments: Collection[UUID] | None = None) -> tuple[int, int]:
    """Return how many askings wait for an answer, and how many findings are open, of the whole company or of departments."""
    odd = _findings(company_id).where(MisuseFinding.disposition == Disposition.OPEN)
    if departments is not None:
        odd = odd.where(Vehicle.department_id.in_(departments))
    asked = await count_asked(session, company_id=company_id, departments=departments)
    return asked, await session.scalar(select(func.count()).select_from(odd.subquery())) or 0


async def count_asked(session: AsyncSession, *, company_id: UUID, departments: Collection[UUID] | None = None) -> int:
    """Return how many askings of the pump wait for an answer."""
    asked = _approvals(company_id).where(Approval.status == ApprovalStatus.ASKED)
    asked = _of_departments(asked, departments, CardBinding.department_id, Vehicle.department_id, Driver.department_id)
    return await session.scalar(select(func.count()).select_from(asked.subquery())) or 0


async def open_by_severity(session: AsyncSession, *, company_id: UUID, departments: Collection[UUID] | None = None) -> dict[Severity, int]:
    """Return how many findings are open, by how far they are from normal."""
    wanted = select(MisuseFinding.severity, func.count()).where(
        MisuseFinding.company_id == company_id, MisuseFinding.disposition == Disposition.OPEN
    )
    if departments is not None:
        wanted = wanted.join(Vehicle, Vehicle.vehicle_id == MisuseFinding.vehicle_id).where(Vehicle.department_id.in_(departments))
    rows = await session.execute(wanted.group_by(MisuseFinding.severity))
    return {row[0]: row[1] for row in rows}


async def requests_waiting(session: AsyncSession, *, company_id: UUID, departments: Collection[UUID] | None = None) -> int:
    """Return how many askings for an allocation wait for a decision."""
    waits = (RequestStatus.REQUESTED, RequestStatus.DEPARTMENT_APPROVED)
    wanted = select(func.count()).where(AllocationRequest.company_id == company_id, AllocationRequest.status.in_(waits))
    if departments is not None:
        wanted = wanted.where(AllocationRequest.department_id.in_(departments))
    return await session.scalar(wanted) or 0


def _findings(company_id: UUID) -> Select[*tuple[Any, ...]]:
    return (
        select(
            MisuseFinding.finding_id,
            Vehicle.department_id,
            Vehicle.vehicle_id,
            Vehicle.plate,
            Driver.name.label("driver"),
            *(MisuseFinding.kind, MisuseFinding.severity, MisuseFinding.evidence, MisuseFinding.event_at, MisuseFinding.sale_id),
            MisuseFinding.disposition,
            *(FleetFill.card_id, Card.number_tail, Station.name_zh, Station.name_en, Product.name_zh, Product.name_en),
            *(FleetFill.quantity_milli, FleetFill.card_minor, FleetFill.odometer_km),
        )
        .join(Vehicle, Vehicle.vehicle_id == MisuseFinding.vehicle_id)
        .outerjoin(Driver, Driver.driver_id == MisuseFinding.driver_id)
        .outerjoin(FleetFill, (FleetFill.account_id == MisuseFinding.account_id) & (FleetFill.sale_id == MisuseFinding.sale_id))
        .outerjoin(Card, Card.card_id == FleetFill.card_id)
        .outerjoin(Station, Station.station_id == FleetFill.station_id)
        .outerjoin(Product, Product.product_id == FleetFill.product_id)
        .where(MisuseFinding.company_id == company_id)
    )


async def list_findings(
    session: AsyncSession,
    *,
    company_id: UUID,
    departments: Collection[UUID] | None = None,
    disposition: Disposition | None = None,
    kind: Kind | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[FindingView]:
    """Return a company's findings, the latest fills first."""
    statement = _findings(company_id)
    if departments is not None:
        statement = statement.where(Vehicle.department_id.in_(departments))
    if disposition is not None:
        statement = statement.where(MisuseFinding.disposition == disposition)
    if kind is not None:
        statement = statement.where(MisuseFinding.kind == kind)
    keys = [Key(MisuseFinding.event_at, descending=True), Key(MisuseFinding.finding_id, descending=True)]
    return await page_as(session, FindingView, statement, keys=keys, cursor=cursor, limit=limit)


async def get_finding(session: AsyncSession, *, company_id: UUID, finding_id: UUID) -> tuple[FindingView, list[FindingStep]]:
    """Return one finding and what was said of it, in order.

    :raises FindingNotFound: if the company has no such finding
    """
    found = await one_as(session, FindingView, _findings(company_id).where(MisuseFinding.finding_id == finding_id))
    if found is None:
        raise FindingNotFound(finding=finding_id)
    steps = await session.scalars(select(FindingStep).where(FindingStep.finding_id == finding_id).order_by(FindingStep.step_id))
    return found, list(steps)
