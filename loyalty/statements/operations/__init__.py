"""The prints of a receipt counted; closing: business days, accounting periods, companies' own periods."""

from .closing import (
    BusinessDayNotOver,
    DayBeforeStillOpen,
    close_business_day,
    close_period_due,
    count_print,
    next_day_to_close,
    seal_periods,
)

__all__ = [
    "BusinessDayNotOver",
    "DayBeforeStillOpen",
    "close_business_day",
    "close_period_due",
    "count_print",
    "next_day_to_close",
    "seal_periods",
]
