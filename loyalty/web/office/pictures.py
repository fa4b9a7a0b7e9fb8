"""The office's pictures: a tool of development. Who signs in stands in the demo's file of log-ins, named by the environment."""

import base64
import os
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


def _as_auditor(page: "Page") -> None:
    """Go on as the auditor, who sees money and trail."""
    base_url = page.url.partition("/office")[0]
    _sign_in(page, base_url, "auditor")
    page.goto(f"{base_url}/office", wait_until="networkidle")


def _first_row(page: "Page") -> None:
    """Open what the list's first row leads to."""
    page.locator("main tbody a").first.click()
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
    Picture("customers", "/office/customers"),
    Picture("customer", "/office/customers", then=_first_row),
    Picture("customer-new", "/office/customers/new?kind=person"),
    Picture("cards", "/office/cards?status=2"),
    Picture("card", "/office/cards?status=2", then=_first_row),
    Picture("sales", "/office/sales"),
    Picture("sale", "/office/sales", then=_first_row),
    Picture("unresolved", "/office/unresolved"),
    Picture("transfers", "/office/transfers"),
    Picture("adjustments", "/office/adjustments"),
    Picture("freezes", "/office/freezes"),
    Picture("closures", "/office/closures"),
    Picture("stations", "/office/stations"),
    Picture("station", "/office/stations", then=_first_row),
    Picture("terminals", "/office/terminals"),
    Picture("prices", "/office/prices"),
    Picture("prices-new", "/office/prices/new"),
    Picture("shifts", "/office/shifts"),
    Picture("card-products", "/office/card-products"),
    Picture("card-product", "/office/card-products", then=_first_row),
    Picture("discounts", "/office/discounts"),
    Picture("stock", "/office/stock"),
    Picture("staff", "/office/staff"),
    Picture("person", "/office/staff", then=_first_row),
    Picture("home", "/office", then=_as_auditor),
    Picture("liability", "/office/liability"),
    Picture("house", "/office/house"),
    Picture("access", "/office/access"),
    Picture("audit", "/office/audit"),
)
