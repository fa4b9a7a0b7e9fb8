"""What companies' statements say: their periods, what the lines of one come to, by whom, and the account's money beside them."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Subquery, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.clock import local_date
from loyalty.fleet.allocation_rules import Span, instants
from loyalty.fleet.model import Driver, Vehicle
from loyalty.fleet.model_fills import NOBODY
from loyalty.fleet.queries.companies import CompanyView
from loyalty.fleet.queries.economy import per_100_km
from loyalty.ids import instant_of, uuid7_floor
from loyalty.ledger.model import Transfer, TransferKind
from loyalty.statements.model_companies import CompanyPeriod
from loyalty.statements.model_sums import StatedBy
from loyalty.statements.rules import Figures, Totals, spans, totals_of
from loyalty.stations.model import Product

from .lines import Part
from .sums import BACK, COUNTED, figures_of, money_between, stated_by, summed


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


async def totals_between(session: AsyncSession, *, part: Part, begin: datetime, end: datetime, kept: bool = True) -> Totals:
    """Return what the lines of `[begin, end)` come to; of a whole company how its money moved, too.

    :param kept: False: from the lines and transfers alone, whatever is kept of them
    """
    lines = stated_by(part, StatedBy.PRODUCT, begin, end, kept=kept)
    statement = select(lines.c.subject_id, *summed(lines)).group_by(lines.c.subject_id).order_by(lines.c.subject_id)
    found = {product_id: figures_of(sums) for product_id, *sums in await session.execute(statement)}
    grades: dict[UUID | None, Figures] = {product_id: figures for product_id, (figures, _) in found.items()}
    money = await money_between(session, account_id=part.account_id, begin=begin, end=end, kept=kept) if part.is_whole else None
    refunds = sum(back for _, back in found.values())
    return Totals(figures=sum(grades.values(), Figures()), refunds=refunds, grades=grades, money=money)


async def totals_of_period(session: AsyncSession, *, part: Part, period: StatedPeriod) -> Totals:
    """Return what a period comes to: a closed one of a whole company says what it said when it was closed."""
    if part.is_whole and period.totals is not None:
        return period.totals
    return await totals_between(session, part=part, begin=period.begins_at, end=period.ends_at)


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
    found = await _shares(session, stated_by(part, StatedBy.VEHICLE, begin, end), Vehicle.plate, Vehicle.vehicle_id, most)
    driven = await driven_by(session, vehicles=[one.id for one in found if one.id], begin=begin, end=end)
    return [one._replace(km=driven[one.id][0], per_100_km_milli=driven[one.id][1]) if one.id in driven else one for one in found]


async def driven_by(
    session: AsyncSession, *, vehicles: Collection[UUID], begin: datetime, end: datetime
) -> dict[UUID | None, tuple[int, int | None]]:
    """Return kilometres and litres per 100 km (thousandths, to the hundredth) of those vehicles that were read twice."""
    if not vehicles:
        return {}
    rows = await session.execute(_DRIVEN, {"vehicles": list(vehicles), "begin": begin, "end": end})
    return {vehicle_id: (int(km), per_100_km(int(litres), int(km))) for vehicle_id, km, litres in rows}


async def by_driver(session: AsyncSession, *, part: Part, begin: datetime, end: datetime, most: int = 20_000) -> list[Whose]:
    """Return each driver's share, the largest amount first."""
    return await _shares(session, stated_by(part, StatedBy.DRIVER, begin, end), Driver.name, Driver.driver_id, most)


async def _shares(session: AsyncSession, stated: Subquery, name: Any, key: Any, most: int) -> list[Whose]:
    """Find who comes first by one sum, then make all sums of those: six for each of ten thousand take thrice as long."""
    subject = func.coalesce(stated.c.subject_id, NOBODY).label("subject_id")
    whole = select(subject, *(stated.c[one] for one in COUNTED)).cte("whole")
    card = func.sum(whole.c.card_minor).label("card")
    order = (card.desc(), func.nullif(whole.c.subject_id, NOBODY))
    top = select(whole.c.subject_id, card).group_by(whole.c.subject_id).order_by(*order).limit(most).subquery("top")
    whose = func.nullif(top.c.subject_id, NOBODY)
    wanted = (
        select(whose, name, *(func.sum(whole.c[one]) for one in COUNTED))
        .select_from(top)
        .join(whole, whole.c.subject_id == top.c.subject_id)
        .outerjoin(key.class_, key == top.c.subject_id)
        .group_by(top.c.subject_id, top.c.card, name)
    )
    rows = await session.execute(wanted.order_by(top.c.card.desc(), whose))
    return [Whose(subject_id, said, figures_of(sums)[0]) for subject_id, said, *sums in rows]


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


_OF_FILLS: Final = frozenset({TransferKind.SALE, TransferKind.DISCOUNT, TransferKind.TENDER, TransferKind.SURCHARGE} | BACK)


async def products_of(session: AsyncSession, *, product_ids: Collection[UUID]) -> dict[UUID, tuple[str, str, str, str]]:
    """Return products' codes, names (zh, en) and units."""
    rows = await session.execute(
        select(Product.product_id, Product.code, Product.name_zh, Product.name_en, Product.unit).where(Product.product_id.in_(product_ids))
    )
    return {product_id: (code, zh, en, str(unit)) for product_id, code, zh, en, unit in rows}
