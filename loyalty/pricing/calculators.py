"""What each effect is worth: exact integers, one rounding each, never below nothing and never above what is left.

A discount is a list of amounts, one for each of the rule's goods, in minor units. `Part` is one of them: what it cost, what is left of it
after the rules before, and by how much a unit is cheaper already, so that rates that stack round as one rate would.
"""

from collections.abc import Sequence

from loyalty.money import line_amount, round_half_up, share_out

from .document import Band, Bonus, Bundle, By, Fixed, Ladder, Percent, PerUnit, Points, Several, Tiered, UnitPrice
from .document import Basis as AmountOf

E4 = 10_000


class Part:
    """One line of a basket under one rule: its goods, and what the rules before left of it."""

    __slots__ = ("amount_minor", "left_minor", "off_e4", "quantity_milli", "unit_price_e4")

    def __init__(self, quantity_milli: int, unit_price_e4: int, amount_minor: int, left_minor: int, off_e4: int = 0) -> None:
        self.quantity_milli = quantity_milli
        self.unit_price_e4 = unit_price_e4
        self.amount_minor = amount_minor
        """At the pump's price: authoritative."""
        self.left_minor = left_minor
        self.off_e4 = off_e4
        """How much a unit is cheaper already by rates."""


def rate_off(part: Part, rate_e4: int, quantity_milli: int, digits: int) -> int:
    """Return what `rate_e4` off each of so many units saves: round(p × q) − round((p − rate) × q), p the price after earlier rates."""
    before = part.unit_price_e4 - part.off_e4
    after = max(before - rate_e4, 0)
    return line_amount(quantity_milli, before, digits) - line_amount(quantity_milli, after, digits)


def per_unit(effect: PerUnit, parts: Sequence[Part], digits: int) -> list[int]:
    """Take the rate off each unit."""
    return [min(rate_off(part, effect.rate_e4, part.quantity_milli, digits), part.left_minor) for part in parts]


def unit_price(effect: UnitPrice, parts: Sequence[Part], digits: int) -> list[int]:
    """Bring each unit to the price, where it is below what is asked otherwise."""
    return [
        min(rate_off(part, rate, part.quantity_milli, digits), part.left_minor)
        if (rate := part.unit_price_e4 - part.off_e4 - effect.unit_price_e4) > 0
        else 0
        for part in parts
    ]


def percent(effect: Percent, parts: Sequence[Part]) -> list[int]:
    """Take the share of what the goods cost at first, or of what is left of it; rounded once, spread so that the sum is exact."""
    lefts = [part.left_minor for part in parts]
    base = sum([part.amount_minor for part in parts]) if effect.basis is AmountOf.INITIAL else sum(lefts)
    return share_out(min(round_half_up(base * effect.basis_points, E4), sum(lefts)), lefts)


def fixed(effect: Fixed, parts: Sequence[Part]) -> list[int]:
    """Take the amount off, or all that is left."""
    return _spread(effect.amount_minor, parts)


def _spread(amount_minor: int, parts: Sequence[Part]) -> list[int]:
    lefts = [part.left_minor for part in parts]
    return share_out(min(amount_minor, sum(lefts)), lefts)


def measure(effect: Tiered, parts: Sequence[Part]) -> int:
    """Return what the ladder measures: thousandths, or minor units at the pump's price."""
    return sum([part.quantity_milli if effect.by is By.QUANTITY else part.amount_minor for part in parts])


def reached(bands: Sequence[Band], measured: int) -> Band | None:
    """Return the highest band that starts at or below `measured`."""
    found = None
    for band in bands:
        if band.starts <= measured:
            found = band
    return found


def tiered(effect: Tiered, parts: Sequence[Part], digits: int) -> list[int]:
    """Give what the ladder gives: the band reached for everything, or each part of it in its own band."""
    if effect.ladder is Ladder.MARGINAL:
        return _marginal(effect, parts, digits)
    band = reached(effect.bands, measure(effect, parts))
    if band is None:
        return [0] * len(parts)
    if band.rate_e4 is not None:
        return per_unit(PerUnit(rate_e4=band.rate_e4), parts, digits)
    if band.basis_points is not None:
        return percent(Percent(basis_points=band.basis_points), parts)
    return _spread(band.amount_minor or 0, parts)


def _marginal(effect: Tiered, parts: Sequence[Part], digits: int) -> list[int]:
    """Cut the goods at the bands' starts, in the basket's order; each slice gets its own band's rate or share."""
    saved: list[int] = []
    begins = 0
    for part in parts:
        size = part.quantity_milli if effect.by is By.QUANTITY else part.amount_minor
        by_rate = shares = 0
        for place, band in enumerate(effect.bands):
            ends = effect.bands[place + 1].starts if place + 1 < len(effect.bands) else begins + size
            slice_ = max(0, min(begins + size, ends) - max(begins, band.starts))
            if band.rate_e4 is not None:
                by_rate += rate_off(part, band.rate_e4, slice_, digits)
            elif band.basis_points is not None:
                worth = slice_ if effect.by is By.AMOUNT else line_amount(slice_, part.unit_price_e4, digits)
                shares += worth * band.basis_points
        saved.append(min(by_rate + round_half_up(shares, E4), part.left_minor))
        begins += size
    return saved


def bundle(effect: Bundle, groups: Sequence[Sequence[Part]]) -> list[int]:
    """Give the sets' discount on the goods of the last part; `groups` are the basket's lines for each part of the bundle."""
    last, wanted = groups[-1], effect.parts[-1]
    sets = min(effect.times, *(_sets(group, need.quantity_milli) for group, need in zip(groups, effect.parts, strict=True)))
    if not sets:
        return [0] * len(last)
    if effect.amount_minor is not None:
        return _spread(effect.amount_minor * sets, last)
    quantity = sum([part.quantity_milli for part in last])
    worth = round_half_up(sum([part.left_minor for part in last]) * sets * wanted.quantity_milli, quantity)
    return _spread(round_half_up(worth * (effect.basis_points or 0), E4), last)


def _sets(group: Sequence[Part], quantity_milli: int) -> int:
    return sum([part.quantity_milli for part in group]) // quantity_milli


def bonus(effect: Bonus, base_minor: int) -> int:
    """Return the bonus money for what is paid or loaded; several bands by the rule's policy."""
    if not effect.bands:
        if effect.amount_minor is not None:
            return effect.amount_minor
        return round_half_up(base_minor * (effect.basis_points or 0), E4)
    if effect.several is Several.HIGHEST:
        band = reached(effect.bands, base_minor)
        return 0 if band is None else _worth(band, base_minor)
    if effect.several is Several.EVERY:
        return sum([_worth(band, base_minor) for band in effect.bands if band.starts <= base_minor])
    given, left = 0, base_minor
    for band in reversed(effect.bands):
        if band.starts and left >= band.starts:
            times = left // band.starts
            given += times * _worth(band, band.starts)
            left -= times * band.starts
    return given


def _worth(band: Band, base_minor: int) -> int:
    return band.amount_minor if band.amount_minor is not None else round_half_up(base_minor * (band.basis_points or 0), E4)


def points(effect: Points, *, quantity_milli: int, paid_minor: int) -> int:
    """Return the points for so much bought, or paid; only full steps count where the rule says so."""
    if effect.per_quantity_milli is not None:
        base, step = quantity_milli, effect.per_quantity_milli
    elif effect.per_minor is not None:
        base, step = paid_minor, effect.per_minor
    else:
        return effect.points
    return effect.points * (base // step) if effect.whole else round_half_up(effect.points * base, step)
