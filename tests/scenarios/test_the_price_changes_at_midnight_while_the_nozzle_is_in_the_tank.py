"""At 24:00 the price rises and the discount falls: what was approved before settles at the new price with its old discount."""

from datetime import timedelta

from loyalty.db import transaction
from loyalty.stations.operations import publish_prices
from loyalty.stations.rules import PriceRow
from tests.factories.rules import litre_off
from tests.factories.world import SYSTEM
from tests.scenarios.telling import counted, key, money, said
from tests.simulation.house import broken

OLD, NEW = 78_900, 81_400


async def test_the_discount_was_frozen_the_price_was_not(house):
    card = house.people.cards["personal"]
    midnight = house.time.replace(hour=16, minute=0)  # 24:00 in Shanghai
    async with transaction(house.sessions) as session:
        row = PriceRow(line=1, station_code="S1", product_code="92", unit_price_e4=NEW, effective_from=midnight)
        assert (await publish_prices(session, rows=[row], actor=SYSTEM, now=house.time)).published == 1
        await litre_off(session, rate_e4=500, now=house.time, activates_at=midnight)

    house.time = midnight - timedelta(minutes=10)
    approved = said(await house.authorise(card, key=key(), quantity_milli=40_000))
    assert (approved["unit_price_e4"], approved["approved_minor"], approved["held_minor"]) == (OLD, 31_560, 30_760)
    assert approved["discount"]["rate_e4"] == 2_000

    house.time = midnight + timedelta(minutes=5)
    booked = said(await house.complete(approved["authorization"], key=key(), milli=30_000, price=NEW, amount=24_420))
    assert (booked["gross_minor"], booked["discount_minor"], booked["card_minor"]) == (24_420, 600, 23_820)
    assert booked["discount"]["revision"] == 1
    assert booked["flags"] == ["price_differs"]
    assert await money(house, card) == {"principal": (100_000 - 23_820, 0)}

    sale = (await house.rows("SELECT business_day, unit_price_e4 FROM sales"))[0]
    assert (sale["business_day"].isoformat(), sale["unit_price_e4"]) == ("2026-09-25", NEW)
    assert await counted(house, card) == {"2026-09-24": (23_820, 30_000, 1)}, "limits count on the day of the approval"

    later = said(await house.authorise(card, key=key(), quantity_milli=10_000))
    assert (later["unit_price_e4"], later["discount"]["rate_e4"]) == (NEW, 500)
    assert await broken(house) == []
