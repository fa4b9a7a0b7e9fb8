"""Invariant 7, second half: no card number and no identity number stands in clear in any text, document or stored answer."""

import re
from collections.abc import Iterable
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.card_numbers import luhn_is_right
from loyalty.checks.model import Check, Found, Row, Scope
from loyalty.crypto import Purpose, blind_index

from .asking import found

SAMPLE_ROWS: Final = 200_000
"""Of a larger table only a sample is searched without `--all`."""
_NUMBER: Final = re.compile(r"(?<!\d)(?:\d{17}[\dXx]|\d{12,19})(?!\d)")
_CANDIDATE: Final = r"(^|[^0-9])[0-9]{12,19}X?([^0-9]|$)"

_TEXTS = """
    SELECT c.relname, array_agg(a.attname ORDER BY a.attnum), array_agg(t.typname ORDER BY a.attnum), greatest(c.reltuples, 0)::bigint
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'alembic_version' AND a.attnum > 0
        AND NOT a.attisdropped
        AND (t.typname IN ('text', 'varchar', 'jsonb', 'json', '_text') OR (t.typname = 'bytea' AND a.attname = 'answer'))
    GROUP BY c.relname, c.reltuples ORDER BY c.relname
"""

_KNOWN = text(
    "SELECT number_index FROM cards WHERE number_index = ANY (:cards)"
    " UNION SELECT value_index FROM customer_identifiers WHERE value_index = ANY (:documents)"
    " UNION SELECT id_number_index FROM real_names WHERE id_number_index = ANY (:documents)"
)


async def _leaks(session: AsyncSession, scope: Scope) -> Found:
    """Search every text, document and stored answer for such digits, and ask the blind indexes whether they are a number we hold."""
    rows: list[Row] = []
    for table, names, types, size in (await session.execute(text(_TEXTS))).all():
        suspects = await _suspects(session, table, names, types, sampled=not scope.everything and size > SAMPLE_ROWS, size=size)
        known = await _known(session, {number for number, _, _ in suspects})
        rows += [{"table": table, "column": column, "row": place} for number, column, place in suspects if number in known]
    return found(rows, scope)


async def _suspects(
    session: AsyncSession, table: str, names: list[str], types: list[str], *, sampled: bool, size: int
) -> list[tuple[str, str, str]]:
    """Return (number, column, place in the table) of whatever may be a number."""
    sample = f"TABLESAMPLE SYSTEM ({100 * SAMPLE_ROWS / size})" if sampled else ""
    suspects: list[tuple[str, str, str]] = []
    for name, kind in zip(names, types, strict=True):
        shown = f"convert_from({name}, 'UTF8')" if kind == "bytea" else f'"{name}"::text'
        # The names are the catalogue's own.
        statement = f'SELECT ctid::text, {shown} FROM "{table}" {sample} WHERE {shown} ~ :candidate'  # noqa: S608
        for place, value in await session.execute(text(statement), {"candidate": _CANDIDATE}):
            suspects += [(number, name, place) for number in numbers_in(value)]
    return suspects


def numbers_in(value: str) -> Iterable[str]:
    """Return the digits in a text that have the form of a card or identity number."""
    for match in _NUMBER.finditer(value):
        number = match[0].upper()
        if number.endswith("X") or luhn_is_right(number) or len(number) == 18:
            yield number


async def _known(session: AsyncSession, numbers: set[str]) -> set[str]:
    """Return those that are the number of a card or the document of a person we know."""
    if not numbers:
        return set()
    cards = {blind_index(Purpose.INDEX_CARD_NUMBER, number): number for number in numbers}
    documents = {blind_index(Purpose.INDEX_ID_DOCUMENT, number): number for number in numbers}
    indexes = await session.scalars(_KNOWN, {"cards": list(cards), "documents": list(documents)})
    both = cards | documents
    return {both[bytes(index)] for index in indexes}


LEAKS = Check(code="numbers-in-clear", invariant=7, says="no card number or identity number stands in clear", look=_leaks)

CHECKS = (LEAKS,)
