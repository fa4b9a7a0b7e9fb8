"""How much of a sale's money belongs to its fuel and how much to shop goods. Pure."""

from typing import NamedTuple

from loyalty.money import round_half_up


class Share(NamedTuple):
    """Minor units by what they were paid for."""

    fuel_minor: int
    goods_minor: int


def share(paid_minor: int, *, net_minor: int, goods_minor: int) -> Share:
    """Divide what was paid by what was to be paid; `goods_minor` of the net amount is shop goods, to which no discount belongs.

    The SQL that opens the pots does the same.
    """
    if net_minor <= 0:
        return Share(0, 0)
    fuel = round_half_up(paid_minor * max(net_minor - goods_minor, 0), net_minor)
    return Share(fuel, paid_minor - fuel)
