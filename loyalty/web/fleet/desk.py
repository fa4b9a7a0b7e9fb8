"""One request of a company's user: the session, the tenant's fence around everything that follows, permissions and answers."""

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from litestar.di import NamedDependency
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit.model import Actor
from loyalty.fleet.model_notices import NoticeKind
from loyalty.fleet.queries.companies import CompanyView, get_company
from loyalty.fleet.queries.departments import subtree_of
from loyalty.fleet.queries.group import heads_a_group
from loyalty.fleet.queries.notices import bell_of
from loyalty.identity import operations as identity
from loyalty.identity.model import Stage
from loyalty.identity.portal_rules import FleetPermission, PortalPrincipal, fleet_may, fleet_require
from loyalty.identity.rules import StepUpNeeded
from loyalty.web import csrf
from loyalty.web.desk import AnyRequest, PageDesk, address_of
from loyalty.web.doors import Door, SignInNeeded
from loyalty.web.fleet.frame import frame_for
from loyalty.web.fleet.notice_words import WORDINGS
from loyalty.web.fleet.voice import FleetVoice
from loyalty.web.i18n import N_
from loyalty.web.notices import Told, as_parts, told
from loyalty.web.office.parts import Said
from loyalty.web.office.reading import Form, read_form
from loyalty.web.operations import claim_form
from loyalty.web.rendering import Frame, reader_of

HOME: Final = "/fleet"
NEWS: Final = f"{HOME}/news"
TELLING: Final = frozenset({HOME, f"{HOME}/stations"})
"""The pages that show what is told everybody."""
DOOR: Final = Door(
    HOME,
    N_("Fleet"),
    "fleet",
    {Stage.SECOND_FACTOR: f"{HOME}/log-in/code", Stage.ENROL_TOTP: f"{HOME}/log-in/authenticator", Stage.OPEN: HOME},
)


class FleetDesk(PageDesk, FleetVoice):
    """One request of a signed-in user of a company; its session sees that company's rows only."""

    base = HOME
    said_cookie = "fleet-said"
    density = "comfortable"

    def __init__(
        self,
        request: AnyRequest,
        session: AsyncSession,
        principal: PortalPrincipal,
        company: CompanyView,
        departments: frozenset[UUID] | None,
        form: Form,
        now: datetime,
        token: str,
    ) -> None:
        super().__init__(request, session, form, now, token, company.time_zone)
        self.principal = principal
        self.heads_group = False
        """Other companies stand below this one."""
        self.told: Sequence[Told] = ()
        """What is told everybody, read outside the company's fence; only where a page shows it."""
        self.company = company
        self.departments = departments

    @property
    def session_id(self) -> UUID:
        """The browser's session: a form counts once within it."""
        return self.principal.session_id

    @property
    def actor(self) -> Actor:
        """Who the trail names."""
        return self.principal.actor

    def told_parts(self) -> list[Said]:
        """Return what is told everybody, as a page draws it."""
        return as_parts(self.told, self.words, self.f.when)

    async def frame(self) -> Frame:
        """Return what stands around the page, with what waits."""
        asked, new = await bell_of(
            self.session,
            company_id=self.company_id,
            user_id=self.principal.user_id,
            kinds=self.kinds_told(),
            departments=self.departments,
        )
        return frame_for(self, {f"{HOME}/approvals": (asked, "bad"), f"{HOME}/notices": (new, "info")}, NEWS)

    def kinds_told(self) -> frozenset[NoticeKind]:
        """Return the kinds of notices that the reader may know."""
        return frozenset(kind for kind, wording in WORDINGS.items() if self.may(wording.may))

    def may(self, permission: FleetPermission) -> bool:
        """Say whether to offer it."""
        return fleet_may(self.principal, permission)

    def require(self, permission: FleetPermission) -> None:
        """Let the reader do it.

        :raises NotAllowedInCompany, StepUpNeeded: as `identity.portal_rules.fleet_require`
        """
        fleet_require(self.principal, permission)

    def offer(self, permission: FleetPermission) -> None:
        """Let the reader see the form of an act; its second factor is asked for when the form is sent.

        :raises NotAllowedInCompany: if the role may not
        """
        with contextlib.suppress(StepUpNeeded):
            self.require(permission)

    def rooms(self, department_id: UUID | None) -> frozenset[UUID] | None:
        """Return the departments that a list filtered by one of them is cut to; None is the whole company."""
        if department_id is None:
            return self.departments
        wanted = frozenset({department_id})
        return wanted if self.departments is None else wanted & self.departments


async def enter_tenant(session: AsyncSession, company_id: UUID) -> None:
    """Put a company's fence around the rest of this transaction: the role that is held to the policies, and whose rows it sees."""
    await session.flush()
    await session.execute(text("SET LOCAL ROLE loyalty_portal"))
    await session.execute(text("SELECT set_config('app.tenant', :company, true)"), {"company": str(company_id)})


async def provide_fleet(request: AnyRequest, session: NamedDependency[AsyncSession], now: NamedDependency[datetime]) -> FleetDesk:
    """Resume the session and fence the transaction; a changing request must be a form of ours, and has its effect once.

    :raises SignInNeeded: if nobody is signed in
    :raises FormNotOurs: if the form is not ours
    :raises FormAlreadySent: if the form was sent before
    """
    token = DOOR.session_token(request)
    if token is None:
        raise SignInNeeded
    real_now = clock.real_now()
    try:
        principal = await identity.resume_portal_user(
            session,
            token=token,
            address=address_of(request),
            user_agent=request.headers.get("user-agent"),
            seen=request.url.path != NEWS,
            now=real_now,
        )
    except identity.NotSignedIn:
        raise SignInNeeded from None
    heads = await heads_a_group(session, company_id=principal.company_id)
    path = request.url.path.rstrip("/")
    # Before the fence goes up: what is told is no company's, and stands in tables whose rows the portal's role does not see.
    said = await told(request.app.state, session, zone=request.app.state.settings.zone, now=now) if path in TELLING else ()
    await enter_tenant(session, principal.company_id)
    company = await get_company(session, company_id=principal.company_id)
    fields = await read_form(request) if request.method == "POST" else {}
    form = Form(fields, reader_of(request).language, company.time_zone)
    if request.method == "POST":
        DOOR.check_form(request, form.raw(csrf.FIELD) or request.headers.get(csrf.HEADER, ""))
        if key := form.raw("idempotency_key"):
            await claim_form(session, session_id=principal.session_id, key=key, path=request.url.path, now=real_now)
    departments = None
    if principal.department_id is not None:
        departments = await subtree_of(session, company_id=principal.company_id, department_id=principal.department_id)
    desk = FleetDesk(request, session, principal, company, departments, form, now, DOOR.form_token(request) or "")
    desk.heads_group = heads
    desk.told = said
    return desk
