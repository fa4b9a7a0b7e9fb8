"""How long a thing is good, as a reader understands it: what ends at midnight is good through the day before."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from loyalty.web.formats import NOTHING, Formats


def good_through(f: Formats, ends_at: datetime | None) -> str:
    """Write the last day of something that ends at a midnight of the reader's zone, else the instant at which it ends."""
    if ends_at is None:
        return NOTHING
    local = ends_at.astimezone(ZoneInfo(f.zone))
    return f.full_day(local.date() - timedelta(days=1)) if local.time() == time() else f.instant(ends_at)
