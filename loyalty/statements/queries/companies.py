"""What companies' statements say: lines by the instant they were booked, their sums, and the account's money beside them.

A sale is a line of the period it was booked in, a refund another one of the period *it* was booked in: a closed period never changes.
Fills are read from what the fleet room collected (`fleet_fills`), so a line has whose it was then.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, CompoundSelect, LargeBinary, Select, Text, and_, cast, func, literal, null, select, text, union_all
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.model import Refund
from loyalty.cards.model import Card
from loyalty.clock import local_date
from loyalty.fleet.allocation_rules import Span, instants
from loyalty.fleet.model import Driver, Vehicle
from loyalty.fleet.model_fills import FleetFill
from loyalty.fleet.model_findings import Disposition, MisuseFinding
from loyalty.fleet.queries.companies import CompanyView
from loyalty.ids import instant_of, uuid7_floor
from loyalty.ledger.model import Transfer, TransferKind
from loyalty.paging import PAGE_SIZE, Key, Page, page_as
from loyalty.statements.model_companies import CompanyPeriod
from loyalty.statements.rules import Figures, Money, Totals, per_100_km_milli, spans, totals_of
from loyalty.stations.model import Product, Station


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


class StatedPeriod(msgspec.Struct, frozen=True):
    """One of a company's periods: its days `[first, end)`, its instants, and what was kept of it when it was closed."""

    first: date
    end: date
    begins_at: datetime
    ends_at: datetime
    closed_at: datetime | None = None
    totals: Totals | None = None

    @property
    def span(self) -> Span:
        """Its days."""
        return Span(self.first, self.end)


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


class Whose(NamedTuple):
    """A vehicle's or a driver's share of a statement."""

    id: UUID | None
    name: str | None
    figures: Figures
    km: int | None = None
    """Between its first and last reading that hold; None where there are not two."""
    per_100_km_milli: int | None = None


class Moved(msgspec.Struct, frozen=True):
    """Money that came, went, or changed places within the company."""

    transfer_id: UUID
    booked_at: datetime
    kind: TransferKind
    amount_minor: int
    into: bool | None
    """Into the account, out of it; None: within it."""
    card_tail: str | None


_FACTS: Final = ("vehicle_id", "driver_id", "department_id", "card_id", "station_id", "product_id", "plate")


def _lines(part: Part, begin: datetime, end: datetime) -> CompoundSelect[*tuple[Any, ...]]:
    first, last = uuid7_floor(begin), uuid7_floor(end)
    whose: list[Any] = [getattr(FleetFill, name) for name in _FACTS]
    sold = select(
        *(FleetFill.sale_id.label("line_id"), FleetFill.sale_id, literal(False).label("back"), FleetFill.event_at, FleetFill.booked_at),
        *whose,
        *(FleetFill.unit_price_e4, FleetFill.quantity_milli, FleetFill.gross_minor, FleetFill.discount_minor, FleetFill.card_minor),
        FleetFill.odometer_km,
    ).where(FleetFill.account_id == part.account_id, FleetFill.sale_id >= first, FleetFill.sale_id < last)
    came_back = (
        select(
            *(Refund.refund_id, Refund.sale_id, literal(True), Refund.event_at, Refund.booked_at),
            *whose,
            *(FleetFill.unit_price_e4, -Refund.quantity_milli, -Refund.gross_minor, -Refund.discount_minor, -Refund.card_minor),
            null(),
        )
        .join(FleetFill, and_(FleetFill.account_id == Refund.account_id, FleetFill.sale_id == Refund.sale_id))
        .where(Refund.account_id == part.account_id, Refund.refund_id >= first, Refund.refund_id < last)
    )
    return union_all(_cut(sold, part), _cut(came_back, part))


def _cut(statement: Select[*tuple[Any, ...]], part: Part) -> Select[*tuple[Any, ...]]:
    if part.departments is not None:
        statement = statement.where(FleetFill.department_id.in_(part.departments))
    if part.vehicle_id is not None:
        statement = statement.where(FleetFill.vehicle_id == part.vehicle_id)
    if part.driver_id is not None:
        statement = statement.where(FleetFill.driver_id == part.driver_id)
    return statement


def _sums(lines: Any) -> list[Any]:
    fills = func.count().filter(~lines.c.back)
    return [fills, *(func.sum(lines.c[name]) for name in ("quantity_milli", "gross_minor", "discount_minor", "card_minor"))]


async def periods_of(session: AsyncSession, *, company: CompanyView, now: datetime) -> list[StatedPeriod]:
    """Return a company's periods since value first moved on its account, the running one first."""
    kept = list(
        await session.scalars(select(CompanyPeriod).where(CompanyPeriod.company_id == company.company_id).order_by(CompanyPeriod.first_day))
    )
    moved: UUID | None = await session.scalar(
        select(Transfer.transfer_id).where(Transfer.account_id == company.account_id).order_by(Transfer.transfer_id).limit(1)
    )
    first = local_date(now if moved is None else instant_of(moved), company.time_zone)
    today = local_date(now, company.time_zone)
    closed = {row.first_day: row for row in kept}
    found: list[StatedPeriod] = []
    for span in spans(first, today, period_day=company.period_day, closed=[Span(row.first_day, row.end_day) for row in kept]):
        row = closed.get(span.first)
        if row is None:
            found.append(StatedPeriod(*span, *instants(span, company.time_zone)))
        else:
            found.append(StatedPeriod(*span, row.begins_at, row.ends_at, row.closed_at, totals_of(row.totals)))
    return found[::-1]


async def totals_between(session: AsyncSession, *, part: Part, begin: datetime, end: datetime) -> Totals:
    """Return what the lines of `[begin, end)` come to; of a whole company how its money moved, too."""
    lines = _lines(part, begin, end).subquery()
    statement = select(lines.c.product_id, func.count().filter(lines.c.back), *_sums(lines)).group_by(lines.c.product_id)
    grades: dict[UUID | None, Figures] = {}
    refunds = 0
    for product_id, back, *sums in await session.execute(statement.order_by(lines.c.product_id)):
        grades[product_id] = Figures(*(int(one) for one in sums))
        refunds += int(back)
    money = await _money(session, account_id=part.account_id, begin=begin, end=end) if part.is_whole else None
    return Totals(figures=sum(grades.values(), Figures()), refunds=refunds, grades=grades, money=money)


# Reckoned backwards from the present balances, in one statement and so in one snapshot. Points are no money.
_MONEY: Final = text(
    """
    WITH mine AS (
        SELECT purse_id, balance_minor FROM purses WHERE account_id = :account AND kind IN (1, 2, 4)
    ), moved AS (
        SELECT t.kind, t.transfer_id < :last AS inside,
            sum(CASE WHEN t.credit_id IN (SELECT purse_id FROM mine) THEN t.amount_minor ELSE 0 END
                - CASE WHEN t.debit_id IN (SELECT purse_id FROM mine) THEN t.amount_minor ELSE 0 END) AS net
        FROM transfers t WHERE t.account_id = :account AND t.transfer_id >= :first GROUP BY 1, 2
    )
    SELECT coalesce((SELECT sum(balance_minor) FROM mine), 0)::bigint, m.kind, m.inside, m.net::bigint
    FROM (SELECT) one LEFT JOIN moved m ON true
    """
)
_LOADS: Final = frozenset({TransferKind.LOAD, TransferKind.BONUS, TransferKind.OPENING})
_BACK: Final = frozenset({TransferKind.REFUND, TransferKind.VOID})


async def _money(session: AsyncSession, *, account_id: UUID, begin: datetime, end: datetime) -> Money:
    between = {"account": account_id, "first": uuid7_floor(begin), "last": uuid7_floor(end)}
    rows = (await session.execute(_MONEY, between)).all()
    balance = int(rows[0][0])
    inside = {TransferKind(kind): int(net) for _, kind, within, net in rows if within}
    after = sum(int(net) for _, _kind, within, net in rows if within is False)
    closing = balance - after
    loads = sum(net for kind, net in inside.items() if kind in _LOADS)
    refunded = sum(net for kind, net in inside.items() if kind in _BACK)
    spent = -inside.get(TransferKind.SALE, 0)
    moved = sum(inside.values())
    return Money(
        opening_minor=closing - moved,
        loads_minor=loads,
        spent_minor=spent,
        refunded_minor=refunded,
        other_minor=moved - loads - refunded + spent,
        closing_minor=closing,
    )


async def lines_between(
    session: AsyncSession, *, part: Part, begin: datetime, end: datetime, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[Line]:
    """Read a page of a statement's lines, the latest booked first."""
    lines = _lines(part, begin, end).subquery("line")
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


# Litres between a vehicle's first and last reading that hold: what was filled after the first one drove it to the last.
_DRIVEN: Final = text(
    """
    WITH reading AS (
        SELECT vehicle_id, min(read_at) AS since, max(read_at) AS until, max(km) - min(km) AS km
        FROM odometer_readings
        WHERE vehicle_id = ANY(:vehicles) AND status = 'holds' AND read_at >= :begin AND read_at < :end
        GROUP BY vehicle_id HAVING count(*) > 1
    )
    SELECT r.vehicle_id, r.km, coalesce(sum(f.quantity_milli - f.back_milli), 0)::bigint
    FROM reading r LEFT JOIN fleet_fills f ON f.vehicle_id = r.vehicle_id AND f.event_at > r.since AND f.event_at <= r.until
    GROUP BY r.vehicle_id, r.km
    """
)


async def by_vehicle(session: AsyncSession, *, part: Part, begin: datetime, end: datetime, most: int = 20_000) -> list[Whose]:
    """Return each vehicle's share, the largest amount first, with its litres per 100 km where its odometer was read twice."""
    lines = _lines(part, begin, end).subquery("line")
    sums = _sums(lines)
    rows = await session.execute(
        select(lines.c.vehicle_id, Vehicle.plate, *sums)
        .outerjoin(Vehicle, Vehicle.vehicle_id == lines.c.vehicle_id)
        .group_by(lines.c.vehicle_id, Vehicle.plate)
        .order_by(sums[-1].desc(), lines.c.vehicle_id)
        .limit(most)
    )
    found = [(vehicle_id, name, Figures(*(int(one) for one in figures))) for vehicle_id, name, *figures in rows]
    driven = await driven_by(session, vehicles=[vehicle_id for vehicle_id, _, _ in found if vehicle_id], begin=begin, end=end)
    return [Whose(vehicle_id, name, figures, *driven.get(vehicle_id, (None, None))) for vehicle_id, name, figures in found]


async def driven_by(
    session: AsyncSession, *, vehicles: Collection[UUID], begin: datetime, end: datetime
) -> dict[UUID | None, tuple[int, int | None]]:
    """Return kilometres and thousandths of a litre per 100 km of those vehicles that were read twice."""
    if not vehicles:
        return {}
    rows = await session.execute(_DRIVEN, {"vehicles": list(vehicles), "begin": begin, "end": end})
    return {vehicle_id: (int(km), per_100_km_milli(int(litres), int(km))) for vehicle_id, km, litres in rows}


async def by_driver(session: AsyncSession, *, part: Part, begin: datetime, end: datetime, most: int = 20_000) -> list[Whose]:
    """Return each driver's share, the largest amount first."""
    lines = _lines(part, begin, end).subquery("line")
    sums = _sums(lines)
    rows = await session.execute(
        select(lines.c.driver_id, Driver.name, *sums)
        .outerjoin(Driver, Driver.driver_id == lines.c.driver_id)
        .group_by(lines.c.driver_id, Driver.name)
        .order_by(sums[-1].desc(), lines.c.driver_id)
        .limit(most)
    )
    return [Whose(driver_id, name, Figures(*(int(one) for one in figures))) for driver_id, name, *figures in rows]


async def moves_between(session: AsyncSession, *, account_id: UUID, begin: datetime, end: datetime, most: int) -> list[Moved]:
    """Return what moved otherwise than by fills: top-ups, allocations, fees; in order."""
    rows = await session.execute(
        text(
            """
            WITH mine AS (SELECT purse_id FROM purses WHERE account_id = :account AND kind IN (1, 2, 4))
            SELECT t.transfer_id, t.booked_at, t.kind, t.amount_minor, t.credit_id IN (SELECT purse_id FROM mine) AS into_it,
                t.debit_id IN (SELECT purse_id FROM mine) AS out_of_it, c.number_tail
            FROM transfers t LEFT JOIN cards c ON c.card_id = t.card_id
            WHERE t.account_id = :account AND t.transfer_id >= :first AND t.transfer_id < :last AND NOT t.kind = ANY(:fills)
            ORDER BY t.transfer_id LIMIT :most
            """
        ),
        {
            "account": account_id,
            "first": uuid7_floor(begin),
            "last": uuid7_floor(end),
            "fills": [int(kind) for kind in _OF_FILLS],
            "most": most,
        },
    )
    return [
        Moved(
            row.transfer_id,
            row.booked_at,
            TransferKind(row.kind),
            row.amount_minor,
            None if row.out_of_it and row.into_it else row.into_it,
            row.number_tail,
        )
        for row in rows
        if row.into_it or row.out_of_it
    ]


_OF_FILLS: Final = frozenset({TransferKind.SALE, TransferKind.DISCOUNT, TransferKind.TENDER, TransferKind.SURCHARGE} | _BACK)


async def digest_between(session: AsyncSession, *, account_id: UUID, begin: datetime, end: datetime) -> tuple[bytes, int, int]:
    """Return SHA-256 over a company's lines of a period in the order they were booked (32 bytes), how many fills and how many refunds."""
    lines = _lines(Part(account_id), begin, end).subquery("line")
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


async def products_of(session: AsyncSession, *, product_ids: Collection[UUID]) -> dict[UUID, tuple[str, str, str, str]]:
    """Return products' codes, names (zh, en) and units."""
    rows = await session.execute(
        select(Product.product_id, Product.code, Product.name_zh, Product.name_en, Product.unit).where(Product.product_id.in_(product_ids))
    )
    return {product_id: (code, zh, en, str(unit)) for product_id, code, zh, en, unit in rows}
