"""Authorisations whose completion is awaited or never came: seen, released with evidence, or completed from the pump's record."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.authorizations.facts import Place
from loyalty.authorizations.model import Status
from loyalty.authorizations.operations.unresolved import PumpRecord, complete_from_pump_record, release_dispense
from loyalty.authorizations.queries import (
    OpenAuthorization,
    list_unresolved,
    open_authorizations,
)
from loyalty.errors import NotFound
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.stations.queries import find_terminal
from loyalty.web.office import lookups
from loyalty.web.office.accounts import authorisation_columns, authorisation_row
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import AUTHORISATION
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import area, field, select
from loyalty.web.office.parts import Cell, Facts, Part, Said
from loyalty.web.office.sales import flag_tags, place_at, sales_tabs
from loyalty.web.office.stations import station_tabs


@get(three("/authorisations"))
async def authorisations(desk: NamedDependency[Desk]) -> Any:
    """List authorisations whose completion is awaited."""
    reachable = desk.reachable(Permission.READ_STATION)
    _ = desk.gettext
    return await _authorisations(desk, reachable, unresolved=False)


@get(three("/unresolved"))
async def unresolved(desk: NamedDependency[Desk]) -> Any:
    """List approved authorisations whose completion never came."""
    reachable = desk.reachable(Permission.READ_STATION)
    return await _authorisations(desk, reachable, unresolved=True)


async def _authorisations(desk: Desk, reachable: frozenset[UUID] | None, *, unresolved: bool) -> Any:
    _ = desk.gettext
    path = "/office/unresolved" if unresolved else "/office/authorisations"
    listing = desk.listing(path, "", ["station"])
    places = await lookups.places(desk)
    station_id = desk.query.maybe_uuid("station")

    async def fetch(cursor: str | None, limit: int) -> Found[OpenAuthorization]:
        if unresolved:
            return await list_unresolved(desk.session, station_id=station_id, reachable=reachable, cursor=cursor, limit=limit)
        return await open_authorizations(desk.session, now=desk.now, station_id=station_id, reachable=reachable, cursor=cursor, limit=limit)

    async def rows(found: Sequence[OpenAuthorization]) -> list[list[Cell]]:
        names = await lookups.products_by_code(desk)
        return [authorisation_row(desk, one, names) for one in found]

    return await show(
        desk,
        List(
            title=_("Unresolved fills") if unresolved else _("Open authorisations"),
            sub=_("Their hold stays until a late completion, the pump's record, or a release with evidence") if unresolved else "",
            listing=listing,
            columns=authorisation_columns(desk),
            fetch=fetch,
            rows=rows,
            filters=[
                select("station", _("Station"), places.options(reachable), value=listing.filters["station"], blank=_("All"), required=False)
            ],
            tabs=station_tabs(desk, "unresolved")
            if unresolved and not desk.may(Permission.READ_LEDGER)
            else sales_tabs(desk, "unresolved" if unresolved else "open"),
            empty=_("Every fill is completed") if unresolved else _("No pump is open"),
            name="unresolved" if unresolved else "authorisations",
        ),
    )


async def _open(desk: Desk, account_id: UUID, authorization_id: UUID) -> OpenAuthorization:
    reachable = desk.reachable(Permission.READ_STATION)
    waiting = await list_unresolved(desk.session, account_id=account_id, reachable=reachable, limit=200)
    running = await open_authorizations(desk.session, now=desk.now, account_id=account_id, reachable=reachable, limit=200)
    for one in (*waiting.rows, *running.rows):
        if one.authorization_id == authorization_id:
            return one
    raise NotFound


@get("/unresolved/{account_id:uuid}/{authorization_id:uuid}")
async def authorisation(desk: NamedDependency[Desk], account_id: FromPath[UUID], authorization_id: FromPath[UUID]) -> Page:
    """Show one open or unresolved authorisation, and how it can be ended."""
    one = await _open(desk, account_id, authorization_id)
    _ = desk.gettext
    money = desk.f.money
    label, tone = AUTHORISATION[Status(one.status)]
    facts = Facts(
        title=_("The authorisation"),
        pairs=[
            (_("Reference"), one.reference),
            (_("Station"), desk.link(f"/office/stations/{one.station_id}", desk.either(one.station_name_zh, one.station_name_en))),
            (_("Till"), one.terminal_code),
            (_("Card"), desk.link(f"/office/cards/{one.card_id}", f"•••• {one.card_tail}") if one.card_id else "—"),
            (_("Product"), (await lookups.products_by_code(desk)).get(one.product_code or "", one.product_code or "—")),
            (_("Nozzle"), one.nozzle or "—"),
            (_("When"), desk.f.instant(one.event_at)),
            (_("Approved"), f"{money(one.approved_minor, one.currency)} · {desk.f.quantity(one.approved_milli)}"),
            (_("Captured"), money(one.captured_minor, one.currency)),
        ],
        total=(_("On hold"), money(one.held_minor, one.currency)),
    )
    forms: list[Part] = []
    if Status(one.status) is Status.UNRESOLVED and desk.may(Permission.RELEASE_DISPENSE, one.station_id):
        base = f"/office/unresolved/{account_id}/{authorization_id}"
        forms.append(_record_form(desk, one, base))
        evidence = [area("evidence", _("What was found out"), help=_("The pump's record number, the camera's time, how it was paid."))]
        forms.append(
            desk.form_part(
                _("No fuel was taken, or it was paid otherwise"),
                f"{base}/release",
                evidence,
                submit=_("Release"),
                danger=True,
                amount=money(one.held_minor, one.currency),
                note=_("The held money is the holder's again. This can't be undone."),
            )
        )
    elif Status(one.status) is Status.UNRESOLVED:
        forms.append(Said(title=_("A station or district manager resolves it, with evidence")))
    return await desk.page(
        f"{_('Authorisation')} {money(one.approved_minor, one.currency)}",
        crumbs=[(_("Unresolved fills"), "/office/unresolved"), (one.reference[-8:], "")],
        tags=[desk.tag(_(label), tone), *flag_tags(desk, one.flags)],
        main=[facts],
        aside=forms,
    )


def _record_form(desk: Desk, one: OpenAuthorization, base: str) -> Part:
    _ = desk.gettext
    fields = [
        field("quantity", _("Quantity"), num=True, after="L"),
        field("price", _("Price"), num=True, before=desk.f.sign_of(one.currency)),
        field("amount", _("Amount"), num=True, before=desk.f.sign_of(one.currency)),
        field("at", _("Finished"), type="datetime-local", value=lookups.local_input(desk, one.event_at)),
        area("evidence", _("What was found out"), help=_("The pump's record number."), id="f-evidence-record"),
    ]
    title = _("Fuel was taken: complete it from the pump's record")
    return desk.form_part(title, f"{base}/complete", fields, submit=_("Complete"), note=_("It settles as any completion does."))


@post("/unresolved/{account_id:uuid}/{authorization_id:uuid}/complete", status_code=303)
async def complete(desk: NamedDependency[Desk], account_id: FromPath[UUID], authorization_id: FromPath[UUID]) -> Page:
    """Book the completion that never came from the pump's own record."""
    one = await _open(desk, account_id, authorization_id)
    desk.require(Permission.RELEASE_DISPENSE, one.station_id)
    _ = desk.gettext
    form = desk.form
    quantity, price = form.quantity("quantity", _("Quantity")), form.price("price", _("Price"))
    amount, at = form.money("amount", _("Amount"), one.currency), form.instant("at", _("Finished"), zone=one.zone)
    evidence = form.text("evidence", _("What was found out"))
    form.check()
    assert quantity is not None
    assert price is not None
    assert amount is not None
    assert at is not None
    pump = desk.request.app.state.pump
    till = await till_of(desk, one)
    await complete_from_pump_record(
        desk.session,
        account_id=account_id,
        authorization_id=authorization_id,
        record=PumpRecord(quantity, price, amount, at),
        evidence=evidence,
        place=till,
        snapshot=pump.snapshot,
        by=desk.principal,
        now=desk.now,
    )
    return await desk.done("/office/unresolved", _("Completed from the pump's record"))


async def till_of(desk: Desk, one: OpenAuthorization) -> Place:
    """Return the till of an authorisation."""
    terminal_id = await find_terminal(desk.session, station_id=one.station_id, code=one.terminal_code)
    if terminal_id is None:
        raise NotFound
    return await place_at(desk, terminal_id)


@post("/unresolved/{account_id:uuid}/{authorization_id:uuid}/release", status_code=303)
async def release(desk: NamedDependency[Desk], account_id: FromPath[UUID], authorization_id: FromPath[UUID]) -> Page:
    """Release an unresolved dispense with evidence."""
    one = await _open(desk, account_id, authorization_id)
    desk.require(Permission.RELEASE_DISPENSE, one.station_id)
    evidence = desk.form.text("evidence", desk.gettext("What was found out"))
    desk.form.check()
    done = await release_dispense(
        desk.session,
        account_id=account_id,
        authorization_id=authorization_id,
        evidence=evidence,
        policy=desk.policy,
        by=desk.principal,
        now=desk.now,
    )
    return await desk.done(
        "/office/unresolved", desk.gettext("Released: %(amount)s", amount=desk.f.money(done.released_minor, one.currency))
    )


handlers = [authorisations, unresolved, authorisation, complete, release]
