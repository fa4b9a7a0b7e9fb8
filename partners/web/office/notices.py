"""What stations and portals show of a partner, for some days."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity.rules import Permission
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import field, said
from loyalty.web.office.parts import Act, Cell, Rows
from partners.model import PartnerStatus
from partners.operations.alliances import add_notice, end_notice
from partners.queries.alliances import NoticeView, PartnerView, get_notice, notices_of
from partners.web.office.common import allowed, base_of, crumbs_of, offered, today_of

TEXT_MAX: Final = 200
_WEEK: Final = timedelta(days=7)


async def notices_part(desk: Desk, one: PartnerView) -> Rows:
    """Return the partner's notices, those that stand among them."""
    _ = desk.gettext
    edits = desk.may(Permission.EDIT_ALLIANCES)
    found = await notices_of(desk.session, partner_id=one.partner_id)
    return Rows(
        title=_("Announcements"),
        columns=[Column(head) for head in (_("What it says"), _("Days"), _("Status"), *([""] if edits else []))],
        rows=[_row(desk, one, each, edits=edits) for each in found],
        empty=_("Nothing yet: tills and companies' portals show what is announced here."),
        acts=[Act(_("Add an announcement"), f"{base_of(one.partner_id)}/notices/new")] if edits else [],
        id="notices",
    )


def _row(desk: Desk, one: PartnerView, notice: NoticeView, *, edits: bool) -> list[Cell]:
    _ = desk.gettext
    today = today_of(desk, one)
    over = notice.ended_at is not None or notice.end_day <= today
    label, tone = (_("Over"), "") if over else (_("Shown"), "good") if notice.is_shown(today) else (_("Not begun yet"), "info")
    if not over and one.status is not PartnerStatus.ACTIVE:
        label, tone = _("Not shown: the alliance is not active"), "warn"
    row = [
        cells.text(desk.either(notice.text_zh, notice.text_en)),
        cells.text(desk.days(notice.first_day, notice.end_day)),
        Cell(desk.tag(label, tone), label),
    ]
    if not edits:
        return row
    return [
        *row,
        Cell("", "") if over else cells.link(desk, f"{base_of(one.partner_id)}/notices/{notice.notice_id}/end", _("End"), whole=True),
    ]


@get("/partners/{partner_id:uuid}/notices/new")
async def new_notice(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Ask what is to be shown, and when."""
    one = await offered(desk, partner_id)
    _ = desk.gettext
    title = _("New announcement")
    today = today_of(desk, one)
    fields = [
        field("text_zh", _("In Chinese"), all=True, autofocus=True),
        field("text_en", _("In English"), all=True),
        field("first_day", _("First day"), type="date", value=today.isoformat()),
        field("last_day", _("Last day"), type="date", value=(today + _WEEK).isoformat()),
    ]
    note = _("Tills and companies' portals show it while the alliance is active.")
    return await desk.ask(title, fields, submit=_("Show it"), note=note, back=base_of(partner_id), crumbs=crumbs_of(desk, one, (title, "")))


@post("/partners/{partner_id:uuid}/notices/new", status_code=303)
async def enter_notice(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Let it be shown."""
    await allowed(desk, partner_id)
    _ = desk.gettext
    form = desk.form
    text_zh = form.text("text_zh", _("In Chinese"), longest=TEXT_MAX)
    text_en = form.text("text_en", _("In English"), longest=TEXT_MAX)
    first, last = form.day("first_day", _("First day")), form.day("last_day", _("Last day"))
    if first is not None and last is not None and last < first:
        form.fault("last_day", _("Last day"), _("is before the beginning"))
    form.check()
    assert first is not None
    assert last is not None, "the form is sound"
    await add_notice(
        desk.session,
        partner_id=partner_id,
        text_zh=text_zh,
        text_en=text_en,
        first=first,
        end=last + timedelta(days=1),
        actor=desk.actor,
        now=desk.now,
    )
    return await desk.done(f"{base_of(partner_id)}#notices", _("Stored"))


@get("/partners/{partner_id:uuid}/notices/{notice_id:uuid}/end")
async def ask_end(desk: NamedDependency[Desk], partner_id: FromPath[UUID], notice_id: FromPath[UUID]) -> Page:
    """Ask once."""
    one = await offered(desk, partner_id)
    notice = await get_notice(desk.session, partner_id=partner_id, notice_id=notice_id)
    _ = desk.gettext
    title = _("End the announcement")
    fields = [said(desk.either(notice.text_zh, notice.text_en))]
    return await desk.ask(title, fields, submit=title, danger=True, back=base_of(partner_id), crumbs=crumbs_of(desk, one, (title, "")))


@post("/partners/{partner_id:uuid}/notices/{notice_id:uuid}/end", status_code=303)
async def end(desk: NamedDependency[Desk], partner_id: FromPath[UUID], notice_id: FromPath[UUID]) -> Page:
    """Show it no longer."""
    await allowed(desk, partner_id)
    await end_notice(desk.session, partner_id=partner_id, notice_id=notice_id, actor=desk.actor, now=desk.now)
    return await desk.done(f"{base_of(partner_id)}#notices", desk.gettext("It is shown no longer"))


handlers = [new_notice, enter_notice, ask_end, end]
