"""The invariants, in the order in which they are proved."""

from collections.abc import Iterable

from loyalty.checks.model import Check

from . import (
    allocations,
    budgets,
    company_periods,
    counting,
    credit,
    fleet,
    leaks,
    ledger,
    points,
    pump,
    references,
    refunds,
    requests,
    seals,
    topups,
    trail,
    vouchers,
)

CHECKS: tuple[Check, ...] = (
    *ledger.CHECKS,
    *pump.CHECKS,
    *counting.CHECKS,
    *refunds.CHECKS,
    *budgets.CHECKS,
    *points.CHECKS,
    *topups.CHECKS,
    *vouchers.CHECKS,
    *allocations.CHECKS,
    *fleet.CHECKS,
    *requests.CHECKS,
    *references.CHECKS,
    *seals.CHECKS,
    *company_periods.CHECKS,
    *credit.CHECKS,
    *trail.CHECKS,
    *leaks.CHECKS,
)

_further: list[Check] = []


def also(checks: Iterable[Check]) -> None:
    """Add the checks of a room above this one, once each: the composition root knows them, nothing here does."""
    known = {check.code for check in all_checks()}
    _further.extend(check for check in checks if check.code not in known)


def all_checks() -> tuple[Check, ...]:
    """Return the invariants of everything that is composed here."""
    return (*CHECKS, *_further)


__all__ = ["CHECKS", "all_checks", "also"]
