"""What a company used: by period, by vehicle, by station. From the sums that the collecting job keeps, minutes old, never hours; what was
paid in cash is added to them where it is asked for.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, DateTime, Select, Subquery, cast, exists, func, select, text, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.fleet.allocation_rules import month_on, span_of
from loyalty.fleet.model import Company, Department, Vehicle
from loyalty.fleet.model_fills import OdometerReading, ReadingStatus, VehiclePeriod
from loyalty.limits.model import LimitKind, Window
from loyalty.money import round_half_up
from loyalty.paging import PAGE_SIZE, Column, Page, keys_for, page_as
from loyalty.policy import Carbon
from loyalty.stations.model import FuelKind

from .cash import cash_by_vehicle, cash_days


class Total(NamedTuple):
    """What fills come to: thousandths of litres, minor units, grams of CO₂; refunds taken off."""

    fills: int = 0
    quantity_milli: int = 0
    discount_minor: int = 0
    card_minor: int = 0
    carbon_g: int = 0

    def plus(self, other: "Total") -> "Total":
        """Return both together."""
        return Total(*(one + more for one, more in zip(self, other, strict=True)))


class Line(NamedTuple):
    """One vehicle's period. Per 100 km in thousandths of a litre; None where the way is not known."""

    vehicle_id: UUID
    plate: str
    type: str
    department: str | None
    product_code: str | None
    norm_milli: int | None
    fills: int
    quantity_milli: int
    spent_minor: int
    km: int | None
    per_100_km_milli: int | None
    per_km_e2: int | None
    """What a kilometre cost, in hundredths of a minor unit."""
    cash_milli: int
    """How much of the quantity was paid in cash."""


class EconomySums(NamedTuple):
    """What a list of lines comes to; `driven_milli` are the litres of those whose way is known."""

    vehicles: int
    quantity_milli: int
    spent_minor: int
    km: int
    driven_milli: int
    cash_milli: int


class Drunk(NamedTuple):
    """One period of a vehicle's trend."""

    first: date
    quantity_milli: int
    spent_minor: int
    km: int | None
    cash_milli: int = 0

    @property
    def per_100_km_milli(self) -> int | None:
        """Thousandths of a litre per 100 km."""
        return per_100_km(self.quantity_milli, self.km)


class Near(NamedTuple):
    """A limit of which most is used: minor units, thousandths of litres or fills, by its kind."""

    level: str
    subject_id: UUID
    name: str | None
    kind: LimitKind
    window: Window
    value: int
    used: int


def per_100_km(quantity_milli: int, km: int | None) -> int | None:
    """Return thousandths of a litre per 100 km, to the hundredth of a litre: more says nothing. None without a way or fuel."""
    return round_half_up(quantity_milli * 10, km) * 10 if km and quantity_milli > 0 else None


def grams_of(carbon: Carbon, quantity_milli: int, code: str | None, kind: FuelKind | None) -> int:
    """Return the CO₂ of a quantity by its grade, else its kind of fuel; what is no such fuel has none."""
    by_kind = {FuelKind.GASOLINE: carbon.gasoline_g, FuelKind.DIESEL: carbon.diesel_g, FuelKind.LNG: carbon.gas_g}
    # A cubic metre of natural gas weighs about 0.72 kg.
    by_kind[FuelKind.CNG] = carbon.gas_g * 72 // 100
    factor = carbon.codes.get(code or "", by_kind.get(kind, 0) if kind is not None else 0)
    return quantity_milli * factor // 1000


_TOTALS: Final = """
SELECT d.first, p.code, p.fuel_kind, d.fills, d.milli, d.discount, d.card
FROM (
    SELECT date_trunc('month', (day - CAST(:shift AS integer))::timestamp)::date + CAST(:shift AS integer) AS first, product_id,
        sum(fills)::bigint AS fills, sum(quantity_milli)::bigint AS milli, sum(discount_minor)::bigint AS discount,
        sum(card_minor)::bigint AS card
    FROM fleet_days
    WHERE company_id = :company AND by = 'department' AND day >= :first AND day < :end
        AND (:everything OR subject_id = ANY (CAST(:departments AS uuid[])))
    GROUP BY 1, 2
) d LEFT JOIN products p ON p.product_id = d.product_id
"""


async def totals_by_period(
    session: AsyncSession,
    *,
    company_id: UUID,
    first: date,
    end: date,
    period_day: int,
    carbon: Carbon,
    departments: Collection[UUID] | None = None,
) -> dict[date, Total]:
    """Return what each period of `[first, end)` came to, by its first day."""
    rows = await session.execute(
        text(_TOTALS),
        {
            "company": company_id,
            "first": first,
            "end": end,
            "shift": period_day - 1,
            "everything": departments is None,
            "departments": list(departments or ()),
        },
    )
    found: dict[date, Total] = {}
    for row in rows:
        kind = None if row.fuel_kind is None else FuelKind(row.fuel_kind)
        carbon_g = grams_of(carbon, row.milli, row.code, kind)
        found[row.first] = found.get(row.first, Total()).plus(Total(row.fills, row.milli, row.discount, row.card, carbon_g))
    return found


async def way_of(
    session: AsyncSession, *, company_id: UUID, first: date, period_day: int, departments: Collection[UUID] | None = None
) -> tuple[int, int]:
    """Return litres (thousandths) and kilometres of the vehicles whose way in a period is known."""
    used = _used(company_id=company_id, first=first, period_day=period_day)
    wanted = _of(select(func.sum(used.c.milli), func.sum(used.c.km)).where(used.c.km.is_not(None)), used, departments, None)
    milli, km = (int(one or 0) for one in (await session.execute(wanted)).one())
    return milli, km


def _used(*, company_id: UUID, first: date, period_day: int) -> Subquery:
    """Return what each vehicle of a company was fuelled with in a period, by card, in cash or both: cash stands in no sum of card fills.

    Vehicles themselves are left to whoever needs their plates or classes: a sum over ten thousand does without them.
    """
    card = (
        select(VehiclePeriod)
        .where(VehiclePeriod.company_id == company_id, VehiclePeriod.period_day == period_day, VehiclePeriod.first == first)
        .subquery("card")
    )
    cash = cash_by_vehicle(company_id=company_id, first=first, end=month_on(first, 1)).cte("cash").prefix_with("MATERIALIZED")

    def both(paid_by_card: Any, paid_in_cash: Any) -> Any:
        return cast(paid_by_card + func.coalesce(paid_in_cash, 0), BigInteger)

    by_card = select(
        card.c.vehicle_id,
        both(card.c.fills, cash.c.fills).label("fills"),
        both(card.c.quantity_milli, cash.c.milli).label("milli"),
        both(card.c.card_minor, cash.c.minor).label("spent"),
        card.c.km.label("km"),
        both(0, cash.c.milli).label("cash_milli"),
    ).outerjoin(cash, cash.c.vehicle_id == card.c.vehicle_id)
    # Kilometres stand with the sums of card fills; of a vehicle that has none they are read, once: rates and orders name them often.
    in_cash = (
        select(
            cash.c.vehicle_id,
            *(both(0, cash.c[name]).label(label) for name, label in (("fills", "fills"), ("milli", "milli"), ("minor", "spent"))),
            _way(first).label("km"),
            both(0, cash.c.milli).label("cash_milli"),
        )
        .join(Vehicle, Vehicle.vehicle_id == cash.c.vehicle_id)
        .join(Company, Company.company_id == Vehicle.company_id)
        .where(~exists().where(card.c.vehicle_id == cash.c.vehicle_id))
        .cte("in_cash")
        .prefix_with("MATERIALIZED")
    )
    return union_all(by_card, select(in_cash)).subquery("used")


def _of(
    wanted: Select[*tuple[Any, ...]],
    used: Subquery,
    departments: Collection[UUID] | None,
    vehicle_type: str | None,
    *,
    joined: bool = False,
) -> Select[*tuple[Any, ...]]:
    """Cut what reads `_used` to departments and a class; vehicles are joined only where somebody asks for them."""
    if joined or departments is not None or vehicle_type is not None:
        wanted = wanted.join(Vehicle, Vehicle.vehicle_id == used.c.vehicle_id)
    if departments is not None:
        wanted = wanted.where(Vehicle.department_id.in_(departments))
    return wanted if vehicle_type is None else wanted.where(Vehicle.type == vehicle_type)


def _way(first: date) -> ColumnElement[int | None]:
    """Return how far a vehicle went in its company's period by readings that hold, as the sums of card fills reckon it."""
    begins, ends = (func.timezone(Company.time_zone, cast(day, DateTime)) for day in (first, month_on(first, 1)))
    at = OdometerReading.read_at

    def km(order: Sequence[Any], *when: ColumnElement[bool]) -> ColumnElement[int | None]:
        holding = (OdometerReading.vehicle_id == Vehicle.vehicle_id, OdometerReading.status == ReadingStatus.HOLDS)
        return select(OdometerReading.km).where(*holding, *when).order_by(*order).limit(1).correlate(Vehicle, Company).scalar_subquery()

    earliest, latest = (at, OdometerReading.reading_id), (at.desc(), OdometerReading.reading_id.desc())
    since = func.coalesce(km(latest, at < begins), km(earliest, at >= begins, at < ends))
    return func.nullif(func.greatest(km(latest, at >= begins, at < ends) - since, 0), 0)


def _rate(used: Subquery) -> ColumnElement[int]:
    """Return thousandths of a litre per 100 km as `per_100_km` rounds: half up, to the hundredth of a litre; nothing is 0."""
    return func.coalesce((used.c.milli * 20 + used.c.km) // (used.c.km * 2) * 10, 0)


async def list_economy(
    session: AsyncSession,
    *,
    company_id: UUID,
    first: date,
    period_day: int,
    departments: Collection[UUID] | None = None,
    vehicle_type: str | None = None,
    sort: str = "-litres",
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[Line]:
    """Read a page of the vehicles that were fuelled in a period; sorts: plate, litres, km, per_100_km, cost, spent.

    :raises UnknownSort: for another sort
    """
    used = _used(company_id=company_id, first=first, period_day=period_day)
    one, rate = used.c, _rate(used)
    cost = func.coalesce(one.spent * 100 // one.km, 0)
    wanted = select(
        *(Vehicle.vehicle_id, Vehicle.plate, Vehicle.type),
        # Looked up after the page is cut.
        select(Department.name).where(Department.department_id == Vehicle.department_id).scalar_subquery(),
        *(Vehicle.product_code, Vehicle.norm_milli, one.fills, one.milli, one.spent, one.km),
        *(func.nullif(rate, 0), func.nullif(cost, 0), one.cash_milli),
    ).select_from(used)
    wanted = _of(wanted, used, departments, vehicle_type, joined=True)
    sorts: dict[str, Column] = {"plate": Vehicle.plate, "litres": one.milli, "km": func.coalesce(one.km, 0)}
    sorts |= {"per_100_km": rate, "cost": cost, "spent": one.spent}
    return await page_as(session, Line, wanted, keys=keys_for(sort, sorts, unique=Vehicle.vehicle_id), cursor=cursor, limit=limit)


async def sums_of_economy(
    session: AsyncSession,
    *,
    company_id: UUID,
    first: date,
    period_day: int,
    departments: Collection[UUID] | None = None,
    vehicle_type: str | None = None,
) -> EconomySums:
    """Return what the whole list comes to."""
    used = _used(company_id=company_id, first=first, period_day=period_day)
    one = used.c
    known = func.sum(one.milli).filter(one.km.is_not(None))
    wanted = select(func.count(one.vehicle_id), func.sum(one.milli), func.sum(one.spent), func.sum(one.km), known, func.sum(one.cash_milli))
    wanted = _of(wanted.select_from(used), used, departments, vehicle_type)
    return EconomySums(*(int(one or 0) for one in (await session.execute(wanted)).one()))


async def medians_by_type(session: AsyncSession, *, company_id: UUID, first: date, period_day: int) -> dict[str, int]:
    """Return what the middle vehicle of each class took per 100 km in a period, in thousandths of a litre."""
    used = _used(company_id=company_id, first=first, period_day=period_day)
    middle = func.percentile_disc(0.5).within_group(_rate(used))
    wanted = _of(select(Vehicle.type, middle).select_from(used).where(used.c.km.is_not(None)), used, None, None, joined=True)
    return {kind: int(rate) for kind, rate in await session.execute(wanted.group_by(Vehicle.type))}


async def trends_of(
    session: AsyncSession, *, company_id: UUID, vehicle_ids: Collection[UUID], period_day: int, since: date
) -> dict[UUID, list[Drunk]]:
    """Return the periods of vehicles from a first day on, in order; of a period without a card's fill the way is not told."""
    wanted = (
        select(
            *(VehiclePeriod.vehicle_id, VehiclePeriod.first, VehiclePeriod.quantity_milli, VehiclePeriod.card_minor),
            VehiclePeriod.km,
        )
        .where(VehiclePeriod.vehicle_id.in_(vehicle_ids), VehiclePeriod.period_day == period_day, VehiclePeriod.first >= since)
        .order_by(VehiclePeriod.vehicle_id, VehiclePeriod.first)
    )
    found = {(row[0], row[1]): Drunk(*row[1:]) for row in await session.execute(wanted)}
    for vehicle_id, day, milli, minor in await session.execute(cash_days(company_id=company_id, vehicle_ids=vehicle_ids, since=since)):
        first = span_of(day, period_day=period_day).first
        there = found.get((vehicle_id, first), Drunk(first, 0, 0, None))
        found[vehicle_id, first] = there._replace(
            quantity_milli=there.quantity_milli + milli, spent_minor=there.spent_minor + minor, cash_milli=there.cash_milli + milli
        )
    by_vehicle: dict[UUID, list[Drunk]] = {}
    for (vehicle_id, _first), one in sorted(found.items()):
        by_vehicle.setdefault(vehicle_id, []).append(one)
    return by_vehicle


# A level's counters hold one row a window; a card's hold days, which are summed. Only subjects with limits are looked at.
_NEAR: Final = """
WITH bound AS (
    SELECT s.subject_id, l.kind, l."window", l.value, CASE l."window" WHEN 'day' THEN 1 WHEN 'week' THEN 2 ELSE 3 END AS place,
        CASE l."window" WHEN 'day' THEN CAST(:day AS date) WHEN 'week' THEN CAST(:week AS date) ELSE CAST(:month AS date) END AS start
    FROM (
        SELECT unnest(h.subjects || h.chain_id) AS subject FROM limit_chains h WHERE h.account_id = :account GROUP BY 1
    ) x JOIN limit_sets s ON s.subject_id = x.subject
    JOIN card_limits l ON l.subject_id IN (s.subject_id, s.profile_id) AND l.ended_at IS NULL AND l.valid_from <= :now
        AND (l.valid_to IS NULL OR l.valid_to > :now) AND l."window" IN ('day', 'week', 'month') AND l.value > 0
), used AS (
    SELECT b.*, CASE b.kind WHEN 'amount' THEN coalesce(c.amount_minor, d.amount_minor)
        WHEN 'quantity' THEN coalesce(c.quantity_milli, d.quantity_milli) ELSE coalesce(c.count, d.count) END AS used
    FROM bound b
    LEFT JOIN level_counters c ON c.account_id = :account AND c.subject_id = b.subject_id AND c."window" = b.place AND c.start = b.start
    LEFT JOIN LATERAL (
        SELECT sum(w.amount_minor)::bigint AS amount_minor, sum(w.quantity_milli)::bigint AS quantity_milli, sum(w.count)::bigint AS count
        FROM limit_counters w WHERE w.account_id = :account AND w.subject_id = b.subject_id AND w."window" = 1 AND w.start >= b.start
    ) d ON c.subject_id IS NULL
)
SELECT CASE WHEN v.vehicle_id IS NOT NULL THEN 'vehicle' WHEN d.driver_id IS NOT NULL THEN 'driver'
        WHEN e.department_id IS NOT NULL THEN 'department' WHEN c.card_id IS NOT NULL THEN 'card' ELSE 'company' END AS level,
    coalesce(c.card_id, u.subject_id) AS subject_id,
    coalesce(v.plate, d.name, e.name, '•••• ' || c.number_tail) AS name,
    u.kind, u."window", u.value, u.used
FROM used u
LEFT JOIN vehicles v ON v.vehicle_id = u.subject_id
LEFT JOIN drivers d ON d.driver_id = u.subject_id
LEFT JOIN departments e ON e.department_id = u.subject_id
LEFT JOIN LATERAL (
    SELECT c.card_id, c.number_tail, b.department_id FROM cards c
    LEFT JOIN card_bindings b ON b.chain_id = c.chain_id AND b.until IS NULL
    WHERE c.chain_id = u.subject_id ORDER BY c.card_id DESC LIMIT 1
) c ON true
WHERE u.used * 100 >= u.value * CAST(:percent AS bigint) AND (
    :everything OR coalesce(v.department_id, d.department_id, e.department_id, c.department_id) = ANY (CAST(:departments AS uuid[])))
ORDER BY u.used::numeric / u.value DESC, u.subject_id LIMIT :most
"""


async def near_limits(
    session: AsyncSession,
    *,
    account_id: UUID,
    today: date,
    now: datetime,
    departments: Collection[UUID] | None = None,
    percent: int = 80,
    most: int = 8,
) -> list[Near]:
    """Return the limits of which at least `percent` is used in the day, week or month of `today`, the fullest first."""
    rows = await session.execute(
        text(_NEAR),
        {
            "account": account_id,
            "day": today,
            "week": today - timedelta(days=today.weekday()),
            "month": today.replace(day=1),
            "now": now,
            "percent": percent,
            "everything": departments is None,
            "departments": list(departments or ()),
            "most": most,
        },
    )
    return [Near(row.level, row.subject_id, row.name, LimitKind(row.kind), Window(row.window), row.value, int(row.used)) for row in rows]


_STATIONS: Final = """
SELECT s.station_id, coalesce(sum(d.quantity_milli), 0)::bigint AS milli, coalesce(sum(d.gross_minor), 0)::bigint AS gross,
    coalesce(sum(d.discount_minor), 0)::bigint AS discount, coalesce(sum(d.fills), 0)::bigint AS fills
FROM unnest(CAST(:stations AS uuid[])) s(station_id)
LEFT JOIN fleet_days d ON d.company_id = :company AND d.by = 'station' AND d.day >= :since AND d.day < :until
    AND d.subject_id = s.station_id
GROUP BY 1
"""


class OwnUse(NamedTuple):
    """What a company took at a station: thousandths of litres, minor units before and of discount, fills."""

    quantity_milli: int
    gross_minor: int
    discount_minor: int
    fills: int


async def own_use(
    session: AsyncSession, *, company_id: UUID, station_ids: Collection[UUID], since: date, until: date
) -> dict[UUID, OwnUse]:
    """Return what a company took at each of some stations in `[since, until)`."""
    rows = await session.execute(text(_STATIONS), {"company": company_id, "stations": list(station_ids), "since": since, "until": until})
    return {row.station_id: OwnUse(row.milli, row.gross, row.discount, row.fills) for row in rows}
