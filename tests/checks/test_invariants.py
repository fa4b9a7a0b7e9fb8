"""Each invariant, broken by hand where no part of the product could, is named with its row; whole books are clean."""

import pytest
from sqlalchemy import text

from loyalty.checks.model import Level, Scope
from loyalty.checks.queries import CHECKS
from loyalty.checks.running import examine, examine_database

from .conftest import NOW


def scope(books, **facts) -> Scope:
    return Scope(now=NOW, issuer_keys=books.issuer_keys, **facts)


async def found(session, books, **facts) -> dict:
    return {result.check.code: result.found async for result in examine(session, scope(books, **facts)) if result.found.count}


async def test_books_kept_by_the_operations_are_clean(books):
    results = [result async for result in examine_database(books.url, scope(books))]
    assert {result.check.code: result.found.rows for result in results if result.found.count} == {}
    assert len(results) == len(CHECKS)
