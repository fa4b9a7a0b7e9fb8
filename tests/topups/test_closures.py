"""Closing an account: who gets what, in whose name, after whose approval."""

from datetime import timedelta

import pytest

from loyalty.cards.model import CardStatus
from loyalty.cards.queries import get_card
from loyalty.ledger.model import AccountStatus, HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import AccountNotOpen, Leg, ensure_purse, place_holds, post
from loyalty.ledger.queries import get_account, house_sum, purses_of, transfers_of
from loyalty.ledger.rules import Take, house_id
from loyalty.topups import operations, queries
from loyalty.topups.model import ClosureReason, ClosureStatus, PayoutMethod
from loyalty.topups.operations import (
    BankAccountNeeded,
    BankRefundNeeded,
    Bonus,
    CannotMove,
    ClosureReopensNoMore,
    ClosureRunning,
    DebtOpen,
    HoldsOpen,
    Payee,
    PayeeIsNotTheOwner,
    PaymentAlreadyUsed,
    RealNameNeeded,
    SecondPersonNeeded,
)

from .conftest import AUNT, LI_MING

MINUTE = timedelta(minutes=1)
LI_MING_BANK = Payee(name="李 明", bank="农业银行", account="6228 4800 1234 5678")


async def close(shop, **facts):
    facts = {
        "policy": shop.policy,
        "account_id": shop.personal,
        "reason": ClosureReason.MOVED_AWAY,
        "method": PayoutMethod.BANK,
        "payee": LI_MING_BANK,
        "actor": shop.cashier,
        "now": shop.now + 10 * MINUTE,
        "station_id": shop.station_id,
    } | facts
    return await operations.request_closure(shop.session, **facts)


async def house(shop, code, reference):
    return await house_sum(shop.session, house_id=house_id(code, "CNY", reference))


async def test_the_example_of_the_terms_load_1000_bonus_100_spend_100_close(shop):
    await shop.load(shop.personal, 100_000, bonus=Bonus(10_000, shop.now + timedelta(days=30), "campaign"))
    await shop.spend(shop.personal, 10_000, now=shop.now + MINUTE)
    card = await shop.card(shop.personal)
    quote = await operations.quote_closure(shop.session, policy=shop.policy, account_id=shop.personal, now=shop.now + 2 * MINUTE)
    assert (quote.refund_minor, quote.bonus_returned_minor, quote.cash_allowed) == (90_909, 9_091, False)
    closure = await close(shop)
    assert (closure.status, closure.refund_minor) == (ClosureStatus.APPROVED, 90_909)
    assert await shop.balances(shop.personal) == {"principal": 0, "bonus": 0}
    assert await house(shop, HouseCode.PAYOUT, "bank") == 90_909
    assert await house(shop, HouseCode.BONUS, "campaign") == -10_000 + 9_091
    assert (await get_account(shop.session, account_id=shop.personal)).status is AccountStatus.CLOSED
    assert (await get_card(shop.session, card_id=card.card_id)).status is CardStatus.CLOSED
    with pytest.raises(BankAccountNeeded):
        await operations.pay_closure(shop.session, closure_id=closure.closure_id, actor=shop.finance, now=shop.now + 11 * MINUTE)
    paid = {"closure_id": closure.closure_id, "actor": shop.finance, "now": shop.now + 11 * MINUTE, "reference": "B-9"}
    await operations.pay_closure(shop.session, **paid)
    assert closure.status is ClosureStatus.PAID
    with pytest.raises(CannotMove):
        await operations.pay_closure(shop.session, **paid)
    history = await queries.events_of(shop.session, subject_id=closure.closure_id)
    assert [event.moved_to for event in history] == ["requested", "approved", "paid"]


async def test_the_same_in_the_other_spend_order_gives_the_same_refund(shop):
    await shop.load(shop.personal, 100_000, bonus=Bonus(10_000, None, "campaign"))
    await shop.spend(shop.personal, 10_000, now=shop.now + MINUTE)
    assert await shop.balances(shop.personal) == {"principal": 90_000, "bonus": 10_000}
    closure = await close(shop)
    assert (closure.refund_minor, closure.bonus_returned_minor, closure.bonus_expired_minor) == (90_909, 0, 9_091)
    assert await shop.balances(shop.personal) == {"principal": 0, "bonus": 0}


async def test_only_loads_since_the_balance_was_last_zero_are_reckoned(shop):
    await shop.load(shop.personal, 100_000, bonus=Bonus(50_000, None, "campaign"))
    await shop.spend(shop.personal, 150_000, now=shop.now + MINUTE)
    await shop.load(shop.personal, 80_000, now=shop.now + 2 * MINUTE)
    await shop.spend(shop.personal, 30_000, now=shop.now + 3 * MINUTE)
    closure = await close(shop)
    assert (closure.paid_in_minor, closure.bonus_given_minor, closure.refund_minor) == (80_000, 0, 50_000)


async def test_a_sale_taken_back_after_the_balance_was_zero_is_the_customer_s_money_again(shop):
    await shop.load(shop.personal, 10_000)
    await shop.spend(shop.personal, 10_000, now=shop.now + MINUTE)
    (sale, *_) = await transfers_of(shop.session, account_id=shop.personal)
    assert sale.kind == TransferKind.SALE
    back = Leg(sale.credit_id, sale.debit_id, 4_000, TransferKind.REFUND, "CNY", mirrors=sale.transfer_id)
    now = shop.now + 2 * MINUTE
    await post(shop.session, account_id=shop.personal, legs=[back], operation_id=sale.operation_id, event_at=now, now=now)
    assert (await close(shop)).refund_minor == 4_000


async def test_expired_bonus_counts_as_never_given(shop):
    await shop.load(shop.personal, 50_000, bonus=Bonus(5_000, shop.now + MINUTE, "campaign"))
    await shop.spend(shop.personal, 20_000, now=shop.now + 2 * MINUTE)
    closure = await close(shop)
    assert (closure.refund_minor, closure.bonus_expired_minor) == (30_000, 5_000)
    assert await shop.balances(shop.personal) == {"principal": 0, "bonus": 0}


async def test_a_debt_is_paid_from_the_principal_first_and_more_debt_than_principal_stops_it(shop):
    await shop.load(shop.personal, 50_000)
    await shop.owe(shop.personal, 50_001, now=shop.now + MINUTE)
    with pytest.raises(DebtOpen):
        await close(shop)
    await shop.load(shop.personal, 20_000, now=shop.now + 2 * MINUTE)
    await shop.owe(shop.personal, 9_999, now=shop.now + 3 * MINUTE)
    closure = await close(shop)
    assert (closure.settled_minor, closure.refund_minor) == (40_000, 10_000)
    assert await shop.balances(shop.personal) == {"principal": 0, "receivable": 0}


async def test_a_company_s_pool_and_what_its_sub_cards_were_given_go_back_together(shop):
    await shop.load(shop.company, 90_000)
    card = await shop.card(shop.company, "company")
    given = await ensure_purse(
        shop.session, account_id=shop.company, kind=PurseKind.PRINCIPAL, unit="CNY", card_id=card.card_id, now=shop.now
    )
    pool = next(purse for purse in await purses_of(shop.session, account_id=shop.company) if purse.card_id is None)
    legs = [Leg(pool.purse_id, given, 30_000, TransferKind.ALLOCATION, "CNY", card.card_id)]
    now = shop.now + MINUTE
    await post(shop.session, account_id=shop.company, legs=legs, operation_id=card.card_id, event_at=now, now=now)
    closure = await close(shop, account_id=shop.company, payee=Payee(name="上海运输有限公司", bank="工商银行", account="1"))
    assert closure.refund_minor == 90_000
    assert closure.cards == [str(card.card_id)]


@pytest.mark.parametrize(("amount", "allowed"), [(10_000, True), (10_001, False)])
async def test_cash_is_paid_out_up_to_its_ceiling_from_the_till(shop, amount, allowed):
    await shop.load(shop.personal, amount)
    if not allowed:
        with pytest.raises(BankRefundNeeded) as refused:
            await close(shop, method=PayoutMethod.CASH, payee=None)
        assert refused.value.facts["ceiling_minor"] == 10_000
        return
    closure = await close(shop, method=PayoutMethod.CASH, payee=None)
    await operations.pay_closure(shop.session, closure_id=closure.closure_id, actor=shop.cashier, now=shop.now + 11 * MINUTE)
    assert await house(shop, HouseCode.TENDER, f"{shop.station_id}:cash") == 0
    assert await house(shop, HouseCode.PAYOUT, "cash") == 0


async def test_a_bank_refund_goes_to_an_account_in_the_owner_s_name(shop):
    await shop.load(shop.personal, 20_000)
    with pytest.raises(BankAccountNeeded):
        await close(shop, payee=None)
    with pytest.raises(PayeeIsNotTheOwner):
        await close(shop, payee=Payee(name="王芳", bank="农业银行", account="1"))
    closure = await close(shop)
    assert "6228" not in repr(LI_MING_BANK)
    assert closure.payee_account_tail == "5678"


async def test_a_bearer_says_who_he_is_and_is_paid_in_that_name(shop):
    await shop.load(shop.anonymous, 20_000)
    with pytest.raises(RealNameNeeded):
        await close(shop, account_id=shop.anonymous)
    with pytest.raises(PayeeIsNotTheOwner):
        await close(shop, account_id=shop.anonymous, claimant=AUNT)
    closure = await close(shop, account_id=shop.anonymous, claimant=LI_MING)
    assert closure.claimant_record_id is not None


async def test_a_large_refund_is_approved_by_another_person_and_reckoned_anew(shop):
    await shop.load(shop.personal, 150_000)
    closure = await close(shop)
    assert closure.status is ClosureStatus.REQUESTED
    with pytest.raises(ClosureRunning):
        await close(shop)
    waiting = await queries.list_closures(shop.session)
    assert [row.closure_id for row in waiting.rows] == [closure.closure_id]
    await shop.spend(shop.personal, 10_000, now=shop.now + 11 * MINUTE)
    approve = {"policy": shop.policy, "closure_id": closure.closure_id, "now": shop.now + 12 * MINUTE}
    with pytest.raises(SecondPersonNeeded):
        await operations.approve_closure(shop.session, actor=shop.cashier, **approve)
    await operations.approve_closure(shop.session, actor=shop.manager, **approve)
    assert (closure.status, closure.refund_minor) == (ClosureStatus.APPROVED, 140_000)


async def test_a_customer_who_stays_withdraws(shop):
    await shop.load(shop.personal, 150_000)
    facts = {"reason": "stays", "actor": shop.manager, "now": shop.now + 11 * MINUTE}
    first = await close(shop)
    await operations.withdraw_closure(shop.session, closure_id=first.closure_id, **facts)
    second = await close(shop)
    await operations.reject_closure(shop.session, closure_id=second.closure_id, **facts)
    assert await shop.balances(shop.personal) == {"principal": 150_000}


async def test_money_at_a_pump_or_under_an_order_is_waited_for(shop):
    await shop.load(shop.personal, 20_000)
    (purse,) = await purses_of(shop.session, account_id=shop.personal)
    await place_holds(shop.session, account_id=shop.personal, takes=[Take(purse.purse_id, 1)])
    with pytest.raises(HoldsOpen):
        await close(shop)
    await operations.freeze_account(
        shop.session,
        policy=shop.policy,
        account_id=shop.personal,
        authority="法院",
        document="1",
        officer="2",
        actor=shop.finance,
        now=shop.now,
    )
    with pytest.raises(AccountNotOpen):
        await close(shop)


async def test_one_bank_payment_pays_one_closure(shop):
    other = await shop.account("personal", shop.person_id)
    await shop.load(shop.personal, 20_000)
    await shop.load(other, 20_000)
    pay = {"actor": shop.finance, "now": shop.now + 11 * MINUTE, "reference": "B-1"}
    await operations.pay_closure(shop.session, closure_id=(await close(shop)).closure_id, **pay)
    second = await close(shop, account_id=other)
    with pytest.raises(PaymentAlreadyUsed):
        await operations.pay_closure(shop.session, closure_id=second.closure_id, **pay)


async def test_a_closed_account_lives_again_within_six_months(shop):
    await shop.load(shop.personal, 5_000)
    card = await shop.card(shop.personal)
    closure = await close(shop, method=PayoutMethod.CASH, payee=None)
    again = {"policy": shop.policy, "closure_id": closure.closure_id, "reason": "came back", "actor": shop.manager}
    with pytest.raises(CannotMove):
        await operations.reopen_closed_account(shop.session, now=shop.now + timedelta(days=1), **again)
    await operations.pay_closure(shop.session, closure_id=closure.closure_id, actor=shop.cashier, now=shop.now + 11 * MINUTE)
    with pytest.raises(ClosureReopensNoMore):
        await operations.reopen_closed_account(shop.session, now=shop.now + timedelta(days=184), **again)
    await operations.reopen_closed_account(shop.session, now=shop.now + timedelta(days=100), **again)
    assert (await get_account(shop.session, account_id=shop.personal)).status is AccountStatus.OPEN
    assert (await get_card(shop.session, card_id=card.card_id)).status is CardStatus.ACTIVE
    assert await shop.balances(shop.personal) == {"principal": 0}
