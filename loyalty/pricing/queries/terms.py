"""Reading discount terms."""

from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.pricing.model import DiscountTerm
from loyalty.pricing.rules import Term


async def snapshot_terms(session: AsyncSession, *, now: datetime) -> list[Term]:
    """Return the terms that are valid now or will be, the latest revision of each code that has begun and those still to begin."""
    rows = await session.scalars(
        select(DiscountTerm)
        .where(or_(DiscountTerm.valid_to.is_(None), DiscountTerm.valid_to > now))
        .order_by(DiscountTerm.code, DiscountTerm.revision)
    )
    return [
        Term(
            term_id=row.term_id,
            code=row.code,
            revision=row.revision,
            name_zh=row.name_zh,
            name_en=row.name_en,
            card_product_id=row.card_product_id,
            product_id=row.product_id,
            station_id=row.station_id,
            currency=row.currency,
            rate_e4=row.rate_e4,
            funder=row.funder,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
        )
        for row in rows
    ]
