"""What the pump asks the company: answered on the phone, by one tap each way."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.fleet.model_approvals import ApprovalStatus
from loyalty.fleet.operations.approvals import answer
from loyalty.fleet.queries.watching import ApprovalView, get_approval, list_approvals
from loyalty.identity.portal_rules import FleetPermission
from loyalty.limits.wording import limit_label
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.watch_words import APPROVAL, DECIDED_BY
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, word_filter
from loyalty.web.office.parts import Act, Cell, Facts

PATH = "/fleet/approvals"
_MAY = FleetPermission.RELEASE_LIMITS


@get(three("/approvals"))
async def approvals(fleet: NamedDependency[FleetDesk]) -> Any:
    """List what the pump asked, what waits for an answer first of all."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", ["status"])
    status = fleet.query.maybe("status", ApprovalStatus)

    async def fetch(cursor: str | None, limit: int) -> Found[ApprovalView]:
        return await list_approvals(
            fleet.session, company_id=fleet.company_id, departments=fleet.departments, status=status, cursor=cursor, limit=limit
        )

    async def rows(found: Sequence[ApprovalView]) -> list[list[Cell]]:
        return [
            [
                cells.linked(fleet, f"{PATH}/{one.approval_id}", cells.when(fleet, one.asked_at)),
                cells.text(one.plate or one.driver or f"•••• {one.card_tail}"),
                cells.text(fleet.words.either(one.station_zh, one.station_en)),
                cells.text(limit_label(one.limit, fleet.words.locale)),
                cells.text(_wanted(fleet, one)),
                cells.tag(fleet, one.status, APPROVAL),
            ]
            for one in found
        ]

    return await show(
        fleet,
        List(
            title=_("Asked at the pump"),
            listing=listing,
            columns=[
                Column(_("When")),
                Column(_("Vehicle or driver")),
                Column(_("Station")),
                Column(_("Limit")),
                Column(_("Wants")),
                Column(_("Status")),
            ],
            fetch=fetch,
            rows=rows,
            filters=[word_filter(fleet, "status", _("Status"), APPROVAL, listing)],
            empty=_("Nobody was refused by a limit that asks"),
            empty_then=_("A limit whose effect is “ask” lets the driver ask you from the pump."),
            name="approvals",
        ),
    )


def _wanted(fleet: FleetDesk, one: ApprovalView) -> str:
    if one.asked_milli is not None:
        return str(fleet.f.quantity(one.asked_milli, "L"))
    return fleet.f.money(one.asked_minor, fleet.company.currency) if one.asked_minor is not None else fleet.gettext("a full tank")


def _left(fleet: FleetDesk, one: ApprovalView) -> str:
    if one.left_milli is not None:
        return str(fleet.f.quantity(one.left_milli, "L"))
    return "—" if one.left_minor is None else fleet.f.money(one.left_minor, fleet.company.currency)


async def _one(fleet: FleetDesk, approval_id: UUID) -> ApprovalView:
    found = await get_approval(fleet.session, company_id=fleet.company_id, approval_id=approval_id)
    fleet.within(found.department_id)
    return found


@get("/approvals/{approval_id:uuid}")
async def approval(fleet: NamedDependency[FleetDesk], approval_id: FromPath[UUID]) -> Page:
    """Show one asking: who, where, how much beyond which limit, and how long there is to answer."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    one = await _one(fleet, approval_id)
    pairs: list[tuple[str, Any]] = [
        (_("Wants"), _wanted(fleet, one)),
        (_("Limit"), limit_label(one.limit, fleet.words.locale)),
        (_("Left of it"), _left(fleet, one)),
        (_("Vehicle"), one.plate or "—"),
        (_("Driver"), one.driver or "—"),
        (_("Card"), fleet.link(f"/fleet/cards/{one.card_id}", f"•••• {one.card_tail}")),
        (_("Station"), fleet.words.either(one.station_zh, one.station_en)),
        (_("Product"), fleet.words.either(one.product_zh or "—", one.product_en or "—")),
        (_("Asked"), fleet.f.when(one.asked_at)),
    ]
    note = ""
    acts: list[Act | None] = []
    if one.status is ApprovalStatus.ASKED:
        note = _(
            "A deputy may answer from %(deputy)s; at %(end)s the company's setting does.",
            deputy=fleet.f.when(one.deputy_at),
            end=fleet.f.when(one.decide_at),
        )
        if fleet.may(_MAY):
            base = f"{PATH}/{approval_id}"
            acts = [Act(_("Let it pass"), f"{base}/yes", primary=True), Act(_("Refuse"), f"{base}/no", danger=True)]
    elif one.decided_by is not None:
        pairs += [(_("Answered"), fleet.f.when(one.decided_at)), (_("By"), _(DECIDED_BY[one.decided_by]))]
        pairs.append((_("Reason"), one.reason or "—"))
    return await fleet.page(
        one.plate or one.driver or f"•••• {one.card_tail}",
        sub=_wanted(fleet, one),
        crumbs=[(_("Asked at the pump"), PATH), (one.plate or f"•••• {one.card_tail}", "")],
        tags=[cells.tag(fleet, one.status, APPROVAL).show],
        acts=acts,
        main=[Facts(title=_("What is asked"), pairs=pairs, note=note)],
    )


_ACTS = ["/approvals/{approval_id:uuid}/yes", "/approvals/{approval_id:uuid}/no"]


@get(_ACTS)
async def ask_answer(fleet: NamedDependency[FleetDesk], approval_id: FromPath[UUID]) -> Page:
    """Ask once, with the amount in the button."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    one = await _one(fleet, approval_id)
    yes = fleet.act == "yes"
    title = _("Let %(wanted)s pass", wanted=_wanted(fleet, one)) if yes else _("Refuse")
    crumbs = [(_("Asked at the pump"), PATH), (one.plate or f"•••• {one.card_tail}", f"{PATH}/{approval_id}")]
    fields = [field("reason", _("Reason"), required=False)]
    note = _("Good for one fill within half an hour, and no more than was asked.") if yes else _("The driver is told at the pump.")
    return await fleet.ask(title, fields, submit=title, danger=not yes, note=note, back=f"{PATH}/{approval_id}", crumbs=crumbs)


@post(_ACTS, status_code=303)
async def give_answer(fleet: NamedDependency[FleetDesk], approval_id: FromPath[UUID]) -> Page:
    """Answer for the company."""
    fleet.require(_MAY)
    _ = fleet.gettext
    await _one(fleet, approval_id)
    yes = fleet.act == "yes"
    await answer(
        fleet.session,
        company_id=fleet.company_id,
        approval_id=approval_id,
        approve=yes,
        reason=fleet.form.raw("reason")[:200],
        user_id=fleet.principal.user_id,
        actor=fleet.actor,
        now=fleet.now,
    )
    return await fleet.done(f"{PATH}/{approval_id}", _("Let pass: the driver may try again") if yes else _("Refused"))


handlers = [approvals, approval, ask_answer, give_answer]
