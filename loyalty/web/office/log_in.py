"""Coming in and going out: name and password, the second factor, and at the first log-in an authenticator and a password of one's own.

A refused step says the same whether the name is unknown, the password wrong, the log-in closed or tried too often.
"""

from typing import Any

from litestar import get, post
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.errors import Refusal
from loyalty.identity import operations as identity
from loyalty.identity.model import Stage
from loyalty.identity.operations import LogIn
from loyalty.web import csrf
from loyalty.web.office import desk as desks
from loyalty.web.office.desk import AnyRequest, Desk, Page, address_of, form_cookie, form_token, session_cookie, session_token
from loyalty.web.office.reading import Form, read_form
from loyalty.web.problems import notice_of
from loyalty.web.rendering import reader_of, redirect, render
from loyalty.web.routes import local_path

HOME = "/office"
_STEPS = {
    Stage.SECOND_FACTOR: "/office/log-in/code",
    Stage.ENROL_TOTP: "/office/log-in/authenticator",
    Stage.CHANGE_PASSWORD: "/office/log-in/password",
    Stage.OPEN: HOME,
}


@get("/log-in", opt={"public": True})
async def log_in_page(request: AnyRequest) -> Page:
    """Ask for name and password."""
    return _sheet(request, "office/log_in.html", next=local_path(request.query_params.get("next", HOME), HOME))


@post("/log-in", opt={"public": True}, status_code=303)
async def log_in(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Judge name and password."""
    form = await _form(request)
    begun = await identity.start_log_in(
        session,
        name=form.raw("name"),
        password=form.secret("password"),
        address=address_of(request),
        user_agent=request.headers.get("user-agent"),
        previous_token=session_token(request),
        now=clock.real_now(),
    )
    wanted = local_path(form.raw("next") or HOME, HOME)
    if begun.refused:
        return _sheet(request, "office/log_in.html", status_code=401, refused=True, name=form.raw("name"), next=wanted)
    return _onward(request, begun, wanted)


@get("/log-in/code", opt={"public": True})
async def code_page(request: AnyRequest) -> Page:
    """Ask for the authenticator's code, or a recovery code."""
    return _sheet(request, "office/log_in_code.html", recovery="recovery" in request.query_params, next=_next(request))


@post("/log-in/code", opt={"public": True}, status_code=303)
async def code(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Judge the second factor."""
    form = await _form(request)
    recovery = form.flag("recovery")
    token = session_token(request) or ""
    check = identity.use_recovery_code if recovery else identity.verify_totp
    done = await check(session, token=token, code=form.raw("code"), now=clock.real_now())
    wanted = local_path(form.raw("next") or HOME, HOME)
    if done.refused:
        return _sheet(request, "office/log_in_code.html", status_code=401, refused=True, recovery=recovery, next=wanted)
    return _onward(request, done, wanted)


@get("/log-in/authenticator", opt={"public": True})
async def authenticator_page(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Show the QR code of a new authenticator."""
    return await _authenticator(request, session)


@post("/log-in/authenticator", opt={"public": True}, status_code=303)
async def authenticator(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Take the first code of the new authenticator, and show the recovery codes once."""
    form = await _form(request)
    done = await identity.confirm_totp(session, token=session_token(request) or "", code=form.raw("code"), now=clock.real_now())
    if done.refused or done.stage is None or done.token is None:
        return await _authenticator(request, session, refused=True)
    return _sheet(
        request,
        "office/recovery_codes.html",
        codes=done.recovery_codes,
        onward=_STEPS[done.stage],
        cookies=[session_cookie(request, done.token)],
    )


@get("/log-in/password", opt={"public": True})
async def password_page(request: AnyRequest) -> Page:
    """Ask for a password of one's own."""
    return _sheet(request, "office/log_in_password.html", next=_next(request))


@post("/log-in/password", opt={"public": True}, status_code=303)
async def password(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Take the chosen password."""
    form = await _form(request)
    wanted = local_path(form.raw("next") or HOME, HOME)
    chosen, again = form.secret("password"), form.secret("again")
    if chosen != again:
        return _sheet(request, "office/log_in_password.html", status_code=422, differs=True, next=wanted)
    try:
        done = await identity.choose_password(session, token=session_token(request) or "", password=chosen, now=clock.real_now())
    except Refusal as refusal:
        return _weak(request, refusal, wanted)
    if done.refused:
        return redirect(request, "/office/log-in")
    return _onward(request, done, wanted)


@post("/log-out", opt={"public": True}, status_code=303)
async def log_out(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """End the session."""
    await _form(request)
    if token := session_token(request):
        await identity.log_out(session, token=token, now=clock.real_now())
    return redirect(request, "/office/log-in?out=1", cookies=[session_cookie(request, None)])


@post("/step-up", status_code=200)
async def step_up(desk: NamedDependency[Desk]) -> Page:
    """Judge the second factor again; the form that asked for it is then sent again by the page, or by the reader."""
    token = session_token(desk.request) or ""
    done = await identity.step_up(desk.session, token=token, code=desk.form.raw("code"), now=desk.real_now)
    back = local_path(desk.form.raw("back") or HOME, HOME)
    if done.refused or done.token is None:
        return step_up_page(desk.request, back=back, refused=True)
    cookies = [session_cookie(desk.request, done.token)]
    if desk.request.headers.get("hx-request") == "true":
        headers = {"HX-Trigger": "stepped-up"}
        return render(desk.request, "office/stepped_up.html", cookies=cookies, headers=headers)
    return redirect(desk.request, back, cookies=cookies)


def step_up_page(request: AnyRequest, *, back: str, refused: bool = False) -> Page:
    """Ask for the second factor again: into the page for htmx, else as a page of its own."""
    fragment = request.headers.get("hx-request") == "true"
    headers = {"HX-Retarget": "#problem", "HX-Reswap": "innerHTML show:top", "X-Step-Up": "needed"} if fragment else {}
    template = "office/step_up.html" if fragment else "office/step_up_page.html"
    return render(
        request, template, status_code=403, headers=headers, back=back, refused=refused, csrf=form_token(request) or "", to=request.url.path
    )


def _onward(request: AnyRequest, done: LogIn, wanted: str) -> Page:
    assert done.stage is not None
    assert done.token is not None
    to = wanted if done.stage is Stage.OPEN else f"{_STEPS[done.stage]}?next={wanted}" if wanted != HOME else _STEPS[done.stage]
    return redirect(request, to, cookies=[session_cookie(request, done.token)])


def _next(request: AnyRequest) -> str:
    return local_path(request.query_params.get("next", HOME), HOME)


async def _form(request: AnyRequest) -> Form:
    """Read a form from before the session is open: its token must be the one of this browser's cookie."""
    form = Form(await read_form(request), reader_of(request).language, request.app.state.settings.zone)
    desks.check_form(request, form.raw(csrf.FIELD))
    return form


async def _authenticator(request: AnyRequest, session: AsyncSession, *, refused: bool = False) -> Page:
    setup = await identity.begin_totp(session, token=session_token(request) or "", now=clock.real_now())
    if setup is None:
        return redirect(request, "/office/log-in")
    status = 401 if refused else 200
    return _sheet(request, "office/authenticator.html", status_code=status, setup=setup, refused=refused)


def _weak(request: AnyRequest, refusal: Refusal, wanted: str) -> Page:
    problem = notice_of(refusal, reader_of(request).language)
    return _sheet(request, "office/log_in_password.html", status_code=422, problem=problem, next=wanted)


def _sheet(request: AnyRequest, template: str, *, status_code: int = 200, cookies: list[Any] | None = None, **values: Any) -> Page:
    """Draw a page from before the session is open, with a form token of this browser."""
    token = form_token(request)
    fresh = [] if token else [form_cookie(request, token := csrf.new_token())]
    defaults: dict[str, Any] = {"refused": False, "name": "", "differs": False, "out": "out" in request.query_params}
    return render(request, template, status_code=status_code, cookies=[*fresh, *(cookies or [])], csrf=token, **(defaults | values))


handlers = [
    log_in_page,
    log_in,
    code_page,
    code,
    authenticator_page,
    authenticator,
    password_page,
    password,
    log_out,
    step_up,
]
