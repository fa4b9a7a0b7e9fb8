"""PINs: set, changed, tried, locked after three wrong ones in a row on every channel, unlocked by a person.

A try is counted and its transaction committed before anybody learns the result, so the functions that try a PIN answer and never raise
for a wrong one; the card's row lock makes parallel guesses wait for each other. The pump does the same inside its own functions.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.cards.model import PIN_TRIES, Card, EventKind
from loyalty.cards.queries import get_card_for_update
from loyalty.cards.rules import PinAnswer, PinCheck, PinFault, pin_fault
from loyalty.crypto import pin_matches, pin_verifier
from loyalty.errors import Refusal

from .moving import CardIsBearer, record, require_living

_FAULTS_ZH = {
    PinFault.LENGTH: "密码须为 4 至 6 位数字",
    PinFault.REPEATED: "密码不能是同一个数字",
    PinFault.RUN: "密码不能是连续数字",
}
_FAULTS_EN = {
    PinFault.LENGTH: "A PIN has 4 to 6 digits",
    PinFault.REPEATED: "A PIN must not repeat one digit",
    PinFault.RUN: "A PIN must not be digits in a row",
}


class PinTooSimple(Refusal):
    """Not 4 to 6 digits, or among the first that anybody would guess."""

    status = 422
    zh = "{said_zh}。"
    en = "{said_en}."
    next_zh = "请换一个密码。"
    next_en = "Choose another PIN."


class IdentityNotSeen(Refusal):
    """A PIN is unlocked, or set anew, by a person who has checked who asks."""

    status = 403
    zh = "解锁或重置密码须先核对持卡人证件，或由企业管理员二次验证。"
    en = "Unlocking or resetting a PIN needs the holder's ID seen, or the company administrator's second factor."
    next_zh = "请核对身份后再操作。"
    next_en = "Check the identity, then try again."


async def set_pin(
    session: AsyncSession,
    *,
    card_id: UUID,
    pin: str,
    identity_seen: bool,
    actor: Actor,
    now: datetime,
    station_id: UUID | None = None,
    reason: str = "forgotten",
) -> Card:
    """Give a card a new PIN without the old one, and unlock it. `identity_seen`: ID at an outlet, or the administrator's second factor.

    :raises CardNotFound: if there is no such card
    :raises CardCannotMove: if it is blank, replaced or closed
    :raises CardIsBearer: if it is anonymous and has a PIN: nobody can prove to be its holder
    :raises IdentityNotSeen: if nobody checked who asks
    :raises PinTooSimple: if the PIN is none, or easily guessed
    """
    card = await get_card_for_update(session, card_id=card_id)
    require_living(card)
    if card.bearer and card.pin_verifier is not None:
        raise CardIsBearer(card=card_id)
    if not identity_seen and card.pin_verifier is not None:
        raise IdentityNotSeen(card=card_id)
    await put_pin(session, card, pin, kind=EventKind.PIN_SET, actor=actor, station_id=station_id, reason=reason, now=now)
    await session.flush()
    return card


def require_sound_pin(pin: str) -> None:
    """Make sure that a PIN is one: a card's, or a company's driver's.

    :raises PinTooSimple: if it is none, or easily guessed
    """
    fault = pin_fault(pin)
    if fault is not None:
        raise PinTooSimple(fault=fault.value, said_zh=_FAULTS_ZH[fault], said_en=_FAULTS_EN[fault])


async def put_pin(
    session: AsyncSession, card: Card, pin: str, *, kind: EventKind, actor: Actor, station_id: UUID | None, reason: str, now: datetime
) -> None:
    """Store a locked card's new PIN: the generation and the version rise, the tries begin anew.

    :raises PinTooSimple: if the PIN is none, or easily guessed
    """
    require_sound_pin(pin)
    card.pin_generation += 1
    card.pin_verifier = pin_verifier(card_id=card.card_id, generation=card.pin_generation, pin=pin)
    card.pin_tries = 0
    card.version += 1
    await record(session, card, kind, actor=actor, station_id=station_id, reason=reason, now=now, facts={"generation": card.pin_generation})


async def check_pin(
    session: AsyncSession, *, card_id: UUID, pin: str, actor: Actor, now: datetime, station_id: UUID | None = None
) -> PinAnswer:
    """Try a PIN. The answer may leave only after the caller's commit.

    :raises CardNotFound: if there is no such card
    """
    card = await get_card_for_update(session, card_id=card_id)
    answer = await _try(session, card, pin, actor=actor, station_id=station_id, now=now)
    await session.flush()
    return answer


async def change_pin(
    session: AsyncSession, *, card_id: UUID, old_pin: str, new_pin: str, actor: Actor, now: datetime, station_id: UUID | None = None
) -> PinAnswer:
    """Change a PIN by the old one; only where the answer is RIGHT has it been changed. The answer may leave only after the caller's commit.

    The new PIN is judged first, so that a refusal never takes back a counted try.

    :raises CardNotFound: if there is no such card
    :raises CardCannotMove: if it is blank, replaced or closed
    :raises PinTooSimple: if the new PIN is none, or easily guessed
    """
    require_sound_pin(new_pin)
    card = await get_card_for_update(session, card_id=card_id)
    require_living(card)
    answer = await _try(session, card, old_pin, actor=actor, station_id=station_id, now=now)
    if answer.check is PinCheck.RIGHT:
        await put_pin(session, card, new_pin, kind=EventKind.PIN_CHANGED, actor=actor, station_id=station_id, reason="by old PIN", now=now)
    await session.flush()
    return answer


async def unlock_pin(
    session: AsyncSession, *, card_id: UUID, identity_seen: bool, actor: Actor, now: datetime, station_id: UUID | None = None
) -> Card:
    """Give back the three tries; the PIN stays. At any outlet with ID, or by the company's administrator with a second factor.

    :raises CardNotFound: if there is no such card
    :raises CardCannotMove: if it is blank, replaced or closed
    :raises CardIsBearer: if it is anonymous: it is registered first, with ID
    :raises IdentityNotSeen: if nobody checked who asks, or a machine asks
    """
    card = await get_card_for_update(session, card_id=card_id)
    require_living(card)
    if card.bearer:
        raise CardIsBearer(card=card_id)
    if not identity_seen or actor.kind not in {ActorKind.STAFF, ActorKind.CUSTOMER, ActorKind.COMPANY_USER}:
        raise IdentityNotSeen(card=card_id)
    card.pin_tries = 0
    card.version += 1
    await record(session, card, EventKind.PIN_UNLOCKED, actor=actor, station_id=station_id, reason="identity seen", now=now)
    await session.flush()
    return card


async def _try(session: AsyncSession, card: Card, pin: str, *, actor: Actor, station_id: UUID | None, now: datetime) -> PinAnswer:
    if card.pin_verifier is None:
        return PinAnswer(PinCheck.NOT_SET, 0)
    if card.pin_tries >= PIN_TRIES:
        return PinAnswer(PinCheck.LOCKED, 0)
    if pin_matches(card.pin_verifier, card_id=card.card_id, generation=card.pin_generation, pin=pin):
        card.pin_tries = 0
        return PinAnswer(PinCheck.RIGHT, PIN_TRIES)
    card.pin_tries += 1
    if card.pin_tries < PIN_TRIES:
        return PinAnswer(PinCheck.WRONG, PIN_TRIES - card.pin_tries)
    card.version += 1
    await record(session, card, EventKind.PIN_LOCKED, actor=actor, station_id=station_id, reason="three wrong ones in a row", now=now)
    return PinAnswer(PinCheck.LOCKED, 0)
