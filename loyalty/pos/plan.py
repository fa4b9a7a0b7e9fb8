"""What happens at a station on its day: drawn from one seed before anything is sent. Pure: the same seed gives the same day."""

from enum import StrEnum
from random import Random
from typing import NamedTuple


class Kind(StrEnum):
    """What a visit is about."""

    FILL = "fill"
    """Pay after filling: the forecourt reports, the cashier charges."""
    PRESET = "preset"
    PUMP = "pump"
    """Card at the pump, filled up, sometimes in two parts."""
    NOT_LIFTED = "not_lifted"
    SHOP = "shop"
    TOPUP = "topup"
    TOPUP_REVERSED = "topup_reversed"
    BALANCE = "balance"
    OTHER_MEANS = "other_means"
    """A fill paid without a card of ours."""
    PUMP_TEST = "pump_test"
    REFUND = "refund"
    REVERSAL = "reversal"
    DUPLICATE = "duplicate"
    """The same request sent again by a nervous till."""


WEIGHTS = {
    Kind.FILL: 40,
    Kind.PRESET: 12,
    Kind.PUMP: 10,
    Kind.NOT_LIFTED: 3,
    Kind.SHOP: 6,
    Kind.TOPUP: 10,
    Kind.TOPUP_REVERSED: 1,
    Kind.BALANCE: 5,
    Kind.OTHER_MEANS: 3,
    Kind.PUMP_TEST: 1,
    Kind.REFUND: 3,
    Kind.REVERSAL: 3,
    Kind.DUPLICATE: 3,
}


class Visit(NamedTuple):
    """One customer, with everything that chance decides."""

    number: int
    kind: Kind
    card: int
    """Which of the station's cards."""
    fuel: int
    """Which of the station's fuels, by place."""
    litres_milli: int
    nozzle: int
    load_minor: int
    share: int
    """Percent of a mixed sale that another tender pays, 0: none."""
    tender: str
    wrong_pin: bool
    offline: bool
    """The station's line is down."""
    ambiguous: bool
    """The line goes down between request and answer: nobody knows what was booked."""


def plan_day(*, seed: int, station: int, visits: int, cards: int, offline_percent: int) -> list[Visit]:
    """Draw a station's day. `offline_percent` of the visits fall into stretches without a line; each stretch begins with a lost answer."""
    chance = Random(f"{seed}/{station}")  # noqa: S311 - a simulation must be repeatable
    dark = _stretches(chance, visits, offline_percent)
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    return [
        Visit(
            number=number,
            kind=chance.choices(kinds, weights)[0] if number not in dark else chance.choice([Kind.FILL, Kind.FILL, Kind.SHOP]),
            card=chance.randrange(cards),
            fuel=chance.randrange(8),
            litres_milli=chance.randrange(800, 4_500) * 10,
            nozzle=chance.randrange(1, 9),
            load_minor=chance.choice([10_000, 20_000, 20_000, 30_000, 50_000]),
            share=chance.choice([0, 0, 0, 20, 50]),
            tender=chance.choice(["cash", "cash", "wechat", "alipay"]),
            wrong_pin=chance.random() < 0.04,
            offline=number in dark,
            ambiguous=number in dark and number - 1 not in dark,
        )
        for number in range(visits)
    ]


def _stretches(chance: Random, visits: int, percent: int) -> frozenset[int]:
    """Return the visits without a line: so many percent of all, in stretches of a few, never the last one."""
    wanted = visits * percent // 100
    dark: set[int] = set()
    while len(dark) < wanted:
        begin = chance.randrange(max(1, visits - 1))
        length = min(chance.randrange(1, 6), wanted - len(dark))
        dark |= {number for number in range(begin, begin + length) if number < visits - 1}
    return frozenset(dark)
