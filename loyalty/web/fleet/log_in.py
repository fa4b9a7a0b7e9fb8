"""Coming in and going out: an invitation's link, or e-mail and password; then the second factor, set up at the first log-in.

A refused step says the same whether the address is unknown, the password wrong, the log-in closed or tried too often.
"""

from typing import Any

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.errors import Refusal
from loyalty.fleet.queries.companies import get_company
from loyalty.identity import operations as identity
from loyalty.identity.model import Portal, Stage
from loyalty.identity.operations import InvitationNotValid
from loyalty.web import csrf
from loyalty.web.desk import AnyRequest, Page, address_of
from loyalty.web.fleet.desk import DOOR, HOME
from loyalty.web.fleet.labels import ROLE, ROLE_MAY
from loyalty.web.office.reading import Form, read_form
from loyalty.web.problems import notice_of
from loyalty.web.rendering import reader_of, redirect
from loyalty.web.routes import local_path


@get("/log-in", opt={"public": True})
async def log_in_page(request: AnyRequest) -> Page:
    """Ask for e-mail and password."""
    return DOOR.sheet(request, "fleet/log_in.html", next=_next(request.query_params.get("next", HOME)))


@post("/log-in", opt={"public": True}, status_code=303)
async def log_in(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Judge e-mail and password."""
    form = await _form(request)
    begun = await identity.start_log_in(
        session,
        name=form.raw("name"),
        password=form.secret("password"),
        portal=Portal.FLEET,
        address=address_of(request),
        user_agent=request.headers.get("user-agent"),
        previous_token=DOOR.session_token(request),
        now=clock.real_now(),
    )
    wanted = _next(form.raw("next"))
    if begun.refused:
        return DOOR.sheet(request, "fleet/log_in.html", status_code=401, refused=True, name=form.raw("name"), next=wanted)
    return DOOR.onward(request, begun, wanted)


@get("/log-in/code", opt={"public": True})
async def code_page(request: AnyRequest) -> Page:
    """Ask for the authenticator's code, or a recovery code."""
    wanted = _next(request.query_params.get("next", HOME))
    return DOOR.sheet(request, "office/log_in_code.html", recovery="recovery" in request.query_params, next=wanted)


@post("/log-in/code", opt={"public": True}, status_code=303)
async def code(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Judge the second factor."""
    form = await _form(request)
    recovery = form.flag("recovery")
    check = identity.use_recovery_code if recovery else identity.verify_totp
    done = await check(session, token=DOOR.session_token(request) or "", code=form.raw("code"), now=clock.real_now())
    wanted = _next(form.raw("next"))
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
    if done.refused or done.token is None:
        return await _authenticator(request, session, refused=True)
    cookies = [DOOR.session_cookie(request, done.token)]
    return DOOR.sheet(request, "office/recovery_codes.html", codes=done.recovery_codes, onward=HOME, cookies=cookies)


@get("/invitations/{token:str}", opt={"public": True})
async def invitation_page(request: AnyRequest, session: NamedDependency[AsyncSession], token: FromPath[str]) -> Page:
    """Say who invites as what, and ask for a name and a password."""
    return await _invitation(request, session, token)


@post("/invitations/{token:str}", opt={"public": True}, status_code=303)
async def accept(request: AnyRequest, session: NamedDependency[AsyncSession], token: FromPath[str]) -> Page:
    """Make the guest a user; the second factor comes next."""
    form = await _form(request)
    words = reader_of(request).language
    name = form.text("name", words.gettext("Your name"), longest=80)
    chosen = form.secret("password")
    if chosen != form.secret("again"):
        return await _invitation(request, session, token, status_code=422, name=name, differs=True)
    form.check()
    try:
        cookie = await identity.accept_invitation(
            session,
            token=token,
            name=name,
            password=chosen,
            locale=words.locale,
            address=address_of(request),
            user_agent=request.headers.get("user-agent"),
            previous_token=DOOR.session_token(request),
            now=clock.real_now(),
        )
    except InvitationNotValid:
        raise
    except Refusal as refusal:
        return await _invitation(request, session, token, status_code=refusal.status, name=name, problem=notice_of(refusal, words))
    return redirect(request, DOOR.steps[Stage.ENROL_TOTP], cookies=[DOOR.session_cookie(request, cookie)])


@post("/log-out", opt={"public": True}, status_code=303)
async def log_out(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """End the session."""
    await _form(request)
    if token := DOOR.session_token(request):
        await identity.log_out(session, token=token, now=clock.real_now())
    return redirect(request, f"{HOME}/log-in?out=1", cookies=[DOOR.session_cookie(request, None)])


@post("/step-up", opt={"public": True}, status_code=200)
async def step_up(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Judge the second factor again, outside the tenant's fence: budgets of guesses belong to no company."""
    form = await _form(request)
    done = await identity.step_up(session, token=DOOR.session_token(request) or "", code=form.raw("code"), now=clock.real_now())
    back = _next(form.raw("back"))
    return DOOR.stepped_up(request, done, back)


def _next(path: str) -> str:
    """Return where a log-in leads: a page of this portal."""
    found = local_path(path or HOME, HOME)
    return found if found == HOME or found.startswith((f"{HOME}/", f"{HOME}?")) else HOME


async def _form(request: AnyRequest) -> Form:
    """Read a form from before the session is open: its token must be the one of this browser's cookie."""
    form = Form(await read_form(request), reader_of(request).language, request.app.state.settings.zone)
    DOOR.check_form(request, form.raw(csrf.FIELD) or request.headers.get(csrf.HEADER, ""))
    return form


async def _authenticator(request: AnyRequest, session: AsyncSession, *, refused: bool = False) -> Page:
    setup = await identity.begin_totp(session, token=DOOR.session_token(request) or "", now=clock.real_now())
    if setup is None:
        return redirect(request, f"{HOME}/log-in")
    words = reader_of(request).language
    steps = [words.gettext("Password"), words.gettext("Authenticator"), words.gettext("Recovery codes")]
    status = 401 if refused else 200
    return DOOR.sheet(request, "office/authenticator.html", status_code=status, setup=setup, refused=refused, steps=steps)


async def _invitation(request: AnyRequest, session: AsyncSession, token: str, *, status_code: int = 200, **values: Any) -> Page:
    asked = await identity.find_invitation(session, token=token, now=clock.real_now())
    company = await get_company(session, company_id=asked.company_id)
    words = reader_of(request).language
    return DOOR.sheet(
        request,
        "fleet/invitation.html",
        status_code=status_code,
        company=company.name,
        email=asked.email,
        role=words.gettext(ROLE[asked.role]),
        role_may=words.gettext(ROLE_MAY[asked.role]),
        to=request.url.path,
        **values,
    )


handlers = [
    log_in_page,
    log_in,
    code_page,
    code,
    authenticator_page,
    authenticator,
    invitation_page,
    accept,
    log_out,
    step_up,
]
