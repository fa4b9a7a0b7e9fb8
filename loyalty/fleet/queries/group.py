"""A group's figures, for the company at its top: sums of each company below it, none of their rows."""

from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import exists, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.fleet.model import Company

_FIGURES: Final = text("SELECT * FROM group_figures(CAST(:first AS date), CAST(:end AS date))")


class Member(NamedTuple):
    """One company of a group: `depth` 0 is the one that asks. Thousandths of litres, minor units of its own currency."""

    company_id: UUID
    depth: int
    name: str
    currency: str
    fills: int
    quantity_milli: int
    discount_minor: int
    card_minor: int
    vehicles: int
    cards: int
    findings: int
    pool_minor: int


async def group_figures(session: AsyncSession, *, first: date, end: date) -> Sequence[Member]:
    """Return what the asking tenant and every company below it came to in `[first, end)`.

    Only within a tenant's fence (`app.tenant`): the database itself says whose group is read.
    """
    return [Member(*row) for row in await session.execute(_FIGURES, {"first": first, "end": end})]


async def heads_a_group(session: AsyncSession, *, company_id: UUID) -> bool:
    """Say whether a company stands above others; outside any tenant's fence."""
    return bool(await session.scalar(select(exists().where(Company.parent_id == company_id))))
