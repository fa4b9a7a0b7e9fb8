"""Agreements as people work with them: lists, a company's, one with its revisions."""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from loyalty.customers.model import Customer
from loyalty.customers.queries import family_of
from loyalty.identity.model import Staff
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, one_as, page_as
from loyalty.pricing.agreements import Line
from loyalty.pricing.model import Agreement, AgreementStatus
from loyalty.pricing.operations.agreements import AgreementNotFound


class AgreementState(StrEnum):
    """Where an agreement is at an instant: its status, and whether its time has come."""

    DRAFT = "draft"
    COMING = "coming"
    RUNNING = "running"
    OVER = "over"
    """Its time is up, or its next revision has begun."""
    ENDED = "ended"
    """Taken back, or a draft that was given up."""


class AgreementLine(msgspec.Struct, frozen=True):
    """An agreement in a list."""

    agreement_id: UUID
    code: str
    revision: int
    customer_id: UUID
    customer_name: str
    name_zh: str
    name_en: str
    status: AgreementStatus
    currency: str
    lowest_wins: bool
    funder: str
    line_count: int
    starts_at: datetime
    ends_at: datetime | None
    made_by: UUID | None
    made_by_name: str | None
    made_at: datetime
    approved_by: UUID | None
    approved_by_name: str | None
    approved_at: datetime | None

    def state(self, now: datetime) -> AgreementState:
        """Say where it is."""
        if self.status is not AgreementStatus.APPROVED:
            return AgreementState(self.status.value)
        if self.ends_at is not None and self.ends_at <= now:
            return AgreementState.OVER
        return AgreementState.COMING if self.starts_at > now else AgreementState.RUNNING


class AgreementView(AgreementLine, frozen=True):
    """An agreement whole."""

    lines: tuple[Line, ...]


async def list_agreements(
    session: AsyncSession,
    *,
    now: datetime,
    state: AgreementState | None = None,
    text: str = "",
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[AgreementLine]:
    """Read a page of agreements, the latest made first; `text` begins a company's name or is a code.

    :raises CursorNotUnderstood, PageSizeOutOfRange: as `paging.page`
    """
    statement = _lines()
    if state is not None:
        statement = statement.where(_is(state, now))
    if text:
        statement = statement.where(Customer.name.startswith(text, autoescape=True) | (Agreement.code == text))
    return await page_as(session, AgreementLine, statement, keys=[Key(Agreement.agreement_id, descending=True)], cursor=cursor, limit=limit)


async def agreements_of(session: AsyncSession, *, customer_id: UUID) -> list[AgreementLine]:
    """Return a company's agreements, all records merged into it included, the latest made first.

    :raises CustomerNotFound: if there is no such customer
    """
    family = await family_of(session, customer_id=customer_id)
    statement = _lines().where(Agreement.customer_id.in_(family)).order_by(Agreement.agreement_id.desc())
    return await all_as(session, AgreementLine, statement)


async def get_agreement(session: AsyncSession, *, agreement_id: UUID) -> AgreementView:
    """Return one agreement.

    :raises AgreementNotFound: if there is none
    """
    line = await one_as(session, AgreementLine, _lines().where(Agreement.agreement_id == agreement_id))
    if line is None:
        raise AgreementNotFound(agreement=agreement_id)
    return (await _whole(session, [line]))[0]


async def revisions_of(session: AsyncSession, *, code: str) -> list[AgreementLine]:
    """Return every revision of an agreement, the latest first; none for an unknown code."""
    return await all_as(session, AgreementLine, _lines().where(Agreement.code == code).order_by(Agreement.revision.desc()))


async def latest_of(session: AsyncSession, *, code: str) -> AgreementView | None:
    """Return the latest revision of an agreement; None for an unknown code."""
    found = await revisions_of(session, code=code)
    return None if not found else (await _whole(session, found[:1]))[0]


async def agreements_named(session: AsyncSession, *, revisions: Collection[tuple[str, int]]) -> dict[tuple[str, int], UUID]:
    """Return which of these codes and revisions are agreements: a sale keeps what applied by them, as it keeps its rules."""
    found = await session.execute(
        select(Agreement.code, Agreement.revision, Agreement.agreement_id).where(
            tuple_(Agreement.code, Agreement.revision).in_(list(revisions)), Agreement.approved_at.is_not(None)
        )
    )
    return {(row.code, row.revision): row.agreement_id for row in found}


async def standing_agreements(session: AsyncSession, *, now: datetime) -> list[AgreementView]:
    """Return what is agreed now or will be, by code and beginning: what a file of agreements holds."""
    stands = _lines().where(_is(AgreementState.RUNNING, now) | _is(AgreementState.COMING, now))
    return await _whole(session, await all_as(session, AgreementLine, stands.order_by(Agreement.code, Agreement.revision)))


async def _whole(session: AsyncSession, found: Sequence[AgreementLine]) -> list[AgreementView]:
    kept = select(Agreement.agreement_id, Agreement.lines).where(Agreement.agreement_id.in_([one.agreement_id for one in found]))
    lines = {row.agreement_id: tuple(msgspec.convert(line, Line) for line in row.lines) for row in await session.execute(kept)}
    return [AgreementView(**msgspec.structs.asdict(one), lines=lines[one.agreement_id]) for one in found]


def _is(state: AgreementState, now: datetime) -> ColumnElement[bool]:
    """Say in SQL what `AgreementLine.state` says."""
    if state in {AgreementState.DRAFT, AgreementState.ENDED}:
        return Agreement.status == AgreementStatus(state.value)
    approved = Agreement.status == AgreementStatus.APPROVED
    if state is AgreementState.OVER:
        return and_(approved, Agreement.ends_at <= now)
    begun = Agreement.starts_at > now if state is AgreementState.COMING else Agreement.starts_at <= now
    return and_(approved, begun, Agreement.ends_at.is_(None) | (Agreement.ends_at > now))


def _lines() -> Select[*tuple[Any, ...]]:
    made, approved = aliased(Staff), aliased(Staff)
    return (
        select(
            Agreement.agreement_id,
            Agreement.code,
            Agreement.revision,
            Agreement.customer_id,
            Customer.name,
            Agreement.name_zh,
            Agreement.name_en,
            Agreement.status,
            Agreement.currency,
            Agreement.lowest_wins,
            Agreement.funder,
            func.jsonb_array_length(Agreement.lines),
            Agreement.starts_at,
            Agreement.ends_at,
            Agreement.made_by,
            made.name.label("made_by_name"),
            Agreement.made_at,
            Agreement.approved_by,
            approved.name.label("approved_by_name"),
            Agreement.approved_at,
        )
        .join(Customer, Customer.customer_id == Agreement.customer_id)
        .outerjoin(made, made.staff_id == Agreement.made_by)
        .outerjoin(approved, approved.staff_id == Agreement.approved_by)
    )
