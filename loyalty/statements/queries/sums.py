"""What lines and money come to: what is kept of a period as far as its mark, and what was booked since, in one snapshot.

A vehicle's or a driver's own lines are few: they are summed as they are. So are instants that no mark begins at.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Integer, Subquery, case, cast, func, literal, select, text, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.fleet.model import Company
from loyalty.fleet.model_fills import NOBODY
from loyalty.ids import uuid7_floor
from loyalty.ledger.model import TransferKind
from loyalty.statements.model_sums import StatedBy, StatementMark, StatementSum
from loyalty.statements.rules import Figures, Money

from .lines import Part, lines_of

SIZES: Final = ("quantity_milli", "gross_minor", "discount_minor", "card_minor")
COUNTED: Final = ("fills", "refunds", *SIZES)


def _mark(column: Any, part: Part, begin: datetime, end: datetime) -> Any:
    """Read of a period's mark; of one that went past its end (the company's periods begin on another day since) nothing."""
    return (
        select(column)
        .join(Company, Company.company_id == StatementMark.company_id)
        .where(Company.account_id == part.account_id, StatementMark.begins_at == begin, StatementMark.summed_to <= end)
    )


def stated_by(part: Part, by: StatedBy, begin: datetime, end: datetime, *, kept: bool = True) -> Subquery:
    """Return rows of `subject_id` (None: without one) and the columns of `COUNTED`, several of a subject, that a statement sums.

    :param kept: False: from the lines alone, for whoever proves or writes what is kept
    """
    kept = kept and part.vehicle_id is None and part.driver_id is None
    first: Any = uuid7_floor(begin)
    if kept:
        # A bound from a subquery is looked up in the index; a function's result would be compared with every row behind the tenant's fence.
        since = _mark(func.uuid7_floor(StatementMark.summed_to), part, begin, end).scalar_subquery()
        first = select(func.coalesce(since, first)).scalar_subquery()
    lines = lines_of(part, first, uuid7_floor(end)).subquery("line")
    back = cast(lines.c.back, Integer)
    since_then = select(
        lines.c[f"{by.value}_id"].label("subject_id"), (1 - back).label("fills"), back.label("refunds"), *(lines.c[size] for size in SIZES)
    )
    if not kept:
        return since_then.subquery("stated")
    columns = [getattr(StatementSum, name) for name in COUNTED]
    sums = select(func.nullif(StatementSum.subject_id, NOBODY).label("subject_id"), *columns).where(
        StatementSum.company_id == _mark(StatementMark.company_id, part, begin, end).scalar_subquery(),
        StatementSum.begins_at == begin,
        StatementSum.by == by,
    )
    if part.departments is not None:
        sums = sums.where(StatementSum.department_id.in_(part.departments))
    return union_all(sums, since_then).subquery("stated")


def summed(stated: Subquery) -> list[Any]:
    """Return the sums of `COUNTED`."""
    return [func.sum(stated.c[name]) for name in COUNTED]


def figures_of(sums: Sequence[Any]) -> tuple[Figures, int]:
    """Return what `summed` gave as figures, and how many refunds were taken off."""
    fills, refunds, *sizes = (int(one) for one in sums)
    return Figures(fills, *sizes), refunds


def lines_by(part: Part, begin: datetime, end: datetime) -> Any:
    """Return what sums the lines of `[begin, end)` as they are kept: by, department, subject, and the sums of `COUNTED`."""
    lines = lines_of(part, uuid7_floor(begin), uuid7_floor(end)).subquery("line")
    by = {one: lines.c[f"{one.value}_id"] for one in StatedBy}
    back = cast(lines.c.back, Integer)
    # A subject of None is told from one that a row is not by.
    whose = case(*((func.grouping(column) == 0, literal(one.value)) for one, column in by.items()))
    subject = case(*((func.grouping(column) == 0, column) for column in by.values()))
    return select(
        whose.label("by"),
        func.coalesce(lines.c.department_id, NOBODY).label("department_id"),
        func.coalesce(subject, NOBODY).label("subject_id"),
        func.sum(1 - back).label("fills"),
        func.sum(back).label("refunds"),
        *(func.sum(lines.c[size]).label(size) for size in SIZES),
    ).group_by(func.grouping_sets(*(tuple_(lines.c.department_id, column) for column in by.values())))


MOVED: Final = """
SELECT t.kind, t.transfer_id < :last AS inside,
    sum(CASE WHEN t.credit_id IN (SELECT purse_id FROM mine) THEN t.amount_minor ELSE 0 END
        - CASE WHEN t.debit_id IN (SELECT purse_id FROM mine) THEN t.amount_minor ELSE 0 END)::bigint AS net
FROM transfers t WHERE t.account_id = :account AND t.transfer_id >= {first} GROUP BY 1, 2
"""
"""How transfers since an id changed the money on an account, by kind and whether before `:last`."""
MINE: Final = "SELECT purse_id, balance_minor FROM purses WHERE account_id = :account AND kind IN (1, 2, 4)"
"""The purses that hold money: points are none."""

# Reckoned backwards from the present balances, in one statement and so in one snapshot.
_MONEY: Final = text(
    f"""
    WITH mine AS ({MINE}), mark AS (
        SELECT m.company_id, m.begins_at, m.summed_to FROM statement_marks m JOIN companies c ON c.company_id = m.company_id
        WHERE :kept AND c.account_id = :account AND m.begins_at = :begin AND m.summed_to <= :end
    ), moved AS (
        SELECT v.kind, true AS inside, v.net_minor AS net FROM statement_moves v JOIN mark USING (company_id, begins_at)
        UNION ALL
        {MOVED.format(first="(SELECT coalesce((SELECT uuid7_floor(summed_to) FROM mark), uuid7_floor(:begin)))")}
    )
    SELECT (SELECT coalesce(sum(balance_minor), 0) FROM mine)::bigint, m.kind, m.inside, sum(m.net)::bigint
    FROM (SELECT) one LEFT JOIN moved m ON true GROUP BY 2, 3
    """  # noqa: S608 - constants of this file
)
_LOADS: Final = frozenset({TransferKind.LOAD, TransferKind.BONUS, TransferKind.OPENING})
BACK: Final = frozenset({TransferKind.REFUND, TransferKind.VOID})


async def money_between(session: AsyncSession, *, account_id: UUID, begin: datetime, end: datetime, kept: bool = True) -> Money:
    """Return how the money on a company's account moved in `[begin, end)`; with `kept` False from the transfers alone."""
    between = {"account": account_id, "begin": begin, "end": end, "last": uuid7_floor(end), "kept": kept}
    rows = (await session.execute(_MONEY, between)).all()
    balance = int(rows[0][0])
    inside = {TransferKind(kind): int(net) for _, kind, within, net in rows if within}
    closing = balance - sum(int(net) for _, _kind, within, net in rows if within is False)
    loads = sum(net for kind, net in inside.items() if kind in _LOADS)
    refunded = sum(net for kind, net in inside.items() if kind in BACK)
    spent = -inside.get(TransferKind.SALE, 0)
    moved = sum(inside.values())
    return Money(
        opening_minor=closing - moved,
        loads_minor=loads,
        spent_minor=spent,
        refunded_minor=refunded,
        other_minor=moved - loads - refunded + spent,
        closing_minor=closing,
    )
