"""The invariants, in the order in which they are proved."""

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

__all__ = ["CHECKS"]
