"""What of alliances waits for a reader, for the office's home."""

from loyalty.identity.rules import Permission
from loyalty.web.office.desk import Desk
from loyalty.web.office.parts import Tile
from partners.model import AgreementStatus
from partners.queries.alliances import agreements_to_approve
from partners.queries.feeds import feeds_to_approve
from partners.queries.payment import low_blocks, settlement_waits
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
    return [*tiles, *await _settlement(desk)]


async def _settlement(desk: Desk) -> list[Tile]:
    """Return tiles of disputes, invoices and payment runs that wait, and of blocks that run low."""
    _ = desk.gettext
    waits = await settlement_waits(desk.session)
    counted = [(_("Partners' disputes"), waits.disputes), (_("Partners' invoices to look at"), waits.invoices)]
    counted.append((_("Payment runs to approve"), waits.runs))
    tiles = [Tile(label, desk.f.count(number), tone="warn", href=f"{PATH}/settlement") for label, number in counted if number]
    low = await low_blocks(desk.session, now=desk.now)
    if low:
        first = low[0]
        name, left = desk.either(first.name_zh, first.name_en), desk.f.money(first.left_minor, first.currency)
        href = f"{PATH}/{first.partner_id}/payments"
        tiles.append(Tile(_("Blocks running low"), desk.f.count(len(low)), note=f"{name}: {left}", tone="bad", href=href))
    return tiles
