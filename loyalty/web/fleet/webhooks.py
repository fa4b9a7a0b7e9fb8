"""Where the company's own systems are told, and the last messages."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.fleet.model_webhooks import DeliveryStatus, WebhookEvent
from loyalty.fleet.operations.webhooks import WebhookNotFound, add_webhook, end_webhook, send_again, tell_test
from loyalty.fleet.queries.webhooks import DeliveryView, WebhookView, get_delivery, list_deliveries, webhooks_of
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import chips, field
from loyalty.web.office.parts import Act, Cell, Rows, Text

PATH: Final = "/fleet/webhooks"
_KEYS = FleetPermission.API_KEYS
EVENT: Final = {
    WebhookEvent.FILL_BOOKED: N_("A fill is booked"),
    WebhookEvent.FINDING_OPENED: N_("Something odd is found"),
    WebhookEvent.APPROVAL_ASKED: N_("The pump asks the company"),
    WebhookEvent.ALLOCATION_LOADED: N_("An allocation is loaded"),
    WebhookEvent.TEST: N_("Test message"),
}
DELIVERY: Final = {
    DeliveryStatus.WAITING: (N_("To be sent"), "warn"),
    DeliveryStatus.SENT: (N_("Delivered"), "good"),
    DeliveryStatus.DEAD: (N_("Given up"), "bad"),
}


@get(three("/webhooks"))
async def webhooks(fleet: NamedDependency[FleetDesk]) -> Any:
    """List the addresses, and below them the messages, the latest first."""
    fleet.offer(_KEYS)
    _ = fleet.gettext
    known = await webhooks_of(fleet.session, company_id=fleet.company_id)
    to = Rows(
        title=_("Addresses"),
        columns=[Column(_("Address")), Column(_("Is told")), Column(_("State")), Column("")],
        rows=[
            [
                cells.text(one.url),
                cells.text(" · ".join(_(EVENT[WebhookEvent(event)]) for event in one.events)),
                Cell(fleet.tag(_("Ended")) if one.ended_at else fleet.tag(_("In force"), "good"), ""),
                Cell("" if one.ended_at else _acts(fleet, one), ""),
            ]
            for one in known
        ],
        empty=_("No address yet"),
        empty_then=_("Your system is told at its own address, signed, as soon as something happens."),
    )

    async def fetch(cursor: str | None, limit: int) -> Found[DeliveryView]:
        return await list_deliveries(fleet.session, company_id=fleet.company_id, cursor=cursor, limit=limit)

    async def rows(found: Sequence[DeliveryView]) -> list[list[Cell]]:
        return [
            [
                cells.when(fleet, one.made_at),
                cells.text(_(EVENT[one.event])),
                cells.text(urlsplit(one.url).hostname),
                cells.tag(fleet, one.status, DELIVERY),
                cells.count(fleet, one.attempts),
                cells.text("—" if one.answered is None else str(one.answered)),
                Cell(fleet.link(f"{PATH}/messages/{one.delivery_id}/again", _("Send again")), ""),
            ]
            for one in found
        ]

    return await show(
        fleet,
        List(
            title=_("Messages to your system"),
            listing=fleet.listing(PATH, "", []),
            columns=[
                Column(_("When")),
                Column(_("What")),
                Column(_("To")),
                Column(_("Status")),
                Column(_("Tries"), "num"),
                Column(_("Answer")),
                Column(""),
            ],
            fetch=fetch,
            rows=rows,
            top=[to],
            acts=[Act(_("New address"), f"{PATH}/new", primary=True)],
            crumbs=[(_("Interfaces"), "/fleet/api"), (_("Messages to your system"), "")],
            empty=_("No message yet"),
            name="messages",
        ),
    )


def _acts(fleet: FleetDesk, one: WebhookView) -> Markup:
    _ = fleet.gettext
    test, end = (fleet.link(f"{PATH}/{one.webhook_id}/{name}", label) for name, label in (("test", _("Test")), ("end", _("End"))))
    return Markup("{} · {}").format(test, end)


@get("/webhooks/new")
async def new(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask for the address and what it is told."""
    fleet.offer(_KEYS)
    _ = fleet.gettext
    options: Any = [(event.value, _(label)) for event, label in EVENT.items() if event is not WebhookEvent.TEST]
    fields = [
        field("url", _("Address"), type="url", autofocus=True, help=_("https, reachable from the internet")),
        chips("event", _("Is told"), options, many=True, value=[one[0] for one in options]),
    ]
    note = _("Each message is signed as Standard Webhooks says; the secret is shown once. What is not taken is tried again for two days.")
    return await fleet.ask(_("New address"), fields, submit=_("Add"), back=PATH, note=note, crumbs=_crumbs(fleet, _("New address")))


@post("/webhooks/new", status_code=200)
async def add(fleet: NamedDependency[FleetDesk]) -> Page:
    """Add it and show the secret once."""
    fleet.require(_KEYS)
    _ = fleet.gettext
    url = fleet.form.text("url", _("Address"), longest=400)
    events = [event for event in EVENT if event.value in fleet.form.many("event")]
    if not events:
        fleet.form.fault("event", _("Is told"), _("is needed"))
    fleet.form.check()
    secret = await add_webhook(fleet.session, company_id=fleet.company_id, url=url, events=events, actor=fleet.actor, now=fleet.now)
    shown = Text(
        title=url,
        note=_("Shown only now"),
        lines=[Markup('<span class="mono">{}</span>').format(secret)],
        acts=[Act(_("Kept safely, go on"), PATH)],
    )
    return await fleet.shown(_("The secret"), [shown], crumbs=_crumbs(fleet, _("The secret")), instead=True)


_ACTS = [f"/webhooks/{{webhook_id:uuid}}/{name}" for name in ("test", "end")]


@get(_ACTS)
async def ask_act(fleet: NamedDependency[FleetDesk], webhook_id: FromPath[UUID]) -> Page:
    """Ask once."""
    fleet.offer(_KEYS)
    _ = fleet.gettext
    known = {one.webhook_id: one for one in await webhooks_of(fleet.session, company_id=fleet.company_id)}
    if webhook_id not in known:
        raise WebhookNotFound(webhook=webhook_id)
    ends = fleet.act == "end"
    title = _("End the address") if ends else _("Send a test message")
    note = _("It is told nothing more.") if ends else _("It is sent within a minute; the answer stands in the list.")
    crumbs = _crumbs(fleet, title)
    return await fleet.ask(title, [], submit=title, danger=ends, note=note, back=PATH, crumbs=crumbs, sub=known[webhook_id].url)


@post(_ACTS, status_code=303)
async def act(fleet: NamedDependency[FleetDesk], webhook_id: FromPath[UUID]) -> Page:
    """End an address, or send a test."""
    fleet.require(_KEYS)
    if fleet.act == "end":
        await end_webhook(fleet.session, company_id=fleet.company_id, webhook_id=webhook_id, actor=fleet.actor, now=fleet.now)
    else:
        await tell_test(fleet.session, company_id=fleet.company_id, webhook_id=webhook_id, now=fleet.now)
    return await fleet.done(PATH, fleet.gettext("Done"))


@get("/webhooks/messages/{delivery_id:uuid}/again")
async def ask_again(fleet: NamedDependency[FleetDesk], delivery_id: FromPath[UUID]) -> Page:
    """Ask once."""
    fleet.offer(_KEYS)
    _ = fleet.gettext
    await get_delivery(fleet.session, company_id=fleet.company_id, delivery_id=delivery_id)
    note = _("With the same id: a system that took it already can tell.")
    return await fleet.ask(_("Send again"), [], submit=_("Send again"), note=note, back=PATH, crumbs=_crumbs(fleet, _("Send again")))


@post("/webhooks/messages/{delivery_id:uuid}/again", status_code=303)
async def again(fleet: NamedDependency[FleetDesk], delivery_id: FromPath[UUID]) -> Page:
    """Send it once more."""
    fleet.require(_KEYS)
    await send_again(fleet.session, company_id=fleet.company_id, delivery_id=delivery_id, now=fleet.now)
    return await fleet.done(PATH, fleet.gettext("Done"))


def _crumbs(fleet: FleetDesk, here: str) -> list[tuple[str, str]]:
    _ = fleet.gettext
    return [(_("Interfaces"), "/fleet/api"), (_("Messages to your system"), PATH), (here, "")]


handlers = [webhooks, new, add, ask_act, act, ask_again, again]
