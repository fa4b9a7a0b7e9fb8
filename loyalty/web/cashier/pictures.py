"""The counter's pictures: a tool of development. Who signs in stands in the demo's file of log-ins, the till's code in the environment."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loyalty.web.pictures import Picture, scanned

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
            page.wait_for_url("**/cashier*")
    else:
        page.goto(f"{base_url}/cashier/enrol")
        page.fill("[name=code]", os.environ[CODE])
        page.press("[name=code]", "Enter")
        page.wait_for_url("**/sign-in*")
        page.fill("[name=card]", cashier.card_number)
        page.fill("[name=pin]", cashier.pin)
        page.press("[name=pin]", "Enter")
        page.wait_for_url(lambda url: "sign-in" not in url)
    page.goto(f"{base_url}/cashier/shift")
    if page.locator("#f-float").count():
        page.fill("#f-float", "500")
        page.press("#f-float", "Enter")
        page.wait_for_url("**/cashier")
    _cookies[base_url] = [cookie for cookie in page.context.cookies() if cookie.get("name", "").startswith("counter")]


_seen: dict[str, str] = {}
"""Addresses that one picture finds and a later one opens."""


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


def _pin(what: str) -> str:
    return next(card.pin for card in kept().cards if what in card.what.lower())


def _not_found(page: "Page") -> None:
    page.fill("#lookup", "13800000000")
    page.press("#lookup", "Enter")
    page.wait_for_selector(".verdict")


def _fill_otherwise(page: "Page") -> None:
    _first_fill(page)
    page.locator("a[href*='/cashier/fills/']").first.click()
    page.wait_for_load_state("networkidle")


def _qr(page: "Page") -> None:
    """Show the code of the first fill that waits, and keep what a phone would read and what takes it back."""
    _first_fill(page)
    page.locator("form[action$='/qr'] button").click()
    page.wait_for_selector(".qr img")
    _seen["pay"] = scanned(page, ".qr img").partition("/me/")[2]
    _seen["cancel"] = str(page.locator("form[action$='/cancel']").get_attribute("action"))
    _seen["token"] = page.locator("form[action$='/cancel'] [name=csrf_token]").input_value()


def _site(page: "Page") -> str:
    return page.url.partition("/cashier")[0]


def _on_the_phone(page: "Page") -> None:
    page.goto(f"{_site(page)}/me/{_seen['pay']}")


def _ended(page: "Page") -> None:
    """Take the code back, and look at it on the phone."""
    page.request.post(_site(page) + _seen["cancel"], form={"csrf_token": _seen["token"]})
    _on_the_phone(page)


def _paid(page: "Page") -> None:
    """Pay a fill by phone, once for all pictures: fills are few."""
    if "paid" not in _seen:
        _qr(page)
        _seen["paid"] = _seen["pay"]
        _on_the_phone(page)
        gold = next(card for card in kept().cards if "gold" in card.what)
        page.fill("#f-number", gold.number)
        page.fill("#f-pin", gold.pin)
        page.press("#f-pin", "Enter")
        page.wait_for_selector(".result h1")
    else:
        page.goto(f"{_site(page)}/me/{_seen['paid']}")


def _typed_fill(page: "Page", quantity: str, amount: str, pin: str) -> None:
    """Take payment for what the pump's display says."""
    page.locator("[name=fill][value=manual]").check(force=True)
    page.locator("details.more").first.evaluate("each => { each.open = true }")
    page.select_option("#f-product", "92")
    page.fill("#f-quantity", quantity)
    page.fill("#f-amount", amount)
    page.fill("#f-pin", pin)
    page.press("#f-pin", "Enter")


def _declined(page: "Page") -> None:
    """Ask for more than the card has."""
    _on_the_card()(page)
    _typed_fill(page, "900", "7101", _pin("personal"))
    page.wait_for_selector(".verdict[role=alert]")


def _chosen(page: "Page") -> None:
    """Choose a fill for a card with a discount: what it may take, and what it saves."""
    _on_the_card(what="gold")(page)
    with page.expect_response("**/due"):
        page.locator("#sale [name=fill]").first.check(force=True)
    page.wait_for_load_state("networkidle")


def _reasons(page: "Page") -> None:
    """Type a fill that is a little too small for more, and unfold why the other offers do not apply."""
    _on_the_card(what="personal")(page)
    page.locator("[name=fill][value=manual]").check(force=True)
    page.locator("details.more").first.evaluate("each => { each.open = true }")
    page.select_option("#f-product", "92")
    page.fill("#f-quantity", "36")
    with page.expect_response("**/due"):
        page.fill("#f-amount", "284.04")
    page.wait_for_load_state("networkidle")
    page.locator("#due details").evaluate("each => { each.open = true }")


def _sold(page: "Page") -> None:
    _on_the_card(what="gold")(page)
    _typed_fill(page, "5", "39.45", _pin("gold"))
    page.wait_for_url("**/cashier/sales/*")
    page.wait_for_load_state("networkidle")
    _seen["sale"] = page.url.partition("?")[0]
    _seen["receipt"] = scanned(page, ".paper img")


def _again(what: str) -> Callable[["Page"], None]:
    """Return how an address seen before is opened again."""

    def then(page: "Page") -> None:
        page.goto(_seen[what])
        page.wait_for_load_state("networkidle")

    return then


def _on_paper(page: "Page") -> None:
    """Scan the receipt, as its owner does at home."""
    page.goto(f"{_site(page)}/me/{_seen['receipt'].partition('/me/')[2]}")


def _loaded(page: "Page") -> None:
    _on_the_card("/top-up")(page)
    page.fill("#f-amount", "100")
    page.press("#f-amount", "Enter")
    page.wait_for_url("**/cashier/top-ups/*")
    page.wait_for_load_state("networkidle")
    _seen["top-up"] = page.url.partition("?")[0]


def _load_refused(page: "Page") -> None:
    _on_the_card("/top-up")(page)
    page.fill("#f-amount", "9000")
    page.press("#f-amount", "Enter")
    page.wait_for_selector("#problem .notice")


def _redeemed(page: "Page") -> None:
    """Buy the first gift that the points reach, once for all pictures: points are few."""
    if "points" not in _seen:
        _on_the_card("/points", what="gold")(page)
        if page.locator(".offers a.face").count():
            page.locator(".offers a.face").first.click()
            page.wait_for_selector("#f-pin")
            page.fill("#f-pin", _pin("gold"))
            page.press("#f-pin", "Enter")
            page.wait_for_url("**/cashier/points/*")
        _seen["points"] = page.url.partition("?")[0]
    page.goto(_seen["points"])
    page.wait_for_load_state("networkidle")


def _authorised(page: "Page") -> None:
    _on_the_card("/authorise", what="gold")(page)
    page.fill("#f-amount", "100")
    page.fill("#f-pin", _pin("gold"))
    page.press("#f-pin", "Enter")
    page.wait_for_url("**/cashier/authorisations/*")
    page.wait_for_load_state("networkidle")
    _seen["authorisation"] = page.url.partition("?")[0]


def _not_lifted(page: "Page") -> None:
    page.locator("form[action$='/not-lifted'] button").click()
    page.wait_for_url("**/cashier")


def _blank(what: str) -> Callable[["Page"], None]:
    """Return how a blank card is laid on the counter."""

    def then(page: "Page") -> None:
        page.fill("#f-number", next(card.number for card in kept().cards if "blank" in card.what and what in card.what))
        page.press("#f-number", "Enter")
        page.wait_for_selector("#f-pin")

    return then


def _counted(page: "Page") -> None:
    """Count ten too much: the shift asks why."""
    page.fill("#f-counted", "9999")
    page.press("#f-counted", "Enter")
    page.wait_for_selector("#f-explanation")
    page.wait_for_selector(".verdict")


def _closed(page: "Page") -> None:
    page.fill("#f-explanation", "找零备用金多放")
    page.locator("button.primary").click()
    page.wait_for_url("**/cashier/shifts/*")
    page.wait_for_load_state("networkidle")


def _unresolved(page: "Page") -> None:
    """Open the first fill whose completion never came."""
    page.goto(_site(page) + str(page.locator("main a[href*='/cashier/authorisations/']").first.get_attribute("href")))
    page.wait_for_load_state("networkidle")


def _resolve_alone(page: "Page") -> None:
    """Resolve it with a card that is nobody's."""
    _unresolved(page)
    page.fill("#f-quantity", "20")
    page.fill("#f-amount", "151.20")
    page.fill("#f-evidence", "泵机流水 000812，摄像头 09:41")
    page.fill("#f-approver_card", "990001000000000000")
    page.fill("#f-approver_pin", "735261")
    page.press("#f-approver_pin", "Enter")
    page.wait_for_selector("#problem .notice")


PICTURES = (
    Picture("counter", "/cashier"),
    Picture("not-found", "/cashier", then=_not_found),
    Picture("which-card", "/cashier/top-up"),
    Picture("fill", "/cashier", then=_first_fill),
    Picture("fill-otherwise", "/cashier", then=_fill_otherwise),
    Picture("qr", "/cashier", then=_qr),
    Picture("phone-pay", "/cashier", then=_on_the_phone),
    Picture("phone-ended", "/cashier", then=_ended),
    Picture("phone-paid", "/cashier", then=_paid),
    Picture("card", "/cashier", then=_on_the_card()),
    Picture("card-gold", "/cashier", then=_chosen),
    Picture("card-reasons", "/cashier", then=_reasons),
    Picture("card-declined", "/cashier", then=_declined),
    Picture("card-anonymous", "/cashier", then=_on_the_card(what="anonymous")),
    Picture("card-company", "/cashier", then=_on_the_card(what="company")),
    Picture("card-lost", "/cashier", then=_on_the_card(what="lost")),
    Picture("sale", "/cashier", then=_sold),
    Picture("sale-refund", "/cashier", then=_again("sale")),
    Picture("phone-receipt", "/cashier", then=_on_paper),
    Picture("authorise", "/cashier", then=_on_the_card("/authorise", what="gold")),
    Picture("authorisation", "/cashier", then=_authorised),
    Picture("authorisation-waits", "/cashier", then=_again("authorisation"), after=_not_lifted),
    Picture("authorisation-released", "/cashier", then=_again("authorisation")),
    Picture("top-up", "/cashier", then=_on_the_card("/top-up")),
    Picture("top-up-refused", "/cashier", then=_load_refused),
    Picture("top-up-done", "/cashier", then=_loaded),
    Picture("top-up-void", "/cashier", then=_again("top-up")),
    Picture("points", "/cashier", then=_on_the_card("/points", what="gold")),
    Picture("points-done", "/cashier", then=_redeemed),
    Picture("gifts", "/cashier/gifts"),
    Picture("card-gifts", "/cashier", then=_on_the_card("/gifts", what="gold")),
    Picture("care", "/cashier", then=_on_the_card("/care")),
    Picture("care-lost", "/cashier", then=_on_the_card("/care", what="lost")),
    Picture("register", "/cashier", then=_on_the_card("/register", what="anonymous")),
    Picture("issue", "/cashier/issue"),
    Picture("issue-personal", "/cashier/issue", then=_blank("personal")),
    Picture("issue-anonymous", "/cashier/issue", then=_blank("anonymous")),
    Picture("returns", "/cashier/returns"),
    Picture("unresolved", "/cashier/unresolved"),
    Picture("unresolved-resolve", "/cashier/unresolved", then=_unresolved),
    Picture("unresolved-refused", "/cashier/unresolved", then=_resolve_alone),
    Picture("no-such-page", "/cashier/nothing", status=404),
    Picture("shift", "/cashier/shift"),
    Picture("shift-counted", "/cashier/shift", then=_counted),
    Picture("shift-closed", "/cashier/shift", then=_closed),
    Picture("shift-open", "/cashier/shift"),
    Picture("sign-in", "/cashier/sign-in"),
    Picture("locked", "/cashier/locked"),
    Picture("enrol", "/cashier/enrol"),
)
