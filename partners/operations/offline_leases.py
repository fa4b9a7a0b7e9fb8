"""Leases: one phone of an outlet may honour signed codes for some hours, with all that it needs to judge them."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.clock import local_date
from loyalty.crypto import Purpose, b64url, public_keys
from loyalty.ids import uuid7
from partners.line_rules import price_of
from partners.model import PartnerOutlet
from partners.model_offline import OfflineLease
from partners.offline_rules import budget_of
from partners.queries.alliances import agreement_on
from partners.queries.offline import used_up

from .redeeming import serving


class OfflineBenefit(msgspec.Struct, frozen=True):
    """A benefit as a phone names it."""

    code: str
    name_zh: str
    name_en: str
    price_minor: int | None


class Kit(msgspec.Struct, frozen=True):
    """All that a phone needs while nobody can be asked; times in seconds since 1970, amounts in minor units."""

    lease: UUID
    partner: str
    outlet: str
    currency: str
    given_at: int
    """The server's clock, to which the phone sets its own."""
    until: int
    """Then the list is too old."""
    uses: int
    amount_minor: int
    worth_minor: int
    keys: dict[str, str]
    """The issuer's public keys, base64url by key id."""
    benefits: list[OfflineBenefit]
    used_up: list[str]
    """Vouchers that must not be honoured, by their ids in hexadecimal."""


async def take_lease(session: AsyncSession, *, outlet_id: UUID, device: UUID, granted_to: str, now: datetime) -> Kit | None:
    """Give a phone a lease with a fresh list; its earlier one is settled by that: it has told everything. None: there is none to give.

    There is none where nothing is agreed for offline, or another phone of the outlet has one that is not settled.

    :raises OutletNotFound: if there is no such outlet
    :raises PartnerNotServing, OutletNotServing: if it serves nobody
    """
    at = await serving(session, outlet_id=outlet_id)
    agreed = await agreement_on(session, partner_id=at.partner_id, day=local_date(now, at.zone))
    if agreed is None or agreed.terms.offline is None:
        return None
    offline = agreed.terms.offline
    # Two phones that ask at once ask one after the other.
    await session.execute(select(PartnerOutlet.outlet_id).where(PartnerOutlet.outlet_id == outlet_id).with_for_update())
    one = OfflineLease
    wanted = select(one).where(one.outlet_id == outlet_id, one.settled_at.is_(None)).with_for_update()
    before = await session.scalar(wanted.execution_options(populate_existing=True))
    if before is not None:
        if before.device != device and now < before.settle_by:
            return None
        before.settled_at = now
        await session.flush()
    # A phone that moved to another outlet has told everything of the one before.
    elsewhere = update(one).where(one.partner_id == at.partner_id, one.device == device, one.settled_at.is_(None))
    await session.execute(elsewhere.values(settled_at=now))
    lease_id = uuid7(now)
    until = now + timedelta(hours=offline.list_hours)
    session.add(
        one(
            lease_id=lease_id,
            partner_id=at.partner_id,
            outlet_id=outlet_id,
            agreement_id=agreed.agreement_id,
            device=device,
            granted_at=now,
            until=until,
            settle_by=until + timedelta(hours=offline.token_hours),
            uses=offline.uses,
            amount_minor=budget_of(offline),
            used=0,
            used_minor=0,
            settled_at=None,
            granted_to=granted_to,
        )
    )
    await session.flush()
    return Kit(
        lease=lease_id,
        partner=at.partner_code,
        outlet=at.outlet_code,
        currency=at.currency,
        given_at=int(now.timestamp()),
        until=int(until.timestamp()),
        uses=offline.uses,
        amount_minor=budget_of(offline),
        worth_minor=offline.worth_minor,
        keys={str(key_id): b64url(key) for key_id, key in public_keys(Purpose.VOUCHER).items()},
        benefits=[OfflineBenefit(each.code, each.name_zh, each.name_en, price_of(each)) for each in agreed.terms.benefits],
        used_up=[each.hex for each in await used_up(session, partner_id=at.partner_id, now=now)],
    )
