"""One's own: sessions on other devices, and the password."""

from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity import operations, queries
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import PORTAL
from loyalty.web.office.lookups import field
from loyalty.web.office.parts import Act, Cell, Rows

PATH = "/office/me"


@get("/me")
async def me(desk: NamedDependency[Desk]) -> Page:
    """Show where one is signed in."""
    _ = desk.gettext
    found = await queries.sessions_of(desk.session, staff_id=desk.principal.staff_id, now=desk.real_now)
    rows = []
    for one in found:
        here = one.session_id == desk.principal.session_id
        rows.append(
            [
                cells.text(_(PORTAL[one.portal])),
                cells.when(desk, one.opened_at),
                cells.when(desk, one.last_seen_at),
                cells.text(one.address),
                cells.text(one.user_agent),
                Cell(desk.tag(_("this one"), "good") if here else desk.link(f"{PATH}/sessions/{one.session_id}", _("End")), ""),
            ]
        )
    part = Rows(
        title=_("Where I am signed in"),
        columns=[Column(_("Where")), Column(_("Since")), Column(_("Last seen")), Column(_("Address")), Column(_("Browser")), Column("")],
        rows=rows,
        empty="",
    )
    return await desk.page(
        desk.principal.name, sub=desk.principal.employee_number, acts=[Act(_("Change the password"), f"{PATH}/password")], main=[part]
    )


@get("/me/sessions/{session_id:uuid}")
async def ask_end(desk: NamedDependency[Desk], session_id: FromPath[UUID]) -> Page:
    """Ask once before a session ends."""
    _ = desk.gettext
    del session_id
    return await desk.ask(
        _("End this session?"), [], submit=_("End"), danger=True, back=PATH, note=_("Whoever uses it is signed out at once.")
    )


@post("/me/sessions/{session_id:uuid}", status_code=303)
async def end(desk: NamedDependency[Desk], session_id: FromPath[UUID]) -> Page:
    """End one of one's own sessions."""
    await operations.revoke_session(desk.session, session_id=session_id, by=desk.principal, now=desk.real_now)
    return await desk.done(PATH, desk.gettext("Ended"))


@get("/me/password")
async def ask_password(desk: NamedDependency[Desk]) -> Page:
    """Ask for the present and the new password."""
    _ = desk.gettext
    fields = [
        field("present", _("Present password"), type="password", autocomplete="current-password", autofocus=True),
        field("password", _("New password"), type="password", autocomplete="new-password", help=_("Twelve characters at least.")),
        field("again", _("Once more"), type="password", autocomplete="new-password"),
    ]
    return await desk.ask(_("Change the password"), fields, submit=_("Change"), back=PATH, note=_("Your other sessions end."))


@post("/me/password", status_code=303)
async def change_password(desk: NamedDependency[Desk]) -> Page:
    """Change one's own password; a wrong present one counts as a try, so it is answered and not refused."""
    _ = desk.gettext
    form = desk.form
    chosen = form.secret("password")
    if chosen != form.secret("again"):
        form.fault("again", _("Once more"), _("differs"))
    form.check()
    right = await operations.change_password(
        desk.session, by=desk.principal, present=form.secret("present"), password=chosen, now=desk.real_now
    )
    if not right:
        return await desk.done(f"{PATH}/password", _("The present password is not right; nothing was changed."))
    return await desk.done(PATH, _("The password is changed"))


handlers = [me, ask_end, end, ask_password, change_password]
