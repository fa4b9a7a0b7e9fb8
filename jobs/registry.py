"""All jobs; a new one is a file beside this one and a line here."""

from jobs import (
    allocations,
    approvals,
    backtests,
    checks,
    days,
    freezes,
    holds,
    housekeeping,
    limits,
    partitions,
    periods,
    rewards,
    shadow,
    tiers,
    trail,
    vouchers,
)
from jobs.job import Job

JOBS: tuple[Job, ...] = (
    partitions.JOB,
    periods.JOB,
    limits.JOB,
    holds.JOB,
    freezes.JOB,
    days.JOB,
    rewards.JOB,
    rewards.NIGHTLY,
    tiers.JOB,
    tiers.NIGHTLY,
    vouchers.JOB,
    vouchers.DAILY,
    approvals.JOB,
    allocations.JOB,
    allocations.HOURLY,
    shadow.JOB,
    backtests.JOB,
    trail.JOB,
    housekeeping.JOB,
    checks.JOB,
)
