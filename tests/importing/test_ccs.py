"""The Czech sample, where it is there: counts and control totals as its own description gives them."""

from collections import Counter
from datetime import UTC, datetime

from sqlalchemy import func, select

from loyalty.cards.model import Card
from loyalty.db import transaction
from loyalty.importing.queries import list_receipts
from loyalty.importing.running import Outcome
from loyalty.ledger.model import Account
from loyalty.replay.rules import Verb, plan
from loyalty.stations.model import Station

from .conftest import CCS_FILES, needs_ccs

SUMS = {"CZK": 42_404_563, "EUR": 153_053}


@needs_ccs
async def test_the_sample_is_imported_whole_and_once(site):
    figures = {kind: (await site.take_ccs(kind)).made.figures for kind in CCS_FILES}
    assert figures["customers"].rows == {Outcome.ADDED: 32_461}
    assert figures["stations"].rows == {Outcome.ADDED: 5_716}
    assert figures["products"].rows == {Outcome.ADDED: 591}
    assert figures["accounts"].rows == {Outcome.ADDED: 902, Outcome.REPEATED: 98}
    assert figures["transactions"].rows == {Outcome.ADDED: 1_000}
    assert figures["transactions"].sums == {Outcome.ADDED: SUMS}
    assert Outcome.REJECTED not in figures["prices"].rows
    async with transaction(site.sessions) as session:
        assert await session.scalar(select(func.count()).select_from(Card)) == 902
        assert Counter(await session.scalars(select(Account.currency))) == {"CZK": 475, "EUR": 42}
        points = await session.scalars(select(Station.code).where(Station.code.like("%-EUR") | Station.code.like("%-CZK")))
        assert sorted(points) == ["CCS-267-EUR", "CCS-3616-EUR", "CCS-4565-CZK", "CCS-4593-CZK", "CCS-4932-CZK"]
        receipts = await list_receipts(session)
    check_receipts(receipts)
    again = {kind: (await site.take_ccs(kind)).made.figures.rows for kind in CCS_FILES}
    assert not {Outcome.ADDED, Outcome.UPDATED, Outcome.DIFFERS, Outcome.REJECTED} & {name for rows in again.values() for name in rows}


def check_receipts(receipts) -> None:
    """Show what the sample's receipts become at the pump."""
    assert len(receipts) == 921
    assert sum(1 for receipt in receipts for line in receipt.lines if line.quantity_milli is None) == 91
    assert sum(1 for receipt in receipts if all(line.quantity_milli is None for line in receipt.lines)) == 40
    first = next(receipt for receipt in receipts if receipt.lines[0].legacy_id == "1")
    assert first.event_at == datetime(2012, 8, 24, 7, 41, tzinfo=UTC)
    planned = plan(receipts, {})
    parts = Counter(part.verb for each in planned for part in each.parts)
    assert parts == {Verb.AUTHORISE: 874, Verb.SELL: 29, Verb.ADVISE: 86}
    assert sum(each.top_up_minor for each in planned) == sum(SUMS.values())
