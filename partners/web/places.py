"""Where a voucher is honoured, as its holder reads it: a partner's outlets with what stands at each just now."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.web.me.rewards import Place
from partners.model import OutletStatus
from partners.queries.alliances import places_of


async def partner_places(session: AsyncSession, outlets: Sequence[str]) -> list[Place]:
    """Return the outlets of partners that a voucher kind names (`partner:CODE`, `partner:CODE/OUTLET`), without those that are shut."""
    named = [name.removeprefix("partner:").partition("/") for name in outlets if name.startswith("partner:")]
    wanted: dict[str, set[str]] = {}
    for code, _slash, outlet in named:
        wanted.setdefault(code, set()).add(outlet)
    return [
        Place(
            f"{one.partner_zh} · {one.name_zh}",
            f"{one.partner_en} · {one.name_en}",
            one.address,
            one.hours,
            one.telephone,
            (one.why_paused or "") if one.status is OutletStatus.PAUSED else None,
            one.paused_until,
        )
        for one in await places_of(session, codes=wanted)
        if "" in wanted[one.code] or one.outlet_code in wanted[one.code]
    ]
