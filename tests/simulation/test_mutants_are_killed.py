"""The tests' own proof: take one safeguard away, and a race or a run of operations must notice."""

import re
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

from loyalty.authorizations import settling
from loyalty.authorizations.decision import Decision
from loyalty.authorizations.hot.lane import Lane
from loyalty.authorizations.operations import holds, refunds
from loyalty.errors import OutcomeUnknown
from loyalty.ledger.rules import allocate
from tests.conftest import NOW
from tests.simulation import test_any_run_of_operations_keeps_the_books as runs
from tests.simulation import test_races_leave_the_books_whole as races
from tests.simulation import test_what_changes_between_the_read_and_the_write_is_seen as steps
from tests.simulation.house import House, populate

SOURCE = Path(__file__).parents[2] / "migrations" / "functions" / "hot_book.v2.sql"
MUTANTS = {
    "a card's version is not compared": ("(i.version IS NULL OR c.version = i.version)", "true", steps.test_the_card_is_reported_lost),
    "a card's tries are not compared": (
        "(i.tries IS NULL OR c.pin_tries = i.tries)",
        "true",
        steps.test_two_wrong_pins_are_counted_elsewhere,
    ),
    "cards are not locked": ("FOR NO KEY UPDATE OF c", "", steps.test_a_writer_of_the_card_is_waited_for),
    "counters are not compared": (
        "c.count = i.seen_count AND c.amount_minor = i.seen_minor",
        "true",
        steps.test_another_fill_of_the_day_is_counted_elsewhere,
    ),
    "parts are not compared": ("a.completions = i.completions", "true", steps.test_another_part_is_completed_elsewhere),
    "a counter that was not there is not looked at": (
        "WHERE c.count = 0 AND c.amount_minor = 0",
        "",
        steps.test_the_last_fill_of_the_day_is_used_elsewhere,
    ),
    "a purse that fell short is not missed": ("done < cardinality(p_purses)", "false", steps.test_the_money_is_spent_elsewhere),
    "what was seen is not compared": (
        "d.seen = p.balance_minor + p.credit_limit_minor - p.held_minor",
        "true",
        races.test_two_hundred_sales_through_two_workers_never_overdraw,
    ),
    "revisions are not compared": (
        "ORDER BY v.kind) FROM revisions v) IS DISTINCT FROM p_revisions",
        ") FROM revisions v) IS NULL",
        steps.test_a_discount_begins,
    ),
}


async def mutate(url: str, old: str, new: str) -> None:
    source = SOURCE.read_text(encoding="utf-8")
    assert old in source, "the mutant must change something"
    function = re.search(r"CREATE FUNCTION hot_book_v2.*", source.replace(old, new), re.DOTALL)[0]
    connection = await asyncpg.connect(url)
    await connection.execute(function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1))
    await connection.close()


@pytest.mark.long
@pytest.mark.parametrize("name", MUTANTS)
async def test_a_safeguard_of_the_batch_write_is_missed_when_it_is_gone(database_url, name):
    old, new, noticing = MUTANTS[name]
    people = await populate(database_url, NOW)
    await mutate(database_url, old, new)
    workers = [House(database_url, people), House(database_url, people)]
    for worker in workers:
        await worker.start()
    try:
        with pytest.raises((AssertionError, OutcomeUnknown)):
            await noticing(workers)
    finally:
        for worker in workers:
            await worker.stop()


async def nothing(*_, **__) -> None:
    """Stands where something was done."""


def forget(*_) -> None:
    """Stands where something was noted."""


def in_reverse(purses, amount_minor, order) -> list:
    return allocate(purses, amount_minor, tuple(reversed(order)))


def answer_anything(lane, request, row) -> None:
    lane._settle(request, bytes(row["answer"]))


THOUGHTLESS = {
    "a key is answered whatever it asks": (Lane, "_replay", answer_anything),
    "the rest of a hold is kept": (Decision, "release", forget),
    "the spend order is turned round": (settling, "allocate", in_reverse),
    "a released hold goes on counting": (holds, "count", nothing),
    "a refund gives the counters nothing back": (refunds, "count", nothing),
    "a receivable is forgotten": (Decision, "owe", forget),
}


@pytest.mark.long
@pytest.mark.parametrize("name", THOUGHTLESS)
def test_a_mistake_of_the_rules_is_noticed_by_the_second_books(runner, databases, monkeypatch, name):
    monkeypatch.setattr(*THOUGHTLESS[name])
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        runs.check(runner, databases, settings(runs.CI, max_examples=60, stateful_step_count=50))
