"""The portal's rail: where one can go, by what one's role may do."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from loyalty.identity.portal_rules import FleetPermission
from loyalty.web.fleet.labels import ROLE
from loyalty.web.i18n import N_
from loyalty.web.rendering import Frame, Link

if TYPE_CHECKING:
    from loyalty.web.fleet.desk import FleetDesk

_HOME: Final = "/fleet"
_GROUP: Final = "/fleet/group"
_TABS: Final = {"/fleet/cash": "/fleet/fills"}
# Each entry: its heading, its name, its address, and what it takes to see it.
RAIL: Final = (
    ("", N_("Overview"), _HOME, FleetPermission.READ),
    ("", N_("Inbox"), "/fleet/notices", FleetPermission.READ),
    ("", N_("Asked at the pump"), "/fleet/approvals", FleetPermission.READ),
    ("", N_("Oddities"), "/fleet/findings", FleetPermission.READ),
    (N_("Fleet"), N_("Vehicles"), "/fleet/vehicles", FleetPermission.READ),
    (N_("Fleet"), N_("Drivers"), "/fleet/drivers", FleetPermission.READ),
    (N_("Fleet"), N_("Cards"), "/fleet/cards", FleetPermission.READ),
    (N_("Fleet"), N_("Custody"), "/fleet/custody", FleetPermission.READ),
    (N_("Fleet"), N_("Profiles of limits"), "/fleet/profiles", FleetPermission.READ),
    (N_("Fuel"), N_("Fuel records"), "/fleet/fills", FleetPermission.READ),
    (N_("Fuel"), N_("Fuel economy"), "/fleet/economy", FleetPermission.READ),
    (N_("Fuel"), N_("Fuel orders"), "/fleet/orders", FleetPermission.EDIT_LIMITS),
    (N_("Fuel"), N_("Stations"), "/fleet/stations", FleetPermission.READ),
    (N_("Money"), N_("Allocation"), "/fleet/allocations", FleetPermission.READ),
    (N_("Money"), N_("Statements"), "/fleet/statements", FleetPermission.READ_STATEMENTS),
    (N_("Money"), N_("Invoices"), "/fleet/invoices", FleetPermission.INVOICES),
    (N_("Money"), N_("On account"), "/fleet/account", FleetPermission.INVOICES),
    (N_("Money"), N_("Disputes"), "/fleet/disputes", FleetPermission.READ),
    (N_("Company"), N_("Company group"), _GROUP, FleetPermission.READ_GROUP),
    (N_("Company"), N_("Departments"), "/fleet/departments", FleetPermission.READ),
    (N_("Company"), N_("People"), "/fleet/people", FleetPermission.MANAGE_PEOPLE),
    (N_("Company"), N_("Interfaces"), "/fleet/api", FleetPermission.API_KEYS),
    (N_("Company"), N_("Settings"), "/fleet/settings", FleetPermission.SETTINGS),
)


def _beside(path: str) -> str:
    """Return where an address belongs in the rail: some views stand as a tab beside another's."""
    for view, of in _TABS.items():
        if path == view or path.startswith(f"{view}/"):
            return of
    return path


def frame_for(desk: "FleetDesk", waiting: Mapping[str, tuple[int, str]], news: str) -> Frame:
    """Return the portal's frame for one reader: `waiting` says by address how much waits there, and in which tone."""
    _ = desk.gettext
    path = _beside(desk.request.url.path)
    here = max(
        (
            address
            for _group, _label, address, _permission in RAIL
            if path == address or (address != _HOME and path.startswith(f"{address}/"))
        ),
        key=len,
        default="",
    )
    links: list[Link] = []
    group = ""
    for heading, label, address, permission in RAIL:
        if not desk.may(permission) or (address == _GROUP and not desk.heads_group):
            continue
        count, tone = waiting.get(address, (0, ""))
        above = _(heading) if heading != group and heading else ""
        links.append(Link(address, _(label), count=count, tone=tone, current=address == here, group=above))
        group = heading
    return Frame(
        portal=_("Fleet"),
        home=_HOME,
        links=tuple(links),
        who=desk.principal.name,
        own=f"{_HOME}/me",
        about=(desk.company.name, _(ROLE[desk.principal.role])),
        sign_out=f"{_HOME}/log-out",
        news=news,
    )
