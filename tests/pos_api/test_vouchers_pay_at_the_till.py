"""A voucher pays a part of a sale: set aside by its code, used by the sale that names it, good again with the refund of all of it."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from loyalty.checks.model import Scope
from loyalty.checks.running import examine
from loyalty.db import transaction
from loyalty.pos_client import Card, Fuel, ProblemError, Tender
from loyalty.rewards.model_vouchers import ValueType
from loyalty.rewards.operations.redemptions import release_lapsed
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from loyalty.rewards.operations.voucher_tenders import settle_vouchers
from loyalty.rewards.operations.vouchers import VoucherWish, issue
from loyalty.rewards.queries.vouchers import codes_of, get_voucher
from tests.factories.world import PIN, SYSTEM

FILL = Fuel(product="92", quantity_milli=10_000, unit_price_e4=78_900, amount_minor=7_890, nozzle=3)


@pytest.fixture
async def vouchers(site, now):
    """Return a maker of vouchers: (id, code)."""
    async with transaction(site.sessions) as session:
        twenty = {"value_type": ValueType.MONEY, "face_minor": 2_000, "currency": "CNY"}
        for code, more in (("twenty", twenty), ("parts", twenty | {"partial": True}), ("wash", {"value_type": ValueType.SERVICE})):
            facts = KindFacts(name_zh="券", name_en=code, zone="Asia/Shanghai", validity_days=30, **more)
            await put_kind(session, code=code, facts=facts, actor=SYSTEM, now=now)

    async def make(kind: str):
        async with transaction(site.sessions) as session:
            made = await issue(session, wish=VoucherWish(kind, "tests", str(uuid4())), actor=SYSTEM, now=now)
            (shown,) = await codes_of(session, voucher_ids=made.voucher_ids)
        return shown

    return make


async def settled(site, now) -> int:
    async with transaction(site.sessions) as session:
        return await settle_vouchers(session, until=now + timedelta(minutes=1), actor=SYSTEM, now=now)


async def stands(site, voucher_id) -> tuple[str, int | None]:
    async with transaction(site.sessions) as session:
        one = await get_voucher(session, voucher_id=voucher_id)
    return one.status.value, one.left_minor


async def broken(site, now) -> list[str]:
    async with transaction(site.sessions) as session:
        return [result.check.code async for result in examine(session, Scope(now=now + timedelta(minutes=1))) if result.breaks]


def shown(card) -> Card:
    return Card(number=card.number, pin=PIN)


async def test_the_sale_that_names_it_uses_it_and_its_refund_makes_it_good_again(site, manned, card, vouchers, now):
    voucher_id, code = (one := await vouchers("twenty")).voucher_id, one.code
    held = await manned.redeem_voucher(code, amount_minor=7_890)
    assert (held["outcome"], held["honoured_minor"], held["status"]) == ("reserved", 2_000, "reserved")
    paid = Tender(tender="voucher", amount_minor=2_000, reference=held["redemption"])
    sold = await manned.sell(shown(card), fuel=FILL, tenders=[paid])
    assert (sold["outcome"], sold["tenders_minor"], sold["card_minor"]) == ("approved", 2_000, 5_890)
    assert await settled(site, now) == 1
    assert await stands(site, voucher_id) == ("redeemed", 0)
    assert await settled(site, now) == 0, "once"
    assert await broken(site, now) == []
    with pytest.raises(ProblemError) as refused:
        await manned.roll_back_voucher(held["redemption"], reason="both")
    assert refused.value.code == "paid_a_sale"

    part = await manned.refund(sold["sale"], reason="a part", gross_minor=789)
    assert [(one["tender"], one["amount_minor"]) for one in part["tenders"]] == [("voucher", 200)]
    await settled(site, now)
    assert await stands(site, voucher_id) == ("redeemed", 0), "a voucher is not cut in two"
    await manned.refund(sold["sale"], reason="the rest")
    assert await settled(site, now) == 1
    assert await stands(site, voucher_id) == ("issued", 2_000)
    assert await broken(site, now) == []


async def test_a_sale_whose_till_died_still_uses_what_it_was_paid_with(site, manned, card, vouchers, now):
    one = await vouchers("parts")
    held = await manned.redeem_voucher(one.code, amount_minor=1_500)
    await manned.sell(shown(card), fuel=FILL, tenders=[Tender(tender="voucher", amount_minor=1_500, reference=held["redemption"])])
    late = now + timedelta(minutes=16)
    async with transaction(site.sessions) as session:
        assert await release_lapsed(session, actor=SYSTEM, now=late) == 0
    assert await stands(site, one.voucher_id) == ("issued", 500), "used for fifteen, five are left"
    assert await broken(site, late) == []


async def test_what_no_sale_names_is_let_go(site, manned, vouchers, now):
    one = await vouchers("twenty")
    held = await manned.redeem_voucher(one.code)
    with pytest.raises(ProblemError) as refused:
        await manned.redeem_voucher(one.code)
    assert refused.value.code == "code_not_honoured"
    back = await manned.roll_back_voucher(held["redemption"], reason="changed his mind")
    assert (back["outcome"], back["status"]) == ("rolled_back", "issued")


async def test_a_wash_is_used_at_once_and_again_it_is_not(site, manned, vouchers):
    one = await vouchers("wash")
    used = await manned.redeem_voucher(one.code, use=True)
    assert (used["outcome"], used["status"]) == ("redeemed", "redeemed")
    with pytest.raises(ProblemError) as refused:
        await manned.redeem_voucher(one.code, use=True)
    assert refused.value.code == "code_not_honoured"
    held = await manned.redeem_voucher((await vouchers("wash")).code)
    assert (await manned.use_voucher(held["redemption"]))["status"] == "redeemed"
    with pytest.raises(ProblemError) as refused:
        await manned.use_voucher(str(uuid4()))
    assert refused.value.code == "redemption_not_found"


async def test_a_tender_without_its_redemption_is_refused_and_a_forged_one_is_named(site, manned, card, now):
    with pytest.raises(ProblemError) as refused:
        await manned.sell(shown(card), fuel=FILL, tenders=[Tender(tender="voucher", amount_minor=2_000)])
    assert refused.value.status == 400
    await manned.sell(shown(card), fuel=FILL, tenders=[Tender(tender="voucher", amount_minor=2_000, reference=str(uuid4()))])
    assert await broken(site, now) == ["vouchers-paid-with"]
    async with transaction(site.sessions) as session:
        assert await session.scalar(text("SELECT count(*) FROM voucher_redemptions")) == 0
