"""Several cards at once: the thresholds judge the whole."""

import msgspec
import pytest
from sqlalchemy import select, text

from loyalty.ledger.queries import transfers_of
from loyalty.topups import operations, queries
from loyalty.topups.model import Party, PurchaseStatus, RealName, Tender, TopupStatus
from loyalty.topups.operations import (
    AmountDiffers,
    Buyer,
    CannotMove,
    CurrenciesDiffer,
    Item,
    OverCap,
    PayerIsNotTheOrganisation,
    PaymentAlreadyUsed,
    PurchaseIsEmpty,
    RealNameNeeded,
    TenderNotAllowed,
)

from .conftest import AUNT, BANK, FIRM, LI_MING
from .test_loads import line


async def gift_cards(shop, count, amount_minor):
    return [Item(account_id=await shop.account("anonymous", None), amount_minor=amount_minor) for _ in range(count)]


async def buy(shop, items, **facts):
    facts = {
        "policy": shop.policy,
        "buyer": Buyer(party=Party.PERSON),
        "tender": Tender.CASH,
        "actor": shop.cashier,
        "event_at": shop.now,
        "now": shop.now,
        "station_id": shop.station_id,
    } | facts
    return await operations.purchase(shop.session, items=items, **facts)


async def test_every_item_is_a_movement_of_its_own(shop):
    items = await gift_cards(shop, 3, 10_000)
    bought = await buy(shop, items)
    assert (bought.purchase.status, bought.purchase.total_minor) == (PurchaseStatus.BOOKED, 30_000)
    operations_of = set()
    for item, topup in zip(items, bought.items, strict=True):
        (row,) = await transfers_of(shop.session, account_id=item.account_id)
        assert (row.operation_id, row.amount_minor, topup.purchase_id) == (topup.topup_id, 10_000, bought.purchase.purchase_id)
        operations_of.add(row.operation_id)
    assert len(operations_of) == 3


@pytest.mark.parametrize(("count", "cents", "asked"), [(10, 99_999, False), (10, 100_000, True)])
async def test_the_real_name_threshold_of_anonymous_cards_is_inclusive_and_over_the_whole(shop, count, cents, asked):
    items = await gift_cards(shop, count, cents)
    if not asked:
        assert (await buy(shop, items)).purchase.buyer_record_id is None
        return
    with pytest.raises(RealNameNeeded) as refused:
        await buy(shop, items)
    assert (refused.value.facts["who"], refused.value.facts["rule"]) == ("buyer", "cn-2012-9 §15")
    bought = await buy(shop, items, buyer=Buyer(party=Party.PERSON, declared=LI_MING), agent=AUNT)
    assert bought.purchase.buyer_record_id is not None
    assert bought.purchase.agent_record_id is not None


async def test_a_registered_card_always_asks_and_a_verified_customer_is_not_asked_again(shop):
    items = [Item(account_id=shop.personal, amount_minor=100)]
    with pytest.raises(RealNameNeeded):
        await buy(shop, items)
    with pytest.raises(RealNameNeeded):
        await buy(shop, items, buyer=Buyer(party=Party.PERSON, customer_id=shop.stranger_id))
    bought = await buy(shop, items, buyer=Buyer(party=Party.PERSON, customer_id=shop.person_id))
    record = await shop.session.get(RealName, bought.purchase.buyer_record_id)
    assert (record.customer_id, record.name_sealed) == (shop.person_id, None)


async def test_an_organisation_buys_through_a_person_and_by_transfer_from_the_threshold_on(shop):
    items = await gift_cards(shop, 5, 100_000)
    firm = Buyer(party=Party.ORGANISATION, declared=FIRM)
    with pytest.raises(TenderNotAllowed) as refused:
        await buy(shop, items, buyer=firm)
    assert refused.value.facts["threshold_minor"] == 500_000
    below = [*items[:4], msgspec.structs.replace(items[4], amount_minor=99_999)]
    await buy(shop, below, buyer=firm)
    registered = [Item(account_id=shop.company, amount_minor=100)]
    with pytest.raises(RealNameNeeded) as refused:
        await buy(shop, registered, buyer=firm)
    assert refused.value.facts["who"] == "agent"
    await buy(shop, registered, buyer=firm, agent=AUNT)


async def test_a_person_pays_fifty_thousand_by_transfer(shop):
    items = await gift_cards(shop, 50, 100_000)
    person = Buyer(party=Party.PERSON, declared=LI_MING)
    with pytest.raises(TenderNotAllowed):
        await buy(shop, items, buyer=person)
    items[0] = msgspec.structs.replace(items[0], amount_minor=99_999)
    await buy(shop, items, buyer=person)


async def test_one_card_over_its_cap_stops_the_whole_purchase(shop):
    with pytest.raises(OverCap):
        await buy(shop, [*await gift_cards(shop, 1, 100_000), *await gift_cards(shop, 1, 100_001)])


async def test_a_wallet_pays_a_purchase_once(shop):
    await buy(shop, await gift_cards(shop, 2, 1_000), tender=Tender.WECHAT, reference="W-7")
    with pytest.raises(PaymentAlreadyUsed):
        await shop.load(shop.personal, 2_000, Tender.WECHAT, reference="W-7")
    back = await operations.reverse_wallet_payment(
        shop.session, tender=Tender.WECHAT, reference="W-7", reversal_reference="R", reason="", actor=shop.finance, now=shop.now
    )
    assert [topup.status for topup in back] == [TopupStatus.REVERSED] * 2


async def test_a_purchase_by_transfer_is_confirmed_whole_from_the_buyer_s_own_account(shop):
    items = await gift_cards(shop, 6, 100_000)
    firm = Buyer(party=Party.ORGANISATION, declared=FIRM)
    facts = {"buyer": firm, "tender": Tender.BANK_TRANSFER}
    other = msgspec.structs.replace(BANK, payer_name="个人")
    with pytest.raises(PayerIsNotTheOrganisation):
        async with shop.session.begin_nested():
            await buy(shop, items, bank=other, **facts)
    bought = await buy(shop, items, bank=BANK, **facts)
    (waiting,) = (await queries.list_pending_purchases(shop.session)).rows
    assert waiting.purchase_id == bought.purchase.purchase_id
    assert not (await queries.list_pending_transfers(shop.session)).rows
    confirm = {"policy": shop.policy, "purchase_id": waiting.purchase_id, "actor": shop.finance, "now": shop.now}
    with pytest.raises(AmountDiffers):
        await operations.confirm_purchase(shop.session, statement=line(599_999), **confirm)
    with pytest.raises(PayerIsNotTheOrganisation):
        async with shop.session.begin_nested():
            await operations.confirm_purchase(shop.session, statement=line(600_000, transfer=other), **confirm)
    done = await operations.confirm_purchase(shop.session, statement=line(600_000), **confirm)
    assert {topup.status for topup in done.items} == {TopupStatus.BOOKED}
    rows = await shop.session.execute(text("SELECT count(*) FROM bank_payments WHERE statement_line = 'L-1' AND own_account"))
    assert rows.scalar_one() == 6
    with pytest.raises(CannotMove):
        await operations.cancel_purchase(shop.session, purchase_id=waiting.purchase_id, reason="", actor=shop.finance, now=shop.now)


async def test_a_purchase_whose_money_never_came_is_cancelled_whole(shop):
    firm = Buyer(party=Party.ORGANISATION, declared=FIRM)
    bought = await buy(shop, await gift_cards(shop, 2, 1_000), buyer=firm, tender=Tender.BANK_TRANSFER, bank=BANK)
    gone = await operations.cancel_purchase(
        shop.session, purchase_id=bought.purchase.purchase_id, reason="never came", actor=shop.finance, now=shop.now
    )
    assert {topup.status for topup in gone.items} == {TopupStatus.CANCELLED}


async def test_a_purchase_has_items_in_one_currency(shop):
    with pytest.raises(PurchaseIsEmpty):
        await buy(shop, [])
    czk = Item(account_id=await shop.account("anonymous", None, "CZK"), amount_minor=100)
    with pytest.raises(CurrenciesDiffer):
        await buy(shop, [czk, *await gift_cards(shop, 1, 100)])
    assert (await shop.session.scalars(select(RealName))).all() == []
