"""The holder's pictures: a tool of development, signed in with one of the demo's cards."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loyalty.web.cashier.pictures import kept
from loyalty.web.pictures import Picture

if TYPE_CHECKING:
    from playwright.sync_api import Page


def _card() -> Any:
    return next((card for card in kept().cards if "gold" in card.what), kept().cards[0])


def prepare(page: "Page", base_url: str) -> None:
    """Sign in with the demo's gold card: its holder has a bit of everything."""
    card = _card()
    page.goto(f"{base_url}/me")
    page.fill("[name=number]", card.number)
    page.fill("[name=pin]", card.pin)
    page.press("[name=pin]", "Enter")
    page.wait_for_url("**/me")
    page.wait_for_load_state("networkidle")


def _link(number: int) -> Callable[["Page"], None]:
    """Return how a link of the page is followed."""

    def then(page: "Page") -> None:
        page.locator("main a.btn").nth(number).click()
        page.wait_for_load_state("networkidle")

    return then


def _voucher(page: "Page") -> None:
    """Show the first voucher's code, where the holder has one."""
    links = page.locator("main a[href*='/me/vouchers/']")
    if links.count():
        links.first.click()
        page.wait_for_load_state("networkidle")


def _frozen(page: "Page") -> None:
    """Stop the card for a while."""
    _link(1)(page)
    page.locator("form[action$='/freeze'] button").click()
    page.wait_for_selector("form[action$='/thaw']")


def _thawed(page: "Page") -> None:
    """Let it live again."""
    page.fill("#f-pin", _card().pin)
    page.press("#f-pin", "Enter")
    page.wait_for_selector("form[action$='/freeze']")


def _signed_out(page: "Page") -> None:
    page.locator("form[action$='/sign-out'] button").click()
    page.wait_for_url("**/me?out=1")


def _refused(page: "Page") -> None:
    """Type a number that no card has."""
    page.fill("#f-number", "8800100000000000000")
    page.fill("#f-pin", "135790")
    page.press("#f-pin", "Enter")
    page.wait_for_selector(".notice.bad")


PICTURES = (
    Picture("consents", "/me/consents"),
    Picture("home", "/me"),
    Picture("code", "/me", then=_link(0)),
    Picture("voucher", "/me", then=_voucher),
    Picture("card", "/me", then=_link(1)),
    Picture("card-frozen", "/me", then=_frozen, after=_thawed),
    Picture("no-such-page", "/me/nothing", status=404),
    Picture("signed-out", "/me", then=_signed_out),
    Picture("sign-in-refused", "/me", then=_refused),
)
