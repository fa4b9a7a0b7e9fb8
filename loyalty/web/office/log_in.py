"""Coming in and going out: name and password, the second factor, and at the first log-in an authenticator and a password of one's own.

A refused step says the same whether the name is unknown, the password wrong, the log-in closed or tried too often.
"""

from litestar import get, post
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.errors import Refusal
from loyalty.identity import operations as identity
from loyalty.web import csrf
from loyalty.web.office.desk import DOOR, AnyRequest, Desk, Page, address_of
from loyalty.web.office.reading import Form, read_form
from loyalty.web.problems import notice_of
from loyalty.web.rendering import reader_of, redirect
from loyalty.web.routes import local_path

HOME = "/office"


@get("/log-in", opt={"public": True})
async def log_in_page(request: AnyRequest) -> Page:
    """Ask for name and password."""
    return DOOR.sheet(request, "office/log_in.html", next=local_path(request.query_params.get("next", HOME), HOME))


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
        previous_token=DOOR.session_token(request),
        now=clock.real_now(),
    )
    wanted = local_path(form.raw("next") or HOME, HOME)
    if begun.refused:
        return DOOR.sheet(request, "office/log_in.html", status_code=401, refused=True, name=form.raw("name"), next=wanted)
    return DOOR.onward(request, begun, wanted)


@get("/log-in/code", opt={"public": True})
async def code_page(request: AnyRequest) -> Page:
    """Ask for the authenticator's code, or a recovery code."""
    return DOOR.sheet(request, "office/log_in_code.html", recovery="recovery" in request.query_params, next=_next(request))


@post("/log-in/code", opt={"public": True}, status_code=303)
async def code(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Judge the second factor."""
    form = await _form(request)
    recovery = form.flag("recovery")
    token = DOOR.session_token(request) or ""
    check = identity.use_recovery_code if recovery else identity.verify_totp
    done = await check(session, token=token, code=form.raw("code"), now=clock.real_now())
    wanted = local_path(form.raw("next") or HOME, HOME)
    if done.refused:
        return DOOR.sheet(request, "office/log_in_code.html", status_code=401, refused=True, recovery=recovery, next=wanted)
    return DOOR.onward(request, done, wanted)


@get("/log-in/authenticator", opt={"public": True})
async def authenticator_page(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Show the QR code of a new authenticator."""
    return await _authenticator(request, session)


@post("/log-in/authenticator", opt={"public": True}, status_code=303)
async def authenticator(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Take the first code of the new authenticator, and show the recovery codes once."""
    form = await _form(request)
    done = await identity.confirm_totp(session, token=DOOR.session_token(request) or "", code=form.raw("code"), now=clock.real_now())
    if done.refused or done.stage is None or done.token is None:
        return await _authenticator(request, session, refused=True)
    return DOOR.sheet(
        request,
        "office/recovery_codes.html",
        codes=done.recovery_codes,
        onward=DOOR.steps[done.stage],
        cookies=[DOOR.session_cookie(request, done.token)],
    )


@get("/log-in/password", opt={"public": True})
async def password_page(request: AnyRequest) -> Page:
    """Ask for a password of one's own."""
    return DOOR.sheet(request, "office/log_in_password.html", next=_next(request))


@post("/log-in/password", opt={"public": True}, status_code=303)
async def password(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Take the chosen password."""
    form = await _form(request)
    wanted = local_path(form.raw("next") or HOME, HOME)
    chosen, again = form.secret("password"), form.secret("again")
    if chosen != again:
        return DOOR.sheet(request, "office/log_in_password.html", status_code=422, differs=True, next=wanted)
    try:
        done = await identity.choose_password(session, token=DOOR.session_token(request) or "", password=chosen, now=clock.real_now())
    except Refusal as refusal:
        return _weak(request, refusal, wanted)
    if done.refused:
        return redirect(request, "/office/log-in")
    return DOOR.onward(request, done, wanted)


@post("/log-out", opt={"public": True}, status_code=303)
async def log_out(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """End the session."""
    await _form(request)
    if token := DOOR.session_token(request):
        await identity.log_out(session, token=token, now=clock.real_now())
    return redirect(request, "/office/log-in?out=1", cookies=[DOOR.session_cookie(request, None)])


@post("/step-up", status_code=200)
async def step_up(desk: NamedDependency[Desk]) -> Page:
    """Judge the second factor again; the form that asked for it is then sent again by the page, or by the reader."""
    token = DOOR.session_token(desk.request) or ""
    done = await identity.step_up(desk.session, token=token, code=desk.form.raw("code"), now=desk.real_now)
    back = local_path(desk.form.raw("back") or HOME, HOME)
    return DOOR.stepped_up(desk.request, done, back)


def _next(request: AnyRequest) -> str:
    return local_path(request.query_params.get("next", HOME), HOME)


async def _form(request: AnyRequest) -> Form:
    """Read a form from before the session is open: its token must be the one of this browser's cookie."""
    form = Form(await read_form(request), reader_of(request).language, request.app.state.settings.zone)
    DOOR.check_form(request, form.raw(csrf.FIELD))
    return form


async def _authenticator(request: AnyRequest, session: AsyncSession, *, refused: bool = False) -> Page:
    setup = await identity.begin_totp(session, token=DOOR.session_token(request) or "", now=clock.real_now())
    if setup is None:
        return redirect(request, "/office/log-in")
    status = 401 if refused else 200
    return DOOR.sheet(request, "office/authenticator.html", status_code=status, setup=setup, refused=refused)


def _weak(request: AnyRequest, refusal: Refusal, wanted: str) -> Page:
    problem = notice_of(refusal, reader_of(request).language)
    return DOOR.sheet(request, "office/log_in_password.html", status_code=422, problem=problem, next=wanted)


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
