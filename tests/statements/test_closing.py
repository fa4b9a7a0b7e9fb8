"""Days and periods close once, in order, and never change."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text

from loyalty.audit.model import Actor, ActorKind
from loyalty.db import transaction
from loyalty.ledger.model import Period
from loyalty.ledger.queries import daily_balances_of, open_period
from loyalty.statements.model import PeriodSeal
from loyalty.statements.operations import (
    BusinessDayNotOver,
    DayBeforeStillOpen,
    close_business_day,
    close_period_due,
    next_day_to_close,
    seal_periods,
)
from loyalty.statements.queries import picture_of_period
from tests.factories.world import give_card, load, make_world

ZONE = "Asia/Shanghai"
DAY = date(2026, 9, 24)
AFTER = datetime(2026, 9, 24, 16, 5, tzinfo=UTC)
SYSTEM = Actor(ActorKind.SYSTEM, "tests")


@pytest.fixture
async def card(sessions, now):
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
        card = await give_card(session, world, balance_minor=100_000)
        card.world = world
        return card


async def test_a_day_is_closed_once_with_the_balance_of_its_end(sessions, card, now):
    async with transaction(sessions) as session:
        assert await next_day_to_close(session, zone=ZONE) == DAY
        assert await close_business_day(session, day=DAY, zone=ZONE, now=AFTER) == 1
        assert await close_business_day(session, day=DAY, zone=ZONE, now=AFTER) == 1
    async with transaction(sessions) as session:
        card.world.now = AFTER
        await load(session, card.world, card.account_id, 7)
        card.world.now = now
        assert await next_day_to_close(session, zone=ZONE) == DAY + timedelta(days=1)
        await close_business_day(session, day=DAY + timedelta(days=1), zone=ZONE, now=AFTER + timedelta(days=1))
    async with transaction(sessions) as session:
        kept = await daily_balances_of(session, account_id=card.account_id)
    assert [(row.day, row.balance_minor) for row in kept] == [(DAY, 100_000), (DAY + timedelta(days=1), 100_007)]


async def test_a_day_closes_after_its_end_and_after_the_one_before(sessions, card, now):
    async with sessions() as session:
        with pytest.raises(BusinessDayNotOver):
            await close_business_day(session, day=DAY, zone=ZONE, now=now)
        with pytest.raises(DayBeforeStillOpen, match="2026-09-24"):
            await close_business_day(session, day=DAY + timedelta(days=1), zone=ZONE, now=AFTER + timedelta(days=2))


async def test_without_transfers_there_is_nothing_to_close(sessions):
    async with sessions() as session:
        assert await next_day_to_close(session, zone=ZONE) is None
        assert await close_period_due(session, zone=ZONE, actor=SYSTEM, now=AFTER) is None


async def test_a_period_closes_with_its_month_and_is_sealed_when_nothing_can_come(sessions, card, now):
    october = datetime(2026, 9, 30, 16, 0, tzinfo=UTC)
    async with transaction(sessions) as session:
        assert await close_period_due(session, zone=ZONE, actor=SYSTEM, now=october - timedelta(seconds=1)) is None
        assert await close_period_due(session, zone=ZONE, actor=SYSTEM, now=october) == 202609
        assert await close_period_due(session, zone=ZONE, actor=SYSTEM, now=october) is None
        assert await open_period(session) == 202610
    async with transaction(sessions) as session:
        assert await seal_periods(session, actor=SYSTEM, now=october + timedelta(seconds=60)) == []
        assert await seal_periods(session, actor=SYSTEM, now=october + timedelta(minutes=5)) == [202609]
        assert await seal_periods(session, actor=SYSTEM, now=october + timedelta(minutes=5)) == []
    async with transaction(sessions) as session:
        seal = (await session.scalars(select(PeriodSeal))).one()
        assert (seal.transfers, seal.totals) == (1, [{"unit": "CNY", "kind": 1, "count": 1, "amount_minor": 100_000}])
        card.world.now = october
        await load(session, card.world, card.account_id, 5)
        assert (await picture_of_period(session, period=202609)).digest == seal.digest
        assert (await picture_of_period(session, period=202610)).transfers == 1
        assert (await session.scalars(select(Period).where(Period.period == 202609))).one().closed_at == october


async def test_a_seal_is_the_same_whatever_the_session_s_time_zone(sessions, card):
    async with sessions() as session:
        one = await picture_of_period(session, period=202609)
        await session.execute(text("SET LOCAL timezone = 'Asia/Shanghai'"))
        assert await picture_of_period(session, period=202609) == one
