"""The jobs of tiers: within minutes up, at night also down, and the same however often they run."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from jobs import tiers
from jobs.job import Context
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import AccountKind
from loyalty.pricing.model import Standing
from loyalty.rewards.model_tiers import TierStanding
from loyalty.rewards.operations.tiers import ProgrammeFacts, TierFacts, put_programme, put_tier
from loyalty.settings import Settings
from tests.factories.world import SYSTEM, make_world

from .earning import ZONE, new_customer, sold

DAY = timedelta(days=1)


@pytest.fixture
async def context(database_url, tmp_path):
    settings = Settings(database_url=database_url, data_dir=tmp_path / "data", keys_dir=tmp_path / "keys", policy="generic", zone=ZONE)
    engine = make_engine(database_url, role="loyalty_jobs")
    yield Context(make_sessions(engine), settings)
    await engine.dispose()


async def test_a_customer_rises_within_minutes_and_falls_at_night(context, now):
    async with transaction(context.sessions) as session:
        world = await make_world(session, now=now)
        await put_programme(session, facts=ProgrammeFacts(window_days=30), actor=SYSTEM, now=now)
        facts = TierFacts(name_zh="银", name_en="Silver", rank=1, spend_minor=100_00)
        await put_tier(session, code="silver", facts=facts, actor=SYSTEM, now=now)
        li = await new_customer(session, now - 9 * DAY, "li")
        account = await ledger.open_account(
            session, kind=AccountKind.PERSONAL, currency="CNY", customer_id=li, card_product_id=None, now=now - 9 * DAY
        )
        await sold(session, world, account, 0, [], at=now, amount_minor=120_00)
    assert await tiers.run(context, now) == 1
    assert await tiers.run(context, now) == 0
    assert await tiers.run_nightly(context, now + DAY) == 0
    async with transaction(context.sessions) as session:
        assert await session.scalar(select(Standing.tier)) == "silver"
    assert await tiers.run_nightly(context, now + 30 * DAY) == 1
    assert await tiers.run_nightly(context, now + 30 * DAY) == 0
    async with transaction(context.sessions) as session:
        assert await session.scalar(select(Standing.tier)) is None
        assert (await session.scalars(select(TierStanding.tier))).all() == [None]
