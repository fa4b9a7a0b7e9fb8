"""A statement's lines by the instant they were booked: each fill, and what came back of one; their pages and their digest.

A sale is a line of the period it was booked in, a refund another one of the period *it* was booked in: a closed period never changes.
Fills are read from what the fleet room collected (`fleet_fills`), so a line has whose it was then.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    LargeBinary,
    Select,
    Text,
    and_,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.model import Refund
from loyalty.cards.model import Card
from loyalty.fleet.model import Driver, Vehicle
from loyalty.fleet.model_fills import FleetFill
from loyalty.fleet.model_findings import Disposition, MisuseFinding
from loyalty.ids import uuid7_floor
from loyalty.paging import PAGE_SIZE, Key, Page, cut_branch, page_as
from loyalty.stations.model import Station


class Part(NamedTuple):
    """Of what part of a company a statement is: all of it, some departments, a vehicle, a driver."""

    account_id: UUID
    departments: frozenset[UUID] | None = None
    vehicle_id: UUID | None = None
    driver_id: UUID | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the company's own account is what it tells of."""
        return self.departments is None and self.vehicle_id is None and self.driver_id is None


class Line(msgspec.Struct, frozen=True):
    """One fill, or what came back of one: then its figures are negative."""

    line_id: UUID
    sale_id: UUID
    back: bool
    event_at: datetime
    booked_at: datetime
    zone: str
    station_zh: str
    station_en: str | None
    vehicle_id: UUID | None
    plate: str | None
    driver: str | None
    card_tail: str | None
    product_id: UUID | None
    quantity_milli: int
    unit_price_e4: int
    gross_minor: int
    discount_minor: int
    card_minor: int
    odometer_km: int | None
    odd: bool
    """A finding is open or was confirmed."""


_FACTS: Final = ("vehicle_id", "driver_id", "department_id", "card_id", "station_id", "product_id", "plate")


def lines_of(part: Part, first: UUID | ColumnElement[UUID], last: UUID) -> CompoundSelect[*tuple[Any, ...]]:
    """Return what reads the lines that were booked with ids in `[first, last)`."""
    return union_all(*_branches(part, first, last))


_SOLD: Final = FleetFill.sale_id.label("line_id")
_CAME_BACK: Final = Refund.refund_id.label("line_id")


def _branches(part: Part, first: UUID | ColumnElement[UUID], last: UUID) -> list[Select[*tuple[Any, ...]]]:
    """Return what reads the fills, and what reads what came back, in the same columns."""
    whose: list[Any] = [getattr(FleetFill, name) for name in _FACTS]
    sold = select(
        *(_SOLD, FleetFill.sale_id, literal(False).label("back"), FleetFill.event_at, FleetFill.booked_at),
        *whose,
        *(FleetFill.unit_price_e4, FleetFill.quantity_milli, FleetFill.gross_minor, FleetFill.discount_minor, FleetFill.card_minor),
        FleetFill.odometer_km,
    ).where(FleetFill.account_id == part.account_id, FleetFill.sale_id >= first, FleetFill.sale_id < last)
    came_back = (
        select(
            *(_CAME_BACK, Refund.sale_id, literal(True), Refund.event_at, Refund.booked_at),
            *whose,
            *(FleetFill.unit_price_e4, -Refund.quantity_milli, -Refund.gross_minor, -Refund.discount_minor, -Refund.card_minor),
            cast(null(), BigInteger),
        )
        .join(FleetFill, and_(FleetFill.account_id == Refund.account_id, FleetFill.sale_id == Refund.sale_id))
        .where(Refund.account_id == part.account_id, Refund.refund_id >= first, Refund.refund_id < last)
    )
    return [_cut(sold, part), _cut(came_back, part)]


def _cut(statement: Select[*tuple[Any, ...]], part: Part) -> Select[*tuple[Any, ...]]:
    if part.departments is not None:
        statement = statement.where(FleetFill.department_id.in_(part.departments))
    if part.vehicle_id is not None:
        statement = statement.where(FleetFill.vehicle_id == part.vehicle_id)
    if part.driver_id is not None:
        statement = statement.where(FleetFill.driver_id == part.driver_id)
    return statement


async def lines_between(
    session: AsyncSession, *, part: Part, begin: datetime, end: datetime, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[Line]:
    """Read a page of a statement's lines, the latest booked first."""
    branches = _branches(part, uuid7_floor(begin), uuid7_floor(end))
    cut = [
        cut_branch(branch, keys=[Key(line_id, descending=True)], cursor=cursor, limit=limit)
        for branch, line_id in zip(branches, (_SOLD, _CAME_BACK), strict=True)
    ]
    lines = union_all(*cut).subquery("line")
    odd = select(MisuseFinding.finding_id).where(
        MisuseFinding.sale_id == lines.c.sale_id, MisuseFinding.disposition.in_([Disposition.OPEN, Disposition.CONFIRMED])
    )
    of_line = [lines.c[name] for name in ("line_id", "sale_id", "back", "event_at", "booked_at")]
    sizes = [lines.c[name] for name in ("quantity_milli", "unit_price_e4", "gross_minor", "discount_minor", "card_minor", "odometer_km")]

    def named(column: Any, key: Any, of: Any) -> Any:
        """Look up after the page is cut: joined, the names of a whole period would be found first."""
        return select(column).where(key == of).scalar_subquery()

    statement = select(
        *of_line,
        *(named(column, Station.station_id, lines.c.station_id) for column in (Station.zone, Station.name_zh, Station.name_en)),
        lines.c.vehicle_id,
        func.coalesce(named(Vehicle.plate, Vehicle.vehicle_id, lines.c.vehicle_id), lines.c.plate),
        named(Driver.name, Driver.driver_id, lines.c.driver_id),
        named(Card.number_tail, Card.card_id, lines.c.card_id),
        lines.c.product_id,
        *sizes,
        odd.exists(),
    )
    return await page_as(session, Line, statement, keys=[Key(lines.c.line_id, descending=True)], cursor=cursor, limit=limit)


async def all_lines(session: AsyncSession, *, part: Part, begin: datetime, end: datetime, most: int) -> tuple[list[Line], bool]:
    """Read a statement's lines, at most so many, the latest first; whether that is all."""
    found: list[Line] = []
    cursor: str | None = None
    while len(found) < most:
        page = await lines_between(session, part=part, begin=begin, end=end, cursor=cursor, limit=200)
        found += page.rows
        cursor = page.next
        if cursor is None:
            return found, True
    return found[:most], False


async def digest_between(session: AsyncSession, *, account_id: UUID, begin: datetime, end: datetime) -> tuple[bytes, int, int]:
    """Return SHA-256 over a company's lines of a period in the order they were booked (32 bytes), how many fills and how many refunds."""
    lines = lines_of(Part(account_id), uuid7_floor(begin), uuid7_floor(end)).subquery("line")
    facts = [
        *(lines.c.line_id, lines.c.sale_id, lines.c.back, _micros(lines.c.event_at), _micros(lines.c.booked_at)),
        *(lines.c[name] for name in _FACTS[:-1]),
        *(lines.c[name] for name in ("unit_price_e4", "quantity_milli", "gross_minor", "discount_minor", "card_minor", "odometer_km")),
        lines.c.plate,
    ]
    # An empty place is told apart from a missing one, so that no two lines give the same bytes.
    words = func.concat_ws("|", *(func.coalesce(cast(one, Text), "-") for one in facts))
    one_line = func.sha256(func.convert_to(words, "UTF8"))
    nothing = literal(b"", LargeBinary)
    whole = func.sha256(func.coalesce(func.string_agg(one_line, aggregate_order_by(nothing, lines.c.line_id)), nothing))
    digest, fills, refunds = (
        await session.execute(select(whole, func.count().filter(~lines.c.back), func.count().filter(lines.c.back)))
    ).one()
    return bytes(digest), int(fills), int(refunds)


def _micros(instant: Any) -> Any:
    """Write an instant as whole microseconds: the same bytes whatever the session's zone is."""
    return cast(func.extract("epoch", instant) * 1_000_000, BigInteger)
