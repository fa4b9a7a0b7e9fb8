"""What each benefit of a sale gives back when a part of it is refunded. Pure.

A refund is the sale's mirror: of each benefit goes back the share of the gross amount that does, rounded cumulatively, so that the parts
of any run of partial refunds end at exactly what was given (decisions.md, refund mirror).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from loyalty.money import round_half_up


def returned(
    benefits: Sequence[Mapping[str, Any]],
    *,
    gross_minor: int,
    refunded_before_minor: int,
    refunded_now_minor: int,
    returned_before: Mapping[tuple[str, str], int],
) -> list[tuple[str, str, int]]:
    """Return what each benefit gives back now as (rule, kind, amount), in minor units, points or pieces; none that gives nothing.

    `benefits` are the sale's own documents (`rule`, `kind`, `given`), `returned_before` what each (rule, kind) gave back so far. Nothing
    gives back more than is left of it, and the refund that completes the gross amount takes all that is left.

    :raises ValueError: if more is refunded than the sale came to, or less than nothing
    """
    refunded = refunded_before_minor + refunded_now_minor
    if refunded_before_minor < 0 or refunded_now_minor < 0 or refunded > gross_minor:
        raise ValueError("a refund is a part of its sale")
    given: dict[tuple[str, str], int] = {}
    for benefit in benefits:
        key = str(benefit["rule"]), str(benefit["kind"])
        given[key] = given.get(key, 0) + int(benefit["given"])
    found: list[tuple[str, str, int]] = []
    for (rule, kind), amount in given.items():
        before = returned_before.get((rule, kind), 0)
        # A sale that came to nothing is refunded whole or not at all.
        due = round_half_up(amount * refunded, gross_minor) if gross_minor else amount
        now = max(0, min(due, amount) - before)
        if now:
            found.append((rule, kind, now))
    return found
