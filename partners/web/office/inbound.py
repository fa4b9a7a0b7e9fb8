"""Files from a partner: read by its own names of columns, set against our book, looked at first, kept line by line."""

import base64
import binascii
from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.fleet.sheets import SheetNotReadable
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import chips, field, file, heading, hidden, word_filter
from loyalty.web.office.parts import Act, Cell, Field, Part, Rows, Said, Tile, Tiles
from partners.inbound_rules import Settled, counted
from partners.line_rules import month_after, month_of
from partners.model_inbound import Compared, RowOutcome
from partners.operations.inbound import About, Mapping, preview_file, take_file
from partners.queries.alliances import PartnerView, get_partner
from partners.queries.inbound import InboundRowView, InboundView, get_inbound, inbound_rows, list_inbound
from partners.web.office.common import allowed, base_of, crumbs_of, name_of, offered, today_of
from partners.web.office.feed_words import COMPARED, OUTCOME, WHY

_SHOWN: Final = 200
_LARGEST: Final = 3_000_000
"""A file travels through the preview's form."""
_WANTS: Final = (RowOutcome.DIFFERENT, RowOutcome.MISSING_HERE, RowOutcome.MISSING_THERE, RowOutcome.UNREADABLE)
"""What somebody has to do something about."""
_USUAL: Final = {"reference": "凭证", "amount": "金额", "at": "时间", "theirs": "流水号", "state": "状态", "cancelled": "已撤销"}


def _base(partner_id: UUID) -> str:
    return f"{base_of(partner_id)}/inbound"


def _crumbs(desk: Desk, one: PartnerView, *further: tuple[str, str]) -> list[tuple[str, str]]:
    return crumbs_of(desk, one, (desk.gettext("Files from the partner"), _base(one.partner_id) if further else ""), *further)


@get(three("/partners/{partner_id:uuid}/inbound"))
async def files(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Any:
    """List what the partner sent, the latest first."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)

    async def fetch(cursor: str | None, limit: int) -> Found[InboundView]:
        return await list_inbound(desk.session, partner_id=partner_id, cursor=cursor, limit=limit)

    async def rows(found: Sequence[InboundView]) -> list[list[Cell]]:
        names = await lookups.people(desk, [each.made_by for each in found])
        return [
            [
                cells.link(desk, f"{_base(partner_id)}/{each.file_id}/rows", each.name),
                cells.day(desk, each.first_day),
                cells.day(desk, each.end_day - timedelta(days=1)),
                cells.count(desk, each.outcomes.get(RowOutcome.MATCHED, 0)),
                cells.count(desk, sum(each.outcomes.get(outcome, 0) for outcome in _WANTS)),
                cells.when(desk, each.made_at),
                cells.text(names.get(each.made_by)),
            ]
            for each in found
        ]

    title = _("Files from the partner")
    return await show(
        desk,
        List(
            title=title,
            sub=name_of(desk, one),
            listing=desk.listing(_base(partner_id), "", []),
            columns=[
                Column(_("File")),
                Column(_("From")),
                Column(_("To")),
                Column(_("Agrees"), "num"),
                Column(_("To look at"), "num"),
                Column(_("Taken in")),
                Column(_("By")),
            ],
            fetch=fetch,
            rows=rows,
            acts=[Act(_("Take in a file"), f"{_base(partner_id)}/new", primary=True)] if desk.may(Permission.EDIT_ALLIANCES) else [],
            crumbs=_crumbs(desk, one),
            empty=_("No file yet"),
            empty_then=_("The partner's own list of what it served, as CSV or XLSX: each line is set against our book."),
            name="partner-files",
        ),
    )


@get("/partners/{partner_id:uuid}/inbound/new")
async def ask_file(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Ask for the file and how it is read; the last file's reading stands there."""
    one = await offered(desk, partner_id)
    _ = desk.gettext
    last = next(iter((await list_inbound(desk.session, partner_id=partner_id, limit=1)).rows), None)
    read: MappingOf[str, str] = _USUAL if last is None else last.mapping
    before = month_of(month_of(today_of(desk, one)) - timedelta(days=1))
    fields: list[Field] = [
        file("file", _("File"), accept=".csv,.xlsx", help=_("CSV or XLSX, the names of its columns in the first row")),
        field("zone", _("Their time zone"), value=one.zone if last is None else last.zone),
        field("first_day", _("From"), type="date", value=before.isoformat()),
        field("last_day", _("To"), type="date", value=(month_after(before) - timedelta(days=1)).isoformat()),
        heading(_("What their columns are called")),
        field("reference", _("Reference"), value=read.get("reference", ""), help=_("The end of the voucher's code, a receipt's number")),
        field("amount", _("Amount"), value=read.get("amount", "")),
        field("when", _("Time of the event"), value=read.get("at", "")),
        field("theirs", _("Their own number"), value=read.get("theirs", ""), required=False),
        field("state", _("State"), value=read.get("state", ""), required=False),
        field("cancelled", _("Taken back is called"), value=read.get("cancelled", ""), required=False, help=_("Several by commas")),
        field(
            "form",
            _("How a time is written"),
            value=read.get("form", ""),
            required=False,
            help=_("Empty for 2026-09-24 10:15, else as strptime has it"),
        ),
        chips(
            "compared",
            _("Their amount is"),
            [(each.value, _(label)) for each, label in COMPARED.items()],
            value=read.get("compared", Compared.SAVED.value),
        ),
    ]
    title = _("Take in a file")
    note = _("Nothing is kept before you have seen what it comes to.")
    crumbs = _crumbs(desk, one, (title, ""))
    return await desk.ask(
        title,
        fields,
        submit=_("Look at it"),
        back=_base(partner_id),
        note=note,
        crumbs=crumbs,
        upload=True,
        once=False,
        columns=True,
    )


@post("/partners/{partner_id:uuid}/inbound/new", status_code=200)
async def look(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Say what the file comes to, line by line; nothing is written."""
    one = await allowed(desk, partner_id)
    _ = desk.gettext
    form = desk.form
    name, data = await form.file("file", _("File"), largest=_LARGEST)
    first, last = form.day("first_day", _("From")), form.day("last_day", _("To"))
    mapping = Mapping(
        reference=form.text("reference", _("Reference"), longest=60),
        amount=form.text("amount", _("Amount"), longest=60),
        at=form.text("when", _("Time of the event"), longest=60),
        theirs=form.text("theirs", _("Their own number"), required=False, longest=60),
        state=form.text("state", _("State"), required=False, longest=60),
        cancelled=form.text("cancelled", _("Taken back is called"), required=False, longest=100),
        form=form.text("form", _("How a time is written"), required=False, longest=40),
        compared=form.choice("compared", _("Their amount is"), Compared, Compared.SAVED),
    )
    zone = form.text("zone", _("Their time zone"), longest=60)
    form.check()
    assert first is not None
    assert last is not None
    about = About(first_day=first, end_day=last + timedelta(days=1), zone=zone, mapping=mapping)
    found = await preview_file(desk.session, partner_id=partner_id, data=data, about=about)
    carried = [
        hidden("data", base64.b64encode(data).decode()),
        hidden("name", name),
        hidden("about", base64.b64encode(msgspec.json.encode(about)).decode()),
    ]
    keep = desk.form_part("", f"{_base(partner_id)}/take", carried, submit=_("Keep this result"))
    title = _("What the file comes to")
    parts: list[Part] = [_tiles(desk, counted(found), None), keep, _settled_part(desk, one, found)]
    return await desk.shown(title, parts, crumbs=_crumbs(desk, one, (title, "")), instead=True)


@post("/partners/{partner_id:uuid}/inbound/take", status_code=303)
async def take(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Keep the result of the file that was looked at, judged anew."""
    await allowed(desk, partner_id)
    form = desk.form
    try:
        data = base64.b64decode(form.long("data"), validate=True)
        about = msgspec.json.decode(base64.b64decode(form.long("about"), validate=True), type=About)
    except (binascii.Error, ValueError):
        raise SheetNotReadable from None
    made = await take_file(
        desk.session, partner_id=partner_id, name=form.raw("name"), data=data, about=about, actor=desk.actor, now=desk.now
    )
    return await desk.done(f"{_base(partner_id)}/{made}/rows", desk.gettext("Kept"))


@get(three("/partners/{partner_id:uuid}/inbound/{file_id:uuid}/rows"))
async def result(desk: NamedDependency[Desk], partner_id: FromPath[UUID], file_id: FromPath[UUID]) -> Any:
    """Show what a file came to, line by line, what wants looking at by one click."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)
    shown = await get_inbound(desk.session, partner_id=partner_id, file_id=file_id)
    path = f"{_base(partner_id)}/{file_id}/rows"
    listing = desk.listing(path, "", ["outcome"])
    outcome = desk.query.maybe("outcome", RowOutcome)

    async def fetch(cursor: str | None, limit: int) -> Found[InboundRowView]:
        outcomes = () if outcome is None else (outcome,)
        return await inbound_rows(desk.session, file_id=file_id, outcomes=outcomes, cursor=cursor, limit=limit)

    async def rows(found: Sequence[InboundRowView]) -> list[list[Cell]]:
        return [
            [
                cells.count(desk, each.place),
                cells.text(each.reference),
                cells.text(each.theirs),
                _moment(desk, each.event_at, late=each.late),
                cells.money(desk, each.amount_minor, one.currency),
                cells.money(desk, each.ours_minor, one.currency),
                cells.count(desk, each.line_number),
                cells.tag(desk, each.outcome, OUTCOME),
                cells.text(_why(desk, each.why)),
            ]
            for each in found
        ]

    last = desk.f.full_day(shown.end_day - timedelta(days=1))
    return await show(
        desk,
        List(
            title=shown.name,
            sub=_("%(first)s to %(last)s, times of %(zone)s", first=desk.f.full_day(shown.first_day), last=last, zone=shown.zone),
            listing=listing,
            columns=[*_columns(desk), Column(_("Our line"), "num"), Column(_("Result")), Column(_("Why"))],
            fetch=fetch,
            rows=rows,
            filters=[word_filter(desk, "outcome", _("Result"), OUTCOME, listing)],
            top=[_tiles(desk, shown.outcomes, path)],
            crumbs=_crumbs(desk, one, (shown.name, "")),
            empty=_("Nothing of that kind"),
            name="partner-file",
        ),
    )


def _columns(desk: Desk) -> list[Column]:
    _ = desk.gettext
    words = [Column(_("Row"), "num"), Column(_("Reference")), Column(_("Theirs")), Column(_("When"))]
    return [*words, Column(_("Their amount"), "num"), Column(_("Our amount"), "num")]


def _tiles(desk: Desk, outcomes: MappingOf[str, int], path: str | None) -> Tiles:
    """Count what a file came to; what wants looking at in its colour."""
    return Tiles(
        [
            Tile(
                desk.gettext(label),
                desk.f.count(outcomes.get(outcome, 0)),
                tone=tone if outcome in _WANTS and outcomes.get(outcome) else "",
                href="" if path is None else f"{path}?outcome={outcome.value}",
            )
            for outcome, (label, tone) in OUTCOME.items()
            if outcomes.get(outcome) or outcome in {RowOutcome.MATCHED, *_WANTS[:3]}
        ]
    )


def _settled_part(desk: Desk, one: PartnerView, found: Sequence[Settled]) -> Part:
    _ = desk.gettext
    # What wants looking at first.
    told = sorted(found, key=lambda each: each.outcome not in _WANTS)
    if not told:
        return Said(title=_("The file has no lines, and nothing of ours is missing in it"))
    return Rows(
        title=_("Row by row"),
        columns=[*_columns(desk), Column(_("Result")), Column(_("Why"))],
        rows=[
            [
                cells.count(desk, None if each.row is None else each.row.place),
                cells.text(each.row.reference if each.row is not None else each.line.reference if each.line is not None else ""),
                cells.text("" if each.row is None else each.row.theirs),
                _moment(desk, each.row.event_at if each.row is not None else each.line and each.line.event_at, late=each.late),
                cells.money(desk, None if each.row is None else each.row.amount_minor, one.currency),
                cells.money(desk, None if each.line is None else each.line.amount_minor, one.currency),
                cells.tag(desk, each.outcome, OUTCOME),
                cells.text(desk.either(*each.row.fault) if each.row is not None and each.row.fault else _why(desk, each.why)),
            ]
            for each in told[:_SHOWN]
        ],
        empty="",
        note=_("The first %(count)s.", count=_SHOWN) if len(told) > _SHOWN else "",
    )


def _moment(desk: Desk, at: Any, *, late: bool) -> Cell:
    cell = cells.when(desk, at)
    if not late:
        return cell
    return Cell(cell.show + " " + desk.tag(desk.gettext("told late"), "warn"), cell.export)


def _why(desk: Desk, why: str) -> str:
    """Say a code in the reader's words; what stands in both languages in the reader's."""
    if why in WHY:
        return desk.gettext(WHY[why])
    zh, slash, en = why.partition(" / ")
    return desk.either(zh, en) if slash else why


handlers = [files, ask_file, look, take, result]
