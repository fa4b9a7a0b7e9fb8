"""Every route of the portal for every role, of one's own company and of another: shown, refused, or unknown."""

import re

import pytest

from loyalty.crypto import use_keyring
from loyalty.identity.model_portal import PortalRole
from loyalty.identity.portal_rules import FLEET_PERMISSIONS, FleetPermission
from loyalty.web.fleet.routes import fleet
from tests.web.fleet.portal import opened_portal

ROLES = [role.value for role in PortalRole]
EVERYBODY = frozenset(ROLES)


def who_may(permission: FleetPermission) -> frozenset[str]:
    return frozenset(role.value for role, known in FLEET_PERMISSIONS.items() if permission in known)


# The beginning of an address and who may see it. The longest that fits counts; whatever is missing here fails the walk below.
RULES = {
    "/fleet": EVERYBODY,
    "/fleet/news": EVERYBODY,
    "/fleet/group": who_may(FleetPermission.READ_GROUP),
    "/fleet/notices": EVERYBODY,
    "/fleet/statements/mail": who_may(FleetPermission.READ_STATEMENTS),
    "/fleet/vehicles": EVERYBODY,
    "/fleet/vehicles/sheet": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/vehicles/import": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/vehicles/new": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/vehicles/{vehicle_id}": EVERYBODY,
    "/fleet/vehicles/{vehicle_id}/odometer": EVERYBODY,
    "/fleet/vehicles/{vehicle_id}/odometer/": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/vehicles/{vehicle_id}/": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/drivers": EVERYBODY,
    "/fleet/drivers/sheet": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/drivers/import": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/drivers/new": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/drivers/{driver_id}": EVERYBODY,
    "/fleet/drivers/{driver_id}/": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/drivers/{driver_id}/unlock": who_may(FleetPermission.UNLOCK_DRIVERS),
    "/fleet/cards": EVERYBODY,
    "/fleet/cards/sheet": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/cards/import": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/cards/keepers": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/cards/{card_id}": EVERYBODY,
    "/fleet/cards/{card_id}/": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/cards/{card_id}/suspend": who_may(FleetPermission.STOP_CARDS),
    "/fleet/cards/{card_id}/resume": who_may(FleetPermission.STOP_CARDS),
    "/fleet/cards/{card_id}/lost": who_may(FleetPermission.STOP_CARDS),
    "/fleet/cards/{card_id}/pin-unlock": who_may(FleetPermission.UNLOCK_DRIVERS),
    "/fleet/cards/{card_id}/borrow": who_may(FleetPermission.BORROW_CARDS),
    "/fleet/custody": EVERYBODY,
    "/fleet/custody/{loan_id}/": who_may(FleetPermission.LEND_CARDS),
    "/fleet/custody/{loan_id}/withdraw": who_may(FleetPermission.BORROW_CARDS),
    "/fleet/fills": EVERYBODY,
    "/fleet/economy": EVERYBODY,
    "/fleet/stations": EVERYBODY,
    "/fleet/fills/{sale_id}/": who_may(FleetPermission.DISPUTE),
    "/fleet/cash": EVERYBODY,
    "/fleet/cash/new": who_may(FleetPermission.FILE_CASH),
    "/fleet/cash/ask": who_may(FleetPermission.FILE_CASH),
    "/fleet/cash/{cash_id}/receipt/add": who_may(FleetPermission.FILE_CASH),
    "/fleet/cash/{cash_id}/withdraw": who_may(FleetPermission.FILE_CASH),
    "/fleet/cash/{cash_id}/approve": who_may(FleetPermission.APPROVE_CASH),
    "/fleet/cash/{cash_id}/refuse": who_may(FleetPermission.APPROVE_CASH),
    "/fleet/cash/{cash_id}/reimburse": who_may(FleetPermission.APPROVE_CASH),
    "/fleet/disputes": EVERYBODY,
    "/fleet/disputes/{dispute_id}/": who_may(FleetPermission.DISPUTE),
    "/fleet/approvals": EVERYBODY,
    "/fleet/approvals/{approval_id}/": who_may(FleetPermission.RELEASE_LIMITS),
    "/fleet/findings": EVERYBODY,
    "/fleet/findings/{finding_id}/": who_may(FleetPermission.DISPUTE),
    "/fleet/limits/{level}/{of}": EVERYBODY,
    "/fleet/limits/{level}/{of}/": who_may(FleetPermission.EDIT_LIMITS),
    "/fleet/limits/{level}/{of}/permit": who_may(FleetPermission.LEND_CARDS),
    "/fleet/limits/{level}/{of}/releases": who_may(FleetPermission.RELEASE_LIMITS),
    "/fleet/orders": who_may(FleetPermission.EDIT_LIMITS),
    "/fleet/limits/{level}/{of}/release": who_may(FleetPermission.RELEASE_LIMITS),
    "/fleet/profiles": EVERYBODY,
    "/fleet/profiles/": who_may(FleetPermission.EDIT_LIMITS),
    "/fleet/account": who_may(FleetPermission.INVOICES),
    "/fleet/allocations": EVERYBODY,
    "/fleet/allocations/early": EVERYBODY,
    "/fleet/allocations/early/new": who_may(FleetPermission.REQUEST_ALLOCATION),
    "/fleet/allocations/file": who_may(FleetPermission.REQUEST_ALLOCATION),
    "/fleet/allocations/moves": who_may(FleetPermission.MOVE_MONEY),
    "/fleet/allocations/runs/{run_id}/retry": who_may(FleetPermission.MOVE_MONEY),
    "/fleet/allocations/table": who_may(FleetPermission.SETTINGS),
    "/fleet/statements": who_may(FleetPermission.READ_STATEMENTS),
    "/fleet/invoices": who_may(FleetPermission.INVOICES),
    "/fleet/departments": EVERYBODY,
    "/fleet/departments/": who_may(FleetPermission.EDIT_STRUCTURE),
    "/fleet/people": who_may(FleetPermission.MANAGE_PEOPLE),
    "/fleet/api": who_may(FleetPermission.API_KEYS),
    "/fleet/webhooks": who_may(FleetPermission.API_KEYS),
    "/fleet/settings": who_may(FleetPermission.SETTINGS),
    "/fleet/me": EVERYBODY,
}
NAMED = {
    "vehicle_id": "vehicle",
    "driver_id": "driver",
    "card_id": "card",
    "department_id": "room",
    "user_id": "viewer",
    "invitation_id": "invitation",
    "request_id": "request",
    "run_id": "run",
    "approval_id": "approval",
    "level": "level",
    "of": "card",
    "limit_id": "limit",
    "change_id": "change",
    "release_id": "release",
    "order_id": "order",
    "sale_id": "sale",
    "dispute_id": "dispute",
    "loan_id": "loan",
    "cash_id": "cash",
    "profile_id": "profile",
    "reading_id": "reading",
    "finding_id": "finding",
    "invoice_id": "invoice",
    "title_id": "title",
    "key_id": "key",
    "webhook_id": "webhook",
    "delivery_id": "message",
    "part": "part",
    "whose": "vehicle",
    "file": "statement",
}


def routes() -> list[tuple[str, str]]:
    """Return each address and method of the portal that takes a session, as templates `/fleet/vehicles/{vehicle_id}`."""
    found = set()
    for route in fleet.routes:
        for handler in route.route_handlers:
            if not handler.opt.get("public"):
                found |= {(route.path_format, str(method)) for method in handler.http_methods if method in {"GET", "POST"}}
    return sorted(found)


def rule_of(address: str) -> frozenset[str]:
    plain = re.sub(r"\.(xlsx|csv)$", "", address)
    best = max((one for one in RULES if plain == one or (plain.startswith(one) and (one.endswith("/") or plain[len(one)] == "/"))), key=len)
    assert best != "/fleet" or plain == "/fleet", f"{address} has no rule"
    return RULES[best]


def filled(address: str, ids: dict, room: str = "north") -> str:
    def found(match: re.Match[str]) -> str:
        name = NAMED[match[1]]
        return str(ids.get(name) or ids[f"{room}-{name}"])

    return re.sub(r"\{(\w+)\}", found, address)


@pytest.fixture(scope="module")
async def portal(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_portal(url, tmp_path_factory.mktemp("portal")) as found:
        yield found
        for browser in found.browsers.values():
            await browser.client.aclose()
    use_keyring(None)
    await databases.drop(url)


ROUTES = routes()


@pytest.mark.parametrize("role", ROLES)
async def test_each_page_is_shown_or_refused_by_role(portal, role):
    browser = await portal.at("ours", role)
    wrong = {}
    for address, method in ROUTES:
        if method != "GET":
            continue
        answer = await browser.get(filled(address, portal.firms["ours"].ids))
        expected = 200 if role in rule_of(address) else 403
        if answer.status_code != expected:
            wrong[address] = (answer.status_code, expected)
    assert wrong == {}


@pytest.mark.parametrize("role", ROLES)
async def test_another_companys_objects_are_unknown_to_every_role(portal, role):
    browser = await portal.at("ours", role)
    fields = await browser.fields("/fleet/me/password")
    wrong = {}
    for address, method in ROUTES:
        if "{" not in address:
            continue
        path = filled(address, portal.firms["theirs"].ids)
        if method == "GET":
            answer = await browser.get(path)
        else:
            sent = {"csrf_token": fields["csrf_token"], "name": "x", "plate": "浙A99999", "type": "car", "number": "9", "role": "viewer"}
            sent |= {"pin": "7412", "again": "7412"}
            answer = await browser.client.post(path, data=sent, follow_redirects=False)
        expected = {404} if role in rule_of(address) else {403}
        if answer.status_code not in expected:
            wrong[method, address] = answer.status_code
    assert wrong == {}
