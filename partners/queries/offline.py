"""Offline: what is used up, what stands under a lease, what came of it, and what it may cost."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.paging import all_as
from loyalty.rewards.model_vouchers import Voucher, VoucherStatus
from partners.model import OutletStatus, PartnerOutlet
from partners.model_offline import OfflineClaim, OfflineLease, OfflineToken
from partners.offline_rules import OfflineCode, OfflineStatus, bound_on_loss
from partners.rules import Offline


class OfflineClaimView(msgspec.Struct, frozen=True):
    """What a phone told and what became of it."""

    claim_id: UUID
    outlet_id: UUID
    key: UUID
    status: OfflineStatus
    code: OfflineCode
    in_budget: bool
    served_at: datetime
    received_at: datetime
    served_by: str
    loss_minor: int
    line: int | None


class OfflineStanding(msgspec.Struct, frozen=True):
    """What working offline may cost with a partner, and what it did; minor units."""

    outlets: int
    bound_minor: int
    open_leases: int
    """That are not settled."""
    told: int
    refused: int
    losses: int
    loss_minor: int
    over_budget: int


async def used_up(session: AsyncSession, *, partner_id: UUID, now: datetime) -> list[UUID]:
    """Return the vouchers with codes that are still good although the voucher is not, or is worth less: what phones must not honour."""
    wanted = (
        select(OfflineToken.voucher_id)
        .join(Voucher, Voucher.voucher_id == OfflineToken.voucher_id)
        .where(
            OfflineToken.partner_id == partner_id,
            OfflineToken.ends_at > now,
            (Voucher.status != VoucherStatus.ISSUED) | (Voucher.left_minor < OfflineToken.worth_minor),
        )
        .order_by(OfflineToken.voucher_id)
    )
    return list(await session.scalars(wanted))


async def claims_of(session: AsyncSession, *, partner_id: UUID, outlet_id: UUID | None = None, limit: int = 50) -> list[OfflineClaimView]:
    """Return what was told last, the latest first."""
    of = [OfflineClaim.partner_id == partner_id]
    if outlet_id is not None:
        of.append(OfflineClaim.outlet_id == outlet_id)
    columns = [getattr(OfflineClaim, name) for name in OfflineClaimView.__struct_fields__]
    return await all_as(session, OfflineClaimView, select(*columns).where(*of).order_by(OfflineClaim.claim_id.desc()).limit(limit))


async def standing_offline(session: AsyncSession, *, partner_id: UUID, agreed: Offline, now: datetime) -> OfflineStanding:
    """Return what may be lost at most between two syncs, and what was."""
    outlets = await session.scalar(
        select(func.count()).where(PartnerOutlet.partner_id == partner_id, PartnerOutlet.status != OutletStatus.CLOSED)
    )
    leases = await session.scalar(
        select(func.count()).where(OfflineLease.partner_id == partner_id, OfflineLease.settled_at.is_(None), OfflineLease.settle_by > now)
    )
    one = OfflineClaim
    counts = (
        await session.execute(
            select(
                func.count(),
                func.count().filter(one.status == OfflineStatus.REFUSED),
                func.count().filter(one.loss_minor > 0),
                func.coalesce(func.sum(one.loss_minor), 0),
                func.count().filter(~one.in_budget & (one.status != OfflineStatus.REFUSED)),
            ).where(one.partner_id == partner_id)
        )
    ).one()
    told, refused, losses, loss_minor, over = (int(each) for each in counts)
    return OfflineStanding(
        outlets=outlets or 0,
        bound_minor=bound_on_loss(agreed, outlets=outlets or 0),
        open_leases=leases or 0,
        told=told,
        refused=refused,
        losses=losses,
        loss_minor=loss_minor,
        over_budget=over,
    )


async def known_claims(session: AsyncSession, *, keys: Sequence[UUID], partner_id: UUID) -> list[OfflineClaim]:
    """Return what was told before under any of these keys."""
    wanted = select(OfflineClaim).where(OfflineClaim.partner_id == partner_id, OfflineClaim.key.in_(list(keys)))
    return list(await session.scalars(wanted))


async def honoured_here(session: AsyncSession, *, outlet_id: UUID, voucher_id: UUID) -> list[UUID | None]:
    """Return the leases under which an outlet honoured a voucher before."""
    one = OfflineClaim
    wanted = select(one.lease_id).where(
        one.voucher_id == voucher_id, one.outlet_id == outlet_id, one.status.in_((OfflineStatus.BOOKED, OfflineStatus.LOSS))
    )
    return list(await session.scalars(wanted))
