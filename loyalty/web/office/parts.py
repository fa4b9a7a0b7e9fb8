"""What office pages are made of: plain values that the templates draw. A page is a head and a list of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loyalty.web.charts import Chart
from loyalty.web.exports import Cell as Exported
from loyalty.web.listing import Column, Listing


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: `show` as a page draws it (text or markup), `export` as a file has it."""

    show: Any
    export: Exported


@dataclass(frozen=True, slots=True)
class Act:
    """A link that looks like a button; at most one of a page is primary."""

    label: str
    href: str
    primary: bool = False
    danger: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a form; `kind` is a macro of `form`: field, select, chips, check, textarea, file, hidden, or `note` for a sentence."""

    kind: str
    name: str = ""
    label: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A form: its key makes it count once."""

    action: str
    submit: str
    fields: Sequence[Field] = ()
    once: str = ""
    title: str = ""
    danger: bool = False
    primary: bool = True
    amount: str = ""
    upload: bool = False
    cancel: str = ""
    columns: bool = False
    note: str = ""
    kind: str = "ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Names and values."""

    title: str
    pairs: Sequence[tuple[str, Any]]
    acts: Sequence[Act] = ()
    note: str = ""
    total: tuple[str, Any] | None = None
    figures: bool = False
    kind: str = "facts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A table in a card, with the sentence that stands there while it is empty."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    empty: str
    empty_then: str = ""
    totals: Sequence[Cell] | None = None
    acts: Sequence[Act] = ()
    note: str = ""
    listing: Listing | None = None
    next: str | None = None
    previous: str | None = None
    marks: Mapping[int, str] = field(default_factory=dict)
    exports: bool = False
    pager: bool = False
    id: str = ""
    kind: str = "rows"

    @property
    def shown(self) -> list[list[Any]]:
        """The cells as the page draws them."""
        return [[cell.show for cell in row] for row in self.rows]

    @property
    def sums(self) -> list[Any] | None:
        """The totals row as the page draws it."""
        return None if self.totals is None else [cell.show for cell in self.totals]


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """A life, newest first."""

    title: str
    events: Sequence[Mapping[str, Any]]
    empty: str
    acts: Sequence[Act] = ()
    note: str = ""
    kind: str = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A notice, with what can be done about it."""

    title: str
    tone: str = "info"
    then: str = ""
    acts: Sequence[Act] = ()
    kind: str = "said"


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure of the row at a page's top."""

    label: str
    value: str
    note: str = ""
    tone: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Tiles:
    """The figures at the top."""

    tiles: Sequence[Tile]
    kind: str = "tiles"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart with its table."""

    chart: Chart
    note: str = ""
    kind: str = "drawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Lines in a card: codes to copy, an explanation."""

    title: str
    lines: Sequence[Any]
    note: str = ""
    acts: Sequence[Act] = ()
    kind: str = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """An image of our own address, which leads to the file itself; `alt` says what it shows."""

    title: str
    src: str
    alt: str
    note: str = ""
    acts: Sequence[Act] = ()
    kind: str = "photo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Something that takes a moment: a skeleton stands in its place until it is fetched."""

    title: str
    href: str
    kind: str = "later"


Part = Ask | Facts | Rows | Events | Said | Tiles | Drawn | Text | Photo | Later
