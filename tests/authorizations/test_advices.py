"""What already happened is booked, whoever tells it and whatever was wrong with it."""

import asyncio
import uuid
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import text

from loyalty.authorizations.advising import Advice
from loyalty.authorizations.operations import AdviceContext, book_advices, suspense_account
from loyalty.authorizations.operations.fills import record_fill
from loyalty.db import transaction
from tests.authorizations.desk import books_balance, counters, place, purses, reverse_key, rows, said
from tests.factories.world import give_card

NUMBER_OF_NOBODY = "8810000000000003"


@pytest.fixture
async def card(bench):
    async with transaction(bench.sessions) as session:
        return await give_card(session, bench.world, balance_minor=10_000)


def record(bench, card=None, *, litres: int = 10_000, amount: int = 7_890, ago=timedelta(hours=3), product="92", **fields) -> dict:
    return {
        "key": str(uuid.uuid4()),
        "event_at": (bench.now() - ago).isoformat(),
        **({} if card is None else {"card": {"number": card if isinstance(card, str) else card.number}}),
        **(
            {}
            if not litres
            else {"fuel": {"product": product, "quantity_milli": litres, "unit_price_e4": 78_900, "amount_minor": amount, "nozzle": 3}}
        ),
        **fields,
    }


async def tell(bench, *records, trusted: bool = True, epoch: int = 1, terminal: int = 0) -> list[dict]:
    context = AdviceContext(place=place(bench, terminal), trusted=trusted, snapshot=bench.snapshot, now=bench.now())
    results = await book_advices(
        bench.sessions, context=context, epoch=epoch, records=[msgspec.Raw(msgspec.json.encode(one)) for one in records]
    )
    return msgspec.json.decode(msgspec.json.encode(results))


async def test_an_offline_sale_is_booked_with_its_own_time(bench, card):
    (result,) = await tell(bench, record(bench, card))
    assert (result["answer"]["outcome"], result["answer"]["card_minor"], result["answer"]["flags"]) == ("booked", 7_890, ["offline"])
    assert await purses(bench, card.account_id) == {1: (2_110, 0)}
    (sale,) = await rows(bench, "SELECT event_at, booked_at, period FROM sales")
    assert (sale["event_at"], sale["booked_at"], sale["period"]) == (bench.now() - timedelta(hours=3), bench.now(), 202609)
    assert await counters(bench, card) == [(7_890, 10_000, 1)]
    await books_balance(bench)


async def test_told_twice_it_is_booked_once_and_answered_the_same(bench, card):
    one = record(bench, card)
    first = await tell(bench, one)
    assert await tell(bench, one) == first
    assert await asyncio.gather(*(tell(bench, one) for _ in range(10))) == [first] * 10
    assert await purses(bench, card.account_id) == {1: (2_110, 0)}


async def test_each_record_of_a_batch_has_its_own_result(bench, card):
    bad = {"key": "x"}
    empty = record(bench, card, litres=0)
    results = await tell(bench, record(bench, card, litres=1_000, amount=789), bad, empty, record(bench, card, litres=1_000, amount=789))
    assert ["answer" in result for result in results] == [True, False, False, True]
    assert {results[1]["problem"]["code"], results[2]["problem"]["code"]} == {"advice_not_understood"}
    assert await purses(bench, card.account_id) == {1: (10_000 - 2 * 789, 0)}


async def test_what_the_account_does_not_hold_is_owed(bench, card):
    (result,) = await tell(bench, record(bench, card, litres=20_000, amount=15_780))
    assert result["answer"]["receivable_minor"] == 5_780
    assert set(result["answer"]["flags"]) == {"offline", "receivable"}
    assert await purses(bench, card.account_id) == {1: (0, 0), 4: (-5_780, 0)}
    await books_balance(bench)


@pytest.mark.parametrize(("status", "account"), [(4, "open"), (3, "open"), (2, "frozen")])
async def test_a_stopped_card_is_booked_and_flagged(bench, card, status, account):
    async with transaction(bench.sessions) as session:
        await session.execute(text("UPDATE cards SET status = :status WHERE card_id = :id"), {"status": status, "id": card.card_id})
        await session.execute(
            text("UPDATE accounts SET status = :status WHERE account_id = :id"), {"status": account, "id": card.account_id}
        )
    (result,) = await tell(bench, record(bench, card))
    assert "card_status" in result["answer"]["flags"]
    assert await purses(bench, card.account_id) == {1: (2_110, 0)}


async def test_an_unknown_card_goes_to_suspense(bench):
    results = await asyncio.gather(*(tell(bench, record(bench, NUMBER_OF_NOBODY)) for _ in range(5)))
    assert {tuple(result["answer"]["flags"]) for (result,) in results} == {("receivable", "offline", "unknown_card")}
    assert await purses(bench, suspense_account("CNY")) == {1: (0, 0), 4: (-5 * 7_890, 0)}
    await books_balance(bench)


async def test_beyond_a_limit_it_is_booked_and_flagged(bench, card):
    document = '{"windows": [{"window": "day", "measure": "amount", "value": 1000}]}'
    async with transaction(bench.sessions) as session:
        await session.execute(
            text("INSERT INTO limit_sets (subject_id, revision, compiled, updated_at) VALUES (:id, 1, CAST(:doc AS jsonb), :now)"),
            {"id": card.card_id, "doc": document, "now": bench.now()},
        )
    (result,) = await tell(bench, record(bench, card))
    assert set(result["answer"]["flags"]) == {"limit", "offline"}


async def test_a_quarantined_tills_word_is_booked_and_flagged(bench, card):
    (result,) = await tell(bench, record(bench, card), trusted=False)
    assert "terminal" in result["answer"]["flags"]


async def test_what_happened_in_a_closed_period_is_booked_in_the_open_one(bench, card):
    (result,) = await tell(bench, record(bench, card, ago=timedelta(days=40)))
    assert "late" in result["answer"]["flags"]
    (sale,) = await rows(bench, "SELECT event_at, period FROM sales")
    assert (sale["event_at"], sale["period"]) == (bench.now() - timedelta(days=40), 202609)


async def test_after_its_own_reversal_it_is_booked_and_reversed_at_once(bench, card):
    one = record(bench, card)
    await reverse_key(bench, uuid.UUID(one["key"]))
    (result,) = await tell(bench, one)
    assert result["answer"]["refund"]["card_minor"] == 7_890
    assert await tell(bench, one) == [result]
    assert await purses(bench, card.account_id) == {1: (10_000, 0)}
    assert await counters(bench, card) == [(0, 0, 0)]
    assert len(await rows(bench, "SELECT * FROM sales")) == len(await rows(bench, "SELECT * FROM refunds")) == 1
    await books_balance(bench)


async def test_an_advice_is_reversed_by_its_key(bench, card):
    one = record(bench, card)
    await tell(bench, one)
    assert said(await reverse_key(bench, uuid.UUID(one["key"])))["original"] == "advice"
    assert await purses(bench, card.account_id) == {1: (10_000, 0)}
    await books_balance(bench)


async def test_an_advice_completes_the_authorisation_it_names(bench, card):
    approved = said(await bench.authorise(card, amount_minor=9_000))
    (result,) = await tell(bench, record(bench, authorization=approved["authorization"], ago=timedelta(minutes=5)))
    assert (result["answer"]["card_minor"], result["answer"]["released_minor"]) == (7_890, 1_110)
    assert await purses(bench, card.account_id) == {1: (2_110, 0)}
    assert await counters(bench, card) == [(7_890, 10_000, 1)]
    await books_balance(bench)


async def test_a_completion_of_nothing_releases(bench, card):
    approved = said(await bench.authorise(card, amount_minor=9_000))
    (result,) = await tell(bench, record(bench, card, authorization=approved["authorization"], litres=0, shop=[]))
    assert result.get("problem") is None
    assert await purses(bench, card.account_id) == {1: (10_000, 0)}
    await books_balance(bench)


async def test_an_authorisation_nobody_knows_leaves_a_sale_of_the_card(bench, card):
    (result,) = await tell(bench, record(bench, card, authorization="A" * 43))
    assert result["answer"]["card_minor"] == 7_890
    assert await purses(bench, card.account_id) == {1: (2_110, 0)}


async def test_an_unknown_product_and_too_much_of_other_tenders_are_booked(bench, card):
    (unknown, overpaid) = await tell(
        bench,
        record(bench, card, product="E10", litres=1_000, amount=789),
        record(bench, card, litres=1_000, amount=789, tenders=[{"tender": "cash", "amount_minor": 1_000}]),
    )
    assert "product_differs" in unknown["answer"]["flags"]
    assert (overpaid["answer"]["tenders_minor"], overpaid["answer"].get("card_minor", 0)) == (789, 0)
    assert await purses(bench, card.account_id) == {1: (10_000 - 789, 0)}
    await books_balance(bench)


async def test_an_advice_takes_its_fill_off_the_list(bench, card):
    async with transaction(bench.sessions) as session:
        fill = await record_fill(
            session,
            station_id=place(bench).station_id,
            pump_reference="P1",
            nozzle=3,
            product_id=bench.world.product_ids["92"],
            quantity_milli=10_000,
            unit_price_e4=78_900,
            amount_minor=7_890,
            finished_at=bench.now(),
            now=bench.now(),
        )
    await tell(bench, record(bench, card, fill_id=str(fill.fill_id)))
    assert [row["status"] for row in await rows(bench, "SELECT status FROM fills")] == [3]


async def test_the_same_sequence_with_another_record_quarantines_and_is_a_problem(bench, card):
    await tell(bench, record(bench, card, litres=1_000, amount=789, record={"sequence": 7}))
    (result,) = await tell(bench, record(bench, card, litres=1_000, amount=789, record={"sequence": 7}))
    assert result["problem"]["code"] == "sequence_reused"
    assert (await rows(bench, "SELECT status FROM terminals WHERE terminal_id = :id", id=place(bench).terminal_id))[0][
        "status"
    ] == "quarantined"


async def test_advices_and_the_pump_at_once_never_lose_a_cent(bench, card):
    await asyncio.gather(
        *(tell(bench, record(bench, card, litres=1_000, amount=789)) for _ in range(20)),
        *(bench.sell(card, litres_milli=1_000, amount_minor=789) for _ in range(20)),
    )
    await books_balance(bench)
    sold = (await rows(bench, "SELECT sum(card_minor) AS sold FROM sales"))[0]["sold"]
    held = await purses(bench, card.account_id)
    assert sum(balance for balance, _ in held.values()) == 10_000 - sold


def test_the_record_refuses_what_it_does_not_know():
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"key": "8b4f0f0e-0000-4000-8000-000000000000", "event_at": "2026-09-24T00:00:00Z", "x": 1}', type=Advice)
