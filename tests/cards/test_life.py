"""A card's life: what leads where, and what each step does to account, chain, PIN and version."""

from datetime import timedelta
from uuid import UUID

import pytest

from loyalty.cards import operations, queries
from loyalty.cards.model import MOVES, CardStatus, EventKind, ProductKind
from loyalty.cards.operations.moving import move
from loyalty.cards.rules import PinCheck, Replacing
from loyalty.customers.model import CustomerKind, IdentifierType
from loyalty.customers.operations import add_identifier, verify_identifier
from loyalty.ledger.model import AccountStatus, HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import Leg, ensure_house, ensure_purse, move_account, post
from loyalty.ledger.queries import get_account, purses_of
from loyalty.policy import load_policy

from .conftest import PIN, active, blanks, issued, new_customer


def test_every_status_has_its_row_of_moves_and_none_leads_to_itself():
    assert set(MOVES) == set(CardStatus)
    assert not [status for status in CardStatus if status in MOVES[status]]


@pytest.mark.parametrize("present", CardStatus)
async def test_a_card_moves_only_along_the_table(shop, present):
    for to in CardStatus:
        card = await active(shop)
        card.status = present
        before = card.version
        if to in MOVES[present]:
            await move(shop.session, card, to, actor=shop.actor, reason="test", now=shop.now)
            assert (card.status, card.version) == (to, before + 1)
        else:
            with pytest.raises(operations.CardCannotMove):
                await move(shop.session, card, to, actor=shop.actor, reason="test", now=shop.now)
            assert (card.status, card.version) == (present, before)
        card.status = CardStatus.ACTIVE


async def test_a_blank_card_becomes_usable_in_two_steps(shop):
    card = await issued(shop)
    account = await get_account(shop.session, account_id=card.account_id)
    assert (card.status, card.is_main, card.chain_id) == (CardStatus.ISSUED, True, card.card_id)
    assert (account.customer_id, account.card_product_id, account.currency) == (card.customer_id, card.product_id, "CNY")
    with pytest.raises(operations.PinNeeded):
        await operations.activate_card(shop.session, card_id=card.card_id, actor=shop.actor, now=shop.now)
    await operations.activate_card(shop.session, card_id=card.card_id, pin=PIN, actor=shop.actor, now=shop.now)
    assert (card.status, card.pin_generation, card.activated_at) == (CardStatus.ACTIVE, 1, shop.now)
    page = await queries.history(shop.session, card_id=card.card_id)
    assert {(event.kind, event.moved_to) for event in page.rows} == {
        (EventKind.MOVED, CardStatus.ISSUED),
        (EventKind.PIN_SET, None),
        (EventKind.MOVED, CardStatus.ACTIVE),
    }


async def test_who_developed_the_holder_is_kept_and_nobody_refers_themselves(shop):
    friend, customer = await new_customer(shop.session, shop.now), await new_customer(shop.session, shop.now)
    developed = operations.Developed(
        staff_id=shop.actor.actor_id, station_id=shop.station_id, flyer_code="F-2026-09", referrer_customer_id=friend
    )
    card = await issued(shop, customer_id=customer, developed=developed)
    issue = await queries.issue_of(shop.session, card_id=card.card_id)
    assert (issue.developed_by_staff_id, issue.flyer_code, issue.referrer_customer_id) == (shop.actor.actor_id, "F-2026-09", friend)
    assert await operations.record_first_load(shop.session, account_id=card.account_id, amount_minor=100_000, now=shop.now)
    assert not await operations.record_first_load(shop.session, account_id=card.account_id, amount_minor=5, now=shop.now)
    await shop.session.refresh(issue)
    assert issue.first_load_minor == 100_000
    with pytest.raises(operations.ReferrerIsHolder):
        await issued(shop, customer_id=customer, developed=operations.Developed(referrer_customer_id=customer))


@pytest.mark.parametrize(
    ("kind", "holder"),
    [
        (ProductKind.PERSONAL, CustomerKind.ORGANISATION),
        (ProductKind.COMPANY, CustomerKind.PERSON),
        (ProductKind.FLEET, CustomerKind.PERSON),
        (ProductKind.ANONYMOUS, CustomerKind.PERSON),
    ],
)
async def test_the_holder_must_be_of_the_products_kind(shop, kind, holder):
    customer = await new_customer(shop.session, shop.now, kind=holder)
    with pytest.raises(operations.HolderDoesNotFit):
        await issued(shop, kind=kind, customer_id=customer)


async def test_a_companys_cards_share_one_account_whatever_their_product(shop):
    company = await new_customer(shop.session, shop.now, kind=CustomerKind.ORGANISATION)
    main = await issued(shop, kind=ProductKind.COMPANY, customer_id=company)
    sub = await issued(shop, kind=ProductKind.COMPANY, customer_id=company)
    truck = await issued(shop, kind=ProductKind.FLEET, customer_id=company, plate="沪B 12345")
    assert main.account_id == sub.account_id == truck.account_id
    assert [main.is_main, sub.is_main, truck.is_main] == [True, False, False]
    assert truck.plate == "沪B12345"
    with pytest.raises(operations.VehicleHasCard):
        await issued(shop, kind=ProductKind.FLEET, customer_id=company, plate="沪B·12345")
    with pytest.raises(operations.MainCardExists):
        await issued(shop, kind=ProductKind.COMPANY, customer_id=company, is_main=True)
    stranger = await new_customer(shop.session, shop.now, kind=CustomerKind.ORGANISATION)
    with pytest.raises(operations.AccountDoesNotFit):
        await issued(shop, kind=ProductKind.COMPANY, customer_id=stranger, account_id=main.account_id)


async def test_a_card_is_issued_from_its_stations_own_stock_by_a_station_that_may(shop):
    (blank,) = await blanks(shop, station_id=shop.other_station_id)
    customer = await new_customer(shop.session, shop.now)
    with pytest.raises(operations.CardElsewhere):
        await operations.issue_card(
            shop.session, card_id=blank.card_id, customer_id=customer, station_id=shop.station_id, actor=shop.actor, now=shop.now
        )
    (mute,) = await blanks(shop, station_id=shop.mute_station_id)
    with pytest.raises(operations.StationMayNotIssue):
        await operations.issue_card(
            shop.session, card_id=mute.card_id, customer_id=customer, station_id=shop.mute_station_id, actor=shop.actor, now=shop.now
        )


async def test_suspended_lost_and_found_never_lifts_the_suspension(shop):
    card = await active(shop)
    await operations.suspend_card(shop.session, card_id=card.card_id, actor=shop.actor, reason="company", now=shop.now)
    await operations.report_lost(shop.session, card_id=card.card_id, actor=shop.actor, reason="lost", now=shop.now + timedelta(seconds=1))
    with pytest.raises(operations.CardCannotMove):
        await operations.resume_card(shop.session, card_id=card.card_id, actor=shop.actor, reason="no", now=shop.now)
    await operations.report_found(shop.session, card_id=card.card_id, actor=shop.actor, reason="found", now=shop.now + timedelta(hours=1))
    assert card.status is CardStatus.SUSPENDED
    await operations.resume_card(shop.session, card_id=card.card_id, actor=shop.actor, reason="company", now=shop.now)
    assert card.status is CardStatus.ACTIVE


async def test_an_anonymous_card_is_neither_lost_nor_replaced_nor_unlocked(shop):
    card = await active(shop, kind=ProductKind.ANONYMOUS)
    (blank,) = await blanks(shop, kind=ProductKind.ANONYMOUS)
    version = card.version
    with pytest.raises(operations.CardIsBearer):
        await operations.report_lost(shop.session, card_id=card.card_id, actor=shop.actor, reason="lost", now=shop.now)
    for reason in (Replacing.LOST, Replacing.DAMAGED):
        with pytest.raises(operations.CardIsBearer):
            await operations.replace_card(
                shop.session, card_id=card.card_id, new_card_id=blank.card_id, reason=reason, actor=shop.actor, now=shop.now
            )
    with pytest.raises(operations.CardIsBearer):
        await operations.unlock_pin(shop.session, card_id=card.card_id, identity_seen=True, actor=shop.actor, now=shop.now)
    with pytest.raises(operations.CardIsBearer):
        await operations.set_pin(shop.session, card_id=card.card_id, pin="7391", identity_seen=True, actor=shop.actor, now=shop.now)
    assert card.version == version


async def put_money(shop, card, amount_minor: int, *, card_id: UUID | None = None) -> UUID:
    purse = await ensure_purse(
        shop.session, account_id=card.account_id, kind=PurseKind.PRINCIPAL, unit="CNY", card_id=card_id, now=shop.now
    )
    tender = await ensure_house(shop.session, code=HouseCode.TENDER, currency="CNY", reference="s:cash", now=shop.now)
    leg = Leg(tender, purse, amount_minor, TransferKind.LOAD, "CNY")
    await post(shop.session, account_id=card.account_id, legs=[leg], operation_id=card.card_id, event_at=shop.now, now=shop.now)
    return purse


async def test_anonymous_becomes_registered_once_and_its_money_goes_along(shop):
    card = await active(shop, kind=ProductKind.ANONYMOUS)
    account_id, version = card.account_id, card.version
    await put_money(shop, card, 100_000)
    customer = await new_customer(shop.session, shop.now)
    developed = operations.Developed(staff_id=shop.actor.actor_id, flyer_code="THANKS")
    personal = shop.products[ProductKind.PERSONAL]

    async def register():
        return await operations.register_card(
            shop.session,
            card_id=card.card_id,
            customer_id=customer,
            product_id=personal,
            actor=shop.actor,
            now=shop.now,
            developed=developed,
        )

    await register()
    assert (card.bearer, card.customer_id, card.product_id, card.account_id) == (False, customer, personal, account_id)
    assert card.version == version + 1
    account = await get_account(shop.session, account_id=account_id)
    assert (account.kind, account.customer_id, account.card_product_id) == ("personal", customer, personal)
    assert [purse.balance_minor for purse in await purses_of(shop.session, account_id=account_id)] == [100_000]
    issue = await queries.issue_of(shop.session, card_id=card.card_id)
    assert (issue.customer_id, issue.flyer_code) == (customer, "THANKS")
    with pytest.raises(operations.AlreadyRegistered):
        await register()
    answer = await operations.check_pin(shop.session, card_id=card.card_id, pin=PIN, actor=shop.actor, now=shop.now)
    assert answer.check is PinCheck.RIGHT


async def test_only_a_personal_product_of_the_currency_registers_a_card(shop):
    card = await active(shop, kind=ProductKind.ANONYMOUS)
    customer = await new_customer(shop.session, shop.now, kind=CustomerKind.ORGANISATION)
    for kind, refusal in ((ProductKind.COMPANY, operations.ProductDoesNotFit), (ProductKind.PERSONAL, operations.HolderDoesNotFit)):
        with pytest.raises(refusal):
            await operations.register_card(
                shop.session,
                card_id=card.card_id,
                customer_id=customer,
                product_id=shop.products[kind],
                actor=shop.actor,
                now=shop.now,
            )


async def test_a_replacement_keeps_account_chain_and_allocated_money_and_tells_the_fee(shop):
    company = await new_customer(shop.session, shop.now, kind=CustomerKind.ORGANISATION)
    old = await active(shop, kind=ProductKind.COMPANY, customer_id=company, holder_label="张师傅")
    allocated = await put_money(shop, old, 30_000, card_id=old.card_id)
    first, second = await blanks(shop, kind=ProductKind.COMPANY, count=2)

    async def replace(card, blank, reason):
        return await operations.replace_card(
            shop.session,
            card_id=card.card_id,
            new_card_id=blank.card_id,
            reason=reason,
            pin="5092",
            station_id=shop.station_id,
            actor=shop.actor,
            now=shop.now,
        )

    with pytest.raises(operations.CardNotReportedLost):
        await replace(old, first, Replacing.LOST)
    await operations.report_lost(shop.session, card_id=old.card_id, actor=shop.actor, reason="lost", now=shop.now)
    done = await replace(old, first, Replacing.LOST)
    new = done.card
    assert (done.fee_minor, done.currency) == (1000, "CNY")
    assert (old.status, new.status) == (CardStatus.REPLACED, CardStatus.ACTIVE)
    assert (new.account_id, new.chain_id, new.holder_label, new.is_main) == (old.account_id, old.card_id, "张师傅", True)
    assert (new.replaces_card_id, new.card_id != old.card_id) == (old.card_id, True)
    (purse,) = [purse for purse in await purses_of(shop.session, account_id=old.account_id) if purse.purse_id == allocated]
    assert (purse.card_id, purse.balance_minor) == (new.card_id, 30_000)
    again = (await replace(new, second, Replacing.DAMAGED)).card
    assert again.chain_id == old.card_id
    assert [card.card_id for card in await queries.chain_of(shop.session, chain_id=old.card_id, living=True)] == [again.card_id]
    with pytest.raises(operations.CardCannotMove):
        await operations.report_found(shop.session, card_id=old.card_id, actor=shop.actor, reason="found", now=shop.now)


async def test_an_expired_card_is_renewed_or_exchanged_without_a_fee_anonymous_ones_too(shop, policy):
    product_id = shop.products[ProductKind.ANONYMOUS]
    await operations.change_card_product(shop.session, product_id=product_id, policy=policy, media_validity_months=36, now=shop.now)
    card = await active(shop, kind=ProductKind.ANONYMOUS)
    assert card.expires_on.isoformat() == "2029-09-24"
    (blank,) = await blanks(shop, kind=ProductKind.ANONYMOUS)
    facts = {"card_id": card.card_id, "new_card_id": blank.card_id, "reason": Replacing.EXPIRED, "actor": shop.actor}
    with pytest.raises(operations.CardNotExpired):
        await operations.replace_card(shop.session, now=shop.now, station_id=shop.station_id, **facts)
    # The last good day ends at midnight in Shanghai, not in UTC: 16:00Z is the first instant of the 25th there.
    expiry = shop.now.replace(year=2029, hour=15, minute=59)
    with pytest.raises(operations.CardNotExpired):
        await operations.replace_card(shop.session, now=expiry, station_id=shop.station_id, **facts)
    done = await operations.replace_card(shop.session, now=expiry + timedelta(minutes=1), station_id=shop.station_id, **facts)
    assert (done.fee_minor, done.card.status, done.card.expires_on.isoformat()) == (0, CardStatus.ISSUED, "2032-09-25")
    await operations.renew_card(shop.session, card_id=done.card.card_id, actor=shop.actor, now=expiry + timedelta(days=365))
    assert done.card.expires_on.isoformat() == "2033-09-24"


async def test_a_closed_card_reopens_for_six_months_into_the_status_it_had(shop, policy):
    card = await active(shop)
    await operations.report_lost(shop.session, card_id=card.card_id, actor=shop.actor, reason="lost", now=shop.now)
    await operations.close_card(shop.session, card_id=card.card_id, actor=shop.actor, reason="moved away", now=shop.now)
    assert await operations.number_is_taken(shop.session, number=queries.reveal_number(card_id=card.card_id, sealed=card.number_sealed))

    async def reopen(now):
        return await operations.reopen_card(
            shop.session, card_id=card.card_id, policy=policy, actor=shop.actor, reason="came back", now=now
        )

    with pytest.raises(operations.ReopeningOver) as refused:
        await reopen(shop.now.replace(year=2027, month=3, day=25))
    assert refused.value.facts["months"] == 6
    await reopen(shop.now.replace(year=2027, month=3, day=24))
    assert (card.status, card.closed_at) == (CardStatus.LOST, None)


async def test_spoilt_stock_never_reopens(shop, policy):
    (blank,) = await blanks(shop)
    await operations.spoil_blank(shop.session, card_id=blank.card_id, actor=shop.actor, reason="misprint", now=shop.now)
    with pytest.raises(operations.CardCannotMove):
        await operations.reopen_card(shop.session, card_id=blank.card_id, policy=policy, actor=shop.actor, reason="no", now=shop.now)


async def test_a_new_card_cannot_join_a_frozen_account_and_a_freeze_touches_every_card(shop):
    card = await active(shop)
    version = card.version
    await move_account(shop.session, account_id=card.account_id, to=AccountStatus.FROZEN, now=shop.now)
    touched = await operations.touch_account(
        shop.session, account_id=card.account_id, actor=shop.actor, reason="frozen by court order", now=shop.now
    )
    assert (touched, card.version) == (1, version + 1)
    page = await queries.history(shop.session, card_id=card.card_id, limit=1)
    assert page.rows[0].kind is EventKind.ACCOUNT_CHANGED
    with pytest.raises(Exception, match="frozen"):
        await issued(shop, customer_id=card.customer_id)


async def test_a_former_systems_card_keeps_its_number_though_it_lacks_luhn(shop):
    customer = await new_customer(shop.session, shop.now)
    facts = {"product_id": shop.products[ProductKind.PERSONAL], "customer_id": customer, "actor": shop.actor, "now": shop.now}
    card = await operations.adopt_card(shop.session, number="1234 5678 9012 3456", **facts)
    assert (await queries.find_by_number(shop.session, number="1234-5678-9012-3456")).card_id == card.card_id
    assert (card.status, card.number_tail, card.pin_verifier) == (CardStatus.ACTIVE, "3456", None)
    with pytest.raises(operations.CardNumberTaken):
        await operations.adopt_card(shop.session, number="1234567890123456", **facts)
    with pytest.raises(queries.CardNotFound):
        await queries.find_by_number(shop.session, number="not a number")


async def test_label_and_plate_change_together_and_raise_the_version(shop):
    card = await active(shop, kind=ProductKind.FLEET)
    version = card.version
    await operations.label_card(shop.session, card_id=card.card_id, holder_label="替班", plate="京A·D12345", actor=shop.actor, now=shop.now)
    assert (card.plate, card.holder_label, card.version) == ("京AD12345", "替班", version + 1)
    with pytest.raises(operations.PlateNeeded):
        await operations.label_card(shop.session, card_id=card.card_id, holder_label=None, plate=None, actor=shop.actor, now=shop.now)


async def test_the_profile_asks_for_a_verified_document_before_a_registered_card(shop, policy):
    customer = await new_customer(shop.session, shop.now)
    with pytest.raises(operations.IdentityNotVerified) as refused:
        await issued(shop, customer_id=customer, policy=policy)
    assert "§15" in refused.value.sentence("zh")
    added = await add_identifier(
        shop.session,
        customer_id=customer,
        type=IdentifierType.RESIDENT_ID,
        value="34052419800101001X",
        actor=shop.actor,
        now=shop.now,
    )
    with pytest.raises(operations.IdentityNotVerified):
        await issued(shop, customer_id=customer, policy=policy)
    await verify_identifier(shop.session, identifier_id=added.identifier_id, staff_id=shop.actor.actor_id, actor=shop.actor, now=shop.now)
    card = await issued(shop, customer_id=customer, policy=policy)
    assert [found.card_id for found in await queries.cards_of_customer(shop.session, customer_id=customer)] == [card.card_id]
    assert (await issued(shop, kind=ProductKind.ANONYMOUS, policy=policy)).customer_id is None
    assert (await issued(shop, policy=load_policy("generic"))).status is CardStatus.ISSUED


async def test_the_stop_list_names_what_was_usable_once_and_is_not_now(shop):
    lost, closed, fine = await active(shop), await active(shop), await active(shop)
    await blanks(shop)
    await operations.report_lost(shop.session, card_id=lost.card_id, actor=shop.actor, reason="lost", now=shop.now)
    later = shop.now + timedelta(hours=1)
    await operations.close_card(shop.session, card_id=closed.card_id, actor=shop.actor, reason="gone", now=later)
    assert {card.card_id for card in await queries.stopped_cards(shop.session)} == {lost.card_id, closed.card_id}
    assert [card.card_id for card in await queries.stopped_cards(shop.session, since=later)] == [closed.card_id]
    assert fine.status is CardStatus.ACTIVE


async def test_cards_are_listed_in_pages_by_what_is_known_of_them(shop):
    one = await active(shop)
    others = await blanks(shop, count=3)
    found = await queries.list_cards(shop.session, tail=one.number_tail, account_id=one.account_id)
    assert [card.card_id for card in found.rows] == [one.card_id]
    first = await queries.list_cards(shop.session, status=CardStatus.BLANK, limit=2)
    second = await queries.list_cards(shop.session, status=CardStatus.BLANK, limit=2, cursor=first.next)
    assert {card.card_id for card in [*first.rows, *second.rows]} == {card.card_id for card in others}
    assert second.next is None
