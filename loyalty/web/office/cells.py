"""Cells of office tables: what the page shows beside what a file gets."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from markupsafe import Markup

from loyalty.web.exports import Money, Quantity
from loyalty.web.office.parts import Cell
from loyalty.web.voice import Voice

Words = Mapping[Any, tuple[str, str]]
"""What an enum's members are called, and their tone."""


def text(value: str | None) -> Cell:
    """Return words."""
    return Cell(value or "—", value or "")


def link(desk: Voice, href: str, label: str, *, whole: bool = False) -> Cell:
    """Return words that lead on; `whole` words stand on one line."""
    shown = Markup('<span class="fig">{}</span>').format(label) if whole else label
    return Cell(desk.link(href, shown), label)


def linked(desk: Voice, href: str, cell: Cell) -> Cell:
    """Return a cell that leads on."""
    return Cell(desk.link(href, cell.show), cell.export)


def money(desk: Voice, amount_minor: int | None, currency: str, *, sign: bool = False) -> Cell:
    """Return an amount with its currency."""
    return Cell(desk.f.money(amount_minor, currency, sign=sign), None if amount_minor is None else Money(amount_minor, currency))


def quantity(desk: Voice, quantity_milli: int | None, unit: str | None = "L") -> Cell:
    """Return a quantity with its unit."""
    return Cell(desk.f.quantity(quantity_milli, unit), None if quantity_milli is None else Quantity(quantity_milli))


def count(desk: Voice, number: int | None) -> Cell:
    """Return a whole number."""
    return Cell(desk.f.count(number), number)


def when(desk: Voice, instant: datetime | None) -> Cell:
    """Return an instant, relative within a day, its exact time behind it."""
    if instant is None:
        return Cell("—", None)
    shown = Markup('<time datetime="{}" title="{}">{}</time>').format(
        desk.f.machine(instant), desk.f.instant(instant), desk.f.when(instant)
    )
    return Cell(shown, instant)


def day(desk: Voice, value: date | None) -> Cell:
    """Return a date."""
    return Cell(desk.f.full_day(value), value)


def tag(desk: Voice, member: Enum | None, words: Words) -> Cell:
    """Return an enum's member as a tag."""
    if member is None:
        return Cell("—", "")
    label, tone = words[member]
    return Cell(desk.tag(desk.gettext(label), tone), desk.gettext(label))


def tail(desk: Voice, href: str, bin_: str, last: str) -> Cell:
    """Return a card by its first six and last four digits."""
    return Cell(desk.link(href, f"{bin_[:6]} •••• {last}"), f"{bin_[:6]}****{last}")


def plate(desk: Voice, value: str | None) -> Cell:
    """Return a number plate."""
    if not value:
        return Cell("—", "")
    return Cell(Markup(str(desk.macro("ui").plate(value))), value)  # noqa: S704 - a macro's own, escaped output


def named(names: Mapping[UUID, str], key: UUID | None) -> str:
    """Return a name by id; a dash where there is none."""
    return "—" if key is None else names.get(key, str(key)[:8])
