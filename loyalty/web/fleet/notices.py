"""The company's inbox, and the line that comes by itself when the pump asks."""

from collections.abc import Sequence
from typing import Any

from litestar import get
from litestar.di import NamedDependency

from loyalty.fleet.model_approvals import ApprovalStatus
from loyalty.fleet.model_notices import NoticeKind
from loyalty.fleet.operations.notices import mark_read
from loyalty.fleet.queries.notices import NoticeView, list_notices, read_to
from loyalty.fleet.queries.watching import list_approvals
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import NEWS, FleetDesk
from loyalty.web.fleet.notice_words import KINDS, leads_to, sentence
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import word_filter
from loyalty.web.office.parts import Cell
from loyalty.web.rendering import render

PATH = "/fleet/notices"


@get(three("/notices"))
async def notices(fleet: NamedDependency[FleetDesk]) -> Any:
    """List what the company was told, the latest first; whoever has seen the page has read it."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", ["kind"])
    kind = fleet.query.maybe("kind", NoticeKind)
    mine = fleet.kinds_told()
    kinds = mine if kind is None else mine & {kind}
    before = await read_to(fleet.session, user_id=fleet.principal.user_id)

    def new(one: NoticeView) -> bool:
        return before is None or one.at > before

    async def fetch(cursor: str | None, limit: int) -> Found[NoticeView]:
        return await list_notices(
            fleet.session, company_id=fleet.company_id, kinds=kinds, departments=fleet.departments, cursor=cursor, limit=limit
        )

    async def rows(found: Sequence[NoticeView]) -> list[list[Cell]]:
        return [
            [
                cells.link(fleet, leads_to(one), sentence(fleet, one)),
                cells.tag(fleet, one.kind, KINDS),
                cells.when(fleet, one.at),
                Cell(fleet.tag(_("Unread"), "info") if new(one) else "", _("Unread") if new(one) else ""),
            ]
            for one in found
        ]

    words = {one: KINDS[one] for one in KINDS if one in mine}
    shown = await show(
        fleet,
        List(
            title=_("Inbox"),
            listing=listing,
            columns=[Column(_("What happened")), Column(_("Kind")), Column(_("When")), Column("")],
            fetch=fetch,
            rows=rows,
            filters=[word_filter(fleet, "kind", _("Kind"), words, listing)],
            empty=_("No notice yet"),
            empty_then=_("What concerns your company stands here: askings of the pump, loaded allocations, statements, bills."),
            name="notices",
        ),
    )
    if kind is None and fleet.request.url.path == PATH:
        await mark_read(fleet.session, company_id=fleet.company_id, user_id=fleet.principal.user_id, now=fleet.now)
    return shown


@get("/news")
async def news(fleet: NamedDependency[FleetDesk]) -> Page:
    """Return the line above the page: who waits at a pump for an answer. It comes by itself and does not keep a session alive."""
    fleet.require(FleetPermission.READ)
    waiting = await list_approvals(
        fleet.session, company_id=fleet.company_id, departments=fleet.departments, status=ApprovalStatus.ASKED, limit=1
    )
    first = next(iter(waiting.rows), None)
    values: dict[str, Any] = {"first": first, "more": waiting.next is not None, "news": NEWS}
    if first is not None:
        who = first.plate or first.driver or f"•••• {first.card_tail}"
        values |= {"who": who, "place": fleet.words.either(first.station_zh, first.station_en)}
    return render(fleet.request, "fleet/news.html", zone=fleet.zone, now=fleet.now, **values)


handlers = [notices, news]
