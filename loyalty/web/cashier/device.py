"""Becoming a till, coming in, locking the screen, changing places.

A refused card and PIN say the same whether the card is unknown, the PIN wrong, or the tries used up by guessing.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from litestar import get, post

from loyalty import clock
from loyalty.db import transaction
from loyalty.identity import operations as identity
from loyalty.stations.queries import get_terminal
from loyalty.web.cashier.frame import sheet
from loyalty.web.cashier.till import (
    HOME,
    AnyRequest,
    DeviceNeeded,
    Page,
    address_of,
    device_cookie,
    device_token,
    form_of,
    form_token,
    resume,
    session_cookie,
    session_token,
)
from loyalty.web.rendering import reader_of, redirect, render, wants_fragment
from loyalty.web.routes import local_path

_PUBLIC = {"public": True}


@get("/enrol", opt=_PUBLIC)
async def enrol_page(request: AnyRequest) -> Page:
    """Ask for the code that makes this browser a till; a scanned link brings it along."""
    return sheet(request, "enrol.html", code=request.query_params.get("code", ""), refused=False)


@post("/enrol", opt=_PUBLIC, status_code=303)
async def enrol(request: AnyRequest) -> Page:
    """Make this browser the till which the code names."""
    form = await form_of(request, "UTC")
    code = form.raw("code")
    async with transaction(request.app.state.sessions) as session:
        made = await identity.redeem_browser_code(
            session, code=code, address=address_of(request), user_agent=request.headers.get("user-agent"), now=clock.real_now()
        )
    if made is None:
        return sheet(request, "enrol.html", status_code=422, code=code, refused=True)
    return redirect(request, f"{HOME}/sign-in?new=1", cookies=[device_cookie(request, made.token)])


@get("/sign-in", opt=_PUBLIC)
async def sign_in_page(request: AnyRequest) -> Page:
    """Ask for staff card and PIN."""
    return await _sign_in(request, new="new" in request.query_params, out="out" in request.query_params)


@post("/sign-in", opt=_PUBLIC, status_code=303)
async def sign_in(request: AnyRequest) -> Page:
    """Judge staff card and PIN; whoever else is signed in on this screen is locked."""
    form = await form_of(request, "UTC")
    token = device_token(request)
    if token is None:
        raise DeviceNeeded
    async with transaction(request.app.state.sessions) as session:
        try:
            done = await identity.sign_in_at_terminal(
                session,
                device_token=token,
                card_number=form.raw("card"),
                pin=form.secret("pin").strip(),
                address=address_of(request),
                user_agent=request.headers.get("user-agent"),
                now=clock.real_now(),
            )
        except identity.DeviceNotEnrolled:
            raise DeviceNeeded from None
    if done.token is None:
        return await _sign_in(request, status_code=401, refused=True, locked=done.locked, not_here=done.not_here)
    return redirect(request, _wanted(form.raw("next")), cookies=[session_cookie(request, done.token), device_cookie(request, token)])


@post("/sign-out", opt=_PUBLIC, status_code=303)
async def sign_out(request: AnyRequest) -> Page:
    """End the session."""
    await form_of(request, "UTC")
    if token := session_token(request):
        async with transaction(request.app.state.sessions) as session:
            await identity.log_out(session, token=token, now=clock.real_now())
    return redirect(request, f"{HOME}/sign-in?out=1", cookies=[session_cookie(request, None)])


@post("/lock", opt=_PUBLIC, status_code=303)
async def lock(request: AnyRequest) -> Page:
    """Lock the screen at once; what was begun comes back with it."""
    form = await form_of(request, "UTC")
    if token := session_token(request):
        async with transaction(request.app.state.sessions) as session:
            await identity.lock_screen(session, token=token, now=clock.real_now())
    if wants_fragment(request):
        return locked_screen(request)
    return redirect(request, f"{HOME}/locked?next={_wanted(form.raw('next'))}")


@get("/locked", opt=_PUBLIC)
async def locked_page(request: AnyRequest) -> Page:
    """Show the locked screen as a page, with who is signed in here."""
    token = device_token(request)
    if token is None:
        raise DeviceNeeded
    async with transaction(request.app.state.sessions) as session:
        try:
            people = [name for _, name in await identity.people_at_device(session, device_token=token, now=clock.real_now())]
        except identity.DeviceNotEnrolled:
            raise DeviceNeeded from None
    return locked_screen(request, people=people)


@post("/unlock", opt=_PUBLIC, status_code=303)
async def unlock(request: AnyRequest) -> Page:
    """Open the locked screen by the PIN of who locked it."""
    form = await form_of(request, "UTC")
    token, device = session_token(request), device_token(request)
    wanted = _wanted(form.raw("next"))
    if token is None or device is None:
        return redirect(request, f"{HOME}/sign-in")
    async with transaction(request.app.state.sessions) as session:
        try:
            done = await identity.unlock_screen(
                session, token=token, device_token=device, pin=form.secret("pin").strip(), now=clock.real_now()
            )
        except (identity.NotSignedIn, identity.DeviceNotEnrolled):
            return redirect(request, f"{HOME}/sign-in")
    if done.token is None:
        return locked_screen(request, refused=True, no_tries=done.locked)
    cookies = [session_cookie(request, done.token)]
    if wants_fragment(request):
        return render(request, "cashier/unlocked.html", cookies=cookies, headers={"HX-Trigger": "unlocked"})
    return redirect(request, wanted, cookies=cookies)


@post("/here", status_code=204, opt=_PUBLIC)
async def here(request: AnyRequest) -> None:
    """Note that somebody touches keys or screen: what keeps the screen awake between two requests."""
    await form_of(request, "UTC")
    await resume(request)


def locked_screen(request: AnyRequest, *, people: Sequence[str] = (), refused: bool = False, no_tries: bool = False) -> Page:
    """Draw the locked screen: over the page for htmx, so that nothing typed is lost, else as a page."""
    values: dict[str, Any] = {"people": people, "refused": refused, "no_tries": no_tries}
    if not wants_fragment(request):
        wanted = _wanted(request.query_params.get("next", HOME))
        return sheet(request, "locked.html", status_code=401 if refused else 200, over=False, next=wanted, **values)
    current = urlsplit(request.headers.get("hx-current-url", ""))
    wanted = _wanted(f"{current.path}?{current.query}" if current.query else current.path)
    headers = {"HX-Retarget": "#problem", "HX-Reswap": "innerHTML show:top"}
    token = form_token(request) or ""
    return render(request, "cashier/locked_over.html", status_code=401, headers=headers, csrf=token, over=True, next=wanted, **values)


async def _sign_in(
    request: AnyRequest,
    *,
    status_code: int = 200,
    refused: bool = False,
    locked: bool = False,
    not_here: bool = False,
    new: bool = False,
    out: bool = False,
) -> Page:
    token = device_token(request)
    if token is None:
        raise DeviceNeeded
    async with transaction(request.app.state.sessions) as session:
        try:
            device = await identity.get_device(session, device_token=token)
        except identity.DeviceNotEnrolled:
            raise DeviceNeeded from None
        view = await get_terminal(session, terminal_id=device.terminal_id)
        people = [name for _, name in await identity.people_at_device(session, device_token=token, now=clock.real_now())]
    words = reader_of(request).language
    return sheet(
        request,
        "sign_in.html",
        status_code=status_code,
        refused=refused,
        locked=locked,
        not_here=not_here,
        new=new,
        out=out,
        next=_wanted(request.query_params.get("next", HOME)),
        station=words.either(view.station_name_zh, view.station_name_en),
        till=view.code,
        people=people,
    )


def _wanted(path: str) -> str:
    found = local_path(path or HOME, HOME)
    return found if found.startswith(HOME) else HOME


handlers = [enrol_page, enrol, sign_in_page, sign_in, sign_out, lock, locked_page, unlock, here]
