"""Vouchers that pay a part of a sale: set aside before it, used once it is booked, good again when all of it went back.

The sale names the redemption in its tender's reference, so whoever asked, and whatever crashed between, what became of the sale decides
what becomes of the voucher. What a partial refund gives back of a voucher's share comes with the last part: a voucher is not cut in two.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.ids import uuid7_floor
from loyalty.rewards.model_vouchers import RedemptionStatus, VoucherRedemption
from loyalty.rewards.queries.vouchers import get_voucher_for_update

from .grants import OVERLAP, lock_mark, move_mark
from .redemptions import undo, use

MARK: Final = "voucher-tenders"
_WITH_VOUCHER: Final = """'{"tenders": [{"tender": "voucher"}]}'"""
_TENDERS: Final = f"""
CROSS JOIN LATERAL (
    SELECT (one ->> 'reference')::uuid AS redemption_id, (one ->> 'amount_minor')::bigint AS amount_minor
    FROM jsonb_array_elements(s.detail -> 'tenders') AS one WHERE one ->> 'tender' = 'voucher'
) AS t
WHERE s.detail @> {_WITH_VOUCHER}
"""  # noqa: S608 - constants of this file
_PAID: Final = f"""
SELECT t.redemption_id, t.amount_minor FROM sales s {_TENDERS} AND s.sale_id >= :first AND s.sale_id < :last AND s.status IN (1, 2)
    AND EXISTS (SELECT FROM voucher_redemptions v WHERE v.redemption_id = t.redemption_id AND v.status = 'reserved')
ORDER BY 1
"""  # noqa: S608 - as above
# By station, since that is how refunds are found by time.
_RETURNED: Final = f"""
SELECT DISTINCT t.redemption_id FROM stations p CROSS JOIN LATERAL (
    SELECT account_id, sale_id FROM refunds WHERE station_id = p.station_id AND refund_id >= :first AND refund_id < :last
) AS r
JOIN sales s ON s.account_id = r.account_id AND s.sale_id = r.sale_id {_TENDERS} AND s.status IN (3, 4) ORDER BY 1
"""  # noqa: S608 - as above
_OF_SALE: Final = f"""
SELECT t.redemption_id FROM sales s {_TENDERS} AND s.account_id = :account_id AND s.sale_id = :sale_id AND s.status IN (3, 4) ORDER BY 1
"""  # noqa: S608 - as above


async def settle_vouchers(session: AsyncSession, *, until: datetime, actor: Actor, now: datetime) -> int:
    """Use the vouchers of sales booked since the mark, and give back those of sales that went back whole; return how many moved."""
    mark = await lock_mark(session, source=MARK, until=until)
    window = {"first": uuid7_floor(mark - OVERLAP), "last": uuid7_floor(until)}
    moved = 0
    for redemption_id, amount_minor in (await session.execute(text(_PAID), window)).all():
        moved += await _use(session, redemption_id, amount_minor, actor, now)
    moved += await _give_back(session, (await session.scalars(text(_RETURNED), window)).all(), actor, now)
    await move_mark(session, source=MARK, to=max(mark, until))
    return moved


async def give_back(session: AsyncSession, *, account_id: UUID, sale_id: UUID, actor: Actor, now: datetime) -> int:
    """Make the vouchers of one sale good again, if all of it went back; return how many were. After its expiry a voucher is expired."""
    found = await session.scalars(text(_OF_SALE), {"account_id": account_id, "sale_id": sale_id})
    return await _give_back(session, found.all(), actor, now)


async def _give_back(session: AsyncSession, redemption_ids: Sequence[UUID], actor: Actor, now: datetime) -> int:
    done = 0
    for redemption_id in redemption_ids:
        redemption = await session.get(VoucherRedemption, redemption_id)
        if redemption is None or redemption.voucher_id is None:
            continue
        voucher, _ = await get_voucher_for_update(session, voucher_id=redemption.voucher_id)
        await session.refresh(redemption, with_for_update=True)
        if redemption.status in {RedemptionStatus.REDEEMED, RedemptionStatus.RESERVED}:
            await undo(session, voucher, redemption, reason="its sale went back", actor=actor, now=now)
            done += 1
    return done


async def _use(session: AsyncSession, redemption_id: UUID, amount_minor: int, actor: Actor, now: datetime) -> int:
    """Use what a booked sale was paid with, where it is still only set aside; what does not fit is left to the checks."""
    redemption = await session.get(VoucherRedemption, redemption_id)
    if redemption is None or redemption.voucher_id is None:
        return 0
    voucher, _ = await get_voucher_for_update(session, voucher_id=redemption.voucher_id)
    await session.refresh(redemption, with_for_update=True)
    if redemption.status is not RedemptionStatus.RESERVED or not 0 < amount_minor <= (redemption.honoured_minor or 0):
        return 0
    await use(session, voucher, redemption, amount_minor=amount_minor, actor=actor, now=now)
    return 1
