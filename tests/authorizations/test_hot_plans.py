"""How the database goes about the hot path: rows are locked in the order of their ids, and everything is found by its key.

Plans are made once a connection and kept, so they must be right while the tables are empty, vacuumed and empty, and full.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from loyalty.authorizations import hot_queries
from loyalty.authorizations.hot.lane import _PLANNING

UPDATES = {"authorizations": "p_originals", "purses": "p_purses", "limit_counters": "p_counters"}
TYPES = {
    "p_originals": "hot_original_v3[]",
    "p_purses": "hot_purse[]",
    "p_counters": "hot_counter[]",
    "p_cards": "hot_card[]",
    "p_now": "timestamptz",
}
STATES = {"new": "SELECT", "vacuumed": "VACUUM (ANALYZE)"}


async def plan_of(connection: asyncpg.Connection, statement: str) -> dict[str, Any]:
    """Explain a statement as the lane's connection keeps its plan."""
    named = [name for name in TYPES if name in statement]
    for number, name in enumerate(named, 1):
        statement = statement.replace(name, f"${number}::{TYPES[name]}")
    await connection.execute(f"PREPARE asked AS {statement}")
    parameters = await connection.fetchval("SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'asked'")
    return json.loads(await connection.fetchval(f"EXPLAIN (FORMAT json) EXECUTE asked({', '.join(['NULL'] * parameters)})"))[0]["Plan"]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.fixture(params=STATES)
async def lane_connection(database_url, request) -> asyncpg.Connection:
    owner = await asyncpg.connect(database_url)
    await owner.execute(STATES[request.param])
    await owner.close()
    connection = await asyncpg.connect(database_url, server_settings=_PLANNING)
    yield connection
    await connection.close()


async def statements(connection: asyncpg.Connection) -> str:
    return await connection.fetchval("SELECT prosrc FROM pg_proc WHERE proname = 'hot_book_v5'")


def follows(join: dict[str, Any]) -> None:
    """Assert that rows of a table are looked up one by one in the order of a sorted list."""
    assert join["Node Type"] == "Nested Loop"
    first, second = join["Plans"]
    assert [node["Node Type"] for node in nodes(first)] == ["Subquery Scan", "Sort", "Function Scan"]
    found = [node for node in nodes(second) if node["Node Type"] != "Append"]
    assert {node["Node Type"] for node in found} == {"Index Scan"}


@pytest.mark.parametrize("table", UPDATES)
async def test_an_update_follows_its_sorted_rows(lane_connection, table):
    update = re.search(rf"UPDATE {table} .*?;", await statements(lane_connection), re.DOTALL)[0]
    assert UPDATES[table] in update
    follows((await plan_of(lane_connection, update))["Plans"][0])


async def test_cards_are_locked_in_order(lane_connection):
    lock = re.search(
        r"SELECT FROM \(SELECT \* FROM unnest\(p_cards\).*?FOR NO KEY UPDATE OF c", await statements(lane_connection), re.DOTALL
    )[0]
    plan = await plan_of(lane_connection, lock)
    assert plan["Node Type"] == "LockRows"
    follows(plan["Plans"][0])


@pytest.mark.parametrize("name", ["READ_CARDS", "READ_AUTHORIZATIONS", "STORED"])
async def test_what_is_read_is_found_by_its_key(lane_connection, name):
    plan = await plan_of(lane_connection, getattr(hot_queries, name))
    kinds = {node["Node Type"] for node in nodes(plan)}
    joined = {"Nested Loop", "Function Scan", "Index Scan", "Append", "Aggregate", "Subquery Scan", "Sort", "Incremental Sort", "Limit"}
    # A "Result" asks the account's kind once before anything of a company is looked up.
    joined.add("Result")
    assert kinds <= joined
    for node in nodes(plan):
        if node["Node Type"] == "Index Scan" and node["Relation Name"].startswith("requests"):
            assert "_pkey" in node["Index Name"]
