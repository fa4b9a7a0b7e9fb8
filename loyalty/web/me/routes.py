"""The holder's routes under /me."""

from typing import Any

from litestar import Router
from litestar.di import Provide
from litestar.response import Response
from litestar.types import ExceptionHandlersMap

from loyalty.errors import Refusal
from loyalty.web.me import consents, pages, rewards
from loyalty.web.me.holder import HOME, AnyRequest, Page, SignInNeeded, provide_phone
from loyalty.web.problems import on_fault, page_handlers, refused
from loyalty.web.rendering import redirect


def on_sign_in_needed(request: AnyRequest, _error: SignInNeeded) -> Page:
    """Lead to the sign-in."""
    return redirect(request, HOME)


def on_group(request: AnyRequest, error: Exception) -> Response[str]:
    """Find the one exception that a group of one carries: dependencies are closed in a group."""
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        return on_group(request, error.exceptions[0])
    if isinstance(error, SignInNeeded):
        return on_sign_in_needed(request, error)
    return refused(request, error) if isinstance(error, Refusal) else on_fault(request, error)


def me_handlers() -> ExceptionHandlersMap:
    """Return the exception handlers of the holder's pages."""
    known: dict[Any, Any] = dict(page_handlers()) | {SignInNeeded: on_sign_in_needed, Exception: on_group}
    return known


me = Router(
    path=HOME,
    route_handlers=[*pages.handlers, *rewards.handlers, *consents.handlers],
    dependencies={"phone": Provide(provide_phone)},
    exception_handlers=me_handlers(),
    include_in_schema=False,
    opt={"public": True},
)
