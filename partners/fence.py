"""The fence around a partner's session: the role that is held to the policies, and whose rows it sees."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def enter_partner(session: AsyncSession, partner_id: UUID) -> None:
    """Put a partner's fence around the rest of this transaction (migration 0068)."""
    await session.flush()
    await session.execute(text("SET LOCAL ROLE loyalty_partner"))
    await session.execute(text("SELECT set_config('app.partner', :partner, true)"), {"partner": str(partner_id)})
