"""A sale's three amounts: what the pump showed, what the customer pays, what stays with the station, and who bears the difference."""

from typing import Any, NamedTuple
from uuid import UUID

from loyalty.authorizations.queries import SaleView
from loyalty.pricing.wording import FUNDERS
from loyalty.web.office.desk import Desk
from loyalty.web.office.lookups import Places
from loyalty.web.office.parts import Facts, Part


class Amounts(NamedTuple):
    """In minor units, before refunds. What the station bears itself is taken off its share; a surcharge is never part of it."""

    pump_minor: int
    customer_minor: int
    station_minor: int
    borne: dict[str, int]
    """By funder; a surcharge is less than nothing: whoever has it gains."""


def amounts_of(one: SaleView) -> Amounts:
    """Tell a sale's amounts apart; `gross_minor` holds the surcharge."""
    line = one.sale
    borne: dict[str, int] = {}
    surcharge = 0
    for benefit in one.benefits:
        if benefit["kind"] not in {"discount", "surcharge"}:
            continue
        sign = 1 if benefit["kind"] == "discount" else -1
        surcharge += int(benefit["given"]) if sign < 0 else 0
        for funder, share in benefit["funders"]:
            # The release before kept its one discount without its amount: that is all of it.
            borne[funder] = borne.get(funder, 0) + sign * (line.discount_minor if share is None else int(share))
    pump = line.gross_minor - surcharge
    own = borne.get(f"station:{line.station_id}", 0) + borne.get("station", 0)
    return Amounts(pump, line.gross_minor - line.discount_minor, pump - max(own, 0), borne)


def amount_parts(desk: Desk, one: SaleView, places: Places) -> list[Part]:
    """Show the three amounts where they differ."""
    found = amounts_of(one)
    if not found.borne:
        return []
    _ = desk.gettext
    currency = one.sale.currency
    difference = found.customer_minor - found.pump_minor
    pairs: list[tuple[str, Any]] = [
        (_("At the pump"), desk.f.money(found.pump_minor, currency)),
        (_("The customer pays"), desk.f.money(found.customer_minor, currency)),
        (_("The station gets"), desk.f.money(found.station_minor, currency)),
    ]
    for funder, amount in sorted(found.borne.items(), key=lambda each: -each[1]):
        name = funder_of(desk, funder, places)
        name = funder_of(desk, funder, places)
        said = _("Borne by %(funder)s", funder=name) if amount >= 0 else _("Surcharge kept by %(funder)s", funder=name)
        pairs.append((said, desk.f.money(abs(amount), currency)))
    total = (_("Difference"), desk.f.money(difference, currency, sign=True))
    note = _("as sold, before refunds") if one.refunds else ""
    return [Facts(title=_("Who pays what"), pairs=pairs, total=total, figures=True, note=note)]


def funder_of(desk: Desk, funder: str, places: Places) -> str:
    """Name a funder; a station by its own name."""
    kindred, _colon, reference = funder.partition(":")
    if kindred == "station" and reference:
        try:
            return places.names.get(UUID(reference), reference)
        except ValueError:
            return reference
    return desk.either(*FUNDERS.get(funder, (funder, funder)))
