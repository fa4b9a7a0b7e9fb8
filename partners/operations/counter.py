"""At a partner's counter, one request at a time: a code is looked at, then used; a card is shown for a member's price.

Each guess is counted in the request's own transaction, which ends well although the guess was wrong: a refusal is an answer here. A code
that is admitted and then refused for another reason takes its count back with everything else.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.authorizations.hot_api import read_code
from loyalty.card_numbers import plain_card_number
from loyalty.cards.numbers import number_index
from loyalty.clock import local_date
from loyalty.crypto import TokenError
from loyalty.identity.model import AttemptKind
from loyalty.identity.operations import attempts
from loyalty.ids import uuid7
from loyalty.rewards.operations import redemptions
from loyalty.rewards.queries.vouchers import VoucherView, get_voucher
from partners.line_rules import price_of
from partners.queries.alliances import agreement_on
from partners.queries.redeeming import counter_of, living_card
from partners.rules import Benefit

from .redeeming import WITHOUT_VOUCHER, PartnerNotServing, Served, redeem, serving

_CODE_AFTER: Final = "/#=?"
SIGNED_AFTER: Final = "."
"""Between a voucher's own code and the signed one, which a counter without a network reads."""


class Shown(msgspec.Struct, frozen=True):
    """A voucher that is good here and now, as the counter is told of it."""

    voucher: VoucherView
    benefit: str
    price_minor: int | None
    """What it is worth here where it is no money; None: nothing is said."""


class Member(msgspec.Struct, frozen=True):
    """A card that was shown, by the end of its number."""

    tail: str


def code_in(scanned: str) -> str:
    """Return the code in what was scanned or typed: the last part of an address, or all of it, without the signed code behind its point."""
    plain = scanned.strip()
    if "://" in plain:
        for mark in _CODE_AFTER:
            plain = plain.rsplit(mark, 1)[-1]
    return plain.partition(SIGNED_AFTER)[0]


async def look(session: AsyncSession, *, outlet_id: UUID, typed: str, now: datetime) -> Shown | None:
    """Return the voucher that a code names, if it may be used here; None for every other code, which counts as a guess.

    :raises OutletNotFound: if there is no such outlet
    :raises PartnerNotServing, OutletNotServing: if it serves nobody
    :raises TooManyWrongCodes: if the outlet's tries are used up
    """
    at = await serving(session, outlet_id=outlet_id)
    agreed = await agreement_on(session, partner_id=at.partner_id, day=local_date(now, at.zone))
    if agreed is None:
        raise PartnerNotServing
    voucher_id = await redemptions.admit_code(session, typed=code_in(typed), at=at.outlet, key=uuid7(now), plate_later=True, now=now)
    if voucher_id is None:
        return None
    voucher = await get_voucher(session, voucher_id=voucher_id)
    benefit = next((one for one in agreed.terms.benefits if one.voucher_kind == voucher.kind_code), None)
    if benefit is None or (voucher.currency is not None and voucher.currency != at.currency):
        return None
    return Shown(voucher, benefit.code, price_of(benefit))


async def redeem_code(
    session: AsyncSession,
    *,
    outlet_id: UUID,
    typed: str,
    key: UUID,
    served_by: str,
    actor: Actor,
    now: datetime,
    amount_minor: int | None = None,
    gross_minor: int | None = None,
    plate: str | None = None,
) -> Served | None:
    """Redeem what a code names, once for its key; None for every code that is not good here. Raises as `redeeming.redeem` else."""
    at = await counter_of(session, outlet_id=outlet_id)
    voucher_id = await redemptions.admit_code(session, typed=code_in(typed), at=at.outlet, key=key, plate=plate, now=now)
    if voucher_id is None:
        return None
    return await redeem(
        session,
        outlet_id=outlet_id,
        voucher_id=voucher_id,
        key=key,
        served_by=served_by,
        amount_minor=amount_minor,
        gross_minor=gross_minor,
        plate=plate,
        actor=actor,
        now=now,
    )


async def member_shown(session: AsyncSession, *, outlet_id: UUID, typed: str, now: datetime) -> Member | None:
    """Return the card that its holder's code or its number names, if it lives; None for everything else, which counts as a guess.

    It spends nothing, so that a number is enough: who is served by it is a member. All that a partner learns of a card is that it lives,
    and the end of its number, which is printed on it.

    :raises TooManyWrongCodes: if the outlet's tries are used up
    """
    at = await counter_of(session, outlet_id=outlet_id)
    if not await attempts.take_attempt(session, kind=AttemptKind.VOUCHER_CODE, subject=at.outlet.caller, now=now):
        raise redemptions.TooManyWrongCodes
    plain = code_in(typed)
    try:
        index = number_index(plain_card_number(plain)) if plain_card_number(plain).isdigit() else read_code(plain).index
    except TokenError:
        return None
    tail = await living_card(session, index=index)
    if tail is None:
        return None
    await attempts.forgive(session, kind=AttemptKind.VOUCHER_CODE, subject=at.outlet.caller, only_this=True)
    return Member(tail)


async def prices_for_members(session: AsyncSession, *, outlet_id: UUID, now: datetime) -> list[Benefit]:
    """Return what members get at an outlet without a voucher, as it is agreed for today."""
    at = await counter_of(session, outlet_id=outlet_id)
    agreed = await agreement_on(session, partner_id=at.partner_id, day=local_date(now, at.zone))
    return [] if agreed is None else [one for one in agreed.terms.benefits if one.kind in WITHOUT_VOUCHER]
