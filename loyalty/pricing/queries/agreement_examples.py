"""What a fill costs under an agreement: shown beside its lines while they are written, at today's prices of a station they hold for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.money import line_amount, minor_digits
from loyalty.pricing.agreements import Agreed, Line, price_of
from loyalty.stations.model import ProductCategory, StationStatus, Unit
from loyalty.stations.queries import BoardLine, StationSnapshot, price_board, snapshot_stations

EXAMPLE_MILLI: Final = 100_000
"""A fill of 100 units."""


class Example(msgspec.Struct, frozen=True):
    """A line at one station and product that it holds for. What rules would give besides is not in it."""

    station_code: str
    station_name_zh: str
    station_name_en: str
    product_code: str
    product_name_zh: str
    product_name_en: str
    unit: Unit
    quantity_milli: int
    unit_price_e4: int
    """The pump's."""
    agreed_price_e4: int
    pump_minor: int
    customer_minor: int

    @property
    def difference_minor(self) -> int:
        """What the customer pays less than the pump's amount; negative for more."""
        return self.pump_minor - self.customer_minor


async def examples(
    session: AsyncSession, *, lines: Sequence[Line], currency: str, now: datetime, quantity_milli: int = EXAMPLE_MILLI
) -> list[Example | None]:
    """Return an example for each line; None where no station sells what it names in this currency today.

    A line for every station or fuel is shown at one that no other line names, so that it is the line that counts there.
    """
    stations = {
        one.station_id: one
        for one in await snapshot_stations(session)
        if one.currency == currency and one.status is not StationStatus.CLOSED
    }
    named, named_products = {line.station for line in lines}, {line.product for line in lines}
    usual = [one for one in stations if one not in named] or list(stations)
    boards: dict[UUID, list[BoardLine]] = {}

    async def board(station_id: UUID) -> list[BoardLine]:
        if station_id not in boards:
            found = await price_board(session, station_id=station_id, at=now)
            fuels = [one for one in found if one.category is ProductCategory.FUEL]
            # The usual grades before winter diesel (-10, -20 …).
            boards[station_id] = sorted(fuels, key=lambda one: (one.product_code.startswith("-"), one.product_code))
        return boards[station_id]

    made: list[Example | None] = []
    for line in lines:
        # Few stations do not sell a grade: the first ones are asked, and no more.
        places = usual[:5] if line.station is None else [line.station] if line.station in stations else []
        sold = [(place, one) for place in places for one in await board(place) if line.product in {None, one.product_code}]
        shown = next(
            (each for each in sold if line.product is not None or each[1].product_code not in named_products), sold[0] if sold else None
        )
        made.append(None if shown is None else _example(line, stations[shown[0]], shown[1], quantity_milli))
    return made


def _example(line: Line, station: StationSnapshot, sold: BoardLine, quantity_milli: int) -> Example:
    agreed = Agreed("", 0, "", "", lowest_wins=False, funder="", kind=line.kind, value_e4=line.value_e4)
    digits, price_e4 = minor_digits(sold.currency), price_of(agreed, sold.unit_price_e4)
    return Example(
        station_code=station.code,
        station_name_zh=station.name_zh,
        station_name_en=station.name_en,
        product_code=sold.product_code,
        product_name_zh=sold.product_name_zh,
        product_name_en=sold.product_name_en,
        unit=sold.unit,
        quantity_milli=quantity_milli,
        unit_price_e4=sold.unit_price_e4,
        agreed_price_e4=price_e4,
        pump_minor=line_amount(quantity_milli, sold.unit_price_e4, digits),
        customer_minor=line_amount(quantity_milli, price_e4, digits),
    )
