"""Reading what the books say."""

from .periods import PeriodPicture, picture_of_period

__all__ = ["PeriodPicture", "picture_of_period"]
