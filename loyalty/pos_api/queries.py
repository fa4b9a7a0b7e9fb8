"""A station's closed day: its shifts, their sums, and every transaction in which a till and the host differ."""

from datetime import date
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.stations.rules import ShiftTotals

_CLOSED: Final = """
SELECT s.shift_id, s.terminal_id, s.over_short_minor, s.totals, c.signature_good, c.differences
FROM shifts s LEFT JOIN chain_closes c ON c.shift_id = s.shift_id
JOIN stations t ON t.station_id = s.station_id
WHERE s.station_id = :station_id AND s.status = 'closed' AND (s.opened_at AT TIME ZONE t.zone)::date = :day
ORDER BY s.shift_id
"""


async def day_totals(session: AsyncSession, *, station_id: UUID, day: date) -> dict[str, Any]:
    """Return a station's day: its shifts with their totals, the sums, and every difference between tills and host."""
    shifts = (await session.execute(text(_CLOSED), {"station_id": station_id, "day": day})).all()
    totals = [msgspec.convert(shift.totals, ShiftTotals) for shift in shifts]
    return {
        "sales_minor": sum(total.sales_minor for total in totals),
        "refunds_minor": sum(total.refunds_minor for total in totals),
        "topups_minor": sum(total.topups_minor for total in totals),
        "fees_minor": sum(total.fees_minor for total in totals),
        "over_short_minor": sum(shift.over_short_minor or 0 for shift in shifts),
        "shifts": [
            {
                "shift_id": str(shift.shift_id),
                "terminal_id": str(shift.terminal_id),
                "over_short_minor": shift.over_short_minor,
                "totals": shift.totals,
                "signature_good": shift.signature_good,
                "differences": shift.differences or [],
            }
            for shift in shifts
        ],
    }
