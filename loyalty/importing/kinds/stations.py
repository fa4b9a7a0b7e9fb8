"""Stations, with the legal entities, regions and districts that the map names."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.importing.faults import Fault
from loyalty.importing.values import Field, Kind
from loyalty.stations.operations import EntityFacts, PlaceFacts, StationFacts, put_districts, put_entities, put_regions, put_stations
from loyalty.stations.queries import list_districts, list_entities, list_regions

from .base import Context, KindOfRow, Results, Row, Taken

FIELDS = {
    "code": Field(required=True),
    "name_zh": Field(required=True),
    "name_en": Field(required=True),
    "entity": Field(required=True),
    "district": Field(required=True),
    "zone": Field(required=True),
    "currency": Field(required=True),
    "country": Field(),
    "address": Field(),
    "phone": Field(),
    "segment": Field(),
    "may_issue": Field(Kind.TRUTH),
    "may_load": Field(Kind.TRUTH),
    "may_invoice": Field(Kind.TRUTH),
}


async def prepare(session: AsyncSession, context: Context) -> None:
    """Add the places that the map names and that are not there; those that are stay as they are."""
    setup, actor, now = context.map.setup, context.actor, context.now
    entities = {each.code: each.entity_id for each in await list_entities(session)}
    fresh = {
        each.code: EntityFacts(name_zh=each.name_zh, name_en=each.name_en, currency=each.currency, tax_number=each.tax_number)
        for each in setup.entities
        if each.code not in entities
    }
    entities |= (await put_entities(session, entities=fresh, actor=actor, now=now)).ids
    regions = {each.code: each.region_id for each in await list_regions(session)}
    new_regions = {each.code: PlaceFacts(name_zh=each.name_zh, name_en=each.name_en) for each in setup.regions if each.code not in regions}
    regions |= (await put_regions(session, regions=new_regions, actor=actor, now=now)).ids
    districts = {each.code: each.district_id for each in await list_districts(session)}
    new_districts = {
        each.code: PlaceFacts(name_zh=each.name_zh, name_en=each.name_en, region_id=regions.get(each.region or ""))
        for each in setup.districts
        if each.code not in districts
    }
    districts |= (await put_districts(session, districts=new_districts, actor=actor, now=now)).ids
    context.known["entities"], context.known["districts"] = entities, districts


async def take(session: AsyncSession, context: Context, rows: Sequence[Row]) -> Results:
    """Add the stations that are new, and change those whose row did."""
    results: Results = {}
    wanted: dict[str, StationFacts] = {}
    lines: list[tuple[int, str]] = []
    entities: dict[str, UUID] = context.known["entities"]
    districts: dict[str, UUID] = context.known["districts"]
    for row in rows:
        values = {name: value for name, value in row.values.items() if value is not None}
        code, entity, district = values.pop("code"), values.pop("entity"), values.pop("district")
        if entity not in entities:
            results[row.line] = Fault("unknown_entity", "entity", value=entity)
        elif district not in districts:
            results[row.line] = Fault("unknown_district", "district", value=district)
        else:
            wanted[code] = StationFacts(entity_id=entities[entity], district_id=districts[district], **values)
            lines.append((row.line, code))
    put = await put_stations(session, stations=wanted, actor=context.actor, now=context.now)
    return results | {line: Taken(put.ids[code]) for line, code in lines}


KIND = KindOfRow(FIELDS, take, prepare, updates=True)
