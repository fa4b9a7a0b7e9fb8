"""A Czech station's month ends at its own midnight, while UTC still writes the last of September: limits follow the station's calendar."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from loyalty.audit.model import Actor, ActorKind
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.identity.model import Staff, StaffStatus
from loyalty.limits.model import LimitKind, Window
from loyalty.limits.operations import NewLimit, replace_limits
from tests.factories.world import give_card, make_world
from tests.scenarios.telling import counted, key, said
from tests.simulation.house import House, Population, breaches, broken

MINUTE_BEFORE = datetime(2026, 9, 30, 21, 59, tzinfo=UTC)  # 23:59 in Prague, summer time


@pytest.fixture
async def prague(database_url):
    engine = make_engine(database_url, role="loyalty_hot")
    staff_id = uuid.uuid4()
    staff = Actor(ActorKind.STAFF, staff_id)
    async with transaction(make_sessions(engine)) as session:
        world = await make_world(session, now=MINUTE_BEFORE, currency="CZK", zone="Europe/Prague")
        session.add(
            Staff(staff_id=staff_id, employee_number="1", name="Jan", status=StaffStatus.ACTIVE, locale="en", hired_at=MINUTE_BEFORE)
        )
        await session.flush()
        card = await give_card(session, world, balance_minor=1_000_000)
        month = NewLimit(kind=LimitKind.AMOUNT, window=Window.MONTH, value=100_000)
        await replace_limits(session, subject_id=card.card_id, limits=[month], actor=staff, now=MINUTE_BEFORE)
    await engine.dispose()
    house = House(database_url, Population(world, {"card": card}, staff))
    await house.start()
    yield house
    await house.stop()


async def test_the_month_is_the_stations(prague):
    card = prague.people.cards["card"]
    fill = {"milli": 10_000, "price": 380_000}
    last = said(await prague.sell(card, key=key(), amount=38_000, **fill))
    first_day = said(await prague.sell(card, key=key(), amount=38_000, **fill))
    assert [last["outcome"], first_day["outcome"]] == ["approved", "approved"]
    refused = said(await prague.sell(card, key=key(), amount=38_000, **fill))
    assert (refused["reason"], refused["limit"], refused["remaining_minor"]) == ("amount_limit", "month.amount", 24_000)

    prague.time += timedelta(minutes=2)
    assert prague.time.date().isoformat() == "2026-09-30", "in UTC"
    october = said(await prague.sell(card, key=key(), amount=38_000, **fill))
    assert october["outcome"] == "approved"
    assert await counted(prague, card) == {"2026-09-30": (76_000, 20_000, 2), "2026-10-01": (38_000, 10_000, 1)}
    assert await broken(prague) == []


async def test_what_septembers_refund_gives_back_is_not_octobers(prague):
    """The week still runs on 1 October, so the old day gets it back; a week later no window does, and October's room never grows."""
    card = prague.people.cards["card"]
    sales = [said(await prague.sell(card, key=key(), milli=10_000, price=380_000, amount=38_000))["sale"] for _ in range(2)]
    prague.time += timedelta(minutes=2)
    await prague.refund(sales[0], key=key(), gross=None)
    assert await counted(prague, card) == {"2026-09-30": (38_000, 10_000, 1)}
    prague.time += timedelta(days=7)
    await prague.refund(sales[1], key=key(), gross=None)
    assert await counted(prague, card) == {"2026-09-30": (38_000, 10_000, 1)}
    whole = said(await prague.authorise(card, key=key(), amount_minor=100_000))
    assert (whole["outcome"], whole["approved_minor"]) == ("approved", 100_000)
    assert await broken(prague) == []


async def test_a_sale_given_back_in_two_months_goes_on_counting_as_a_fill_of_the_first(prague):
    """Found by the simulation: the check took the fill for undone, since a part had come back in time."""
    card = prague.people.cards["card"]
    sale = said(await prague.sell(card, key=key(), milli=10_000, price=380_000, amount=38_000))["sale"]
    await prague.refund(sale, key=key(), gross=3_800)
    prague.time += timedelta(days=8)
    await prague.refund(sale, key=key(), gross=None)
    assert await counted(prague, card) == {"2026-09-30": (34_200, 9_000, 1)}
    assert await breaches(prague.url, prague.now()) == []
