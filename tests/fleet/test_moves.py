"""Money between the pool and the cards: never lost, never doubled, never below what is held."""

from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from loyalty.cards.operations import replace_card
from loyalty.cards.queries import CardNotFound
from loyalty.cards.rules import Replacing
from loyalty.errors import Refusal
from loyalty.fleet.model_allocations import PoolMove
from loyalty.fleet.operations.moves import (
    CardHasLess,
    CardTakesNoMoney,
    MoveDiffers,
    PoolTooSmall,
    allocate,
    gather,
    gather_chains,
)
from loyalty.fleet.queries.companies import CompanyNotFound
from loyalty.ledger.model import AccountStatus, Transfer, TransferKind
from loyalty.ledger.operations import AccountNotOpen, move_account, place_holds, release_holds
from loyalty.ledger.queries import purses_of
from loyalty.ledger.rules import Take
from loyalty.policy import load_policy
from loyalty.topups.rules import AmountNotPositive, OverCap
from tests.factories.fleet import make_fleet
from tests.factories.world import SYSTEM

POLICY = load_policy("cn-single-purpose")
MINUTE = timedelta(minutes=1)


class Desk:
    """One company's money, as its manager moves it."""

    def __init__(self, session, fleet, now) -> None:
        self.session, self.fleet, self.now = session, fleet, now

    async def allocate(self, card, amount_minor, operation_id=None, **facts):
        return await allocate(
            self.session,
            **{
                "policy": POLICY,
                "company_id": self.fleet.company_id,
                "card_id": card.card_id,
                "amount_minor": amount_minor,
                "operation_id": operation_id or uuid4(),
                "actor": SYSTEM,
                "now": self.now,
            }
            | facts,
        )

    async def gather(self, card, amount_minor=None, operation_id=None, **facts):
        return await gather(
            self.session,
            **{
                "company_id": self.fleet.company_id,
                "card_id": card.card_id,
                "amount_minor": amount_minor,
                "operation_id": operation_id or uuid4(),
                "actor": SYSTEM,
                "now": self.now,
            }
            | facts,
        )

    async def balances(self):
        """Return the pool, then each card's own money."""
        purses = {purse.card_id: purse for purse in await purses_of(self.session, account_id=self.fleet.account_id)}
        return [purses[card].balance_minor if card in purses else 0 for card in (None, *self.fleet.chains)]

    async def purse(self, card):
        purses = await purses_of(self.session, account_id=self.fleet.account_id)
        return next(purse for purse in purses if purse.card_id == (card and card.card_id))


@pytest.fixture
async def desk(session, fleet, now):
    return Desk(session, fleet, now)


async def test_money_goes_to_a_card_and_back_and_each_step_is_one_transfer(desk, fleet):
    card = fleet.cards[0]
    assert (await desk.allocate(card, 300_00)).amount_minor == 300_00
    assert await desk.balances() == [1_000_000 - 300_00, 300_00, 0, 0]
    assert (await desk.gather(card, 100_00)).amount_minor == 100_00
    assert (await desk.gather(card)).amount_minor == 200_00
    assert await desk.balances() == [1_000_000, 0, 0, 0]
    kinds = await desk.session.scalars(
        select(Transfer.kind).where(Transfer.account_id == fleet.account_id, Transfer.card_id == card.card_id)
    )
    assert list(kinds) == [TransferKind.ALLOCATION] * 3


async def test_one_operation_has_one_effect_however_often_it_is_sent(desk, fleet):
    operation = uuid4()
    first = await desk.allocate(fleet.cards[0], 100_00, operation)
    assert not first.replayed
    for _ in range(3):
        again = await desk.allocate(fleet.cards[0], 100_00, operation)
        assert (again.amount_minor, again.replayed) == (100_00, True)
    assert await desk.balances() == [990_000, 10_000, 0, 0]
    for other in (
        desk.allocate(fleet.cards[0], 100_01, operation),
        desk.allocate(fleet.cards[1], 100_00, operation),
        desk.gather(fleet.cards[0], 100_00, operation),
    ):
        with pytest.raises(MoveDiffers):
            await other
    whole = uuid4()
    assert (await desk.gather(fleet.cards[0], None, whole)).amount_minor == 100_00
    assert (await desk.gather(fleet.cards[0], None, whole)).amount_minor == 100_00
    assert await desk.balances() == [1_000_000, 0, 0, 0]


@pytest.mark.parametrize("amount", [0, -1])
async def test_nothing_and_less_than_nothing_is_not_moved(desk, fleet, amount):
    for refused in (desk.allocate(fleet.cards[0], amount), desk.gather(fleet.cards[0], amount)):
        with pytest.raises(AmountNotPositive):
            await refused


async def test_a_card_holds_at_most_its_cap(desk, fleet):
    await desk.allocate(fleet.cards[0], 5_000_00)
    with pytest.raises(OverCap) as refused:
        await desk.allocate(fleet.cards[0], 1)
    assert refused.value.facts["room_minor"] == 0


async def test_the_pool_gives_what_it_has_and_says_what_is_missing(desk, fleet):
    await desk.allocate(fleet.cards[0], 5_000_00)
    pool = await desk.purse(None)
    await place_holds(desk.session, account_id=fleet.account_id, takes=[Take(pool.purse_id, 4_000_00)])
    with pytest.raises(PoolTooSmall) as refused:
        await desk.allocate(fleet.cards[1], 1_000_01)
    assert refused.value.facts["available_minor"] == 1_000_00
    assert "¥0.01" in refused.value.sentence("zh")
    await desk.allocate(fleet.cards[1], 1_000_00)


async def test_held_money_stays_on_the_card(desk, fleet):
    card = fleet.cards[0]
    await desk.allocate(card, 500_00)
    purse = await desk.purse(card)
    await place_holds(desk.session, account_id=fleet.account_id, takes=[Take(purse.purse_id, 200_00)])
    with pytest.raises(CardHasLess) as refused:
        await desk.gather(card, 300_01)
    assert refused.value.facts["available_minor"] == 300_00
    assert (await desk.gather(card)).amount_minor == 300_00
    with pytest.raises(CardHasLess):
        await desk.gather(card)
    await release_holds(desk.session, account_id=fleet.account_id, takes=[Take(purse.purse_id, 200_00)])
    assert (await desk.gather(card)).amount_minor == 200_00


async def test_another_company_s_card_is_unknown_and_so_is_another_company(desk, fleet, world):
    other = await make_fleet(desk.session, world, name="另一家公司", cards=1)
    for refused in (desk.allocate(other.cards[0], 1_00), desk.gather(other.cards[0])):
        with pytest.raises(CardNotFound):
            await refused
    with pytest.raises(CompanyNotFound):
        await desk.allocate(fleet.cards[0], 1_00, company_id=uuid4())


@pytest.mark.parametrize("status", [4, 5, 6])
async def test_a_card_that_is_not_usable_is_given_nothing_but_can_be_emptied(desk, fleet, status):
    card = fleet.cards[0]
    await desk.allocate(card, 50_00)
    await desk.session.execute(text("UPDATE cards SET status = :status WHERE card_id = :card"), {"status": status, "card": card.card_id})
    with pytest.raises(CardTakesNoMoney):
        await desk.allocate(card, 50_00)
    assert (await desk.gather(card)).amount_minor == 50_00


async def test_a_frozen_account_moves_nothing(desk, fleet, now):
    await move_account(desk.session, account_id=fleet.account_id, to=AccountStatus.FROZEN, now=now)
    for refused in (desk.allocate(fleet.cards[0], 1_00), desk.gather(fleet.cards[0])):
        with pytest.raises(AccountNotOpen):
            await refused


async def test_a_closed_vehicle_s_money_returns_to_the_pool_but_for_what_is_held(desk, fleet, now):
    for card, amount in zip(fleet.cards, (100_00, 200_00, 300_00), strict=True):
        await desk.allocate(card, amount)
    held = await desk.purse(fleet.cards[1])
    await place_holds(desk.session, account_id=fleet.account_id, takes=[Take(held.purse_id, 50_00)])

    async def close():
        return await gather_chains(
            desk.session, company_id=fleet.company_id, chain_ids=fleet.chains[:2], reason="closed", actor=SYSTEM, now=now
        )

    assert await close() == (250_00, 50_00, 2)
    assert await desk.balances() == [1_000_000 - 350_00, 0, 50_00, 300_00]
    await release_holds(desk.session, account_id=fleet.account_id, takes=[Take(held.purse_id, 50_00)])
    assert await close() == (50_00, 0, 1)
    assert await close() == (0, 0, 0)
    assert await desk.session.scalar(select(func.count()).select_from(PoolMove).where(PoolMove.direction == "gathered")) == 3


async def test_a_card_s_own_money_goes_along_when_it_is_replaced(desk, fleet, world, now):
    card = fleet.cards[0]
    await desk.allocate(card, 120_00)
    blank = uuid4()
    await desk.session.execute(
        text(
            "INSERT INTO cards (card_id, account_id, number_index, number_sealed, number_bin, number_tail, product_id, status, version, "
            "pin_generation, pin_tries, chain_id, bearer, is_main, created_at) "
            "SELECT :id, CAST(:none AS uuid), :index, number_sealed, number_bin, '0001', product_id, 0, 1, 0, 0, :id, bearer, false, "
            "created_at FROM cards WHERE card_id = :old"
        ),
        {"id": blank, "none": "00000000-0000-0000-0000-000000000000", "index": b"blank", "old": card.card_id},
    )
    await replace_card(
        desk.session, card_id=card.card_id, new_card_id=blank, reason=Replacing.DAMAGED, actor=SYSTEM, now=now + MINUTE, pin="8642"
    )
    purses = {purse.card_id: purse.balance_minor for purse in await purses_of(desk.session, account_id=fleet.account_id)}
    assert purses[blank] == 120_00
    assert card.card_id not in purses


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["allocate", "gather", "gather all", "hold", "release"]),
        st.integers(0, 2),
        st.integers(1, 600_000),
        st.integers(0, 5),  # few operation ids, so that some come again
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_whatever_is_moved_the_sum_stays_and_nothing_goes_below_what_is_held(session, world, now, steps):
    async with session.begin_nested() as nested:
        fleet = await make_fleet(session, world, name="性质测试", cards=3)
        desk = Desk(session, fleet, now)
        done, keys = {}, [uuid4() for _ in range(6)]
        for verb, which, amount, key in steps:
            card, operation = fleet.cards[which], keys[key]
            before = await desk.balances()
            try:
                async with session.begin_nested():
                    if verb == "allocate":
                        moved = await desk.allocate(card, amount, operation)
                    elif verb in {"gather", "gather all"}:
                        moved = await desk.gather(card, None if verb == "gather all" else amount, operation)
                    else:
                        await _hold_or_release(desk, card, verb, amount)
                        continue
            except Refusal:
                assert await desk.balances() == before
                continue
            assert moved.replayed == (operation in done)
            assert done.setdefault(operation, moved.amount_minor) == moved.amount_minor
            if moved.replayed:
                assert await desk.balances() == before
        purses = await purses_of(session, account_id=fleet.account_id)
        assert sum(purse.balance_minor for purse in purses) == 1_000_000
        assert all(0 <= purse.held_minor <= purse.balance_minor for purse in purses)
        assert all(purse.balance_minor <= 5_000_00 for purse in purses if purse.card_id)
        await nested.rollback()


async def _hold_or_release(desk, card, verb, amount):
    purses = {purse.card_id: purse for purse in await purses_of(desk.session, account_id=desk.fleet.account_id)}
    purse = purses.get(card.card_id)
    if purse is None:
        return
    if verb == "hold" and 0 < amount <= purse.available_minor:
        await place_holds(desk.session, account_id=desk.fleet.account_id, takes=[Take(purse.purse_id, amount)])
    if verb == "release" and purse.held_minor:
        await release_holds(desk.session, account_id=desk.fleet.account_id, takes=[Take(purse.purse_id, purse.held_minor)])
