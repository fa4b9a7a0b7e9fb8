"""The jobs collect, post, hand out and take back, and running them again or at once changes nothing."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text

from jobs import rewards
from jobs.job import Context
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.rewards.model_gifts import EntitlementStatus, GiftEntitlement
from loyalty.rewards.model_grants import Grant, GrantReturn, GrantStatus
from loyalty.rewards.model_vouchers import ValueType, Voucher, VoucherStatus
from loyalty.rewards.operations.gift_stock import GiftFacts, put_gift
from loyalty.rewards.operations.voucher_kinds import FunderShare, KindFacts, put_kind
from loyalty.settings import Settings
from tests.factories.world import SYSTEM, give_card, make_world

from .earning import ZONE, benefit, publish_rules, refunded, rule, sold

SECOND = timedelta(seconds=1)


@pytest.fixture
async def context(database_url, tmp_path):
    settings = Settings(database_url=database_url, data_dir=tmp_path / "data", keys_dir=tmp_path / "keys", policy="generic", zone=ZONE)
    engine = make_engine(database_url, role="loyalty_jobs", pool_size=10)
    yield Context(make_sessions(engine), settings)
    await engine.dispose()


@pytest.fixture
async def shop(context, now):
    from loyalty.pricing.document import Give, Points

    async with transaction(context.sessions) as session:
        world = await make_world(session, now=now)
        rules = (
            rule("litre", Points(points=1, per_quantity_milli=1000, expires_months=1)),
            rule("five-off", Give(what="voucher", item="five")),
            rule("unknown", Give(what="voucher", item="nowhere")),
            rule("cup", Give(what="gift", item="cup", count=2)),
        )
        world.book = await publish_rules(session, now=now, rules=rules)
        world.card = await give_card(session, world)
        facts = KindFacts(
            name_zh="五元券",
            name_en="Five off",
            value_type=ValueType.MONEY,
            face_minor=500,
            currency="CNY",
            zone=ZONE,
            validity_days=30,
            funders=(FunderShare(funder="head-office", parts=1),),
        )
        await put_kind(session, code="five", facts=facts, actor=SYSTEM, now=now - timedelta(days=1))
        gains = [benefit(world.book, "litre", "points", 30), benefit(world.book, "five-off", "voucher", 2, item="five")]
        await put_gift(session, code="cup", facts=GiftFacts(name_zh="杯", name_en="Cup", zone=ZONE), actor=SYSTEM, now=now)
        gains.append(benefit(world.book, "cup", "gift", 2, item="cup"))
        unknown = benefit(world.book, "unknown", "voucher", 1, item="nowhere")
        world.sale = await sold(session, world, world.card.account_id, world.book, [*gains, unknown], at=now - SECOND)
    return world


async def scalar(context, statement):
    async with transaction(context.sessions) as session:
        return await session.scalar(statement)


POINTS = text("SELECT coalesce(sum(balance_minor), 0)::bigint FROM purses WHERE kind = 3")


async def test_a_sale_is_collected_posted_and_handed_out(context, shop, now):
    assert await rewards.run(context, now) == 4 + 1 + 2
    assert await rewards.run(context, now) == 0
    assert await scalar(context, POINTS) == 30
    issued = select(func.count()).select_from(Voucher).where(Voucher.status == VoucherStatus.ISSUED)
    assert await scalar(context, issued) == 2
    rights = select(GiftEntitlement.pieces).where(GiftEntitlement.status == EntitlementStatus.GRANTED)
    assert await scalar(context, rights) == 2
    waiting = select(Grant.active_at).where(Grant.status == GrantStatus.PENDING)
    assert await scalar(context, waiting) == now + timedelta(days=1), "a code that no kind has is tried again a day later"


async def test_a_refund_takes_back_what_is_unused(context, shop, now):
    await rewards.run(context, now)
    async with transaction(context.sessions) as session:
        await session.execute(text("UPDATE vouchers SET status = 'redeemed' WHERE piece = 1"))
        back = [("litre", "points", 30), ("five-off", "voucher", 2), ("unknown", "voucher", 1), ("cup", "gift", 1)]
        await refunded(session, shop, shop.card.account_id, shop.sale, back, at=now)
        await refunded(session, shop, shop.card.account_id, shop.sale, [("cup", "gift", 1)], at=now + SECOND / 2)
    assert await rewards.run(context, now) == 4
    assert await rewards.run(context, now + SECOND) == 1
    assert await rewards.run(context, now + SECOND) == 0
    assert await scalar(context, POINTS) == 0
    assert await scalar(context, select(GiftEntitlement.status)) is EntitlementStatus.CANCELLED
    async with transaction(context.sessions) as session:
        found = await session.execute(select(GrantReturn.rule, GrantReturn.pending, GrantReturn.recovered, GrantReturn.lost))
        assert sorted(map(tuple, found)) == [
            ("cup", 0, 0, 1),
            ("cup", 0, 1, 0),
            ("five-off", 0, 1, 1),
            ("litre", 0, 30, 0),
            ("unknown", 1, 0, 0),
        ]


async def test_jobs_that_run_at_once_do_each_thing_once(context, shop, now):
    async with transaction(context.sessions) as session:
        await refunded(session, shop, shop.card.account_id, shop.sale, [("litre", "points", 10)], at=now)
    await asyncio.gather(*(rewards.run(context, now) for _ in range(3)), rewards.run_nightly(context, now))
    await rewards.run(context, now)
    assert await scalar(context, POINTS) == 20
    assert await scalar(context, select(func.count()).select_from(Voucher)) == 2


async def test_one_refund_that_cannot_be_mirrored_leaves_the_others_alone(context, shop, now):
    nobody = uuid4()
    async with transaction(context.sessions) as session:
        lost = await sold(session, shop, nobody, shop.book, [benefit(shop.book, "litre", "points", 9)], at=now - SECOND)
    await rewards.run(context, now)
    async with transaction(context.sessions) as session:
        await session.execute(text("UPDATE grants SET status = 2, posted = amount WHERE account_id = :id"), {"id": nobody})
        for account, sale in ((nobody, lost), (shop.card.account_id, shop.sale)):
            await refunded(session, shop, account, sale, [("litre", "points", 4)], at=now)
    assert await rewards.run(context, now) == 1
    assert await scalar(context, POINTS) == 26


async def test_the_night_finds_what_was_written_behind_the_mark_and_lets_points_run_out(context, shop, now):
    await rewards.run(context, now)
    async with transaction(context.sessions) as session:
        late = now - timedelta(days=20)
        await sold(session, shop, shop.card.account_id, shop.book, [benefit(shop.book, "litre", "points", 7)], at=late)
    assert await rewards.run(context, now + SECOND) == 0
    assert await rewards.run_nightly(context, now + SECOND) == 2
    assert await scalar(context, POINTS) == 37
    assert await rewards.run_nightly(context, now + timedelta(days=38)) == 1
    assert await scalar(context, POINTS) == 0
