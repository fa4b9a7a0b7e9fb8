"""Grants, returns and redemptions that were kept by the operations are clean; a row broken by hand is named."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.checks.model import Scope
from loyalty.checks.queries import ledger, points
from loyalty.checks.running import examine
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.ledger.model import PurseKind
from loyalty.ledger.queries import purses_of
from loyalty.policy import PointsReturns
from loyalty.rewards.operations.grant_returns import mirror_refund
from loyalty.rewards.operations.grants import activate_due, collect
from loyalty.rewards.operations.points import expire_due, spend, undo_spending
from tests.factories.world import give_card, make_world

from .earning import ZONE, benefit, publish_rules, refunded, sold
from .test_points import POLICY, earn, profile

HOUR = timedelta(hours=1)
BREACHES = {
    "grants-of-sales": "UPDATE grants SET amount = amount + 1, returned = returned + 1 WHERE rule = 'litre'",
    "grants-posted": "UPDATE grants SET posted = posted - 1 WHERE rule = 'litre'",
    "grants-returned": "UPDATE grants SET returned = returned - 1 WHERE returned > 0",
    "grants-mirrored": "UPDATE grant_returns SET amount = amount + 1, lost = lost + 1",
    "grants-recovered": "UPDATE grant_returns SET recovered = recovered + 1, owed = owed - 1 WHERE owed > 0",
    "points-places": "UPDATE transfers SET unit = 'CNY' WHERE kind = 16",
    "points-redeemed": "UPDATE points_redemptions SET points = points + 1",
    "grants-waiting": "UPDATE grants SET active_at = active_at - interval '9 days' WHERE status = 1",
    "points-lapsed": "UPDATE purses SET expires_at = expires_at - interval '10 years' WHERE kind = 3 AND balance_minor > 0",
    "transfer-directions": "UPDATE transfers SET kind = 18 WHERE kind = 16",
}
BY_CODE = {check.code: check for check in (*points.CHECKS, *ledger.CHECKS)}


async def keep(session, now):
    """Sell, collect, spend, refund with a debt, pay it off, undo, let run out."""
    world = await make_world(session, now=now)
    book = await publish_rules(session, now=now)
    card = await give_card(session, world)
    account = card.account_id
    funders = (("head-office", 2), ("station", 1), ("oil-co", 2))
    gains = [
        benefit(book, "litre", "points", 30, funders=funders),
        benefit(book, "slow", "points", 90),
        benefit(book, "back", "bonus", 500, funders=funders),
        benefit(book, "off", "discount", 40),
    ]
    sale = await sold(session, world, account, book, gains, at=now - 2 * HOUR)
    await collect(session, since=now - 3 * HOUR, until=now, zone=ZONE, now=now)
    await activate_due(session, now=now)
    asked = {"account_id": account, "purpose": "cup", "policy": POLICY, "zone": ZONE, "now": now}
    await spend(session, points=20, **asked)
    back = [("litre", "points", 15), ("slow", "points", 45), ("back", "bonus", 250), ("off", "discount", 20)]
    refund = await refunded(session, world, account, sale, back, at=now - HOUR - timedelta(minutes=5))
    strict = profile(returns=PointsReturns.NEGATIVE)
    await mirror_refund(session, account_id=account, refund_id=refund, policy=strict, zone=ZONE, now=now)
    await earn(session, account, 40, now=now)
    undone = await spend(session, points=10, **asked)
    await undo_spending(session, account_id=account, redemption_id=undone.redemption_id, now=now)
    await earn(session, account, 7, expires_at=now + HOUR, now=now)
    await earn(session, account, 60, expires_at=now + 900 * 24 * HOUR, now=now)
    await expire_due(session, now=now + HOUR)
    assert sum(p.balance_minor for p in await purses_of(session, account_id=account) if p.kind == PurseKind.POINTS) == 95


@pytest.fixture(scope="module")
async def books(databases, key_set):
    from loyalty.crypto import use_keyring

    from .conftest import NOW

    url = await databases.clone()
    engine = make_engine(url, role="loyalty_hot")
    use_keyring(key_set)
    async with transaction(make_sessions(engine)) as session:
        await keep(session, NOW)
    use_keyring(None)
    await engine.dispose()
    owner = make_engine(url, transaction_seconds=0)
    yield owner
    await owner.dispose()
    await databases.drop(url)


async def found(session, now, codes):
    scope = Scope(now=now + HOUR)
    return {
        result.check.code: result.found.rows
        async for result in examine(session, scope, checks=[BY_CODE[code] for code in codes])
        if result.found.count
    }


async def test_what_the_operations_kept_is_clean(books, now):
    async with AsyncSession(books) as session:
        assert await found(session, now, [code for code in BY_CODE if code != "purse-holds"]) == {}


@pytest.mark.parametrize("code", BREACHES)
async def test_a_broken_row_is_named(books, now, code):
    async with books.connect() as connection:
        done = await connection.begin()
        async with AsyncSession(connection, expire_on_commit=False) as session:
            await session.execute(text("ALTER TABLE transfers DISABLE TRIGGER USER"))
            await session.execute(text(BREACHES[code]))
            assert (await found(session, now, [code]))[code]
        await done.rollback()


def test_every_check_of_points_is_broken_once():
    assert {check.code for check in points.CHECKS} <= set(BREACHES)
