"""The office's pictures: a tool of development. Who signs in stands in the demo's file of log-ins, named by the environment."""

import base64
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loyalty.crypto import totp_code
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


def _first(onward: str = "", *, link: str = "main tbody a") -> Callable[["Page"], None]:
    """Return how the list's first row is opened, and which of its pages then."""

    def then(page: "Page") -> None:
        page.goto(page.url.partition("/office")[0] + str(page.locator(link).first.get_attribute("href")), wait_until="networkidle")
        if onward:
            page.goto(page.url.partition("?")[0] + onward, wait_until="networkidle")

    return then


def _through(*links: str) -> Callable[["Page"], None]:
    """Return how one link after another is followed."""

    def then(page: "Page") -> None:
        for link in links:
            _first(link=link)(page)

    return then


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


def _sign_in(page: "Page", base_url: str, role: str) -> None:
    known = _signed_in.get((base_url, role))
    page.context.clear_cookies(name="office")
    if known is None:
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
    else:
        page.context.add_cookies(known)


PICTURES = (
    Picture("home", "/office"),
    Picture("customers", "/office/customers"),
    Picture("customers-none", "/office/customers?text=zzzz"),
    Picture("customer", "/office/customers", then=_first()),
    Picture("organisation", "/office/customers?kind=organisation", then=_first()),
    Picture("customer-new", "/office/customers/new?kind=person"),
    Picture("customer-faults", "/office/customers/new?kind=person", then=_faulty),
    Picture("organisation-new", "/office/customers/new?kind=organisation"),
    Picture("customer-edit", "/office/customers", then=_first("/edit")),
    Picture("customer-close", "/office/customers", then=_first("/close")),
    Picture("customer-document", "/office/customers", then=_first("/documents/new")),
    Picture("customer-contact", "/office/customers", then=_first("/contacts/new")),
    Picture("customer-bank-account", "/office/customers", then=_first("/bank-accounts/new")),
    Picture("customer-consent", "/office/customers", then=_first("/consents/new")),
    Picture("customer-reveal", "/office/customers", then=_through("main tbody a", "a[href$='/reveal']")),
    Picture("merge-suggestions", "/office/merge-suggestions"),
    Picture("cards", "/office/cards?status=2"),
    Picture("card", "/office/cards?status=2", then=_first()),
    Picture("card-suspend", "/office/cards?status=2", then=_first("/suspend")),
    Picture("card-lost", "/office/cards?status=2", then=_first("/lost")),
    Picture("card-label", "/office/cards?status=2", then=_first("/label")),
    Picture("card-replace", "/office/cards?status=2", then=_first("/replace")),
    Picture("card-limits", "/office/cards?status=2", then=_first("/limits/new")),
    Picture("card-lost", "/office/cards?status=4", then=_first()),
    Picture("sales", "/office/sales"),
    Picture("sale", "/office/sales", then=_first()),
    Picture("authorisations", "/office/authorisations"),
    Picture("unresolved", "/office/unresolved"),
    Picture("unresolved-one", "/office/unresolved", then=_first()),
    Picture("transfers", "/office/transfers"),
    Picture("adjustments", "/office/adjustments"),
    Picture("adjustment", "/office/adjustments", then=_first()),
    Picture("freezes", "/office/freezes"),
    Picture("closures", "/office/closures"),
    Picture("stations", "/office/stations"),
    Picture("station", "/office/stations", then=_first()),
    Picture("station-edit", "/office/stations", then=_first("/edit")),
    Picture("station-status", "/office/stations", then=_first("/status")),
    Picture("station-new", "/office/stations/new"),
    Picture("regions", "/office/regions"),
    Picture("terminals", "/office/terminals"),
    Picture("terminal", "/office/terminals", then=_first(link="main tbody a[href*='/terminals/']")),
    Picture("terminal-enrol", "/office/terminals", then=_first("/enrol", link="main tbody a[href*='/terminals/']")),
    Picture("terminal-caps", "/office/terminals", then=_first("/caps", link="main tbody a[href*='/terminals/']")),
    Picture("terminal-new", "/office/stations", then=_first("/terminals/new")),
    Picture("prices", "/office/prices"),
    Picture("price-list", "/office/price-list"),
    Picture("prices-new", "/office/prices/new"),
    Picture("prices-file", "/office/prices/file"),
    Picture("shifts", "/office/shifts"),
    Picture("shift", "/office/shifts?status=closed", then=_first()),
    Picture("day-closes", "/office/day-closes"),
    Picture("card-products", "/office/card-products"),
    Picture("card-product", "/office/card-products", then=_first()),
    Picture("card-product-edit", "/office/card-products", then=_first("/edit")),
    Picture("card-product-new", "/office/card-products/new"),
    Picture("discounts", "/office/discounts"),
    Picture("discount-new", "/office/discounts/new"),
    Picture("stock", "/office/stock"),
    Picture("stock-produce", "/office/stock/produce"),
    Picture("stock-send", "/office/stock/send"),
    Picture("stock-count", "/office/stock/count"),
    Picture("staff", "/office/staff"),
    Picture("person", "/office/staff", then=_first()),
    Picture("person-edit", "/office/staff", then=_first("/edit")),
    Picture("person-role", "/office/staff", then=_first("/roles/new")),
    Picture("person-leave", "/office/staff", then=_first("/leave")),
    Picture("staff-new", "/office/staff/new"),
    Picture("me", "/office/me"),
    Picture("me-password", "/office/me/password"),
    Picture("account", "/office/adjustments", then=_through("main tbody a", "a[href^='/office/accounts/']")),
    Picture(
        "adjustment-new",
        "/office/adjustments",
        then=_through("main tbody a", "a[href^='/office/accounts/']", "a[href^='/office/adjustments/new']"),
    ),
    Picture(
        "freeze-new", "/office/adjustments", then=_through("main tbody a", "a[href^='/office/accounts/']", "a[href^='/office/freezes/new']")
    ),
    Picture("finance-home", "/office", then=_as("finance")),
    Picture("transfer", "/office/transfers", then=_first(link="main tbody a[href*='/office/transfers/']")),
    Picture("adjustment-check", "/office/adjustments", then=_first()),
    Picture("auditor-home", "/office", then=_as("auditor")),
    Picture("liability", "/office/liability"),
    Picture("house", "/office/house"),
    Picture("access", "/office/access"),
    Picture("audit", "/office/audit"),
    Picture("no-such-page", "/office/customers/nobody", status=404),
    Picture("manager-home", "/office", then=_as("station_manager")),
    Picture("sale-refund", "/office/sales", then=_first("/refund")),
    Picture("log-in", "/office", then=_out),
    Picture("log-in-refused", "/office", then=_refused),
    Picture("log-in-code", "/office", then=_second_factor),
)
