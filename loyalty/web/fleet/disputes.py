"""One fill, and what the company disputes about it: said in a minute, seen through to its end."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.fleet.model_disputes import DISPUTE_MOVES, DisputeReason, DisputeStatus
from loyalty.fleet.operations.disputes import open_dispute, withdraw_dispute
from loyalty.fleet.queries.disputes import DisputeView, FillView, get_dispute, get_fill, list_disputes, standing_dispute
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.dispute_words import DISPUTE, REASON, dispute_steps
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import area, chips, field, word_filter
from loyalty.web.office.parts import Act, Cell, Facts, Part, Said

PATH = "/fleet/disputes"
_MAY = FleetPermission.DISPUTE


async def _fill(fleet: FleetDesk, sale_id: UUID) -> FillView:
    found = await get_fill(fleet.session, account_id=fleet.company.account_id, sale_id=sale_id)
    fleet.within(found.department_id)
    return found


@get("/fills/{sale_id:uuid}")
async def fill(fleet: NamedDependency[FleetDesk], sale_id: FromPath[UUID]) -> Page:
    """Show one fill: whose it was, what it took and cost, what came back."""
    fleet.require(FleetPermission.READ)
    _, f, currency = fleet.gettext, fleet.f, fleet.company.currency
    one = await _fill(fleet, sale_id)
    disputed = await standing_dispute(fleet.session, account_id=fleet.company.account_id, sale_id=sale_id)
    whose = Facts(
        title=_("Whose it was"),
        pairs=[
            (_("Vehicle"), fleet.link(f"/fleet/vehicles/{one.vehicle_id}", one.plate) if one.plate else "—"),
            (_("Driver"), one.driver or "—"),
            (_("Card"), fleet.link(f"/fleet/cards/{one.card_id}", f"•••• {one.card_tail}") if one.card_id else "—"),
            (_("Kilometres"), f.count(one.odometer_km)),
        ],
    )
    pairs: list[tuple[str, Any]] = [
        (_("Station"), fleet.words.either(one.station_zh, one.station_en)),
        (_("Product"), fleet.words.either(one.product_zh or "—", one.product_en or "—")),
        (_("Quantity"), f.quantity(one.quantity_milli, "L")),
        (_("At posted price"), f.money(one.gross_minor, currency)),
        (_("Saving"), f.money(one.discount_minor, currency)),
        (_("Paid by card"), f.money(one.card_minor, currency)),
    ]
    if one.back_gross_minor:
        pairs.append((_("Given back"), f.money(one.back_gross_minor, currency)))
    top: list[Part] = []
    acts: list[Act | None] = []
    if disputed is not None:
        top.append(Said(title=_("This fill is disputed"), acts=[Act(_("Show"), f"{PATH}/{disputed}")]))
    if fleet.may(_MAY) and one.gross_minor > one.back_gross_minor:
        acts.append(Act(_("Dispute this fill"), f"/fleet/fills/{sale_id}/dispute"))
    # A heading is read beside others, on paper too: the day itself, not how long ago.
    at = f"{f.full_day(one.event_at)} {f.clock(one.event_at)}"
    return await fleet.page(
        at,
        crumbs=[(_("Fuel records"), "/fleet/fills"), (at, "")],
        acts=acts,
        top=top,
        main=[Facts(title=_("The fill"), pairs=pairs)],
        aside=[whose],
    )


@get("/fills/{sale_id:uuid}/dispute")
async def ask_dispute(fleet: NamedDependency[FleetDesk], sale_id: FromPath[UUID]) -> Page:
    """Ask what is wrong with a fill."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    one = await _fill(fleet, sale_id)
    left = one.gross_minor - one.back_gross_minor
    fields = [
        chips(
            "reason", _("What is wrong?"), [(reason.value, _(words)) for reason, words in REASON.items()], value=DisputeReason.OTHER.value
        ),
        area("comment", _("What happened")),
        field(
            "amount",
            _("Amount disputed"),
            num=True,
            value=fleet.f.amount(left, fleet.company.currency),
            before=fleet.f.sign_of(fleet.company.currency),
        ),
    ]
    note = _("The station answers within three days; then the issuer decides. What is approved goes back to the card it came from.")
    back = f"/fleet/fills/{sale_id}"
    crumbs = [(_("Fuel records"), "/fleet/fills"), (fleet.f.when(one.event_at), back), (_("Dispute this fill"), "")]
    return await fleet.ask(_("Dispute this fill"), fields, submit=_("Send"), note=note, back=back, crumbs=crumbs)


@post("/fills/{sale_id:uuid}/dispute", status_code=303)
async def send_dispute(fleet: NamedDependency[FleetDesk], sale_id: FromPath[UUID]) -> Page:
    """Dispute a fill."""
    fleet.require(_MAY)
    _ = fleet.gettext
    await _fill(fleet, sale_id)
    reason = fleet.form.choice("reason", _("What is wrong?"), DisputeReason, DisputeReason.OTHER)
    comment = fleet.form.text("comment", _("What happened"), longest=1000)
    amount = fleet.form.money("amount", _("Amount disputed"), fleet.company.currency)
    fleet.form.check()
    made = await open_dispute(
        fleet.session,
        company_id=fleet.company_id,
        account_id=fleet.company.account_id,
        sale_id=sale_id,
        reason=reason,
        comment=comment,
        wanted_minor=amount,
        actor=fleet.actor,
        now=fleet.now,
    )
    return await fleet.done(f"{PATH}/{made.dispute_id}", _("Sent to the station"))


@get(three("/disputes"))
async def disputes(fleet: NamedDependency[FleetDesk]) -> Any:
    """List the company's disputes, the latest first."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", ["status"])
    status = fleet.query.maybe("status", DisputeStatus)

    async def fetch(cursor: str | None, limit: int) -> Found[DisputeView]:
        return await list_disputes(
            fleet.session,
            company_id=fleet.company_id,
            departments=fleet.departments,
            statuses=None if status is None else (status,),
            cursor=cursor,
            limit=limit,
        )

    async def rows(found: Sequence[DisputeView]) -> list[list[Cell]]:
        return [
            [
                cells.linked(fleet, f"{PATH}/{one.dispute_id}", cells.when(fleet, one.opened_at)),
                cells.plate(fleet, one.plate),
                cells.text(fleet.words.either(one.station_zh, one.station_en)),
                cells.when(fleet, one.event_at),
                cells.text(_(REASON[one.reason])),
                cells.money(fleet, one.wanted_minor, one.currency),
                cells.tag(fleet, one.status, DISPUTE),
            ]
            for one in found
        ]

    columns = [Column(_("Sent on")), Column(_("Vehicle")), Column(_("Station")), Column(_("The fill")), Column(_("What is wrong?"))]
    return await show(
        fleet,
        List(
            title=_("Disputes"),
            listing=listing,
            columns=[*columns, Column(_("Amount"), "num"), Column(_("Status"))],
            fetch=fetch,
            rows=rows,
            filters=[word_filter(fleet, "status", _("Status"), DISPUTE, listing)],
            empty=_("No fill is disputed"),
            empty_then=_("A fill's page has the button."),
            name="disputes",
        ),
    )


async def _one(fleet: FleetDesk, dispute_id: UUID) -> DisputeView:
    found = await get_dispute(fleet.session, dispute_id=dispute_id, company_id=fleet.company_id)
    fleet.within(found.department_id)
    return found


@get("/disputes/{dispute_id:uuid}")
async def dispute(fleet: NamedDependency[FleetDesk], dispute_id: FromPath[UUID]) -> Page:
    """Show one dispute and every word of it."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    one = await _one(fleet, dispute_id)
    acts: list[Act | None] = []
    if fleet.may(_MAY) and DisputeStatus.WITHDRAWN in DISPUTE_MOVES[one.status]:
        acts.append(Act(_("Withdraw"), f"{PATH}/{dispute_id}/withdraw", danger=True))
    return await fleet.page(
        _(REASON[one.reason]),
        sub=fleet.f.money(one.wanted_minor, one.currency),
        crumbs=[(_("Disputes"), PATH), (fleet.f.when(one.opened_at), "")],
        tags=[cells.tag(fleet, one.status, DISPUTE).show],
        acts=acts,
        main=[dispute_steps(fleet, one)],
        aside=[
            Facts(
                title=_("The fill"),
                pairs=[
                    (_("When"), fleet.link(f"/fleet/fills/{one.sale_id}", fleet.f.when(one.event_at))),
                    (_("Vehicle"), one.plate or "—"),
                    (_("Station"), fleet.words.either(one.station_zh, one.station_en)),
                    (_("Quantity"), fleet.f.quantity(one.quantity_milli, "L")),
                    (_("At posted price"), fleet.f.money(one.gross_minor, one.currency)),
                ],
            )
        ],
    )


@get("/disputes/{dispute_id:uuid}/withdraw")
async def ask_withdraw(fleet: NamedDependency[FleetDesk], dispute_id: FromPath[UUID]) -> Page:
    """Ask once."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    one = await _one(fleet, dispute_id)
    crumbs = [(_("Disputes"), PATH), (fleet.f.when(one.opened_at), f"{PATH}/{dispute_id}"), (_("Withdraw"), "")]
    return await fleet.ask(_("Withdraw the dispute?"), [], submit=_("Withdraw"), danger=True, back=f"{PATH}/{dispute_id}", crumbs=crumbs)


@post("/disputes/{dispute_id:uuid}/withdraw", status_code=303)
async def withdraw(fleet: NamedDependency[FleetDesk], dispute_id: FromPath[UUID]) -> Page:
    """Take a dispute back."""
    fleet.require(_MAY)
    await _one(fleet, dispute_id)
    await withdraw_dispute(fleet.session, company_id=fleet.company_id, dispute_id=dispute_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{dispute_id}", fleet.gettext("Withdrawn"))


handlers = [fill, ask_dispute, send_dispute, disputes, dispute, ask_withdraw, withdraw]
