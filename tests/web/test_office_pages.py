"""Every office page for every role, shown or refused; scope; exports; and the ways in."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from python_calamine import load_workbook
from sqlalchemy import text

from loyalty.crypto import use_keyring
from loyalty.db import transaction
from tests.web.office_chain import LOG_INS, PASSWORD, code_now
from tests.web.office_desk import opened_office

ROLES = tuple(LOG_INS)
EVERYBODY = frozenset(ROLES)
LEDGER = frozenset({"office", "finance", "auditor", "district"})
OFFICE, FINANCE, AUDITOR = frozenset({"office"}), frozenset({"finance"}), frozenset({"auditor"})
READ_STAFF = frozenset({"office", "auditor", "district", "station"})
SERVE = frozenset({"office", "station", "cashier"})
STOCK = frozenset({"office", "district", "station"})

PAGES: list[tuple[str, frozenset[str]]] = [
    ("/office", EVERYBODY),
    ("/office/me", EVERYBODY),
    ("/office/me/password", EVERYBODY),
    ("/office/balance", FINANCE | AUDITOR),
    ("/office/customers", EVERYBODY),
    ("/office/customers?text=张伟", EVERYBODY),
    ("/office/customers?text=13900139001", EVERYBODY),
    ("/office/customers?kind=organisation", EVERYBODY),
    ("/office/customers/{zhang}", EVERYBODY),
    ("/office/customers/{firm}", EVERYBODY),
    ("/office/customers/new?kind=person", SERVE),
    ("/office/customers/new?kind=organisation", SERVE),
    ("/office/customers/{zhang}/edit", SERVE),
    ("/office/customers/{zhang}/close", SERVE),
    ("/office/customers/{zhang}/documents/new", SERVE),
    ("/office/customers/{zhang}/documents/{zhang-document}/reveal", OFFICE | AUDITOR),
    ("/office/customers/{zhang}/documents/{zhang-document}/remove", SERVE),
    ("/office/customers/{firm}/contacts/new", SERVE),
    ("/office/customers/{firm}/bank-accounts/new", SERVE),
    ("/office/customers/{zhang}/consents/new", SERVE),
    ("/office/merge-suggestions", EVERYBODY),
    ("/office/cards", EVERYBODY),
    ("/office/cards?text=沪A82K61", EVERYBODY),
    ("/office/cards/{zhang-card}", EVERYBODY),
    ("/office/cards/{firm-truck}", EVERYBODY),
    ("/office/cards/{zhang-card}/suspend", SERVE),
    ("/office/cards/{zhang-card}/lost", SERVE),
    ("/office/cards/{zhang-card}/close", frozenset({"station", "cashier"})),
    ("/office/cards/{zhang-card}/unlock", SERVE),
    ("/office/cards/{zhang-card}/label", SERVE),
    ("/office/cards/{zhang-card}/replace", SERVE),
    ("/office/cards/{zhang-card}/limits/new", OFFICE),
    *[
        (f"/office/cards/{{zhang-card}}/limits/new?kind={kind}", OFFICE)
        for kind in (
            "amount",
            "quantity",
            "count",
            "hours",
            "grades",
            "shop",
            "stations",
            "districts",
            "regions",
            "plate",
            "tank",
            "min_interval",
        )
    ],
    ("/office/accounts/{zhang-card-account}", LEDGER),
    ("/office/accounts/{bearer-account}", LEDGER),
    ("/office/liability", FINANCE | AUDITOR),
    ("/office/liability?at=2026-01-01T00:00", FINANCE | AUDITOR),
    ("/office/house", FINANCE | AUDITOR),
    ("/office/sales", EVERYBODY),
    ("/office/sales?flag=2&status=1&flow=1", EVERYBODY),
    ("/office/authorisations", EVERYBODY),
    ("/office/unresolved", EVERYBODY),
    ("/office/transfers", LEDGER),
    ("/office/transfers/{pending}", FINANCE),
    ("/office/receivables", LEDGER),
    ("/office/disputes", EVERYBODY),
    ("/office/disputes?status=any", EVERYBODY),
    ("/office/adjustments", LEDGER),
    ("/office/adjustments?status=any", LEDGER),
    ("/office/adjustments/{adjustment}", LEDGER),
    ("/office/adjustments/new?account={zhang-card-account}", OFFICE),
    ("/office/freezes", LEDGER),
    ("/office/freezes/new?account={zhang-card-account}", OFFICE),
    ("/office/freezes/{freeze}/lift", OFFICE),
    ("/office/closures", LEDGER),
    ("/office/failures", OFFICE | FINANCE | AUDITOR),
    ("/office/outbox", OFFICE),
    ("/office/stations", EVERYBODY),
    ("/office/stations/{S1}", EVERYBODY),
    ("/office/stations/{S1}/edit", OFFICE),
    ("/office/stations/{S1}/status", OFFICE),
    ("/office/stations/{S1}/terminals/new", OFFICE),
    ("/office/stations/new", OFFICE),
    ("/office/regions", EVERYBODY),
    ("/office/terminals", EVERYBODY),
    ("/office/prices", EVERYBODY),
    ("/office/prices/new", OFFICE),
    ("/office/prices/file", OFFICE),
    ("/office/price-list", EVERYBODY),
    ("/office/shifts", EVERYBODY),
    ("/office/day-closes", EVERYBODY),
    ("/office/card-products", EVERYBODY),
    ("/office/card-products/new", OFFICE),
    ("/office/rules", EVERYBODY),
    ("/office/rules/1", EVERYBODY),
    ("/office/rules/calendar", EVERYBODY),
    ("/office/rules/budgets", EVERYBODY),
    ("/office/rules/history", EVERYBODY),
    ("/office/rules/import", OFFICE),
    ("/office/tiers", EVERYBODY),
    ("/office/tiers/new", OFFICE),
    ("/office/tiers/settings", OFFICE),
    ("/office/tier-moves", EVERYBODY),
    ("/office/points", FINANCE | AUDITOR),
    ("/office/customers/{zhang}/points", EVERYBODY),
    ("/office/customers/{zhang}/rewards", EVERYBODY),
    ("/office/customers/{zhang}/tier", OFFICE),
    ("/office/agreements", EVERYBODY),
    ("/office/partners", OFFICE | FINANCE | AUDITOR),
    ("/office/campaigns", OFFICE | FINANCE | AUDITOR),
    ("/office/backtests", OFFICE | FINANCE | AUDITOR),
    ("/office/rules/1/trials", OFFICE | FINANCE | AUDITOR),
    ("/office/vouchers", EVERYBODY),
    ("/office/vouchers/kinds/new", OFFICE),
    ("/office/vouchers/monthly", EVERYBODY),
    ("/office/vouchers/monthly/new", OFFICE),
    ("/office/gifts", EVERYBODY),
    ("/office/gifts/new", OFFICE),
    ("/office/referrals", EVERYBODY),
    ("/office/referrals/new", OFFICE),
    ("/office/stock", EVERYBODY),
    ("/office/stock/produce", OFFICE),
    ("/office/stock/send", STOCK),
    ("/office/stock/count", STOCK),
    ("/office/staff", READ_STAFF),
    ("/office/staff/new", OFFICE),
    ("/office/staff/{cashier}", READ_STAFF),
    ("/office/staff/{cashier}/roles/new", OFFICE),
    ("/office/staff/{cashier}/card", OFFICE),
    ("/office/staff/{cashier}/unlock", STOCK),
    ("/office/access", READ_STAFF),
    ("/office/audit", AUDITOR),
]
LISTS = (
    "customers",
    "merge-suggestions",
    "cards",
    "sales",
    "authorisations",
    "unresolved",
    "transfers",
    "adjustments",
    "freezes",
    "closures",
    "stations",
    "terminals",
    "price-list",
    "shifts",
    "day-closes",
    "card-products",
    "rules/history",
    "stock",
    "staff",
    "access",
)


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office")) as office:
        yield office
        for desk in office.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


@pytest.mark.parametrize("role", ROLES)
async def test_each_page_is_shown_to_whom_it_is_for_and_refused_to_others(office, role):
    desk = await office.at(role)
    wrong = []
    for path, allowed in PAGES:
        answer = await desk.get(office.fill(path))
        if answer.status_code != (200 if role in allowed else 403):
            wrong.append((path, answer.status_code))
    assert wrong == []


async def test_nobody_sees_a_page_without_signing_in(office):
    stranger = office.stranger()
    for path, _allowed in PAGES:
        answer = await stranger.get(office.fill(path))
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/office/log-in"), path


async def test_english_pages_hold_no_chinese_but_names(office):
    desk = await office.at("office")
    page = (await desk.get("/office/freezes", **{"accept-language": "en"})).text
    assert "Ordered by an authority" in page
    assert "总部" not in page.split("<main")[1].split("中文")[0]


@pytest.mark.parametrize("path", ["/office/stations/{S2}", "/office/stations/{S2}/edit"])
async def test_a_station_outside_the_scope_is_unknown(office, path):
    desk = await office.at("district")
    assert (await desk.get(office.fill(path))).status_code == 404


async def test_lists_are_cut_to_the_scope(office):
    manager, whole = await office.at("station"), await office.at("office")
    names = {"/office/stations": "东门站", "/office/terminals": "东门站", "/office/price-list": "东门站", "/office/prices": "东门站"}
    for path, foreign in names.items():
        assert foreign in (await whole.get(path)).text.split("<main")[1], path
        table = (await manager.get(path)).text.split("<main")[1].partition("<table")[2]
        assert foreign not in table.partition("</table>")[0], path


async def test_a_shown_list_and_its_files_have_the_same_rows(office):
    desk = await office.at("auditor")
    for name in LISTS:
        page = await desk.get(f"/office/{name}")
        shown = page.text.rpartition("<tbody>")[2].partition("</tbody>")[0].count("<tr")
        spread = await desk.get(f"/office/{name}.xlsx")
        assert spread.status_code == 200, name
        rows = load_workbook(io.BytesIO(spread.content)).get_sheet_by_index(0).to_python()
        plain = list(csv.reader(io.StringIO((await desk.get(f"/office/{name}.csv")).content.decode("utf-8-sig"))))
        assert len(rows) == len(plain), name
        if "<tbody>" in page.text and name != "stock":
            assert len(plain) - 1 == shown, name


async def test_no_page_shows_a_whole_document_or_card_number(office):
    desk = await office.at("office")
    for path, allowed in PAGES:
        if "office" in allowed:
            page = (await desk.get(office.fill(path))).text
            assert "34052419800101001X" not in page, path
            assert office.chain.numbers["zhang-card"] not in page, path


async def test_a_sale_is_traced_to_its_transfers(office):
    desk = await office.at("auditor")
    listed = (await desk.get("/office/sales")).text
    href = listed.partition('href="/office/sales/')[2].partition('"')[0]
    page = await desk.get(f"/office/sales/{href}")
    assert page.status_code == 200
    assert "本金" in page.text


async def test_a_sale_says_who_drove_and_on_which_order(office):
    desk = await office.at("auditor")
    listed = (await desk.get("/office/sales")).text
    account, _, sale = listed.partition('href="/office/sales/')[2].partition('"')[0].partition("/")
    told = {"driver_number": "099", "order_number": "WO-7", "odometer_km": 123_456, "plate": "浙A12345"}
    async with transaction(office.sessions) as session:
        await session.execute(
            text(
                "UPDATE sales SET detail = coalesce(detail, '{}') || CAST(:told AS jsonb) WHERE account_id = :account AND sale_id = :sale"
            ),
            {"told": json.dumps(told), "account": account, "sale": sale},
        )
    page = (await desk.get(f"/office/sales/{account}/{sale}")).text
    for said in ("099（按现场所报）", "WO-7（按现场所报）", "123,456 km", "浙A12345"):
        assert said in page


async def test_the_ledger_runs_from_the_first_transfer_to_the_balance(office):
    desk = await office.at("finance")
    account = office.fill("{zhang-card-account}")
    plain = (await desk.get(f"/office/accounts/{account}/ledger.csv")).content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(plain)))
    balances = [row["之后余额"] for row in rows if row["之后余额"]]
    async with transaction(office.sessions) as session:
        held = await session.scalar(text("SELECT sum(balance_minor) FROM purses WHERE account_id = :a"), {"a": account})
    assert round(float(balances[0]) * 100) == held


async def test_an_unknown_name_and_a_wrong_password_get_the_same_answer(office):
    answers = []
    for name in ("nobody", "auditor"):
        stranger = office.stranger()
        answer = await stranger.send("/office/log-in", {"name": name, "password": "wrong horse battery"})
        assert answer.status_code == 401
        answers.append(answer.text.replace(name, "NAME"))
    first, second = (answer.partition("csrf_token")[0] for answer in answers)
    assert first == second


async def test_the_first_log_in_sets_up_an_authenticator_and_a_password(office):
    desk = office.stranger()
    begun = await desk.send("/office/log-in", {"name": "newcomer", "password": PASSWORD})
    assert begun.headers["location"] == "/office/log-in/authenticator"
    page = (await desk.get("/office/log-in/authenticator")).text
    secret = page.partition('class="mono">')[2].partition("<")[0].replace(" ", "")
    code = _code_of(secret)
    codes = await desk.send("/office/log-in/authenticator", {"code": code})
    assert codes.status_code in {200, 201, 303}
    assert codes.text.count("<li>") == 10
    weak = await desk.send("/office/log-in/password", {"password": "short", "again": "short"})
    assert weak.status_code == 422
    done = await desk.send("/office/log-in/password", {"password": "eight loud mountains part", "again": "eight loud mountains part"})
    assert done.headers["location"] == "/office"
    assert (await desk.get("/office")).status_code == 200


def _code_of(secret: str) -> str:
    import base64

    from loyalty.crypto import totp_code

    return totp_code(base64.b32decode(secret + "=" * (-len(secret) % 8)), now=datetime.now(UTC))


async def test_after_logging_out_the_cookie_opens_nothing(office):
    desk = office.stranger("office")
    await desk.log_in(later=timedelta(seconds=30))
    cookies = dict(desk.client.cookies)
    out = await desk.client.post(
        "/office/log-out", data={"csrf_token": (await desk.fields("/office"))["csrf_token"]}, follow_redirects=False
    )
    assert out.status_code == 303
    desk.client.cookies.update(cookies)
    assert (await desk.get("/office")).status_code == 303


def test_codes_are_of_this_chain():
    assert len(code_now()) == 6
