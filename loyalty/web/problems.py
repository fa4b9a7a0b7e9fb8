"""Refusals and faults as a reader of pages sees them: what happened, why, what is safe, what to do next."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.exceptions import HTTPException
from litestar.response import Response
from litestar.types import ExceptionHandlersMap

from loyalty import problems
from loyalty.errors import NotFound, Refusal
from loyalty.problems import MethodNotOffered, RequestNotUnderstood, RequestRefused, RequestTooLarge, ServerFault, log_fault
from loyalty.web.i18n import Language
from loyalty.web.rendering import reader_of, render, wants_fragment

PROBLEM_TARGET = "#problem"
"""Where a page shows what htmx brought back as refused; every page of the frame has the element."""

Handler = Callable[[Request[Any, Any, Any], Any], Response[Any]]

_PORTAL = re.compile(r"^/[a-z]+")


def notice_of(refusal: Refusal, language: Language) -> dict[str, str]:
    """Return a refusal as the fields of `ui.notice`: `tone`, `title`, `then`."""
    said, then = refusal.parts(language.locale)
    tone = "bad" if refusal.status >= 500 or refusal.status == 403 else "warn"
    return {"tone": tone, "title": said, "then": then}


def refused(request: Request[Any, Any, Any], refusal: Refusal, *, status_code: int | None = None) -> Response[str]:
    """Answer a refusal: to htmx as a notice put into the page, which keeps what was typed; else as a page of its own."""
    status = status_code or refusal.status
    notice = notice_of(refusal, reader_of(request).language)
    if wants_fragment(request):
        headers = {"HX-Retarget": PROBLEM_TARGET, "HX-Reswap": "innerHTML show:top"}
        return render(request, "problem.html", status_code=status, headers=headers, notice=notice, code=refusal.code)
    return render(request, "error.html", status_code=status, notice=notice, code=refusal.code, status=status, back=_back(request))


def on_refusal(request: Request[Any, Any, Any], refusal: Refusal) -> Response[str]:
    return refused(request, refusal)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[str]:
    """Answer what the framework refuses by the same words as the API does."""
    if error.status_code >= 500:
        return on_fault(request, error)
    known: dict[int, Refusal] = {404: NotFound(), 405: MethodNotOffered(), 413: RequestTooLarge()}
    known |= dict.fromkeys((400, 422), RequestNotUnderstood())
    return refused(request, known.get(error.status_code, RequestRefused()), status_code=error.status_code)


def on_fault(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    """Answer what nobody foresaw, with the number under which the log has it."""
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        inner = error.exceptions[0]
        return refused(request, inner) if isinstance(inner, Refusal) else on_fault(request, inner)
    return refused(request, ServerFault(incident=log_fault(request, error)))


def page_handlers() -> ExceptionHandlersMap:
    """Return the exception handlers of a portal's router."""
    return {Refusal: on_refusal, HTTPException: on_http_exception, Exception: on_fault}


def app_handlers() -> ExceptionHandlersMap:
    """Return the whole application's handlers: a page for a browser that asks for pages, problem+json for others."""

    def either(page: Handler, document: Handler) -> Handler:
        return lambda request, error: page(request, error) if _reads_pages(request) else document(request, error)

    documents: Mapping[Any, Any] = problems.exception_handlers()
    pages: Mapping[Any, Any] = page_handlers()
    return {kind: either(pages[kind], documents[kind]) for kind in documents}


def _reads_pages(request: Request[Any, Any, Any]) -> bool:
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1")


def _back(request: Request[Any, Any, Any]) -> str:
    """Return where "back" leads: the page the reader came from if it is ours, else the portal's first page."""
    came_from = urlsplit(request.headers.get("referer", ""))
    if came_from.netloc == request.headers.get("host") and came_from.path and came_from.path != request.url.path:
        return came_from.path + (f"?{came_from.query}" if came_from.query else "")
    portal = _PORTAL.match(request.url.path)
    return portal[0] if portal and portal[0] != request.url.path else "/"
