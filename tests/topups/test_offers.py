"""What rules give for a top-up: bands and their policy, discounts, the first one, caps and budgets; quoted, booked, given back."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select, text

from loyalty.ledger.model import HouseCode, PurseKind, TransferKind
from loyalty.ledger.queries import house_sum, purses_of, transfers_of
from loyalty.ledger.rules import house_id
from loyalty.pricing.document import (
    Band,
    Bonus,
    Budget,
    Campaign,
    Cap,
    Channel,
    Document,
    Fixed,
    Funder,
    Give,
    Group,
    Mode,
    Nth,
    Of,
    Per,
    Percent,
    Points,
    Rule,
    Several,
    When,
)
from loyalty.pricing.model import BenefitCounter
from loyalty.pricing.operations import publish
from loyalty.topups import operations
from loyalty.topups.model import Tender, TopupStatus
from loyalty.topups.offering import others_of
from loyalty.topups.operations import Item, OfferChanged, OverCap, StatementLine, quote_topup
from loyalty.topups.queries import returns_of

from .conftest import BANK

OURS = (Funder(funder="head-office"),)
SHARED = (Funder(funder="head-office", parts=2), Funder(funder="station"))
LATER = timedelta(minutes=5)


def rule(code, effect, *, funders=OURS, when=None, **more):
    asked = {"channels": (Channel.TOPUP,)} | (when or {})
    return Rule(code=code, name_zh=f"{code}活动", name_en=code, effect=effect, funders=funders, when=When(**asked), **more)


def banded(several, *bands):
    return Bonus(bands=tuple(Band(starts=starts, amount_minor=amount) for starts, amount in bands), several=several, expires_days=90)


async def live(shop, *rules, **parts):
    return await publish(shop.session, document=Document(rules=rules, **parts), note="tests", now=shop.now - timedelta(days=1))


def given(topup):
    return {one["rule"]: one["given"] for one in (topup.detail or {}).get("benefits", ())}


async def used(shop) -> int:
    return int(await shop.session.scalar(text("SELECT coalesce(sum(used), 0) FROM budget_shares")))


async def house(shop, code, reference) -> int:
    return await house_sum(shop.session, house_id=house_id(code, "CNY", reference))


BANDS = ((20_000, 1_000), (50_000, 3_000), (100_000, 8_000))


@pytest.mark.parametrize(
    ("several", "amount", "bonus"),
    [
        (Several.HIGHEST, 19_999, 0),
        (Several.HIGHEST, 20_000, 1_000),
        (Several.HIGHEST, 49_999, 1_000),
        (Several.HIGHEST, 50_000, 3_000),
        (Several.HIGHEST, 250_000, 8_000),
        (Several.EVERY, 19_999, 0),
        (Several.EVERY, 50_000, 4_000),
        (Several.EVERY, 100_000, 12_000),
        (Several.REPEAT, 19_999, 0),
        (Several.REPEAT, 40_000, 2_000),
        (Several.REPEAT, 170_000, 8_000 + 3_000 + 1_000),
        (Several.REPEAT, 219_999, 2 * 8_000),
        (Several.REPEAT, 220_000, 2 * 8_000 + 1_000),
    ],
)
async def test_bands_give_by_the_rule_s_policy(shop, several, amount, bonus):
    await live(shop, rule("bands", banded(several, *BANDS)))
    topup = await shop.load(shop.personal, amount)
    assert topup.bonus_minor == bonus
    assert await shop.balances(shop.personal) == {"principal": amount} | ({"bonus": bonus} if bonus else {})
    assert await house(shop, HouseCode.BONUS, "head-office") == -bonus


async def test_a_bonus_is_a_lot_of_its_own_that_ends_with_the_station_s_day_and_its_funders_share_it(shop):
    await live(
        shop,
        rule("tenth", Bonus(basis_points=1_000, expires_days=30), funders=SHARED),
        rule("more", Bonus(amount_minor=500)),
    )
    topup = await shop.load(shop.personal, 10_001)
    lots = {purse.expires_at: purse.balance_minor for purse in await purses_of(shop.session, account_id=shop.personal) if purse.kind == 2}
    # 24 September at the station, and 30 days: the end of 24 October there.
    assert lots == {datetime(2026, 10, 24, 16, tzinfo=UTC): 1_000, None: 500}
    assert await house(shop, HouseCode.BONUS, "head-office") == -667 - 500
    assert await house(shop, HouseCode.BONUS, f"station:{shop.station_id}") == -333
    assert [(one["rule"], one["kind"], one["given"]) for one in topup.detail["benefits"]] == [
        ("more", "bonus", 500),
        ("tenth", "bonus", 1_000),
    ]
    assert all(UUID(one["lot"]) for one in topup.detail["benefits"])


async def test_a_discount_is_paid_by_its_funder_and_the_till_has_what_was_paid(shop):
    await live(
        shop,
        rule("five", Percent(basis_points=500), funders=SHARED),
        rule("cup", Give(what="gift", item="cup"), when={"least_minor": 9_501}),
    )
    topup = await shop.load(shop.personal, 10_000, Tender.WECHAT, reference="W-1", pays_minor=9_500)
    assert (topup.discount_minor, topup.paid_minor) == (500, 9_500)
    assert await shop.balances(shop.personal) == {"principal": 10_000}
    assert await house(shop, HouseCode.TENDER, f"{shop.station_id}:wechat") == -9_500
    assert await house(shop, HouseCode.DISCOUNT, "head-office") == -334
    assert await house(shop, HouseCode.DISCOUNT, f"station:{shop.station_id}") == -166
    assert await shop.session.scalar(text("SELECT amount_minor FROM payment_references WHERE reference = 'W-1'")) == 9_500
    with pytest.raises(OfferChanged) as refused:
        await shop.load(shop.personal, 10_000, pays_minor=9_400)
    assert refused.value.facts["pays_minor"] == 9_500
    assert "¥95.00" in refused.value.sentence("zh")


async def test_all_of_it_may_be_a_present(shop):
    await live(shop, rule("all", Fixed(amount_minor=5_000)))
    topup = await shop.load(shop.personal, 5_000)
    assert topup.paid_minor == 0
    back = await operations.refund_topup(
        shop.session, policy=shop.policy, topup_id=topup.topup_id, reason="x", actor=shop.cashier, now=shop.now + LATER
    )
    assert (back.paid_minor, back.discount_minor) == (0, 5_000)
    assert await house(shop, HouseCode.DISCOUNT, "head-office") == 0


async def test_only_rules_that_name_top_ups_are_asked_and_the_best_of_a_group_is_taken(shop):
    await live(
        shop,
        Rule(code="pump", name_zh="x", name_en="x", effect=Fixed(amount_minor=900), funders=OURS),
        rule("off", Fixed(amount_minor=300), group="one"),
        rule("back", Bonus(amount_minor=200), group="one"),
        groups=(Group(code="one", name_zh="一", name_en="One", mode=Mode.BEST),),
    )
    topup = await shop.load(shop.personal, 10_000)
    assert given(topup) == {"off": 300}
    # By transfer nothing can be paid less: the other of the group has its turn.
    waiting = await shop.load(shop.personal, 10_000, Tender.BANK_TRANSFER, bank=BANK)
    done = await confirm(shop, waiting, now=shop.now + LATER)
    assert given(done) == {"back": 200}


async def confirm(shop, topup, *, now):
    line = StatementLine(line=f"L-{topup.topup_id}", day=now.date(), amount_minor=topup.amount_minor)
    return await operations.confirm_bank_load(
        shop.session, policy=shop.policy, topup_id=topup.topup_id, statement=line, actor=shop.finance, now=now
    )


async def test_a_transfer_earns_what_the_rules_say_when_it_is_confirmed(shop):
    await live(shop, rule("bands", banded(Several.HIGHEST, *BANDS)), rule("off", Fixed(amount_minor=100)))
    quoted = await quote_topup(
        shop.session, policy=shop.policy, account_id=shop.personal, amount_minor=50_000, tender=Tender.BANK_TRANSFER, now=shop.now
    )
    assert (quoted.bonus_minor, quoted.pays_minor, quoted.at_confirmation) == (3_000, 50_000, True)
    assert [(one.rule, one.why, one.en) for one in quoted.others] == [("off", "tender", "off: not where a bank transfer pays")]
    topup = await shop.load(shop.personal, 50_000, Tender.BANK_TRANSFER, bank=BANK)
    assert (topup.detail, topup.bonus_minor) == (None, 0)
    await publish(
        shop.session,
        document=Document(rules=(rule("bands", banded(Several.HIGHEST, (50_000, 700))),)),
        note="x",
        now=shop.now + LATER,
    )
    done = await confirm(shop, topup, now=shop.now + 2 * LATER)
    assert (done.bonus_minor, done.discount_minor) == (700, 0)
    assert (await shop.balances(shop.personal)) == {"principal": 50_000, "bonus": 700}


async def test_the_first_top_up_is_the_first_until_it_is_taken_back(shop):
    await live(shop, rule("first", Bonus(amount_minor=500), when={"nth": Nth(count=1, of=Of.CUSTOMER)}))
    first = await shop.load(shop.personal, 10_000)
    second_account = await shop.account("personal", shop.person_id)
    second = await shop.load(second_account, 10_000)
    assert (first.bonus_minor, second.bonus_minor) == (500, 0)
    await operations.void_topup(
        shop.session, policy=shop.policy, topup_id=second.topup_id, reason="x", actor=shop.cashier, now=shop.now + LATER
    )
    await operations.void_topup(
        shop.session, policy=shop.policy, topup_id=first.topup_id, reason="x", actor=shop.cashier, now=shop.now + LATER
    )
    assert (await shop.load(second_account, 10_000, now=shop.now + 2 * LATER)).bonus_minor == 500


async def test_a_budget_s_last_remainder_is_given_and_said(shop):
    await live(
        shop,
        rule("back", Bonus(amount_minor=600), budget="spring"),
        budgets=(Budget(code="spring", name_zh="春", name_en="Spring", total=1_000),),
    )
    first, last = await shop.load(shop.personal, 10_000), await shop.load(shop.anonymous, 10_000)
    assert [(one["wanted"], one["given"]) for topup in (first, last) for one in topup.detail["benefits"]] == [(600, 600), (600, 400)]
    assert await used(shop) == 1_000
    none = await shop.load(shop.company, 10_000)
    assert (none.bonus_minor, given(none)) == (0, {})
    assert [(one.rule, one.why, one.zh) for one in others_of(none)] == [("back", "budget", "back活动：活动预算已用完")]
    quoted = await quote_topup(
        shop.session, policy=shop.policy, account_id=shop.company, amount_minor=10_000, tender=Tender.CASH, now=shop.now
    )
    assert quoted.others[0].why == "budget"
    await operations.void_topup(
        shop.session, policy=shop.policy, topup_id=last.topup_id, reason="x", actor=shop.cashier, now=shop.now + LATER
    )
    assert await used(shop) == 600


async def test_a_cap_of_a_customer_s_month_goes_over_his_accounts_and_back_with_the_load(shop):
    await live(shop, rule("tenth", Bonus(basis_points=1_000), caps=(Cap(per=Per.MONTH, of=Of.CUSTOMER, amount=1_500),)))
    first = await shop.load(shop.personal, 10_000)
    other = await shop.account("personal", shop.person_id)
    second = await shop.load(other, 10_000)
    assert (first.bonus_minor, second.bonus_minor) == (1_000, 500)
    await operations.refund_topup(
        shop.session, policy=shop.policy, topup_id=first.topup_id, reason="x", actor=shop.cashier, now=shop.now + LATER, amount_minor=5_000
    )
    counter = (await shop.session.scalars(select(BenefitCounter).execution_options(populate_existing=True))).one()
    assert (counter.amount, counter.count) == (1_000, 2)
    assert (await shop.load(other, 10_000, now=shop.now + 2 * LATER)).bonus_minor == 500


async def test_bonus_counts_towards_the_cap_where_the_profile_says_so_and_the_refusal_says_what_fits(shop):
    await live(shop, rule("tenth", Bonus(basis_points=1_000)))
    counting = msgspec.structs.replace(shop.policy, cap=msgspec.structs.replace(shop.policy.cap, counts_bonus=True))
    with pytest.raises(OverCap) as refused:
        await shop.load(shop.anonymous, 100_000, policy=counting)
    room = refused.value.facts["room_minor"]
    assert room == 90_000
    fits = await shop.load(shop.anonymous, room, policy=counting)
    assert fits.bonus_minor == 9_000
    apart = msgspec.structs.replace(shop.policy, cap=msgspec.structs.replace(shop.policy.cap, counts_bonus=False))
    await shop.load(shop.anonymous, 10_000, policy=apart, now=shop.now + LATER)


async def test_a_quote_says_what_is_missing_for_the_next_bands_up_to_the_cap(shop):
    await live(
        shop,
        rule("bands", banded(Several.HIGHEST, *BANDS)),
        rule("cup", Give(what="gift", item="cup"), when={"least_minor": 60_000}),
        rule("points", Points(points=1, per_minor=100)),
        rule("far", Fixed(amount_minor=100), when={"least_minor": 600_000}),
    )

    async def quote(account_id, amount):
        return await quote_topup(
            shop.session, policy=shop.policy, account_id=account_id, amount_minor=amount, tender=Tender.CASH, now=shop.now
        )

    low = await quote(shop.personal, 10_000)
    assert [(one.rule, one.why) for one in low.others] == [("bands", "below_bands"), ("cup", "least_amount"), ("far", "least_amount")]
    assert [one.en for one in low.next] == [
        "¥100.00 more: ¥10.00 bonus (bands)",
        "¥400.00 more: ¥30.00 bonus (bands)",
        "¥500.00 more: 1 × gift (cup)",
    ]
    assert low.next[0].zh == "再充 ¥100.00：赠送 ¥10.00（bands活动）"
    assert [(one.rule, one.amount) for one in low.benefits] == [("points", 100)]
    high = await quote(shop.personal, 100_000)
    assert (high.bonus_minor, high.next) == (8_000, [])
    assert [step.amount_minor for step in (await quote(shop.anonymous, 70_000)).next] == [100_000]
    assert await shop.session.scalar(text("SELECT count(*) FROM topups")) == 0


async def test_a_band_is_reached_by_what_is_paid_so_a_discount_puts_it_further(shop):
    await live(shop, rule("bands", banded(Several.HIGHEST, *BANDS)), rule("five", Percent(basis_points=500)))
    quoted = await quote_topup(
        shop.session, policy=shop.policy, account_id=shop.personal, amount_minor=50_000, tender=Tender.CASH, now=shop.now
    )
    assert (quoted.pays_minor, quoted.bonus_minor) == (47_500, 1_000)
    step = quoted.next[0]
    assert (step.amount_minor, step.more_minor, step.gains[0].amount) == (52_632, 2_632, 3_000)
    assert (await shop.load(shop.personal, 52_631)).bonus_minor == 1_000
    assert (await shop.load(shop.anonymous, 52_632)).bonus_minor == 3_000


async def test_repeated_bands_name_the_next_multiple(shop):
    await live(shop, rule("each", banded(Several.REPEAT, (10_000, 500))))
    quoted = await quote_topup(
        shop.session, policy=shop.policy, account_id=shop.personal, amount_minor=25_000, tender=Tender.CASH, now=shop.now
    )
    assert (quoted.bonus_minor, [(step.more_minor, step.gains[0].amount, step.gains[0].now) for step in quoted.next]) == (
        1_000,
        [(5_000, 1_500, 1_000)],
    )


async def test_a_flyer_shown_with_the_top_up_is_kept_and_a_bank_card_is_no_card_s_own_money(shop):
    await live(
        shop,
        rule("flyer", Bonus(amount_minor=300), when={"flyers": ("F-7",)}),
        rule("plastic", Bonus(amount_minor=100), when={"tenders": ("bank_card",)}),
    )
    shown = await shop.load(shop.personal, 10_000, Tender.CARD, flyer=" F-7 ")
    assert (shown.flyer, given(shown)) == ("F-7", {"flyer": 300, "plastic": 100})
    assert given(await shop.load(shop.personal, 10_000)) == {}


async def test_a_hold_out_group_gets_none_of_the_campaign(shop):
    await live(
        shop,
        rule("back", Bonus(amount_minor=300), campaign="thanks"),
        campaigns=(Campaign(code="thanks", name_zh="感恩月", name_en="Thanks", hold_out_basis_points=9_000),),
    )
    loads = [await shop.load(await shop.account("personal", shop.person_id), 1_000) for _ in range(3)]
    assert len({topup.bonus_minor for topup in loads}) == 1, "one customer is in or out, whatever his accounts"


async def test_money_that_the_office_takes_is_at_no_station(shop):
    await live(
        shop,
        rule("everywhere", Bonus(amount_minor=300, expires_days=1), funders=SHARED),
        rule("here", Bonus(amount_minor=100), when={"stations": ("S1",)}),
    )
    topup = await shop.load(shop.personal, 10_000, station_id=None)
    assert given(topup) == {"everywhere": 300}
    assert await house(shop, HouseCode.BONUS, "office") == -100


async def test_several_cards_each_get_their_own_and_the_payment_is_what_is_paid(shop):
    await live(
        shop,
        rule("five", Percent(basis_points=500), caps=(Cap(per=Per.DAY, of=Of.CUSTOMER, amount=700),), budget="spring"),
        budgets=(Budget(code="spring", name_zh="春", name_en="Spring", total=900),),
    )
    other = await shop.account("personal", shop.person_id)
    bought = await operations.purchase(
        shop.session,
        policy=shop.policy,
        items=[Item(account_id=account, amount_minor=10_000) for account in (shop.personal, other, shop.anonymous)],
        buyer=operations.Buyer(party="person", customer_id=shop.person_id),
        tender=Tender.WECHAT,
        reference="W-9",
        station_id=shop.station_id,
        pays_minor=29_300,
        actor=shop.cashier,
        event_at=shop.now,
        now=shop.now,
    )
    assert [topup.discount_minor for topup in bought.items] == [500, 200, 0], "a bearer is nobody's customer"
    assert await used(shop) == 700
    assert await shop.session.scalar(text("SELECT amount_minor FROM payment_references WHERE reference = 'W-9'")) == 29_300
    assert await house(shop, HouseCode.TENDER, f"{shop.station_id}:wechat") == -29_300


async def refund(shop, topup, **facts):
    facts = {"policy": shop.policy, "reason": "x", "actor": shop.cashier, "now": shop.now + LATER} | facts
    return await operations.refund_topup(shop.session, topup_id=topup.topup_id, **facts)


@pytest.mark.parametrize(
    ("spent", "paid", "out", "short", "told"),
    [
        (0, 95_000, 10_000, 0, "was still there"),
        (4_000, 91_000, 6_000, 4_000, "¥40.00 had been spent and is kept back"),
        (10_000, 85_000, 0, 10_000, "¥100.00 had been spent"),
    ],
)
async def test_the_bonus_goes_back_first_and_what_is_spent_of_it_is_kept_back_in_words(shop, generic, spent, paid, out, short, told):
    await live(
        shop,
        rule("off", Fixed(amount_minor=5_000)),
        rule("long", Bonus(amount_minor=7_000, expires_days=90)),
        rule("short", Bonus(amount_minor=3_000, expires_days=10), budget="spring"),
        budgets=(Budget(code="spring", name_zh="春", name_en="Spring", total=100_000),),
    )
    topup = await shop.load(shop.personal, 100_000, policy=generic)
    if spent:
        await shop.spend(shop.personal, spent, now=shop.now + timedelta(seconds=1))
    back = await refund(shop, topup, policy=generic)
    assert (back.paid_minor, back.bonus_returned_minor, back.shortfall_minor, back.discount_minor) == (paid, out, short, 5_000)
    assert told in back.told[1]
    assert back.told[0]
    assert topup.status is TopupStatus.REFUNDED
    assert set((await shop.balances(shop.personal)).values()) == {0}
    assert await house(shop, HouseCode.BONUS, "head-office") == 0
    assert await house(shop, HouseCode.DISCOUNT, "head-office") == 0
    assert await used(shop) == 0
    (row,) = await returns_of(shop.session, topup_id=topup.topup_id)
    assert sorted(row.benefits) == [["long", "bonus", 7_000], ["off", "discount", 5_000], ["short", "bonus", 3_000]]


async def test_a_wallet_that_takes_its_payment_back_leaves_the_rest_owed(shop):
    await live(shop, rule("off", Fixed(amount_minor=1_000)), rule("back", Bonus(amount_minor=500)))
    topup = await shop.load(shop.personal, 10_000, Tender.ALIPAY, reference="A-1")
    await shop.spend(shop.personal, 4_500, now=shop.now + timedelta(seconds=1))
    await operations.reverse_wallet_payment(
        shop.session,
        tender=Tender.ALIPAY,
        reference="A-1",
        reversal_reference="R-1",
        reason="x",
        actor=shop.cashier,
        now=shop.now + LATER,
    )
    assert await shop.balances(shop.personal) == {"principal": 0, "bonus": 0, "receivable": -4_500}
    assert await house(shop, HouseCode.TENDER, f"{shop.station_id}:alipay") == 0
    assert await house(shop, HouseCode.DISCOUNT, "head-office") == 0
    assert (topup.bonus_returned_minor, topup.discount_returned_minor) == (500, 1_000)


async def test_points_that_come_with_a_top_up_do_not_stand_in_the_way_of_its_void(shop):
    await live(shop, rule("off", Fixed(amount_minor=1_000)))
    topup = await shop.load(shop.personal, 10_000)
    undone = await operations.void_topup(
        shop.session, policy=shop.policy, topup_id=topup.topup_id, reason="x", actor=shop.cashier, now=shop.now + LATER
    )
    rows = [row for row in await transfers_of(shop.session, account_id=shop.personal) if row.mirrors is not None]
    assert sorted((row.kind, row.amount_minor) for row in rows) == [(TransferKind.VOID, 9_000), (TransferKind.BONUS_RETURN, 1_000)]
    assert undone.discount_returned_minor == 1_000
    assert [
        purse.balance_minor for purse in await purses_of(shop.session, account_id=shop.personal) if purse.kind == PurseKind.PRINCIPAL
    ] == [0]
