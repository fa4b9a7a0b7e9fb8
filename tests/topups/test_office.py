"""Adjustments, freezes and fees: what the office may do, and with whom."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from loyalty.audit.model import Actor, ActorKind
from loyalty.cards.queries import get_card
from loyalty.errors import NotAllowed
from loyalty.ledger.model import AccountStatus, HouseCode
from loyalty.ledger.operations import InsufficientFunds
from loyalty.ledger.queries import get_account, house_sum, purses_of
from loyalty.ledger.rules import house_id
from loyalty.stations.queries import get_station
from loyalty.topups import operations, queries
from loyalty.topups.model import AdjustmentKind, AdjustmentStatus, FreezeScope, FreezeStatus, Tender
from loyalty.topups.operations import (
    CannotMove,
    DocumentAlreadyUsed,
    FreezeEndsBeforeItBegins,
    FreezeNeedsDocument,
    FreezeNotLiftedAtStation,
    ReasonNeeded,
    SecondPersonNeeded,
    WriteOffTooLarge,
)


async def propose(shop, kind, amount_minor, **facts):
    facts = {"reason_code": "pump_fault", "note_text": "nozzle 3 counted double", "actor": shop.finance, "now": shop.now} | facts
    account_id = facts.pop("account_id", shop.personal)
    return await operations.propose_adjustment(shop.session, account_id=account_id, kind=kind, amount_minor=amount_minor, **facts)


async def approve(shop, adjustment, actor, **facts):
    return await operations.approve_adjustment(
        shop.session, adjustment_id=adjustment.adjustment_id, actor=actor, **({"now": shop.now} | facts)
    )


async def test_an_adjustment_moves_nothing_until_another_person_approves(shop):
    proposed = await propose(shop, AdjustmentKind.CREDIT, 500)
    assert await shop.balances(shop.personal) == {"principal": 0}
    with pytest.raises(SecondPersonNeeded):
        await approve(shop, proposed, shop.finance)
    await approve(shop, proposed, shop.manager)
    assert await shop.balances(shop.personal) == {"principal": 500}
    assert await house_sum(shop.session, house_id=house_id(HouseCode.ADJUSTMENT, "CNY", "pump_fault")) == -500
    with pytest.raises(CannotMove):
        await approve(shop, proposed, shop.cashier)
    assert await shop.audited("topups.adjustment_approved") == 1


async def test_the_database_itself_refuses_one_person_in_both_roles(shop):
    proposed = await propose(shop, AdjustmentKind.CREDIT, 500)
    with pytest.raises(IntegrityError, match="two_people"):
        async with shop.session.begin_nested():
            proposed.status, proposed.decided_by, proposed.decided_at = AdjustmentStatus.APPROVED, proposed.made_by, shop.now
            await shop.session.flush()
    shop.session.expire_all()


async def test_a_debit_takes_no_more_than_there_is(shop):
    await shop.load(shop.personal, 400)
    with pytest.raises(InsufficientFunds):
        await approve(shop, await propose(shop, AdjustmentKind.DEBIT, 401), shop.manager)
    await approve(shop, await propose(shop, AdjustmentKind.DEBIT, 400), shop.manager)
    assert await shop.balances(shop.personal) == {"principal": 0}


async def test_bonus_is_adjusted_in_its_lots(shop):
    ends = shop.now + timedelta(days=1)
    await approve(shop, await propose(shop, AdjustmentKind.CREDIT, 300, bonus=True, bonus_expires_at=ends), shop.manager)
    await approve(shop, await propose(shop, AdjustmentKind.CREDIT, 200, bonus=True), shop.manager)
    await approve(shop, await propose(shop, AdjustmentKind.DEBIT, 350, bonus=True), shop.manager)
    assert await shop.balances(shop.personal) == {"principal": 0, "bonus": 150}
    with pytest.raises(InsufficientFunds):
        await approve(shop, await propose(shop, AdjustmentKind.DEBIT, 151, bonus=True), shop.manager, now=shop.now)


async def test_a_receivable_is_written_off_by_two_people_and_no_further_than_zero(shop):
    await shop.owe(shop.personal, 900, now=shop.now)
    with pytest.raises(WriteOffTooLarge):
        await approve(shop, await propose(shop, AdjustmentKind.WRITE_OFF, 901), shop.manager)
    await approve(shop, await propose(shop, AdjustmentKind.WRITE_OFF, 900), shop.manager)
    assert await shop.balances(shop.personal) == {"principal": 0, "receivable": 0}
    assert await house_sum(shop.session, house_id=house_id(HouseCode.WRITE_OFF, "CNY", "pump_fault")) == -900


async def test_a_proposal_is_rejected_by_another_and_withdrawn_by_its_maker(shop):
    waiting = await propose(shop, AdjustmentKind.CREDIT, 1)
    listed = await queries.list_adjustments(shop.session)
    assert [row.adjustment_id for row in listed.rows] == [waiting.adjustment_id]
    with pytest.raises(SecondPersonNeeded):
        await operations.reject_adjustment(shop.session, adjustment_id=waiting.adjustment_id, reason="no", actor=shop.finance, now=shop.now)
    with pytest.raises(NotAllowed):
        await operations.withdraw_adjustment(shop.session, adjustment_id=waiting.adjustment_id, actor=shop.manager, now=shop.now)
    await operations.withdraw_adjustment(shop.session, adjustment_id=waiting.adjustment_id, actor=shop.finance, now=shop.now)
    other = await propose(shop, AdjustmentKind.CREDIT, 1)
    await operations.reject_adjustment(
        shop.session, adjustment_id=other.adjustment_id, reason="not shown", actor=shop.manager, now=shop.now
    )
    assert not (await queries.list_adjustments(shop.session)).rows


async def test_an_adjustment_says_why_and_a_person_makes_it(shop):
    with pytest.raises(ReasonNeeded):
        await propose(shop, AdjustmentKind.CREDIT, 1, note_text=" ")
    with pytest.raises(NotAllowed):
        await propose(shop, AdjustmentKind.CREDIT, 1, actor=Actor(ActorKind.SYSTEM, "job"))


async def freeze(shop, **facts):
    facts = {
        "policy": shop.policy,
        "account_id": shop.personal,
        "authority": "浦东公安分局",
        "document": "浦公冻字 12",
        "officer": "张警官",
        "actor": shop.finance,
        "now": shop.now,
    } | facts
    return await operations.freeze_account(shop.session, **facts)


async def thaw(shop, order, **facts):
    facts = {"document": "浦公解字 3", "actor": shop.finance, "now": shop.now + timedelta(days=1)} | facts
    return await operations.thaw_account(shop.session, freeze_id=order.freeze_id, **facts)


async def status(shop):
    return (await get_account(shop.session, account_id=shop.personal)).status


async def test_a_freeze_stops_the_account_and_tells_its_cards(shop):
    card = await shop.card(shop.personal)
    before = (await get_card(shop.session, card_id=card.card_id)).version
    order = await freeze(shop)
    assert await status(shop) is AccountStatus.FROZEN
    assert (await get_card(shop.session, card_id=card.card_id)).version == before + 1
    assert order.expires_at == shop.now.replace(year=2027, month=3)
    with pytest.raises(FreezeNotLiftedAtStation):
        await thaw(shop, order, station_id=shop.station_id)
    with pytest.raises(FreezeNeedsDocument):
        await thaw(shop, order, document=" ")
    await thaw(shop, order)
    assert await status(shop) is AccountStatus.OPEN
    assert (await get_card(shop.session, card_id=card.card_id)).version == before + 2
    with pytest.raises(CannotMove):
        await thaw(shop, order)


async def test_an_account_stays_frozen_until_the_last_order_ends(shop):
    first = await freeze(shop)
    second = await freeze(shop, document="浦公冻字 13", expires_at=shop.now + timedelta(days=10))
    await thaw(shop, first)
    assert await status(shop) is AccountStatus.FROZEN
    clock = Actor(ActorKind.SYSTEM, "jobs.freezes")
    assert await operations.expire_freezes(shop.session, actor=clock, now=shop.now + timedelta(days=9)) == []
    due = shop.now + timedelta(days=10)
    assert await operations.expire_freezes(shop.session, actor=clock, now=due) == [second.freeze_id]
    assert await operations.expire_freezes(shop.session, actor=clock, now=due) == []
    assert (await status(shop), second.status) == (AccountStatus.OPEN, FreezeStatus.EXPIRED)


async def test_an_amount_is_held_and_filled_from_later_loads(shop):
    await shop.load(shop.personal, 3_000)
    order = await freeze(shop, scope=FreezeScope.AMOUNT, amount_minor=5_000)
    assert await status(shop) is AccountStatus.OPEN
    await shop.load(shop.personal, 4_000, now=shop.now + timedelta(minutes=1))
    balance = await queries.balance_of(shop.session, account_id=shop.personal, now=shop.now)
    assert (balance.principal_minor, balance.held_minor, balance.available_minor) == (7_000, 5_000, 2_000)
    await thaw(shop, order)
    assert [purse.held_minor for purse in await purses_of(shop.session, account_id=shop.personal)] == [0]


async def test_an_order_is_complete_runs_ahead_and_is_used_once(shop):
    with pytest.raises(FreezeNeedsDocument):
        await freeze(shop, officer="")
    with pytest.raises(FreezeEndsBeforeItBegins):
        await freeze(shop, expires_at=shop.now)
    await freeze(shop)
    with pytest.raises(DocumentAlreadyUsed):
        await freeze(shop)
    listed = await queries.list_freezes(shop.session)
    assert len(listed.rows) == 1


async def test_a_fee_is_the_principal_s_never_the_bonus_s_and_may_be_paid_at_the_till(shop):
    await shop.load(shop.personal, 1_000, bonus=operations.Bonus(5_000, None, "campaign"))
    facts = {"code": "replacement", "actor": shop.cashier, "event_at": shop.now, "now": shop.now, "station_id": shop.station_id}
    with pytest.raises(InsufficientFunds):
        await operations.charge_fee(shop.session, account_id=shop.personal, amount_minor=1_001, **facts)
    await operations.charge_fee(shop.session, account_id=shop.personal, amount_minor=1_000, **facts)
    await operations.charge_fee(shop.session, account_id=shop.personal, amount_minor=1_000, tender=Tender.CASH, **facts)
    assert await shop.balances(shop.personal) == {"principal": 0, "bonus": 5_000}
    entity = (await get_station(shop.session, station_id=shop.station_id)).entity_id
    assert await house_sum(shop.session, house_id=house_id(HouseCode.FEE, "CNY", str(entity))) == 2_000
