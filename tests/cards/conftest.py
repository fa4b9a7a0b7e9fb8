"""Two stations, four card products, people and a company, blank stock; keys of the run."""

from datetime import datetime
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from loyalty.audit.model import Actor, ActorKind
from loyalty.cards import operations, queries
from loyalty.cards.model import Card, ProductKind
from loyalty.crypto import FileKeyProvider, open_keyring, use_keyring
from loyalty.customers.model import Customer, CustomerKind, CustomerStatus
from loyalty.identity.model import Staff, StaffStatus
from loyalty.policy import load_policy
from loyalty.stations.operations import StationFacts, put_stations
from loyalty.stations.queries import get_station
from tests.factories.world import make_world

PIN = "8416"


@pytest.fixture(scope="session")
def key_set(tmp_path_factory):
    provider = FileKeyProvider(tmp_path_factory.mktemp("secret") / "keys")
    return open_keyring(provider, expected_fingerprint=None, now=datetime.fromisoformat("2026-09-24T00:00:00Z"))


@pytest.fixture(autouse=True)
def keys(key_set):
    use_keyring(key_set)
    yield key_set
    use_keyring(None)


@pytest.fixture
def policy():
    return load_policy("cn-single-purpose")


async def hire(session, now) -> Actor:
    staff_id = uuid4()
    await session.execute(
        insert(Staff).values(
            staff_id=staff_id, employee_number=str(staff_id)[:8], name="王芳", status=StaffStatus.ACTIVE, locale="zh_CN", hired_at=now
        )
    )
    return Actor(ActorKind.STAFF, staff_id)


async def new_customer(session, now, *, kind: CustomerKind = CustomerKind.PERSON, name: str = "李明") -> UUID:
    customer_id = uuid4()
    await session.execute(
        insert(Customer).values(
            customer_id=customer_id,
            kind=kind,
            name=name,
            name_key=name,
            locale="zh_CN",
            country="CN",
            status=CustomerStatus.ACTIVE,
            created_at=now,
        )
    )
    return customer_id


async def make_shop(session, now) -> SimpleNamespace:
    world = await make_world(session, now=now)
    actor = await hire(session, now)
    first = await get_station(session, station_id=world.station_id)
    place = {"entity_id": first.entity_id, "district_id": first.district_id, "zone": "Asia/Shanghai", "currency": "CNY"}
    second = StationFacts(name_zh="二号站", name_en="Station 2", **place)
    no_issue = StationFacts(name_zh="三号站", name_en="Station 3", may_issue=False, **place)
    made = await put_stations(session, stations={"S2": second, "S3": no_issue}, actor=actor, now=now)
    return SimpleNamespace(
        session=session,
        now=now,
        actor=actor,
        station_id=world.station_id,
        other_station_id=made.ids["S2"],
        mute_station_id=made.ids["S3"],
        products={ProductKind(kind): product_id for kind, product_id in world.card_product_ids.items()},
    )


@pytest.fixture
async def shop(session, now):
    return await make_shop(session, now)


async def blanks(shop, *, kind: ProductKind = ProductKind.PERSONAL, count: int = 1, station_id: UUID | None = None) -> list[Card]:
    """Produce blank cards at the first station and return them."""
    where = station_id or shop.station_id
    batch = await operations.produce_batch(
        shop.session, product_id=shop.products[kind], count=count, station_id=where, actor=shop.actor, now=shop.now
    )
    page = await queries.list_cards(shop.session, limit=200)
    return [card for card in page.rows if card.batch_id == batch.batch_id]


async def issued(shop, *, kind: ProductKind = ProductKind.PERSONAL, customer_id: UUID | None = None, **facts) -> Card:
    (blank,) = await blanks(shop, kind=kind)
    if customer_id is None and kind is not ProductKind.ANONYMOUS:
        person = CustomerKind.PERSON if kind is ProductKind.PERSONAL else CustomerKind.ORGANISATION
        customer_id = await new_customer(shop.session, shop.now, kind=person)
    if kind is ProductKind.FLEET:
        facts.setdefault("plate", "京A·82K61")
    return await operations.issue_card(
        shop.session, card_id=blank.card_id, customer_id=customer_id, station_id=shop.station_id, actor=shop.actor, now=shop.now, **facts
    )


async def active(shop, **facts) -> Card:
    card = await issued(shop, **facts)
    return await operations.activate_card(
        shop.session, card_id=card.card_id, pin=PIN, station_id=shop.station_id, actor=shop.actor, now=shop.now
    )
