"""The portal's pictures: a tool of development, signed in with the demo company's people."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from loyalty.web.picture_people import sign_in
from loyalty.web.pictures import Picture

if TYPE_CHECKING:
    from playwright.sync_api import Page


def prepare(page: "Page", base_url: str) -> None:
    """Sign in as the company's owner."""
    sign_in(page, base_url, "fleet", "owner")


def _out(page: "Page") -> None:
    page.context.clear_cookies(name="fleet")
    page.reload(wait_until="networkidle")


def _back_in(page: "Page") -> None:
    sign_in(page, page.url.partition("/fleet")[0], "fleet", "owner")


def _first(path: str, more: str = "") -> Callable[["Page"], None]:
    """Return how the first row of a list is followed, and a page below it."""

    def then(page: "Page") -> None:
        page.locator(f"main tbody a[href^='{path}/']").first.click()
        page.wait_for_load_state("networkidle")
        if more:
            page.goto(f"{page.url.partition('?')[0]}{more}", wait_until="networkidle")

    return then


def _differs(more: str) -> Callable[["Page"], None]:
    """Return how one comes to the cash fill whose receipt shows another plate, and a page below it."""

    def then(page: "Page") -> None:
        page.locator("main tbody tr:has(.tag.bad) a[href^='/fleet/cash/']").first.click()
        page.wait_for_load_state("networkidle")
        if more:
            page.goto(f"{page.url.partition('?')[0]}{more}", wait_until="networkidle")

    return then


def _vehicle(page: "Page") -> None:
    page.locator("main tbody a[href*='vehicle=']").first.click()
    page.wait_for_load_state("networkidle")


def _limits(more: str) -> Callable[["Page"], None]:
    """Return how one comes to the limits of the first card, and a page below them."""

    def then(page: "Page") -> None:
        page.locator("main tbody a[href^='/fleet/cards/']").first.click()
        page.wait_for_load_state("networkidle")
        card = page.url.partition("?")[0].rpartition("/")[2]
        page.goto(f"{page.url.partition('/fleet')[0]}/fleet/limits/card/{card}{more}", wait_until="networkidle")

    return then


PICTURES = (
    Picture("home", "/fleet"),
    Picture("vehicles", "/fleet/vehicles"),
    Picture("vehicles-none", "/fleet/vehicles?text=ZZZ"),
    Picture("vehicle", "/fleet/vehicles", then=_first("/fleet/vehicles")),
    Picture("vehicle-edit", "/fleet/vehicles", then=_first("/fleet/vehicles", "/edit")),
    Picture("vehicle-repair", "/fleet/vehicles", then=_first("/fleet/vehicles", "/repair")),
    Picture("vehicle-new", "/fleet/vehicles/new"),
    Picture("vehicles-import", "/fleet/vehicles/import"),
    Picture("drivers", "/fleet/drivers"),
    Picture("driver", "/fleet/drivers", then=_first("/fleet/drivers")),
    Picture("driver-edit", "/fleet/drivers", then=_first("/fleet/drivers", "/edit")),
    Picture("cards", "/fleet/cards"),
    Picture("card", "/fleet/cards", then=_first("/fleet/cards")),
    Picture("card-keeper", "/fleet/cards", then=_first("/fleet/cards", "/keeper")),
    Picture("card-borrow", "/fleet/cards?where=kept", then=_first("/fleet/cards", "/borrow")),
    Picture("cards-keepers", "/fleet/cards/keepers"),
    Picture("loans", "/fleet/custody"),
    Picture("loans-none", "/fleet/custody?text=ZZZ"),
    Picture("loan-asked", "/fleet/custody?status=requested", then=_first("/fleet/custody")),
    Picture("loan-overdue", "/fleet/custody?status=overdue", then=_first("/fleet/custody")),
    Picture("loan-returned", "/fleet/custody?status=returned", then=_first("/fleet/custody")),
    Picture("loan-lend", "/fleet/custody?status=requested", then=_first("/fleet/custody", "/lend")),
    Picture("loan-return", "/fleet/custody?status=overdue", then=_first("/fleet/custody", "/return")),
    Picture("loan-refuse", "/fleet/custody?status=requested", then=_first("/fleet/custody", "/refuse")),
    Picture("card-bind", "/fleet/cards", then=_first("/fleet/cards", "/bind")),
    Picture("fills", "/fleet/fills"),
    Picture("fill", "/fleet/fills", then=_first("/fleet/fills")),
    Picture("fill-dispute", "/fleet/fills", then=_first("/fleet/fills", "/dispute")),
    Picture("cash-fills", "/fleet/cash"),
    Picture("cash-fills-none", "/fleet/cash?plate=ZZZ"),
    Picture("cash-fill", "/fleet/cash?status=approved", then=_first("/fleet/cash")),
    Picture("cash-fill-differs", "/fleet/cash", then=_differs("")),
    Picture("cash-fill-approve", "/fleet/cash", then=_differs("/approve")),
    Picture("cash-fill-new", "/fleet/cash/new"),
    Picture("cash-fill-ask", "/fleet/cash/ask"),
    Picture("disputes", "/fleet/disputes"),
    Picture("account", "/fleet/account"),
    Picture("notices", "/fleet/notices"),
    Picture("approvals", "/fleet/approvals"),
    Picture("findings", "/fleet/findings"),
    Picture("finding", "/fleet/findings", then=_first("/fleet/findings")),
    Picture("allocations", "/fleet/allocations"),
    Picture("allocation-moves", "/fleet/allocations/moves"),
    Picture("allocation-table", "/fleet/allocations/table"),
    Picture("odometer", "/fleet/vehicles", then=_first("/fleet/vehicles", "/odometer")),
    Picture("profiles", "/fleet/profiles"),
    Picture("deputies", "/fleet/people/deputies"),
    Picture("orders", "/fleet/orders"),
    Picture("order", "/fleet/orders", then=_first("/fleet/orders")),
    Picture("order-new", "/fleet/orders/new"),
    Picture("order-lines", "/fleet/orders/lines"),
    Picture("card-limits", "/fleet/cards", then=_limits("")),
    Picture("card-limits-date", "/fleet/cards", then=_limits("/dates/new")),
    Picture("card-limits-needs", "/fleet/cards", then=_limits("/needs")),
    Picture("card-limits-permit", "/fleet/cards", then=_limits("/permit")),
    Picture("statement", "/fleet/statements"),
    Picture("statement-of-a-vehicle", "/fleet/statements", then=_vehicle),
    Picture("statement-periods", "/fleet/statements/periods"),
    Picture("invoices", "/fleet/invoices"),
    Picture("invoice-new", "/fleet/invoices/new"),
    Picture("invoice-titles", "/fleet/invoices/titles"),
    Picture("invoice-title-new", "/fleet/invoices/titles/new"),
    Picture("economy", "/fleet/economy"),
    Picture("stations", "/fleet/stations"),
    Picture("reports", "/fleet/statements/mail"),
    Picture("group", "/fleet/group"),
    Picture("card-suspend", "/fleet/cards", then=_first("/fleet/cards", "/suspend")),
    Picture("departments", "/fleet/departments"),
    Picture("department", "/fleet/departments", then=_first("/fleet/departments")),
    Picture("people", "/fleet/people"),
    Picture("person", "/fleet/people", then=_first("/fleet/people")),
    Picture("invite", "/fleet/people/new"),
    Picture("api-keys", "/fleet/api"),
    Picture("webhooks", "/fleet/webhooks"),
    Picture("webhook-new", "/fleet/webhooks/new"),
    Picture("api-key-new", "/fleet/api/new"),
    Picture("settings", "/fleet/settings"),
    Picture("me", "/fleet/me"),
    Picture("no-such-page", "/fleet/vehicles/00000000-0000-7000-8000-000000000000", status=404),
    Picture("invitation-not-valid", "/fleet/invitations/none", status=404),
    Picture("log-in", "/fleet", then=_out, after=_back_in),
)
