"""From the authorisation to the settled sale, on the real batch function."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest
from sqlalchemy import text

from loyalty.authorizations.rules import Presented
from loyalty.db import driver_dsn, transaction
from loyalty.errors import OutcomeUnknown
from loyalty.ledger.queries import purses_of
from tests.factories.world import give_card


def said(answer: bytes) -> dict:
    return msgspec.json.decode(answer)


async def purses(bench, card):
    async with transaction(bench.sessions) as session:
        return {purse.kind: (purse.balance_minor, purse.held_minor) for purse in await purses_of(session, account_id=card.account_id)}


@pytest.fixture
async def card(bench):
    async with transaction(bench.sessions) as session:
        return await give_card(session, bench.world, balance_minor=100_000)


@pytest.fixture
async def owner(bench) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(driver_dsn(bench.url))
    yield connection
    await connection.close()


async def test_a_preset_fill_holds_captures_and_releases(bench, card):
    approved = said(await bench.authorise(card, amount_minor=20_000))
    assert (approved["outcome"], approved["approved_minor"], approved["held_minor"]) == ("approved", 20_000, 20_000)
    assert approved["available_after_minor"] == 80_000
    assert await purses(bench, card) == {1: (100_000, 20_000)}
    booked = said(await bench.complete(approved["authorization"], litres_milli=22_000, amount_minor=17_358))
    assert (booked["outcome"], booked["card_minor"], booked["released_minor"], booked["balance_after_minor"]) == (
        "booked",
        17_358,
        2_642,
        82_642,
    )
    assert await purses(bench, card) == {1: (82_642, 0)}


async def test_pay_after_filling_takes_the_money_at_once(bench, card):
    sold = said(await bench.sell(card, litres_milli=22_000, amount_minor=17_358))
    assert (sold["outcome"], sold["card_minor"], sold["balance_after_minor"]) == ("approved", 17_358, 82_642)
    assert await purses(bench, card) == {1: (82_642, 0)}


async def test_a_sale_mixes_tenders_and_only_the_cards_share_touches_the_purse(bench, card):
    from loyalty.authorizations.wire import Tender

    sold = said(
        await bench.sell(
            card,
            litres_milli=22_000,
            price_e4=83_700,
            amount_minor=18_414,
            product="95",
            tenders=[Tender(tender="wechat", amount_minor=5_974)],
        )
    )
    assert (sold["card_minor"], sold["tenders_minor"]) == (12_440, 5_974)
    assert await purses(bench, card) == {1: (87_560, 0)}


async def test_more_than_was_approved_is_booked_and_the_rest_is_owed(bench, card):
    approved = said(await bench.authorise(card, amount_minor=90_000))
    booked = said(await bench.complete(approved["authorization"], litres_milli=140_000, amount_minor=110_460))
    assert (booked["card_minor"], booked["receivable_minor"]) == (110_460, 10_460)
    assert set(booked["flags"]) == {"over_capture", "receivable"}
    assert await purses(bench, card) == {1: (0, 0), 4: (-10_460, 0)}


async def test_parts_complete_one_authorisation(bench, card):
    approved = said(await bench.authorise(card, amount_minor=30_000))
    await bench.complete(approved["authorization"], litres_milli=10_000, amount_minor=7_890, final=False)
    assert await purses(bench, card) == {1: (92_110, 22_110)}
    await bench.complete(approved["authorization"], litres_milli=10_000, amount_minor=7_890, final=True)
    assert await purses(bench, card) == {1: (84_220, 0)}


async def test_an_empty_completion_releases_everything(bench, card):
    approved = said(await bench.authorise(card, amount_minor=30_000))
    released = said(await bench.complete(approved["authorization"], litres_milli=0, amount_minor=0))
    assert (released["outcome"], released["released_minor"]) == ("released", 30_000)
    assert await purses(bench, card) == {1: (100_000, 0)}


async def test_a_completion_after_the_end_is_booked_and_flagged(bench, card):
    approved = said(await bench.authorise(card, amount_minor=30_000))
    await bench.complete(approved["authorization"], litres_milli=0, amount_minor=0)
    booked = said(await bench.complete(approved["authorization"], litres_milli=10_000, amount_minor=7_890))
    assert "after_end" in booked["flags"]
    assert await purses(bench, card) == {1: (92_110, 0)}


async def test_fifty_retries_of_one_key_have_one_effect_and_the_same_bytes(bench, card):
    key = uuid.uuid4()
    answers = await asyncio.gather(*(bench.sell(card, key=key) for _ in range(25)))
    answers += [await bench.sell(card, key=key) for _ in range(25)]
    assert len(set(answers)) == 1
    assert await purses(bench, card) == {1: (92_110, 0)}


async def test_two_hundred_racing_sales_never_overdraw(bench):
    async with transaction(bench.sessions) as session:
        card = await give_card(session, bench.world, balance_minor=100_000)
    answers = [said(answer) for answer in await asyncio.gather(*(bench.sell(card) for _ in range(200)))]
    approved = [answer for answer in answers if answer["outcome"] == "approved"]
    assert len(approved) == 100_000 // 7_890
    assert {answer["reason"] for answer in answers if answer["outcome"] != "approved"} == {"insufficient_funds"}
    assert await purses(bench, card) == {1: (100_000 - len(approved) * 7_890, 0)}


async def test_two_hundred_cards_of_one_pool_never_overdraw_it(bench):
    async with transaction(bench.sessions) as session:
        first = await give_card(session, bench.world, kind="company", balance_minor=1_000_000)
        cards = [first] + [await give_card(session, bench.world, kind="company", account_id=first.account_id) for _ in range(199)]
    answers = [said(answer) for answer in await asyncio.gather(*(bench.sell(card) for card in cards))]
    approved = [answer for answer in answers if answer["outcome"] == "approved"]
    assert len(approved) == 1_000_000 // 7_890
    assert await purses(bench, first) == {1: (1_000_000 - len(approved) * 7_890, 0)}


async def test_five_hundred_wrong_pins_are_three_evaluations(bench, card):
    answers = [said(answer) for answer in await asyncio.gather(*(bench.sell(card, pin="9999") for _ in range(500)))]
    reasons = [answer["reason"] for answer in answers]
    assert reasons.count("pin_wrong") == 2
    assert reasons.count("pin_locked") == 498
    right = said(await bench.sell(card))
    assert right["reason"] == "pin_locked"
    async with transaction(bench.sessions) as session:
        assert (await session.execute(text("SELECT pin_tries FROM cards WHERE card_id = :id"), {"id": card.card_id})).scalar_one() == 3


async def test_a_number_alone_never_spends(bench, card):
    answer = said(await bench.sell(card, pin=None))
    assert (answer["outcome"], answer["reason"], answer["needs"]) == ("more_data", "pin_needed", ["pin"])


async def test_an_unknown_card_is_a_decline_with_a_row(bench, card):
    card.number = "8810000000000000"
    answer = said(await bench.sell(card))
    assert (answer["outcome"], answer["reason"]) == ("declined", "card_unknown")
    async with transaction(bench.sessions) as session:
        assert (await session.execute(text("SELECT count(*) FROM authorizations WHERE status = 4"))).scalar_one() == 1


async def test_a_price_change_reaches_the_worker_before_it_decides(bench, card):
    async with transaction(bench.sessions) as session:
        await session.execute(text("UPDATE revisions SET revision = revision + 1 WHERE kind = 'terminal'"))
    before = bench.snapshot
    answer = said(await bench.sell(card))
    assert answer["outcome"] == "approved"
    assert bench.snapshot is not before


async def test_a_count_limit_holds_although_another_worker_used_the_card_meanwhile(bench):
    """What another process's batch did between the read and the write makes the decision stale, also where the money alone would do."""
    async with transaction(bench.sessions) as session:
        card = await give_card(session, bench.world, kind="company", balance_minor=1_000_000)
        await session.execute(
            text("INSERT INTO limit_sets (subject_id, revision, compiled, updated_at) VALUES (:id, 1, CAST(:document AS jsonb), :now)"),
            {
                "id": card.card_id,
                "document": '{"windows": [{"window": "day", "measure": "count", "value": 3}]}',
                "now": bench.world.now,
            },
        )
    other = type(bench)(bench.url, bench.sessions, bench.world)
    await other.start()
    try:
        answers = await asyncio.gather(*(lane.sell(card) for _ in range(20) for lane in (bench, other)))
    finally:
        await other.stop()
    assert [said(answer)["outcome"] for answer in answers].count("approved") == 3


async def test_two_fills_of_one_card_complete_in_one_batch(bench, card):
    approved = [said(await bench.authorise(card, amount_minor=10_000, terminal=place))["authorization"] for place in (0, 1)]
    batches = bench.completions.batches
    booked = await asyncio.gather(*(bench.complete(one, litres_milli=10_000, amount_minor=7_890, terminal=0) for one in approved))
    assert [said(answer)["outcome"] for answer in booked] == ["booked", "booked"]
    assert bench.completions.batches == batches + 1
    assert await purses(bench, card) == {1: (100_000 - 2 * 7_890, 0)}
    counted = text('SELECT amount_minor, quantity_milli, count FROM limit_counters WHERE account_id = :account AND "window" = 1')
    async with transaction(bench.sessions) as session:
        rows = (await session.execute(counted, {"account": card.account_id})).all()
    assert [tuple(row) for row in rows] == [(2 * 7_890, 20_000, 2)]


async def test_one_that_cannot_be_booked_is_alone_in_not_knowing(bench, owner):
    """A batch that the database refuses is halved until what it refuses stands by itself."""
    async with transaction(bench.sessions) as session:
        cards = [await give_card(session, bench.world, balance_minor=100_000) for _ in range(9)]
    await owner.execute("ALTER TABLE sales ADD CONSTRAINT never_that CHECK (gross_minor <> 777)")
    amounts = [7_890] * 9
    amounts[4] = 777
    answers = await asyncio.gather(
        *(bench.sell(one, litres_milli=amount, amount_minor=amount) for one, amount in zip(cards, amounts, strict=True)),
        return_exceptions=True,
    )
    assert isinstance(answers.pop(4), OutcomeUnknown)
    assert {said(answer)["balance_after_minor"] for answer in answers} == {92_110}
    assert await purses(bench, cards[4]) == {1: (100_000, 0)}


async def test_a_holders_code_pays_once(bench, card):
    """Shown twice within its minute, at two tills at once or one after the other; a decline does not use it up."""
    read = text("SELECT version FROM cards WHERE card_id = :card")
    async with transaction(bench.sessions) as session:
        version = (await session.execute(read, {"card": card.card_id})).scalar_one()

    def show(amount_minor: int = 7_890):
        return bench.sell(card, pin=None, amount_minor=amount_minor, shown=Presented(token_ok=True, token_version=version))

    assert said(await show(amount_minor=999_999_00))["reason"] == "insufficient_funds"
    answers = [said(answer) for answer in await asyncio.gather(*(show() for _ in range(5)))]
    assert [answer["outcome"] for answer in answers] == ["approved"] + ["declined"] * 4
    assert {answer["reason"] for answer in answers[1:]} == {"token_wrong"}
    assert await purses(bench, card) == {1: (92_110, 0)}
    async with transaction(bench.sessions) as session:
        assert (await session.execute(read, {"card": card.card_id})).scalar_one() == version + 1
    assert said(await bench.sell(card))["outcome"] == "approved", "the PIN is another way"
