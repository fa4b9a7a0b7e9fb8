"""Terms: card products with spend order, fees and offline profile."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.cards import operations, queries
from loyalty.cards.model import CardProduct, ProductKind
from loyalty.cards.rules import NO_OFFLINE, OfflineProfile
from loyalty.identity.rules import Permission
from loyalty.ledger.rules import DEFAULT_ORDER, SpendStep
from loyalty.limits.model import LimitKind, Window
from loyalty.paging import Page as Found
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import LIMIT_KIND, PRODUCT_KIND, SPEND_STEP, WINDOW
from loyalty.web.office.lists import List, show, single, three
from loyalty.web.office.lookups import check, chips, field, heading
from loyalty.web.office.parts import Act, Cell, Facts, Field, Rows

PRODUCTS = "/office/card-products"


@get(three("/card-products"))
async def products(desk: NamedDependency[Desk]) -> Any:
    """List the card products."""
    desk.require(Permission.READ_CARDS)
    _ = desk.gettext

    async def fetch(_cursor: str | None, _limit: int) -> Found[CardProduct]:
        return await single(await queries.list_products(desk.session))

    async def rows(found: Sequence[CardProduct]) -> list[list[Cell]]:
        return [
            [
                cells.text(one.code),
                cells.link(desk, f"{PRODUCTS}/{one.product_id}", desk.either(one.name_zh, one.name_en)),
                cells.tag(desk, one.kind, PRODUCT_KIND),
                cells.text(one.currency),
                cells.money(desk, one.issue_fee_minor, one.currency),
                cells.money(desk, one.replacement_fee_minor, one.currency),
                Cell(_("yes") if one.offline_allowed else _("no"), one.offline_allowed),
                Cell(desk.tag(_("Issued"), "good") if one.active else desk.tag(_("No longer issued")), one.active),
            ]
            for one in found
        ]

    return await show(
        desk,
        List(
            title=_("Card products"),
            listing=desk.listing(PRODUCTS, "", []),
            columns=[
                Column(_("Code")),
                Column(_("Card product")),
                Column(_("Kind")),
                Column(_("Currency")),
                Column(_("Issue fee"), "num"),
                Column(_("Replacement fee"), "num"),
                Column(_("Offline")),
                Column(_("State")),
            ],
            fetch=fetch,
            rows=rows,
            acts=[Act(_("New product"), f"{PRODUCTS}/new", primary=True) if desk.may(Permission.EDIT_CARD_PRODUCTS) else None],
            empty=_("No card product yet"),
            empty_then=_("Make one: its terms decide what cards may do."),
            name="card-products",
        ),
    )


@get("/card-products/{product_id:uuid}")
async def product(desk: NamedDependency[Desk], product_id: FromPath[UUID]) -> Page:
    """Show one product's terms."""
    desk.require(Permission.READ_CARDS)
    _ = desk.gettext
    one = await queries.get_product(desk.session, product_id=product_id)
    name = desk.either(one.name_zh, one.name_en)
    money = desk.f.money
    order = " → ".join(_(SPEND_STEP[SpendStep(step)]) for step in one.spend_order)
    fuels = _("all") if one.fuel_kinds is None else ", ".join(one.fuel_kinds) or _("none")
    shops = _("all") if one.shop_categories is None else ", ".join(one.shop_categories) or _("none")
    validity = _("%(months)s months", months=one.media_validity_months) if one.media_validity_months else _("does not expire")
    terms = Facts(
        title=_("Terms"),
        pairs=[
            (_("Kind"), _(PRODUCT_KIND[one.kind][0])),
            (_("Currency"), one.currency),
            (_("Spend order"), order),
            (_("PIN"), _("needed") if one.pin_required else _("not needed")),
            (_("Fuels"), fuels),
            (_("Shop categories"), shops),
            (_("Media"), validity),
            (_("Numbers"), f"{one.number_bin}… ({one.number_length})"),
            (_("Issue fee"), money(one.issue_fee_minor, one.currency)),
            (_("Replacement fee"), money(one.replacement_fee_minor, one.currency)),
        ],
    )
    offline = Facts(
        title=_("Offline"),
        figures=True,
        note=_("Shrinks by %(percent)s%% an hour since the last sync", percent=one.offline_shrink_percent_per_hour),
        pairs=[
            (_("Allowed"), _("yes") if one.offline_allowed else _("no")),
            (_("A fill"), f"{money(one.offline_fill_amount_minor, one.currency)} · {desk.f.quantity(one.offline_fill_quantity_milli)}"),
            (_("A day"), f"{money(one.offline_day_amount_minor, one.currency)} · {desk.f.quantity(one.offline_day_quantity_milli)}"),
            (_("Fills a day"), desk.f.count(one.offline_day_count)),
            (_("A station"), money(one.offline_station_amount_minor, one.currency)),
        ],
    )
    edits = desk.may(Permission.EDIT_CARD_PRODUCTS)
    return await desk.page(
        name,
        sub=one.code,
        crumbs=[(_("Card products"), PRODUCTS), (name, "")],
        tags=[desk.tag(_("Issued"), "good") if one.active else desk.tag(_("No longer issued"))],
        acts=[Act(_("Change the terms"), f"{PRODUCTS}/{product_id}/edit", primary=True)] if edits else [],
        main=[terms, _default_limits(desk, one)],
        aside=[offline],
    )


def _default_limits(desk: Desk, one: CardProduct) -> Rows:
    _ = desk.gettext
    rows = []
    for limit in one.default_limits.get("windows") or ():
        kind, window = LimitKind(limit["measure"]), Window(limit["window"])
        value = {LimitKind.AMOUNT: desk.f.money(limit["value"], one.currency), LimitKind.QUANTITY: desk.f.quantity(limit["value"])}.get(
            kind, desk.f.count(limit["value"])
        )
        rows.append([cells.text(f"{_(LIMIT_KIND[kind])} {_(WINDOW[window])}"), Cell(value, limit["value"])])
    return Rows(
        title=_("Limits where the card says nothing"),
        columns=[Column(_("Limit")), Column(_("At most"), "num")],
        rows=rows,
        empty=_("None"),
    )


def _product_fields(desk: Desk, one: CardProduct | None) -> list[Field]:
    _ = desk.gettext
    currency = one.currency if one else "CNY"

    def amount(value: int | None) -> str:
        return desk.f.amount(value, currency) if value else "0"

    profile = queries.offline_profile(one) if one else NO_OFFLINE
    orders = [
        (",".join(DEFAULT_ORDER), " → ".join(_(SPEND_STEP[step]) for step in DEFAULT_ORDER)),
        ("principal,bonus_expiring,bonus", " → ".join(_(SPEND_STEP[SpendStep(step)]) for step in ("principal", "bonus_expiring", "bonus"))),
    ]
    months = str(one.media_validity_months or "") if one else ""
    fixed: list[Field] = []
    if one is None:
        kinds = [(kind.value, _(label[0])) for kind, label in PRODUCT_KIND.items()]
        fixed = [
            field("code", _("Code"), autofocus=True),
            chips("kind", _("Kind"), kinds, value=ProductKind.PERSONAL.value, help=_("Kind, currency and number prefix never change.")),
            field("currency", _("Currency"), value="CNY"),
            field("bin", _("Number prefix"), help=_("Digits; at least ten random ones follow.")),
        ]
    return [
        *fixed,
        field("name_zh", _("Chinese name"), value=one.name_zh if one else ""),
        field("name_en", _("English name"), value=one.name_en if one else ""),
        chips("order", _("Spend order"), orders, value=",".join(one.spend_order) if one else orders[0][0]),
        field("issue_fee", _("Issue fee"), num=True, value=amount(one.issue_fee_minor if one else 0)),
        field("replacement_fee", _("Replacement fee"), num=True, value=amount(one.replacement_fee_minor if one else 0)),
        field("validity", _("Media good for months"), num=True, required=False, value=months, help=_("Empty: does not expire.")),
        check("pin", _("A PIN is needed"), checked=one.pin_required if one else True),
        check("active", _("Cards of it are issued"), checked=one.active if one else True),
        heading(_("Offline")),
        check("offline", _("May be used offline"), checked=profile.allowed),
        field("fill_amount", _("At most a fill"), num=True, value=amount(profile.fill_amount_minor)),
        field("fill_quantity", _("Litres a fill"), num=True, value=_milli(profile.fill_quantity_milli)),
        field("day_amount", _("At most a day"), num=True, value=amount(profile.day_amount_minor)),
        field("day_quantity", _("Litres a day"), num=True, value=_milli(profile.day_quantity_milli)),
        field("day_count", _("Fills a day"), num=True, value=str(profile.day_count)),
        field("station_amount", _("At most a station"), num=True, value=amount(profile.station_amount_minor)),
        field("shrink", _("Shrinks by percent an hour"), num=True, value=str(profile.shrink_percent_per_hour)),
    ]


def _milli(value: int) -> str:
    return str(value // 1000) if value % 1000 == 0 else f"{value // 1000}.{value % 1000:03d}"


def _read_offline(desk: Desk, currency: str) -> OfflineProfile:
    _ = desk.gettext
    form = desk.form

    def money(name: str, label: str) -> int:
        return form.money(name, label, currency, low=0) or 0

    return OfflineProfile(
        allowed=form.flag("offline"),
        fill_amount_minor=money("fill_amount", _("At most a fill")),
        fill_quantity_milli=form.quantity("fill_quantity", _("Litres a fill"), low=0) or 0,
        day_amount_minor=money("day_amount", _("At most a day")),
        day_quantity_milli=form.quantity("day_quantity", _("Litres a day"), low=0) or 0,
        day_count=form.whole("day_count", _("Fills a day"), high=1000) or 0,
        station_amount_minor=money("station_amount", _("At most a station")),
        shrink_percent_per_hour=form.whole("shrink", _("Shrinks by percent an hour"), high=100) or 0,
    )


def _read_terms(desk: Desk, currency: str) -> dict[str, Any]:
    _ = desk.gettext
    form = desk.form
    read = {
        "name_zh": form.text("name_zh", _("Chinese name"), longest=60),
        "name_en": form.text("name_en", _("English name"), longest=60),
        "pin_required": form.flag("pin"),
        "offline": _read_offline(desk, currency),
        "media_validity_months": form.whole("validity", _("Media good for months"), low=1, high=600, required=False),
        "issue_fee_minor": form.money("issue_fee", _("Issue fee"), currency, low=0) or 0,
        "replacement_fee_minor": form.money("replacement_fee", _("Replacement fee"), currency, low=0) or 0,
    }
    steps = [step for step in SpendStep if step.value in form.raw("order").split(",")]
    if len(steps) != len(SpendStep):
        form.fault("order", _("Spend order"), _("is not one of the choices"))
    else:
        read["spend_order"] = [SpendStep(step) for step in form.raw("order").split(",")]
    return read


@get("/card-products/new")
async def new_product(desk: NamedDependency[Desk]) -> Page:
    """Ask for a new product's terms."""
    desk.offer(Permission.EDIT_CARD_PRODUCTS)
    _ = desk.gettext
    crumbs = [(_("Card products"), PRODUCTS), (_("New product"), "")]
    return await desk.ask(_("New product"), _product_fields(desk, None), submit=_("Make it"), back=PRODUCTS, crumbs=crumbs, columns=True)


@post("/card-products/new", status_code=303)
async def make_product(desk: NamedDependency[Desk]) -> Page:
    """Make a card product."""
    desk.require(Permission.EDIT_CARD_PRODUCTS)
    _ = desk.gettext
    form = desk.form
    code, number_bin = form.text("code", _("Code"), longest=30), form.text("bin", _("Number prefix"), longest=8)
    kind = form.choice("kind", _("Kind"), ProductKind, ProductKind.PERSONAL)
    currency = form.text("currency", _("Currency"), longest=3).upper() or "CNY"
    terms = _read_terms(desk, currency)
    form.check()
    made = await operations.create_card_product(
        desk.session, code=code, kind=kind, currency=currency, number_bin=number_bin, policy=desk.policy, now=desk.now, **terms
    )
    return await desk.done(f"{PRODUCTS}/{made.product_id}", _("Made. Produce blank cards next."))


@get("/card-products/{product_id:uuid}/edit")
async def edit_product(desk: NamedDependency[Desk], product_id: FromPath[UUID]) -> Page:
    """Show a product's terms, to be changed."""
    desk.offer(Permission.EDIT_CARD_PRODUCTS)
    _ = desk.gettext
    one = await queries.get_product(desk.session, product_id=product_id)
    name = desk.either(one.name_zh, one.name_en)
    crumbs = [(_("Card products"), PRODUCTS), (name, f"{PRODUCTS}/{product_id}"), (_("Change"), "")]
    note = _("They hold for every card of the product from now on; what was authorised keeps its frozen terms.")
    fields, back = _product_fields(desk, one), f"{PRODUCTS}/{product_id}"
    return await desk.ask(_("Change the terms"), fields, submit=_("Save"), back=back, crumbs=crumbs, columns=True, note=note)


@post("/card-products/{product_id:uuid}/edit", status_code=303)
async def change_product(desk: NamedDependency[Desk], product_id: FromPath[UUID]) -> Page:
    """Change a product's terms."""
    desk.require(Permission.EDIT_CARD_PRODUCTS)
    one = await queries.get_product(desk.session, product_id=product_id)
    terms = _read_terms(desk, one.currency)
    desk.form.check()
    await operations.change_card_product(
        desk.session, product_id=product_id, policy=desk.policy, now=desk.now, active=desk.form.flag("active"), **terms
    )
    return await desk.done(f"{PRODUCTS}/{product_id}", desk.gettext("Saved"))


handlers = [products, product, new_product, make_product, edit_product, change_product]
