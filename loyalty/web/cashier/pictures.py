"""The counter's pictures: a tool of development. Who signs in stands in the demo's file of log-ins, the till's code in the environment."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loyalty.web.pictures import Picture

if TYPE_CHECKING:
    from playwright.sync_api import Page

LOG_INS = "LOYALTY_PICTURES_LOG_INS"
"""The environment's name for the file that the demo wrote beside the keys."""
CODE = "LOYALTY_PICTURES_CODE"
"""The environment's name for the code that `loyalty up` printed for the first station's counter."""

_cookies: dict[str, list[Any]] = {}
"""The till's cookies by address: its code is good once, so one enrolment serves every width and language."""


class _Person(msgspec.Struct):
    card_number: str
    pin: str
    role: str
    station: str


class _Card(msgspec.Struct):
    what: str
    number: str
    pin: str


class LogIns(msgspec.Struct):
    """What the demo kept."""

    counter: list[_Person] = []
    cards: list[_Card] = []


def kept() -> LogIns:
    """Read the demo's log-ins."""
    return msgspec.json.decode(Path(os.environ[LOG_INS]).read_bytes(), type=LogIns)


def prepare(page: "Page", base_url: str) -> None:
    """Be the first station's till, with its cashier signed in and a shift open."""
    cashier = next(person for person in kept().counter if "ashier" in person.role)
    if base_url in _cookies:
        page.context.add_cookies(_cookies[base_url])
        page.goto(f"{base_url}/cashier")
        if "locked" in page.url:
            page.fill("[name=pin] >> nth=0", cashier.pin)
            page.press("[name=pin] >> nth=0", "Enter")
            page.wait_for_url("**/cashier")
    else:
        page.goto(f"{base_url}/cashier/enrol")
        page.fill("[name=code]", os.environ[CODE])
        page.press("[name=code]", "Enter")
        page.wait_for_url("**/sign-in*")
        page.fill("[name=card]", cashier.card_number)
        page.fill("[name=pin]", cashier.pin)
        page.press("[name=pin]", "Enter")
        page.wait_for_url(lambda url: "sign-in" not in url)
        if page.url.endswith("/shift") and page.locator("#f-float").count():
            page.fill("#f-float", "500")
            page.press("#f-float", "Enter")
            page.wait_for_url("**/cashier")
    _cookies[base_url] = [cookie for cookie in page.context.cookies() if cookie.get("name", "").startswith("counter")]


def _on_the_card(onward: str = "", *, what: str = "") -> Callable[["Page"], None]:
    """Return how a card is looked up, and which of its pages is opened then."""

    def then(page: "Page") -> None:
        card = next((card for card in kept().cards if what in card.what.lower()), kept().cards[0])
        page.fill("#lookup", card.number)
        page.press("#lookup", "Enter")
        page.wait_for_url("**/cashier/cards/**")
        if onward:
            page.goto(page.url.partition("?")[0] + onward)
        page.wait_for_load_state("networkidle")

    return then


def _first_fill(page: "Page") -> None:
    """Choose the first fill that waits."""
    page.locator("#live .fill a").first.click()
    page.wait_for_load_state("networkidle")


PICTURES = (
    Picture("counter", "/cashier"),
    Picture("fill", "/cashier", then=_first_fill),
    Picture("card", "/cashier", then=_on_the_card()),
    Picture("card-lost", "/cashier", then=_on_the_card(what="lost")),
    Picture("authorise", "/cashier", then=_on_the_card("/authorise")),
    Picture("top-up", "/cashier", then=_on_the_card("/top-up")),
    Picture("care", "/cashier", then=_on_the_card("/care")),
    Picture("issue", "/cashier/issue"),
    Picture("returns", "/cashier/returns"),
    Picture("unresolved", "/cashier/unresolved"),
    Picture("shift", "/cashier/shift"),
)
