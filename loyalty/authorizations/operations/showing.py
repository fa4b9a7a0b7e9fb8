"""A card shown for something else than money: its holder spends points, or takes what is his. Judged as the pump judges it."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.authorizations.facts import Place
from loyalty.authorizations.hot import local_time
from loyalty.authorizations.reasons import Reason
from loyalty.authorizations.rules import Presented, Refused, card_refuses, credential_refuses, place_refuses, word
from loyalty.authorizations.snapshot import Snapshot
from loyalty.authorizations.wire import Credential, Said
from loyalty.cards.model import Card
from loyalty.cards.operations import check_pin, touch_cards
from loyalty.cards.queries import get_card_for_update
from loyalty.ledger.queries import get_account

from .reading import card_by_index, card_facts


class Shown(NamedTuple):
    """A card that was shown, and why it may not spend: None where it may."""

    card: Card | None
    refused: Said | None


async def judge_holder(
    session: AsyncSession,
    *,
    snapshot: Snapshot,
    place: Place,
    number_index: bytes,
    credential: Credential,
    presented: Presented,
    actor: Actor,
    now: datetime,
) -> Shown:
    """Judge a card and what its holder showed, under the card's lock: a number alone never spends.

    A wrong PIN is counted, a holder's code is used up. The answer may leave only after the caller's commit.
    """
    found = await card_by_index(session, number_index=number_index)
    if found is None:
        return Shown(None, _said(Refused(Reason.CARD_UNKNOWN), place))
    card = await get_card_for_update(session, card_id=found.card_id)
    account = await get_account(session, account_id=card.account_id)
    local = local_time(now, place.zone)
    facts = await card_facts(session, card=card, account=account, purses=[], day=local.date())
    terms = snapshot.card_terms.get(card.product_id)
    refused = place_refuses(place) or card_refuses(facts, terms, place, local)
    if refused is None:
        assert terms is not None, "a card without terms is refused above"
        refused, tries = credential_refuses(facts, terms, credential, presented)
        if tries is not None and presented.pin is not None:
            # What the pump writes itself is written here by the room whose rows they are: the try, and the lock after three.
            await check_pin(session, card_id=card.card_id, pin=presented.pin, actor=actor, station_id=place.station_id, now=now)
    if refused is not None:
        return Shown(card, _said(refused, place, card))
    if presented.token_version is not None:
        await touch_cards(
            session, card_ids=[card.card_id], actor=actor, reason="the holder's code was used", station_id=place.station_id, now=now
        )
    return Shown(card, None)


def _said(refused: Refused, place: Place, card: Card | None = None) -> Said:
    said = Said(outcome="declined", currency=place.currency, card=None if card is None else card.number_tail)
    word(said, refused)
    return said
