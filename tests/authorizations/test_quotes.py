"""What a card may take here and now: told without a hold, without a PIN try, with the limit that binds."""

import uuid

import pytest
from sqlalchemy import text

from loyalty.authorizations.operations import balance, pin_refusal, quote
from loyalty.authorizations.rules import Presented
from loyalty.authorizations.wire import Credential
from loyalty.db import transaction
from tests.authorizations.desk import place, purses, rows, said
from tests.factories.world import PIN, give_card


@pytest.fixture
async def card(bench):
    async with transaction(bench.sessions) as session:
        return await give_card(session, bench.world, balance_minor=10_000)


async def ask(bench, card, **fields):
    async with transaction(bench.sessions) as session:
        return await quote(
            session,
            **{"snapshot": bench.snapshot, "place": place(bench), "number_index": card.index, "now": bench.now()} | fields,
        )


async def limit(bench, card, document: str) -> None:
    async with transaction(bench.sessions) as session:
        await session.execute(
            text("INSERT INTO limit_sets (subject_id, revision, compiled, updated_at) VALUES (:id, 1, CAST(:doc AS jsonb), :now)"),
            {"id": card.card_id, "doc": document, "now": bench.now()},
        )


async def test_the_funds_bind_where_nothing_else_does(bench, card):
    answer = await ask(bench, card)
    by_product = {line.product: line for line in answer.products}
    assert set(by_product) == {"92", "95", "0"}
    assert (by_product["92"].pays_minor, by_product["92"].quantity_milli, by_product["92"].reason) == (10_000, 12_674, "insufficient_funds")
    assert answer.needs_pin
    assert await purses(bench, card.account_id) == {1: (10_000, 0)}
    assert await rows(bench, "SELECT * FROM authorizations") == []


async def test_what_is_quoted_is_what_the_pump_approves(bench, card):
    (line,) = (await ask(bench, card, product="95")).products
    approved = said(await bench.authorise(card, product="95"))
    assert (approved["approved_minor"], approved["approved_milli"]) == (line.amount_minor, line.quantity_milli)


async def test_the_binding_limit_is_named_and_nought_is_an_answer(bench, card):
    await limit(bench, card, '{"grades": ["92"], "windows": [{"window": "day", "measure": "amount", "value": 8000}]}')
    lines = {line.product: line for line in (await ask(bench, card)).products}
    assert (lines["92"].reason, lines["92"].limit, lines["92"].pays_minor) == ("amount_limit", "day.amount", 8_000)
    assert (lines["95"].reason, lines["95"].quantity_milli, lines["95"].amount_minor) == ("grade_not_allowed", 0, 0)
    assert lines["95"].message_zh
    await bench.sell(card)
    lines = {line.product: line for line in (await ask(bench, card)).products}
    assert (lines["92"].reason, lines["92"].quantity_milli) == ("amount_limit", 0)


async def test_shop_goods_are_quoted_in_money(bench, card):
    (line,) = (await ask(bench, card, product="wash")).products
    assert (line.amount_minor, line.quantity_milli, line.reason) == (10_000, 0, "insufficient_funds")


async def test_a_card_that_may_not_pay_is_told_so(bench, card):
    async with transaction(bench.sessions) as session:
        await session.execute(text("UPDATE cards SET status = 4 WHERE card_id = :id"), {"id": card.card_id})
    assert (await ask(bench, card)).reason == "card_lost"
    card.number = "8810000000000003"
    assert (await ask(bench, card)).reason == "card_unknown"


async def tell_balance(bench, card, presented: Presented, credential: Credential | None = None):
    async with transaction(bench.sessions) as session:
        return await balance(
            session,
            place=place(bench),
            number_index=card.index,
            credential=credential or Credential(),
            presented=presented,
            snapshot=bench.snapshot,
            now=bench.now(),
        )


async def test_a_number_alone_is_not_told_a_balance(bench, card):
    answer = await tell_balance(bench, card, Presented())
    assert (answer.outcome, answer.reason, answer.balance_minor) == ("more_data", "pin_needed", None)


async def test_a_checked_pin_or_a_code_is_told_the_balance(bench, card):
    await bench.authorise(card, amount_minor=2_000)
    for presented in (Presented(pin=PIN), Presented(token_ok=True)):
        answer = await tell_balance(bench, card, presented)
        assert (answer.balance_minor, answer.available_minor, answer.held_minor, answer.owed_minor) == (10_000, 8_000, 2_000, 0)


async def test_a_drivers_card_is_not_told_the_companys_pool(bench):
    async with transaction(bench.sessions) as session:
        card = await give_card(session, bench.world, kind="company", balance_minor=10_000)
    answer = await tell_balance(bench, card, Presented(token_ok=True))
    assert (answer.outcome, answer.reason, answer.balance_minor) == ("declined", "balance_not_shown", None)


async def test_only_a_given_pin_costs_a_try(bench, card):
    await ask(bench, card)
    assert (await rows(bench, "SELECT pin_tries FROM cards"))[0]["pin_tries"] == 0
    terminal = {"terminal_id": uuid.uuid4(), "station_id": place(bench).station_id, "now": bench.now()}
    wrong = await pin_refusal(bench.sessions, number_index=card.index, pin="9999", **terminal)
    assert (wrong.outcome, wrong.reason, wrong.needs) == ("declined", "pin_wrong", ["pin"])
    assert (await rows(bench, "SELECT pin_tries FROM cards"))[0]["pin_tries"] == 1
    assert await pin_refusal(bench.sessions, number_index=card.index, pin=PIN, **terminal) is None
    assert (await pin_refusal(bench.sessions, number_index=b"x" * 32, pin=PIN, **terminal)).reason == "card_unknown"
