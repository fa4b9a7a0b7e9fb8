"""Reading what the books say."""

from .periods import PeriodPicture, picture_of_period
from .receipts import prints_of

__all__ = ["PeriodPicture", "picture_of_period", "prints_of"]
