"""Coming in and going out: by e-mail and password, and at first by an invitation's link; the second factor is set up then."""

from typing import Any, Final

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
from loyalty.web.coming_in import ComingIn, coming_in
from loyalty.web.desk import AnyRequest, Page, address_of
from loyalty.web.fleet.desk import DOOR
from loyalty.web.fleet.labels import ROLE, ROLE_MAY
from loyalty.web.problems import notice_of
from loyalty.web.rendering import reader_of, redirect

WAY: Final = ComingIn(DOOR, Portal.FLEET, "fleet/log_in.html")


@get("/invitations/{token:str}", opt={"public": True})
async def invitation_page(request: AnyRequest, session: NamedDependency[AsyncSession], token: FromPath[str]) -> Page:
    """Say who invites as what, and ask for a name and a password."""
    return await _invitation(request, session, token)


@post("/invitations/{token:str}", opt={"public": True}, status_code=303)
async def accept(request: AnyRequest, session: NamedDependency[AsyncSession], token: FromPath[str]) -> Page:
    """Make the guest a user; the second factor comes next."""
    form = await WAY.form(request)
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


handlers = [*coming_in(WAY), invitation_page, accept]
