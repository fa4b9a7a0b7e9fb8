"""The rail: where one can go, by what one may do; beside it what waits there."""

from typing import TYPE_CHECKING, Final

from loyalty.identity.model import Role
from loyalty.identity.rules import Permission
from loyalty.web.i18n import N_
from loyalty.web.rendering import Frame, Link

if TYPE_CHECKING:
    from loyalty.web.office.desk import Desk

ROLES: Final[dict[Role, str]] = {
    Role.CASHIER: N_("Cashier"),
    Role.STATION_MANAGER: N_("Station manager"),
    Role.DISTRICT_MANAGER: N_("District manager"),
    Role.OFFICE: N_("Office"),
    Role.FINANCE: N_("Finance"),
    Role.AUDITOR: N_("Auditor"),
}

HOME: Final = "/office"
SALES: Final = "/office/sales"
OWN: Final = "/office/me"
CAMPAIGNS: Final = "/office/campaigns"
DISPUTES: Final = "/office/disputes"
# What another permission than the one beside it lets see, too.
_ALSO: Final = {SALES: Permission.REFUND_SALE, DISPUTES: Permission.REFUND_SALE, CAMPAIGNS: Permission.EDIT_RULES}
# Each entry: its heading, its name, its address, and what it takes to see it.
_RAIL: Final = (
    ("", N_("Home"), HOME, None),
    ("", N_("Customers"), "/office/customers", Permission.READ_CUSTOMERS),
    ("", N_("Cards"), "/office/cards", Permission.READ_CARDS),
    ("", N_("Sales"), SALES, Permission.READ_LEDGER),
    (N_("Money"), N_("Accounts and liability"), "/office/liability", Permission.READ_LIABILITY),
    (N_("Money"), N_("Points"), "/office/points", Permission.READ_LIABILITY),
    (N_("Money"), N_("Bank transfers"), "/office/transfers", Permission.READ_LEDGER),
    (N_("Money"), N_("Invoices"), "/office/invoices", Permission.READ_LEDGER),
    (N_("Money"), N_("Receivables"), "/office/receivables", Permission.READ_LEDGER),
    (N_("Money"), N_("Disputes"), DISPUTES, Permission.READ_LEDGER),
    (N_("Money"), N_("Adjustments"), "/office/adjustments", Permission.READ_LEDGER),
    (N_("Money"), N_("Freezes"), "/office/freezes", Permission.READ_LEDGER),
    (N_("Money"), N_("Closures"), "/office/closures", Permission.READ_LEDGER),
    (N_("Network"), N_("Stations"), "/office/stations", Permission.READ_STATION),
    (N_("Network"), N_("Prices"), "/office/prices", Permission.READ_STATION),
    (N_("Network"), N_("Shifts"), "/office/shifts", Permission.READ_STATION),
    (N_("Network"), N_("Working calendar"), "/office/calendar", Permission.READ_STATION),
    (N_("Terms"), N_("Card products"), "/office/card-products", Permission.READ_CARDS),
    (N_("Terms"), N_("Rules"), "/office/rules", Permission.READ_CARDS),
    (N_("Terms"), N_("Agreements"), "/office/agreements", Permission.READ_CUSTOMERS),
    (N_("Terms"), N_("Alliances"), "/office/partners", Permission.READ_ALLIANCES),
    (N_("Terms"), N_("Campaigns"), CAMPAIGNS, Permission.READ_LIABILITY),
    (N_("Terms"), N_("Tiers"), "/office/tiers", Permission.READ_CARDS),
    (N_("Terms"), N_("Vouchers"), "/office/vouchers", Permission.READ_CARDS),
    (N_("Terms"), N_("Gifts"), "/office/gifts", Permission.READ_STATION),
    (N_("Terms"), N_("Referral"), "/office/referrals", Permission.READ_CUSTOMERS),
    (N_("Terms"), N_("Blank cards"), "/office/stock", Permission.READ_STATION),
    (N_("People"), N_("Staff"), "/office/staff", Permission.READ_STAFF),
    (N_("People"), N_("Outgoing mail"), "/office/outbox", Permission.MANAGE_OUTBOX),
    (N_("People"), N_("Audit trail"), "/office/audit", Permission.READ_AUDIT),
)

# A view that stands as a tab beside another's: where it belongs in the rail.
_TABS: Final = {
    "/office/backtests": "/office/rules",
    "/office/failures": HOME,
    "/office/unresolved": SALES,
    "/office/top-ups": "/office/customers",
    "/office/authorisations": SALES,
    "/office/purchases": "/office/transfers",
    "/office/house": "/office/liability",
    "/office/accounts": "/office/customers",
    "/office/regions": "/office/stations",
    "/office/terminals": "/office/stations",
    "/office/price-list": "/office/prices",
    "/office/day-closes": "/office/shifts",
    "/office/merge-suggestions": "/office/customers",
    "/office/merges": "/office/customers",
    "/office/access": "/office/staff",
    "/office/tier-moves": "/office/tiers",
    "/office/flyers": CAMPAIGNS,
}


async def frame_for(desk: "Desk") -> Frame:
    """Return the office's frame for one reader."""
    _ = desk.gettext
    path = _placed(desk.request.url.path)
    best = max(
        # Every address begins as the home's does: what has no place in the rail is not the home.
        (
            address
            for _group, _label, address, _permission in _RAIL
            if path == address or (address != HOME and path.startswith(f"{address}/"))
        ),
        key=len,
        default="",
    )
    links: list[Link] = []
    group = ""
    for heading, label, address, permission in _RAIL:
        also = _ALSO.get(address, permission)
        if permission is not None and also is not None and not desk.may(permission) and not desk.may(also):
            continue
        links.append(Link(address, _(label), current=address == best, group=_(heading) if heading != group and heading else ""))
        group = heading
    roles = " · ".join(sorted({_(ROLES[role]) for role in desk.principal.roles}))
    return Frame(
        portal=_("Office"),
        home="/office",
        links=tuple(links),
        who=desk.principal.name,
        own=OWN,
        about=(roles,) if roles else (),
        sign_out="/office/log-out",
    )


def _placed(path: str) -> str:
    """Return the address in the rail to which a page belongs, or the page's own."""
    return next((rail for tab, rail in _TABS.items() if path == tab or path.startswith(f"{tab}/")), path)
