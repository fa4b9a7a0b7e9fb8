"""What tills and companies' portals are told of alliances: partners' notices, and outlets that serve nobody just now."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.web.notices import Told
from partners.queries.alliances import notices_on, paused_outlets


async def alliance_notices(session: AsyncSession, zone: str, now: datetime) -> list[Told]:
    """Return what is told of alliances on the reader's day, paused outlets among it."""
    paused = [
        Told(
            f"{one.partner_zh} · {one.name_zh}：暂停服务",
            f"{one.partner_en} · {one.name_en}: paused",
            one.why,
            one.why,
            until=one.until,
            tone="warn",
        )
        for one in await paused_outlets(session, now=now)
    ]
    shown = await notices_on(session, day=clock.local_date(now, zone))
    return [*paused, *(Told(one.name_zh, one.name_en, one.text_zh, one.text_en) for one in shown)]
