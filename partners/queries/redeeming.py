"""Where something is redeemed, and what was booked for it."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.rewards.model_vouchers import VoucherRedemption
from loyalty.rewards.voucher_rules import Outlet
from partners.model import OutletStatus, Partner, PartnerOutlet, PartnerStatus
from partners.model_lines import PartnerLine

from .alliances import OutletNotFound


class Counter(NamedTuple):
    """An outlet that serves, with what of its partner matters there."""

    partner_id: UUID
    partner_code: str
    partner_status: PartnerStatus
    currency: str
    zone: str
    outlet_id: UUID
    outlet_code: str
    outlet_status: OutletStatus
    why_paused: str | None

    @property
    def outlet(self) -> Outlet:
        """The outlet as the voucher kernel knows it: its keys and its guesses are its own."""
        name = f"partner:{self.partner_code}"
        return Outlet(name, frozenset({name, f"{name}/{self.outlet_code}"}), caller=f"outlet:{self.outlet_id}")


async def counter_of(session: AsyncSession, *, outlet_id: UUID) -> Counter:
    """Return an outlet's counter, whether it serves or not.

    :raises OutletNotFound: if there is none
    """
    row = (
        await session.execute(
            select(
                *(Partner.partner_id, Partner.code, Partner.status, Partner.currency, Partner.zone),
                *(PartnerOutlet.outlet_id, PartnerOutlet.code, PartnerOutlet.status, PartnerOutlet.why_paused),
            )
            .join(Partner, Partner.partner_id == PartnerOutlet.partner_id)
            .where(PartnerOutlet.outlet_id == outlet_id)
        )
    ).one_or_none()
    if row is None:
        raise OutletNotFound(outlet=outlet_id)
    return Counter(*row)


async def line_for(session: AsyncSession, *, partner_id: UUID, source: str) -> PartnerLine | None:
    """Return the line that was booked for something; None where none was."""
    found: PartnerLine | None = await session.scalar(
        select(PartnerLine).where(PartnerLine.partner_id == partner_id, PartnerLine.source == source)
    )
    return found


class Held(NamedTuple):
    """What a key set aside: the voucher, and the amount that was asked for (None: all)."""

    voucher_id: UUID
    asked_minor: int | None


async def reserved_under(session: AsyncSession, *, caller: str, key: UUID) -> Held | None:
    """Return what an outlet's key had set aside, whatever became of it; None where it had nothing."""
    one = VoucherRedemption
    wanted = select(one.voucher_id, one.asked_minor).where(one.caller == caller, one.key == key, one.voucher_id.is_not(None))
    row = (await session.execute(wanted)).one_or_none()
    return None if row is None or row[0] is None else Held(row[0], row[1])


async def living_card(session: AsyncSession, *, index: bytes) -> str | None:
    """Return the end of the number of an active card, by its blind index; the one thing of cards that a partner's session may ask."""
    tail: str | None = await session.scalar(text("SELECT number_tail FROM living_card(:index)"), {"index": index})
    return tail
