"""The Czech sample as pump traffic, where it is there: booked to the cent in both currencies, the second time without effect."""

from collections import Counter

import pytest
from sqlalchemy import func, select

from loyalty import clock
from loyalty.authorizations.model import Sale
from loyalty.db import transaction
from loyalty.importing.queries import list_receipts
from loyalty.replay.command import replay
from loyalty.replay.rules import plan
from tests.importing.conftest import CCS_FILES, needs_ccs

from .conftest import serving


@needs_ccs
@pytest.mark.parametrize("receipts", [40, pytest.param(921, marks=pytest.mark.long)])
async def test_receipts_of_the_sample_are_booked_once(site, tmp_path, receipts):
    clock.set_demo_clock(site.now)
    for kind in CCS_FILES:
        await site.take_ccs(kind)
    async with transaction(site.sessions) as session:
        planned = plan(await list_receipts(session), {})[:receipts]
    assert len(planned) == receipts
    former: Counter[str] = Counter()
    for each in planned:
        former[each.receipt.currency] += each.receipt.amount_minor
    folder = tmp_path / "replay"
    folder.mkdir(mode=0o700)
    try:
        async with serving(site.settings) as base_url:
            played, _ = await replay(site.sessions, planned, base_url=base_url, folder=folder)
            assert [each.problems for each in played if not each.is_booked] == []
            assert await booked(site) == former
            played, answers = await replay(site.sessions, planned, base_url=base_url, folder=folder)
            assert answers.differing == []
            assert answers.repeated == len(answers.now) > 3 * receipts - receipts
            assert await booked(site) == former
    finally:
        clock.set_demo_clock(None)


async def booked(site) -> dict[str, int]:
    async with transaction(site.sessions) as session:
        rows = await session.execute(select(Sale.currency, func.sum(Sale.gross_minor)).group_by(Sale.currency))
        return {currency: int(amount) for currency, amount in rows}
