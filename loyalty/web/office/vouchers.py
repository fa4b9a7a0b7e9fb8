"""Kinds of vouchers and how many are out; a voucher's life by its code; vouchers that come every month."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.audit.model import ActorKind
from loyalty.customers.queries import names_of
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.rewards.model_vouchers import VOUCHER_MOVES, ValueType, VoucherStatus
from loyalty.rewards.operations.monthly import MonthlyFacts, MonthlyNotFound, put_monthly
from loyalty.rewards.operations.voucher_kinds import FunderShare, KindFacts, put_kind
from loyalty.rewards.operations.vouchers import cancel_voucher
from loyalty.rewards.queries import vouchers as queries
from loyalty.rewards.queries.referrals import MonthlyView, list_monthly
from loyalty.rewards.queries.vouchers import VoucherKindView, VoucherView
from loyalty.rewards.voucher_rules import ALL_STATIONS, ANYWHERE
from loyalty.web.endings import good_through
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.coded import Coded, coded
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, single, three
from loyalty.web.office.lookups import area, check, chips, field, local_input, select
from loyalty.web.office.parts import Act, Ask, Cell, Events, Facts, Field, Rows
from loyalty.web.office.reward_words import REDEMPTION_STATUS, VALUE_TYPE, VOUCHER_STATUS

PATH = "/office/vouchers"
MONTHLY = f"{PATH}/monthly"


def tabs(desk: Desk, here: str) -> list[tuple[str, str, bool, int]]:
    """Return the two views: kinds, and what comes every month."""
    _ = desk.gettext
    return [(_("Kinds"), PATH, here == PATH, 0), (_("Every month"), MONTHLY, here == MONTHLY, 0)]


@get(three("/vouchers"))
async def kinds(desk: NamedDependency[Desk]) -> Any:
    """List the kinds of vouchers; below them a code leads to its voucher."""
    desk.require(Permission.READ_CARDS)
    _ = desk.gettext
    listing = desk.listing(PATH, "code", [])

    async def fetch(cursor: str | None, limit: int) -> Found[VoucherKindView]:
        return await queries.list_kinds(desk.session, sort=listing.sort, cursor=cursor, limit=limit)

    async def rows(found: Sequence[VoucherKindView]) -> list[list[Cell]]:
        words = await coded(desk)
        return [_kind_row(desk, one, words) for one in found]

    edits = desk.may(Permission.EDIT_RULES)
    return await show(
        desk,
        List(
            title=_("Vouchers"),
            listing=listing,
            tabs=tabs(desk, PATH),
            columns=[
                Column(_("Code"), sort="code"),
                Column(_("What it is called")),
                Column(_("What it is")),
                Column(_("Worth"), "num"),
                Column(_("Good for")),
                Column(_("Out"), "num"),
                Column(_("Limit in all"), "num"),
                Column(_("State")),
            ],
            fetch=fetch,
            rows=rows,
            acts=[Act(_("New kind"), f"{PATH}/kinds/new", primary=True) if edits else None],
            below=[_search(desk)] if desk.may(Permission.READ_CUSTOMERS) else [],
            empty=_("No kind of voucher yet"),
            empty_then=_("Make one; rules, referrals and the office can then give it."),
            name="voucher-kinds",
        ),
    )


def _search(desk: Desk) -> Ask:
    """Return the form that finds a voucher: a code is as good as the voucher, so it stands in no address."""
    _ = desk.gettext
    code = field("code", _("A voucher's code"), placeholder="7K3F-9QXM-2WTD")
    return desk.form_part(_("Find a voucher"), f"{PATH}/find", [code], submit=_("Find"), primary=False)


@post("/vouchers/find", status_code=303)
async def find(desk: NamedDependency[Desk]) -> Page:
    """Lead to the voucher of a code."""
    desk.require(Permission.READ_CUSTOMERS)
    found = await queries.find_voucher(desk.session, typed=desk.form.raw("code"))
    if found is None:
        return await desk.done(PATH, desk.gettext("No voucher has this code: twelve letters and digits, of which the last catches a slip."))
    return await desk.done(f"{PATH}/{found.voucher_id}")


def _kind_row(desk: Desk, one: VoucherKindView, words: Coded) -> list[Cell]:
    _ = desk.gettext
    edits = desk.may(Permission.EDIT_RULES)
    return [
        cells.link(desk, f"{PATH}/kinds/{one.code}/edit", one.code) if edits else cells.text(one.code),
        cells.text(desk.either(one.name_zh, one.name_en)),
        cells.tag(desk, one.value_type, VALUE_TYPE),
        cells.money(desk, one.face_minor, one.currency) if one.currency else cells.text(words.thing(one.item)),
        cells.text(_validity(desk, one)),
        cells.count(desk, one.issued),
        cells.count(desk, one.limit_total),
        Cell(
            desk.tag(_("Being issued"), "good") if one.active else desk.tag(_("Stopped")), _("Being issued") if one.active else _("Stopped")
        ),
    ]


def _validity(desk: Desk, one: VoucherKindView) -> str:
    if one.validity_days is not None:
        return desk.words.ngettext("%(num)s day", "%(num)s days", one.validity_days)
    return desk.gettext("good until %(day)s", day=good_through(desk.f, one.ends_at)) if one.ends_at else desk.gettext("no end")


@get("/vouchers/kinds/new")
async def new_kind(desk: NamedDependency[Desk]) -> Page:
    """Ask for a new kind's terms."""
    return await _ask_kind(desk, None)


@get("/vouchers/kinds/{code:str}/edit")
async def edit_kind(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Ask for a kind's terms."""
    return await _ask_kind(desk, await queries.get_kind(desk.session, code=code))


async def _ask_kind(desk: Desk, one: VoucherKindView | None) -> Page:
    desk.offer(Permission.EDIT_RULES)
    _ = desk.gettext
    title = _("New kind of voucher") if one is None else desk.either(one.name_zh, one.name_en)
    note = ""
    if one is not None and one.issued:
        note = desk.words.ngettext(
            "%(num)s voucher is out: it keeps its worth and its end. What kind of thing it is does not change any more.",
            "%(num)s vouchers are out: they keep their worth and their end. What kind of thing they are does not change any more.",
            one.issued,
        )
    return await desk.ask(
        title,
        _kind_fields(desk, one),
        action=f"{PATH}/kinds",
        submit=_("Store"),
        back=PATH,
        crumbs=[(_("Vouchers"), PATH), (title, "")],
        note=note,
        columns=True,
    )


def _kind_fields(desk: Desk, one: VoucherKindView | None) -> list[Field]:
    _ = desk.gettext
    types = [(member.value, _(label)) for member, (label, _tone) in VALUE_TYPE.items()]
    face = desk.f.amount(one.face_minor, one.currency or "CNY") if one and one.face_minor else ""
    outlets = one.outlets if one else ["stations"]
    funders = one.funders if one else [["head-office", 1]]
    return [
        field(
            "code", _("Code"), value=one.code if one else "", readonly=one is not None, autofocus=one is None, placeholder="wash-monthly"
        ),
        field("name_zh", _("Name in Chinese"), value=one.name_zh if one else ""),
        field("name_en", _("Name in English"), value=one.name_en if one else ""),
        chips("value_type", _("What it is"), types, value=(one.value_type if one else ValueType.MONEY).value),
        field("face", _("Worth"), value=face, num=True, required=False, help=_("Of money off.")),
        field("currency", _("Currency"), value=(one.currency or "") if one else "CNY", required=False),
        field("item", _("Service or goods"), value=(one.item or "") if one else "", required=False, placeholder="wash"),
        field("validity_days", _("Good for days"), value=(one.validity_days or "") if one else 30, num=True, required=False),
        field("ends_at", _("Or good until"), type="datetime-local", value=local_input(desk, one.ends_at if one else None), required=False),
        field("limit_total", _("Limit in all"), value=(one.limit_total or "") if one else "", num=True, required=False),
        field("limit_each", _("Limit a customer"), value=(one.limit_each or "") if one else "", num=True, required=False),
        field("rollback_minutes", _("Minutes to take a use back"), value=one.rollback_minutes if one else 60, num=True),
        area(
            "outlets",
            _("Where it is honoured"),
            value="\n".join(outlets),
            help=_("A line each: any, stations, station:CODE, district:CODE, region:CODE, partner:CODE."),
        ),
        area(
            "funders",
            _("Who bears it"),
            value="\n".join(f"{funder} {parts}" for funder, parts in funders),
            help=_("A line each: who, and how many parts."),
            rows=2,
        ),
        check("partial", _("May be used in parts"), checked=bool(one and one.partial)),
        check("plate_bound", _("Only for the plate it is issued for"), checked=bool(one and one.plate_bound)),
        check("online_only", _("Never honoured without a connection"), checked=bool(one and one.online_only)),
        check("active", _("New ones are issued"), checked=one is None or one.active),
        area("terms_zh", _("Terms in Chinese"), value=one.terms_zh if one else "", required=False),
        area("terms_en", _("Terms in English"), value=one.terms_en if one else "", required=False),
    ]


@post("/vouchers/kinds", status_code=303)
async def store_kind(desk: NamedDependency[Desk]) -> Page:
    """Make a kind, or change it."""
    desk.require(Permission.EDIT_RULES)
    _ = desk.gettext
    form = desk.form
    code = form.text("code", _("Code"), longest=48)
    value_type = form.choice("value_type", _("What it is"), ValueType, ValueType.MONEY)
    is_money = value_type is ValueType.MONEY
    currency = form.text("currency", _("Currency"), required=is_money, longest=3).upper() or "CNY"
    facts: dict[str, Any] = {
        "name_zh": form.text("name_zh", _("Name in Chinese"), longest=80),
        "name_en": form.text("name_en", _("Name in English"), longest=80),
        "value_type": value_type,
        "zone": desk.zone,
        "item": form.raw("item") or None,
        "face_minor": form.money("face", _("Worth"), currency) if is_money else None,
        "currency": currency if is_money else None,
        "validity_days": form.whole("validity_days", _("Good for days"), low=1, high=3660, required=False),
        "ends_at": form.instant("ends_at", _("Or good until"), required=False),
        "limit_total": form.whole("limit_total", _("Limit in all"), low=1, required=False),
        "limit_each": form.whole("limit_each", _("Limit a customer"), low=1, required=False),
        "rollback_minutes": form.whole("rollback_minutes", _("Minutes to take a use back"), high=100_000) or 0,
        "outlets": tuple(form.raw("outlets").split()),
        "funders": _funders(desk),
        "partial": form.flag("partial"),
        "plate_bound": form.flag("plate_bound"),
        "online_only": form.flag("online_only"),
        "active": form.flag("active"),
        "terms_zh": form.long("terms_zh").strip(),
        "terms_en": form.long("terms_en").strip(),
    }
    form.check()
    await put_kind(desk.session, code=code, facts=KindFacts(**facts), actor=desk.actor, now=desk.now)
    return await desk.done(PATH, _("Stored"))


def _funders(desk: Desk) -> tuple[FunderShare, ...]:
    shares = []
    for line in desk.form.raw("funders").splitlines():
        name, _space, parts = line.strip().partition(" ")
        if not name:
            continue
        if parts.strip() and not parts.strip().isdigit():
            desk.form.fault("funders", desk.gettext("Who bears it"), desk.gettext("is not who and a number of parts"))
            continue
        shares.append(FunderShare(name, int(parts.strip() or 1)))
    return tuple(shares)


@get("/vouchers/{voucher_id:uuid}")
async def voucher(desk: NamedDependency[Desk], voucher_id: FromPath[UUID]) -> Page:
    """Show a voucher's life: whose it is, what it is worth still, and every step."""
    desk.require(Permission.READ_CUSTOMERS)
    _ = desk.gettext
    one = await queries.get_voucher(desk.session, voucher_id=voucher_id)
    names = await names_of(desk.session, customer_ids=[one.customer_id]) if one.customer_id else {}
    uses = await queries.redemptions_of(desk.session, voucher_id=voucher_id)
    cancels = desk.may(Permission.EDIT_RULES) and VoucherStatus.CANCELLED in VOUCHER_MOVES[one.status]
    title = f"{desk.either(one.name_zh, one.name_en)} •••• {one.code_tail}"
    label, tone = VOUCHER_STATUS[one.status]
    return await desk.page(
        title,
        tags=[desk.tag(_(label), tone)],
        crumbs=[(_("Vouchers"), PATH), (title, "")],
        acts=[Act(_("Cancel it"), f"{PATH}/{voucher_id}/cancel", danger=True) if cancels and one.left_minor == one.face_minor else None],
        main=[Events(title=_("Life"), events=await _events(desk, one), empty=_("Nothing yet")), _uses(desk, one, uses)],
        aside=[_facts(desk, one, names, await coded(desk))],
    )


def _facts(desk: Desk, one: VoucherView, names: dict[Any, str], words: Coded) -> Facts:
    _ = desk.gettext
    holder: Any = desk.link(f"/office/customers/{one.customer_id}", names.get(one.customer_id, "—")) if one.customer_id else "—"
    pairs: list[tuple[str, Any]] = [
        (_("Kind"), words.of("vouchers", one.kind_code)),
        (_("Holder"), holder),
        (_("Issued on"), desk.f.instant(one.issued_at)),
        (_("Good until"), good_through(desk.f, one.expires_at) if one.expires_at else _("no end")),
        (_("Honoured at"), ", ".join(_outlet(desk, name) for name in one.outlets)),
        (_("Granted by"), words.source(one.source_kind, one.source_id)),
    ]
    if one.plate:
        pairs.insert(2, (_("Plate"), cells.plate(desk, one.plate).show))
    total = None
    if one.currency:
        pairs.insert(1, (_("Worth"), desk.f.money(one.face_minor, one.currency)))
        total = (_("Left on it"), desk.f.money(one.left_minor, one.currency))
    return Facts(title=_("Voucher"), pairs=pairs, total=total, note=desk.either(one.terms_zh, one.terms_en))


async def _events(desk: Desk, one: VoucherView) -> list[dict[str, str]]:
    _ = desk.gettext
    history = await queries.voucher_history(desk.session, voucher_id=one.voucher_id)
    staff = [UUID(event.actor_id) for event in history if event.actor_kind == ActorKind.STAFF]
    names = await lookups.people(desk, staff)
    lines = []
    for event in reversed(history):
        label, tone = _step(event)
        change = desk.f.money(event.change_minor, one.currency, sign=True) if one.currency and event.change_minor else ""
        who = lookups.actor_name(desk, (ActorKind(event.actor_kind), event.actor_id), names)
        lines.append(
            lookups.happening(
                desk,
                event.happened_at,
                _(label),
                [change, event.outlet or "", who, event.reason if event.outlet or event.moved_to is VoucherStatus.CANCELLED else ""],
                tone=tone,
            )
        )
    return lines


def _step(event: queries.VoucherEventView) -> tuple[str, str]:
    """Name a step: a part that was used, or came back, leaves the voucher where it was."""
    if event.outlet and event.moved_to is VoucherStatus.ISSUED:
        return (N_("Used in part"), "") if event.change_minor is not None and event.change_minor < 0 else (N_("Given back"), "warn")
    return VOUCHER_STATUS[event.moved_to]


def _outlet(desk: Desk, name: str) -> str:
    words = {ANYWHERE: desk.gettext("everywhere"), ALL_STATIONS: desk.gettext("all stations")}
    return words.get(name, name)


def _uses(desk: Desk, one: VoucherView, uses: Sequence[queries.RedemptionView]) -> Rows:
    _ = desk.gettext
    currency = one.currency or "CNY"
    return Rows(
        title=_("Uses"),
        columns=[
            Column(_("When")),
            Column(_("Where")),
            Column(_("Taken from it"), "num"),
            Column(_("Customer saved"), "num"),
            Column(_("State")),
        ],
        rows=[
            [
                cells.when(desk, each.redeemed_at or each.reserved_at),
                cells.text(each.outlet),
                cells.money(desk, each.taken_minor, currency),
                cells.money(desk, each.honoured_minor, currency),
                cells.tag(desk, each.status, REDEMPTION_STATUS),
            ]
            for each in uses
        ],
        empty=_("Not used yet"),
    )


@get("/vouchers/{voucher_id:uuid}/cancel")
async def ask_cancel(desk: NamedDependency[Desk], voucher_id: FromPath[UUID]) -> Page:
    """Ask why a voucher is taken back."""
    desk.offer(Permission.EDIT_RULES)
    _ = desk.gettext
    one = await queries.get_voucher(desk.session, voucher_id=voucher_id)
    title = f"{desk.either(one.name_zh, one.name_en)} •••• {one.code_tail}"
    return await desk.ask(
        _("Cancel the voucher"),
        [field("reason", _("Why"), autofocus=True)],
        submit=_("Cancel it"),
        danger=True,
        back=f"{PATH}/{voucher_id}",
        note=_("It cannot be used any more, and makes room under its kind's limit."),
        crumbs=[(_("Vouchers"), PATH), (title, f"{PATH}/{voucher_id}"), (_("Cancel"), "")],
    )


@post("/vouchers/{voucher_id:uuid}/cancel", status_code=303)
async def cancel(desk: NamedDependency[Desk], voucher_id: FromPath[UUID]) -> Page:
    """Take an unused voucher back."""
    desk.require(Permission.EDIT_RULES)
    reason = desk.form.text("reason", desk.gettext("Why"))
    desk.form.check()
    await cancel_voucher(desk.session, voucher_id=voucher_id, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{voucher_id}", desk.gettext("Cancelled"))


@get(three("/vouchers/monthly"))
async def monthly(desk: NamedDependency[Desk]) -> Any:
    """List vouchers that come every month."""
    desk.require(Permission.READ_CARDS)
    _ = desk.gettext
    edits = desk.may(Permission.EDIT_RULES)

    async def fetch(_cursor: str | None, _limit: int) -> Found[MonthlyView]:
        return await single(await list_monthly(desk.session))

    async def rows(found: Sequence[MonthlyView]) -> list[list[Cell]]:
        words = await coded(desk)
        return [
            [
                cells.link(desk, f"{MONTHLY}/{one.code}/edit", one.code) if edits else cells.text(one.code),
                cells.text(desk.either(one.name_zh, one.name_en)),
                cells.text(words.of("vouchers", one.kind_code)),
                cells.count(desk, one.pieces),
                cells.text(words.all("tiers", one.tiers) or _("everybody with a personal card")),
                cells.text(_("customer and plate") if one.plate_bound else _("customer")),
                Cell(
                    desk.tag(_("Being issued"), "good") if one.active else desk.tag(_("Stopped")),
                    _("Being issued") if one.active else _("Stopped"),
                ),
            ]
            for one in found
        ]

    return await show(
        desk,
        List(
            title=_("Vouchers"),
            listing=desk.listing(MONTHLY, "", []),
            tabs=tabs(desk, MONTHLY),
            columns=[
                Column(_("Code")),
                Column(_("What it is called")),
                Column(_("Kind")),
                Column(_("A month"), "num"),
                Column(_("For whom")),
                Column(_("Once a")),
                Column(_("State")),
            ],
            fetch=fetch,
            rows=rows,
            acts=[Act(_("New"), f"{MONTHLY}/new", primary=True) if edits else None],
            empty=_("Nothing comes every month yet"),
            empty_then=_("The monthly free wash of a tier, for instance: make its kind first."),
            name="monthly-vouchers",
        ),
    )


@get("/vouchers/monthly/new")
async def new_monthly(desk: NamedDependency[Desk]) -> Page:
    """Ask what shall come every month, and for whom."""
    return await _ask_monthly(desk, None)


@get("/vouchers/monthly/{code:str}/edit")
async def edit_monthly(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Ask what comes every month, and for whom."""
    one = next((each for each in await list_monthly(desk.session) if each.code == code), None)
    if one is None:
        raise MonthlyNotFound(code=code)
    return await _ask_monthly(desk, one)


async def _ask_monthly(desk: Desk, one: MonthlyView | None) -> Page:
    desk.offer(Permission.EDIT_RULES)
    _ = desk.gettext
    kinds = [(each.code, desk.either(each.name_zh, each.name_en)) for each in (await queries.list_kinds(desk.session, limit=200)).rows]
    title = _("Vouchers every month") if one is None else desk.either(one.name_zh, one.name_en)
    fields = [
        field("code", _("Code"), value=one.code if one else "", readonly=one is not None, autofocus=one is None, placeholder="gold-wash"),
        select("kind", _("Kind"), kinds, value=one.kind_code if one else ""),
        field("name_zh", _("Name in Chinese"), value=one.name_zh if one else ""),
        field("name_en", _("Name in English"), value=one.name_en if one else ""),
        field("pieces", _("How many a month"), value=one.pieces if one else 1, num=True),
        chips(
            "tiers",
            _("Tiers"),
            (await coded(desk)).options("tiers"),
            value=one.tiers if one else (),
            many=True,
            help=_("None chosen: everybody with a personal card."),
        ),
        field("starts_at", _("Begins"), type="datetime-local", value=local_input(desk, one.starts_at if one else desk.now)),
        field("ends_at", _("Ends"), type="datetime-local", value=local_input(desk, one.ends_at if one else None), required=False),
        check("active", _("New ones are issued"), checked=one is None or one.active),
    ]
    return await desk.ask(
        title,
        fields,
        action=MONTHLY,
        submit=_("Store"),
        back=MONTHLY,
        crumbs=[(_("Vouchers"), PATH), (_("Every month"), MONTHLY), (title, "")],
        note=_(
            "They are issued at night, once a month a customer, and of a plate-bound kind once for each plate; they end with the month."
        ),
        columns=True,
    )


@post("/vouchers/monthly", status_code=303)
async def store_monthly(desk: NamedDependency[Desk]) -> Page:
    """Make vouchers that come every month, or change them."""
    desk.require(Permission.EDIT_RULES)
    _ = desk.gettext
    form = desk.form
    code = form.text("code", _("Code"), longest=48)
    starts_at = form.instant("starts_at", _("Begins"))
    facts: dict[str, Any] = {
        "name_zh": form.text("name_zh", _("Name in Chinese"), longest=80),
        "name_en": form.text("name_en", _("Name in English"), longest=80),
        "kind": form.text("kind", _("Kind")),
        "zone": desk.zone,
        "ends_at": form.instant("ends_at", _("Ends"), required=False),
        "pieces": form.whole("pieces", _("How many a month"), low=1, high=31) or 1,
        "tiers": tuple(form.many("tiers")),
        "active": form.flag("active"),
    }
    form.check()
    assert starts_at is not None
    await put_monthly(desk.session, code=code, facts=MonthlyFacts(starts_at=starts_at, **facts), actor=desk.actor, now=desk.now)
    return await desk.done(MONTHLY, _("Stored"))


handlers = [
    kinds,
    find,
    new_kind,
    edit_kind,
    store_kind,
    voucher,
    ask_cancel,
    cancel,
    monthly,
    new_monthly,
    edit_monthly,
    store_monthly,
]
