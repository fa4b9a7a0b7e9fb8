"""The counter's routes under /cashier, and how what goes wrong there is said."""

from collections.abc import Callable
from typing import Any

from litestar import Router
from litestar.di import Provide
from litestar.response import Response
from litestar.types import ExceptionHandlersMap

from loyalty.errors import Refusal
from loyalty.identity.operations import ScreenLocked
from loyalty.web.cashier import asking, cards, counter, device, fills, gifts, issuing, loading, points, pumping, sales, selling, shifts
from loyalty.web.cashier.device import locked_screen
from loyalty.web.cashier.till import HOME, AnyRequest, DeviceNeeded, Page, ShiftNeeded, SignInNeeded, back_to, provide_till
from loyalty.web.office.reading import FormRefused
from loyalty.web.problems import PROBLEM_TARGET, on_fault, page_handlers, refused
from loyalty.web.rendering import reader_of, redirect, render, wants_fragment


def on_device_needed(request: AnyRequest, _error: DeviceNeeded) -> Page:
    """Lead a browser that is no till to its enrolment."""
    return redirect(request, f"{HOME}/enrol")


def on_sign_in_needed(request: AnyRequest, _error: SignInNeeded) -> Page:
    """Lead to the sign-in, and afterwards to the page that was asked for."""
    asked = back_to(request)
    return redirect(request, f"{HOME}/sign-in?next={asked}" if asked != HOME else f"{HOME}/sign-in")


def on_shift_needed(request: AnyRequest, _error: ShiftNeeded) -> Page:
    """Lead to the shift: money is taken only while one runs."""
    return redirect(request, f"{HOME}/shift")


def on_locked(request: AnyRequest, _refusal: ScreenLocked) -> Page:
    """Lay the locked screen over the page that asked; a page of its own leads back to what was asked for."""
    if wants_fragment(request):
        return locked_screen(request)
    return redirect(request, f"{HOME}/locked?next={back_to(request)}")


def on_form_refused(request: AnyRequest, refusal: FormRefused) -> Page:
    """Say what is wrong with which field; what was typed stays in the page."""
    title, _then = refusal.parts(reader_of(request).language.locale)
    if wants_fragment(request):
        headers = {"HX-Retarget": PROBLEM_TARGET, "HX-Reswap": "innerHTML show:top"}
        return render(request, "cashier/faults.html", status_code=422, headers=headers, title=title, faults=refusal.faults)
    back = request.headers.get("referer", HOME)
    return render(request, "cashier/faults_page.html", status_code=422, back=back, title=title, faults=refusal.faults)


def on_group(request: AnyRequest, error: Exception) -> Response[str]:
    """Find the one exception that a group of one carries: dependencies are closed in a group."""
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        return on_group(request, error.exceptions[0])
    for kind, handler in _HANDLERS.items():
        if isinstance(error, kind):
            return handler(request, error)
    return refused(request, error) if isinstance(error, Refusal) else on_fault(request, error)


_HANDLERS: dict[type[Exception], Callable[[AnyRequest, Any], Page]] = {
    DeviceNeeded: on_device_needed,
    SignInNeeded: on_sign_in_needed,
    ShiftNeeded: on_shift_needed,
    ScreenLocked: on_locked,
    FormRefused: on_form_refused,
}


def cashier_handlers() -> ExceptionHandlersMap:
    """Return the exception handlers of the counter."""
    known: dict[Any, Any] = dict(page_handlers()) | _HANDLERS | {Exception: on_group}
    return known


cashier = Router(
    path=HOME,
    route_handlers=[
        *device.handlers,
        *counter.handlers,
        *selling.handlers,
        *pumping.handlers,
        *asking.handlers,
        *fills.handlers,
        *sales.handlers,
        *loading.handlers,
        *issuing.handlers,
        *cards.handlers,
        *gifts.handlers,
        *points.handlers,
        *shifts.handlers,
    ],
    dependencies={"till": Provide(provide_till)},
    exception_handlers=cashier_handlers(),
    include_in_schema=False,
)
