"""What each effect is worth: exact integers, one rounding each, never below nothing and never above what is left.

Rates are worth something for each line; percentages, fixed amounts and bundles for the goods together, spread over their lines so that the
sum is exact. `left_minor` is what the rules before left of a line, `off_e4` by how much a unit is cheaper already by rates, so that rates
that stack round as one rate would.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

from loyalty.money import line_amount, round_half_up, share_out, split

from .basket import Goods
from .document import Band, Basis, Bonus, Bundle, By, Effect, Fixed, Funder, Give, Percent, PerUnit, Points, Several, Tiered, UnitPrice

E4 = 10_000


def rate_off(unit_price_e4: int, rate_e4: int, quantity_milli: int, digits: int) -> int:
    """Return what `rate_e4` off each of so many units saves: round(p × q) − round((p − rate) × q); a price never falls below nothing."""
    after = unit_price_e4 - rate_e4
    whole = line_amount(quantity_milli, unit_price_e4, digits)
    return whole - line_amount(quantity_milli, after, digits) if after > 0 else whole


def per_unit(effect: PerUnit, line: Goods, left_minor: int, off_e4: int, digits: int) -> int:
    """Take the rate off each unit."""
    off = rate_off(line.unit_price_e4 - off_e4, effect.rate_e4, line.quantity_milli, digits)
    return min(off, left_minor)


def unit_price(effect: UnitPrice, line: Goods, left_minor: int, off_e4: int, digits: int) -> int:
    """Bring each unit to the price, where more is asked for it after the rules before; never below it."""
    price = line.unit_price_e4 - off_e4
    if price <= effect.unit_price_e4:
        return 0
    off = rate_off(price, price - effect.unit_price_e4, line.quantity_milli, digits)
    return max(min(off, left_minor - line_amount(line.quantity_milli, effect.unit_price_e4, digits)), 0)


def percent(effect: Percent, _initial_minor: int, left_minor: int) -> int:
    """Take the share of what is left of the goods' amount."""
    return round_half_up(left_minor * effect.basis_points, E4)


def percent_of_initial(effect: Percent, initial_minor: int, left_minor: int) -> int:
    """Take the share of what the goods cost at first."""
    return min(round_half_up(initial_minor * effect.basis_points, E4), left_minor)


def fixed(effect: Fixed, _initial_minor: int, left_minor: int) -> int:
    """Take the amount off, or all that is left."""
    return min(effect.amount_minor, left_minor)


def _rate_of(effect: PerUnit, _line: Goods, _off_e4: int) -> int:
    return effect.rate_e4


def _rate_to(effect: UnitPrice, line: Goods, off_e4: int) -> int:
    return max(line.unit_price_e4 - off_e4 - effect.unit_price_e4, 0)


class Worth(NamedTuple):
    """A plain effect and how it is calculated: a line at a time by its rate, or the goods together."""

    effect: Any
    by_line: Callable[[Any, Goods, int, int, int], int] | None
    by_order: Callable[[Any, int, int], int] | None
    rate: Callable[[Any, Goods, int], int] | None
    """By how much it makes a unit cheaper."""


def worth(effect: Effect) -> Worth | None:
    """Return how an effect is calculated; None for ladders, bundles and what is granted."""
    if isinstance(effect, PerUnit):
        return Worth(effect, per_unit, None, _rate_of)
    if isinstance(effect, UnitPrice):
        return Worth(effect, unit_price, None, _rate_to)
    if isinstance(effect, Percent):
        return Worth(effect, None, percent_of_initial if effect.basis is Basis.INITIAL else percent, None)
    return Worth(effect, None, fixed, None) if isinstance(effect, Fixed) else None


def band_worth(band: Band) -> Worth:
    """Return what a band of a whole ladder is worth: a rate, a share of what is left, or an amount."""
    if band.rate_e4 is not None:
        return Worth(PerUnit(rate_e4=band.rate_e4), per_unit, None, _rate_of)
    if band.basis_points is not None:
        return Worth(Percent(basis_points=band.basis_points), None, percent, None)
    return Worth(Fixed(amount_minor=band.amount_minor or 0), None, fixed, None)


def discounts(one: Worth, lines: Sequence[Goods], lefts: Sequence[int], offs: Sequence[int], digits: int) -> list[int]:
    """Return an effect's discount for each of several lines."""
    if one.by_line is not None:
        return [one.by_line(one.effect, line, left, off, digits) for line, left, off in zip(lines, lefts, offs, strict=True)]
    assert one.by_order is not None, "an effect goes by line or by order"
    return share_out(one.by_order(one.effect, sum([line.amount_minor for line in lines]), sum(lefts)), lefts)


def measure(effect: Tiered, lines: Sequence[Goods]) -> int:
    """Return what the ladder measures: thousandths, or minor units at the pump's price."""
    return sum([line.quantity_milli if effect.by is By.QUANTITY else line.amount_minor for line in lines])


def reached(bands: Sequence[Band], measured: int) -> Band | None:
    """Return the highest band that starts at or below `measured`; bands rise."""
    found = None
    for band in bands:
        if band.starts <= measured:
            found = band
    return found


def marginal(effect: Tiered, lines: Sequence[Goods], lefts: Sequence[int], offs: Sequence[int], digits: int) -> list[int]:
    """Cut the goods at the bands' starts, in the basket's order; each slice gets its own band's rate, or share of what is left.

    Rates and shares of a line are each added up exactly and rounded once: net = round(Σ (price − rate) × slice).
    """
    saved: list[int] = []
    begins = 0
    for line, left, off in zip(lines, lefts, offs, strict=True):
        size = line.quantity_milli if effect.by is By.QUANTITY else line.amount_minor
        price = line.unit_price_e4 - off
        rates = shares = 0
        for place, band in enumerate(effect.bands):
            ends = effect.bands[place + 1].starts if place + 1 < len(effect.bands) else begins + size
            slice_ = max(0, min(begins + size, ends) - max(begins, band.starts))
            rates += slice_ * min(band.rate_e4 or 0, price)
            shares += slice_ * (band.basis_points or 0)
        off_by_rate = line_amount(line.quantity_milli, price, digits) - _net(line, price, rates, size, digits) if rates else 0
        off_by_share = round_half_up(left * shares, size * E4) if shares else 0
        saved.append(min(off_by_rate + off_by_share, left))
        begins += size
    return saved


def _net(line: Goods, price_e4: int, rates: int, size: int, digits: int) -> int:
    """Return round(price × quantity − rates × quantity ÷ size); `size` is the quantity itself where the ladder goes by it."""
    return round_half_up(line.quantity_milli * (price_e4 * size - rates), size * 10 ** (7 - digits))


def bundle(effect: Bundle, places: Sequence[Sequence[int]], goods: Sequence[Goods], lefts: Sequence[int]) -> list[int]:
    """Give the sets' discount on the goods of the last part; `places` are the basket's lines of each part of the bundle."""
    sets = _sets(effect, places, goods)
    last = [lefts[place] for place in places[-1]]
    if not sets:
        return [0] * len(last)
    if effect.amount_minor is not None:
        off = effect.amount_minor * sets
    else:
        # Of all the goods of the last part, those that belong to sets, at their average.
        quantity = sum([goods[place].quantity_milli for place in places[-1]])
        off = round_half_up(sum(last) * sets * effect.parts[-1].quantity_milli * (effect.basis_points or 0), quantity * E4)
    return share_out(min(off, sum(last)), last)


def _sets(effect: Bundle, places: Sequence[Sequence[int]], goods: Sequence[Goods]) -> int:
    """Return how many complete sets there are, so that nothing is counted for two parts.

    Goods suffice for n sets exactly when, for each choice of parts, what fits any of them is at least n times what they ask for together.
    """
    sets = effect.times
    for several in range(1, len(places) + 1):
        for chosen in combinations(range(len(places)), several):
            there = sum([goods[place].quantity_milli for place in {place for part in chosen for place in places[part]}])
            sets = min(sets, there // sum([effect.parts[part].quantity_milli for part in chosen]))
    return sets


def bonus(effect: Bonus, base_minor: int) -> int:
    """Return the bonus money for what is paid or loaded; several bands by the rule's policy."""
    if not effect.bands:
        if effect.amount_minor is not None:
            return effect.amount_minor
        return round_half_up(base_minor * (effect.basis_points or 0), E4)
    if effect.several is Several.HIGHEST:
        band = reached(effect.bands, base_minor)
        return 0 if band is None else _band_bonus(band, base_minor)
    if effect.several is Several.EVERY:
        return sum([_band_bonus(band, base_minor) for band in effect.bands if band.starts <= base_minor])
    given, left = 0, base_minor
    for band in reversed(effect.bands):
        if band.starts and left >= band.starts:
            times = left // band.starts
            given += times * _band_bonus(band, band.starts)
            left -= times * band.starts
    return given


def _band_bonus(band: Band, base_minor: int) -> int:
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


def most_once(effect: Effect) -> int | None:
    """Return what an effect gives at most in a transaction, in however many parts it is delivered; None where it grows with the goods."""
    match effect:
        case Fixed(amount_minor=amount):
            return amount
        case Bundle(amount_minor=int(amount), times=times):
            return amount * times
        case Bonus(amount_minor=int(amount)):
            return amount
        case Points(points=amount, per_quantity_milli=None, per_minor=None):
            return amount
        case Give(count=count):
            return count
        case Tiered(bands=bands) | Bonus(bands=bands, several=Several.HIGHEST) if all(band.amount_minor is not None for band in bands):
            return max((band.amount_minor or 0 for band in bands), default=None)
        case _:
            return None


STATION: Final = "station"
"""The funder that is the station of the sale itself."""


def split_funders(funders: Sequence[Funder], given: int, *, station: str = STATION) -> list[tuple[str, int]]:
    """Return who bears how much of a benefit; the sum is exact, cents go to the largest share (domain notes, rebates)."""
    first = funders[0]
    name = station if first.funder == STATION else first.funder
    if len(funders) == 1:
        return [(name, given)]
    if len(funders) == 2 and given >= 0:
        # What nearly all are: the smaller share is rounded down, the larger bears the rest.
        second = funders[1]
        if first.parts < second.parts:
            share = given * first.parts // (first.parts + second.parts)
        else:
            share = given - given * second.parts // (first.parts + second.parts)
        return [(name, share), (station if second.funder == STATION else second.funder, given - share)]
    names = [station if one.funder == STATION else one.funder for one in funders]
    return list(zip(names, split(given, [one.parts for one in funders]), strict=True))
