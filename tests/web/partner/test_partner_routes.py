"""Every route of the partners' portal for every role, of one's own partner and of another: shown, refused, or unknown."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from loyalty.db import transaction
from loyalty.identity import operations as identity
from loyalty.identity.model_partner import PartnerRole
from loyalty.identity.partner_rules import PARTNER_PERMISSIONS, PartnerPermission
from partners.line_rules import Worth
from partners.model_lines import LineKind
from partners.model_settlement import DisputeReason
from partners.operations.api_keys import make_key
from partners.operations.files import Paper, add_evidence
from partners.operations.lines import Entry, book_line
from partners.operations.settlement import close_month, open_dispute
from partners.queries.api_keys import keys_of
from partners.queries.people import asked_of
from partners.web.partner.routes import partner_portal
from tests.factories.world import SYSTEM
from tests.web.partner.portal import ROLES

EVERYBODY = frozenset(ROLES)


def who_may(permission: PartnerPermission) -> frozenset[str]:
    return frozenset(role.value for role, known in PARTNER_PERMISSIONS.items() if permission in known)


REDEEM, BOOK, PEOPLE = (who_may(each) for each in (PartnerPermission.REDEEM, PartnerPermission.READ_LINES, PartnerPermission.MANAGE_PEOPLE))
# The beginning of an address and who may see it. The longest that fits counts; whatever is missing here fails the walk below.
RULES = {
    "/partner": EVERYBODY,
    "/partner/outlet": REDEEM,
    "/partner/codes": REDEEM,
    "/partner/offline": REDEEM,
    "/partner/photos": REDEEM,
    "/partner/redemptions": REDEEM,
    "/partner/members": REDEEM,
    "/partner/today": REDEEM,
    "/partner/outlets": who_may(PartnerPermission.PAUSE),
    "/partner/book": BOOK,
    "/partner/employees": BOOK,
    "/partner/people": PEOPLE,
    "/partner/api": who_may(PartnerPermission.API_KEYS),
    **{f"/partner/{page}": who_may(PartnerPermission.SETTLEMENT) for page in ("statements", "disputes", "files")},
}
LEADS_ON = {("/partner", "finance")}
"""Whom a page leads on to their own first page."""


def routes() -> list[tuple[str, str]]:
    found = set()
    for route in partner_portal.routes:
        for handler in route.route_handlers:
            if not handler.opt.get("public"):
                found |= {(route.path_format, str(method)) for method in handler.http_methods if method in {"GET", "POST"}}
    return sorted(found)


def rule_of(address: str) -> frozenset[str]:
    plain = re.sub(r"\.(xlsx|csv)$", "", address)
    best = max((one for one in RULES if plain == one or plain.startswith(f"{one}/")), key=len)
    assert best != "/partner" or plain == "/partner", f"{address} has no rule"
    return RULES[best]


ROUTES = routes()


@pytest.fixture(scope="module")
async def ids(portal):
    """Return what each house's addresses are filled with: its finance's record, its first outlet, a link that is open, a use."""
    filled = {}
    for name, house in portal.houses.items():
        now = datetime.now(UTC)
        month, settled = await settle(portal, house, now)
        async with transaction(portal.sessions) as session:
            await identity.invite_partner_user(
                session, partner_id=house.partner_id, email=f"guest@{name}.example", role=PartnerRole.FINANCE, actor=SYSTEM, now=now
            )
            asked = await asked_of(session, partner_id=house.partner_id, now=now)
            await make_key(session, partner_id=house.partner_id, name="till", outlets=None, actor=SYSTEM, now=now)
            keys = await keys_of(session, partner_id=house.partner_id)
        clerk = await portal.at(name, "clerk")
        page = await clerk.send("/partner", {"code": await portal.voucher(name, "fifty")}, to="/partner/codes")
        key = re.search(r'name="key" value="([^"]+)"', page.text)[1]
        await clerk.answer(page, {}, to="/partner/redemptions")
        filled[name] = settled | {
            "month": month,
            "kind": "csv",
            "number": 1,
            "user_id": house.people["finance"],
            "outlet_id": house.outlets[0],
            "invitation_id": asked[0].invitation_id,
            "key": key,
            "key_id": keys[0].key_id,
        }
    return filled


async def settle(portal, house, now) -> tuple[str, dict]:
    """Book a line of the month before and close it; dispute the line with a paper."""
    month = (now.replace(day=1) - timedelta(days=1)).date().replace(day=1)
    at, whose = datetime(month.year, month.month, 9, tzinfo=UTC), {"partner_id": house.partner_id, "actor": SYSTEM, "now": now}
    async with transaction(portal.sessions) as session:
        entry = Entry(kind=LineKind.SALE, source="sale:1", event_at=at, worth=Worth(100, 50, {"issuer": 50}, 0, 0, 0))
        await book_line(session, partner_id=house.partner_id, entry=entry, actor="system", now=at)
        await close_month(session, month=month, **whose)
        dispute = await open_dispute(session, number=1, reason=DisputeReason.AMOUNT, said="x", wanted_minor=5, **whose)
        file = await add_evidence(session, dispute_id=dispute, paper=Paper("a.pdf", b"%PDF-1.7 x"), **whose)
    return f"{month:%Y-%m}", {"dispute_id": dispute, "file_id": file}


def fill(address: str, ids: dict) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: str(ids[match[1]]), address)


@pytest.mark.parametrize("role", ROLES)
async def test_each_page_is_shown_or_refused_by_role(portal, ids, role):
    browser = await portal.at("ours", role)
    wrong = {}
    own = ids["ours"] | ({"user_id": portal.houses["ours"].people["clerk"]})
    for address, method in ROUTES:
        if method != "GET":
            continue
        path = fill(address, own)
        answer = await browser.get(path)
        expected = 303 if (address, role) in LEADS_ON else 200 if role in rule_of(address) else 403
        if answer.status_code != expected:
            wrong[address] = (answer.status_code, expected)
    assert wrong == {}


@pytest.mark.parametrize("role", ROLES)
async def test_another_partners_objects_are_unknown_to_every_role(portal, ids, role):
    browser = await portal.at("ours", role)
    token = re.search(
        r'name="csrf_token" value="([^"]+)"', (await browser.get("/partner/outlets" if role != "finance" else "/partner/book")).text
    )[1]
    wrong = {}
    for address, method in ROUTES:
        # A month or a line's number is each partner's own.
        if not re.search(r"_id\}|\{key\}", address):
            continue
        path = fill(address, ids["theirs"])
        if method == "GET":
            answer = await browser.get(path)
        else:
            sent = {"csrf_token": token, "why": "rain", "minutes": "30", "outlet": str(portal.houses["ours"].outlets[0])}
            answer = await browser.client.post(path, data=sent, follow_redirects=False)
        allowed = {404} if role in rule_of(address) else {403}
        if (method, address) == ("POST", "/partner/redemptions/{key}/undone") and role != "finance":
            # A key that this outlet never used leaves a tombstone of its own: another's use stands as it was.
            allowed = {303}
        if answer.status_code not in allowed:
            wrong[method, address] = answer.status_code
    assert wrong == {}
    theirs = await portal.at("theirs", "clerk")
    assert "已核销" in (await theirs.get(f"/partner/redemptions/{ids['theirs']['key']}")).text


async def test_a_clerk_serves_at_one_outlet_alone(portal, ids):
    clerk = await portal.at("ours", "clerk")
    west = portal.houses["ours"].outlets[1]
    assert (await clerk.get(f"/partner/outlets/{west}/pause")).status_code == 404
    await clerk.send("/partner", {"outlet": str(west)}, to="/partner/outlet")
    assert "东门店" in (await clerk.get("/partner")).text
    assert "西门店" not in (await clerk.get("/partner")).text
    assert ids


@pytest.mark.parametrize(
    "path", ["/partner", "/partner/today", "/partner/people", "/partner/redemptions/01990000-0000-7000-8000-000000000001"]
)
async def test_a_stranger_is_led_to_the_log_in(portal, path):
    answer = await portal.stranger().get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/partner/log-in")
