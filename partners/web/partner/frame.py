"""The portal's rail: where one can go, by what one's role may do."""

from typing import TYPE_CHECKING, Final

from loyalty.identity.partner_rules import PartnerPermission
from loyalty.web.i18n import N_
from loyalty.web.rendering import Frame, Link
from partners.web.partner.labels import ROLE

if TYPE_CHECKING:
    from partners.web.partner.desk import PartnerDesk

HOME: Final = "/partner"
# Each entry: its name, its address, and what it takes to see it.
RAIL: Final = (
    (N_("Redeeming"), HOME, PartnerPermission.REDEEM),
    (N_("Today"), f"{HOME}/today", PartnerPermission.REDEEM),
    (N_("Book"), f"{HOME}/book", PartnerPermission.READ_LINES),
    (N_("Statements"), f"{HOME}/statements", PartnerPermission.SETTLEMENT),
    (N_("By employee"), f"{HOME}/employees", PartnerPermission.READ_LINES),
    (N_("Outlets"), f"{HOME}/outlets", PartnerPermission.PAUSE),
    (N_("People"), f"{HOME}/people", PartnerPermission.MANAGE_PEOPLE),
    (N_("Interfaces"), f"{HOME}/api", PartnerPermission.API_KEYS),
)


def frame_for(desk: "PartnerDesk") -> Frame:
    """Return the portal's frame for one reader."""
    _ = desk.gettext
    path = desk.request.url.path
    here = max(
        (address for _label, address, _may in RAIL if path == address or (address != HOME and path.startswith(f"{address}/"))),
        key=len,
        default=HOME,
    )
    links = tuple(Link(address, _(label), current=address == here) for label, address, permission in RAIL if desk.may(permission))
    outlet = () if desk.outlet is None else (desk.outlet_name,)
    return Frame(
        portal=_("Partner portal"),
        home=HOME,
        links=links,
        who=desk.principal.name,
        about=(desk.either(desk.partner.name_zh, desk.partner.name_en), *outlet, _(ROLE[desk.principal.role])),
        sign_out=f"{HOME}/log-out",
    )
