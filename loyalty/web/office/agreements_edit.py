"""An agreement's form: its prices row by row, and beside them what a fill of 100 units would cost; it works without JavaScript."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.customers import queries as customers
from loyalty.customers.model import CustomerKind, CustomerStatus
from loyalty.customers.queries import CustomerFilter, CustomerView
from loyalty.identity.rules import Permission
from loyalty.money import minor_digits
from loyalty.paging import Page as Found
from loyalty.pricing.agreements import Kind, Line
from loyalty.pricing.operations import agreements as operations
from loyalty.pricing.operations.agreements import AgreementNotADraft, NewAgreement
from loyalty.pricing.queries import agreements as queries
from loyalty.pricing.queries.agreements import AgreementState, AgreementView
from loyalty.stations.model import ProductCategory
from loyalty.stations.queries import list_products
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.agreements import KIND, PATH, funder_name, price_rows
from loyalty.web.office.desk import Desk, Page, new_key
from loyalty.web.office.lists import List, show
from loyalty.web.office.lookups import check, field, local_input, select
from loyalty.web.office.parts import Cell, Field, Rows
from loyalty.web.office.rules_typed import Typed, price
from loyalty.web.rendering import render, wants_fragment

ROWS_MAX: Final = 60
_BLANK: Final = 1
_MORE: Final = 5
_HEAD_OFFICE: Final = "head-office"


@get("/agreements/new")
async def new_agreement(desk: NamedDependency[Desk]) -> Page:
    """Show an empty agreement of a company, or the next revision of another; without a company, ask for it."""
    desk.offer(Permission.EDIT_RULES)
    like, company = desk.query.maybe_uuid("like"), desk.query.maybe_uuid("customer")
    if like is not None:
        one = await queries.get_agreement(desk.session, agreement_id=like)
        # A revision begins where nothing has been sold under it yet.
        typed = _typed(desk, one) | {"starts_at": [local_input(desk, desk.now)], "after": [str(await _latest(desk, one.code))]}
        return await _shown(desk, typed, one.customer_id)
    if company is None:
        return await _companies(desk)  # type: ignore[no-any-return]
    found = await customers.get_customer(desk.session, customer_id=company)
    currencies = await _currencies(desk)
    typed = {
        "name_zh": [f"{found.name}协议价"],
        "name_en": [f"Prices of {found.short_name or found.name}"],
        "currency": currencies[:1],
        "funder": [_HEAD_OFFICE],
        "starts_at": [local_input(desk, desk.now)],
        "line-0-kind": [Kind.DISCOUNT.value],
        "after": ["0"],
    }
    return await _shown(desk, typed, company)


async def _latest(desk: Desk, code: str) -> int:
    return (await queries.revisions_of(desk.session, code=code))[0].revision


async def _companies(desk: Desk) -> Any:
    """Let a company be chosen."""
    _ = desk.gettext
    listing = desk.listing(f"{PATH}/new", "name", ["text"])

    async def fetch(cursor: str | None, limit: int) -> Found[CustomerView]:
        by = CustomerFilter(kind=CustomerKind.ORGANISATION, name=listing.filters["text"], statuses=(CustomerStatus.ACTIVE,))
        return await customers.list_customers(desk.session, by=by, cursor=cursor, limit=limit)

    async def rows(found: Sequence[CustomerView]) -> list[list[Cell]]:
        return [
            [
                cells.link(desk, f"{PATH}/new?customer={one.customer_id}", one.name),
                cells.text(one.segment),
                cells.day(desk, one.created_at.date()),
            ]
            for one in found
        ]

    return await show(
        desk,
        List(
            title=_("Which company?"),
            crumbs=[(_("Agreements"), PATH), (_("New"), "")],
            listing=listing,
            columns=[Column(_("Company")), Column(_("Segment")), Column(_("Customer since"))],
            fetch=fetch,
            rows=rows,
            filters=[field("text", _("Find"), value=listing.filters["text"], required=False, key="F1", autofocus=True)],
            empty=_("Nobody found"),
            empty_then=_("An organisation is entered under Customers first."),
            name="companies",
        ),
    )


@get("/agreements/{agreement_id:uuid}/edit")
async def edit_agreement(desk: NamedDependency[Desk], agreement_id: FromPath[UUID]) -> Page:
    """Show a draft, to be changed."""
    desk.offer(Permission.EDIT_RULES)
    one = await _draft(desk, agreement_id)
    return await _shown(desk, _typed(desk, one), one.customer_id, one)


@post("/agreements/new", status_code=303)
async def make_agreement(desk: NamedDependency[Desk]) -> Any:
    """Draft it; or show the form again, with more rows, or with what is wrong."""
    desk.require(Permission.EDIT_RULES)
    customer_id = desk.form.maybe_uuid("customer")
    wanted = await _read(desk, customer_id)
    if wanted is None or customer_id is None:
        return await _shown(desk, desk.form.typed(), customer_id, status_code=200 if desk.form.raw("show") else 422)
    made = await operations.draft_agreement(
        desk.session, agreement=wanted, after=desk.form.maybe_whole("after"), actor=desk.actor, now=desk.now
    )
    return await desk.done(f"{PATH}/{made}", desk.gettext("Saved. It changes nothing at the pump before it is approved."))


@post("/agreements/{agreement_id:uuid}/edit", status_code=303)
async def change_agreement(desk: NamedDependency[Desk], agreement_id: FromPath[UUID]) -> Any:
    """Change the draft; or show the form again."""
    desk.require(Permission.EDIT_RULES)
    one = await _draft(desk, agreement_id)
    wanted = await _read(desk, one.customer_id)
    if wanted is None:
        return await _shown(desk, desk.form.typed(), one.customer_id, one, status_code=200 if desk.form.raw("show") else 422)
    await operations.change_agreement(
        desk.session, agreement_id=agreement_id, agreement=wanted._replace(code=one.code), actor=desk.actor, now=desk.now
    )
    return await desk.done(f"{PATH}/{agreement_id}", desk.gettext("Saved. It changes nothing at the pump before it is approved."))


@post("/agreements/examples", status_code=200)
async def example(desk: NamedDependency[Desk]) -> Page:
    """Say what 100 units would cost under the rows as they stand in the form, saved or not."""
    desk.offer(Permission.EDIT_RULES)
    shown = await _examples(desk, desk.form.typed())
    return render(desk.request, "office/agreement_examples.html", zone=desk.zone, now=desk.now, shown=shown, csrf=desk.token)


async def _draft(desk: Desk, agreement_id: UUID) -> AgreementView:
    one = await queries.get_agreement(desk.session, agreement_id=agreement_id)
    if one.state(desk.now) is not AgreementState.DRAFT:
        raise AgreementNotADraft
    return one


async def _currencies(desk: Desk) -> list[str]:
    """Return what the stations sell in, the most usual first."""
    sold = [one.currency for one in (await lookups.places(desk)).stations.values()]
    return sorted(set(sold), key=lambda currency: (-sold.count(currency), currency)) or ["CNY"]


async def _read(desk: Desk, customer_id: UUID | None) -> NewAgreement | None:
    """Read the form; None where it is to be shown again."""
    if desk.form.raw("show"):
        return None
    _ = desk.gettext
    form = desk.form
    starts_at, ends_at = form.instant("starts_at", _("From")), form.instant("ends_at", _("To"), required=False)
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        form.fault("ends_at", _("To"), _("is before the beginning"))
    facts = {
        "code": form.text("code", _("Code"), longest=48),
        "name_zh": form.text("name_zh", _("Chinese name"), longest=80),
        "name_en": form.text("name_en", _("English name"), longest=80),
        "currency": form.text("currency", _("Currency"), longest=3),
        "funder": form.text("funder", _("Who bears it"), longest=64),
    }
    if facts["code"] and not operations.CODE.fullmatch(facts["code"]):
        form.fault("code", _("Code"), _("takes lower-case letters, digits, point, dash and underscore"))
    lines = _read_lines(desk)
    if form.faults or customer_id is None or starts_at is None:
        return None
    return NewAgreement(
        customer_id=customer_id, lines=lines, lowest_wins=form.flag("lowest_wins"), starts_at=starts_at, ends_at=ends_at, **facts
    )


def _read_lines(desk: Desk) -> list[Line]:
    _ = desk.gettext
    form = desk.form
    lines: dict[tuple[str | None, UUID | None], Line] = {}
    for index in _filled(form.typed()):
        name = f"line-{index}-value"
        value = form.price(name, _("Per unit"))
        kind = form.choice(f"line-{index}-kind", _("What"), Kind, Kind.PRICE)
        station = form.uuid(f"line-{index}-station", _("Station"), required=False)
        product = form.raw(f"line-{index}-product") or None
        if (product, station) in lines:
            form.fault(name, _("Per unit"), _("The same goods stand in another row."))
        if value is not None:
            lines[product, station] = Line(kind=kind, value_e4=value, product=product, station=station)
    if not lines and not form.faults:
        form.fault("line-0-value", _("Per unit"), _("is needed"))
    return list(lines.values())


def _filled(typed: Mapping[str, Sequence[str]]) -> list[int]:
    """Return the rows in which something is chosen or typed."""
    parts = ("value", "station", "product")
    return [index for index in range(ROWS_MAX) if any((typed.get(f"line-{index}-{part}") or [""])[-1].strip() for part in parts)]


def _typed(desk: Desk, one: AgreementView) -> Typed:
    """Return an agreement as its form shows it."""
    typed: Typed = {name: [str(getattr(one, name))] for name in ("code", "name_zh", "name_en", "currency", "funder")}
    typed |= {"starts_at": [local_input(desk, one.starts_at)], "ends_at": [local_input(desk, one.ends_at)]}
    if one.lowest_wins:
        typed["lowest_wins"] = ["1"]
    for index, line in enumerate(one.lines):
        station = "" if line.station is None else str(line.station)
        row = {"kind": line.kind.value, "value": price(line.value_e4), "product": line.product or "", "station": station}
        typed |= {f"line-{index}-{name}": [value] for name, value in row.items()}
    return typed


async def _examples(desk: Desk, typed: Typed) -> Rows | str:
    """Return the examples of what can be read of the rows; a sentence where nothing can."""
    form = type(desk.form)(typed, desk.words, desk.zone)
    currency = form.raw("currency")
    try:
        minor_digits(currency)
    except KeyError:
        return desk.gettext("is not one of the choices")
    lines = []
    for index in _filled(typed):
        value, kind = form.price(f"line-{index}-value", ""), form.maybe(f"line-{index}-kind", Kind)
        if value is not None and kind is not None:
            station, product = form.maybe_uuid(f"line-{index}-station"), form.raw(f"line-{index}-product") or None
            lines.append(Line(kind=kind, value_e4=value, product=product, station=station))
    if not lines:
        return desk.gettext("Type a price: what 100 litres cost under it stands here.")
    return await price_rows(desk, lines, currency)


async def _fields(desk: Desk, typed: Typed, one: AgreementView | None) -> list[Field]:
    _ = desk.gettext
    faults = _faults(desk)

    def value(name: str) -> str:
        return (typed.get(name) or [""])[-1]

    def line(name: str, label: str, **more: Any) -> Field:
        return field(name, label, value=value(name), fault=faults.get(name, ""), **more)

    is_next = one is not None or value("after") not in {"", "0"}
    funders = dict.fromkeys([_HEAD_OFFICE, "station", value("funder") or _HEAD_OFFICE])
    return [
        line("name_zh", _("Chinese name")),
        line("name_en", _("English name")),
        line(
            "code",
            _("Code"),
            readonly=is_next,
            placeholder="shunda-2026",
            help="" if is_next else _("Names the agreement for ever: lower case, digits, dash."),
        ),
        select("currency", _("Currency"), [(code, code) for code in await _currencies(desk)], value=value("currency")),
        line("starts_at", _("From"), type="datetime-local", help=_("The office's time.")),
        line("ends_at", _("To"), type="datetime-local", required=False, help=_("Empty: until its next revision.")),
        select(
            "funder",
            _("Who bears it"),
            [(code, funder_name(desk, code)) for code in funders],
            value=value("funder"),
            help=_("Whoever pays what the company saves. A surcharge is kept by the issuer, not by the station."),
        ),
        check(
            "lowest_wins",
            _("Lowest wins"),
            checked=bool(value("lowest_wins")),
            note=_("The company pays the lower of agreement and rules; else the agreement alone."),
        ),
    ]


async def _rows(desk: Desk, typed: Typed) -> list[tuple[list[Field], str]]:
    """Return the rows of prices: those that are filled, one more, and five when more were asked for."""
    _ = desk.gettext
    faults = _faults(desk)
    stations = (await lookups.places(desk)).options()
    products = [
        (one.code, lookups.product_name(desk, one.code, one.name_zh, one.name_en))
        for one in (await list_products(desk.session, limit=200)).rows
        if one.category is ProductCategory.FUEL
    ]
    kinds = [(kind.value, _(label)) for kind, label in KIND.items()]
    sign = desk.f.sign_of((typed.get("currency") or ["CNY"])[-1] or "CNY")
    filled = _filled(typed)
    more = _MORE if (typed.get("show") or [""])[-1] == "rows" else 0
    rows = []
    for index in range(min((filled[-1] + 1 if filled else 0) + _BLANK + more, ROWS_MAX)):
        name = f"line-{index}-"

        def value(part: str, name: str = name) -> str:
            return (typed.get(name + part) or [""])[-1]

        fault = "; ".join(said for each, said in faults.items() if each.startswith(name))
        fields = [
            select(f"{name}product", _("Fuel"), products, value=value("product"), blank=_("All fuels"), required=False),
            select(f"{name}station", _("Station"), stations, value=value("station"), blank=_("All stations"), required=False),
            select(f"{name}kind", _("What"), kinds, value=value("kind") or Kind.DISCOUNT.value, required=False),
            field(f"{name}value", _("Per unit"), value=value("value"), required=False, num=True, before=sign, fault=fault),
        ]
        rows.append((fields, fault))
    return rows


def _faults(desk: Desk) -> dict[str, str]:
    return {} if desk.form.raw("show") else {name: said for name, _label, said in desk.form.faults}


async def _shown(desk: Desk, typed: Typed, customer_id: UUID | None, one: AgreementView | None = None, *, status_code: int = 200) -> Page:
    """Draw the form as it was left, with what is wrong beside each field."""
    _ = desk.gettext
    if customer_id is None:
        return await _companies(desk)  # type: ignore[no-any-return]
    company = await customers.get_customer(desk.session, customer_id=customer_id)
    values: dict[str, Any] = {
        "action": f"{PATH}/{one.agreement_id}/edit" if one else f"{PATH}/new",
        "once": new_key(),
        "carried": {"customer": str(customer_id), "after": (typed.get("after") or ["0"])[-1]},
        "fields": await _fields(desk, typed, one),
        "lines": await _rows(desk, typed),
        "shown": await _examples(desk, typed),
        "faults": _faults(desk),
        "back": f"{PATH}/{one.agreement_id}" if one else PATH,
    }
    if wants_fragment(desk.request):
        return render(
            desk.request, "office/agreement_form.html", status_code=status_code, zone=desk.zone, now=desk.now, csrf=desk.token, **values
        )
    title = desk.either(one.name_zh, one.name_en) if one else _("New agreement")
    crumbs = [(_("Agreements"), PATH), (company.name, f"/office/customers/{customer_id}"), (title, "")]
    return await desk.page(title, sub=company.name, crumbs=crumbs, status_code=status_code, template="office/agreement_edit.html", **values)


handlers = [new_agreement, make_agreement, edit_agreement, change_agreement, example]
