"""Who sits at the office's desk: each request's session, permissions, form, and how it is answered."""

import contextlib
from datetime import datetime
from typing import Final
from uuid import UUID

from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit.model import Actor
from loyalty.identity import operations as identity
from loyalty.identity.model import Portal, Stage
from loyalty.identity.rules import Permission, Principal, StepUpNeeded, may, require, stations_for
from loyalty.policy import Policy, load_policy
from loyalty.web import csrf
from loyalty.web.desk import AnyRequest, Page, PageDesk, address_of, new_key
from loyalty.web.doors import Door, SignInNeeded
from loyalty.web.i18n import N_
from loyalty.web.office.frame import frame_for
from loyalty.web.office.reading import Form, read_form
from loyalty.web.operations import claim_form
from loyalty.web.rendering import Frame, reader_of

DOOR: Final = Door(
    "/office",
    N_("Office"),
    "office",
    {
        Stage.SECOND_FACTOR: "/office/log-in/code",
        Stage.ENROL_TOTP: "/office/log-in/authenticator",
        Stage.CHANGE_PASSWORD: "/office/log-in/password",
        Stage.OPEN: "/office",
    },
)

__all__ = ["DOOR", "AnyRequest", "Desk", "Page", "address_of", "new_key", "provide_desk"]


class Desk(PageDesk):
    """One request of a signed-in member of staff."""

    base = DOOR.home
    said_cookie = "office-said"

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


async def provide_desk(request: AnyRequest, session: NamedDependency[AsyncSession], now: NamedDependency[datetime]) -> Desk:
    """Resume the session; a changing request must be a form of ours, and has its effect once.

    :raises SignInNeeded: if nobody is signed in
    :raises FormNotOurs: if the form is not ours
    :raises FormAlreadySent: if the form was sent before
    """
    token = DOOR.session_token(request)
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
        DOOR.check_form(request, form.raw(csrf.FIELD) or request.headers.get(csrf.HEADER, ""))
        if key := form.raw("idempotency_key"):
            await claim_form(session, session_id=principal.session_id, key=key, path=request.url.path, now=real_now)
    return Desk(request, session, principal, form, now, DOOR.form_token(request) or "")
