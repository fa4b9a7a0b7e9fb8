"""Lists: one reading of the address gives the page, and exactly the same rows as a file."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from loyalty.paging import Page
from loyalty.web import exports
from loyalty.web.desk import PageDesk
from loyalty.web.exports import CSV_TYPE, ROWS_MAX, XLSX_TYPE
from loyalty.web.listing import Column, Listing
from loyalty.web.office.parts import Act, Cell, Field, Part, Rows
from loyalty.web.rendering import document

T = TypeVar("T")

EXPORT_PAGE = 200
EXPORT_MAX = 50_000
"""More rows than this are a report, not a list: the file then ends with a line that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class List(Generic[T]):
    """What a list page is made of: how rows are fetched by cursor, and how they are shown."""

    title: str
    listing: Listing
    columns: Sequence[Column]
    fetch: Callable[[str | None, int], Awaitable[Page[T]]]
    rows: Callable[[Sequence[T]], Awaitable[list[list[Cell]]]]
    empty: str
    empty_then: str = ""
    marks: Callable[[Sequence[T]], dict[int, str]] | None = None
    filters: Sequence[Field] = ()
    acts: Sequence[Act | None] = ()
    crumbs: Sequence[tuple[str, str]] = ()
    tabs: Sequence[tuple[str, str, bool, int]] = ()
    sub: Any = ""
    top: Sequence[Part] = ()
    below: Sequence[Part] = ()
    totals: Callable[[Sequence[T]], list[Cell]] | None = None
    name: str = field(default="list")
    """The file's name, ASCII."""


async def show(desk: PageDesk, wanted: List[Any]) -> Any:
    """Draw the list, or send it as the file that the address's ending asks for."""
    path = desk.request.url.path
    if path.endswith((".xlsx", ".csv")):
        return await _file(desk, wanted, path.rpartition(".")[2])
    found = await wanted.fetch(desk.cursor, 50)
    rows = await wanted.rows(found.rows)
    part = Rows(
        title="",
        columns=wanted.columns,
        rows=rows,
        empty=wanted.empty,
        empty_then=wanted.empty_then,
        listing=wanted.listing,
        next=wanted.listing.page_href(found.next),
        previous=wanted.listing.page_href(found.previous),
        marks=wanted.marks(found.rows) if wanted.marks else {},
        totals=wanted.totals(found.rows) if wanted.totals and rows else None,
        exports=True,
        pager=bool(rows) or bool(desk.cursor),
    )
    return await desk.page(
        wanted.title,
        sub=wanted.sub,
        crumbs=wanted.crumbs,
        acts=wanted.acts,
        tabs=wanted.tabs,
        top=wanted.top,
        main=[part, *wanted.below],
        template="office/list.html",
        listing=wanted.listing,
        filters=wanted.filters,
    )


async def _file(desk: PageDesk, wanted: List[Any], kind: str) -> Any:
    head = [column.label for column in wanted.columns if column.label]
    lines: list[list[exports.Cell]] = []
    cursor: str | None = None
    while len(lines) < min(EXPORT_MAX, ROWS_MAX):
        found = await wanted.fetch(cursor, EXPORT_PAGE)
        rows = await wanted.rows(found.rows)
        lines += [[cell.export for cell, column in zip(row, wanted.columns, strict=True) if column.label] for row in rows]
        cursor = found.next
        if cursor is None:
            break
    else:
        if cursor is not None:
            lines.append([desk.gettext("The list goes on; narrow the filter.")])
    if kind == "xlsx":
        content = exports.xlsx(wanted.title, head, lines, zone=desk.zone)
        return document(content, media_type=XLSX_TYPE, filename=f"{wanted.name}.xlsx")
    return document(exports.csv_bytes(head, lines, zone=desk.zone), media_type=CSV_TYPE, filename=f"{wanted.name}.csv")


def three(path: str) -> list[str]:
    """Return a list's addresses: the page and its two files."""
    return [path, f"{path}.xlsx", f"{path}.csv"]


async def single(rows: Sequence[T]) -> Page[T]:
    """Return a short list as its only page."""
    return Page(rows=list(rows), next=None, previous=None)
