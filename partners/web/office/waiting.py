"""What of alliances waits for a reader, for the office's home."""

from loyalty.identity.rules import Permission
from loyalty.web.office.desk import Desk
from loyalty.web.office.parts import Tile
from partners.model import AgreementStatus
from partners.queries.alliances import agreements_to_approve
from partners.web.office.common import PATH


async def alliances_waiting(desk: Desk) -> list[Tile]:
    """Return a tile where agreements wait for this reader's approval."""
    if not desk.may(Permission.APPROVE_ALLIANCES):
        return []
    number = await agreements_to_approve(desk.session, not_by=desk.principal.staff_id)
    href = f"{PATH}?agreed={AgreementStatus.SUBMITTED.value}"
    return [Tile(desk.gettext("Alliances to approve"), desk.f.count(number), tone="warn", href=href)] if number else []
