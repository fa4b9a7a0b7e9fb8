"""A statement as files: read here, made by what is returned, which a thread may do while others are served."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from loyalty.statements.queries.companies import Whose, by_driver, by_vehicle, moves_between
from loyalty.statements.queries.lines import Line, all_lines
from loyalty.web.exports import Cell as Exported
from loyalty.web.exports import Money, workbook
from loyalty.web.fleet.statement_tables import (
    Stated,
    figure_cells,
    figure_columns,
    grade_rows,
    line_columns,
    line_row,
    money_pairs,
    whose_columns,
    whose_row,
)
from loyalty.web.fleet.voice import FleetVoice
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.labels import TRANSFER_KIND
from loyalty.web.office.parts import Cell
from loyalty.web.pdf import typst_pdf

PDF_LINES: Final = 2_000
"""A longer list is read in a spreadsheet, not on paper: some fifty pages."""
XLSX_LINES: Final = 100_000
_MOVES: Final = 50_000

Make = Callable[[], bytes]


async def statement_xlsx(fleet: FleetVoice, statement: Stated) -> Make:
    """Read a statement's sheets: summary, by vehicle, by driver, fills, and, of the company, top-ups and allocations."""
    _ = fleet.gettext
    vehicles, drivers, lines, whole = await _read(fleet, statement, XLSX_LINES)
    sheets: list[tuple[str, Sequence[str], list[list[Exported]]]] = [
        (_("Summary"), [_("Name"), _("Value")], _summary(fleet, statement)),
        _sheet(_("By product"), [Column(_("Product")), *figure_columns(fleet)], grade_rows(fleet, statement)),
        _sheet(
            _("By vehicle"),
            whose_columns(fleet, _("Vehicle"), driven=True),
            [whose_row(fleet, one, _named(fleet, one), driven=True) for one in vehicles],
        ),
        _sheet(
            _("By driver"),
            whose_columns(fleet, _("Driver"), driven=False),
            [whose_row(fleet, one, _named(fleet, one), driven=False) for one in drivers],
        ),
    ]
    fills = _sheet(_("Fuel records"), line_columns(fleet), [_line(fleet, statement, one) for one in lines])
    if not whole:
        fills[2].append([_("The list goes on; narrow the filter.")])
    sheets.append(fills)
    if statement.part.is_whole:
        sheets.append(await _moves(fleet, statement))
    return partial(workbook, sheets, zone=fleet.zone)


async def statement_pdf(fleet: FleetVoice, statement: Stated) -> Make:
    """Read a statement's A4 document: totals, grades, vehicles, then the lines."""
    _ = fleet.gettext
    vehicles, _drivers, lines, whole = await _read(fleet, statement, PDF_LINES)
    figures = statement.totals.figures
    facts = [[name, fleet.f.money(amount, fleet.company.currency)] for name, amount in money_pairs(fleet, statement.totals)]
    facts += [[name.label, str(cell.show)] for name, cell in zip(figure_columns(fleet), figure_cells(fleet, figures), strict=True)]
    total = [_("Total"), *(str(cell.show) for cell in figure_cells(fleet, figures))]
    tables = [
        _table(_("By product"), [Column(_("Product")), *figure_columns(fleet)], grade_rows(fleet, statement), total),
        _table(
            _("By vehicle"),
            whose_columns(fleet, _("Vehicle"), driven=True),
            [whose_row(fleet, one, _named(fleet, one), driven=True) for one in vehicles[:PDF_LINES]],
            [*total, "", ""],
        ),
        _table(_("Fuel records"), line_columns(fleet), [_line(fleet, statement, one) for one in lines], []),
    ]
    notes = [_("Times are those of the station. A refund has negative figures and stands in the period it was booked in.")]
    if not whole:
        notes.append(_("The first %(count)s lines; the spreadsheet has all.", count=fleet.f.count(PDF_LINES)))
    words = {
        "title": _("Statement"),
        "subtitle": f"{statement.name} · {fleet.days(*statement.period.span)} · {_state(fleet, statement)}",
        "issuer": fleet.company.name,
        "page_words": _("Page {page} of {pages}"),
        "footer": f"{statement.name} · {fleet.days(*statement.period.span)}",
        "facts": facts,
        "tables": tables,
        "notes": notes,
    }
    return partial(typst_pdf, "statement", words)


async def _read(fleet: FleetVoice, statement: Stated, most: int) -> tuple[list[Whose], list[Whose], list[Line], bool]:
    period, part = statement.period, statement.part
    vehicles = await by_vehicle(fleet.session, part=part, begin=period.begins_at, end=period.ends_at)
    drivers = await by_driver(fleet.session, part=part, begin=period.begins_at, end=period.ends_at)
    lines, whole = await all_lines(fleet.session, part=part, begin=period.begins_at, end=period.ends_at, most=most)
    return vehicles, drivers, lines, whole


def _state(fleet: FleetVoice, statement: Stated) -> str:
    _ = fleet.gettext
    if statement.period.closed_at is None:
        return _("running, as of %(now)s", now=fleet.f.instant(fleet.now))
    return _("closed %(at)s", at=fleet.f.instant(statement.period.closed_at))


def _summary(fleet: FleetVoice, statement: Stated) -> list[list[Exported]]:
    _, currency = fleet.gettext, fleet.company.currency
    rows: list[list[Exported]] = [
        [_("Company"), fleet.company.name],
        [_("Statement of"), statement.name],
        [_("Billing period"), fleet.days(*statement.period.span)],
        [_("State"), _state(fleet, statement)],
    ]
    rows += [[name, Money(amount, currency)] for name, amount in money_pairs(fleet, statement.totals)]
    sums = zip(figure_columns(fleet), figure_cells(fleet, statement.totals.figures), strict=True)
    rows += [[column.label, cell.export] for column, cell in sums]
    rows.append([_("Refunds taken off"), statement.totals.refunds])
    return rows


async def _moves(fleet: FleetVoice, statement: Stated) -> tuple[str, list[str], list[list[Exported]]]:
    _, period = fleet.gettext, statement.period
    found = await moves_between(
        fleet.session, account_id=statement.part.account_id, begin=period.begins_at, end=period.ends_at, most=_MOVES
    )
    ways = {True: _("Into the account"), False: _("Out of the account"), None: _("Within the company")}
    rows: list[list[Exported]] = [
        [
            one.booked_at,
            _(TRANSFER_KIND[one.kind][0]),
            ways[one.into],
            f"•••• {one.card_tail}" if one.card_tail else "",
            Money(one.amount_minor, fleet.company.currency),
        ]
        for one in found
    ]
    return _("Top-ups and allocations"), [_("When"), _("Kind"), _("Direction"), _("Card"), _("Amount")], rows


def _named(fleet: FleetVoice, one: Whose) -> Cell:
    return cells.text(one.name or fleet.gettext("Without one"))


def _line(fleet: FleetVoice, statement: Stated, line: Line) -> list[Cell]:
    return line_row(fleet, statement, line, plate=cells.text(line.plate), driver=cells.text(line.driver))


def _sheet(title: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> tuple[str, list[str], list[list[Exported]]]:
    return title, [column.label for column in columns], [[cell.export for cell in row] for row in rows]


def _table(title: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], totals: Sequence[str]) -> dict[str, Any]:
    return {
        "title": title,
        "columns": [{"label": column.label, "kind": column.kind} for column in columns],
        "rows": [[_plain(cell) for cell in row] for row in rows],
        "totals": list(totals),
    }


def _plain(cell: Cell) -> str:
    """Return a cell as paper has it: words, no markup."""
    return cell.export if isinstance(cell.export, str) else str(cell.show)
