"""What a customer, the office and a page are told about points."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from loyalty.rewards.model_grants import GrantKind
from loyalty.rewards.operations.grants import activate_due, collect
from loyalty.rewards.operations.points import reckon_liability, spend, undo_spending
from loyalty.rewards.queries.grants import grants_of, list_grants
from loyalty.rewards.queries.points import Flow, Lot, accounts_of, latest_liability, points_flow, points_of, redemptions_of
from tests.factories.world import give_card, make_world

from .earning import ZONE, benefit, new_customer, publish_rules, sold
from .test_points import DAY, HOUR, POLICY, earn


@pytest.fixture
async def shop(session, now):
    world = await make_world(session, now=now)
    world.book = await publish_rules(session, now=now)
    world.card = await give_card(session, world)
    return world


async def test_a_customer_sees_points_pending_and_the_soonest_to_run_out(session, shop, now):
    account = shop.card.account_id
    assert (await points_of(session, account_ids=[account], now=now)).soonest is None
    await earn(session, account, 50, now=now)
    await earn(session, account, 30, expires_at=now + 9 * DAY, now=now)
    await earn(session, account, 5, expires_at=now, now=now - DAY)
    await earn(session, account, 40, active_at=now + DAY, now=now)
    seen = await points_of(session, account_ids=[account], now=now)
    assert (seen.available, seen.pending, seen.pending_from, seen.owed) == (80, 40, now + DAY, 0)
    assert seen.lots == (Lot(30, now + 9 * DAY), Lot(50, None))
    assert seen.soonest == Lot(30, now + 9 * DAY)


async def test_a_merged_customers_accounts_are_one_customers(session, shop, now):
    li = await new_customer(session, now, "li")
    same = await new_customer(session, now, "li again", merged_into=li)
    other = await give_card(session, shop)
    both = {shop.card.account_id: li, other.account_id: same}
    for account, customer in both.items():
        await session.execute(text("UPDATE accounts SET customer_id = :c WHERE account_id = :a"), {"c": customer, "a": account})
    assert set(await accounts_of(session, customer_id=same)) == set(both)


async def test_grants_are_listed_by_their_sales(session, shop, now):
    account = shop.card.account_id
    gains = [benefit(shop.book, "litre", "points", 30), benefit(shop.book, "back", "bonus", 500)]
    first = await sold(session, shop, account, shop.book, gains, at=now)
    await sold(session, shop, account, shop.book, [benefit(shop.book, "slow", "points", 9)], at=now + timedelta(minutes=1))
    await collect(session, since=now - HOUR, until=now + HOUR, zone=ZONE, now=now)
    page = await list_grants(session, account_ids=[account], kinds=[GrantKind.POINTS], limit=1)
    assert [one.rule for one in page.rows] == ["slow"]
    page = await list_grants(session, account_ids=[account], kinds=[GrantKind.POINTS], limit=1, cursor=page.next)
    assert ([one.rule for one in page.rows], page.next) == (["litre"], None)
    assert [one.kind for one in await grants_of(session, sources=[(account, first)])] == [GrantKind.BONUS, GrantKind.POINTS]
    assert await grants_of(session, sources=[]) == []


async def test_the_house_knows_what_it_owes_and_when_it_runs_out(session, shop, now):
    assert await latest_liability(session) is None
    account = shop.card.account_id
    await earn(session, account, 50, now=now)
    await earn(session, account, 30, expires_at=datetime(2026, 10, 31, 16, tzinfo=UTC), now=now)
    await sold(session, shop, account, shop.book, [benefit(shop.book, "slow", "points", 9)], at=now)
    await collect(session, since=now - HOUR, until=now + HOUR, zone=ZONE, now=now)
    await activate_due(session, now=now)
    assert await reckon_liability(session, zone=ZONE, now=now) == 80
    assert await reckon_liability(session, zone=ZONE, now=now) == 80
    owes = await latest_liability(session)
    assert (owes.outstanding, owes.pending, owes.owed, owes.holders) == (80, 9, 0, 1)
    assert owes.expiring == [[date(2026, 10, 1).isoformat(), 30], [None, 50]]


async def test_the_flow_of_points_is_told(session, shop, now):
    account = shop.card.account_id
    await earn(session, account, 50, now=now)
    asked = {"account_id": account, "purpose": "cup", "policy": POLICY, "zone": ZONE, "now": now}
    await spend(session, points=20, **asked)
    undone = await spend(session, points=10, **asked)
    await undo_spending(session, account_id=account, redemption_id=undone.redemption_id, now=now)
    assert await points_flow(session, since=now - HOUR, until=now + HOUR) == Flow(issued=50, redeemed=20, expired=0, returned=0)
    assert [one.points for one in await redemptions_of(session, account_ids=[account])] == [20, 10]
