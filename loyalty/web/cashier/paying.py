"""A customer's voucher as a part of what is paid: chosen on the card's page, set aside before the sale, used with it or free again."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid5

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.wire import SaleAnswer, Tender
from loyalty.db import transaction
from loyalty.rewards.model_vouchers import VoucherStatus
from loyalty.rewards.operations import redemptions
from loyalty.rewards.queries import vouchers as voucher_queries
from loyalty.rewards.queries.vouchers import RedemptionView, VoucherView
from loyalty.rewards.voucher_rules import RESERVED_FOR, Outlet, Standing, unfit
from loyalty.web.cashier.sheets import CardSheet
from loyalty.web.cashier.till import Till
from loyalty.web.endings import good_through

VOUCHER: Final = "voucher"
"""The tender's name, and the form's field."""


class Payer(msgspec.Struct, frozen=True, kw_only=True):
    """A voucher that may pay a part of what is bought here and now."""

    voucher_id: UUID
    name: str
    left_minor: int
    whole: bool
    """It is used whole, also for less than its worth."""
    ends: str


async def payers_of(till: Till, session: AsyncSession, sheet: CardSheet, *, plate: str | None = None) -> list[Payer]:
    """Return the customer's vouchers that are money and honoured at this station, those that end first."""
    held = [one for one in await vouchers_of(session, sheet, (VoucherStatus.ISSUED,)) if one.left_minor and one.currency == till.currency]
    if not held:
        # Most customers have none: the place's names are not looked up for them.
        return []
    names = (await outlet_of(till, session)).names
    return [
        Payer(
            voucher_id=one.voucher_id,
            name=till.either(one.name_zh, one.name_en),
            left_minor=one.left_minor or 0,
            whole=not one.partial,
            ends=till.gettext("until %(day)s", day=good_through(till.f, one.expires_at)) if one.expires_at else "",
        )
        for one in held
        if unfit(Standing(one.status, one.expires_at, one.outlets, one.plate), at=names, plate=plate, now=till.now) is None
    ]


async def vouchers_of(session: AsyncSession, sheet: CardSheet, statuses: Sequence[VoucherStatus]) -> list[VoucherView]:
    """Return what a card's holder has: a customer's of all cards, a bearer's of the one account."""
    if sheet.customer_id is not None:
        return await voucher_queries.vouchers_of_customer(session, customer_id=sheet.customer_id, statuses=statuses)
    return await voucher_queries.vouchers_of_account(session, account_id=sheet.account_id, statuses=statuses)


async def outlet_of(till: Till, session: AsyncSession) -> Outlet:
    """Return this till as an outlet that honours vouchers."""
    return await voucher_queries.outlet_of_station(session, station_id=till.place.station_id, terminal_id=till.place.terminal_id)


async def earlier(till: Till, session: AsyncSession) -> RedemptionView | None:
    """Return what this very form set aside before: its answer was lost, or Enter was pressed twice.

    :raises CodeNotHonoured: if it was set aside for too long and is free again
    """
    outlet = await outlet_of(till, session)
    known = await voucher_queries.find_redemption(session, caller=outlet.caller, key=_key(till))
    if known is not None and known.rolled_back_at is not None and known.rolled_back_at >= known.reserved_at + RESERVED_FOR:
        raise redemptions.CodeNotHonoured
    return known


async def set_aside(till: Till, chosen: Payer, *, due_minor: int, plate: str | None) -> RedemptionView:
    """Set the chosen voucher aside for what is due, once for the form's key; raises like `redemptions.reserve`."""
    async with transaction(till.sessions) as session:
        return await redemptions.reserve(
            session,
            voucher_id=chosen.voucher_id,
            at=await outlet_of(till, session),
            key=_key(till),
            amount_minor=min(chosen.left_minor, due_minor),
            plate=plate,
            actor=till.actor,
            now=till.now,
        )


def tender_of(reserved: RedemptionView) -> Tender:
    """Return what was set aside as the sale's tender."""
    assert reserved.honoured_minor is not None, "only money is offered as a tender"
    return Tender(tender="voucher", amount_minor=reserved.honoured_minor, reference=str(reserved.redemption_id))


async def settle(till: Till, answer: SaleAnswer) -> None:
    """Use what was set aside if the sale is booked, else let it go."""
    async with transaction(till.sessions) as session:
        outlet = await outlet_of(till, session)
        if answer.sale is not None:
            await redemptions.redeem(session, at=outlet, key=_key(till), actor=till.actor, now=till.now)
        else:
            await redemptions.roll_back(session, at=outlet, key=_key(till), reason="sale declined", actor=till.actor, now=till.now)


def _key(till: Till) -> UUID:
    return uuid5(till.key, VOUCHER)
