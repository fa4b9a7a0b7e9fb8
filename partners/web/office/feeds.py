"""What goes to a partner about customers who agreed: its feeds, who is registered, what they were asked, which files left."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.customers.queries import WordingView, wording_versions
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import people, word_filter
from loyalty.web.office.parts import Act, Cell, Part, Rows, Said, Tile, Tiles
from partners.feed_rules import slip_number
from partners.model import AgreementStatus
from partners.model_feeds import FeedStatus, RegistrationStatus, Rhythm
from partners.queries.alliances import PartnerView, agreements_of, get_partner
from partners.queries.feeds import BatchView, FeedView, LogView, feeds_of, latest_events, list_batches, log_of
from partners.queries.registrations import RegistrationView, count_registrations, list_registrations
from partners.rules import Benefit
from partners.web.office.common import base_of, crumbs_of, name_of
from partners.web.office.feed_words import CHANNEL, EVENT, FEED, REGISTRATION, RHYTHM, WEEKDAYS


def feeds_base(partner_id: UUID) -> str:
    """Return the address of a partner's feeds."""
    return f"{base_of(partner_id)}/feeds"


def rhythm_said(desk: Desk, one: FeedView) -> str:
    """Say how often and when: every week, Monday 09:00."""
    _ = desk.gettext
    day = ""
    if one.rhythm is Rhythm.WEEKLY:
        day = _(WEEKDAYS[one.weekday - 1])
    elif one.rhythm is Rhythm.MONTHLY:
        day = _("on the %(day)s.", day=one.month_day)
    return " ".join(part for part in (_(RHYTHM[one.rhythm][0]), day, f"{one.at:%H:%M}") if part)


def benefit_name(desk: Desk, benefits: dict[str, Benefit], code: str) -> str:
    """Name a benefit in the reader's language; its code where no version has it."""
    found = benefits.get(code)
    return code if found is None else desk.either(found.name_zh, found.name_en)


async def benefits_with_purpose(desk: Desk, partner_id: UUID) -> dict[str, Benefit]:
    """Return the benefits that a partner's approved versions give with a purpose to consent to, as they were agreed last."""
    approved = [one for one in await agreements_of(desk.session, partner_id=partner_id) if one.status is AgreementStatus.APPROVED]
    return {one.code: one for version in reversed(approved) for one in version.terms.benefits if one.purpose}


@get("/partners/{partner_id:uuid}/feeds")
async def feeds(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Answer at the top who is with the partner and when the next list leaves; below, feeds, wordings, files."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)
    benefits = await benefits_with_purpose(desk, partner_id)
    found = await feeds_of(desk.session, partner_id=partner_id)
    living = [each for each in found if each.status is not FeedStatus.ENDED]
    edits = desk.may(Permission.EDIT_ALLIANCES)
    base = feeds_base(partner_id)
    free = set(benefits) - {each.benefit for each in living}
    title = _("Data to the partner")
    return await desk.page(
        title,
        sub=name_of(desk, one),
        crumbs=crumbs_of(desk, one, (title, "")),
        acts=[
            Act(_("Registrations"), f"{base_of(partner_id)}/registrations"),
            Act(_("What lapses"), f"{base_of(partner_id)}/lapses"),
            Act(_("Files from the partner"), f"{base_of(partner_id)}/inbound"),
            Act(_("New feed"), f"{base}/new", primary=not living) if edits and free else None,
        ],
        top=[*_needs(desk, one, living, benefits), await _tiles(desk, one, living)],
        main=[
            _feeds_part(desk, found, benefits),
            *[await _wording_part(desk, one, each) for each in _purposes(benefits)],
            await files_part(desk, one),
        ],
    )


def _purposes(benefits: dict[str, Benefit]) -> list[Benefit]:
    return list({one.purpose: one for one in benefits.values()}.values())


def _needs(desk: Desk, one: PartnerView, living: Sequence[FeedView], benefits: dict[str, Benefit]) -> list[Part]:
    _ = desk.gettext
    if not benefits:
        then = _("A benefit that names the purpose of a consent has to be agreed and approved first.")
        return [Said(title=_("No benefit of this partner needs customers' data"), then=then)]
    waiting = [each for each in living if each.status is FeedStatus.PROPOSED]
    if not waiting:
        return []
    acts = [Act(_("Look at it"), f"{feeds_base(one.partner_id)}/{waiting[0].feed_id}")]
    then = _("Nothing leaves until somebody other than who proposed it agrees.")
    return [Said(title=_("A feed waits for a second person"), then=then, tone="warn", acts=acts)]


async def _tiles(desk: Desk, one: PartnerView, living: Sequence[FeedView]) -> Tiles:
    _ = desk.gettext
    sums = dict.fromkeys(RegistrationStatus, 0)
    for each in living:
        for status, count in (await count_registrations(desk.session, partner_id=one.partner_id, benefit=each.benefit)).items():
            sums[status] += count
    due = min((each.next_due for each in living if each.next_due is not None), default=None)
    href = f"{base_of(one.partner_id)}/registrations"
    there = sums[RegistrationStatus.SENT] + sums[RegistrationStatus.CORRECTED]
    return Tiles(
        [
            Tile(_("With the partner"), desk.f.count(there), href=href),
            Tile(_("To be sent"), desk.f.count(sums[RegistrationStatus.TO_SEND]), href=f"{href}?status=to_send"),
            Tile(_("Removed"), desk.f.count(sums[RegistrationStatus.REMOVED]), href=f"{href}?status=removed"),
            Tile(_("Next list"), "—" if due is None else desk.f.when(due), note=one.zone),
        ]
    )


def _feeds_part(desk: Desk, found: Sequence[FeedView], benefits: dict[str, Benefit]) -> Rows:
    _ = desk.gettext
    return Rows(
        title=_("Feeds"),
        columns=[
            Column(_("Benefit")),
            Column(_("How often")),
            Column(_("Way")),
            Column(_("Status")),
            Column(_("Next list")),
            Column(_("Lists so far"), "num"),
        ],
        rows=[
            [
                cells.link(desk, f"{feeds_base(one.partner_id)}/{one.feed_id}", benefit_name(desk, benefits, one.benefit)),
                cells.text(rhythm_said(desk, one)),
                cells.text(_(CHANNEL[one.channel][0])),
                cells.tag(desk, one.status, FEED),
                cells.when(desk, one.next_due),
                cells.count(desk, one.last_sequence),
            ]
            for one in found
        ],
        empty=_("No feed yet"),
        empty_then=_("A feed says which columns of whom leave, how often, by which way, and whose key opens them."),
    )


async def _wording_part(desk: Desk, one: PartnerView, benefit: Benefit) -> Rows:
    _ = desk.gettext
    purpose = benefit.purpose or ""
    found: list[WordingView] = await wording_versions(desk.session, purpose=purpose, recipient=one.code)
    names = await people(desk, [each.made_by for each in found])
    edits = desk.may(Permission.EDIT_ALLIANCES)
    return Rows(
        title=_("What customers are asked: %(purpose)s", purpose=purpose),
        columns=[Column(_("Version"), "num"), Column(_("Title")), Column(_("What they read")), Column(_("Since")), Column(_("By"))],
        rows=[
            [
                cells.count(desk, each.version),
                cells.text(desk.either(each.title_zh, each.title_en)),
                cells.text(desk.either(each.text_zh, each.text_en)),
                cells.when(desk, each.made_at),
                cells.text(names.get(each.made_by)),
            ]
            for each in found
        ],
        empty=_("Customers are not asked yet"),
        empty_then=_("Without words nobody can agree on their own page; the counter notes what was signed."),
        acts=[Act(_("New wording"), f"{feeds_base(one.partner_id)}/wording?benefit={benefit.code}")] if edits else [],
    )


async def files_part(desk: Desk, one: PartnerView, feed_id: UUID | None = None) -> Rows:
    """Return the files that left last, of the partner or of one feed."""
    _ = desk.gettext
    found: list[BatchView] = (await list_batches(desk.session, partner_id=one.partner_id, feed_id=feed_id, limit=20)).rows
    events = await latest_events(desk.session, batch_ids=[each.batch_id for each in found])
    heads = (_("Newly listed"), _("Corrections"), _("Removals"), _("Left out"), _("Cover"))
    return Rows(
        title=_("Files"),
        columns=[Column(_("No."), "num"), Column(_("Due time")), *(Column(head, "num") for head in heads), Column(_("State"))],
        rows=[
            [
                cells.link(desk, f"{feeds_base(one.partner_id)}/files/{each.batch_id}", f"{each.sequence}"),
                cells.when(desk, each.due_at),
                *(cells.count(desk, number) for number in (each.new, each.corrections, each.removals, each.held_back)),
                cells.money(desk, each.cover_minor, each.currency),
                cells.tag(desk, events.get(each.batch_id), EVENT),
            ]
            for each in found
        ],
        empty=_("No file yet"),
        acts=[Act(_("The whole log"), f"{feeds_base(one.partner_id)}/log")] if found else [],
        id="files",
    )


@get(three("/partners/{partner_id:uuid}/registrations"))
async def registrations(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Any:
    """List who is registered with the partner, the latest first."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)
    path = f"{base_of(partner_id)}/registrations"
    listing = desk.listing(path, "", ["status"])
    status = desk.query.maybe("status", RegistrationStatus)

    async def fetch(cursor: str | None, limit: int) -> Found[RegistrationView]:
        statuses = () if status is None else (status,)
        return await list_registrations(desk.session, partner_id=partner_id, statuses=statuses, cursor=cursor, limit=limit)

    async def rows(found: Sequence[RegistrationView]) -> list[list[Cell]]:
        return [
            [*registration_cells(desk, each), cells.tag(desk, each.status, REGISTRATION), cells.when(desk, each.changed_at)]
            for each in found
        ]

    title = _("Registrations")
    return await show(
        desk,
        List(
            title=title,
            sub=name_of(desk, one),
            listing=listing,
            columns=[*registration_columns(desk), Column(_("Status")), Column(_("Since"))],
            fetch=fetch,
            rows=rows,
            filters=[word_filter(desk, "status", _("Status"), REGISTRATION, listing)],
            crumbs=crumbs_of(desk, one, (_("Data to the partner"), feeds_base(partner_id)), (title, "")),
            empty=_("Nobody is registered"),
            empty_then=_("Who gets the benefit's voucher and agreed is registered within the hour, once the feed runs."),
            name="registrations",
        ),
    )


def registration_columns(desk: Desk) -> list[Column]:
    """Return the heads of what is told of a registration."""
    _ = desk.gettext
    return [Column(_("Slip")), Column(_("Customer")), Column(_("Cover"), "num"), Column(_("Valid from")), Column(_("Valid until"))]


def registration_cells(desk: Desk, one: RegistrationView) -> list[Cell]:
    """Return what is told of a registration."""
    return [
        Cell(slip_number(one.number, one.code_tail), slip_number(one.number, one.code_tail)),
        cells.link(desk, f"/office/customers/{one.customer_id}", one.name),
        cells.money(desk, one.cover_minor, one.currency),
        cells.day(desk, one.valid_from),
        cells.day(desk, None if one.valid_until is None else one.valid_until - timedelta(days=1)),
    ]


@get(three("/partners/{partner_id:uuid}/feeds/log"))
async def log(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Any:
    """List who got what, the latest first."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)
    title = _("Who got what")

    async def fetch(cursor: str | None, limit: int) -> Found[LogView]:
        return await log_of(desk.session, partner_id=partner_id, cursor=cursor, limit=limit)

    async def rows(found: Sequence[LogView]) -> list[list[Cell]]:
        names = await actors_of(desk, found)
        return [
            [
                cells.when(desk, each.at),
                cells.link(desk, f"{feeds_base(partner_id)}/files/{each.batch_id}", f"{each.sequence}"),
                cells.tag(desk, each.event, EVENT),
                cells.text(each.to),
                cells.text(names[each.actor]),
            ]
            for each in found
        ]

    return await show(
        desk,
        List(
            title=title,
            sub=name_of(desk, one),
            listing=desk.listing(f"{feeds_base(partner_id)}/log", "", []),
            columns=[Column(_("When")), Column(_("File no.")), Column(_("What")), Column(_("To whom")), Column(_("By"))],
            fetch=fetch,
            rows=rows,
            crumbs=crumbs_of(desk, one, (_("Data to the partner"), feeds_base(partner_id)), (title, "")),
            empty=_("Nothing left yet"),
            name="feed-log",
        ),
    )


async def actors_of(desk: Desk, found: Sequence[LogView]) -> dict[str, str]:
    """Name who did what the log says."""
    staff = {one.actor: UUID(one.actor.partition(":")[2]) for one in found if one.actor.startswith("staff:")}
    names = await people(desk, staff.values())
    return {one.actor: names.get(staff[one.actor], "—") if one.actor in staff else desk.gettext("by itself") for one in found}


handlers = [feeds, registrations, log]
