"""Taking a top-up back: void, refund by the profile, reversal by the wallet."""

from datetime import timedelta

import pytest

from loyalty.ledger.model import HouseCode, TransferKind
from loyalty.ledger.operations import InsufficientFunds, place_holds
from loyalty.ledger.queries import house_sum, purses_of, transfers_of
from loyalty.ledger.rules import Take, house_id
from loyalty.topups import operations
from loyalty.topups.model import Tender, TopupStatus
from loyalty.topups.operations import (
    Bonus,
    CannotMove,
    LoadNotRefundable,
    NotTheLastMovement,
    PaymentAlreadyUsed,
    PaymentReferenceNeeded,
    PaymentUnknown,
    RefundTooLarge,
    SecondPersonNeeded,
)

LATER = timedelta(minutes=5)


async def void(shop, topup, **facts):
    facts = {"policy": shop.policy, "reason": "wrong card", "actor": shop.cashier, "now": shop.now + LATER} | facts
    return await operations.void_topup(shop.session, topup_id=topup.topup_id, **facts)


async def refund(shop, topup, **facts):
    facts = {"policy": shop.policy, "reason": "changed his mind", "actor": shop.cashier, "now": shop.now + LATER} | facts
    return await operations.refund_topup(shop.session, topup_id=topup.topup_id, **facts)


async def test_a_void_mirrors_every_leg(shop):
    await shop.owe(shop.personal, 2_000, now=shop.now - LATER)
    topup = await shop.load(shop.personal, 50_000, bonus=Bonus(5_000, None, "campaign"))
    await void(shop, topup)
    assert topup.status is TopupStatus.VOIDED
    assert await shop.balances(shop.personal) == {"principal": 0, "bonus": 0, "receivable": -2_000}
    assert await house_sum(shop.session, house_id=house_id(HouseCode.TENDER, "CNY", f"{shop.station_id}:cash")) == 0
    assert await house_sum(shop.session, house_id=house_id(HouseCode.BONUS, "CNY", "campaign")) == 0
    rows = await transfers_of(shop.session, account_id=shop.personal)
    loaded = {row.transfer_id for row in rows if row.operation_id == topup.topup_id}
    assert {row.mirrors for row in rows if row.kind == TransferKind.VOID} == loaded
    with pytest.raises(CannotMove):
        await void(shop, topup)


async def test_once_the_account_has_moved_a_top_up_is_no_longer_voided(shop):
    first = await shop.load(shop.personal, 50_000)
    await shop.load(shop.personal, 100, now=shop.now + timedelta(seconds=1))
    with pytest.raises(NotTheLastMovement):
        await void(shop, first)


async def test_money_held_at_a_pump_cannot_be_voided(shop):
    topup = await shop.load(shop.personal, 50_000)
    (purse,) = await purses_of(shop.session, account_id=shop.personal)
    await place_holds(shop.session, account_id=shop.personal, takes=[Take(purse.purse_id, 1)])
    with pytest.raises(InsufficientFunds):
        await void(shop, topup)


@pytest.mark.parametrize(
    ("amount", "approver", "allowed"),
    [(99_999, None, True), (100_000, None, False), (100_000, "cashier", False), (100_000, "manager", True)],
)
async def test_a_large_void_needs_another_person(shop, amount, approver, allowed):
    topup = await shop.load(shop.personal, amount)
    approved_by = getattr(shop, approver).actor_id if approver else None
    if allowed:
        await void(shop, topup, approved_by=approved_by)
    else:
        with pytest.raises(SecondPersonNeeded):
            await void(shop, topup, approved_by=approved_by)


async def test_a_wallet_s_money_goes_back_through_the_wallet(shop):
    topup = await shop.load(shop.personal, 5_000, Tender.WECHAT, reference="W-1")
    with pytest.raises(PaymentReferenceNeeded):
        await void(shop, topup)
    await void(shop, topup, reversal_reference="R-1")
    second = await shop.load(shop.personal, 5_000, Tender.WECHAT, reference="W-2", now=shop.now + 2 * LATER)
    with pytest.raises(PaymentAlreadyUsed):
        await void(shop, second, reversal_reference="R-1", now=shop.now + 3 * LATER)


async def test_an_unused_load_of_a_new_customer_goes_back_within_seven_days_with_its_bonus(shop):
    topup = await shop.load(shop.personal, 50_000, bonus=Bonus(5_000, None, "campaign"))
    await shop.load(shop.personal, 1_000, now=shop.now + timedelta(seconds=1))
    back = await refund(shop, topup, now=shop.now + timedelta(days=7))
    assert (back.paid_minor, back.bonus_returned_minor, back.shortfall_minor) == (50_000, 5_000, 0)
    assert topup.status is TopupStatus.REFUNDED
    assert await shop.balances(shop.personal) == {"principal": 1_000, "bonus": 0}


async def test_after_seven_days_or_after_use_it_does_not(shop):
    topup = await shop.load(shop.personal, 50_000)
    with pytest.raises(LoadNotRefundable) as refused:
        await refund(shop, topup, now=shop.now + timedelta(days=7, microseconds=1))
    assert refused.value.facts["rule"] == "house load-refund"
    await shop.spend(shop.personal, 1, now=shop.now + LATER)
    with pytest.raises(LoadNotRefundable) as refused:
        await refund(shop, topup, now=shop.now + 2 * LATER)
    assert refused.value.facts["unused_minor"] == 49_999
    assert "¥499.99" in refused.value.sentence("zh")


async def test_who_had_used_the_service_before_knows_what_he_bought(shop):
    await shop.load(shop.personal, 1_000, now=shop.now - 3 * LATER)
    await shop.spend(shop.personal, 500, now=shop.now - 2 * LATER)
    topup = await shop.load(shop.personal, 50_000)
    await shop.load(shop.personal, 100, now=shop.now + timedelta(seconds=1))
    with pytest.raises(LoadNotRefundable):
        await refund(shop, topup)


async def test_a_profile_may_take_the_unused_part_back_and_keeps_bonus_already_spent(shop, generic):
    ends = shop.now + timedelta(days=30)
    topup = await shop.load(shop.personal, 100_000, bonus=Bonus(10_000, ends, "campaign"))
    await shop.spend(shop.personal, 10_000, now=shop.now + timedelta(seconds=1))
    assert await shop.balances(shop.personal) == {"principal": 100_000, "bonus": 0}
    with pytest.raises(RefundTooLarge):
        await refund(shop, topup, policy=generic, amount_minor=100_001)
    first = await refund(shop, topup, policy=generic, amount_minor=33_333)
    assert (first.paid_minor, first.bonus_returned_minor, first.shortfall_minor) == (30_000, 0, 3_333)
    second = await refund(shop, topup, policy=generic, now=shop.now + 2 * LATER)
    assert (second.paid_minor, second.shortfall_minor) == (60_000, 6_667)
    assert topup.status is TopupStatus.REFUNDED
    assert await shop.balances(shop.personal) == {"principal": 0, "bonus": 0}
    assert await house_sum(shop.session, house_id=house_id(HouseCode.BONUS, "CNY", "campaign")) == 0


async def reverse(shop, reference, **facts):
    facts = {
        "tender": Tender.ALIPAY,
        "reversal_reference": f"back {reference}",
        "reason": "",
        "actor": shop.finance,
        "now": shop.now + LATER,
    } | facts
    return await operations.reverse_wallet_payment(shop.session, reference=reference, **facts)


async def test_a_wallet_that_takes_its_payment_back_leaves_a_debt_for_what_was_spent(shop):
    await shop.load(shop.personal, 20_000, Tender.ALIPAY, reference="A-1", bonus=Bonus(1_000, None, "campaign"))
    await shop.spend(shop.personal, 15_000, now=shop.now + timedelta(seconds=1))
    (topup,) = await reverse(shop, "A-1")
    assert topup.status is TopupStatus.REVERSED
    assert await shop.balances(shop.personal) == {"principal": 0, "bonus": 0, "receivable": -15_000}
    assert await house_sum(shop.session, house_id=house_id(HouseCode.TENDER, "CNY", f"{shop.station_id}:alipay")) == 0
    with pytest.raises(CannotMove):
        await reverse(shop, "A-1")


async def test_an_unknown_payment_reverses_nothing(shop):
    await shop.load(shop.personal, 20_000, Tender.WECHAT, reference="W-1")
    with pytest.raises(PaymentUnknown):
        await reverse(shop, "W-1")
    with pytest.raises(PaymentUnknown):
        await reverse(shop, "A-9")
