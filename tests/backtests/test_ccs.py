"""The Czech sample, imported and replayed at the pump, asked again under rules in Czech money; where the sample is there."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import text

from loyalty import clock
from loyalty.backtests.operations import backtests
from loyalty.backtests.operations.running import Edge, run
from loyalty.backtests.queries.backtests import get_backtest
from loyalty.db import transaction
from loyalty.importing.queries import list_receipts
from loyalty.money import line_amount
from loyalty.pricing.document import Document, Fixed, Funder, PerUnit, Points, When
from loyalty.pricing.operations import drafts
from loyalty.replay.command import replay
from loyalty.replay.rules import plan
from tests.backtests.past import BY_COMMAND, lines_of, rule
from tests.importing.conftest import CCS_FILES, needs_ccs, site
from tests.replay.conftest import serving

__all__ = ["site"]

RATE_E4 = 5_000
SHARED = (Funder(funder="head-office", parts=4), Funder(funder="station"))
DRAFT = Document(
    currency="CZK",
    rules=(
        rule("litre", PerUnit(rate_e4=RATE_E4), when=When(categories=("fuel",)), funders=SHARED),
        rule("hundred", Fixed(amount_minor=2_000), when=When(least_minor=100_000)),
        rule("points", Points(points=1, per_minor=10_000)),
    ),
)


@needs_ccs
@pytest.mark.parametrize("receipts", [40, pytest.param(921, marks=pytest.mark.long)])
async def test_the_replayed_sample_costs_what_its_litres_say(site, tmp_path, receipts):
    clock.set_demo_clock(site.now)
    try:
        await played(site, tmp_path, receipts)
        report = await asked(site)
    finally:
        clock.set_demo_clock(None)
    async with transaction(site.sessions) as session:
        sales = list(
            await session.execute(
                text(
                    "SELECT s.quantity_milli, s.unit_price_e4, s.gross_minor, p.category FROM sales s"
                    " LEFT JOIN products p ON p.product_id = s.product_id WHERE s.currency = 'CZK'"
                )
            )
        )
    fuel = [sale for sale in sales if sale.category == "fuel"]
    off = [saved(sale.quantity_milli, sale.unit_price_e4) for sale in fuel]
    assert (report.rows, report.gross_minor) == (len(sales), sum(sale.gross_minor for sale in sales))
    assert report.live.cost_minor == 0
    found = lines_of(report)
    assert found["litre"][2] == sum(off) > 0
    assert found["litre"][0] == sum(1 for amount in off if amount)
    assert found["hundred"][2] == 2_000 * sum(1 for sale in sales if sale.gross_minor >= 100_000)
    assert report.draft.points > 0
    assert report.losers == 0
    assert report.speed.rows_per_s > 0


def saved(quantity_milli: int, unit_price_e4: int) -> int:
    return line_amount(quantity_milli, unit_price_e4) - line_amount(quantity_milli, max(unit_price_e4 - RATE_E4, 0))


async def played(site, tmp_path, receipts) -> None:
    """Import the sample and replay so many of its receipts."""
    for kind in CCS_FILES:
        await site.take_ccs(kind)
    async with transaction(site.sessions) as session:
        planned = plan(await list_receipts(session), {})[:receipts]
    folder = tmp_path / "replay"
    folder.mkdir(mode=0o700)
    async with serving(site.settings) as base_url:
        found, _ = await replay(site.sessions, planned, base_url=base_url, folder=folder)
    assert [each.problems for each in found if not each.is_booked] == []


async def asked(site):
    now = clock.business_now() + timedelta(minutes=1)
    async with transaction(site.sessions) as session:
        number = await drafts.start_draft(session, empty=True, note="CZK", actor=BY_COMMAND, now=now)
        await drafts.replace_document(session, number=number, version=1, document=DRAFT, actor=BY_COMMAND, now=now)
        identity = await backtests.ask(session, number=number, since=now - timedelta(days=30), until=now, actor=BY_COMMAND, now=now)
        taken = await backtests.take(session, backtest_id=identity, now=now)
    dsn = site.settings.database_url
    assert await run(site.sessions, dsn=dsn, backtest=taken, workers=0, edge=Edge(lambda: now, time.perf_counter))
    async with transaction(site.sessions) as session:
        report = (await get_backtest(session, backtest_id=identity)).report
    print(report.rows, report.draft.cost_minor, report.speed)  # noqa: T201 - the figures, for whoever runs it by hand
    return report
