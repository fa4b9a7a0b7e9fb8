"""One file that left: what it came to, whom it was about, what became of it; fetched and sent again as it left. And what lapses."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response
from markupsafe import Markup

from loyalty.customers.queries import names_of
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import area, happening
from loyalty.web.office.parts import Act, Cell, Events, Facts, Part, Rows, Tile, Tiles
from loyalty.web.rendering import document
from partners.model_feeds import FeedChannel, FeedStatus
from partners.operations.feed_runs import hand_out, send_again
from partners.operations.registrations import note_follow_up
from partners.queries.alliances import get_partner
from partners.queries.feeds import BatchView, get_batch, get_feed, log_of, rows_of
from partners.queries.registrations import RegistrationView, list_lapses
from partners.web.office.common import allowed, base_of, crumbs_of, name_of, offered, today_of
from partners.web.office.feed_words import CHANNEL, COLUMN, EVENT, RECORD
from partners.web.office.feeds import actors_of, benefit_name, benefits_with_purpose, feeds_base, registration_cells, registration_columns

_FILE = "/partners/{partner_id:uuid}/feeds/files/{batch_id:uuid}"
_AHEAD = timedelta(days=30)


@get(_FILE)
async def file(desk: NamedDependency[Desk], partner_id: FromPath[UUID], batch_id: FromPath[UUID]) -> Page:
    """Show one file: its control totals, its lines by slip, what became of it."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)
    batch = await get_batch(desk.session, partner_id=partner_id, batch_id=batch_id)
    feed = await get_feed(desk.session, partner_id=partner_id, feed_id=batch.feed_id)
    path = f"{feeds_base(partner_id)}/files/{batch_id}"
    acts: list[Act | None] = []
    if desk.may(Permission.EDIT_ALLIANCES):
        acts.append(Act(_("Fetch the file"), f"{path}/content", primary=batch.channel is FeedChannel.DOWNLOAD))
        same_key = feed.recipient == batch.recipient and feed.status is FeedStatus.ACTIVE
        acts.append(Act(_("Send again"), f"{path}/again") if feed.channel is not FeedChannel.DOWNLOAD and same_key else None)
    title = _("List no. %(sequence)s", sequence=batch.sequence)
    tiles = Tiles(
        [
            Tile(_("Newly listed"), desk.f.count(batch.new)),
            Tile(_("Corrections"), desk.f.count(batch.corrections)),
            Tile(_("Removals"), desk.f.count(batch.removals)),
            Tile(_("Cover"), desk.f.money(batch.cover_minor, batch.currency)),
        ]
    )
    feed_path = f"{feeds_base(partner_id)}/{batch.feed_id}"
    name = benefit_name(desk, await benefits_with_purpose(desk, partner_id), feed.benefit)
    return await desk.page(
        title,
        sub=name_of(desk, one),
        crumbs=crumbs_of(desk, one, (_("Data to the partner"), feeds_base(partner_id)), (name, feed_path), (title, "")),
        acts=acts,
        top=[tiles],
        main=[await _lines(desk, batch, path)],
        aside=[_facts(desk, batch), await _life(desk, batch)],
    )


async def _lines(desk: Desk, batch: BatchView, path: str) -> Part:
    _ = desk.gettext
    found = await rows_of(desk.session, batch_id=batch.batch_id, cursor=desk.cursor)
    names = await names_of(desk.session, customer_ids=[one.customer_id for one in found.rows])
    listing = desk.listing(path, "", [])
    return Rows(
        title=_("Whom it was about"),
        note=_("What it said is not kept here in clear; the file itself opens with the partner's key alone."),
        columns=[Column(_("Slip")), Column(_("What")), Column(_("Customer")), Column(_("Rested on")), Column(_("Cover"), "num")],
        rows=[
            [
                cells.text(one.slip),
                cells.tag(desk, one.kind, RECORD),
                cells.link(desk, f"/office/customers/{one.customer_id}", names.get(one.customer_id, "—")),
                _consent(desk, one.consent_id),
                cells.money(desk, one.cover_minor or None, batch.currency),
            ]
            for one in found.rows
        ],
        empty=_("Nothing had changed"),
        listing=listing,
        next=listing.page_href(found.next),
        previous=listing.page_href(found.previous),
        pager=bool(desk.cursor or found.next),
    )


def _consent(desk: Desk, consent_id: UUID | None) -> Cell:
    if consent_id is None:
        return cells.text(desk.gettext("the voucher was taken back"))
    short = f"…{str(consent_id)[-8:]}"
    return Cell(Markup('<span class="mono small" title="{}">{}</span>').format(consent_id, short), str(consent_id))


def _facts(desk: Desk, one: BatchView) -> Facts:
    _ = desk.gettext
    pairs: list[tuple[str, Any]] = [
        (_("File"), one.name),
        (_("Due time"), desk.f.instant(one.due_at)),
        (_("Made at"), desk.f.instant(one.made_at)),
        (_("Left out"), _("%(count)s without consent; the partner is not told", count=desk.f.count(one.held_back))),
        (_("Tells"), _("everybody anew") if one.whole else _("what changed")),
        (_("Says"), ", ".join([_("Slip"), *(_(COLUMN[each]) for each in one.columns)])),
        (_("Way"), _(CHANNEL[one.channel][0])),
        (_("Public key"), Markup('<span class="mono small">{}</span>').format(one.recipient)),
        ("SHA-256", Markup('<span class="mono small">{}</span>').format(one.digest.hex())),
    ]
    return Facts(title=_("File"), pairs=pairs)


async def _life(desk: Desk, batch: BatchView) -> Events:
    found = (await log_of(desk.session, partner_id=batch.partner_id, batch_id=batch.batch_id)).rows
    names = await actors_of(desk, found)
    events = []
    for one in found:
        label, tone = EVENT[one.event]
        events.append(happening(desk, one.at, desk.gettext(label), [names[one.actor], one.to], tone=tone))
    return Events(title=desk.gettext("What became of it"), events=events, empty="")


@get(f"{_FILE}/content")
async def content(desk: NamedDependency[Desk], partner_id: FromPath[UUID], batch_id: FromPath[UUID]) -> Response[bytes]:
    """Send the file as it left; the log names who fetched it."""
    await allowed(desk, partner_id)
    name, data = await hand_out(desk.session, partner_id=partner_id, batch_id=batch_id, actor=desk.actor, now=desk.now)
    return document(data, media_type="application/octet-stream", filename=name)


@get(f"{_FILE}/again")
async def ask_again(desk: NamedDependency[Desk], partner_id: FromPath[UUID], batch_id: FromPath[UUID]) -> Page:
    """Ask once."""
    one = await offered(desk, partner_id)
    _ = desk.gettext
    batch = await get_batch(desk.session, partner_id=partner_id, batch_id=batch_id)
    title, back = _("Send again"), f"{feeds_base(partner_id)}/files/{batch_id}"
    crumbs = crumbs_of(desk, one, (_("Data to the partner"), feeds_base(partner_id)), (str(batch.sequence), back), (title, ""))
    note = _("The same bytes, to where the feed goes today. It is refused if somebody in it has withdrawn since.")
    return await desk.ask(title, [], submit=title, note=note, back=back, crumbs=crumbs)


@post(f"{_FILE}/again", status_code=303)
async def again(desk: NamedDependency[Desk], partner_id: FromPath[UUID], batch_id: FromPath[UUID]) -> Page:
    """Leave it in the outbox once more."""
    await allowed(desk, partner_id)
    sender = desk.request.app.state.settings.mail_from
    await send_again(desk.session, partner_id=partner_id, batch_id=batch_id, sender=sender, actor=desk.actor, now=desk.now)
    return await desk.done(f"{feeds_base(partner_id)}/files/{batch_id}", desk.gettext("It is sent within a minute"))


@get(three("/partners/{partner_id:uuid}/lapses"))
async def lapses(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Any:
    """List whose cover is over, or ends within thirty days, and whom nobody asked yet."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)
    today = today_of(desk, one)
    base, edits = base_of(partner_id), desk.may(Permission.EDIT_ALLIANCES)

    async def fetch(cursor: str | None, limit: int) -> Found[RegistrationView]:
        return await list_lapses(desk.session, partner_id=partner_id, until=today + _AHEAD, cursor=cursor, limit=limit)

    async def rows(found: Sequence[RegistrationView]) -> list[list[Cell]]:
        over = (desk.tag(_("Over"), "bad"), desk.tag(_("Ends soon"), "warn"))
        return [
            [
                *registration_cells(desk, each),
                Cell(over[each.valid_until is None or each.valid_until > today], ""),
                Cell(desk.link(f"{base}/registrations/{each.registration_id}/follow-up", _("Asked")) if edits else "", ""),
            ]
            for each in found
        ]

    title = _("What lapses")
    return await show(
        desk,
        List(
            title=title,
            sub=name_of(desk, one),
            listing=desk.listing(f"{base}/lapses", "", []),
            columns=[*registration_columns(desk), Column(_("Status")), Column("")],
            fetch=fetch,
            rows=rows,
            crumbs=crumbs_of(desk, one, (_("Data to the partner"), feeds_base(partner_id)), (title, "")),
            empty=_("Nobody's cover ends within thirty days"),
            name="lapses",
        ),
    )


@get("/partners/{partner_id:uuid}/registrations/{registration_id:uuid}/follow-up")
async def ask_follow_up(desk: NamedDependency[Desk], partner_id: FromPath[UUID], registration_id: FromPath[UUID]) -> Page:
    """Ask what came of it."""
    one = await offered(desk, partner_id)
    del registration_id
    _ = desk.gettext
    title, back = _("Asked after"), f"{base_of(partner_id)}/lapses"
    fields = [area("said", _("What they said"), help=_("Wants another, declined, not reached."))]
    crumbs = crumbs_of(desk, one, (_("Data to the partner"), feeds_base(partner_id)), (_("What lapses"), back), (title, ""))
    return await desk.ask(title, fields, submit=_("Save"), back=back, crumbs=crumbs)


@post("/partners/{partner_id:uuid}/registrations/{registration_id:uuid}/follow-up", status_code=303)
async def follow_up(desk: NamedDependency[Desk], partner_id: FromPath[UUID], registration_id: FromPath[UUID]) -> Page:
    """Note it."""
    await allowed(desk, partner_id)
    said = desk.form.text("said", desk.gettext("What they said"))
    desk.form.check()
    of = {"partner_id": partner_id, "registration_id": registration_id}
    await note_follow_up(desk.session, **of, said=said, actor=desk.actor, now=desk.now)
    return await desk.done(f"{base_of(partner_id)}/lapses", desk.gettext("Saved"))


handlers = [file, content, ask_again, again, lapses, ask_follow_up, follow_up]
