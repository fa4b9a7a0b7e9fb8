"""A small chain: one entity, one district, a station in Shanghai, two products, a till, two members of staff."""

from datetime import datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import insert

from loyalty.audit.model import Actor, ActorKind
from loyalty.identity.model import Staff, StaffStatus
from loyalty.stations import operations
from loyalty.stations.model import FuelKind, ProductCategory, TerminalKind, Unit


async def hire(session, number: str, now: datetime):
    staff_id = uuid4()
    await session.execute(
        insert(Staff).values(
            staff_id=staff_id, employee_number=number, name=number, status=StaffStatus.ACTIVE, locale="zh_CN", hired_at=now
        )
    )
    return staff_id


@pytest.fixture
async def actor(session, now):
    return Actor(ActorKind.STAFF, await hire(session, f"office-{uuid4()}", now))


def station_facts(chain, **changes):
    facts = {
        "name_zh": "浦东一站",
        "name_en": "Pudong 1",
        "entity_id": chain.entity_id,
        "district_id": chain.district_id,
        "zone": "Asia/Shanghai",
        "currency": "CNY",
    }
    return operations.StationFacts(**(facts | changes))


@pytest.fixture
async def chain(session, actor, now):
    """Return the ids of the small chain; codes carry a fresh suffix, since the template may hold demo rows one day."""
    chain = SimpleNamespace(tag=uuid4().hex[:6])
    entities = {f"E-{chain.tag}": operations.EntityFacts(name_zh="东方石油", name_en="East Oil", currency="CNY")}
    chain.entity_id = (await operations.put_entities(session, entities=entities, actor=actor, now=now)).ids[f"E-{chain.tag}"]
    regions = {f"R-{chain.tag}": operations.PlaceFacts(name_zh="华东", name_en="East")}
    chain.region_id = (await operations.put_regions(session, regions=regions, actor=actor, now=now)).ids[f"R-{chain.tag}"]
    districts = {f"D-{chain.tag}": operations.PlaceFacts(name_zh="浦东", name_en="Pudong", region_id=chain.region_id)}
    chain.district_id = (await operations.put_districts(session, districts=districts, actor=actor, now=now)).ids[f"D-{chain.tag}"]
    chain.station_code = f"S-{chain.tag}"
    stations = await operations.put_stations(session, stations={chain.station_code: station_facts(chain)}, actor=actor, now=now)
    chain.station_id = stations.ids[chain.station_code]
    chain.petrol, chain.wash = f"92-{chain.tag}", f"wash-{chain.tag}"
    products = {
        chain.petrol: operations.ProductFacts(
            name_zh="92号汽油", name_en="Petrol 92", category=ProductCategory.FUEL, unit=Unit.LITRE, fuel_kind=FuelKind.GASOLINE
        ),
        chain.wash: operations.ProductFacts(
            name_zh="洗车", name_en="Car wash", category=ProductCategory.SHOP, unit=Unit.PIECE, shop_category="car_wash"
        ),
    }
    ids = (await operations.put_products(session, products=products, actor=actor, now=now)).ids
    chain.petrol_id, chain.wash_id = ids[chain.petrol], ids[chain.wash]
    terminal = await operations.add_terminal(session, station_id=chain.station_id, code="01", kind=TerminalKind.POS, actor=actor, now=now)
    chain.terminal_id = terminal.terminal_id
    chain.cashier_id, chain.manager_id = await hire(session, f"c-{chain.tag}", now), await hire(session, f"m-{chain.tag}", now)
    return chain
