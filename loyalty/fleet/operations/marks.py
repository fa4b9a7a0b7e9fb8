"""How far the collectors of this room have come."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import locked
from loyalty.fleet.model import Company
from loyalty.fleet.model_fills import FleetMark

_BEFORE: Final = timedelta(days=400)
"""What its cards had taken until then is shown too."""


async def lock_mark(session: AsyncSession, *, name: str, begins: datetime | None = None, now: datetime) -> FleetMark:
    """Lock a collector's mark; a second collector of the name waits, and goes on where this one ended.

    A new one stands at `begins`, else a good while before the first company was set up.
    """
    asked = locked(select(FleetMark).where(FleetMark.name == name))
    mark: FleetMark | None = await session.scalar(asked)
    if mark is None:
        if begins is None:
            begins = (await session.scalar(select(func.min(Company.created_at))) or now) - _BEFORE
        begun = upsert(FleetMark).values(name=name, collected_to=begins)
        await session.execute(begun.on_conflict_do_nothing(index_elements=[FleetMark.name]))
        mark = (await session.scalars(asked)).one()
    return mark
