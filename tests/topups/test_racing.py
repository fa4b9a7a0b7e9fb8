"""What holds when many do the same at once, each in a committed transaction of its own."""

import asyncio
from datetime import timedelta

from loyalty.db import transaction
from loyalty.ledger.queries import purses_of
from loyalty.pricing.document import Bonus, Budget, Channel, Document, Fixed, Funder, Nth, Of, Rule, When
from loyalty.pricing.operations import publish
from loyalty.topups import operations
from loyalty.topups.model import AdjustmentKind, FreezeScope, Party, Tender
from loyalty.topups.operations import CannotMove, OverCap, PaymentAlreadyUsed

from .conftest import Shop


async def furnished(sessions, now, policy):
    async with transaction(sessions) as session:
        return await Shop(session, now, policy).furnish()


async def outcomes(work):
    """Run all at once and count the results by type; any other error is raised."""
    counted: dict[str, int] = {}
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, OverCap | PaymentAlreadyUsed | CannotMove):
            raise outcome
        name = type(outcome).__name__ if isinstance(outcome, BaseException) else "done"
        counted[name] = counted.get(name, 0) + 1
    return counted


async def balance(sessions, account_id):
    async with transaction(sessions) as session:
        return sum(purse.balance_minor for purse in await purses_of(session, account_id=account_id))


async def test_two_hundred_parallel_loads_keep_the_cap(sessions, now, policy):
    shop = await furnished(sessions, now, policy)

    async def load_once():
        async with transaction(sessions) as session:
            await shop_in(shop, session).load(shop.anonymous, 1_500)

    counted = await outcomes([load_once() for _ in range(200)])
    assert counted == {"done": 66, "OverCap": 134}
    assert await balance(sessions, shop.anonymous) == 99_000


async def test_one_wallet_payment_is_booked_once_however_often_it_is_sent(sessions, now, policy):
    shop = await furnished(sessions, now, policy)

    async def load_once(account_id):
        async with transaction(sessions) as session:
            await shop_in(shop, session).load(account_id, 1_000, Tender.WECHAT, reference="W-1")

    counted = await outcomes([load_once(account_id) for account_id in [shop.personal, shop.anonymous, shop.company] * 7])
    assert counted == {"done": 1, "PaymentAlreadyUsed": 20}


async def test_an_adjustment_is_approved_once(sessions, now, policy):
    shop = await furnished(sessions, now, policy)
    async with transaction(sessions) as session:
        proposed = await operations.propose_adjustment(
            session,
            account_id=shop.personal,
            kind=AdjustmentKind.CREDIT,
            amount_minor=700,
            reason_code="pump_fault",
            note_text="x",
            actor=shop.finance,
            now=now,
        )

    async def approve_once():
        async with transaction(sessions) as session:
            await operations.approve_adjustment(session, adjustment_id=proposed.adjustment_id, actor=shop.manager, now=now)

    assert await outcomes([approve_once() for _ in range(20)]) == {"done": 1, "CannotMove": 19}
    assert await balance(sessions, shop.personal) == 700


async def test_loads_freezes_and_thaws_of_one_account_wait_for_each_other_and_leave_nothing_held(sessions, now, policy):
    shop = await furnished(sessions, now, policy)
    order = {"policy": policy, "account_id": shop.personal, "authority": "法院", "officer": "x", "actor": shop.finance, "now": now}

    async def freeze_and_thaw(number):
        async with transaction(sessions) as session:
            made = await operations.freeze_account(session, document=str(number), scope=FreezeScope.AMOUNT, amount_minor=5_000, **order)
        async with transaction(sessions) as session:
            await operations.thaw_account(session, freeze_id=made.freeze_id, document="x", actor=shop.finance, now=now)

    async def load_once():
        async with transaction(sessions) as session:
            await shop_in(shop, session).load(shop.personal, 100)

    counted = await outcomes([work for number in range(20) for work in (freeze_and_thaw(number), load_once())])
    assert counted == {"done": 40}
    async with transaction(sessions) as session:
        (purse,) = await purses_of(session, account_id=shop.personal)
    assert (purse.balance_minor, purse.held_minor) == (2_000, 0)


def shop_in(shop, session):
    """Return the same shop as another transaction sees it."""
    other = Shop(session, shop.now, shop.policy)
    other.__dict__.update(shop.__dict__ | {"session": session})
    return other


async def test_the_first_top_up_is_one_however_many_load_at_once_and_a_budget_is_never_overspent(sessions, now, policy):
    shop = await furnished(sessions, now, policy)
    first = Rule(
        code="first",
        name_zh="首充",
        name_en="First",
        effect=Bonus(amount_minor=700),
        funders=(Funder(funder="head-office"),),
        when=When(channels=(Channel.TOPUP,), nth=Nth(count=1, of=Of.CUSTOMER)),
    )
    small = Rule(
        code="small",
        name_zh="小额",
        name_en="Small",
        effect=Fixed(amount_minor=300),
        funders=(Funder(funder="head-office"),),
        when=When(channels=(Channel.TOPUP,)),
        budget="little",
    )
    async with transaction(sessions) as session:
        here = shop_in(shop, session)
        accounts = [shop.personal, *[await here.account("personal", shop.person_id) for _ in range(3)]]
        budget = Budget(code="little", name_zh="小", name_en="Little", total=1_000)
        await publish(session, document=Document(rules=(first, small), budgets=(budget,)), note="tests", now=now - timedelta(days=1))

    async def load_once(account_id):
        async with transaction(sessions) as session:
            return await shop_in(shop, session).load(account_id, 10_000)

    async def buy_once(order):
        async with transaction(sessions) as session:
            made = await operations.purchase(
                session,
                policy=policy,
                items=[operations.Item(account_id=account_id, amount_minor=1_000) for account_id in order],
                buyer=operations.Buyer(party=Party.PERSON, customer_id=shop.person_id),
                tender=Tender.CASH,
                station_id=shop.station_id,
                actor=shop.cashier,
                event_at=now,
                now=now,
            )
            return made.items

    work = [load_once(account_id) for account_id in accounts * 2] + [buy_once(order) for order in (accounts, accounts[::-1])]
    topups = [topup for made in await asyncio.gather(*work) for topup in (made if isinstance(made, list) else [made])]
    assert sum(topup.bonus_minor for topup in topups) == 700
    assert sum(topup.discount_minor for topup in topups) == 1_000
    assert sorted(topup.discount_minor for topup in topups)[-4:] == [100, 300, 300, 300]
