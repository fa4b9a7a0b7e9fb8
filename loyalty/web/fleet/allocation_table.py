"""What a class of vehicles gets a month, a company's terms of allocation, and amounts from a file."""

from typing import Any, Final

from litestar import get, post
from litestar.di import NamedDependency

from loyalty.fleet.allocation_rules import Rate
from loyalty.fleet.operations.allocation_sheet import apply_amounts, preview_amounts
from loyalty.fleet.operations.allocation_tables import put_rates, put_terms
from loyalty.fleet.queries.allocations import Terms, rate_rows, rates_of, terms_of
from loyalty.fleet.sheets import Report, RowState
from loyalty.identity.portal_rules import FleetPermission
from loyalty.money import minor_digits
from loyalty.web.desk import Page
from loyalty.web.fleet.allocations import PATH, span_shown, span_words
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import area, check, chips, field, file, hidden
from loyalty.web.office.parts import Cell, Part, Rows, Tile, Tiles
from loyalty.web.office.reading import scaled_number

_P: Final = FleetPermission
TABLE: Final = f"{PATH}/table"
FILE: Final = f"{PATH}/file"
STATE: Final = {
    RowState.NEW: (N_("New"), "good"),
    RowState.CHANGE: (N_("Changes"), "info"),
    RowState.SAME: (N_("As it is"), ""),
    RowState.ERROR: (N_("Wrong"), "bad"),
}


@get("/allocations/table")
async def table(fleet: NamedDependency[FleetDesk]) -> Page:
    """Show the table as it is typed, and the terms."""
    fleet.offer(_P.SETTINGS)
    _ = fleet.gettext
    rates = rate_rows(await rates_of(fleet.session, company_id=fleet.company_id))
    terms = await terms_of(fleet.session, company_id=fleet.company_id)
    lines = "\n".join(_typed(fleet, rate) for rate in rates)
    form = fleet.form_part(
        _("What each class gets a month"),
        TABLE,
        [
            area(
                "lines",
                _("Table"),
                value=lines,
                rows=max(len(rates) + 2, 6),
                required=False,
                help=_(
                    "One line a class: type, displacement from, below, litres, amount, percent of last period. Litres or amount, not both."
                ),
            )
        ],
        submit=_("Save the table"),
        note=_("For example: truck, 3.0, , , 2500, 110"),
    )
    rows = Rows(
        title=_("As it is read"),
        columns=[
            Column(_("Type")),
            Column(_("Displacement"), "num"),
            Column(_("Litres"), "num"),
            Column(_("Amount"), "num"),
            Column(_("Of last period"), "num"),
        ],
        rows=[
            [
                cells.text(rate.vehicle_type or _("any")),
                cells.text(f"{_litres(rate.from_ml)} – {'' if rate.below_ml is None else _litres(rate.below_ml)} L"),
                cells.quantity(fleet, rate.quantity_milli),
                cells.money(fleet, rate.amount_minor, fleet.company.currency),
                cells.text("" if rate.factor_percent is None else f"{rate.factor_percent} %"),
            ]
            for rate in rates
        ],
        empty=_("No line yet"),
        empty_then=_("Without a table, last period's litres are proposed again."),
    )
    own = fleet.form_part(
        _("Terms"),
        f"{TABLE}/terms",
        [
            check("standing", _("On the check day, ask for what is proposed"), checked=terms.standing),
            field("early", _("Early requests below"), value=str(terms.early_below_percent), num=True, after="%"),
        ],
        submit=_("Save the terms"),
        primary=False,
    )
    crumbs = [(_("Allocation"), PATH), (_("Table and terms"), "")]
    return await fleet.page(_("Table and terms"), crumbs=crumbs, main=[form, rows], aside=[own])


def _litres(size_ml: int) -> str:
    return f"{size_ml // 1000}.{size_ml % 1000:03d}".rstrip("0").rstrip(".")


def _typed(fleet: FleetDesk, rate: Rate) -> str:
    """Write a line as it is typed."""
    digits = minor_digits(fleet.company.currency)
    parts = [
        rate.vehicle_type,
        _litres(rate.from_ml),
        "" if rate.below_ml is None else _litres(rate.below_ml),
        "" if rate.quantity_milli is None else _litres(rate.quantity_milli),
        "" if rate.amount_minor is None else f"{rate.amount_minor // 10**digits}",
        "" if rate.factor_percent is None else str(rate.factor_percent),
    ]
    return ", ".join(parts)


@post("/allocations/table", status_code=303)
async def save_table(fleet: NamedDependency[FleetDesk]) -> Page:
    """Put the typed lines in the table's place."""
    fleet.require(_P.SETTINGS)
    _ = fleet.gettext
    digits = minor_digits(fleet.company.currency)
    rates = []
    for number, line in enumerate(fleet.form.long("lines").splitlines(), 1):
        parts = [part.strip() for part in line.replace("，", ",").split(",")]
        if not any(parts):
            continue
        kind, *said = [*parts, *[""] * 6][:6]
        places = (3, 3, 3, digits, 0)
        figures = [scaled_number(text, place) if text else None for text, place in zip(said, places, strict=True)]
        if len(parts) > 6 or any(text and figure is None for text, figure in zip(said, figures, strict=True)):
            fleet.form.fault("lines", _("Table"), _("Line %(line)s cannot be read.", line=number))
            continue
        rates.append(Rate(kind, figures[0] or 0, figures[1], figures[2], figures[3], figures[4]))
    fleet.form.check()
    await put_rates(fleet.session, company_id=fleet.company_id, rates=rates, actor=fleet.actor, now=fleet.now)
    return await fleet.done(TABLE, _("Saved"))


@post("/allocations/table/terms", status_code=303)
async def save_terms(fleet: NamedDependency[FleetDesk]) -> Page:
    """Set the terms."""
    fleet.require(_P.SETTINGS)
    early = fleet.form.whole("early", fleet.gettext("Early requests below"), high=100)
    fleet.form.check()
    assert early is not None
    terms = Terms(standing=fleet.form.flag("standing"), early_below_percent=early)
    await put_terms(fleet.session, company_id=fleet.company_id, terms=terms, actor=fleet.actor, now=fleet.now)
    return await fleet.done(TABLE, fleet.gettext("Saved"))


@get("/allocations/file")
async def ask_file(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask for a file of amounts."""
    fleet.require(_P.REQUEST_ALLOCATION)
    _ = fleet.gettext
    span = span_shown(fleet, fleet.query.raw("period"))
    return await fleet.ask(
        _("Amounts from a file"),
        [
            hidden("period", span.first.isoformat()),
            file(
                "file",
                _("File"),
                accept=".csv,.xlsx",
                help=_("CSV or Excel, with the columns plate or card (its last four digits), and amount."),
            ),
            chips("what", _("Then"), [("look", _("Only look")), ("take", _("Take the good rows"))], value="look"),
        ],
        submit=_("Read the file"),
        upload=True,
        once=False,
        back=PATH,
        sub=span_words(fleet, span),
        crumbs=[(_("Allocation"), PATH), (_("From a file"), "")],
    )


@post("/allocations/file", status_code=200)
async def take_file(fleet: NamedDependency[FleetDesk]) -> Page:
    """Judge a file's rows, and take the good ones where asked to."""
    fleet.require(_P.REQUEST_ALLOCATION)
    _ = fleet.gettext
    span = span_shown(fleet, fleet.form.raw("period"))
    _name, data = await fleet.form.file("file", _("File"), largest=10_000_000)
    fleet.form.check()
    of: dict[str, Any] = {"company_id": fleet.company_id, "span": span, "data": data, "departments": fleet.departments}
    takes = fleet.form.raw("what") == "take"
    report = (
        await apply_amounts(fleet.session, actor=fleet.actor, now=fleet.now, **of) if takes else await preview_amounts(fleet.session, **of)
    )
    return await fleet.shown(
        _("Amounts from a file"), _report(fleet, report, taken=takes), crumbs=[(_("Allocation"), PATH), (_("From a file"), "")]
    )


def _report(fleet: FleetDesk, report: Report, *, taken: bool) -> list[Part]:
    _ = fleet.gettext
    tiles = [Tile(_(words), fleet.f.count(report.count(state)), "", tone) for state, (words, tone) in STATE.items()]
    wrong_first = sorted(report.rows, key=lambda row: row.state is not RowState.ERROR)[:200]
    chinese = fleet.words.locale.startswith("zh")
    rows = Rows(
        title=_("What was taken") if taken else _("What it would do"),
        columns=[Column(_("Row"), "num"), Column(_("Card")), Column(_("State")), Column(_("Why"))],
        rows=[
            [
                Cell(str(row.number), row.number),
                cells.text(row.key),
                cells.tag(fleet, row.state, STATE),
                cells.text(" ".join(fault.zh if chinese else fault.en for fault in row.faults)),
            ]
            for row in wrong_first
        ],
        empty=_("The file has no rows"),
        note=_("The first 200, wrong ones first") if len(report.rows) > 200 else "",
    )
    return [Tiles(tiles), rows]


handlers: list[Any] = [table, save_table, save_terms, ask_file, take_file]
