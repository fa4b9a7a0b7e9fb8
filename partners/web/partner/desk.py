"""One request of a partner's user: the session, the partner's fence around everything that follows, permissions and answers."""

import contextlib
from datetime import datetime
from typing import Final
from uuid import UUID

from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit.model import Actor
from loyalty.errors import Refusal
from loyalty.identity import operations as identity
from loyalty.identity.model import Stage
from loyalty.identity.partner_rules import PartnerPermission, PartnerPrincipal, partner_may, partner_require
from loyalty.identity.rules import StepUpNeeded
from loyalty.web import csrf
from loyalty.web.desk import AnyRequest, PageDesk, address_of, is_tls
from loyalty.web.doors import Door, SignInNeeded
from loyalty.web.i18n import N_
from loyalty.web.office.reading import Form, read_form
from loyalty.web.operations import claim_form
from loyalty.web.rendering import Frame, reader_of
from partners.fence import enter_partner
from partners.model import OutletStatus
from partners.queries.alliances import OutletView, PartnerView, get_partner, outlets_of
from partners.web.partner.frame import HOME, frame_for

DOOR: Final = Door(
    HOME,
    N_("Partner portal"),
    "partner",
    {Stage.SECOND_FACTOR: f"{HOME}/log-in/code", Stage.ENROL_TOTP: f"{HOME}/log-in/authenticator", Stage.OPEN: HOME},
)
PHONE_COOKIE: Final = "partner-phone"
"""A clerk's phone; with it the PIN is asked for."""
OUTLET_COOKIE: Final = "partner-outlet"
_PHONE_LIFE: Final = 400 * 86_400


class NoOutlet(Refusal):
    """Redeeming takes an outlet that serves."""

    zh = "本商户还没有可核销的网点。"
    en = "There is no outlet yet where something could be redeemed."
    next_zh = "请联系总部登记网点。"
    next_en = "Ask the office to enter your outlets."


class PartnerDesk(PageDesk):
    """One request of a signed-in user of a partner; its session sees that partner's rows only."""

    base = HOME
    said_cookie = "partner-said"
    density = "touch"

    def __init__(
        self,
        request: AnyRequest,
        session: AsyncSession,
        principal: PartnerPrincipal,
        partner: PartnerView,
        outlets: list[OutletView],
        form: Form,
        now: datetime,
        token: str,
    ) -> None:
        super().__init__(request, session, form, now, token, partner.zone)
        self.principal = principal
        self.partner = partner
        self.outlets = outlets
        """Those of the reader: a clerk's one, of the others all."""
        chosen = request.cookies.get(OUTLET_COOKIE, "")
        serving = [one for one in outlets if one.status is not OutletStatus.CLOSED]
        self.outlet = next((one for one in serving if str(one.outlet_id) == chosen), serving[0] if serving else None)
        """Where the reader stands."""

    @property
    def session_id(self) -> UUID:
        """The browser's session: a form counts once within it."""
        return self.principal.session_id

    @property
    def actor(self) -> Actor:
        """Who the trail names."""
        return self.principal.actor

    @property
    def partner_id(self) -> UUID:
        """The tenant."""
        return self.principal.partner_id

    @property
    def here(self) -> OutletView:
        """The outlet where the reader stands.

        :raises NoOutlet: if the partner has none that is not shut
        """
        if self.outlet is None:
            raise NoOutlet
        return self.outlet

    @property
    def outlet_name(self) -> str:
        """What it is called in the reader's language."""
        return self.either(self.here.name_zh, self.here.name_en)

    async def frame(self) -> Frame:
        """Return what stands around the page."""
        return frame_for(self)

    def may(self, permission: PartnerPermission) -> bool:
        """Say whether to offer it."""
        return partner_may(self.principal, permission)

    def require(self, permission: PartnerPermission) -> None:
        """Let the reader do it.

        :raises NotAllowedAtPartner, StepUpNeeded: as `identity.partner_rules.partner_require`
        """
        partner_require(self.principal, permission)

    def offer(self, permission: PartnerPermission) -> None:
        """Let the reader see the form of an act; its second factor is asked for when the form is sent.

        :raises NotAllowedAtPartner: if the role may not
        """
        with contextlib.suppress(StepUpNeeded):
            self.require(permission)

    def money(self, minor: int) -> str:
        """Write an amount of the partner's currency."""
        return self.f.money(minor, self.partner.currency)


def phone_secret(request: AnyRequest) -> str | None:
    """Return the secret of a clerk's phone."""
    return request.cookies.get(csrf.cookie_name(PHONE_COOKIE, tls=is_tls(request)))


def phone_cookie(request: AnyRequest, secret: str | None) -> Cookie:
    """Return the cookie that makes a phone a clerk's; None takes it away."""
    life = _PHONE_LIFE if secret else 0
    return csrf.cookie(PHONE_COOKIE, secret or "", tls=is_tls(request), max_age=life, samesite="strict")


async def provide_partner(request: AnyRequest, session: NamedDependency[AsyncSession], now: NamedDependency[datetime]) -> PartnerDesk:
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
        principal = await identity.resume_partner_user(
            session, token=token, address=address_of(request), user_agent=request.headers.get("user-agent"), now=real_now
        )
    except identity.NotSignedIn:
        raise SignInNeeded from None
    await enter_partner(session, principal.partner_id)
    partner = await get_partner(session, partner_id=principal.partner_id)
    outlets = await outlets_of(session, partner_id=principal.partner_id)
    if principal.outlet_id is not None:
        outlets = [one for one in outlets if one.outlet_id == principal.outlet_id]
    fields = await read_form(request) if request.method == "POST" else {}
    form = Form(fields, reader_of(request).language, partner.zone)
    if request.method == "POST":
        DOOR.check_form(request, form.raw(csrf.FIELD) or request.headers.get(csrf.HEADER, ""))
        if key := form.raw("idempotency_key"):
            await claim_form(session, session_id=principal.session_id, key=key, path=request.url.path, now=real_now)
    return PartnerDesk(request, session, principal, partner, outlets, form, now, DOOR.form_token(request) or "")
