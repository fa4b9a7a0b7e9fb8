"""Revision counters of reference data, one a kind.

Hot workers keep reference data (stations, terminals, prices, card products, discount terms, the open period) in memory. Whoever changes
such data bumps its kind in the same transaction; the hot write compares the counters under its own snapshot and answers *stale* when one
differs, so no decision on old data is ever committed.
"""

from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


class Kind(StrEnum):
    """What is counted."""

    REFERENCE = "reference"
    """Legal entities, stations, products, card products."""
    PRICE = "price"
    RULE = "rule"
    TERMINAL = "terminal"
    """Terminals, their keys and sessions: a revocation works at once."""
    PERIOD = "period"


async def hold(session: AsyncSession, kind: Kind) -> None:
    """Lock the counter of `kind`: publishers compare and write one after the other, and only a real change bumps it."""
    await session.execute(text("SELECT revision FROM revisions WHERE kind = :kind FOR UPDATE"), {"kind": kind.value})


async def bump(session: AsyncSession, kind: Kind) -> int:
    """Raise the counter of `kind` and return it; the row lock orders concurrent publishers."""
    row = await session.execute(
        text("UPDATE revisions SET revision = revision + 1 WHERE kind = :kind RETURNING revision"), {"kind": kind.value}
    )
    return int(row.scalar_one())


async def current(session: AsyncSession) -> dict[Kind, int]:
    """Return every counter."""
    rows = await session.execute(text("SELECT kind, revision FROM revisions"))
    return {Kind(kind): int(revision) for kind, revision in rows}
