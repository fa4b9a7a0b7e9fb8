"""A partner's keys, without what opens anything."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.paging import all_as
from partners.model_api import PartnerApiKey


class KeyView(msgspec.Struct, frozen=True):
    """One key in a list."""

    key_id: UUID
    name: str
    prefix: str
    outlets: list[UUID] | None
    made_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


async def keys_of(session: AsyncSession, *, partner_id: UUID, most: int = 100) -> list[KeyView]:
    """Return a partner's keys, the living ones first, then the latest made."""
    one = PartnerApiKey
    wanted = select(*(getattr(one, name) for name in KeyView.__struct_fields__)).where(one.partner_id == partner_id)
    return await all_as(session, KeyView, wanted.order_by(one.revoked_at.is_not(None), one.key_id.desc()).limit(most))
