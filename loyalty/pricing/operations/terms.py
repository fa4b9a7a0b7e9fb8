"""Publishing discount terms."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import revisions
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.ledger.model import HouseCode
from loyalty.ledger.operations import ensure_house
from loyalty.pricing.model import DiscountTerm


class RateNotPositive(Refusal):
    """A discount takes something off."""

    status = 422
    zh = "优惠单价必须大于 0。"
    en = "The rate must be above 0."


async def publish_term(
    session: AsyncSession,
    *,
    code: str,
    name_zh: str,
    name_en: str,
    rate_e4: int,
    currency: str,
    funder: str,
    valid_from: datetime,
    valid_to: datetime | None = None,
    card_product_id: UUID | None = None,
    product_id: UUID | None = None,
    station_id: UUID | None = None,
    now: datetime,
) -> UUID:
    """Publish a term, as the next revision of its code; the revision before ends where this one begins.

    The pump sees it at its `valid_from`; publish at least a minute ahead where every station must change at once.

    :raises RateNotPositive: if the rate takes nothing off
    """
    if rate_e4 <= 0:
        raise RateNotPositive(code=code)
    latest = (
        await session.execute(select(func.coalesce(func.max(DiscountTerm.revision), 0)).where(DiscountTerm.code == code))
    ).scalar_one()
    await session.execute(
        update(DiscountTerm)
        .where(
            DiscountTerm.code == code,
            DiscountTerm.revision == latest,
            DiscountTerm.valid_from < valid_from,
            DiscountTerm.valid_to.is_(None),
        )
        .values(valid_to=valid_from)
    )
    term_id = uuid7(now)
    await session.execute(
        insert(DiscountTerm).values(
            term_id=term_id,
            code=code,
            revision=latest + 1,
            name_zh=name_zh,
            name_en=name_en,
            card_product_id=card_product_id,
            product_id=product_id,
            station_id=station_id,
            currency=currency,
            rate_e4=rate_e4,
            funder=funder,
            valid_from=valid_from,
            valid_to=valid_to,
            published_at=now,
        )
    )
    await ensure_house(session, code=HouseCode.DISCOUNT, currency=currency, reference=funder, now=now)
    await revisions.bump(session, revisions.Kind.RULE)
    return term_id
