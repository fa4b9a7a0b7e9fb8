"""From the rows of the two reads to the facts of a decision. A request whose account has several purses comes as several rows."""

from typing import Any, Final
from uuid import UUID

import msgspec

from loyalty.authorizations.facts import AuthorizationFacts, CardFacts, FillFacts
from loyalty.ids import NOBODY
from loyalty.ledger.rules import PurseView
from loyalty.limits.rules import compiled

from .requests import HotRequest


def card_facts(rows: list[Any], accounts: dict[UUID, list[PurseView]]) -> CardFacts | None:
    """Build a card's facts from its rows of the read; None where there is no such card.

    Its purses are those of `accounts` where an earlier request of the batch has changed them.
    """
    row = rows[0]
    if row["card_id"] is None:
        return None
    (card_id, account_id, product_id, status, version, pin_verifier, pin_generation, pin_tries, chain_id, check_value_index) = row[4:14]
    (expires_on, number_tail, account_status, account_kind, currency, limits) = row[14:20]
    (*used, last_at) = row[20:30]
    counters: dict[str, tuple[int, int, int]] = {}
    if last_at is not None:
        day_amount, day_quantity, day_count, week_amount, week_quantity, week_count, month_amount, month_quantity, month_count = used
        counters = {
            "day": (day_amount or 0, day_quantity or 0, day_count or 0),
            "week": (week_amount or 0, week_quantity or 0, week_count or 0),
            "month": (month_amount or 0, month_quantity or 0, month_count or 0),
        }
    own = accounts.get(account_id)
    return CardFacts(
        card_id,
        account_id,
        product_id,
        status,
        version,
        pin_verifier,
        pin_generation,
        pin_tries,
        chain_id,
        check_value_index,
        expires_on,
        number_tail,
        account_status,
        account_kind,
        currency,
        None if limits is None else compiled(limits),
        counters,
        last_at,
        merged(own, rows) if own is not None else purses_in(rows),
    )


CARD_PURSE: Final = 30
"""Where the purse's eight columns begin in a row of the cards' read."""
ORIGINAL_PURSE: Final = 28
"""And in one of the authorisations' read."""


def purses_in(rows: list[Any], at: int = CARD_PURSE) -> list[PurseView]:
    return [PurseView(*row[at : at + 8]) for row in rows if row[at] is not None]


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
    return AuthorizationFacts(
        account_id=request.account_id,
        authorization_id=request.authorization_id or NOBODY,
        card_id=row["card_id"],
        chain_id=row["chain_id"],
        station_id=row["station_id"],
        product_id=row["product_id"],
        status=row["status"],
        reason=row["reason"],
        flow=row["flow"],
        nozzle=row["nozzle"],
        approved_minor=row["approved_minor"],
        approved_milli=row["approved_milli"],
        unit_price_e4=row["unit_price_e4"],
        holds=tuple(zip(row["hold_purses"], row["hold_minors"], strict=True)),
        captured_minor=row["captured_minor"],
        captured_milli=row["captured_milli"],
        completions=row["completions"],
        frozen=None if row["frozen"] is None else msgspec.json.decode(row["frozen"]),
        event_at=row["event_at"],
        expires_at=row["expires_at"],
        business_day=row["business_day"],
        card_product_id=row["card_product_id"],
        number_tail=row["number_tail"],
        currency=row["currency"],
        purses=purses,
    )
