"""Past sales as a replay takes them: streamed by COPY on a connection of its own, each with what the book asks and nothing else.

Columns: at_ms, sale, account, chain, live_minor, live_bonus_minor, then the tail: instants begun, date, kinds of weekday, day and hour,
kind of place, card product, flow, product, quantity, price, the pump's amount, shop lines, other tenders. What is not asked is empty, so
that sales alike stay alike.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from loyalty.backtests.asking import Asks
from loyalty.backtests.replaying import Row
from loyalty.ids import uuid7_floor
from loyalty.pricing.basket import Person
from loyalty.pricing.document import Of

Connection = Any
"""An asyncpg connection; the library has no type information."""


class Part(NamedTuple):
    """Which parties are this worker's: those whose hash leaves `part` of `parts`."""

    part: int
    parts: int


class Books(NamedTuple):
    """What the live rules of the period may have given besides discounts."""

    bonus: bool
    surcharges: bool


_BENEFIT: Final = (
    "coalesce((SELECT sum((b ->> 'given')::bigint) FROM jsonb_array_elements(s.detail -> 'benefits') b WHERE b ->> 'kind' = '{kind}'), 0)"
)
_BONUS: Final = _BENEFIT.format(kind="bonus")
_SURCHARGE: Final = _BENEFIT.format(kind="surcharge")
_LOCAL: Final = "(s.event_at AT TIME ZONE z.zone)"


class Kinds(NamedTuple):
    """What tells places apart: each station's kind, by its place in the list."""

    stations: list[UUID]
    kinds: list[int]


def rows_sql(asks: Asks, books: Books, part: Part | None, *, only: str = "") -> str:
    """Return the SELECT; `only`, in place of its order, narrows it further, and each row then carries its sale.

    `$1`, `$2` bound the sale's id, `$3` is the currency, `$4` instants, `$5` minutes of the day, `$6` the kinds of the parts of the day,
    `$7` of weekdays, `$8` of days of the month, `$9` and `$10` stations and their kinds.
    """
    surcharge = _SURCHARGE if books.surcharges else "0"
    minute = f"date_part('hour', {_LOCAL})::int * 60 + date_part('minute', {_LOCAL})::int"
    told = (
        (asks.weekdays, f"($7::int[])[date_part('isodow', {_LOCAL})::int]"),
        (asks.month_days, f"($8::int[])[date_part('day', {_LOCAL})::int]"),
        (asks.clock, f"($6::int[])[1 + width_bucket({minute}, $5::int[])]"),
    )
    times = [written for is_asked, written in told if is_asked]
    columns = (
        "(date_part('epoch', s.event_at) * 1000)::bigint",
        "s.sale_id" if asks.budgets or only else "''",
        "s.account_id",
        "s.chain_id" if asks.cards else "''",
        f"s.discount_minor - {surcharge}",
        _BONUS if books.bonus else "0",
        "width_bucket(s.event_at, $4::timestamptz[])" if asks.instants else "''",
        f"{_LOCAL}::date" if asks.dates else "''",
        f"concat_ws(' ', {', '.join(times)})" if times else "''",
        *("k.kind", "c.product_id", "s.flow", "s.product_id", "s.quantity_milli", "s.unit_price_e4"),
        f"s.gross_minor - {surcharge}",
        "s.detail -> 'lines'",
        "CASE WHEN s.detail ? 'tenders' THEN jsonb_path_query_array(s.detail, '$.tenders[*].tender') END" if asks.tenders else "NULL",
    )
    joins = [
        "JOIN unnest($9::uuid[], $10::int[]) k(station_id, kind) ON k.station_id = s.station_id",
        "LEFT JOIN cards c ON c.card_id = s.card_id",
    ]
    if asks.dates or times:
        joins.append("JOIN stations z ON z.station_id = s.station_id")
    party = "s.account_id"
    if part is not None and Of.CUSTOMER in asks.counters.values():
        joins.append("JOIN accounts a ON a.account_id = s.account_id LEFT JOIN customers h ON h.customer_id = a.customer_id")
        party = "coalesce(h.merged_into, h.customer_id, s.account_id)"
    mine = "" if part is None or part.parts == 1 else f"AND (uuid_hash({party}) & 2147483647) % {part.parts} = {part.part}"
    order = only or ("ORDER BY s.sale_id" if asks.counters else "")
    # Arguments that are not asked are named all the same, so that one call fits all.
    unused = "AND ($4::timestamptz[], $5::int[], $6::int[], $7::int[], $8::int[]) IS NOT NULL"
    return f"SELECT {', '.join(columns)} FROM sales s {' '.join(joins)} WHERE {_WHERE} {unused} {mine} {order}"  # noqa: S608 - of constants


_WHERE: Final = "s.sale_id >= $1 AND s.sale_id < $2 AND s.currency = $3 AND s.status IN (1, 2)"
"""Booked in the period, and neither voided nor refunded whole: those cost nothing on either side."""

PEOPLE: Final = """
SELECT a.account_id, coalesce(h.merged_into, h.customer_id) AS customer_id, a.kind AS account_kind, t.tier, h.segment, h.flyer_code,
    h.birthday, a.opened_at, a.registered_at, t.agreement::text AS agreement
FROM accounts a LEFT JOIN customers h ON h.customer_id = a.customer_id LEFT JOIN standings t ON t.customer_id = h.customer_id
WHERE a.account_id = ANY ($1::uuid[])
"""
_NOTHING: Final = frozenset({None, "[]", "null"})


async def read_rows(
    connection: Connection, sql: str, asks: Asks, kinds: Kinds, *, currency: str, since: datetime, until: datetime
) -> list[Row]:
    """Return the sales booked in `[since, until)`, split into their columns."""
    chunks: list[bytes] = []

    async def take(chunk: bytes) -> None:
        chunks.append(chunk)

    lists = [list(one) for one in (asks.instants, asks.clock, asks.hours, asks.weekdays, asks.month_days)]
    bounds = uuid7_floor(since), uuid7_floor(until)
    await connection.copy_from_query(sql, *bounds, currency, *lists, kinds.stations, kinds.kinds, output=take, format="text")
    return [line.split(b"\t", 6) for line in b"".join(chunks).splitlines()]


async def read_people(connection: Connection, accounts: Iterable[bytes]) -> list[Person]:
    """Return who these accounts belong to, as they are known now."""
    rows = await connection.fetch(PEOPLE, [account.decode() for account in accounts])
    return [
        Person(
            account_id=row["account_id"],
            customer_id=row["customer_id"],
            account_kind=row["account_kind"],
            tier=row["tier"],
            segment=row["segment"],
            flyer=row["flyer_code"],
            birthday=row["birthday"],
            opened_at=row["opened_at"],
            registered_at=row["registered_at"],
            agreement=None if row["agreement"] in _NOTHING else row["agreement"],
        )
        for row in rows
    ]
