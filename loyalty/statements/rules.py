"""A company's statement: which periods there are, and what its figures are called. Plain values in and out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from loyalty.fleet.allocation_rules import Span, month_on, span_of


class Figures(NamedTuple):
    """What some lines come to, refunds taken off: litres in thousandths, minor units."""

    fills: int = 0
    quantity_milli: int = 0
    gross_minor: int = 0
    """At the posted prices."""
    discount_minor: int = 0
    """Saved: posted price less what was to be paid."""
    card_minor: int = 0
    """Paid by the company's cards."""

    def __add__(self, other: object) -> "Figures":
        """Add two."""
        assert isinstance(other, Figures)
        return Figures(*(one + more for one, more in zip(tuple(self), tuple(other), strict=True)))


@dataclass(frozen=True, kw_only=True)
class Money:
    """How a company's money moved in a period, minor units: `opening + loads + other - spent + refunded == closing`."""

    opening_minor: int
    loads_minor: int
    """Top-ups with their bonus."""
    spent_minor: int
    refunded_minor: int
    other_minor: int
    """Fees, adjustments, payouts, what expired: signed."""
    closing_minor: int


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What a statement comes to."""

    figures: Figures
    refunds: int
    grades: dict[UUID | None, Figures] = field(default_factory=dict)
    """By product; None: no fuel, shop goods only."""
    money: Money | None = None
    """The company's own account: of a part of it there is none."""


def totals_json(totals: Totals) -> dict[str, Any]:
    """Write a closed period's totals as they are kept."""
    assert totals.money is not None, "a company's"
    return {
        "figures": list(totals.figures),
        "refunds": totals.refunds,
        "grades": [[str(product) if product else None, *figures] for product, figures in totals.grades.items()],
        "money": vars(totals.money),
    }


def totals_of(kept: dict[str, Any]) -> Totals:
    """Read them again."""
    return Totals(
        figures=Figures(*kept["figures"]),
        refunds=kept["refunds"],
        grades={UUID(product) if product else None: Figures(*figures) for product, *figures in kept["grades"]},
        money=Money(**kept["money"]),
    )


def spans(first: date, today: date, *, period_day: int, closed: Sequence[Span]) -> list[Span]:
    """Return a company's periods from the one of its first day to the running one, in order, without a gap or an overlap.

    A closed period stays as it was closed; after a change of the setting the next one is as much shorter as it has to be.
    """
    known = sorted(closed)
    found = known or [span_of(first, period_day=period_day)]
    found = list(found)
    while found[-1].end <= today:
        begin = found[-1].end
        end = begin.replace(day=period_day)
        found.append(Span(begin, end if end > begin else month_on(end, 1)))
    return found
