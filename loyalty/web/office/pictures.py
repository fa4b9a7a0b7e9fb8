"""The office's pictures: a tool of development. Who signs in stands in the demo's file of log-ins, named by the environment."""

import base64
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loyalty.crypto import totp_code
from loyalty.web.office.pictures_rules import ALLIANCES, MONEY, RULES, first, through
from loyalty.web.pictures import Picture

if TYPE_CHECKING:
    from playwright.sync_api import Page

LOG_INS = "LOYALTY_PICTURES_LOG_INS"
"""The environment's name for the file that the demo wrote beside the keys."""

_signed_in: dict[tuple[str, str], list[Any]] = {}
"""Cookies by address and role: a code is good once, so one signing in serves every width and language."""


class _LogIn(msgspec.Struct):
    log_in_name: str
    role: str
    password: str
    totp_secret: str


class _LogIns(msgspec.Struct):
    office: list[_LogIn] = []


def prepare(page: "Page", base_url: str) -> None:
    """Sign in as somebody of the office."""
    _sign_in(page, base_url, "office")


def _as(role: str) -> Callable[["Page"], None]:
    """Return how somebody else goes on from the page that was asked for."""

    def then(page: "Page") -> None:
        asked = page.url
        _sign_in(page, asked.partition("/office")[0], role)
        page.goto(asked, wait_until="networkidle")

    return then


def _faulty(page: "Page") -> None:
    """Send a form with faults: they are listed, each leads to its field."""
    page.evaluate("document.querySelectorAll('[required]').forEach(each => each.removeAttribute('required'))")
    page.fill("#f-phone", "12")
    page.locator("main form button").first.click()
    page.wait_for_selector("#problem a")


def _out(page: "Page") -> None:
    page.context.clear_cookies(name="office")
    page.goto(page.url, wait_until="networkidle")


def _refused(page: "Page") -> None:
    _out(page)
    page.fill("[name=name]", "nobody")
    page.fill("[name=password]", "nothing of the kind")
    page.press("[name=password]", "Enter")
    page.wait_for_selector(".notice.bad")


def _second_factor(page: "Page") -> None:
    """Come in as far as the second factor."""
    who = msgspec.json.decode(Path(os.environ[LOG_INS]).read_bytes(), type=_LogIns).office[0]
    _out(page)
    page.fill("[name=name]", who.log_in_name)
    page.fill("[name=password]", who.password)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/log-in/code**")
    page.wait_for_load_state("networkidle")


_seen: dict[str, str] = {}
"""Addresses and secrets that one picture finds and a later one needs."""


def _site(page: "Page") -> str:
    return page.url.partition("/office")[0]


def _secret(role: str) -> str:
    people = msgspec.json.decode(Path(os.environ[LOG_INS]).read_bytes(), type=_LogIns).office
    return next(one.totp_secret for one in people if one.role.endswith(f", {role}"))


def _sent(page: "Page", field: str, until: str, *, secret: str) -> None:
    """Press Enter in a field and wait; where the second factor is asked for again, give it, and the form goes on."""
    page.press(field, "Enter")
    page.wait_for_selector(f"{until}, #step-up")
    if page.locator("#step-up").count():
        page.fill("#step-up-code", totp_code(base64.b32decode(secret), now=datetime.now(UTC)))
        page.press("#step-up-code", "Enter")
        page.wait_for_selector(until)
    page.wait_for_load_state("networkidle")


def _merged(page: "Page") -> None:
    """Enter somebody twice, and say that they are one: the way back is offered."""
    site, phone = _site(page), f"137{time.time_ns() // 10**6 % 10**8:08}"
    for _time in range(2):
        page.goto(f"{site}/office/customers/new?kind=person")
        page.fill("#f-name", "罗晓岚")
        page.fill("#f-phone", phone)
        page.press("#f-phone", "Enter")
        page.wait_for_url(lambda url: "/new" not in url)
    page.goto(f"{site}/office/merge-suggestions")
    row = page.locator("main tbody tr", has_text="罗晓岚").first
    page.goto(site + str(row.locator("a[href*='/merge-suggestions/']").get_attribute("href")))
    page.fill("#f-reason", "同一手机号，本人到店确认")
    page.press("#f-reason", "Enter")
    page.wait_for_selector(".toast")
    page.wait_for_load_state("networkidle")
    _seen["undo"] = str(page.locator(".toast form").get_attribute("action"))


def _undo_merge(page: "Page") -> None:
    page.goto(_site(page) + _seen["undo"], wait_until="networkidle")


def _hired(page: "Page") -> None:
    """Hire somebody, who is given a log-in next."""
    number = time.time_ns() // 10**6 % 10**7
    page.fill("#f-number", f"E{number:07}")
    page.fill("#f-name", "何晓雨")
    _sent(page, "#f-name", "a[href$='/log-in']", secret=_secret("office"))
    _seen["person"], _seen["name"] = page.url.partition("?")[0], f"he{number}"
    page.goto(f"{_seen['person']}/log-in", wait_until="networkidle")


def _password_shown(page: "Page") -> None:
    """Give a log-in: its password is shown once."""
    page.goto(f"{_seen['person']}/log-in")
    page.fill("#f-name", _seen["name"])
    _sent(page, "#f-name", "main section strong.mono", secret=_secret("office"))
    _seen["password"] = page.locator("main strong.mono").nth(1).inner_text()


def _newcomer(page: "Page") -> None:
    """Come in for the first time: an authenticator is set up."""
    _out(page)
    page.fill("[name=name]", _seen["name"])
    page.fill("[name=password]", _seen["password"])
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/log-in/authenticator**")
    page.wait_for_load_state("networkidle")
    _seen["secret"] = page.locator("details .mono").text_content() or ""


def _code_wrong(page: "Page") -> None:
    page.fill("[name=code]", "000000")
    page.press("[name=code]", "Enter")
    page.wait_for_selector(".notice.bad")


def _recovery_codes(page: "Page") -> None:
    secret = base64.b32decode(_seen["secret"].replace(" ", ""))
    page.fill("[name=code]", totp_code(secret, now=datetime.now(UTC)))
    page.press("[name=code]", "Enter")
    page.wait_for_selector(".codes")
    page.wait_for_load_state("networkidle")
    _seen["recovery"] = page.locator(".codes li").first.inner_text()


def _own_password(page: "Page", first: str, second: str, until: str) -> None:
    page.fill("[name=password]", first)
    page.fill("[name=again]", second)
    page.press("[name=again]", "Enter")
    page.wait_for_selector(until)
    page.wait_for_load_state("networkidle")


def _passwords_differ(page: "Page") -> None:
    _own_password(page, "four quiet rivers meet", "four quiet rivers met", "[aria-invalid], .fault")


def _password_weak(page: "Page") -> None:
    _own_password(page, "too short", "too short", "#problem .notice")


def _chosen(page: "Page") -> None:
    """Choose a password; nobody has given a role yet."""
    _own_password(page, "four quiet rivers meet", "four quiet rivers meet", ".frame")


def _step_up(page: "Page") -> None:
    """Give a wrong code where the second factor is asked for again, in a form sent without script."""
    page.evaluate(
        """() => {
          const token = document.querySelector("[name=csrf_token]").value, form = document.createElement("form");
          form.method = "post";
          form.action = "/office/step-up";
          for (const [name, value] of Object.entries({csrf_token: token, code: "000000", back: "/office"})) {
            form.append(Object.assign(document.createElement("input"), {type: "hidden", name, value}));
          }
          document.body.append(form);
          form.submit();
        }"""
    )
    page.wait_for_selector(".sheet .notice.bad")
    page.wait_for_load_state("networkidle")


def _step_up_in_page(page: "Page") -> None:
    """Give a wrong code within the page whose form waits."""
    page.evaluate(
        """() => window.htmx.ajax("POST", "/office/step-up", {target: "#problem", values: {
             csrf_token: document.querySelector("[name=csrf_token]").value, code: "000001", back: "/office"}})"""
    )
    page.wait_for_selector("#step-up")
    page.wait_for_load_state("networkidle")


def _recovery(page: "Page") -> None:
    """Come in with a recovery code instead of the authenticator's."""
    _out(page)
    page.fill("[name=name]", _seen["name"])
    page.fill("[name=password]", "four quiet rivers meet")
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/log-in/code**")
    page.goto(f"{_site(page)}/office/log-in/code?recovery", wait_until="networkidle")


def _sign_in(page: "Page", base_url: str, role: str) -> None:
    """Sign in as somebody of a role, with the cookies of an earlier look while they are good."""
    page.context.clear_cookies(name="office")
    if known := _signed_in.get((base_url, role)):
        page.context.add_cookies(known)
        page.goto(f"{base_url}/office")
        if "/log-in" not in page.url:
            return
        page.context.clear_cookies(name="office")
    people = msgspec.json.decode(Path(os.environ[LOG_INS]).read_bytes(), type=_LogIns).office
    who = next((one for one in people if one.role.endswith(f", {role}")), people[0])
    page.goto(f"{base_url}/office/log-in")
    page.fill("[name=name]", who.log_in_name)
    page.fill("[name=password]", who.password)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/log-in/code**")
    page.fill("[name=code]", totp_code(base64.b32decode(who.totp_secret), now=datetime.now(UTC)))
    page.press("[name=code]", "Enter")
    page.wait_for_url(f"{base_url}/office")
    _signed_in[base_url, role] = [cookie for cookie in page.context.cookies() if cookie["name"] in {"office", "office-form"}]


PICTURES = (
    Picture("home", "/office"),
    Picture("failures-none", "/office/failures"),
    Picture("customers", "/office/customers"),
    Picture("customers-none", "/office/customers?text=zzzz"),
    Picture("customer", "/office/customers", then=first()),
    Picture("organisation", "/office/customers?kind=organisation", then=first()),
    Picture("customer-new", "/office/customers/new?kind=person"),
    Picture("customer-faults", "/office/customers/new?kind=person", then=_faulty),
    Picture("organisation-new", "/office/customers/new?kind=organisation"),
    Picture("customer-edit", "/office/customers", then=first("/edit")),
    Picture("customer-close", "/office/customers", then=first("/close")),
    Picture("customer-document", "/office/customers", then=first("/documents/new")),
    Picture("customer-contact", "/office/customers", then=first("/contacts/new")),
    Picture("customer-bank-account", "/office/customers", then=first("/bank-accounts/new")),
    Picture("customer-consent", "/office/customers", then=first("/consents/new")),
    Picture("customer-reveal", "/office/customers", then=through("main tbody a", "a[href$='/reveal']")),
    Picture("merge-suggestions", "/office/merge-suggestions"),
    Picture("merge-suggestion", "/office/merge-suggestions", then=first(link="main tbody a[href*='/merge-suggestions/']")),
    Picture("merged", "/office/customers", then=_merged),
    Picture("merge-undo", "/office/customers", then=_undo_merge),
    Picture("cards", "/office/cards?status=2"),
    Picture("card", "/office/cards?status=2", then=first()),
    Picture("card-suspend", "/office/cards?status=2", then=first("/suspend")),
    Picture("card-lost", "/office/cards?status=2", then=first("/lost")),
    Picture("card-label", "/office/cards?status=2", then=first("/label")),
    Picture("card-replace", "/office/cards?status=2", then=first("/replace")),
    Picture("card-limits", "/office/cards?status=2", then=first("/limits/new")),
    Picture("card-lost", "/office/cards?status=4", then=first()),
    Picture("sales", "/office/sales"),
    Picture("sale", "/office/sales", then=first()),
    Picture("authorisations", "/office/authorisations"),
    Picture("unresolved", "/office/unresolved"),
    Picture("unresolved-one", "/office/unresolved", then=first()),
    Picture("transfers", "/office/transfers"),
    Picture("invoices", "/office/invoices"),
    Picture("receivables", "/office/receivables"),
    Picture("outbox", "/office/outbox"),
    Picture("disputes", "/office/disputes"),
    Picture("adjustments", "/office/adjustments"),
    Picture("adjustment", "/office/adjustments", then=first()),
    Picture("freezes", "/office/freezes"),
    Picture("closures", "/office/closures"),
    Picture("stations", "/office/stations"),
    Picture("station", "/office/stations", then=first()),
    Picture("station-edit", "/office/stations", then=first("/edit")),
    Picture("station-status", "/office/stations", then=first("/status")),
    Picture("station-new", "/office/stations/new"),
    Picture("regions", "/office/regions"),
    Picture("terminals", "/office/terminals"),
    Picture("terminal", "/office/terminals", then=first(link="main tbody a[href*='/terminals/']")),
    Picture("terminal-enrol", "/office/terminals", then=first("/enrol", link="main tbody a[href*='/terminals/']")),
    Picture("terminal-caps", "/office/terminals", then=first("/caps", link="main tbody a[href*='/terminals/']")),
    Picture("terminal-new", "/office/stations", then=first("/terminals/new")),
    Picture("prices", "/office/prices"),
    Picture("price-list", "/office/price-list"),
    Picture("price-withdraw", "/office/prices", then=first(link="main a[href$='/withdraw']")),
    Picture("prices-new", "/office/prices/new"),
    Picture("prices-file", "/office/prices/file"),
    Picture("shifts", "/office/shifts"),
    Picture("shift", "/office/shifts?status=closed", then=first()),
    Picture("day-closes", "/office/day-closes"),
    Picture("day-close", "/office/day-closes", then=first()),
    Picture("card-products", "/office/card-products"),
    Picture("card-product", "/office/card-products", then=first()),
    Picture("card-product-edit", "/office/card-products", then=first("/edit")),
    Picture("card-product-new", "/office/card-products/new"),
    *RULES,
    *ALLIANCES,
    Picture("stock", "/office/stock"),
    Picture("stock-produce", "/office/stock/produce"),
    Picture("stock-send", "/office/stock/send"),
    Picture("stock-count", "/office/stock/count"),
    Picture("staff", "/office/staff"),
    Picture("person", "/office/staff", then=first()),
    Picture("person-edit", "/office/staff", then=first("/edit")),
    Picture("person-role", "/office/staff", then=first("/roles/new")),
    Picture("person-leave", "/office/staff", then=first("/leave")),
    Picture("staff-new", "/office/staff/new"),
    Picture("person-log-in", "/office/staff/new", then=_hired),
    Picture("person-password", "/office/staff", then=_password_shown),
    Picture("me", "/office/me"),
    Picture("me-password", "/office/me/password"),
    Picture("account", "/office/adjustments", then=through("main tbody a", "a[href^='/office/accounts/']")),
    Picture(
        "adjustment-new",
        "/office/adjustments",
        then=through("main tbody a", "a[href^='/office/accounts/']", "a[href^='/office/adjustments/new']"),
    ),
    Picture(
        "freeze-new", "/office/adjustments", then=through("main tbody a", "a[href^='/office/accounts/']", "a[href^='/office/freezes/new']")
    ),
    Picture("finance-home", "/office", then=_as("finance")),
    *MONEY,
    Picture("transfer", "/office/transfers", then=first(link="main tbody a[href*='/office/transfers/']")),
    Picture("purchase", "/office/transfers", then=first(link="main tbody a[href*='/office/purchases/']")),
    Picture("adjustment-check", "/office/adjustments", then=first()),
    Picture("closure", "/office/closures?status=requested", then=first()),
    Picture("closure-pay", "/office/closures?status=approved", then=first()),
    Picture("auditor-home", "/office", then=_as("auditor")),
    Picture("liability", "/office/liability"),
    Picture("house", "/office/house"),
    Picture("access", "/office/access"),
    Picture("audit", "/office/audit"),
    Picture("no-such-page", "/office/customers/nobody", status=404),
    Picture("manager-home", "/office", then=_as("station_manager")),
    Picture("unresolved-release", "/office/unresolved", then=first()),
    Picture("sale-refund", "/office/sales", then=first("/refund")),
    Picture("log-in", "/office", then=_out),
    Picture("log-in-refused", "/office", then=_refused),
    Picture("log-in-code", "/office", then=_second_factor),
    Picture("first-authenticator", "/office", then=_newcomer),
    Picture("first-authenticator-refused", "/office/log-in/authenticator", then=_code_wrong, status=200),
    Picture("first-recovery-codes", "/office/log-in/authenticator", then=_recovery_codes),
    Picture("first-password", "/office/log-in/password"),
    Picture("first-passwords-differ", "/office/log-in/password", then=_passwords_differ),
    Picture("first-password-weak", "/office/log-in/password", then=_password_weak),
    Picture("home-without-role", "/office/log-in/password", then=_chosen),
    Picture("step-up-refused", "/office/me/password", then=_step_up),
    Picture("step-up-in-page", "/office/me/password", then=_step_up_in_page),
    Picture("log-in-recovery", "/office", then=_recovery),
    Picture("log-in-recovery-refused", "/office/log-in/code?recovery", then=_code_wrong),
)
