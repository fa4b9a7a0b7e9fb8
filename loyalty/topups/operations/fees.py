"""Fees: a replacement card, from the account or at the till."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.ids import uuid7
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import HouseCode, TransferKind
from loyalty.ledger.operations import InsufficientFunds, Leg
from loyalty.ledger.queries import get_account_for_update, lock_purses
from loyalty.money import decimal_text
from loyalty.stations.queries import get_station
from loyalty.topups.model import Fee, Tender
from loyalty.topups.offering import OFFICE
from loyalty.topups.rules import own_principal, require_amount

from .booking import require_open, tender_house
from .loads import use_reference
from .traces import note


async def charge_fee(
    session: AsyncSession,
    *,
    account_id: UUID,
    amount_minor: int,
    code: str,
    actor: Actor,
    event_at: datetime,
    now: datetime,
    card_id: UUID | None = None,
    station_id: UUID | None = None,
    terminal_id: UUID | None = None,
    tender: Tender | None = None,
    reference: str | None = None,
) -> UUID:
    """Charge a fee to the legal entity of the station (the office's where there is none) and return the operation's id.

    Without `tender` the account's principal pays, never its bonus; with one it is taken at the till `terminal_id`, counts in that till's
    shift, and touches no purse.

    :raises AccountNotFound: if there is no such account
    :raises AccountNotOpen: if it is frozen or closed
    :raises AmountNotPositive: if there is nothing to charge
    :raises InsufficientFunds: if the principal does not hold it
    :raises PaymentReferenceNeeded: if a wallet's number is missing
    :raises PaymentAlreadyUsed: if that payment was used before
    """
    require_amount(amount_minor)
    account = await get_account_for_update(session, account_id=account_id)
    require_open(account)
    entity = OFFICE if station_id is None else str((await get_station(session, station_id=station_id)).entity_id)
    fee = await ledger.ensure_house(session, code=HouseCode.FEE, currency=account.currency, reference=entity, now=now)
    operation_id = uuid7(now)
    if tender is None:
        principal = own_principal(await lock_purses(session, account_id=account_id))
        if principal.available_minor < amount_minor:
            raise InsufficientFunds(
                available=decimal_text(max(principal.available_minor, 0), account.currency),
                wanted=decimal_text(amount_minor, account.currency),
                unit=account.currency,
            )
        source = principal.purse_id
    else:
        await use_reference(
            session,
            tender=tender,
            reference=reference,
            subject=("fee", operation_id),
            amount_minor=amount_minor,
            currency=account.currency,
            now=now,
        )
        source = await tender_house(session, station_id=station_id, tender=tender, currency=account.currency, now=now)
    leg = Leg(source, fee, amount_minor, TransferKind.FEE, account.currency, card_id, station_id)
    await ledger.post(session, account_id=account_id, legs=[leg], operation_id=operation_id, event_at=event_at, now=now)
    session.add(
        Fee(
            fee_id=operation_id,
            account_id=account_id,
            card_id=card_id,
            code=code,
            tender=tender,
            currency=account.currency,
            amount_minor=amount_minor,
            station_id=station_id,
            terminal_id=terminal_id,
            staff_id=actor.staff_id,
            event_at=event_at,
            booked_at=now,
        )
    )
    note(
        session,
        subject=("fee", operation_id),
        moved_to="charged",
        actor=actor,
        reason=code,
        facts={"amount_minor": amount_minor, "account": str(account_id)},
        now=now,
    )
    await session.flush()
    return operation_id
