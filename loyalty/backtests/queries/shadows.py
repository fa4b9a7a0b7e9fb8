"""Drafts in the shadow: which run, and what they would have given, day by day beside what the live rules gave."""

from datetime import date, datetime

import msgspec
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.backtests.model import ShadowMark, ShadowResult
from loyalty.paging import all_as
from loyalty.pricing.model import BookStatus, Rulebook


class ShadowDay(msgspec.Struct, frozen=True):
    """One business day under a shadow; money in minor units of `currency`, discounts less surcharges."""

    day: date
    currency: str
    sales: int
    accounts: int
    gross_minor: int
    live_minor: int
    shadow_minor: int
    live_bonus_minor: int
    shadow_bonus_minor: int
    live_points: int
    shadow_points: int
    live_things: int
    shadow_things: int
    better: int
    """Sales that would have saved more."""
    worse: int

    @property
    def difference_minor(self) -> int:
        """What the shadow would have cost more than the live rules did, bonus money included."""
        return self.shadow_minor + self.shadow_bonus_minor - self.live_minor - self.live_bonus_minor


async def shadows_to_ask(session: AsyncSession, *, now: datetime) -> list[int]:
    """Return the rulebooks that run in the shadow, and those that were stopped before they had looked at all until then."""
    rows = await session.scalars(
        select(Rulebook.number)
        .outerjoin(ShadowMark, ShadowMark.number == Rulebook.number)
        .where(
            Rulebook.shadow_from <= now,
            or_(
                Rulebook.shadow_to.is_(None) & Rulebook.status.in_([BookStatus.DRAFT, BookStatus.SUBMITTED]),
                Rulebook.shadow_to > func.coalesce(ShadowMark.looked_to, Rulebook.shadow_from),
            ),
        )
        .order_by(Rulebook.number)
    )
    return list(rows)


async def shadow_days(session: AsyncSession, *, number: int) -> list[ShadowDay]:
    """Return the days of a rulebook's shadow, the first first."""
    result = ShadowResult
    total = [
        func.sum(column).cast(result.gross_minor.type)
        for column in (
            result.gross_minor,
            result.live_minor,
            result.shadow_minor,
            result.live_bonus_minor,
            result.shadow_bonus_minor,
            result.live_points,
            result.shadow_points,
            result.live_things,
            result.shadow_things,
        )
    ]
    change = result.shadow_minor + result.shadow_bonus_minor - result.live_minor - result.live_bonus_minor
    return await all_as(
        session,
        ShadowDay,
        select(
            result.business_day,
            result.currency,
            func.count(),
            func.count(result.account_id.distinct()),
            *total,
            func.count().filter(change > 0),
            func.count().filter(change < 0),
        )
        .where(result.number == number)
        .group_by(result.business_day, result.currency)
        .order_by(result.business_day, result.currency),
    )
