"""The tests' own proof: take one safeguard away, and a race or a run of operations must notice."""

import re
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

from loyalty.authorizations import settling
from loyalty.authorizations.decision import Decision
from loyalty.authorizations.hot.lane import Lane
from loyalty.authorizations.hot_queries import WRITE
from loyalty.authorizations.operations import holds, refunds
from loyalty.errors import OutcomeUnknown
from loyalty.ledger.rules import allocate
from tests.conftest import NOW
from tests.simulation import test_any_run_of_operations_keeps_the_books as runs
from tests.simulation import test_budgets_are_never_overspent as budgets
from tests.simulation import test_races_leave_the_books_whole as races
from tests.simulation import test_the_batch_write_checks_what_was_read as rows
from tests.simulation import test_what_changes_between_the_read_and_the_write_is_seen as steps
from tests.simulation.house import House, Population, populate

FUNCTIONS = Path(__file__).parents[2] / "migrations" / "functions"
BATCH = re.compile(r"CREATE (FUNCTION hot_book_v5\(.*?END \$\$;)", re.DOTALL)
"""The form that the lanes call: a test below holds the two together."""
GATHER = re.compile(r"CREATE (FUNCTION gather_budget\(.*?END \$\$;)", re.DOTALL)
SEEN = "(d.seen IS NULL OR d.seen = p.balance_minor + p.credit_limit_minor - p.held_minor)"
AMOUNT_ROOM = "(i.amount_max IS NULL OR c.amount + i.amount <= i.amount_max)"
TIMES_ROOM = "(i.times_max IS NULL OR c.count + i.times <= i.times_max)"
LEVEL_ROOM = "(i.milli_max IS NULL OR c.quantity_milli + i.milli <= i.milli_max)"
SHARE_ROOM = "b.reserved + i.reserved + b.used + i.used <= b.granted"
# What is taken away, what stands there instead, who must notice.
MUTANTS = {
    "revisions are not compared": (
        "ORDER BY v.kind) FROM revisions v) IS DISTINCT FROM p_revisions",
        ") FROM revisions v) IS NULL",
        steps.test_a_discount_begins,
    ),
    "a card's version is not compared": ("(i.version IS NULL OR c.version = i.version)", "true", steps.test_the_card_is_reported_lost),
    "a card's tries are not compared": (
        "(i.tries IS NULL OR c.pin_tries = i.tries)",
        "true",
        steps.test_two_wrong_pins_are_counted_elsewhere,
    ),
    "cards are not locked": ("FOR NO KEY UPDATE OF c", "", steps.test_a_writer_of_the_card_is_waited_for),
    "a card that moved on is not missed": ("done < cardinality(p_cards)", "false", rows.test_a_card_is_named_by_its_version_and_its_tries),
    "every card is changed": (
        "(i.tries_new IS NOT NULL OR i.used) AND c.card_id = i.card",
        "i.tries_new IS NOT NULL OR i.used",
        rows.test_a_card_is_changed_where_it_is_asked_for,
    ),
    "a card that paid by its code keeps its version": (
        "c.version + i.used::integer",
        "c.version",
        rows.test_a_card_is_changed_where_it_is_asked_for,
    ),
    "a driver's tries are not compared": (
        "d.pin_tries = i.tries",
        "true",
        rows.test_a_drivers_pin_is_named_by_its_generation_and_its_tries,
    ),
    "a driver's generation is not compared": (
        "d.pin_generation = i.generation",
        "true",
        rows.test_a_drivers_pin_is_named_by_its_generation_and_its_tries,
    ),
    "a driver that moved on is not missed": (
        "done < cardinality(p_drivers)",
        "false",
        rows.test_a_drivers_pin_is_named_by_its_generation_and_its_tries,
    ),
    "an authorisation's status is not compared": ("a.status = i.status", "true", steps.test_the_authorisation_is_released_elsewhere),
    "parts are not compared": ("a.completions = i.completions", "true", steps.test_another_part_is_completed_elsewhere),
    "an authorisation that moved on is not missed": (
        "done < cardinality(p_originals)",
        "false",
        rows.test_an_authorisation_is_named_by_its_status_and_its_parts,
    ),
    "what was seen is not compared": (SEEN, "true", races.test_two_hundred_sales_through_two_workers_never_overdraw),
    "what is held may be more than there is": (
        "p.held_minor + d.held <= p.balance_minor + d.balance + p.credit_limit_minor",
        "true",
        rows.test_a_purse_is_named_where_it_does_not_hold_it,
    ),
    "less than nothing may be held": ("p.held_minor + d.held >= 0 AND ", "", rows.test_a_purse_is_named_where_it_does_not_hold_it),
    "a receivable is asked for cover": ("p.kind = 4 OR ", "", rows.test_a_debt_is_made_once_and_is_never_full),
    "a purse that fell short is not missed": ("done < cardinality(p_purses)", "false", steps.test_the_money_is_spent_elsewhere),
    "a counter's fills are not compared": ("c.count = i.seen_count AND ", "", rows.test_a_counter_is_named_by_what_it_showed),
    "a counter's money is not compared": (" AND c.amount_minor = i.seen_minor", "", rows.test_a_counter_is_named_by_what_it_showed),
    "counters are not compared": (
        "c.count = i.seen_count AND c.amount_minor = i.seen_minor",
        "true",
        steps.test_another_fill_of_the_day_is_counted_elsewhere,
    ),
    "a counter that was not there is not looked at": (
        "WHERE c.count = 0 AND c.amount_minor = 0",
        "",
        steps.test_the_last_fill_of_the_day_is_used_elsewhere,
    ),
    "a counter that moved on is not missed": ("counted < p_used + p_unused", "false", rows.test_a_counter_is_named_by_what_it_showed),
    "counters without a limit are not counted": (
        "counted < cardinality(p_counters)",
        "false",
        rows.test_a_counter_is_named_by_what_it_showed,
    ),
    "a cap's amount is not compared": (AMOUNT_ROOM, "true", rows.test_a_benefits_counter_is_named_where_no_room_is_left),
    "a cap's times are not compared": (TIMES_ROOM, "true", budgets.test_an_accounts_cap_holds_although_its_cards_pay_at_two_workers),
    "a cap of another window is compared": (
        "AND i.cap = c.cap_id AND i.start = c.start\n                    AND (i",
        "AND (i",
        rows.test_a_benefits_counter_is_one_window_s,
    ),
    "a cap without room is not missed": (
        "done < cardinality(p_benefits)",
        "false",
        budgets.test_an_accounts_cap_holds_although_its_cards_pay_at_two_workers,
    ),
    "a share of a budget is not compared": (SHARE_ROOM, "true", rows.test_a_share_of_a_budget_is_named_where_no_room_is_left),
    "less than nothing may be set aside": (
        "b.reserved + i.reserved >= 0",
        "true",
        rows.test_a_share_of_a_budget_is_named_where_no_room_is_left,
    ),
    "another worker's share is drawn on": (
        "b.budget_id = ANY (ARRAY[i.budget]) AND b.share = i.share",
        "b.budget_id = ANY (ARRAY[i.budget])",
        rows.test_a_share_of_a_budget_is_named_where_no_room_is_left,
    ),
    "a share without room is not missed": (
        "done < cardinality(p_budgets)",
        "false",
        rows.test_a_share_of_a_budget_is_named_where_no_room_is_left,
    ),
    "a fill may be paid twice": ("f.status IN (1, 2)", "true", rows.test_a_fill_is_paid_once),
    "a fill that was paid is not missed": ("done <> cardinality(p_fills)", "false", rows.test_a_fill_is_paid_once),
    "a dispense is resolved by the first part": (
        "i.status_new <> 5",
        "true",
        rows.test_an_unresolved_dispense_ends_with_the_completion_that_was_late,
    ),
    "a dispense is resolved before it was overdue": (
        "i.status IN (5, 9)",
        "true",
        rows.test_an_unresolved_dispense_ends_with_the_completion_that_was_late,
    ),
    "a level has room for ever": (LEVEL_ROOM, "true", rows.test_a_levels_counter_is_named_where_no_room_is_left),
    "a level is counted in one window": (
        """ AND i."window" = c."window" AND i.start""",
        " AND i.start",
        rows.test_a_levels_counter_is_named_where_no_room_is_left,
    ),
    "a dispense is resolved twice": (
        " AND u.resolved_at IS NULL",
        "",
        rows.test_an_unresolved_dispense_ends_with_the_completion_that_was_late,
    ),
    "another till's key is answered": ("q.terminal_id = i.terminal AND ", "", rows.test_a_sequence_that_was_used_is_no_key_that_was),
    "a key that was used is not named": ("AND q.key = i.key", "AND q.key <> i.key", rows.test_a_key_is_named_with_its_till),
    "who gathers a budget does not wait": (
        "ORDER BY share FOR UPDATE",
        "ORDER BY share",
        rows.test_two_who_gather_at_once_do_it_one_after_the_other,
    ),
    "who gathers takes what is set aside": (
        "SET granted = reserved + used",
        "SET granted = 0",
        rows.test_what_other_shares_leave_is_gathered,
    ),
    "who gathers leaves it to the others too": (
        "UPDATE budget_shares SET granted = reserved + used WHERE budget_id = p_budget AND share <> p_share AND granted > reserved + used;",
        "",
        rows.test_what_other_shares_leave_is_gathered,
    ),
}
WITHOUT = {
    "a till's key is not unique": (
        "ALTER TABLE requests DROP CONSTRAINT requests_pkey",
        races.test_one_key_through_both_workers_has_one_effect,
    ),
    "a till's sequence is not unique": (
        "DROP INDEX uq_requests_terminal_id_epoch_sequence",
        steps.test_a_sequence_that_was_used_sinks_only_its_own_request,
    ),
}


def functions() -> list[str]:
    """Return the batch's function and the one that gathers budgets, as they stand."""
    batch = (FUNCTIONS / "hot_book.v5.sql").read_text(encoding="utf-8")
    gather = (FUNCTIONS / "hot_book.v3.sql").read_text(encoding="utf-8")
    return [*BATCH.findall(batch), *GATHER.findall(gather)]


async def say(url: str, *sentences: str) -> None:
    connection = await asyncpg.connect(url)
    for sentence in sentences:
        await connection.execute(sentence)
    await connection.close()


async def mutate(url: str, old: str, new: str) -> None:
    assert any(old in function for function in functions()), "the mutant must change something"
    await say(url, *(f"CREATE OR REPLACE {function.replace(old, new)}" for function in functions()))


async def is_noticed(url: str, people: Population, noticing) -> None:
    workers = [House(url, people), House(url, people)]
    for worker in workers:
        await worker.start()
    try:
        with pytest.raises((AssertionError, OutcomeUnknown, asyncpg.PostgresError, pytest.fail.Exception)):
            await noticing(workers)
    finally:
        for worker in workers:
            await worker.stop()


def test_the_mutants_are_of_the_function_that_is_called():
    name = re.search(r"FROM (\w+)\(", WRITE)[1]
    assert [function.split("(")[0] for function in functions()] == [f"FUNCTION {name}", "FUNCTION gather_budget"]


@pytest.mark.long
@pytest.mark.parametrize("name", MUTANTS)
async def test_a_safeguard_of_the_batch_write_is_missed_when_it_is_gone(database_url, name):
    old, new, noticing = MUTANTS[name]
    people = await populate(database_url, NOW)
    await mutate(database_url, old, new)
    await is_noticed(database_url, people, noticing)


@pytest.mark.long
@pytest.mark.parametrize("name", WITHOUT)
async def test_what_the_tables_hold_is_missed_when_it_is_gone(database_url, name):
    sentence, noticing = WITHOUT[name]
    people = await populate(database_url, NOW)
    await say(database_url, sentence)
    await is_noticed(database_url, people, noticing)


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
