"""Signed codes of vouchers, which a partner's outlet can check while the network is gone."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.clock import local_date
from loyalty.crypto import Purpose, issue_token
from loyalty.crypto.encoding import seconds_of
from loyalty.rewards.model_vouchers import Voucher, VoucherKind, VoucherStatus
from partners.line_rules import price_of
from partners.model import Partner, PartnerStatus
from partners.model_offline import OfflineToken
from partners.offline_rules import OfflineVoucher, offline_outlets, token_ends
from partners.queries.alliances import agreement_on

from .counter import SIGNED_AFTER

PAGE = "/partner#"
_TAIL = 3


async def offline_code(session: AsyncSession, *, voucher_id: UUID, now: datetime) -> str | None:
    """Return a fresh signed code of a voucher for its holder's page; None where it is honoured online only.

    The caller made sure that it is the holder who asks. Online only: what is not one partner's alone, is not agreed for offline, is worth
    more than is agreed, or is not good just now.
    """
    found = (
        await session.execute(
            select(Voucher, VoucherKind)
            .join(VoucherKind, VoucherKind.kind_id == Voucher.kind_id)
            .where(Voucher.voucher_id == voucher_id)
            .execution_options(populate_existing=True)
        )
    ).one_or_none()
    if found is None:
        return None
    voucher, kind = found
    where = offline_outlets(kind.outlets)
    if voucher.status is not VoucherStatus.ISSUED or kind.online_only or where is None:
        return None
    partner_code, outlets = where
    partner = await session.scalar(select(Partner).where(Partner.code == partner_code, Partner.status == PartnerStatus.ACTIVE))
    if partner is None or (voucher.currency is not None and voucher.currency != partner.currency):
        return None
    agreed = await agreement_on(session, partner_id=partner.partner_id, day=local_date(now, partner.zone))
    if agreed is None or agreed.terms.offline is None:
        return None
    benefit = next((one for one in agreed.terms.benefits if one.voucher_kind == kind.code), None)
    worth = voucher.left_minor if voucher.left_minor is not None or benefit is None else price_of(benefit)
    ends_at = token_ends(agreed.terms.offline, now=now, voucher_ends=voucher.expires_at)
    if benefit is None or worth is None or worth > agreed.terms.offline.worth_minor or ends_at <= now:
        return None
    one = OfflineToken
    shown = upsert(one).values(
        voucher_id=voucher_id, partner_id=partner.partner_id, worth_minor=voucher.left_minor, shown_at=now, ends_at=ends_at
    )
    changed = {
        "shown_at": now,
        "ends_at": func.greatest(one.ends_at, shown.excluded.ends_at),
        "worth_minor": func.greatest(one.worth_minor, shown.excluded.worth_minor),
    }
    await session.execute(shown.on_conflict_do_update(index_elements=["voucher_id", "partner_id"], set_=changed))
    told = OfflineVoucher(
        voucher=voucher_id.bytes,
        partner=partner_code,
        benefit=benefit.code,
        worth_minor=voucher.left_minor,
        ends_at=None if voucher.expires_at is None else seconds_of(voucher.expires_at),
        plate_tail=None if voucher.plate is None else voucher.plate[-_TAIL:],
        outlets=outlets,
    )
    return issue_token(Purpose.VOUCHER, told, expires_at=ends_at)


async def offline_path(session: AsyncSession, *, voucher_id: UUID, code: str, now: datetime) -> str | None:
    """Return what an ordinary camera opens: the counter's page, behind its mark the voucher's own code and the signed one.

    None where it is honoured online only. What follows the mark is sent to nobody.
    """
    signed = await offline_code(session, voucher_id=voucher_id, now=now)
    return None if signed is None else f"{PAGE}{code}{SIGNED_AFTER}{signed}"
