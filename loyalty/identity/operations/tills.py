"""Staff at a till that has its own key: card and PIN travel sealed in the request they are for, and no session is kept."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.errors import NotAllowed
from loyalty.identity.queries import grants_of
from loyalty.identity.rules import PERMISSIONS, Permission
from loyalty.ids import StaffId

from .counter import judge_card


@dataclass(frozen=True, slots=True)
class Identified:
    """The answer to a staff card and PIN at a till; without a staff id it was refused."""

    staff_id: StaffId | None = None
    locked: bool = False
    """No tries are left: for an unknown card the same is said."""


async def identify_at_till(session: AsyncSession, *, terminal_id: UUID, card_number: str, pin: str, now: datetime) -> Identified:
    """Say who a staff card and PIN are. The answer may leave only after the caller's commit: the try was counted. `now` is real time."""
    staff, locked = await judge_card(session, terminal_id, card_number, pin, now=now)
    return Identified(locked=locked) if staff is None else Identified(StaffId(staff.staff_id))


async def require_at_station(session: AsyncSession, *, staff_id: UUID, permission: Permission, station_id: UUID, now: datetime) -> None:
    """Hold that a member of staff may do this at this station, by the roles in force.

    :raises NotAllowed: if not
    """
    grants = await grants_of(session, staff_id=staff_id, now=now)
    if not any(permission in PERMISSIONS[grant.role] and grant.reaches(station_id) for grant in grants):
        raise NotAllowed(permission=permission.value)
