"""What holds when many do the same at once, each in a committed transaction of its own."""

import asyncio

from loyalty.db import transaction
from loyalty.ledger.queries import purses_of
from loyalty.topups import operations
from loyalty.topups.model import AdjustmentKind, FreezeScope, Tender
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
