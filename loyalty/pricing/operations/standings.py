"""What the pump reads of a customer's tier."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# A card may stand under a record that was merged into another: every record of a customer gets the tier.
_SET: Final = text(
    """
    WITH RECURSIVE wanted AS (
        SELECT * FROM unnest(CAST(:customers AS uuid[]), CAST(:tiers AS text[])) AS w(customer_id, tier)
    ), family AS (
        SELECT customer_id, tier FROM wanted
        UNION ALL
        SELECT c.customer_id, f.tier FROM family f JOIN customers c ON c.merged_into = f.customer_id
    )
    INSERT INTO standings AS s (customer_id, tier, changed_at)
    SELECT customer_id, tier, :now FROM family ORDER BY customer_id
    ON CONFLICT (customer_id) DO UPDATE SET tier = excluded.tier, changed_at = excluded.changed_at
    WHERE s.tier IS DISTINCT FROM excluded.tier
    RETURNING customer_id
    """
)


async def set_tiers(session: AsyncSession, *, tiers: Mapping[UUID, str | None], now: datetime) -> int:
    """Let the pump know customers' tiers (None: none), each for the record that stands for it and all merged into it.

    One statement, whatever their number; agreements stay as they are. Return how many records changed.
    """
    if not tiers:
        return 0
    rows = await session.execute(_SET, {"customers": list(tiers), "tiers": list(tiers.values()), "now": now})
    return len(rows.all())
