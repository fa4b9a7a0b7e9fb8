"""The holder's pictures: a tool of development, signed in with one of the demo's cards."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from loyalty.web.cashier.pictures import kept
from loyalty.web.pictures import Picture

if TYPE_CHECKING:
    from playwright.sync_api import Page


def prepare(page: "Page", base_url: str) -> None:
    """Sign in with the first card of the demo."""
    card = kept().cards[0]
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


PICTURES = (
    Picture("home", "/me"),
    Picture("code", "/me", then=_link(0)),
    Picture("card", "/me", then=_link(1)),
)
