"""An anonymous card is registered in the thank-you month and topped up: bonus, gift, voucher and points; then half of it goes back."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from jobs.job import Context
from jobs.rewards import run as collect_rewards
from loyalty.cards.operations import register_card
from loyalty.customers.model import Customer, CustomerKind, CustomerStatus
from loyalty.ids import uuid7
from loyalty.pricing.document import (
    Band,
    Bonus,
    Budget,
    BudgetUnit,
    Campaign,
    Channel,
    Document,
    Fixed,
    Funder,
    Give,
    Nth,
    Of,
    Points,
    Rule,
    When,
)
from loyalty.pricing.operations import publish
from loyalty.rewards.model_grants import Grant, GrantReturn
from loyalty.rewards.operations.gift_stock import GiftFacts, put_gift, receive_gifts
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from loyalty.rewards.queries.gifts import gifts_of_account
from loyalty.rewards.queries.vouchers import vouchers_of_account
from loyalty.settings import Settings
from loyalty.topups import operations
from loyalty.topups.model import Tender
from tests.scenarios.telling import houses, key, money, said
from tests.simulation.house import GENERIC, breaches

OURS = (Funder(funder="head-office"),)


def rule(code, effect, **asked):
    more = {name: asked.pop(name) for name in ("budget", "campaign") if name in asked}
    when = When(channels=(Channel.TOPUP,), **asked)
    return Rule(code=code, name_zh=code, name_en=code, effect=effect, funders=OURS, when=when, **more)


BOOK = Document(
    rules=(
        rule("off", Fixed(amount_minor=1_000), least_minor=20_000, budget="spring"),
        rule("bonus", Bonus(bands=(Band(starts=10_000, amount_minor=500), Band(starts=30_000, amount_minor=3_000)), expires_days=90)),
        rule("cup", Give(what="gift", item="cup"), converted_within_days=30, least_minor=20_000, campaign="thanks", budget="cups"),
        rule("wash", Give(what="wash", item="free-wash"), nth=Nth(count=1, of=Of.CUSTOMER)),
        rule("points", Points(points=1, per_minor=100, expires_months=12)),
    ),
    budgets=(
        Budget(code="spring", name_zh="春", name_en="Spring", total=100_000),
        Budget(code="cups", name_zh="杯", name_en="Cups", total=10, unit=BudgetUnit.PIECE),
    ),
    campaigns=(Campaign(code="thanks", name_zh="感恩月", name_en="Thank-you month"),),
)


@pytest.fixture
async def shop(house):
    """Publish the rules, and put the gift and the voucher into their catalogues."""

    async def furnish(session):
        facts = GiftFacts(name_zh="杯子", name_en="Cup", zone="Asia/Shanghai")
        await put_gift(session, code="cup", facts=facts, actor=house.people.staff, now=house.time)
        await receive_gifts(session, code="cup", place_id=house.world.station_id, pieces=5, actor=house.people.staff, now=house.time)
        wash = KindFacts(name_zh="免费洗车", name_en="Free wash", value_type="service", zone="Asia/Shanghai", item="wash")
        await put_kind(session, code="free-wash", facts=wash, actor=house.people.staff, now=house.time)
        await publish(session, document=BOOK, note="tests", now=house.time - timedelta(days=1))

    await house.perform(furnish)
    await house.reload()
    return house


async def collect(house):
    settings = Settings(data_dir=Path("unused"), keys_dir=Path("unused"))
    await collect_rewards(Context(house.sessions, settings), house.time)


async def load(house, card, amount):
    return await house.perform(
        lambda session: operations.load(
            session,
            policy=GENERIC,
            account_id=card.account_id,
            card_id=card.card_id,
            amount_minor=amount,
            tender=Tender.CASH,
            station_id=house.world.station_id,
            terminal_id=house.world.terminal_ids[0],
            actor=house.people.staff,
            event_at=house.time,
            now=house.time,
        )
    )


async def register(house, card):
    async def perform(session):
        customer_id = uuid7(house.time)
        session.add(
            Customer(
                customer_id=customer_id,
                kind=CustomerKind.PERSON,
                name="李明",
                name_key="李明",
                locale="zh_CN",
                country="CN",
                status=CustomerStatus.ACTIVE,
                created_at=house.time,
            )
        )
        await session.flush()
        await register_card(
            session,
            card_id=card.card_id,
            customer_id=customer_id,
            product_id=house.world.card_product_ids["personal"],
            actor=house.people.staff,
            now=house.time,
        )

    await house.perform(perform)


async def has(house, card):
    """Return the living things of the account: gifts, vouchers."""
    gifts = await house.perform(lambda session: gifts_of_account(session, account_id=card.account_id))
    vouchers = await house.perform(lambda session: vouchers_of_account(session, account_id=card.account_id))
    return [(one.code, one.status.value) for one in gifts], [(one.kind_code, one.status.value) for one in vouchers]


def rules_of(topup):
    return {one["rule"]: one["given"] for one in (topup.detail or {}).get("benefits", ())}


async def counted(house):
    rows = await house.rows(
        "SELECT b.code, sum(s.used)::bigint AS used FROM budgets b JOIN budget_shares s USING (budget_id) GROUP BY 1 ORDER BY 1"
    )
    return {row["code"]: row["used"] for row in rows}


async def test_the_gift_comes_with_the_registration_and_goes_back_with_the_load(shop):
    card = shop.people.cards["anonymous"]
    bearer = await load(shop, card, 10_000)
    assert rules_of(bearer) == {"bonus": 500, "points": 100}, "a bearer is nobody's customer and was never registered"
    shop.time += timedelta(minutes=1)
    await register(shop, card)
    shop.time += timedelta(minutes=1)
    topup = await load(shop, card, 30_000)
    assert rules_of(topup) == {"off": 1_000, "bonus": 500, "cup": 1, "wash": 1, "points": 290}
    assert (topup.paid_minor, await counted(shop)) == (29_000, {"cups": 1, "spring": 1_000})
    shop.time += timedelta(minutes=1)
    await collect(shop)
    assert await has(shop, card) == ([("cup", "granted")], [("free-wash", "issued")])
    assert (await money(shop, card))["points"] == (390, 0)
    assert await breaches(shop.url, shop.time) == []

    shop.time += timedelta(minutes=1)
    said(await shop.sell(card, key=key(), milli=1_000, price=78_900, amount=789))
    shop.time += timedelta(minutes=1)
    back = await shop.perform(
        lambda session: operations.refund_topup(
            session, policy=GENERIC, topup_id=topup.topup_id, amount_minor=15_000, reason="x", actor=shop.people.staff, now=shop.time
        )
    )
    # Both loads' bonus ends on one day and is one lot: 10.00, of which the fill took 7.89.
    assert (back.discount_minor, back.bonus_returned_minor, back.shortfall_minor) == (500, 211, 39)
    assert back.paid_minor == 15_000 - 500 - 39
    await collect(shop)
    assert await has(shop, card) == ([("cup", "cancelled")], [("free-wash", "cancelled")])
    assert (await counted(shop))["spring"] == 500
    assert await breaches(shop.url, shop.time) == []

    shop.time += timedelta(minutes=1)
    await shop.perform(
        lambda session: operations.refund_topup(
            session, policy=GENERIC, topup_id=topup.topup_id, reason="x", actor=shop.people.staff, now=shop.time
        )
    )
    await collect(shop)
    assert await counted(shop) == {"cups": 0, "spring": 0}
    assert (await money(shop, card))["points"] == (100, 0)
    assert (await houses(shop)).get("discount:head-office", 0) <= 0
    grants = await shop.perform(lambda session: _all(session, select(Grant).where(Grant.source_id == topup.topup_id)))
    assert {(grant.rule, grant.amount, grant.returned) for grant in grants} == {("cup", 1, 1), ("wash", 1, 1), ("points", 290, 290)}
    returns = await shop.perform(lambda session: _all(session, select(GrantReturn)))
    assert {one.source_id for one in returns} == {topup.topup_id}
    assert await breaches(shop.url, shop.time) == []
    again = await load(shop, card, 20_000)
    assert rules_of(again)["wash"] == 1, "the first top-up was taken back whole: this is the first"


async def _all(session, statement):
    return list((await session.scalars(statement)).all())


async def test_a_void_before_the_job_ran_strikes_what_was_granted(shop):
    card = shop.people.cards["personal"]
    shop.time += timedelta(minutes=1)
    topup = await load(shop, card, 20_000)
    before = await money(shop, card)
    shop.time += timedelta(seconds=5)
    await shop.perform(
        lambda session: operations.void_topup(
            session, policy=GENERIC, topup_id=topup.topup_id, reason="x", actor=shop.people.staff, now=shop.time
        )
    )
    shop.time += timedelta(minutes=1)
    await collect(shop)
    after = await money(shop, card)
    assert (after["principal"][0], after["bonus"][0]) == (before["principal"][0] - 20_000, 0)
    assert after.get("points", (0, 0))[0] == 0
    assert await counted(shop) == {"cups": 0, "spring": 0}
    assert await breaches(shop.url, shop.time) == []
