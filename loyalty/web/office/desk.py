"""Who sits at the office's desk: each request's session, permissions, form, and how it is answered."""

import contextlib
from datetime import datetime
from typing import Final
from uuid import UUID

from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit.model import Actor
from loyalty.identity import operations as identity
from loyalty.identity.model import Portal
from loyalty.identity.rules import Permission, Principal, StepUpNeeded, may, require, stations_for
from loyalty.policy import Policy, load_policy
from loyalty.web import csrf
from loyalty.web.desk import AnyRequest, Flash, Page, PageDesk, address_of, is_tls, new_key
from loyalty.web.office.frame import frame_for
from loyalty.web.office.reading import Form, read_form
from loyalty.web.operations import claim_form
from loyalty.web.rendering import Frame, reader_of

SESSION_COOKIE: Final = "office"
FORM_COOKIE: Final = "office-form"
SAID_COOKIE: Final = "office-said"

__all__ = [
    "FORM_COOKIE",
    "SAID_COOKIE",
    "SESSION_COOKIE",
    "AnyRequest",
    "Desk",
    "Flash",
    "Page",
    "SignInNeeded",
    "address_of",
    "check_form",
    "form_cookie",
    "form_token",
    "is_tls",
    "new_key",
    "provide_desk",
    "session_cookie",
    "session_token",
]


class SignInNeeded(Exception):  # noqa: N818 - not a fault: the reader is led to the log-in
    """No open session: the log-in comes first, then the page that was asked for."""


class Desk(PageDesk):
    """One request of a signed-in member of staff."""

    base = "/office"
    said_cookie = SAID_COOKIE

    def __init__(self, request: AnyRequest, session: AsyncSession, principal: Principal, form: Form, now: datetime, token: str) -> None:
        super().__init__(request, session, form, now, token, request.app.state.settings.zone)
        self.principal = principal

    @property
    def session_id(self) -> UUID:
        """The browser's session: a form counts once within it."""
        return self.principal.session_id

    async def frame(self) -> Frame:
        """Return what stands around the page."""
        return await frame_for(self)

    @property
    def actor(self) -> Actor:
        """Who the trail names."""
        return self.principal.actor

    @property
    def policy(self) -> Policy:
        """The policy profile in force."""
        return load_policy(self.request.app.state.settings.policy)

    def may(self, permission: Permission, station_id: UUID | None = None) -> bool:
        """Say whether to offer it."""
        return may(self.principal, permission, station_id=station_id)

    def require(self, permission: Permission, station_id: UUID | None = None) -> None:
        """Let the reader do it.

        :raises NotFound, NotAllowed, StepUpNeeded: as `identity.rules.require`
        """
        require(self.principal, permission, station_id=station_id)

    def offer(self, permission: Permission, station_id: UUID | None = None) -> None:
        """Let the reader see the form of an act; its second factor is asked for when the form is sent.

        :raises NotFound, NotAllowed: as `require`
        """
        with contextlib.suppress(StepUpNeeded):
            self.require(permission, station_id)

    def reachable(self, permission: Permission) -> frozenset[UUID] | None:
        """Return the stations that lists are cut to; None is all.

        :raises NotAllowed: if the permission is not the reader's anywhere
        """
        self.require(permission)
        return stations_for(self.principal, permission)


def form_token(request: AnyRequest) -> str | None:
    """Return this browser's form token from its cookie."""
    return request.cookies.get(csrf.cookie_name(FORM_COOKIE, tls=is_tls(request)))


def form_cookie(request: AnyRequest, token: str) -> Cookie:
    """Return the cookie of a form token."""
    return csrf.cookie(FORM_COOKIE, token, tls=is_tls(request), samesite="strict")


def session_cookie(request: AnyRequest, token: str | None) -> Cookie:
    """Return the session's cookie; None takes it away."""
    return csrf.cookie(SESSION_COOKIE, token or "", tls=is_tls(request), max_age=None if token else 0)


def session_token(request: AnyRequest) -> str | None:
    """Return the session's token from its cookie."""
    return request.cookies.get(csrf.cookie_name(SESSION_COOKIE, tls=is_tls(request)))


def check_form(request: AnyRequest, sent: str) -> None:
    """Let only forms of our own pages through.

    :raises FormNotOurs: otherwise
    """
    csrf.check(sent=sent, expected=form_token(request), headers=request.headers, host=request.headers.get("host", ""))


async def provide_desk(request: AnyRequest, session: NamedDependency[AsyncSession], now: NamedDependency[datetime]) -> Desk:
    """Resume the session; a changing request must be a form of ours, and has its effect once.

    :raises SignInNeeded: if nobody is signed in
    :raises FormNotOurs: if the form is not ours
    :raises FormAlreadySent: if the form was sent before
    """
    token = session_token(request)
    if token is None:
        raise SignInNeeded
    real_now = clock.real_now()
    try:
        principal = await identity.resume(
            session,
            token=token,
            portal=Portal.OFFICE,
            address=address_of(request),
            user_agent=request.headers.get("user-agent"),
            now=real_now,
        )
    except identity.NotSignedIn:
        raise SignInNeeded from None
    fields = await read_form(request) if request.method == "POST" else {}
    form = Form(fields, reader_of(request).language, request.app.state.settings.zone)
    if request.method == "POST":
        check_form(request, form.raw(csrf.FIELD) or request.headers.get(csrf.HEADER, ""))
        if key := form.raw("idempotency_key"):
            await claim_form(session, session_id=principal.session_id, key=key, path=request.url.path, now=real_now)
    return Desk(request, session, principal, form, now, form_token(request) or "")
