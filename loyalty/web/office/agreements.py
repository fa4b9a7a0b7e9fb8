"""Company agreements: who pays what where, from when; one with its prices, revisions and history; approved by another, ended."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.audit.queries import EntryFilter, list_entries
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.pricing.agreements import Kind, Line
from loyalty.pricing.operations import agreements as operations
from loyalty.pricing.queries import agreements as queries
from loyalty.pricing.queries.agreement_examples import Example, examples
from loyalty.pricing.queries.agreements import AgreementLine, AgreementState, AgreementView
from loyalty.pricing.wording import FUNDERS
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.agreements_api import may_end
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import area, field, said, select
from loyalty.web.office.parts import Act, Cell, Events, Facts, Part, Rows, Said

PATH: Final = "/office/agreements"
STATE: Final[Mapping[AgreementState, tuple[str, str]]] = {
    AgreementState.DRAFT: (N_("Draft"), "warn"),
    AgreementState.COMING: (N_("Coming"), "info"),
    AgreementState.RUNNING: (N_("Running"), "good"),
    AgreementState.OVER: (N_("Run out"), ""),
    AgreementState.ENDED: (N_("Ended"), ""),
}
KIND: Final[Mapping[Kind, str]] = {
    Kind.PRICE: N_("Price of one unit"),
    Kind.DISCOUNT: N_("Off a unit"),
    Kind.SURCHARGE: N_("On top of a unit"),
}


@get(three("/agreements"))
async def agreements(desk: NamedDependency[Desk]) -> Any:
    """List agreements by state and company."""
    desk.require(Permission.READ_CUSTOMERS)
    _ = desk.gettext
    listing = desk.listing(PATH, "", ["text", "state"])
    states = [(one.value, _(label[0])) for one, label in STATE.items()]

    async def fetch(cursor: str | None, limit: int) -> Found[AgreementLine]:
        state, text = desk.query.maybe("state", AgreementState), listing.filters["text"]
        return await queries.list_agreements(desk.session, now=desk.now, state=state, text=text, cursor=cursor, limit=limit)

    async def rows(found: Sequence[AgreementLine]) -> list[list[Cell]]:
        return [_row(desk, one) for one in found]

    return await show(
        desk,
        List(
            title=_("Agreements"),
            sub=_("A company's price, discount or surcharge per unit, by grade and station"),
            listing=listing,
            columns=[
                Column(_("Agreement")),
                Column(_("Company")),
                Column(_("From")),
                Column(_("To")),
                Column(_("State")),
                Column(_("Prices"), "num"),
                Column(_("Lowest wins")),
                Column(_("Who bears it")),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                field("text", _("Find"), value=listing.filters["text"], required=False, placeholder=_("Company or code"), key="F1"),
                select("state", _("State"), states, value=listing.filters["state"], blank=_("All"), required=False),
            ],
            acts=[Act(_("New"), f"{PATH}/new", primary=True) if desk.may(Permission.EDIT_RULES) else None],
            empty=_("No agreement fits this filter") if any(listing.filters.values()) else _("No company has an agreement yet"),
            empty_then=_("A company without one pays the pump's price, less what the rules give."),
            name="agreements",
        ),
    )


def _row(desk: Desk, one: AgreementLine) -> list[Cell]:
    _ = desk.gettext
    return [
        cells.link(desk, f"{PATH}/{one.agreement_id}", f"{desk.either(one.name_zh, one.name_en)} · {one.revision}"),
        cells.link(desk, f"/office/customers/{one.customer_id}", one.customer_name),
        cells.when(desk, one.starts_at),
        cells.when(desk, one.ends_at),
        cells.tag(desk, one.state(desk.now), STATE),
        cells.count(desk, one.line_count),
        Cell(_("Yes") if one.lowest_wins else _("No"), one.lowest_wins),
        cells.text(funder_name(desk, one.funder)),
    ]


def funder_name(desk: Desk, code: str) -> str:
    """Say who bears something."""
    return desk.either(*FUNDERS.get(code, (code, code)))


async def agreements_part(desk: Desk, customer_id: UUID) -> Rows:
    """Return a company's agreements, for its own page."""
    _ = desk.gettext
    found = await queries.agreements_of(desk.session, customer_id=customer_id)
    acts = [Act(_("New"), f"{PATH}/new?customer={customer_id}")] if desk.may(Permission.EDIT_RULES) else []
    return Rows(
        title=_("Agreements"),
        columns=[Column(_("Agreement")), Column(_("From")), Column(_("To")), Column(_("State"))],
        rows=[[cell for place, cell in enumerate(_row(desk, one)) if place in {0, 2, 3, 4}] for one in found[:20]],
        empty=_("Pays the pump's price, less what the rules give"),
        acts=acts,
        id="agreements",
    )


@get("/agreements/{agreement_id:uuid}")
async def agreement(desk: NamedDependency[Desk], agreement_id: FromPath[UUID]) -> Page:
    """Show one agreement: each price with what a fill costs under it, its revisions, what can be done, what happened."""
    desk.require(Permission.READ_CUSTOMERS)
    _ = desk.gettext
    one = await queries.get_agreement(desk.session, agreement_id=agreement_id)
    state = one.state(desk.now)
    base = f"{PATH}/{agreement_id}"
    edits = desk.may(Permission.EDIT_RULES)
    acts: list[Act | None] = []
    if edits:
        is_draft = state is AgreementState.DRAFT
        acts.append(Act(_("Edit"), f"{base}/edit") if is_draft else Act(_("Draft its next revision"), f"{PATH}/new?like={agreement_id}"))
    revisions = await queries.revisions_of(desk.session, code=one.code)
    return await desk.page(
        desk.either(one.name_zh, one.name_en),
        sub=desk.link(f"/office/customers/{one.customer_id}", one.customer_name),
        crumbs=[(_("Agreements"), PATH), (f"{one.code} · {one.revision}", "")],
        tags=[cells.tag(desk, state, STATE).show],
        acts=acts,
        main=[await price_rows(desk, one.lines, one.currency), _revisions(desk, revisions, agreement_id)],
        aside=[*_approval(desk, one, base), _facts(desk, one), await _history(desk, agreement_id), *_ending(desk, one, base)],
    )


def line_words(desk: Desk, line: Line, places: Mapping[UUID, str], products: Mapping[str, str]) -> str:
    """Say for what a line is."""
    _ = desk.gettext
    product = _("all fuels") if line.product is None else products.get(line.product, line.product)
    station = _("all stations") if line.station is None else places.get(line.station, str(line.station)[:8])
    return f"{product} · {station}"


async def price_rows(desk: Desk, lines: Sequence[Line], currency: str) -> Rows:
    """Return the lines, each with what a fill of 100 units costs at the pump and under it."""
    _ = desk.gettext
    names = (await lookups.places(desk)).names
    products = await lookups.products_by_code(desk)
    shown = await examples(desk.session, lines=lines, currency=currency, now=desk.now)
    return Rows(
        title=_("Prices"),
        note=_("the most closely named one counts, the station first"),
        columns=[
            Column(_("Goods and place")),
            Column(_("What")),
            Column(_("Per unit"), "num"),
            Column(_("100 units at the pump"), "num"),
            Column(_("The company pays"), "num"),
            Column(_("Difference"), "num"),
            Column(_("Shown at")),
        ],
        rows=[
            [
                cells.text(line_words(desk, line, names, products)),
                cells.text(_(KIND[line.kind])),
                Cell(desk.f.unit_price(line.value_e4, currency, None), line.value_e4),
                *_example_cells(desk, example, currency),
            ]
            for line, example in zip(lines, shown, strict=True)
        ],
        empty=_("No price is agreed yet"),
        id="prices",
    )


def _example_cells(desk: Desk, example: Example | None, currency: str) -> list[Cell]:
    if example is None:
        return [cells.money(desk, None, currency)] * 3 + [cells.text(desk.gettext("sold nowhere today"))]
    station = desk.either(example.station_name_zh, example.station_name_en)
    product = lookups.product_name(desk, example.product_code, example.product_name_zh, example.product_name_en)
    return [
        cells.money(desk, example.pump_minor, currency),
        cells.money(desk, example.customer_minor, currency),
        cells.money(desk, -example.difference_minor, currency, sign=True),
        cells.text(f"{station} · {product} {desk.f.unit_price(example.unit_price_e4, currency, example.unit.value)}"),
    ]


def _facts(desk: Desk, one: AgreementView) -> Facts:
    _ = desk.gettext
    lowest = _("the lower of agreement and rules") if one.lowest_wins else _("the agreement alone; rules still give points")
    return Facts(
        title=_("What is agreed"),
        pairs=[
            (_("Company"), desk.link(f"/office/customers/{one.customer_id}", one.customer_name)),
            (_("From"), desk.f.instant(one.starts_at)),
            (_("To"), "—" if one.ends_at is None else desk.f.instant(one.ends_at)),
            (_("The company pays"), lowest),
            (_("Who bears it"), funder_name(desk, one.funder)),
            (_("Currency"), one.currency),
            (_("Code"), f"{one.code} · {one.revision}"),
            (_("Made by"), f"{one.made_by_name or '—'}, {desk.f.when(one.made_at)}"),
            (_("Approved by"), f"{one.approved_by_name or '—'}, {desk.f.when(one.approved_at)}" if one.approved_at else "—"),
        ],
        note="",
    )


def _approval(desk: Desk, one: AgreementView, base: str) -> list[Part]:
    _ = desk.gettext
    if one.state(desk.now) is not AgreementState.DRAFT:
        return []
    if not desk.may(Permission.APPROVE_RULES) or one.made_by == desk.principal.staff_id:
        then = _("Somebody else who may approve rules decides; until then nothing is priced by it.")
        return [Said(title=_("Waits for approval"), then=then, tone="warn")]
    begins = _("Its beginning is past: it counts from the approval on.") if one.starts_at <= desk.now else ""
    words = _("From its beginning on the company pays these prices; the revision before ends there.")
    return [desk.form_part(_("Approve"), f"{base}/approve", [said(f"{words} {begins}".strip())], submit=_("Approve this agreement"))]


def _ending(desk: Desk, one: AgreementView, base: str) -> list[Part]:
    _ = desk.gettext
    state = one.state(desk.now)
    if state in {AgreementState.ENDED, AgreementState.OVER} or not desk.may(may_end(one)):
        return []
    is_draft = state is AgreementState.DRAFT
    return [
        desk.form_part(
            _("Give it up") if is_draft else _("End it now"),
            f"{base}/end",
            [area("reason", _("Reason"), rows=2)],
            submit=_("Discard this draft") if is_draft else _("End this agreement"),
            danger=True,
            primary=False,
        )
    ]


def _revisions(desk: Desk, found: Sequence[AgreementLine], here: UUID) -> Rows:
    _ = desk.gettext
    return Rows(
        title=_("Revisions"),
        columns=[
            Column(_("Revision")),
            Column(_("From")),
            Column(_("To")),
            Column(_("State")),
            Column(_("Made by")),
            Column(_("Approved by")),
        ],
        rows=[
            [
                cells.text(str(one.revision))
                if one.agreement_id == here
                else cells.link(desk, f"{PATH}/{one.agreement_id}", str(one.revision)),
                cells.when(desk, one.starts_at),
                cells.when(desk, one.ends_at),
                cells.tag(desk, one.state(desk.now), STATE),
                cells.text(one.made_by_name),
                cells.text(one.approved_by_name),
            ]
            for one in found
        ],
        empty="—",
    )


async def _history(desk: Desk, agreement_id: UUID) -> Events:
    _ = desk.gettext
    wanted = EntryFilter(subject_kind="agreement", subject_id=agreement_id)
    found = (await list_entries(desk.session, wanted=wanted, limit=20)).rows
    names = await lookups.people(desk, [UUID(one.actor_id) for one in found if one.actor_kind.value == "staff"])
    return Events(
        title=_("History"),
        events=[
            lookups.happening(
                desk,
                one.at,
                lookups.action_words(desk, one.action),
                [lookups.actor_name(desk, (one.actor_kind, one.actor_id), names), str((one.facts or {}).get("reason", ""))],
            )
            for one in found
        ],
        empty=_("Nothing yet"),
    )


@post("/agreements/{agreement_id:uuid}/approve", status_code=303)
async def approve(desk: NamedDependency[Desk], agreement_id: FromPath[UUID]) -> Page:
    """Let it stand."""
    desk.require(Permission.APPROVE_RULES)
    await operations.approve_agreement(desk.session, agreement_id=agreement_id, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{agreement_id}", desk.gettext("Approved"))


@post("/agreements/{agreement_id:uuid}/end", status_code=303)
async def end(desk: NamedDependency[Desk], agreement_id: FromPath[UUID]) -> Page:
    """End it, or give the draft up; what was sold under it stays."""
    one = await queries.get_agreement(desk.session, agreement_id=agreement_id)
    desk.require(may_end(one))
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await operations.end_agreement(desk.session, agreement_id=agreement_id, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{agreement_id}", desk.gettext("Ended"))


handlers = [agreements, agreement, approve, end]
