"""What a draft in the shadow would have given for new sales: asked every minute, written once a sale, for ever.

A batch is one transaction under the lock of the shadow's mark: the answers, what they count of caps and budgets, and how far it has looked
stand or fall together, so that a sale is asked exactly once whoever runs it, and however often. Caps and counts begin with the shadow,
budgets from full; a sale that is committed late is asked late, after those that overtook it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.backtests.asking import Asks
from loyalty.backtests.model import ShadowBudget, ShadowCounter, ShadowMark
from loyalty.backtests.orders import Order, opened
from loyalty.backtests.queries.rows import Kinds, read_people, read_rows, rows_sql
from loyalty.backtests.queries.world import read_order
from loyalty.backtests.replaying import Replay, Row
from loyalty.db import locked
from loyalty.pricing.evaluating import Outcome
from loyalty.pricing.model import Rulebook
from loyalty.pricing.queries.live import document_of

OVERLAP: Final = timedelta(minutes=5)
"""Looked at again each time: longer than any transaction lives, so that what commits late is still found."""
BATCH: Final = 2_000
_THINGS: Final = frozenset({"gift", "voucher", "wash"})
# What was asked already is left out; the number is a whole number of ours.
_NEW: Final = (
    "AND NOT EXISTS (SELECT FROM shadow_results r WHERE r.number = {number} AND r.account_id = s.account_id AND r.sale_id = s.sale_id)"
    " ORDER BY s.sale_id LIMIT {batch}"
)
_WRITE: Final = """
INSERT INTO shadow_results (number, account_id, sale_id, version, business_day, currency, gross_minor, live_minor, shadow_minor,
    live_bonus_minor, shadow_bonus_minor, live_points, shadow_points, live_things, shadow_things, evaluated_at)
SELECT :number, s.account_id, s.sale_id, :version, s.business_day, s.currency, s.gross_minor - live.surcharge,
    s.discount_minor - live.surcharge, u.saved, live.bonus, u.bonus, live.points, u.points, live.things, u.things, :now
FROM unnest(CAST(:accounts AS uuid[]), CAST(:sales AS uuid[]), CAST(:saved AS bigint[]), CAST(:bonus AS bigint[]),
        CAST(:points AS bigint[]), CAST(:things AS bigint[])) u(account_id, sale_id, saved, bonus, points, things)
JOIN sales s ON s.account_id = u.account_id AND s.sale_id = u.sale_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(given) FILTER (WHERE kind = 'surcharge'), 0)::bigint AS surcharge,
        coalesce(sum(given) FILTER (WHERE kind = 'bonus'), 0)::bigint AS bonus,
        coalesce(sum(given) FILTER (WHERE kind = 'points'), 0)::bigint AS points,
        coalesce(sum(given) FILTER (WHERE kind IN ('gift', 'voucher', 'wash')), 0)::bigint AS things
    FROM (SELECT b ->> 'kind' AS kind, (b ->> 'given')::bigint AS given
        FROM jsonb_array_elements(coalesce(s.detail -> 'benefits', '[]')) b) given
) live
ON CONFLICT (number, account_id, sale_id) DO NOTHING
"""


async def ask_new(session: AsyncSession, *, number: int, dsn: str, now: datetime) -> int:
    """Ask a shadow about the next sales that it has not seen; return how many. None left moves its mark to the present.

    :param dsn: names the database for `read_order`; no connection is made with it
    """
    book = await session.get(Rulebook, number)
    if book is None or book.shadow_from is None:
        return 0
    looked_to = await _lock(session, number=number, began=book.shadow_from)
    until = min(book.shadow_to or now, now) + timedelta(milliseconds=1)
    since = max(book.shadow_from, looked_to - OVERLAP)
    if since >= until:
        return 0
    document = document_of(book)
    order = await read_order(session, dsn=dsn, number=number, document=document, currency=document.currency, since=since, until=until)
    asks, kinds, world = opened(order)
    replay = Replay(world, asks, {})
    replay.free = dict(asks.budgets)
    rows = await _rows(session, replay, order, asks, kinds)
    if not rows:
        await session.execute(
            upsert(ShadowMark)
            .values(number=number, looked_to=until)
            .on_conflict_do_update(index_elements=["number"], set_={"looked_to": until})
        )
        return 0
    await _recall(session, replay, number=number, rows=rows)
    answers = [(row, replay.one(row)) for row in rows]
    await _write(session, answers, number=number, version=book.version, now=now)
    await _remember(session, replay, number=number, totals=asks.budgets)
    return len(rows)


async def _lock(session: AsyncSession, *, number: int, began: datetime) -> datetime:
    """Lock the shadow's mark, making it first; return how far it has looked. A new run begins where it begins."""
    await session.execute(upsert(ShadowMark).values(number=number, looked_to=began).on_conflict_do_nothing())
    row = (await session.scalars(locked(select(ShadowMark).where(ShadowMark.number == number)))).one()
    return max(row.looked_to, began)


async def _rows(session: AsyncSession, replay: Replay, order: Order, asks: Asks, kinds: Kinds) -> list[Row]:
    """Read the next sales, in this very transaction, and whose they are."""
    connection = await session.connection()
    driver = (await connection.get_raw_connection()).driver_connection
    sql = rows_sql(asks, order.books, None, only=_NEW.format(number=order.number, batch=BATCH))
    rows = await read_rows(driver, sql, asks, kinds, currency=order.currency, since=order.since, until=order.until)
    for person in await read_people(driver, replay.unknown(rows)):
        replay.learn(person)
    return rows


async def _recall(session: AsyncSession, replay: Replay, *, number: int, rows: Sequence[Row]) -> None:
    """Put before the shadow what it has counted and spent so far."""
    for budget in await session.scalars(select(ShadowBudget).where(ShadowBudget.number == number)):
        if budget.budget_id in replay.free:
            replay.free[budget.budget_id] -= budget.used
    subjects = replay.subjects(rows)
    if subjects:
        found = select(ShadowCounter).where(ShadowCounter.number == number, ShadowCounter.subject_id.in_(subjects))
        for one in await session.scalars(found):
            replay.counts.setdefault(one.subject_id, {})[one.cap_id, one.start] = one.amount, one.count


async def _write(session: AsyncSession, answers: Iterable[tuple[Row, Outcome | None]], *, number: int, version: int, now: datetime) -> None:
    written = [(row, *_given(outcome)) for row, outcome in answers]
    await session.execute(
        text(_WRITE),
        {
            "number": number,
            "version": version,
            "accounts": [UUID(row[2].decode()) for row, *_ in written],
            "sales": [UUID(row[1].decode()) for row, *_ in written],
            "saved": [saved for _, saved, _, _, _ in written],
            "bonus": [bonus for _, _, bonus, _, _ in written],
            "points": [points for _, _, _, points, _ in written],
            "things": [things for _, _, _, _, things in written],
            "now": now,
        },
    )


def _given(outcome: Outcome | None) -> tuple[int, int, int, int]:
    """Return what an outcome gives: discounts less surcharges, bonus money, points, pieces."""
    if outcome is None:
        return 0, 0, 0, 0
    by_kind: dict[str, int] = {}
    for one in outcome.applied:
        kind = "thing" if one.rule.kind in _THINGS else one.rule.kind
        by_kind[kind] = by_kind.get(kind, 0) + one.given
    saved = outcome.discount_minor - outcome.surcharge_minor
    return saved, by_kind.get("bonus", 0), by_kind.get("points", 0), by_kind.get("thing", 0)


async def _remember(session: AsyncSession, replay: Replay, *, number: int, totals: Mapping[UUID, int]) -> None:
    """Keep what it has counted and spent now, in the order of the keys."""
    counted: list[tuple[UUID, UUID, date, int, int]] = [
        (subject, cap, start, amount, times)
        for subject, counts in replay.counts.items()
        for (cap, start), (amount, times) in counts.items()
    ]
    if counted:
        values = [
            {"number": number, "subject_id": subject, "cap_id": cap, "start": start, "amount": amount, "count": times}
            for subject, cap, start, amount, times in sorted(counted)
        ]
        written = upsert(ShadowCounter)
        await session.execute(
            written.on_conflict_do_update(
                index_elements=["number", "subject_id", "cap_id", "start"],
                set_={"amount": written.excluded.amount, "count": written.excluded["count"]},
            ),
            values,
        )
    spent = [{"number": number, "budget_id": budget, "used": totals.get(budget, 0) - free} for budget, free in sorted(replay.free.items())]
    if spent:
        used = upsert(ShadowBudget)
        await session.execute(used.on_conflict_do_update(index_elements=["number", "budget_id"], set_={"used": used.excluded.used}), spent)
