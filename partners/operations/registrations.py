"""Registering a benefit's people with their partner, letting registrations lapse, and asking after it."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.topups.operations.traces import staff_of
from partners.model_feeds import REGISTRATION_MOVES, PartnerRegistration, RegistrationStatus
from partners.operations.alliances import lock_partner
from partners.queries.alliances import get_partner
from partners.queries.registrations import RegistrationNotFound, candidates


class NothingToFollowUp(Refusal):
    """It is not over, or somebody asked already."""

    status = 409
    zh = "该登记无需回访，或已回访。"
    en = "There is nothing to ask after, or somebody did."
    next_zh = "请刷新到期回访清单。"
    next_en = "Reload the list of what lapsed."


class Taken(NamedTuple):
    """What registering did: how many are new, how many have not consented, how many vouchers have no known holder."""

    added: int
    held_back: int
    nobody: int


async def register(session: AsyncSession, *, partner_id: UUID, benefit: str, now: datetime) -> Taken:
    """Register the holders of a benefit's vouchers who agreed to it, all at once; run again it adds nobody twice.

    Who has not agreed is left out without a word, and taken up when they do. Numbers follow under the partner's lock.

    :raises PartnerNotFound: if there is no such partner
    """
    await lock_partner(session, partner_id=partner_id)
    partner = await get_partner(session, partner_id=partner_id)
    found = await candidates(session, partner=partner, benefit=benefit, now=now)
    if found.fresh:
        last = select(func.coalesce(func.max(PartnerRegistration.number), 0)).where(PartnerRegistration.partner_id == partner_id)
        first = int(await session.scalar(last) or 0) + 1
        rows = [
            {
                "registration_id": uuid7(now),
                "partner_id": partner_id,
                "number": number,
                "benefit": benefit,
                "voucher_id": one.voucher_id,
                "customer_id": one.customer_id,
                "code_tail": one.code_tail,
                "opened_on": one.opened_on,
                "currency": one.currency,
                "cover_minor": one.cover_minor,
                "valid_from": one.valid_from,
                "valid_until": one.valid_until,
                "status": RegistrationStatus.TO_SEND,
                "held": False,
                "made_at": now,
                "changed_at": now,
            }
            for number, one in enumerate(found.fresh, first)
        ]
        await session.execute(insert(PartnerRegistration), rows)
    return Taken(len(found.fresh), found.held_back, found.nobody)


async def lapse(session: AsyncSession, *, partner_id: UUID, now: datetime) -> int:
    """Let registrations whose last day is over lapse, all at once; return how many.

    :raises PartnerNotFound: if there is no such partner
    """
    partner = await get_partner(session, partner_id=partner_id)
    today = clock.local_date(now, partner.zone)
    living = [status for status, moves in REGISTRATION_MOVES.items() if RegistrationStatus.LAPSED in moves]
    one = PartnerRegistration
    over = (
        update(one)
        .where(one.partner_id == partner_id, one.status.in_(living), one.valid_until <= today)
        .values(status=RegistrationStatus.LAPSED, changed_at=now)
        .returning(one.registration_id)
    )
    return len((await session.scalars(over)).all())


async def note_follow_up(session: AsyncSession, *, partner_id: UUID, registration_id: UUID, said: str, actor: Actor, now: datetime) -> None:
    """Note what came of asking somebody whose cover ends or is over: once.

    :raises RegistrationNotFound: if the partner has no such registration
    :raises NothingToFollowUp: if it has no end, was removed, or somebody asked
    """
    one = PartnerRegistration
    row = await session.scalar(locked(select(one).where(one.registration_id == registration_id, one.partner_id == partner_id)))
    if row is None:
        raise RegistrationNotFound(registration=registration_id)
    if row.valid_until is None or row.status is RegistrationStatus.REMOVED or row.followed_up_at is not None:
        raise NothingToFollowUp(registration=registration_id)
    row.follow_up, row.followed_up_at, row.followed_up_by = said, now, staff_of(actor)
    await session.flush()
    facts = {"registration": registration_id}
    await audit.record(session, actor=actor, action="partners.lapse_followed_up", subject=("partner", partner_id), facts=facts, now=now)
