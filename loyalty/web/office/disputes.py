"""Fills that companies dispute: the station answers, somebody else decides; a yes books the sale's own refund mirror."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.fleet.model_disputes import STANDING, DisputeStatus
from loyalty.fleet.operations.disputes import answer_dispute, approve_dispute, reject_dispute
from loyalty.fleet.queries.disputes import DisputeNotFound, DisputeView, get_dispute, list_disputes
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.web.dispute_words import DISPUTE, REASON, dispute_steps
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import area, chips, field, select
from loyalty.web.office.parts import Act, Cell, Facts
from loyalty.web.office.sales import PATH as SALES
from loyalty.web.office.sales import place_at, sales_in_reach

PATH = "/office/disputes"
_MAY = Permission.REFUND_SALE


@get(three("/disputes"))
async def disputes(desk: NamedDependency[Desk]) -> Any:
    """List disputes at the reader's stations, by default those that wait."""
    reachable = sales_in_reach(desk)
    _ = desk.gettext
    listing = desk.listing(PATH, "", ["status"])
    chosen = listing.filters["status"] or "standing"
    statuses = STANDING if chosen == "standing" else tuple(one for one in DisputeStatus if chosen in {"any", one.value})

    async def fetch(cursor: str | None, limit: int) -> Found[DisputeView]:
        return await list_disputes(desk.session, stations=reachable, statuses=statuses, cursor=cursor, limit=limit)

    async def rows(found: Sequence[DisputeView]) -> list[list[Cell]]:
        return [
            [
                cells.linked(desk, f"{PATH}/{one.dispute_id}", cells.when(desk, one.opened_at)),
                cells.text(one.company),
                cells.plate(desk, one.plate),
                cells.text(desk.either(one.station_zh, one.station_en)),
                cells.text(_(REASON[one.reason])),
                cells.money(desk, one.wanted_minor, one.currency),
                cells.when(desk, one.answer_by),
                cells.tag(desk, one.status, DISPUTE),
            ]
            for one in found
        ]

    states = [("standing", _("Waiting")), *((member.value, _(label[0])) for member, label in DISPUTE.items()), ("any", _("All"))]
    columns = [Column(_("Sent on")), Column(_("Company")), Column(_("Vehicle")), Column(_("Station")), Column(_("What is wrong?"))]
    return await show(
        desk,
        List(
            title=_("Disputes"),
            sub=_("The station answers, somebody else decides"),
            listing=listing,
            columns=[*columns, Column(_("Amount"), "num"), Column(_("Answer until")), Column(_("Status"))],
            fetch=fetch,
            rows=rows,
            filters=[select("status", _("Status"), states, value=chosen, required=False)],
            empty=_("No fill is disputed"),
            empty_then=_("Companies dispute fills in their portal."),
            name="disputes",
        ),
    )


async def _one(desk: Desk, dispute_id: UUID) -> DisputeView:
    """Return a dispute at a station within reach.

    :raises DisputeNotFound: if it is none of these
    """
    reachable = sales_in_reach(desk)
    found = await get_dispute(desk.session, dispute_id=dispute_id)
    if reachable is not None and found.station_id not in reachable:
        raise DisputeNotFound(dispute=dispute_id)
    return found


@get("/disputes/{dispute_id:uuid}")
async def dispute(desk: NamedDependency[Desk], dispute_id: FromPath[UUID]) -> Page:
    """Show one dispute and what can be done about it."""
    one = await _one(desk, dispute_id)
    _ = desk.gettext
    acts: list[Act | None] = []
    base = f"{PATH}/{dispute_id}"
    if desk.may(_MAY):
        if one.status is DisputeStatus.OPENED:
            acts.append(Act(_("Answer for the station"), f"{base}/answer", primary=True))
        if one.status in STANDING:
            primary = one.status is DisputeStatus.ANSWERED
            acts += [Act(_("Approve"), f"{base}/approve", primary=primary), Act(_("Reject"), f"{base}/reject", danger=True)]
    pairs: list[tuple[str, Any]] = [
        (_("Company"), desk.link(f"/office/customers/{one.company_id}", one.company)),
        (_("The sale"), desk.link(f"{SALES}/{one.account_id}/{one.sale_id}", desk.f.when(one.event_at))),
        (_("Vehicle"), one.plate or "—"),
        (_("Station"), desk.either(one.station_zh, one.station_en)),
        (_("Quantity"), desk.f.quantity(one.quantity_milli, "L")),
        (_("Gross"), desk.f.money(one.gross_minor, one.currency)),
        (_("Given back"), desk.f.money(one.refunded_minor, one.currency)),
    ]
    return await desk.page(
        f"{one.company}: {_(REASON[one.reason])}",
        sub=desk.f.money(one.wanted_minor, one.currency),
        crumbs=[(_("Disputes"), PATH), (desk.f.when(one.opened_at), "")],
        tags=[cells.tag(desk, one.status, DISPUTE).show],
        acts=acts,
        main=[dispute_steps(desk, one)],
        aside=[Facts(title=_("The fill"), pairs=pairs)],
    )


def _crumbs(desk: Desk, one: DisputeView, title: str) -> list[tuple[str, str]]:
    return [(desk.gettext("Disputes"), PATH), (desk.f.when(one.opened_at), f"{PATH}/{one.dispute_id}"), (title, "")]


@get("/disputes/{dispute_id:uuid}/answer")
async def ask_answer(desk: NamedDependency[Desk], dispute_id: FromPath[UUID]) -> Page:
    """Ask what the station knows."""
    one = await _one(desk, dispute_id)
    desk.offer(_MAY, one.station_id)
    _ = desk.gettext
    title = _("Answer for the station")
    sides = [("1", _("The company is right")), ("0", _("The sale was right"))]
    fields = [chips("agrees", _("What do you say?"), sides, value="0"), area("words", _("What the station knows"))]
    note = _("Look at the pump's record and the shift first. Somebody else decides.")
    return await desk.ask(title, fields, submit=_("Answer"), note=note, back=f"{PATH}/{dispute_id}", crumbs=_crumbs(desk, one, title))


@post("/disputes/{dispute_id:uuid}/answer", status_code=303)
async def answer(desk: NamedDependency[Desk], dispute_id: FromPath[UUID]) -> Page:
    """Answer for the station."""
    one = await _one(desk, dispute_id)
    desk.require(_MAY, one.station_id)
    words = desk.form.text("words", desk.gettext("What the station knows"), longest=1000)
    desk.form.check()
    agrees = desk.form.raw("agrees") == "1"
    await answer_dispute(desk.session, dispute_id=dispute_id, agrees=agrees, words=words, staff_id=desk.principal.staff_id, now=desk.now)
    return await desk.done(f"{PATH}/{dispute_id}", desk.gettext("The answer is noted"))


@get("/disputes/{dispute_id:uuid}/approve")
async def ask_approve(desk: NamedDependency[Desk], dispute_id: FromPath[UUID]) -> Page:
    """Ask once, with the amount."""
    one = await _one(desk, dispute_id)
    desk.offer(_MAY, one.station_id)
    _ = desk.gettext
    title = _("Approve and give back")
    most = min(one.wanted_minor, one.gross_minor - one.refunded_minor)
    fields = [
        field("amount", _("Gross amount to give back"), num=True, value=desk.f.amount(most, one.currency), after=one.currency),
        area("words", _("To the company")),
    ]
    return await desk.ask(
        title,
        fields,
        submit=title,
        danger=True,
        amount=_("up to %(amount)s", amount=desk.f.money(most, one.currency)),
        note=_("Mirrors the sale exactly: principal, bonus with its expiry, discount, counters."),
        back=f"{PATH}/{dispute_id}",
        crumbs=_crumbs(desk, one, title),
    )


@post("/disputes/{dispute_id:uuid}/approve", status_code=303)
async def approve(desk: NamedDependency[Desk], dispute_id: FromPath[UUID]) -> Page:
    """Give back what was disputed."""
    one = await _one(desk, dispute_id)
    desk.require(_MAY, one.station_id)
    _ = desk.gettext
    amount = desk.form.money("amount", _("Gross amount to give back"), one.currency)
    words = desk.form.text("words", _("To the company"), longest=1000)
    desk.form.check()
    assert amount is not None, "the form is sound"
    await approve_dispute(
        desk.session,
        dispute_id=dispute_id,
        gross_minor=amount,
        words=words,
        place=await place_at(desk, one.terminal_id),
        policy=desk.policy,
        staff_id=desk.principal.staff_id,
        now=desk.now,
    )
    return await desk.done(f"{PATH}/{dispute_id}", _("Given back: %(amount)s", amount=desk.f.money(amount, one.currency)))


@get("/disputes/{dispute_id:uuid}/reject")
async def ask_reject(desk: NamedDependency[Desk], dispute_id: FromPath[UUID]) -> Page:
    """Ask for the reason."""
    one = await _one(desk, dispute_id)
    desk.offer(_MAY, one.station_id)
    _ = desk.gettext
    title = _("Reject the dispute")
    fields = [area("words", _("To the company"))]
    return await desk.ask(title, fields, submit=_("Reject"), danger=True, back=f"{PATH}/{dispute_id}", crumbs=_crumbs(desk, one, title))


@post("/disputes/{dispute_id:uuid}/reject", status_code=303)
async def reject(desk: NamedDependency[Desk], dispute_id: FromPath[UUID]) -> Page:
    """Decide against the company."""
    one = await _one(desk, dispute_id)
    desk.require(_MAY, one.station_id)
    words = desk.form.text("words", desk.gettext("To the company"), longest=1000)
    desk.form.check()
    await reject_dispute(desk.session, dispute_id=dispute_id, words=words, staff_id=desk.principal.staff_id, now=desk.now)
    return await desk.done(f"{PATH}/{dispute_id}", desk.gettext("Rejected"))


handlers = [disputes, dispute, ask_answer, answer, ask_approve, approve, ask_reject, reject]
