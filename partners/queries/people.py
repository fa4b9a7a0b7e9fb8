"""Who may come into a partner's portal, and who was asked to."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.identity.model_partner import PartnerInvitation, PartnerRole, PartnerUser
from loyalty.paging import all_as
from partners.model import PartnerOutlet


class PersonView(msgspec.Struct, frozen=True):
    """A partner's user, without anything that opens a door."""

    user_id: UUID
    name: str
    role: PartnerRole
    log_in_name: str
    outlet_id: UUID | None
    outlet_zh: str | None
    outlet_en: str | None
    totp_confirmed_at: datetime | None
    phone_hash: bytes | None
    last_log_in_at: datetime | None
    disabled_at: datetime | None


class AskedView(msgspec.Struct, frozen=True):
    """An open invitation."""

    invitation_id: UUID
    email: str | None
    name: str | None
    role: PartnerRole
    outlet_zh: str | None
    outlet_en: str | None
    expires_at: datetime


_OUTLET = {"outlet_zh": PartnerOutlet.name_zh, "outlet_en": PartnerOutlet.name_en}


async def people_of(session: AsyncSession, *, partner_id: UUID) -> list[PersonView]:
    """Return a partner's people, those who can log in first."""
    columns = [_OUTLET.get(name) or getattr(PartnerUser, name) for name in PersonView.__struct_fields__]
    wanted = select(*columns).outerjoin(PartnerOutlet, PartnerOutlet.outlet_id == PartnerUser.outlet_id)
    return await all_as(
        session,
        PersonView,
        wanted.where(PartnerUser.partner_id == partner_id).order_by(PartnerUser.disabled_at.is_not(None), PartnerUser.user_id),
    )


async def asked_of(session: AsyncSession, *, partner_id: UUID, now: datetime) -> list[AskedView]:
    """Return a partner's open invitations, the latest first. `now` is real."""
    columns = [_OUTLET.get(name) or getattr(PartnerInvitation, name) for name in AskedView.__struct_fields__]
    wanted = select(*columns).outerjoin(PartnerOutlet, PartnerOutlet.outlet_id == PartnerInvitation.outlet_id)
    return await all_as(
        session,
        AskedView,
        wanted.where(
            PartnerInvitation.partner_id == partner_id,
            PartnerInvitation.accepted_at.is_(None),
            PartnerInvitation.withdrawn_at.is_(None),
            PartnerInvitation.expires_at > now,
        ).order_by(PartnerInvitation.invitation_id.desc()),
    )
