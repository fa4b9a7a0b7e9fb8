"""Which station a row means, and what becomes of money that is not the station's.

A former system may show every receipt in the customer's currency, also abroad. A station here has one currency, and a card spends only in
its own, so such receipts stand at an *acceptance point*: a second record of the same outlet, in the customer's currency, named
`<code>-<currency>`. The map says whether it wants that; without it such a row is rejected.
"""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.importing.faults import Fault
from loyalty.importing.operations import remember
from loyalty.importing.queries import our_ids
from loyalty.stations.operations import StationFacts, put_stations
from loyalty.stations.queries import StationView, find_station, get_station

from .base import Context

Wanted = tuple[str, str | None]
"""A station's former id, and the currency of the money; None: the station's."""


class Stand(NamedTuple):
    """Where a row's money moved."""

    station_id: UUID
    code: str
    currency: str


async def stands(session: AsyncSession, context: Context, wanted: Iterable[Wanted]) -> dict[Wanted, Stand | Fault]:
    """Return the station of each (former id, currency), an acceptance point made where the map wants one."""
    found: dict[Wanted, Stand | Fault] = {}
    distinct = sorted(set(wanted), key=lambda each: (each[0], each[1] or ""))
    known = await our_ids(session, source=context.source, kind="stations", legacy_ids=sorted({legacy_id for legacy_id, _ in distinct}))
    for legacy_id, currency in distinct:
        station_id = known.get(legacy_id) or await find_station(session, code=legacy_id)
        if station_id is None:
            found[legacy_id, currency] = Fault("unknown_station", "station", value=legacy_id)
            continue
        station = await _view(session, context, station_id)
        if currency in {None, station.currency}:
            found[legacy_id, currency] = Stand(station_id, station.code, station.currency)
        elif context.map.foreign_currency == "acceptance_point" and currency is not None:
            found[legacy_id, currency] = await _acceptance_point(session, context, legacy_id, station, currency)
        else:
            found[legacy_id, currency] = Fault("currency_differs", "currency", value=currency, of="station", wanted=station.currency)
    return found


async def _view(session: AsyncSession, context: Context, station_id: UUID) -> StationView:
    """Return a station; committed stations are asked for once a run."""
    seen: dict[UUID, StationView] = context.known.setdefault("station_views", {})
    if station_id not in seen:
        seen[station_id] = await get_station(session, station_id=station_id)
    return seen[station_id]


async def _acceptance_point(session: AsyncSession, context: Context, legacy_id: str, station: StationView, currency: str) -> Stand:
    code = f"{station.code}-{currency}"
    standing = await find_station(session, code=code)
    if standing is not None:
        return Stand(standing, code, currency)
    facts = StationFacts(
        name_zh=f"{station.name_zh}（{currency}）",
        name_en=f"{station.name_en} ({currency})",
        entity_id=station.entity_id,
        district_id=station.district_id,
        zone=station.zone,
        currency=currency,
        country=station.country,
        address=station.address,
        phone=station.phone,
        segment=station.segment,
        may_issue=False,
        may_load=False,
        may_invoice=False,
    )
    put = await put_stations(session, stations={code: facts}, actor=context.actor, now=context.now)
    await remember(
        session,
        source=context.source,
        kind="stations",
        run_id=context.run_id,
        rows=[(f"{legacy_id}/{currency}", put.ids[code], b"acceptance point")],
    )
    return Stand(put.ids[code], code, currency)
