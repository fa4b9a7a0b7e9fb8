"""The portal's routes under /fleet, and how what goes wrong there is said."""

from typing import Any
from urllib.parse import quote

from litestar import Router
from litestar.di import Provide
from litestar.response import Response
from litestar.types import ExceptionHandlersMap

from loyalty.errors import Refusal
from loyalty.identity.rules import StepUpNeeded
from loyalty.web.desk import AnyRequest, Page
from loyalty.web.fleet import (
    allocation_moves,
    allocation_table,
    allocations,
    approvals,
    cards,
    company,
    drivers,
    fills,
    findings,
    home,
    limits,
    log_in,
    people,
    sheets,
    vehicles,
)
from loyalty.web.fleet.desk import HOME, FleetSignInNeeded, provide_fleet
from loyalty.web.fleet.log_in import PORTAL, step_up_page
from loyalty.web.office.reading import FormRefused
from loyalty.web.operations import FormAlreadySent
from loyalty.web.problems import PROBLEM_TARGET, on_fault, page_handlers, refused
from loyalty.web.rendering import reader_of, redirect, render, wants_fragment
from loyalty.web.routes import local_path


def on_sign_in_needed(request: AnyRequest, _error: FleetSignInNeeded) -> Page:
    """Lead to the log-in, and afterwards to the page that was asked for."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "") if request.method == "GET" else _back(request)
    return redirect(request, f"{HOME}/log-in?next={quote(asked, safe='/')}" if asked != HOME else f"{HOME}/log-in")


def on_step_up_needed(request: AnyRequest, _refusal: StepUpNeeded) -> Page:
    """Ask for the second factor; the form that needs it is kept."""
    return step_up_page(request, back=_back(request))


def on_form_already_sent(request: AnyRequest, error: FormAlreadySent) -> Page:
    """Lead a form that came twice where its first coming led."""
    return redirect(request, error.led_to or _back(request))


def on_form_refused(request: AnyRequest, refusal: FormRefused) -> Page:
    """Say what is wrong with which field; what was typed stays in the page."""
    words = reader_of(request).language
    title, _then = refusal.parts(words.locale)
    if wants_fragment(request):
        headers = {"HX-Retarget": PROBLEM_TARGET, "HX-Reswap": "innerHTML show:top"}
        return render(request, "office/faults.html", status_code=422, headers=headers, title=title, faults=refusal.faults)
    values: dict[str, Any] = {"back": _back(request), "title": title, "faults": refusal.faults, "portal": words.gettext(PORTAL)}
    return render(request, "office/faults_page.html", status_code=422, **values)


def on_group(request: AnyRequest, error: Exception) -> Response[str]:
    """Find the one exception that a group of one carries: dependencies are closed in a group."""
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        return on_group(request, error.exceptions[0])
    for kind, handler in _HANDLERS.items():
        if isinstance(error, kind):
            return handler(request, error)  # type: ignore[operator, no-any-return]
    return refused(request, error) if isinstance(error, Refusal) else on_fault(request, error)


_HANDLERS = {
    FleetSignInNeeded: on_sign_in_needed,
    StepUpNeeded: on_step_up_needed,
    FormAlreadySent: on_form_already_sent,
    FormRefused: on_form_refused,
}


def fleet_handlers() -> ExceptionHandlersMap:
    """Return the exception handlers of the portal."""
    known: dict[Any, Any] = dict(page_handlers()) | _HANDLERS | {Exception: on_group}
    return known


def _back(request: AnyRequest) -> str:
    """Return the page a form stood on, if it is ours."""
    referer = request.headers.get("referer", "")
    host = request.headers.get("host", "")
    _scheme, _, rest = referer.partition("://")
    return local_path(rest.removeprefix(host), HOME) if host and rest.startswith(f"{host}/") else HOME


_PAGES = (
    log_in,
    home,
    vehicles,
    drivers,
    cards,
    fills,
    approvals,
    findings,
    limits,
    allocations,
    allocation_moves,
    allocation_table,
    sheets,
)
_OWN = (people, company)

fleet = Router(
    path=HOME,
    route_handlers=[handler for module in (*_PAGES, *_OWN) for handler in module.handlers],
    dependencies={"fleet": Provide(provide_fleet)},
    exception_handlers=fleet_handlers(),
    include_in_schema=False,
)
