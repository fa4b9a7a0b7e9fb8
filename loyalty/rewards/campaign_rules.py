"""How a campaign is judged: what its customers spent against those who were held out, and whether that says anything. Pure, exact."""

from enum import StrEnum
from fractions import Fraction
from math import isqrt
from typing import Final, NamedTuple

from loyalty.money import round_half_up

GROUP_LEAST: Final = 30
"""Below so many customers in either group nothing is said: the mean of few is no mean."""
ERRORS: Final = 2
"""A difference counts from so many standard errors on: in 95 of 100 campaigns without any effect it stays below."""


class Sample(NamedTuple):
    """A group of customers: how many, the sum of what each spent, and the sum of its squares."""

    people: int
    total: int
    squares: int

    @property
    def mean(self) -> int:
        """What each spent on average, half-up; 0 for nobody."""
        return round_half_up(self.total, self.people) if self.people else 0

    @property
    def error(self) -> Fraction:
        """The square of the mean's standard error, from the sample's own variance."""
        variance = (self.squares - Fraction(self.total**2, self.people)) / (self.people - 1)
        return variance / self.people

    def __add__(self, other: object) -> "Sample":
        """Put two groups together."""
        assert isinstance(other, Sample), "only groups are added"
        return Sample(self.people + other.people, self.total + other.total, self.squares + other.squares)


class Verdict(StrEnum):
    NOT_HELD_OUT = "not_held_out"
    """Nobody was held out: there is nothing to compare with."""
    TOO_FEW = "too_few"
    CHANCE = "chance"
    """A difference as large comes about without any effect."""
    MORE = "more"
    LESS = "less"


class Comparison(NamedTuple):
    """What each customer who was offered it spent more (less: negative) than one held out, and up to what that is chance."""

    verdict: Verdict
    difference: int
    margin: int


def compare(offered: Sample, held_out: Sample) -> Comparison:
    """Judge two groups by Welch's test: their means differ where the difference exceeds two standard errors, unequal variances allowed.

    Everybody who was offered the campaign counts, reached or not: who takes an offer buys more anyway, so that the reached alone would
    prove nothing. The groups were drawn by a hash of the customer, so they differ in nothing else.
    """
    if not held_out.people:
        return Comparison(Verdict.NOT_HELD_OUT, 0, 0)
    if offered.people < GROUP_LEAST or held_out.people < GROUP_LEAST:
        return Comparison(Verdict.TOO_FEW, 0, 0)
    difference = Fraction(offered.total, offered.people) - Fraction(held_out.total, held_out.people)
    bound = ERRORS**2 * (offered.error + held_out.error)
    rounded = round_half_up(difference.numerator, difference.denominator)
    # The margin is told rounded up; the judgement itself is exact.
    margin = isqrt(bound.numerator // bound.denominator) + (0 if bound == isqrt(bound.numerator // bound.denominator) ** 2 else 1)
    if difference**2 <= bound:
        return Comparison(Verdict.CHANCE, rounded, margin)
    return Comparison(Verdict.MORE if difference > 0 else Verdict.LESS, rounded, margin)
