"""The office's routes under /office, and how what goes wrong there is said."""

from urllib.parse import quote

from litestar import Router
from litestar.di import Provide
from litestar.response import Response
from litestar.types import ExceptionHandlersMap

from loyalty.errors import Refusal
from loyalty.identity.rules import StepUpNeeded
from loyalty.web.office import (
    access,
    accounts,
    adjustments,
    agreements,
    agreements_edit,
    backtests,
    belongings,
    calendar,
    campaigns,
    card_acts,
    cards,
    closures,
    company_points,
    customer_page,
    customer_rewards,
    customers,
    day_closes,
    dispenses,
    failures,
    fleets,
    flyers,
    freezes,
    gifts,
    home,
    log_in,
    me,
    merges,
    points,
    price_withdrawal,
    prices,
    referrals,
    rules,
    rules_acts,
    rules_calendar,
    rules_edit,
    rules_groups,
    rules_head,
    sales,
    shifts,
    staff,
    staff_acts,
    stations,
    stock,
    terminals,
    terms,
    tier_acts,
    tiers,
    topups,
    trail,
    transfers,
    vouchers,
)
from loyalty.web.office.desk import AnyRequest, Page, SignInNeeded, provide_desk
from loyalty.web.office.log_in import step_up_page
from loyalty.web.office.reading import FormRefused
from loyalty.web.operations import FormAlreadySent
from loyalty.web.problems import PROBLEM_TARGET, on_fault, page_handlers, refused
from loyalty.web.rendering import reader_of, redirect, render, wants_fragment
from loyalty.web.routes import local_path


def on_sign_in_needed(request: AnyRequest, _error: SignInNeeded) -> Page:
    """Lead to the log-in, and afterwards to the page that was asked for."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "") if request.method == "GET" else _back(request)
    return redirect(request, f"/office/log-in?next={quote(asked, safe='/')}" if asked != "/office" else "/office/log-in")


def on_step_up_needed(request: AnyRequest, _refusal: StepUpNeeded) -> Page:
    """Ask for the second factor; the form that needs it is kept."""
    return step_up_page(request, back=_back(request))


def on_form_already_sent(request: AnyRequest, error: FormAlreadySent) -> Page:
    """Lead a form that came twice where its first coming led."""
    return redirect(request, error.led_to or _back(request))


def on_form_refused(request: AnyRequest, refusal: FormRefused) -> Page:
    """Say what is wrong with which field; what was typed stays in the page."""
    title, _then = refusal.parts(reader_of(request).language.locale)
    if wants_fragment(request):
        headers = {"HX-Retarget": PROBLEM_TARGET, "HX-Reswap": "innerHTML show:top"}
        return render(request, "office/faults.html", status_code=422, headers=headers, title=title, faults=refusal.faults)
    return render(request, "office/faults_page.html", status_code=422, back=_back(request), title=title, faults=refusal.faults)


def on_group(request: AnyRequest, error: Exception) -> Response[str]:
    """Find the one exception that a group of one carries: dependencies are closed in a group."""
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        return on_group(request, error.exceptions[0])
    for kind, handler in _HANDLERS.items():
        if isinstance(error, kind):
            return handler(request, error)  # type: ignore[operator, no-any-return]
    return refused(request, error) if isinstance(error, Refusal) else on_fault(request, error)


_HANDLERS = {
    SignInNeeded: on_sign_in_needed,
    StepUpNeeded: on_step_up_needed,
    FormAlreadySent: on_form_already_sent,
    FormRefused: on_form_refused,
}


def office_handlers() -> ExceptionHandlersMap:
    """Return the exception handlers of the office."""
    known: dict[type[Exception], object] = dict(page_handlers()) | _HANDLERS | {Exception: on_group}  # type: ignore[assignment]
    return known  # type: ignore[return-value]


def _back(request: AnyRequest) -> str:
    """Return the page a form stood on, if it is ours."""
    referer = request.headers.get("referer", "")
    host = request.headers.get("host", "")
    _scheme, _, rest = referer.partition("://")
    if host and rest.startswith(f"{host}/"):
        return local_path(rest.removeprefix(host), "/office")
    return "/office"


_PAGES = (
    log_in,
    home,
    failures,
    customers,
    customer_page,
    customer_rewards,
    company_points,
    fleets,
    belongings,
    calendar,
    merges,
    cards,
    card_acts,
    accounts,
    sales,
    topups,
    dispenses,
    transfers,
    adjustments,
    freezes,
    closures,
    stations,
    terminals,
    shifts,
    day_closes,
    prices,
    price_withdrawal,
    terms,
    rules,
    rules_acts,
    rules_calendar,
    rules_edit,
    rules_groups,
    rules_head,
    backtests,
    agreements,
    agreements_edit,
    campaigns,
    tiers,
    tier_acts,
    points,
    vouchers,
    gifts,
    referrals,
    flyers,
    stock,
    staff,
    staff_acts,
    access,
    me,
    trail,
)

office = Router(
    path="/office",
    route_handlers=[handler for module in _PAGES for handler in module.handlers],
    dependencies={"desk": Provide(provide_desk)},
    exception_handlers=office_handlers(),
    include_in_schema=False,
)
