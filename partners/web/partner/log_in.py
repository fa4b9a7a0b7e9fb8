"""Coming in: by e-mail, password and authenticator; or, an employee at an outlet, by the phone that took their link, and a PIN."""

from typing import Any, Final

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.errors import Refusal
from loyalty.identity import operations as identity
from loyalty.identity.model import Portal, Stage
from loyalty.identity.model_partner import PartnerRole
from loyalty.identity.operations import InvitationNotValid
from loyalty.web.coming_in import ComingIn, coming_in
from loyalty.web.desk import AnyRequest, Page, address_of
from loyalty.web.problems import notice_of
from loyalty.web.rendering import reader_of, redirect
from partners.queries.alliances import get_outlet, get_partner
from partners.web.partner.desk import DOOR, phone_cookie, phone_secret
from partners.web.partner.frame import HOME
from partners.web.partner.labels import ROLE, ROLE_MAY

WAY: Final = ComingIn(DOOR, Portal.PARTNER, "partner/log_in.html")
_PIN_PAGE: Final = f"{HOME}/sign-in"


@get("/sign-in", opt={"public": True})
async def pin_page(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Ask the phone's employee for the PIN; another browser's way in is the log-in."""
    return await _pin(request, session)


@post("/sign-in", opt={"public": True}, status_code=303)
async def sign_in(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Page:
    """Judge the PIN of the phone's employee; each try counts."""
    form = await WAY.form(request)
    token = await identity.sign_in_clerk(
        session,
        secret=phone_secret(request) or "",
        pin=form.secret("pin").strip(),
        address=address_of(request),
        user_agent=request.headers.get("user-agent"),
        now=clock.real_now(),
    )
    if token is None:
        return await _pin(request, session, status_code=401, refused=True)
    return redirect(request, HOME, cookies=[DOOR.session_cookie(request, token)])


@get("/invitations/{token:str}", opt={"public": True})
async def invitation_page(request: AnyRequest, session: NamedDependency[AsyncSession], token: FromPath[str]) -> Page:
    """Say who invites as what, and ask for what this guest comes in with."""
    return await _invitation(request, session, token)


@post("/invitations/{token:str}", opt={"public": True}, status_code=303)
async def accept(request: AnyRequest, session: NamedDependency[AsyncSession], token: FromPath[str]) -> Page:
    """Make the guest a user: an employee stands at the counter at once, everybody else sets up a second factor."""
    form = await WAY.form(request)
    words = reader_of(request).language
    came: dict[str, Any] = {
        "locale": words.locale,
        "address": address_of(request),
        "user_agent": request.headers.get("user-agent"),
        "previous_token": DOOR.session_token(request),
        "now": clock.real_now(),
    }
    asked = await identity.find_partner_invitation(session, token=token, now=came["now"])
    clerk = asked.role is PartnerRole.CLERK
    chosen = form.secret("pin").strip() if clerk else form.secret("password")
    again = form.secret("again").strip() if clerk else form.secret("again")
    name = "" if clerk else form.text("name", words.gettext("Your name"), longest=80)
    if chosen != again:
        return await _invitation(request, session, token, status_code=422, name=name, differs=True)
    form.check()
    try:
        if clerk:
            phone = await identity.accept_as_clerk(session, token=token, pin=chosen, **came)
            cookies = [DOOR.session_cookie(request, phone.session_token), phone_cookie(request, phone.secret)]
            return redirect(request, HOME, cookies=cookies)
        cookie = await identity.accept_partner_invitation(session, token=token, name=name, password=chosen, **came)
    except InvitationNotValid:
        raise
    except Refusal as refusal:
        return await _invitation(request, session, token, status_code=refusal.status, name=name, problem=notice_of(refusal, words))
    return redirect(request, DOOR.steps[Stage.ENROL_TOTP], cookies=[DOOR.session_cookie(request, cookie)])


async def _pin(request: AnyRequest, session: AsyncSession, *, status_code: int = 200, refused: bool = False) -> Page:
    secret = phone_secret(request)
    clerk = None if secret is None else await identity.clerk_of_phone(session, secret=secret)
    if clerk is None or clerk.outlet_id is None:
        return redirect(request, f"{HOME}/log-in")
    words = reader_of(request).language
    outlet = await get_outlet(session, partner_id=clerk.partner_id, outlet_id=clerk.outlet_id)
    where = words.either(outlet.name_zh, outlet.name_en)
    return DOOR.sheet(request, "partner/sign_in.html", status_code=status_code, refused=refused, name=clerk.name, outlet=where)


async def _invitation(request: AnyRequest, session: AsyncSession, token: str, *, status_code: int = 200, **values: Any) -> Page:
    asked = await identity.find_partner_invitation(session, token=token, now=clock.real_now())
    one = await get_partner(session, partner_id=asked.partner_id)
    words = reader_of(request).language
    where = ""
    if asked.outlet_id is not None:
        outlet = await get_outlet(session, partner_id=asked.partner_id, outlet_id=asked.outlet_id)
        where = words.either(outlet.name_zh, outlet.name_en)
    shown: dict[str, Any] = {
        "partner": words.either(one.name_zh, one.name_en),
        "outlet": where,
        "email": asked.email,
        "guest": asked.name or "",
    }
    shown |= {"clerk": asked.role is PartnerRole.CLERK, "to": request.url.path}
    shown |= {"role": words.gettext(ROLE[asked.role]), "role_may": words.gettext(ROLE_MAY[asked.role])}
    return DOOR.sheet(request, "partner/invitation.html", status_code=status_code, **(shown | values))


handlers = [*coming_in(WAY), pin_page, sign_in, invitation_page, accept]
