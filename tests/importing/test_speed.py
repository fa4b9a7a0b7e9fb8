"""How fast a file comes in, beside COPY of the very same rows into the same tables."""

import sys
import time

import asyncpg
import pytest

from .small import map_of

ROWS = 30_000
TABLES = ("customers", "customer_references", "import_rows")


@pytest.mark.long
async def test_an_import_is_held_against_copy(site, capsys):
    rows = "".join(f"{number};Firma {number} s.r.o.;CZ\n" for number in range(ROWS))
    path = site.write("many.csv", "Nr;Firma;Land\n" + rows)
    began, cpu = time.monotonic(), time.process_time()
    watched = await site.take(path, map_of("customers"))
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    assert watched.made.figures.read == ROWS
    copied = await copy_again(site.settings.database_url)
    with capsys.disabled():
        pace = f"import {ROWS / seconds:,.0f} rows/s ({1e6 * cpu / ROWS:,.0f} µs of Python a row), COPY {ROWS / copied:,.0f}"
        sys.stdout.write(f"\n{pace}: {copied / seconds:.2f}\n")
    assert ROWS / seconds > 1_000


async def copy_again(url: str) -> float:
    """Return how long COPY takes for the rows of the tables that the import wrote, into the same tables."""
    connection = await asyncpg.connect(url)
    try:
        kept = {}
        for table in TABLES:
            kept[table] = await connection.fetch(f"SELECT * FROM {table}")
        await connection.execute("TRUNCATE customers, customer_references, import_rows CASCADE")
        began = time.monotonic()
        for table, rows in kept.items():
            async with connection.transaction():
                await connection.copy_records_to_table(table, records=[tuple(row) for row in rows], columns=list(rows[0].keys()))
        return time.monotonic() - began
    finally:
        await connection.close()
