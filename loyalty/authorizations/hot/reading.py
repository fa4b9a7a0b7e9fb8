"""From the rows of the two reads to the facts of a decision. A request whose account has several purses comes as several rows."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

import msgspec

from loyalty.authorizations.facts import AuthorizationFacts, CardFacts, FillFacts
from loyalty.authorizations.levelling import subjects_in
from loyalty.ids import NOBODY
from loyalty.ledger.rules import PurseView
from loyalty.limits.queries import above_of
from loyalty.limits.rules import compiled
from loyalty.pricing.basket import Person
from loyalty.pricing.freezing import Frozen

from .requests import HotRequest


def card_facts(rows: list[Any], accounts: dict[UUID, list[PurseView]]) -> CardFacts | None:
    """Build a card's facts from its rows of the read; None where there is no such card.

    Its purses are those of `accounts` where an earlier request of the batch has changed them.
    """
    row = rows[0]
    if row[_CARD] is None:
        return None
    limits, last_at = row[_LIMITS], row[_LAST_AT]
    own = accounts.get(row[_CARD + 1])
    return CardFacts._make(
        (
            *row[_CARD:_LIMITS],
            None if limits is None else compiled(limits),
            None if last_at is None else row[_LIMITS + 1 : _LAST_AT],
            last_at,
            merged(own, rows) if own is not None else purses_in(rows),
            None if row["needs"] is None else above_of(*row[_ABOVE:_PERSON]),
        )
    )


_CARD: Final = 1
"""Where the card's columns begin in a row of the cards' read, in the order of `CardFacts`; its limits' document follows them, …"""
_LIMITS: Final = 16
_LAST_AT: Final = 26
"""… the nine sums of its counters, and when they last changed."""
CARD_PURSE: Final = 27
"""Where the purse's nine columns begin in a row of the cards' read."""
ORIGINAL_PURSE: Final = 25
"""And in one of the authorisations' read."""
_ORIGINAL: Final = 1
"""Where the authorisation's columns begin there, in the order of `AuthorizationFacts`, …"""
_HOLDS: Final = 12
"""… its holds (purses, amounts), and …"""
_FROZEN: Final = 17
"""… what was frozen of the rules."""
_PURSE_COLUMNS: Final = 9
_ABOVE: Final = CARD_PURSE + _PURSE_COLUMNS + 8
"""Where what stands over a company's card begins in a row of the cards' read: after purse and fill."""
_PERSON: Final = _ABOVE + 7
"""Where the customer's facts begin in a row of the cards' full read."""
_BARE: Final = _PERSON
"""How long a row is without them."""
_frozen: Final = msgspec.json.Decoder(Frozen)


def person_of(card: CardFacts, row: Any) -> Person:
    """Build what rules know of the customer; without the full read no rule asks more than the account."""
    if len(row) == _BARE:
        return Person(card.account_id, card.chain_id, None, card.account_kind)
    facts = row[_PERSON : _PERSON + 8]
    caps, starts, amounts, times = row[_PERSON + 8 : _PERSON + 12]
    had = {} if caps is None else dict(zip(zip(caps, starts, strict=True), zip(amounts, times, strict=True), strict=True))
    return Person._make((card.account_id, card.chain_id, facts[0], card.account_kind, *facts[1:7], True, facts[7], had))


def with_counts(person: Person, counted: Mapping[UUID, Mapping[tuple[UUID, date], Sequence[int]]]) -> Person:
    """Add what other requests of the same batch counted for this card, account or customer."""
    of_this = [
        counted[subject]
        for subject in {person.chain_id, person.account_id, person.customer_id}
        if subject is not None and subject in counted
    ]
    if not of_this:
        return person
    had = dict(person.had)
    for counts in of_this:
        for at, (amount, times) in counts.items():
            before = had.get(at, (0, 0))
            had[at] = before[0] + amount, before[1] + times
    return person._replace(had=had)


def purses_in(rows: list[Any], at: int = CARD_PURSE) -> list[PurseView]:
    return [PurseView._make(row[at : at + _PURSE_COLUMNS]) for row in rows if row[at] is not None]


def merged(own: list[PurseView], rows: list[Any]) -> list[PurseView]:
    """Join what the batch changed with purses that only this card sees."""
    known = {purse.purse_id: purse for purse in own}
    for purse in purses_in(rows):
        if purse.purse_id not in known:
            known[purse.purse_id] = purse
            own.append(purse)
    return own


def fill_facts(fill_id: UUID | None, row: Any) -> FillFacts | None:
    """Build the facts of a fill from a row of the read; None where it was not found."""
    if fill_id is None or row["fill_station"] is None:
        return None
    return FillFacts(
        fill_id,
        row["fill_station"],
        row["fill_nozzle"],
        row["fill_product"],
        row["fill_quantity"],
        row["fill_price"],
        row["fill_amount"],
        row["fill_status"],
        row["fill_locked_until"],
    )


def authorization_facts(request: HotRequest, row: Any, purses: list[PurseView]) -> AuthorizationFacts:
    """Build an authorisation's facts from its row of the read."""
    frozen = row[_FROZEN]
    return AuthorizationFacts._make(
        (
            request.account_id,
            request.authorization_id or NOBODY,
            *row[_ORIGINAL:_HOLDS],
            tuple(zip(row[_HOLDS], row[_HOLDS + 1], strict=True)),
            *row[_HOLDS + 2 : _FROZEN],
            None if frozen is None else _frozen.decode(frozen),
            *row[_FROZEN + 1 : ORIGINAL_PURSE - 1],
            purses,
            () if row["prompts"] is None else subjects_in(msgspec.json.decode(row["prompts"])),
        )
    )
