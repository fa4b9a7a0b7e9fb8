"""The way into a portal where people log in with a name, a password and a second factor: its cookies, its pages before the session is
open, and how what goes wrong behind it is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from litestar.datastructures import Cookie
from litestar.response import Response
from litestar.types import ExceptionHandlersMap

from loyalty.errors import Refusal
from loyalty.identity.model import Stage
from loyalty.identity.operations import LogIn
from loyalty.identity.rules import StepUpNeeded
from loyalty.web import csrf
from loyalty.web.desk import AnyRequest, Page, is_tls
from loyalty.web.office.reading import FormRefused
from loyalty.web.operations import FormAlreadySent
from loyalty.web.problems import PROBLEM_TARGET, on_fault, page_handlers, refused
from loyalty.web.rendering import reader_of, redirect, render, wants_fragment
from loyalty.web.routes import local_path


class SignInNeeded(Exception):  # noqa: N818 - not a fault: the reader is led to the log-in
    """No open session: the log-in comes first, then the page that was asked for."""


@dataclass(frozen=True)
class Door:
    """One portal's. `name` is a sentence of the catalogues, `cookie` begins its cookies' names, `steps` are where a log-in goes on."""

    home: str
    name: str
    cookie: str
    steps: Mapping[Stage, str]

    def form_token(self, request: AnyRequest) -> str | None:
        """Return this browser's form token from its cookie."""
        return request.cookies.get(csrf.cookie_name(f"{self.cookie}-form", tls=is_tls(request)))

    def form_cookie(self, request: AnyRequest, token: str) -> Cookie:
        """Return the cookie of a form token."""
        return csrf.cookie(f"{self.cookie}-form", token, tls=is_tls(request), samesite="strict")

    def session_token(self, request: AnyRequest) -> str | None:
        """Return the session's token from its cookie."""
        return request.cookies.get(csrf.cookie_name(self.cookie, tls=is_tls(request)))

    def session_cookie(self, request: AnyRequest, token: str | None) -> Cookie:
        """Return the session's cookie; None takes it away."""
        return csrf.cookie(self.cookie, token or "", tls=is_tls(request), max_age=None if token else 0)

    def check_form(self, request: AnyRequest, sent: str) -> None:
        """Let only forms of our own pages through.

        :raises FormNotOurs: otherwise
        """
        csrf.check(sent=sent, expected=self.form_token(request), headers=request.headers, host=request.headers.get("host", ""))

    def sheet(self, request: AnyRequest, template: str, *, status_code: int = 200, cookies: list[Any] | None = None, **values: Any) -> Page:
        """Draw a page from before the session is open, with a form token of this browser."""
        token = self.form_token(request)
        fresh = [] if token else [self.form_cookie(request, token := csrf.new_token())]
        defaults: dict[str, Any] = {"refused": False, "name": "", "differs": False, "out": "out" in request.query_params}
        defaults |= {"base": self.home, "portal": self._portal(request)}
        return render(request, template, status_code=status_code, cookies=[*fresh, *(cookies or [])], csrf=token, **(defaults | values))

    def onward(self, request: AnyRequest, done: LogIn, wanted: str) -> Page:
        """Lead on to the next step of a log-in, or, once it is open, to the page that was asked for."""
        assert done.stage is not None
        assert done.token is not None
        to = wanted if done.stage is Stage.OPEN else self.steps[done.stage]
        if done.stage is not Stage.OPEN and wanted != self.home:
            to = f"{to}?next={wanted}"
        return redirect(request, to, cookies=[self.session_cookie(request, done.token)])

    def step_up_page(self, request: AnyRequest, *, back: str, refused: bool = False) -> Page:
        """Ask for the second factor again: into the page for htmx, else as a page of its own."""
        fragment = request.headers.get("hx-request") == "true"
        headers = {"HX-Retarget": "#problem", "HX-Reswap": "innerHTML show:top", "X-Step-Up": "needed"} if fragment else {}
        return render(
            request,
            "office/step_up.html" if fragment else "office/step_up_page.html",
            status_code=403,
            headers=headers,
            back=back,
            refused=refused,
            csrf=self.form_token(request) or "",
            base=self.home,
            portal=self._portal(request),
        )

    def stepped_up(self, request: AnyRequest, done: LogIn, back: str) -> Page:
        """Answer the second factor that was asked for again; the form that waits is then sent again by the page, or by the reader."""
        if done.refused or done.token is None:
            return self.step_up_page(request, back=back, refused=True)
        cookies = [self.session_cookie(request, done.token)]
        if request.headers.get("hx-request") == "true":
            return render(request, "office/stepped_up.html", cookies=cookies, headers={"HX-Trigger": "stepped-up"})
        return redirect(request, back, cookies=cookies)

    def handlers(self) -> ExceptionHandlersMap:
        """Return the exception handlers of the portal's router."""
        own: dict[Any, Any] = {
            SignInNeeded: self._on_sign_in_needed,
            StepUpNeeded: lambda request, _: self.step_up_page(request, back=self._back(request)),
            FormAlreadySent: lambda request, error: redirect(request, error.led_to or self._back(request)),
            FormRefused: self._on_form_refused,
        }

        def on_group(request: AnyRequest, error: Exception) -> Response[str]:
            """Find the one exception that a group of one carries: dependencies are closed in a group."""
            if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
                return on_group(request, error.exceptions[0])
            for kind, handler in own.items():
                if isinstance(error, kind):
                    return handler(request, error)  # type: ignore[no-any-return]
            return refused(request, error) if isinstance(error, Refusal) else on_fault(request, error)

        known: dict[Any, Any] = dict(page_handlers()) | own | {Exception: on_group}
        return known

    def _on_sign_in_needed(self, request: AnyRequest, _error: SignInNeeded) -> Page:
        """Lead to the log-in, and afterwards to the page that was asked for."""
        asked = self._back(request)
        if request.method == "GET":
            asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        to = f"{self.home}/log-in"
        return redirect(request, f"{to}?next={quote(asked, safe='/')}" if asked != self.home else to)

    def _on_form_refused(self, request: AnyRequest, refusal: FormRefused) -> Page:
        """Say what is wrong with which field; what was typed stays in the page."""
        title, _then = refusal.parts(reader_of(request).language.locale)
        if wants_fragment(request):
            headers = {"HX-Retarget": PROBLEM_TARGET, "HX-Reswap": "innerHTML show:top"}
            return render(request, "office/faults.html", status_code=422, headers=headers, title=title, faults=refusal.faults)
        values: dict[str, Any] = {"title": title, "faults": refusal.faults, "portal": self._portal(request)}
        return render(request, "office/faults_page.html", status_code=422, back=self._back(request), **values)

    def _back(self, request: AnyRequest) -> str:
        """Return the page a form stood on, if it is ours."""
        referer = request.headers.get("referer", "")
        host = request.headers.get("host", "")
        _scheme, _, rest = referer.partition("://")
        return local_path(rest.removeprefix(host), self.home) if host and rest.startswith(f"{host}/") else self.home

    def _portal(self, request: AnyRequest) -> str:
        return reader_of(request).language.gettext(self.name)
