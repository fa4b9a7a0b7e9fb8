"""Points are spent soonest-expiring first, run out on their day, and go back with their sale as the profile says."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import select, text

from loyalty.db import transaction
from loyalty.ids import uuid7
from loyalty.ledger.model import HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import AccountNotOpen
from loyalty.ledger.queries import house_sum, purses_of
from loyalty.ledger.rules import PurseView, house_id
from loyalty.money import POINTS
from loyalty.policy import PointsReturns, load_policy
from loyalty.rewards.model_grants import Grant, GrantKind, GrantReturn, GrantStatus
from loyalty.rewards.operations.grant_returns import find_refunds, mirror_refund, next_refunds, refunds_done
from loyalty.rewards.operations.grants import activate_due, collect, give
from loyalty.rewards.operations.points import (
    NotTheMainCard,
    PointsMonthlyCap,
    PointsNotEnough,
    PointsStep,
    RedemptionNotFound,
    RedemptionReturned,
    expire_due,
    move_to_main_card,
    spend,
    undo_spending,
)
from loyalty.rewards.points_rules import mirror_value, spendable_points, take_points
from tests.factories.world import give_card, make_world

from .earning import ZONE, benefit, publish_rules, refunded, sold

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
POLICY = load_policy("generic")


def profile(**points):
    return msgspec.structs.replace(POLICY, points=msgspec.structs.replace(POLICY.points, **points))


@pytest.fixture
async def shop(session, now):
    world = await make_world(session, now=now)
    world.book = await publish_rules(session, now=now)
    world.card = await give_card(session, world)
    return world


async def earn(session, account_id, points, *, expires_at=None, active_at=None, now):
    facts = {"source": "tests", "source_id": uuid7(now), "rule": "tests", "kind": GrantKind.POINTS, "unit": POINTS}
    ends = {"active_at": active_at or now, "expires_at": expires_at}
    return await give(session, account_id=account_id, amount=points, funders=[("head-office", 1)], now=now, **ends, **facts)


async def lots(session, account_id):
    found = [p for p in await purses_of(session, account_id=account_id) if p.unit == POINTS]
    return sorted(((p.expires_at, p.balance_minor) for p in found), key=lambda lot: (lot[0] is None, lot))


async def total(session, account_id):
    return sum(balance for _, balance in await lots(session, account_id))


async def test_the_soonest_expiring_lot_is_spent_first(session, shop, now):
    account = shop.card.account_id
    await earn(session, account, 50, now=now)
    await earn(session, account, 30, expires_at=now + 9 * DAY, now=now)
    await earn(session, account, 20, expires_at=now + 2 * DAY, now=now)
    await earn(session, account, 99, expires_at=now + 2 * DAY, active_at=now + DAY, now=now)
    made = await spend(session, account_id=account, points=35, purpose="cup", policy=POLICY, zone=ZONE, now=now)
    assert made.points == 35
    assert await lots(session, account) == [(now + 2 * DAY, 0), (now + 9 * DAY, 15), (None, 50)]
    with pytest.raises(PointsNotEnough) as refused:
        await spend(session, account_id=account, points=66, purpose="cup", policy=POLICY, zone=ZONE, now=now)
    assert refused.value.facts == {"available": 65, "wanted": 66}


async def test_one_redemption_spends_once(session, shop, now):
    await earn(session, shop.card.account_id, 50, now=now)
    asked = {"account_id": shop.card.account_id, "points": 10, "purpose": "cup", "policy": POLICY, "zone": ZONE, "now": now}
    one = uuid4()
    assert await spend(session, redemption_id=one, **asked) is await spend(session, redemption_id=one, **asked)
    assert await total(session, shop.card.account_id) == 40


async def test_points_are_redeemed_in_steps_up_to_the_months_cap(session, shop, now):
    account, policy = shop.card.account_id, profile(step=100, month_max=300)
    await earn(session, account, 1_000, now=now)
    asked = {"account_id": account, "purpose": "cup", "policy": policy, "zone": ZONE}
    with pytest.raises(PointsStep):
        await spend(session, points=150, now=now, **asked)
    with pytest.raises(PointsStep):
        await spend(session, points=0, now=now, **asked)
    first = await spend(session, points=200, now=now, **asked)
    with pytest.raises(PointsMonthlyCap) as refused:
        await spend(session, points=200, now=now, **asked)
    assert refused.value.facts == {"most": 300, "used": 200, "left": 100}
    await undo_spending(session, account_id=account, redemption_id=first.redemption_id, now=now)
    await spend(session, points=300, now=now, **asked)
    # The office's month, not UTC's: at 16:30 UTC on the 30th October has begun.
    await spend(session, points=300, now=datetime(2026, 9, 30, 16, 30, tzinfo=UTC), **asked)


async def test_a_redemption_that_is_undone_fills_the_same_lots(session, shop, now):
    account = shop.card.account_id
    await earn(session, account, 20, expires_at=now + 2 * DAY, now=now)
    await earn(session, account, 50, now=now)
    before = await lots(session, account)
    made = await spend(session, account_id=account, points=45, purpose="cup", policy=POLICY, zone=ZONE, now=now)
    await undo_spending(session, account_id=account, redemption_id=made.redemption_id, now=now + HOUR)
    assert await lots(session, account) == before
    with pytest.raises(RedemptionReturned):
        await undo_spending(session, account_id=account, redemption_id=made.redemption_id, now=now)
    with pytest.raises(RedemptionNotFound):
        await undo_spending(session, account_id=account, redemption_id=uuid4(), now=now)


async def test_what_ran_out_meanwhile_stays_run_out(session, shop, now):
    account = shop.card.account_id
    await earn(session, account, 20, expires_at=now + 2 * DAY, now=now)
    made = await spend(session, account_id=account, points=20, purpose="cup", policy=POLICY, zone=ZONE, now=now)
    await undo_spending(session, account_id=account, redemption_id=made.redemption_id, now=now + 3 * DAY)
    assert await lots(session, account) == [(now + 2 * DAY, 0)]


async def test_lots_run_out_at_their_instant(session, shop, now):
    account = shop.card.account_id
    await earn(session, account, 20, expires_at=now + DAY, now=now)
    await earn(session, account, 30, expires_at=now + 2 * DAY, now=now)
    await earn(session, account, 50, now=now)
    assert await expire_due(session, now=now + DAY - timedelta(milliseconds=1)) == (0, 0)
    assert await expire_due(session, now=now + DAY) == (1, 20)
    assert await expire_due(session, now=now + DAY) == (0, 0)
    assert await lots(session, account) == [(now + DAY, 0), (now + 2 * DAY, 30), (None, 50)]
    assert await house_sum(session, house_id=house_id(HouseCode.POINTS, POINTS, "expired")) == 20
    assert await expire_due(session, since=now + 3 * DAY, now=now + 5 * DAY) == (0, 0)


async def test_a_frozen_account_spends_nothing(session, shop, now):
    await earn(session, shop.card.account_id, 20, now=now)
    await session.execute(text("UPDATE accounts SET status = 'frozen' WHERE account_id = :id"), {"id": shop.card.account_id})
    session.expire_all()
    with pytest.raises(AccountNotOpen):
        await spend(session, account_id=shop.card.account_id, points=20, purpose="cup", policy=POLICY, zone=ZONE, now=now)


async def test_a_companys_points_are_spent_by_its_main_card(session, shop, now):
    main, sub = await give_card(session, shop, kind="company"), None
    sub = await give_card(session, shop, kind="company", account_id=main.account_id)
    await session.execute(text("UPDATE cards SET is_main = true WHERE card_id = :id"), {"id": main.card_id})
    account = main.account_id
    await earn(session, account, 30, expires_at=now + DAY, now=now)
    await earn(session, account, 50, now=now)
    asked = {"account_id": account, "purpose": "cup", "policy": POLICY, "zone": ZONE, "now": now}
    with pytest.raises(PointsNotEnough):
        await spend(session, points=10, card_id=main.card_id, **asked)
    with pytest.raises(NotTheMainCard):
        await move_to_main_card(session, account_id=account, card_id=sub.card_id, now=now)
    with pytest.raises(NotTheMainCard):
        await move_to_main_card(session, account_id=account, card_id=shop.card.card_id, now=now)
    assert await move_to_main_card(session, account_id=account, card_id=main.card_id, points=40, now=now) == 40
    with pytest.raises(PointsNotEnough):
        await move_to_main_card(session, account_id=account, card_id=main.card_id, points=41, now=now)
    with pytest.raises(PointsNotEnough):
        await spend(session, points=10, card_id=sub.card_id, **asked)
    await spend(session, points=35, card_id=main.card_id, **asked)
    assert await lots(session, account) == [(now + DAY, 0), (now + DAY, 0), (None, 5), (None, 40)]
    assert await move_to_main_card(session, account_id=account, card_id=main.card_id, now=now) == 40


async def granted(session, shop, benefits, now):
    sale = await sold(session, shop, shop.card.account_id, shop.book, benefits, at=now, card_id=shop.card.card_id)
    await collect(session, since=now - HOUR, until=now + HOUR, zone=ZONE, now=now)
    await activate_due(session, now=now)
    return sale


async def mirrored(session, shop, sale, benefits, *, policy=POLICY, now):
    refund = await refunded(session, shop, shop.card.account_id, sale, benefits, at=now)
    done = await mirror_refund(session, account_id=shop.card.account_id, refund_id=refund, policy=policy, zone=ZONE, now=now)
    session.expire_all()
    found = await session.scalars(select(GrantReturn).where(GrantReturn.refund_id == refund).order_by(GrantReturn.rule))
    back = [(one.amount, one.pending, one.recovered, one.owed, one.lost) for one in found]
    assert len(back) == done
    return back


async def test_partial_refunds_end_where_the_sale_began(session, shop, now):
    funders = (("head-office", 2), ("station", 1), ("oil-co", 2))
    gains = [benefit(shop.book, "litre", "points", 30, funders=funders), benefit(shop.book, "back", "bonus", 500, funders=funders)]
    sale = await granted(session, shop, gains, now)
    houses = [house_id(HouseCode.POINTS, POINTS, name) for name in ("head-office", str(shop.station_id), "oil-co")]
    assert [await house_sum(session, house_id=house) for house in houses] == [-12, -6, -12]
    assert await mirrored(session, shop, sale, [("litre", "points", 7), ("back", "bonus", 167)], now=now) == [
        (167, 0, 167, 0, 0),
        (7, 0, 7, 0, 0),
    ]
    assert await mirrored(session, shop, sale, [("litre", "points", 11)], now=now) == [(11, 0, 11, 0, 0)]
    assert await mirrored(session, shop, sale, [("litre", "points", 12), ("back", "bonus", 333)], now=now) == [
        (333, 0, 333, 0, 0),
        (12, 0, 12, 0, 0),
    ]
    assert await total(session, shop.card.account_id) == 0
    assert [await house_sum(session, house_id=house) for house in houses] == [0, 0, 0]
    assert [p.balance_minor for p in await purses_of(session, account_id=shop.card.account_id) if p.kind == PurseKind.BONUS] == [0]
    assert await mirrored(session, shop, sale, [("litre", "points", 1)], now=now) == []


async def test_one_refund_goes_back_once(session, shop, now):
    sale = await granted(session, shop, [benefit(shop.book, "litre", "points", 30)], now)
    refund = await refunded(session, shop, shop.card.account_id, sale, [("litre", "points", 10), ("off", "discount", 99)], at=now)
    wanted = {"account_id": shop.card.account_id, "refund_id": refund, "policy": POLICY, "zone": ZONE, "now": now}
    assert [one.refund_id for one in await find_refunds(session, since=now - HOUR, until=now + HOUR)] == [refund]
    assert await mirror_refund(session, **wanted) == 1
    assert await mirror_refund(session, **wanted) == 0
    assert await find_refunds(session, since=now - HOUR, until=now + HOUR) == []
    assert await total(session, shop.card.account_id) == 20


async def test_what_is_pending_is_struck(session, shop, now):
    sale = await granted(session, shop, [benefit(shop.book, "slow", "points", 100)], now)
    assert await mirrored(session, shop, sale, [("slow", "points", 40)], now=now) == [(40, 40, 0, 0, 0)]
    await activate_due(session, now=now + 8 * DAY)
    assert await total(session, shop.card.account_id) == 60
    assert await mirrored(session, shop, sale, [("slow", "points", 60)], now=now + 8 * DAY) == [(60, 0, 60, 0, 0)]
    grant = (await session.scalars(select(Grant))).one()
    assert (grant.status, grant.posted, grant.returned) == (GrantStatus.ACTIVE, 60, 100)


async def test_all_of_it_returned_while_pending_never_comes(session, shop, now):
    sale = await granted(session, shop, [benefit(shop.book, "slow", "points", 100)], now)
    assert await mirrored(session, shop, sale, [("slow", "points", 100)], now=now) == [(100, 100, 0, 0, 0)]
    assert await activate_due(session, now=now + 8 * DAY) == 0
    assert (await session.scalars(select(Grant.status))).one() is GrantStatus.RETURNED


async def test_a_refund_collects_its_sale_first(session, shop, now):
    sale = await sold(session, shop, shop.card.account_id, shop.book, [benefit(shop.book, "litre", "points", 30)], at=now)
    assert await mirrored(session, shop, sale, [("litre", "points", 10)], now=now) == [(10, 10, 0, 0, 0)]
    assert await collect(session, since=now - HOUR, until=now + HOUR, zone=ZONE, now=now) == 0
    await activate_due(session, now=now)
    assert await total(session, shop.card.account_id) == 20


@pytest.mark.parametrize(
    ("returns", "back", "left"),
    [
        (PointsReturns.ONLY_PENDING, (30, 0, 0, 0, 30), 5),
        (PointsReturns.WITHIN_BALANCE, (30, 0, 5, 0, 25), 0),
        (PointsReturns.NEGATIVE, (30, 0, 5, 25, 0), -25),
    ],
)
async def test_points_spent_meanwhile_are_let_go_or_owed_as_the_profile_says(session, shop, now, returns, back, left):
    account = shop.card.account_id
    sale = await granted(session, shop, [benefit(shop.book, "litre", "points", 30)], now)
    await spend(session, account_id=account, points=25, purpose="cup", policy=POLICY, zone=ZONE, now=now)
    assert await mirrored(session, shop, sale, [("litre", "points", 30)], policy=profile(returns=returns), now=now) == [back]
    assert await total(session, account) == left


async def test_points_owed_are_paid_by_the_next_ones(session, shop, now):
    account = shop.card.account_id
    sale = await granted(session, shop, [benefit(shop.book, "litre", "points", 30)], now)
    await spend(session, account_id=account, points=30, purpose="cup", policy=POLICY, zone=ZONE, now=now)
    await mirrored(session, shop, sale, [("litre", "points", 30)], policy=profile(returns=PointsReturns.NEGATIVE), now=now)
    await granted(session, shop, [benefit(shop.book, "litre", "points", 12)], now + timedelta(minutes=1))
    assert await total(session, account) == -18
    await earn(session, account, 20, now=now)
    assert await total(session, account) == 2
    debt = next(p for p in await purses_of(session, account_id=account) if p.kind == PurseKind.RECEIVABLE)
    assert (debt.unit, debt.balance_minor) == (POINTS, 0)
    paid = "SELECT sum(amount_minor)::bigint FROM transfers WHERE kind = :kind AND unit = 'POINTS'"
    assert await session.scalar(text(paid), {"kind": int(TransferKind.SETTLEMENT)}) == 30


async def test_other_lots_stand_in_for_points_but_never_principal_for_bonus(session, shop, now):
    account = shop.card.account_id
    sale = await granted(session, shop, [benefit(shop.book, "rolling", "points", 5), benefit(shop.book, "back", "bonus", 500)], now)
    await earn(session, account, 50, now=now)
    await spend(session, account_id=account, points=5, purpose="cup", policy=POLICY, zone=ZONE, now=now)
    await session.execute(text("UPDATE purses SET held_minor = 400 WHERE kind = 2"))
    back = await mirrored(session, shop, sale, [("rolling", "points", 5), ("back", "bonus", 500)], now=now)
    assert back == [(500, 0, 100, 0, 400), (5, 0, 5, 0, 0)]
    await session.execute(text("UPDATE purses SET held_minor = 0 WHERE kind = 2"))


async def test_the_mark_of_refunds_moves_on(session, shop, now):
    sale = await granted(session, shop, [benefit(shop.book, "litre", "points", 30)], now)
    refund = await refunded(session, shop, shop.card.account_id, sale, [("litre", "points", 10)], at=now)
    assert [one.refund_id for one in await next_refunds(session, until=now + HOUR)] == [refund]
    await refunds_done(session, until=now + HOUR)
    assert await next_refunds(session, until=now + 2 * HOUR) == []


def lot(balance, expires_at=None, **facts):
    return PurseView(uuid4(), int(PurseKind.POINTS), POINTS, balance, 0, expires_at=expires_at, **facts)


def test_a_lot_that_ran_out_neither_spends_nor_gives_back(now):
    dead, living = lot(10, now), lot(10, now + DAY)
    assert spendable_points([dead, living], company=False, card_id=None, now=now) == [living]
    back = {"kind": PurseKind.POINTS, "unit": POINTS, "returns": PointsReturns.NEGATIVE, "now": now}
    assert mirror_value([dead, living], amount=4, lot=dead.purse_id, **back) == ([], 0, 4)
    assert mirror_value([dead, living], amount=14, lot=living.purse_id, **back).owed == 4


def test_takes_stop_where_the_lots_end(now):
    lots = [lot(10), lot(5)]
    assert [take.amount_minor for take in take_points(lots, 12)] == [10, 2]
    assert [take.amount_minor for take in take_points(lots, 99)] == [10, 5]


async def test_spenders_that_race_never_pass_cap_or_balance(sessions, now):
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
        card = await give_card(session, world)
        await earn(session, card.account_id, 1_000, now=now)
    policy = profile(step=50, month_max=400)

    async def one() -> int:
        try:
            async with transaction(sessions) as session:
                asked = {"account_id": card.account_id, "points": 50, "purpose": "cup", "policy": policy}
                return (await spend(session, zone=ZONE, now=now, **asked)).points
        except PointsMonthlyCap:
            return 0

    assert sum(await asyncio.gather(*(one() for _ in range(20)))) == 400
    async with transaction(sessions) as session:
        assert await total(session, card.account_id) == 600
