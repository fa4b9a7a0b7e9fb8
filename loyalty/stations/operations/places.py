"""Legal entities, regions, districts, stations and products: reference data, written by code, set-based and idempotent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from loyalty.audit.operations import Actor, record
from loyalty.db import Base
from loyalty.errors import Refusal
from loyalty.ids import StationId, uuid7
from loyalty.money import minor_digits
from loyalty.revisions import Kind, bump, hold
from loyalty.stations.model import (
    STATION_MOVES,
    District,
    FuelKind,
    LegalEntity,
    Product,
    ProductCategory,
    Region,
    Station,
    StationEvent,
    StationPrice,
    StationStatus,
    Unit,
)
from loyalty.stations.queries.places import get_station_for_update

_ZONES = available_timezones()


class UnknownZone(Refusal):
    """Not an IANA time zone."""

    status = 422
    zh = "时区“{zone}”不存在。"
    en = 'There is no time zone "{zone}".'
    next_zh = "请填写 IANA 时区，例如 Asia/Shanghai。"
    next_en = "Give an IANA zone such as Asia/Shanghai."


class UnknownCurrency(Refusal):
    """A currency whose minor unit this product does not know."""

    status = 422
    zh = "不支持币种“{currency}”。"
    en = 'The currency "{currency}" is not supported.'
    next_zh = "请填写 ISO 4217 代码，例如 CNY。"
    next_en = "Give an ISO 4217 code such as CNY."


class PlaceNotFound(Refusal):
    """What a new place should belong to is not there."""

    status = 422
    zh = "引用的{kind}不存在：{ids}。"
    en = "There is no such {kind}: {ids}."
    next_zh = "请先建立上级，再重试。"
    next_en = "Make what it belongs to first, then try again."


class StationMoneyFixed(Refusal):
    """Prices were published in the old currency or zone."""

    zh = "油站 {station} 已发布价格，币种和时区不可更改。"
    en = "Station {station} has published prices: its currency and time zone can no longer change."
    next_zh = "请新建油站，并关闭旧油站。"
    next_en = "Make a new station and close this one."


class StationCannotMove(Refusal):
    """The station's present status does not lead there."""

    zh = "油站状态为 {status}，不能改为 {to}。"
    en = "The station is {status}; it cannot become {to}."
    next_zh = "请刷新后查看当前状态。"
    next_en = "Reload to see its present status."


class EntityFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said about a legal entity."""

    name_zh: str
    name_en: str
    currency: str
    tax_number: str | None = None


class PlaceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said about a region; of a district also its region."""

    name_zh: str
    name_en: str
    region_id: UUID | None = None


class StationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said about a station, its status apart."""

    name_zh: str
    name_en: str
    entity_id: UUID
    district_id: UUID
    zone: str
    currency: str
    country: str = "CN"
    address: str = ""
    phone: str = ""
    segment: str | None = None
    may_issue: bool = True
    may_load: bool = True
    may_invoice: bool = True


class ProductFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said about a product: a fuel has a fuel kind, a shop article a category."""

    name_zh: str
    name_en: str
    category: ProductCategory
    unit: Unit
    fuel_kind: FuelKind | None = None
    shop_category: str | None = None
    active: bool = True


@dataclass(frozen=True, slots=True)
class Put:
    """What a set-based write did: every code's id, and the codes that were new or differed."""

    ids: dict[str, UUID]
    added: tuple[str, ...]
    changed: tuple[str, ...]


async def put_entities(session: AsyncSession, *, entities: Mapping[str, EntityFacts], actor: Actor, now: datetime) -> Put:
    """Add or change legal entities by code; the same facts again change nothing.

    :raises UnknownCurrency: if a currency's minor unit is not known
    """
    _check_currencies(facts.currency for facts in entities.values())
    return await _put(session, LegalEntity, LegalEntity.entity_id, entities, {}, actor=actor, now=now)


async def put_regions(session: AsyncSession, *, regions: Mapping[str, PlaceFacts], actor: Actor, now: datetime) -> Put:
    """Add or change regions by code."""
    plain = {code: msgspec.structs.replace(facts, region_id=None) for code, facts in regions.items()}
    return await _put(session, Region, Region.region_id, plain, {}, leave_out=frozenset({"region_id"}), actor=actor, now=now)


async def put_districts(session: AsyncSession, *, districts: Mapping[str, PlaceFacts], actor: Actor, now: datetime) -> Put:
    """Add or change districts by code.

    :raises PlaceNotFound: if a region does not exist
    """
    await _check_exist(session, Region.region_id, "region", {facts.region_id for facts in districts.values()})
    return await _put(session, District, District.district_id, districts, {}, actor=actor, now=now)


async def put_products(session: AsyncSession, *, products: Mapping[str, ProductFacts], actor: Actor, now: datetime) -> Put:
    """Add or change products by code."""
    return await _put(session, Product, Product.product_id, products, {}, actor=actor, now=now)


async def put_stations(
    session: AsyncSession,
    *,
    stations: Mapping[str, StationFacts],
    actor: Actor,
    now: datetime,
    status: StationStatus = StationStatus.OPEN,
) -> Put:
    """Add or change stations by code; new ones start in `status`, known ones keep theirs.

    :raises UnknownZone: if a zone is not in the IANA data
    :raises UnknownCurrency: if a currency's minor unit is not known
    :raises PlaceNotFound: if a legal entity or district does not exist
    :raises StationMoneyFixed: if currency or zone of a station with prices would change
    """
    for facts in stations.values():
        if facts.zone not in _ZONES:
            raise UnknownZone(zone=facts.zone)
    _check_currencies(facts.currency for facts in stations.values())
    await _check_exist(session, LegalEntity.entity_id, "legal entity", {facts.entity_id for facts in stations.values()})
    await _check_exist(session, District.district_id, "district", {facts.district_id for facts in stations.values()})
    await _check_money_stays(session, stations)
    put = await _put(session, Station, Station.station_id, stations, {"status": status}, actor=actor, now=now)
    if put.added:
        events = [
            {
                "event_id": uuid7(now),
                "station_id": put.ids[code],
                "moved_to": status,
                "happened_at": now,
                "staff_id": actor.staff_id,
                "reason": "added",
            }
            for code in put.added
        ]
        await session.execute(insert(StationEvent), events)
    return put


async def change_station(session: AsyncSession, *, station_id: StationId, facts: StationFacts, actor: Actor, now: datetime) -> Put:
    """Change one station that exists; raises like `put_stations`.

    :raises StationNotFound: if there is no such station
    """
    station = await get_station_for_update(session, station_id=station_id)
    return await put_stations(session, stations={station.code: facts}, actor=actor, now=now)


async def move_station(
    session: AsyncSession, *, station_id: StationId, to: StationStatus, reason: str, actor: Actor, now: datetime
) -> Station:
    """Open, pause, or close a station, or say that a product has run out.

    Completions of what was authorised before are still taken: that fuel is in the tank.

    :raises StationNotFound: if there is no such station
    :raises StationCannotMove: if its present status does not lead there
    """
    station = await get_station_for_update(session, station_id=station_id)
    if to not in STATION_MOVES[station.status]:
        raise StationCannotMove(station=station.code, status=station.status, to=to)
    before, station.status = station.status, to
    session.add(
        StationEvent(event_id=uuid7(now), station_id=station_id, moved_to=to, happened_at=now, staff_id=actor.staff_id, reason=reason)
    )
    await bump(session, Kind.REFERENCE)
    await record(
        session,
        actor=actor,
        action="stations.station_moved",
        subject=("station", station_id),
        station_id=station_id,
        facts={"from": before, "to": to, "reason": reason},
        now=now,
    )
    return station


async def _put(
    session: AsyncSession,
    table: type[Base],
    key: InstrumentedAttribute[UUID],
    rows: Mapping[str, msgspec.Struct],
    fresh: Mapping[str, Any],
    *,
    leave_out: frozenset[str] = frozenset(),
    actor: Actor,
    now: datetime,
) -> Put:
    """Compare all rows with what stands, then insert the new ones and update those that differ; `fresh` columns only for new ones."""
    if not rows:
        return Put({}, (), ())
    await hold(session, Kind.REFERENCE)
    wanted = {
        code: {name: value for name, value in msgspec.structs.asdict(facts).items() if name not in leave_out}
        for code, facts in rows.items()
    }
    names = list(next(iter(wanted.values())))
    code_column = table.__table__.c.code
    standing = {
        row[0]: (row[1], dict(zip(names, row[2:], strict=True)))
        for row in await session.execute(
            select(code_column, key, *(getattr(table, name) for name in names)).where(code_column.in_(list(wanted)))
        )
    }
    added = {code: uuid7(now) for code in wanted if code not in standing}
    changed = [code for code in wanted if code in standing and standing[code][1] != wanted[code]]
    if added:
        await session.execute(
            insert(table), [{key.key: added[code], "code": code, "created_at": now, **wanted[code], **fresh} for code in added]
        )
    if changed:
        await session.execute(update(table), [{key.key: standing[code][0], **wanted[code]} for code in changed])
    ids = {code: row[0] for code, row in standing.items()} | added
    if added or changed:
        await bump(session, Kind.REFERENCE)
        await _record_put(session, table.__tablename__, ids, tuple(added), tuple(changed), actor=actor, now=now)
    return Put(ids, tuple(added), tuple(changed))


async def _record_put(
    session: AsyncSession,
    table: str,
    ids: Mapping[str, UUID],
    added: tuple[str, ...],
    changed: tuple[str, ...],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Record one row by its id, many rows as one act: a file of thousands is one decision."""
    codes = added + changed
    subject = (table, ids[codes[0]]) if len(codes) == 1 else (table, f"{len(codes)} rows")
    facts = {"added": len(added), "changed": len(changed), "codes": list(codes[:50])}
    await record(session, actor=actor, action="stations.reference_put", subject=subject, facts=facts, now=now)


def _check_currencies(currencies: Any) -> None:
    for currency in currencies:
        try:
            minor_digits(currency)
        except KeyError:
            raise UnknownCurrency(currency=currency) from None


async def _check_exist(session: AsyncSession, key: InstrumentedAttribute[UUID], kind: str, ids: set[UUID] | set[UUID | None]) -> None:
    found = set(await session.scalars(select(key).where(key.in_(list(ids)))))
    if missing := ids - found:
        raise PlaceNotFound(kind=kind, ids=", ".join(sorted(str(each) for each in missing)))


async def _check_money_stays(session: AsyncSession, stations: Mapping[str, StationFacts]) -> None:
    priced = await session.execute(
        select(Station.code, Station.currency, Station.zone).where(
            Station.code.in_(list(stations)), select(1).where(StationPrice.station_id == Station.station_id).exists()
        )
    )
    for code, currency, zone in priced:
        if (stations[code].currency, stations[code].zone) != (currency, zone):
            raise StationMoneyFixed(station=code)
