"""Partners: listed with what holds today; one entered, corrected, begun, suspended, ended."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, select, word_filter
from loyalty.web.office.parts import Act, Cell, Field
from partners.model import AgreementStatus, Category, PartnerStatus
from partners.operations.alliances import PartnerFacts, add_partner, change_partner, move_partner
from partners.queries.alliances import PartnerView, list_partners, standing_of, waiting_for
from partners.rules import Standing, holds_on, next_after
from partners.web.office.common import PATH, allowed, base_of, crumbs_of, name_of, offered, today_of
from partners.web.office.labels import AGREEMENT, CATEGORY, STATUS

_AGREED: Final = {status: AGREEMENT[status] for status in (AgreementStatus.DRAFT, AgreementStatus.SUBMITTED)}
_CODE: Final = r"[A-Z0-9][A-Z0-9\-]{1,19}"


@get(three("/partners"))
async def partners(desk: NamedDependency[Desk]) -> Any:
    """List partners by status, category and any part of code or name, each with what holds today."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    listing = desk.listing(PATH, "", ["text", "category", "status", "agreed"])

    async def fetch(cursor: str | None, limit: int) -> Found[PartnerView]:
        status = desk.query.maybe("status", PartnerStatus)
        return await list_partners(
            desk.session,
            text=listing.filters["text"],
            statuses=[] if status is None else [status],
            category=desk.query.maybe("category", Category),
            waiting=desk.query.maybe("agreed", AgreementStatus),
            cursor=cursor,
            limit=limit,
        )

    async def rows(found: Sequence[PartnerView]) -> list[list[Cell]]:
        ids = [one.partner_id for one in found]
        standing = await standing_of(desk.session, partner_ids=ids)
        waiting = await waiting_for(desk.session, partner_ids=ids)
        return [_row(desk, one, standing[one.partner_id], waiting.get(one.partner_id)) for one in found]

    filtered = any(listing.filters.values())
    return await show(
        desk,
        List(
            title=_("Alliances"),
            sub=_("Whom we are allied with, and what holds with them today"),
            listing=listing,
            columns=[
                Column(_("Partner")),
                Column(_("Code")),
                Column(_("Category")),
                Column(_("Status")),
                Column(_("Holds today")),
                Column(_("Next version")),
                Column(_("Being agreed")),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                field("text", _("Find"), value=listing.filters["text"], required=False, placeholder=_("Name or code"), key="F1"),
                word_filter(desk, "category", _("Category"), CATEGORY, listing),
                word_filter(desk, "status", _("Status"), STATUS, listing),
                word_filter(desk, "agreed", _("Being agreed"), _AGREED, listing),
            ],
            acts=[
                Act(_("Settlement"), f"{PATH}/settlement"),
                Act(_("New partner"), f"{PATH}/new", primary=True) if desk.may(Permission.EDIT_ALLIANCES) else None,
            ],
            empty=_("No partner fits this filter") if filtered else _("No partner yet"),
            empty_then=_("Look for part of its name.")
            if filtered
            else _("Enter a partner; draft what is agreed; another person approves it; then the alliance begins."),
            name="partners",
        ),
    )


def _row(desk: Desk, one: PartnerView, standing: list[Standing], waiting: AgreementStatus | None) -> list[Cell]:
    return [
        cells.link(desk, base_of(one.partner_id), name_of(desk, one)),
        cells.text(one.code),
        cells.tag(desk, one.category, CATEGORY),
        cells.tag(desk, one.status, STATUS),
        _held(desk, one, holds_on(standing, today_of(desk, one))),
        _coming(desk, next_after(standing, today_of(desk, one))),
        cells.tag(desk, waiting, AGREEMENT),
    ]


def _held(desk: Desk, one: PartnerView, held: Standing | None) -> Cell:
    """Say what holds; that nothing does is odd only of an alliance that is active."""
    if held is not None:
        return cells.text(version_said(desk, held))
    nothing = desk.gettext("nothing")
    return Cell(desk.tag(nothing, "bad") if one.status is PartnerStatus.ACTIVE else nothing, nothing)


def _coming(desk: Desk, coming: Standing | None) -> Cell:
    if coming is None:
        return cells.text(None)
    return cells.text(desk.gettext("Version %(version)s from %(day)s", version=coming.version, day=desk.f.full_day(coming.first)))


def version_said(desk: Desk, one: Standing) -> str:
    """Say which version holds, and until when."""
    if one.end is None:
        return desk.gettext("Version %(version)s", version=one.version)
    last = desk.f.full_day(one.end - timedelta(days=1))
    return desk.gettext("Version %(version)s until %(day)s", version=one.version, day=last)


@get("/partners/new")
async def new_partner(desk: NamedDependency[Desk]) -> Page:
    """Ask what is known of a new partner."""
    desk.offer(Permission.EDIT_ALLIANCES)
    _ = desk.gettext
    title = _("New partner")
    crumbs = [(_("Alliances"), PATH), (title, "")]
    note = _("Nothing is redeemed before an agreement is approved and the alliance begins.")
    fields = await _fields(desk, None)
    return await desk.ask(title, fields, action=f"{PATH}/new", submit=_("Store"), back=PATH, crumbs=crumbs, columns=True, note=note)


@post("/partners/new", status_code=303)
async def enter_partner(desk: NamedDependency[Desk]) -> Page:
    """Enter a partner."""
    desk.require(Permission.EDIT_ALLIANCES)
    facts = _read(desk)
    made = await add_partner(desk.session, facts=facts, actor=desk.actor, now=desk.now)
    return await desk.done(base_of(made), desk.gettext("Entered. Next: its outlets, and what is agreed."))


@get("/partners/{partner_id:uuid}/edit")
async def edit_partner(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Ask what is to be corrected."""
    one = await offered(desk, partner_id)
    _ = desk.gettext
    crumbs = crumbs_of(desk, one, (_("Edit"), ""))
    fields = await _fields(desk, one)
    return await desk.ask(name_of(desk, one), fields, submit=_("Store"), back=base_of(partner_id), crumbs=crumbs, columns=True)


@post("/partners/{partner_id:uuid}/edit", status_code=303)
async def store_partner(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Correct what is said of a partner."""
    one = await allowed(desk, partner_id)
    facts = _read(desk, one)
    await change_partner(desk.session, partner_id=partner_id, facts=facts, actor=desk.actor, now=desk.now)
    return await desk.done(base_of(partner_id), desk.gettext("Stored"))


async def _fields(desk: Desk, one: PartnerView | None) -> list[Field]:
    _ = desk.gettext
    categories = [(category.value, _(said)) for category, (said, _tone) in CATEGORY.items()]
    fields = [
        field("name_zh", _("Chinese name"), value=one.name_zh if one else "", autofocus=one is None),
        field("name_en", _("English name"), value=one.name_en if one else ""),
        field(
            "code",
            _("Code"),
            value=one.code if one else "",
            readonly=one is not None,
            placeholder="WASH-EAST",
            help=_("It stays: it stands in files and kinds of vouchers.") if one else _("Capitals, digits, dash; it stays for ever."),
        ),
        select("category", _("Category"), categories, value=one.category.value if one else Category.OTHER.value),
    ]
    if one is None:
        sold = [station.currency for station in (await lookups.places(desk)).stations.values()]
        fields += [
            field("currency", _("Currency"), value=max(sorted(set(sold)), key=sold.count) if sold else "CNY"),
            field("zone", _("Time zone"), value=desk.zone, help=_("The calendar of its days and statements.")),
        ]
    return [
        *fields,
        field("tax_number", _("Tax number"), value=(one.tax_number or "") if one else "", required=False),
        field("contact", _("Whom to talk to"), value=one.contact if one else "", required=False, all=True),
    ]


def _read(desk: Desk, one: PartnerView | None = None) -> PartnerFacts:
    """Read the form.

    :raises FormRefused: if a field is wrong
    """
    _ = desk.gettext
    form = desk.form
    code = form.text("code", _("Code"), longest=20).upper() if one is None else one.code
    currency = form.text("currency", _("Currency"), longest=3).upper() if one is None else one.currency
    zone = form.text("zone", _("Time zone"), longest=60) if one is None else one.zone
    if one is None:
        require_code(desk, code, _CODE)
        if not is_zone(zone):
            form.fault("zone", _("Time zone"), _("is not one of the choices"))
    facts: dict[str, Any] = {
        "name_zh": form.text("name_zh", _("Chinese name"), longest=80),
        "name_en": form.text("name_en", _("English name"), longest=80),
        "category": form.choice("category", _("Category"), Category, Category.OTHER),
        "tax_number": form.text("tax_number", _("Tax number"), required=False, longest=30) or None,
        "contact": form.text("contact", _("Whom to talk to"), required=False, longest=200),
    }
    form.check()
    return PartnerFacts(code=code, currency=currency, zone=zone, **facts)


def require_code(desk: Desk, code: str, pattern: str) -> None:
    """Note a code that cannot be, beside its field."""
    if code and not re.fullmatch(pattern, code):
        desk.form.fault("code", desk.gettext("Code"), desk.gettext("takes capitals, digits and dashes"))


def is_zone(name: str) -> bool:
    """Say whether a time zone has this name."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


MOVES: Final[Mapping[str, tuple[PartnerStatus, str, str]]] = {
    "begin": (PartnerStatus.ACTIVE, N_("Begin the alliance"), N_("From now on its benefits are redeemed at its outlets.")),
    "resume": (PartnerStatus.ACTIVE, N_("Take it up again"), N_("From now on its benefits are redeemed again.")),
    "suspend": (PartnerStatus.SUSPENDED, N_("Suspend"), N_("Nothing is redeemed meanwhile; what was is settled.")),
    "end": (PartnerStatus.ENDED, N_("End the alliance"), N_("It does not begin again. What was redeemed is settled.")),
}
"""How a partner is moved: the act's address, where it leads, what it is called, what it means."""
_MOVES: Final = [f"/partners/{{partner_id:uuid}}/{act}" for act in MOVES]


@get(_MOVES)
async def ask_move(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Ask once, with the reason."""
    one = await offered(desk, partner_id)
    _ = desk.gettext
    to, title, meaning = MOVES[desk.act]
    danger = to is not PartnerStatus.ACTIVE
    reason = field("reason", _("Reason"), autofocus=True)
    crumbs = crumbs_of(desk, one, (_(title), ""))
    return await desk.ask(_(title), [reason], submit=_(title), danger=danger, note=_(meaning), back=base_of(partner_id), crumbs=crumbs)


@post(_MOVES, status_code=303)
async def move(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Move it."""
    one = await allowed(desk, partner_id)
    to, _title, _meaning = MOVES[desk.act]
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await move_partner(desk.session, partner_id=partner_id, to=to, today=today_of(desk, one), reason=reason, actor=desk.actor, now=desk.now)
    label, _tone = STATUS[to]
    undo = f"{base_of(partner_id)}/resume" if to is PartnerStatus.SUSPENDED else ""
    said = desk.gettext("Now: %(status)s", status=desk.gettext(label))
    return await desk.done(base_of(partner_id), said, undo=undo, fields={"reason": desk.gettext("Undone")})


handlers = [partners, new_partner, enter_partner, edit_partner, store_partner, ask_move, move]
