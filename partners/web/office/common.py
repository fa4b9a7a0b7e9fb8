"""What the pages of one partner share: its address, its day, the way there, the field of a reason."""

from datetime import date
from typing import Final
from uuid import UUID

from loyalty import clock
from loyalty.identity.rules import Permission
from loyalty.web.office.desk import Desk
from partners.queries.alliances import PartnerView, get_partner

PATH: Final = "/office/partners"
Crumbs = list[tuple[str, str]]


def base_of(partner_id: UUID) -> str:
    """Return a partner's address."""
    return f"{PATH}/{partner_id}"


def today_of(desk: Desk, one: PartnerView) -> date:
    """Return the day by the partner's calendar."""
    return clock.local_date(desk.now, one.zone)


def name_of(desk: Desk, one: PartnerView) -> str:
    """Name a partner in the reader's language."""
    return desk.either(one.name_zh, one.name_en)


def crumbs_of(desk: Desk, one: PartnerView, *further: tuple[str, str]) -> Crumbs:
    """Return the way to a page of one partner."""
    return [(desk.gettext("Alliances"), PATH), (name_of(desk, one), base_of(one.partner_id) if further else ""), *further]


async def offered(desk: Desk, partner_id: UUID) -> PartnerView:
    """Let the form of a change be seen, and return the partner.

    :raises NotAllowed: if the reader changes nothing of alliances
    :raises PartnerNotFound: if there is none
    """
    desk.offer(Permission.EDIT_ALLIANCES)
    return await get_partner(desk.session, partner_id=partner_id)


async def allowed(desk: Desk, partner_id: UUID) -> PartnerView:
    """Let a change be made, and return the partner; raises as `offered`."""
    desk.require(Permission.EDIT_ALLIANCES)
    return await get_partner(desk.session, partner_id=partner_id)
