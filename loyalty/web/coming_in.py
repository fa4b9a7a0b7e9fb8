"""The steps of a log-in at a portal of a tenant's people: e-mail and password, the second factor, an authenticator at the first log-in,
going out, and the second factor asked for again.

A refused step says the same whether the address is unknown, the password wrong, the log-in closed or tried too often.
"""

from dataclasses import dataclass
from typing import Any

from litestar import get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.identity import operations as identity
from loyalty.identity.model import Portal
from loyalty.web import csrf
from loyalty.web.desk import AnyRequest, Page, address_of
from loyalty.web.doors import Door
from loyalty.web.office.reading import Form, read_form
from loyalty.web.rendering import reader_of, redirect
from loyalty.web.routes import local_path


@dataclass(frozen=True, slots=True)
class ComingIn:
    """One portal's way in: its door, and the template that asks for e-mail and password."""

    door: Door
    portal: Portal
    template: str

    def next_of(self, path: str) -> str:
        """Return where a log-in leads: a page of this portal."""
        home = self.door.home
        found = local_path(path or home, home)
        return found if found == home or found.startswith((f"{home}/", f"{home}?")) else home

    async def form(self, request: AnyRequest) -> Form:
        """Read a form from before the session is open: its token must be the one of this browser's cookie."""
        form = Form(await read_form(request), reader_of(request).language, request.app.state.settings.zone)
        self.door.check_form(request, form.raw(csrf.FIELD) or request.headers.get(csrf.HEADER, ""))
        return form

    async def begin(self, request: AnyRequest, session: AsyncSession) -> Page:
        """Judge e-mail and password."""
        form = await self.form(request)
        begun = await identity.start_log_in(
            session,
            name=form.raw("name"),
            password=form.secret("password"),
            portal=self.portal,
            address=address_of(request),
            user_agent=request.headers.get("user-agent"),
            previous_token=self.door.session_token(request),
            now=clock.real_now(),
        )
        wanted = self.next_of(form.raw("next"))
        if begun.refused:
            return self.door.sheet(request, self.template, status_code=401, refused=True, name=form.raw("name"), next=wanted)
        return self.door.onward(request, begun, wanted)

    async def judge_code(self, request: AnyRequest, session: AsyncSession) -> Page:
        """Judge the second factor."""
        form = await self.form(request)
        recovery = form.flag("recovery")
        check = identity.use_recovery_code if recovery else identity.verify_totp
        done = await check(session, token=self.door.session_token(request) or "", code=form.raw("code"), now=clock.real_now())
        wanted = self.next_of(form.raw("next"))
        if done.refused:
            return self.door.sheet(request, "office/log_in_code.html", status_code=401, refused=True, recovery=recovery, next=wanted)
        return self.door.onward(request, done, wanted)

    async def authenticator(self, request: AnyRequest, session: AsyncSession, *, refused: bool = False) -> Page:
        """Show the QR code of a new authenticator."""
        setup = await identity.begin_totp(session, token=self.door.session_token(request) or "", now=clock.real_now())
        if setup is None:
            return redirect(request, f"{self.door.home}/log-in")
        words = reader_of(request).language
        steps = [words.gettext("Password"), words.gettext("Authenticator"), words.gettext("Recovery codes")]
        status = 401 if refused else 200
        return self.door.sheet(request, "office/authenticator.html", status_code=status, setup=setup, refused=refused, steps=steps)

    async def confirm(self, request: AnyRequest, session: AsyncSession) -> Page:
        """Take the first code of the new authenticator, and show the recovery codes once."""
        form = await self.form(request)
        token = self.door.session_token(request) or ""
        done = await identity.confirm_totp(session, token=token, code=form.raw("code"), now=clock.real_now())
        if done.refused or done.token is None:
            return await self.authenticator(request, session, refused=True)
        cookies = [self.door.session_cookie(request, done.token)]
        return self.door.sheet(request, "office/recovery_codes.html", codes=done.recovery_codes, onward=self.door.home, cookies=cookies)

    async def leave(self, request: AnyRequest, session: AsyncSession) -> Page:
        """End the session."""
        await self.form(request)
        if token := self.door.session_token(request):
            await identity.log_out(session, token=token, now=clock.real_now())
        return redirect(request, f"{self.door.home}/log-in?out=1", cookies=[self.door.session_cookie(request, None)])

    async def step_up(self, request: AnyRequest, session: AsyncSession) -> Page:
        """Judge the second factor again, outside the tenant's fence: budgets of guesses belong to no tenant."""
        form = await self.form(request)
        done = await identity.step_up(session, token=self.door.session_token(request) or "", code=form.raw("code"), now=clock.real_now())
        return self.door.stepped_up(request, done, self.next_of(form.raw("back")))


def coming_in(way: ComingIn) -> list[HTTPRouteHandler]:
    """Return the routes of a portal's way in, below its home."""

    @get("/log-in", opt={"public": True})
    async def log_in_page(request: AnyRequest) -> Page:
        """Ask for e-mail and password."""
        return way.door.sheet(request, way.template, next=way.next_of(request.query_params.get("next", "")))

    @post("/log-in", opt={"public": True}, status_code=303)
    async def log_in(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
        """Judge e-mail and password."""
        return await way.begin(request, session)

    @get("/log-in/code", opt={"public": True})
    async def code_page(request: AnyRequest) -> Page:
        """Ask for the authenticator's code, or a recovery code."""
        values: dict[str, Any] = {"next": way.next_of(request.query_params.get("next", "")), "recovery": "recovery" in request.query_params}
        return way.door.sheet(request, "office/log_in_code.html", **values)

    @post("/log-in/code", opt={"public": True}, status_code=303)
    async def code(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
        """Judge the second factor."""
        return await way.judge_code(request, session)

    @get("/log-in/authenticator", opt={"public": True})
    async def authenticator_page(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
        """Show the QR code of a new authenticator."""
        return await way.authenticator(request, session)

    @post("/log-in/authenticator", opt={"public": True}, status_code=303)
    async def authenticator(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
        """Take the first code of the new authenticator, and show the recovery codes once."""
        return await way.confirm(request, session)

    @post("/log-out", opt={"public": True}, status_code=303)
    async def log_out(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
        """End the session."""
        return await way.leave(request, session)

    @post("/step-up", opt={"public": True}, status_code=200)
    async def step_up(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
        """Judge the second factor again."""
        return await way.step_up(request, session)

    return [log_in_page, log_in, code_page, code, authenticator_page, authenticator, log_out, step_up]
