"""Top-ups at the counter and by bank, under the default profile."""

from datetime import date, timedelta

import msgspec
import pytest
from sqlalchemy import text

from loyalty.cards.operations import close_card
from loyalty.ledger.model import HouseCode, TransferKind
from loyalty.ledger.operations import AccountNotOpen
from loyalty.ledger.queries import house_sum, transfers_of
from loyalty.ledger.rules import house_id
from loyalty.topups import operations, queries
from loyalty.topups.model import Tender, TopupStatus
from loyalty.topups.operations import (
    AmountDiffers,
    BankAccountsNeeded,
    CannotMove,
    CardNotLoadable,
    OverCap,
    PayerIsNotTheOrganisation,
    PaymentAlreadyUsed,
    PaymentReferenceNeeded,
    RealNameNeeded,
    StatementLine,
    StationMayNotLoad,
    TenderNotAllowed,
)

from .conftest import AUNT, BANK, LI_MING


async def test_cash_becomes_principal_and_stands_in_the_till_s_clearing(shop):
    topup = await shop.load(shop.personal, 30_000)
    assert topup.status is TopupStatus.BOOKED
    assert await shop.balances(shop.personal) == {"principal": 30_000}
    assert await house_sum(shop.session, house_id=house_id(HouseCode.TENDER, "CNY", f"{shop.station_id}:cash")) == -30_000
    (row,) = await transfers_of(shop.session, account_id=shop.personal)
    assert (row.kind, row.operation_id, row.station_id) == (TransferKind.LOAD, topup.topup_id, shop.station_id)
    answer = await queries.balance_of(shop.session, account_id=shop.personal, now=shop.now)
    assert (answer.principal_minor, answer.available_minor, answer.owed_minor) == (30_000, 30_000, 0)


async def test_a_load_pays_what_is_owed_first(shop):
    await shop.owe(shop.personal, 1_200, now=shop.now)
    topup = await shop.load(shop.personal, 1_000)
    assert topup.settled_minor == 1_000
    assert await shop.balances(shop.personal) == {"principal": 0, "receivable": -200}
    await shop.load(shop.personal, 1_000)
    assert await shop.balances(shop.personal) == {"principal": 800, "receivable": 0}


async def test_bonus_is_a_lot_of_its_own_paid_by_its_funder(shop):
    ends = shop.now + timedelta(days=90)
    await shop.load(shop.personal, 100_000, bonus=operations.Bonus(10_000, ends, "campaign-9"))
    assert await shop.balances(shop.personal) == {"principal": 100_000, "bonus": 10_000}
    assert await house_sum(shop.session, house_id=house_id(HouseCode.BONUS, "CNY", "campaign-9")) == -10_000
    later = await queries.balance_of(shop.session, account_id=shop.personal, now=ends)
    assert (later.bonus_minor, later.available_minor) == (0, 100_000)


@pytest.mark.parametrize(("account", "cap"), [("personal", 500_000), ("anonymous", 100_000)])
async def test_a_cap_is_inclusive_and_its_refusal_says_what_may_still_be_loaded(shop, account, cap):
    account_id = getattr(shop, account)
    await shop.load(account_id, cap - 100)
    with pytest.raises(OverCap) as refused:
        await shop.load(account_id, 101)
    assert refused.value.facts["room_minor"] == 100
    assert "最多还可充 ¥1.00" in refused.value.sentence("zh")
    assert "cn-2012-9 §18" in refused.value.sentence("en")
    await shop.load(account_id, 100)
    assert (await shop.balances(account_id))["principal"] == cap


async def test_what_pays_a_debt_does_not_count_towards_the_cap(shop):
    await shop.owe(shop.personal, 50_000, now=shop.now)
    await shop.load(shop.personal, 550_000)
    assert await shop.balances(shop.personal) == {"principal": 500_000, "receivable": 0}


async def test_a_company_pool_has_no_cap_where_the_profile_caps_allocations(shop):
    await shop.load(shop.company, 499_999)
    await shop.load(shop.company, 499_999)
    assert (await shop.balances(shop.company))["principal"] == 999_998


async def test_the_generic_profile_has_no_cap_and_another_currency_is_under_no_figure_of_the_default_one(shop, generic):
    await shop.load(shop.anonymous, 5_000_000, policy=generic)
    czk = await shop.account("personal", shop.stranger_id, "CZK")
    await shop.load(czk, 90_000_000)
    assert (await shop.balances(czk))["principal"] == 90_000_000


@pytest.mark.parametrize(
    ("account", "amount", "allowed"),
    [("company", 499_999, True), ("company", 500_000, False), ("personal", 499_999, True)],
)
async def test_cash_thresholds_are_inclusive(shop, account, amount, allowed):
    if allowed:
        await shop.load(getattr(shop, account), amount)
    else:
        with pytest.raises(TenderNotAllowed, match="cn-2012-9"):
            await shop.load(getattr(shop, account), amount)


async def test_off_the_premises_nobody_pays_cash(shop):
    with pytest.raises(TenderNotAllowed):
        await shop.load(shop.personal, 100, off_premises=True)


async def test_a_holder_without_a_verified_document_is_asked_and_a_payer_who_is_not_the_holder_is_recorded(shop):
    account_id = await shop.account("personal", shop.stranger_id)
    with pytest.raises(RealNameNeeded) as refused:
        await shop.load(account_id, 10_000)
    assert refused.value.facts["who"] == "payer"
    topup = await shop.load(account_id, 10_000, payer=AUNT)
    shown = await operations.view_real_name(
        shop.session, record_id=topup.payer_record_id, reason="complaint 12", actor=shop.finance, now=shop.now
    )
    assert shown.declared == AUNT
    assert shown.keep_until == shop.now.replace(year=shop.now.year + 5)
    assert await shop.audited("topups.real_name_viewed") == 1


async def test_a_record_shows_nothing_in_the_database_and_nothing_in_its_repr(shop):
    topup = await shop.load(shop.personal, 10_000, payer=LI_MING)
    row = (await shop.session.execute(text("SELECT * FROM real_names WHERE record_id = :id"), {"id": topup.payer_record_id})).one()
    for secret in ("李明", "34052419800101001X", "13800138000"):
        assert not any(secret.encode() in value for value in row if isinstance(value, bytes))
        assert secret not in repr(LI_MING)
    assert row.id_tail == "001X"


@pytest.mark.parametrize("tender", [Tender.WECHAT, Tender.ALIPAY])
async def test_a_wallet_s_payment_is_booked_once(shop, tender):
    with pytest.raises(PaymentReferenceNeeded):
        await shop.load(shop.personal, 10_000, tender)
    first = await shop.load(shop.personal, 10_000, tender, reference="4200001")
    with pytest.raises(PaymentAlreadyUsed) as refused:
        await shop.load(shop.personal, 10_000, tender, reference=" 4200001 ")
    assert refused.value.facts["subject"] == first.topup_id


async def test_a_station_that_takes_no_top_ups_takes_none(shop):
    await shop.session.execute(text("UPDATE stations SET may_load = false WHERE station_id = :id"), {"id": shop.station_id})
    with pytest.raises(StationMayNotLoad):
        await shop.load(shop.personal, 10_000)


async def test_a_card_that_is_closed_or_another_account_s_cannot_be_loaded(shop):
    card = await shop.card(shop.personal)
    with pytest.raises(CardNotLoadable):
        await shop.load(shop.company, 100, card_id=card.card_id)
    await shop.load(shop.personal, 100, card_id=card.card_id)
    await close_card(shop.session, card_id=card.card_id, actor=shop.cashier, reason="closed", now=shop.now)
    with pytest.raises(CardNotLoadable):
        await shop.load(shop.personal, 100, card_id=card.card_id)


def line(amount_minor, number="L-1", transfer=None):
    return StatementLine(line=number, day=date(2026, 9, 25), amount_minor=amount_minor, transfer=transfer)


async def confirm(shop, topup, statement, **facts):
    facts = {"policy": shop.policy, "actor": shop.finance, "now": shop.now} | facts
    return await operations.confirm_bank_load(shop.session, topup_id=topup.topup_id, statement=statement, **facts)


async def test_a_bank_transfer_waits_until_finance_finds_it(shop):
    topup = await shop.load(shop.company, 2_000_000, Tender.BANK_TRANSFER, bank=BANK)
    assert topup.status is TopupStatus.PENDING
    assert await shop.balances(shop.company) == {"principal": 0}
    waiting = await queries.list_pending_transfers(shop.session)
    assert [row.topup_id for row in waiting.rows] == [topup.topup_id]
    with pytest.raises(AmountDiffers):
        await confirm(shop, topup, line(1_999_999))
    await confirm(shop, topup, line(2_000_000))
    assert await shop.balances(shop.company) == {"principal": 2_000_000}
    assert not (await queries.list_pending_transfers(shop.session)).rows
    with pytest.raises(CannotMove):
        await confirm(shop, topup, line(2_000_000, "L-2"))
    payment = await queries.get_bank_payment(shop.session, topup_id=topup.topup_id)
    assert (payment.own_account, payment.statement_line, payment.payer_account_tail) == (True, "L-1", "7890")
    assert await shop.audited("topups.bank_load_confirmed") == 1


async def test_one_statement_line_pays_one_top_up(shop):
    first = await shop.load(shop.company, 1_000, Tender.BANK_TRANSFER, bank=BANK)
    second = await shop.load(shop.company, 1_000, Tender.BANK_TRANSFER, bank=BANK)
    await confirm(shop, first, line(1_000))
    with pytest.raises(PaymentAlreadyUsed):
        await confirm(shop, second, line(1_000))


async def test_an_organisation_pays_from_its_own_account(shop):
    with pytest.raises(BankAccountsNeeded):
        await shop.load(shop.company, 1_000, Tender.BANK_TRANSFER)
    other = msgspec.structs.replace(BANK, payer_name="别的公司")
    with pytest.raises(PayerIsNotTheOrganisation):
        await shop.load(shop.company, 1_000, Tender.BANK_TRANSFER, bank=other)
    topup = await shop.load(shop.company, 1_000, Tender.BANK_TRANSFER, bank=BANK)
    with pytest.raises(PayerIsNotTheOrganisation):
        await confirm(shop, topup, line(1_000, transfer=other))
    assert "6222" not in repr(BANK)


async def test_a_transfer_that_never_came_is_cancelled(shop):
    topup = await shop.load(shop.company, 1_000, Tender.BANK_TRANSFER, bank=BANK)
    await operations.cancel_bank_load(shop.session, topup_id=topup.topup_id, reason="never came", actor=shop.finance, now=shop.now)
    with pytest.raises(CannotMove):
        await confirm(shop, topup, line(1_000))
    history = await queries.events_of(shop.session, subject_id=topup.topup_id)
    assert [event.moved_to for event in history] == ["pending", "cancelled"]


async def test_a_frozen_account_takes_no_load(shop):
    await operations.freeze_account(
        shop.session,
        policy=shop.policy,
        account_id=shop.personal,
        authority="浦东公安分局",
        document="浦公冻字 12",
        officer="张警官",
        actor=shop.finance,
        now=shop.now,
    )
    with pytest.raises(AccountNotOpen):
        await shop.load(shop.personal, 100)
