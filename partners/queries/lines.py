"""Lines of a partner's book, and what they come to."""

from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, ColumnElement, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.paging import PAGE_SIZE, Key, Page, page_as
from partners.model import PartnerOutlet
from partners.model_lines import LineKind, PartnerLine


class LineView(msgspec.Struct, frozen=True):
    """One line; amounts in minor units of the partner's currency."""

    number: int
    kind: LineKind
    period: date
    event_at: datetime
    booked_at: datetime
    benefit: str | None
    pieces: int
    outlet_zh: str | None
    outlet_en: str | None
    served_by: str
    reference: str
    currency: str
    gross_minor: int
    saved_minor: int
    shares: dict[str, int]
    partner_minor: int
    commission_share: int
    commission_minor: int
    paid_minor: int
    due_minor: int
    mirrors: int | None
    why: str


class Sums(NamedTuple):
    """What lines come to: their number, and their columns' sums."""

    lines: int
    pieces: int
    gross_minor: int
    saved_minor: int
    partner_minor: int
    commission_minor: int
    paid_minor: int
    due_minor: int


class MonthSums(NamedTuple):
    """What the lines of one month come to."""

    period: date
    sums: Sums


_OUTLET: Final = {"outlet_zh": PartnerOutlet.name_zh, "outlet_en": PartnerOutlet.name_en}
_LINE: Final = [_OUTLET.get(name) or getattr(PartnerLine, name) for name in LineView.__struct_fields__]


async def lines_of(
    session: AsyncSession, *, partner_id: UUID, period: date | None = None, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[LineView]:
    """Return a partner's lines, of one month or all, the latest first."""
    wanted = select(*_LINE).outerjoin(PartnerOutlet, PartnerOutlet.outlet_id == PartnerLine.outlet_id).where(*_of(partner_id, period))
    return await page_as(session, LineView, wanted, keys=[Key(PartnerLine.number, descending=True)], cursor=cursor, limit=limit)


async def sums_of(session: AsyncSession, *, partner_id: UUID, period: date | None = None) -> Sums:
    """Return what a partner's lines of one month, or all, come to."""
    row = (await session.execute(select(*_sums()).where(*_of(partner_id, period)))).one()
    return Sums(*row)


async def sums_by_month(session: AsyncSession, *, partner_id: UUID) -> list[MonthSums]:
    """Return what each month that has lines comes to, the latest first."""
    wanted = select(PartnerLine.period, *_sums()).where(*_of(partner_id, None)).group_by(PartnerLine.period)
    rows = await session.execute(wanted.order_by(PartnerLine.period.desc()))
    return [MonthSums(period, Sums(*sums)) for period, *sums in rows]


def _sums() -> list[ColumnElement[Any]]:
    columns = (getattr(PartnerLine, name) for name in Sums._fields if name != "lines")
    return [func.count(PartnerLine.number), *(cast(func.coalesce(func.sum(column), 0), BigInteger) for column in columns)]


def _of(partner_id: UUID, period: date | None) -> list[ColumnElement[bool]]:
    of = [PartnerLine.partner_id == partner_id]
    return of if period is None else [*of, PartnerLine.period == period]
