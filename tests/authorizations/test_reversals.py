"""A reversal is accepted whatever it finds, takes everything back, and says the same the second time."""

import asyncio
import uuid

import pytest

from loyalty.authorizations.dedupe import KeyReused, Outcome, SequenceReused, once
from loyalty.authorizations.model import Operation
from loyalty.authorizations.operations.reversals import OriginalNotReversible
from loyalty.db import transaction
from loyalty.ids import NOBODY
from tests.authorizations.desk import books_balance, counters, place, purses, refund, reverse_key, rows, said
from tests.factories.world import give_card


@pytest.fixture
async def card(bench):
    async with transaction(bench.sessions) as session:
        return await give_card(session, bench.world, balance_minor=100_000)


async def test_a_reversed_authorisation_lets_go_of_its_hold_and_of_the_counters(bench, card):
    key = uuid.uuid4()
    await bench.authorise(card, key=key, amount_minor=20_000)
    answer = said(await reverse_key(bench, key))
    assert (answer["outcome"], answer["original"], answer["released_minor"]) == ("reversed", "authorization", 20_000)
    assert await purses(bench, card.account_id) == {1: (100_000, 0)}
    assert await counters(bench, card) == [(0, 0, 0)]
    await books_balance(bench)


async def test_reversed_twice_is_reversed_once_and_says_the_same(bench, card):
    key = uuid.uuid4()
    await bench.sell(card, key=key)
    first = await reverse_key(bench, key)
    assert await reverse_key(bench, key) == first
    assert await purses(bench, card.account_id) == {1: (100_000, 0)}
    assert len(await rows(bench, "SELECT * FROM refunds")) == 1


async def test_a_reversed_sale_is_voided_whole(bench, card):
    key = uuid.uuid4()
    await bench.sell(card, key=key)
    answer = said(await reverse_key(bench, key))
    assert (answer["refund"]["outcome"], answer["refund"]["card_minor"]) == ("voided", 7_890)
    assert answer["refund"]["balance_after_minor"] == 100_000
    assert await counters(bench, card) == [(0, 0, 0)]
    assert [row["status"] for row in await rows(bench, "SELECT status FROM sales")] == [4]
    await books_balance(bench)


async def test_a_reversed_completion_gives_the_dispensed_value_back(bench, card):
    approved = said(await bench.authorise(card, amount_minor=30_000))
    key = uuid.uuid4()
    await bench.complete(approved["authorization"], litres_milli=10_000, amount_minor=7_890, key=key)
    answer = said(await reverse_key(bench, key))
    assert (answer["original"], answer["refund"]["card_minor"]) == ("completion", 7_890)
    assert await purses(bench, card.account_id) == {1: (100_000, 0)}
    assert await counters(bench, card) == [(0, 0, 0)]
    await books_balance(bench)


async def test_a_completed_authorisation_is_not_reversed_its_sale_is(bench, card):
    key = uuid.uuid4()
    approved = said(await bench.authorise(card, key=key, amount_minor=30_000))
    await bench.complete(approved["authorization"], litres_milli=10_000, amount_minor=7_890)
    answer = said(await reverse_key(bench, key))
    assert (answer["outcome"], answer["reason"]) == ("declined", "original_completed")
    assert await purses(bench, card.account_id) == {1: (92_110, 0)}


async def test_a_part_completed_authorisation_lets_go_of_the_rest_only(bench, card):
    key = uuid.uuid4()
    approved = said(await bench.authorise(card, key=key, amount_minor=30_000))
    await bench.complete(approved["authorization"], litres_milli=10_000, amount_minor=7_890, final=False)
    answer = said(await reverse_key(bench, key))
    assert (answer["outcome"], answer["released_minor"]) == ("reversed", 22_110)
    assert await purses(bench, card.account_id) == {1: (92_110, 0)}
    assert await counters(bench, card) == [(7_890, 10_000, 1)]
    await books_balance(bench)


async def test_a_declined_original_leaves_nothing_to_reverse(bench, card):
    key = uuid.uuid4()
    await bench.authorise(card, key=key, pin="9999", amount_minor=100)
    assert said(await reverse_key(bench, key))["reason"] == "original_declined"


async def test_a_reversal_that_comes_first_refuses_the_late_authorisation(bench, card):
    key = uuid.uuid4()
    answer = said(await reverse_key(bench, key))
    assert (answer["outcome"], answer["reason"]) == ("reversed", "original_unknown")
    late = said(await bench.authorise(card, key=key, amount_minor=20_000))
    assert (late["outcome"], late["reason"]) == ("declined", "original_reversed")
    assert late["message_zh"]
    assert await purses(bench, card.account_id) == {1: (100_000, 0)}


async def test_an_original_and_its_reversal_at_once_leave_nothing_taken(bench, card):
    keys = [uuid.uuid4() for _ in range(30)]
    await asyncio.gather(*(action for key in keys for action in (bench.sell(card, key=key), reverse_key(bench, key))))
    assert await purses(bench, card.account_id) == {1: (100_000, 0)}
    assert await counters(bench, card) in ([(0, 0, 0)], [])
    await books_balance(bench)


async def test_a_sale_refunded_in_part_is_reversed_by_what_is_left(bench, card):
    key = uuid.uuid4()
    sold = said(await bench.sell(card, key=key))
    await refund(bench, sold["sale"], gross_minor=1_000)
    answer = said(await reverse_key(bench, key))
    assert (answer["refund"]["outcome"], answer["refund"]["gross_minor"]) == ("refunded", 6_890)
    assert said(await reverse_key(bench, key))["refund"]["gross_minor"] == 6_890
    assert await purses(bench, card.account_id) == {1: (100_000, 0)}
    await books_balance(bench)


async def _note(session):
    return Outcome(NOBODY, uuid.uuid4(), b'{"n":1}')


async def _do(bench, *, key=None, fingerprint=b"a" * 16, perform=_note, **fields):
    return await once(
        bench.sessions,
        terminal_id=place(bench).terminal_id,
        key=key or uuid.uuid4(),
        operation=Operation.OTHER,
        fingerprint=fingerprint,
        perform=perform,
        now=bench.now(),
        **fields,
    )


async def test_a_key_of_another_kind_cannot_be_reversed(bench):
    key = uuid.uuid4()
    await _do(bench, key=key)
    with pytest.raises(OriginalNotReversible):
        await reverse_key(bench, key)


async def test_fifty_users_of_one_key_have_one_effect(bench):
    done = []

    async def perform(session):
        done.append(1)
        return Outcome(NOBODY, uuid.uuid4(), b"%d" % len(done))

    key = uuid.uuid4()
    answers = await asyncio.gather(*(_do(bench, key=key, perform=perform) for _ in range(50)))
    assert set(answers) == {b"1"}
    assert done == [1]


async def test_one_key_never_stands_for_two_requests(bench, card):
    key = uuid.uuid4()
    await _do(bench, key=key)
    with pytest.raises(KeyReused):
        await _do(bench, key=key, fingerprint=b"b" * 16)
    with pytest.raises(KeyReused):
        await bench.sell(card, key=key)


async def test_a_sequence_with_two_records_quarantines_the_till(bench):
    await _do(bench, epoch=1, sequence=5, record_hash=b"1" * 32)
    with pytest.raises(SequenceReused):
        await _do(bench, epoch=1, sequence=5, record_hash=b"1" * 32)
    status = "SELECT status FROM terminals WHERE terminal_id = :id"
    assert (await rows(bench, status, id=place(bench).terminal_id))[0]["status"] == "active"
    with pytest.raises(SequenceReused):
        await _do(bench, epoch=1, sequence=5, record_hash=b"2" * 32)
    assert (await rows(bench, status, id=place(bench).terminal_id))[0]["status"] == "quarantined"


async def test_what_was_refused_is_not_stored_and_may_be_asked_again(bench):
    key, unknown = uuid.uuid4(), uuid.uuid4()
    await _do(bench, key=unknown)

    async def refuse(session):
        raise OriginalNotReversible(operation="other")

    with pytest.raises(OriginalNotReversible):
        await _do(bench, key=key, perform=refuse)
    assert await _do(bench, key=key) == b'{"n":1}'
