"""What of alliances waits for a reader, for the office's home."""

from loyalty.identity.rules import Permission
from loyalty.web.office.desk import Desk
from loyalty.web.office.parts import Tile
from partners.model import AgreementStatus
from partners.queries.alliances import agreements_to_approve
from partners.queries.feeds import feeds_to_approve
from partners.web.office.common import PATH


async def alliances_waiting(desk: Desk) -> list[Tile]:
    """Return tiles where agreements, or feeds of customers' data, wait for this reader's approval."""
    if not desk.may(Permission.APPROVE_ALLIANCES):
        return []
    number = await agreements_to_approve(desk.session, not_by=desk.principal.staff_id)
    href = f"{PATH}?agreed={AgreementStatus.SUBMITTED.value}"
    tiles = [Tile(desk.gettext("Alliances to approve"), desk.f.count(number), tone="warn", href=href)] if number else []
    feeds = await feeds_to_approve(desk.session, not_by=desk.principal.staff_id)
    if feeds:
        partner_id, feed_id = feeds[0]
        first = f"{PATH}/{partner_id}/feeds/{feed_id}"
        tiles.append(Tile(desk.gettext("Data feeds to approve"), desk.f.count(len(feeds)), tone="warn", href=first))
    return tiles
