"""The detectors over real fills: the Czech sample, imported and replayed at the pump, each of its cards taken for one vehicle.

The sample says nothing of vehicles, so a card's is guessed from what it bought: petrol is a car's 60 L tank, diesel a van's 80 L, and
more than 100 L at once a truck's 600 L. What is found was read line by line: docs/misuse-in-real-fills.md. Long: the whole sample runs
through the pump.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from jobs import fleet
from jobs.job import Context
from loyalty import clock
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.fleet.detecting import Kind
from loyalty.fleet.operations.bindings import bind_card
from loyalty.fleet.operations.companies import make_company
from loyalty.fleet.operations.vehicles import add_vehicle
from loyalty.fleet.rules import VehicleFacts
from loyalty.importing.queries import list_receipts
from loyalty.ledger.operations import make_partitions
from loyalty.replay.command import replay
from loyalty.replay.rules import plan
from tests.factories.world import SYSTEM
from tests.importing.conftest import CCS_FILES, needs_ccs, site
from tests.replay.conftest import serving

__all__ = ["site"]

BEFORE = datetime(2012, 8, 20, tzinfo=UTC)
CARDS = """
SELECT c.chain_id, c.account_id, a.customer_id, a.currency, max(s.quantity_milli) AS most,
    bool_or(p.name_en ILIKE '%na%fta%' OR p.name_en ILIKE '%diesel%') AS diesel
FROM cards c JOIN accounts a ON a.account_id = c.account_id
JOIN sales s ON s.account_id = c.account_id AND s.card_id = c.card_id JOIN products p ON p.product_id = s.product_id
WHERE p.category = 'fuel' GROUP BY c.chain_id, c.account_id, a.customer_id, a.currency ORDER BY c.chain_id
"""
FOUND = """
SELECT f.kind, f.severity, f.evidence, (f.event_at AT TIME ZONE 'Europe/Prague')::text AS at, s.quantity_milli, p.name_en, t.code
FROM findings f JOIN sales s ON s.account_id = f.account_id AND s.sale_id = f.sale_id
LEFT JOIN products p ON p.product_id = s.product_id JOIN stations t ON t.station_id = s.station_id ORDER BY f.kind, f.event_at
"""


@pytest.fixture
def now() -> datetime:
    return datetime(2012, 8, 28, 8, tzinfo=UTC)


@needs_ccs
@pytest.mark.long
async def test_what_the_detectors_find_in_four_real_days(site, engine, tmp_path, now):
    async with transaction(make_sessions(engine)) as session:
        await make_partitions(session, now=now, months_back=2)
    clock.set_demo_clock(now)
    try:
        for kind in CCS_FILES:
            await site.take_ccs(kind)
        async with transaction(site.sessions) as session:
            planned = plan(await list_receipts(session), {})
        folder = tmp_path / "replay"
        folder.mkdir(mode=0o700)
        async with serving(site.settings) as base_url:
            played, _ = await replay(site.sessions, planned, base_url=base_url, folder=folder)
        assert [each.problems for each in played if not each.is_booked] == []
    finally:
        clock.set_demo_clock(None)
    await take_each_card_for_a_vehicle(site)
    jobs = make_engine(site.settings.database_url, role="loyalty_jobs")
    context = Context(make_sessions(jobs), site.settings)
    later = now + timedelta(hours=2)
    assert await fleet.run(context, later) > 800
    await fleet.look(context, later)
    await jobs.dispose()
    async with site.sessions() as session:
        found = list(await session.execute(text(FOUND)))
    for one in found:
        print(*one)  # noqa: T201 - the list, for whoever reads it line by line
    assert Counter(Kind(one.kind) for one in found) == {Kind.ABOVE_TANK: 5, Kind.TOO_SOON: 3}


async def take_each_card_for_a_vehicle(site) -> None:
    async with transaction(site.sessions) as session:
        known: set = set()
        for place, card in enumerate(list(await session.execute(text(CARDS)))):
            of = {"company_id": card.customer_id, "actor": SYSTEM, "now": BEFORE}
            if card.customer_id not in known:
                known.add(card.customer_id)
                await make_company(session, customer_id=card.customer_id, account_id=card.account_id, actor=SYSTEM, now=BEFORE)
            truck = card.diesel and card.most > 100_000
            litres = 600 if truck else 80 if card.diesel else 60
            facts = VehicleFacts(
                plate=f"CCS{place:05}", type="truck" if truck else "van" if card.diesel else "car", tank_milli=litres * 1000
            )
            vehicle = await add_vehicle(session, facts=facts, **of)
            await bind_card(session, chain_id=card.chain_id, vehicle_id=vehicle.vehicle_id, **of)
