"""The partners' portal in pictures: a tool of development, signed in as the demo's car wash, with a voucher of the demo's card holders."""

from typing import TYPE_CHECKING

from loyalty.web.cashier.pictures import kept
from loyalty.web.picture_people import sign_in
from loyalty.web.pictures import Picture

if TYPE_CHECKING:
    from playwright.sync_api import Page

_codes: list[str] = []
"""Of vouchers that the first of the demo's holders can redeem here, read off their own page once."""


def prepare(page: "Page", base_url: str) -> None:
    """Read a voucher's code, then sign in as the car wash's owner."""
    if not _codes:
        _codes.append(_code(page, base_url))
    sign_in(page, base_url, "partner", "owner")


def _code(page: "Page", base_url: str) -> str:
    card = next(one for one in kept().cards if "personal" in one.what)
    page.goto(f"{base_url}/me")
    page.fill("[name=number]", card.number)
    page.fill("[name=pin]", card.pin)
    page.press("[name=pin]", "Enter")
    page.wait_for_url("**/me")
    voucher = page.locator("main li:has-text('悦洗') a[href*='/me/vouchers/']").first.get_attribute("href")
    page.goto(f"{base_url}{voucher}")
    return str(page.locator("p.mono.strong").inner_text())


def _typed(page: "Page", code: str) -> None:
    page.fill("#f-code", code)
    page.press("#f-code", "Enter")
    page.wait_for_selector("#verdict")


def _good(page: "Page") -> None:
    """Look at a good code."""
    _typed(page, _codes[0])


def _wrong(page: "Page") -> None:
    """Look at one that is none."""
    _typed(page, "AAAA-AAAA-AAAA")


def _signed_out(page: "Page") -> None:
    page.context.clear_cookies(name="partner")
    page.reload(wait_until="networkidle")


def _back_in(page: "Page") -> None:
    sign_in(page, page.url.partition("/partner")[0], "partner", "owner")


def _receipt(page: "Page") -> None:
    """Follow the day's first line that has a receipt, where there is one."""
    links = page.locator("main tbody a[href*='/redemptions/']")
    if links.count():
        links.first.click()
        page.wait_for_selector("#receipt")


PICTURES = (
    Picture("home", "/partner"),
    Picture("verdict", "/partner", then=_good),
    Picture("refused", "/partner", then=_wrong),
    Picture("member", "/partner/members"),
    Picture("offline", "/partner/offline"),
    Picture("today", "/partner/today"),
    Picture("receipt", "/partner/today", then=_receipt),
    Picture("book", "/partner/book"),
    Picture("employees", "/partner/employees"),
    Picture("outlets", "/partner/outlets"),
    Picture("people", "/partner/people"),
    Picture("people-new", "/partner/people/new"),
    Picture("log-in", "/partner", then=_signed_out, after=_back_in),
)
