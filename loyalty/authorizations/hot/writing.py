"""From decisions to the parameters of the write: arrays of records, one a kind of row."""

from datetime import datetime
from typing import Any, Final

import msgspec

from loyalty.authorizations.decision import Decision, Write
from loyalty.authorizations.snapshot import Snapshot
from loyalty.ids import uuid7

from .requests import HotRequest

_NO_ORIGINAL: Final = (None, None, None)
_UNCOUNTED: Final = (None, None, None)
_UNSEEN: Final = (None, None)
_AUTHORIZATION: Final = int(Write.AUTHORIZATION)
_SALE: Final = int(Write.SALE)
_COMPLETION: Final = int(Write.COMPLETION)
_json: Final = msgspec.json.Encoder().encode


def _document(value: dict[str, Any] | None) -> str | None:
    return None if value is None else _json(value).decode()


def write_arguments(now: datetime, snapshot: Snapshot, decided: list[tuple[HotRequest, Decision]]) -> list[Any]:
    """Lay decisions out as the write's parameters: of a record the driver does not ask each value whether it is a list."""
    items: list[tuple[Any, ...]] = []
    changes: list[tuple[Any, ...]] = []
    receivables: list[tuple[Any, ...]] = []
    transfers: list[tuple[Any, ...]] = []
    cards = originals = fills = tries = counting = limited = authorizations = sales = 0
    for place, (request, made) in enumerate(decided, 1):
        account, write = made.account_id, made.write
        original, original_status, completions = made.authorization or _NO_ORIGINAL
        counter_day, (counted_minor, counted_milli, counted) = (
            (None, _UNCOUNTED) if made.counted is None else (made.counter_day, made.counted)
        )
        cards += made.card_id is not None
        originals += original is not None
        fills += made.fill_id is not None
        tries += made.tries_new is not None
        counting += counter_day is not None
        limited += made.counter_seen is not None
        authorizations += write == _AUTHORIZATION
        sales += write == _SALE or write == _COMPLETION  # noqa: PLR1714 - two comparisons cost less than a set
        items.append(
            (
                *(
                    place,
                    request.place.terminal_id,
                    request.key,
                    request.epoch,
                    request.sequence,
                    request.operation,
                    account,
                    made.subject_id,
                ),
                *(request.fingerprint, request.record_hash, request.previous_hash, made.answer),
                *(made.card_id, made.card_version, made.card_tries, made.tries_new),
                *(write, made.chain_id, made.station_id, made.status, made.reason, made.flow, made.nozzle, made.product_id),
                *(made.requested_minor, made.gross_minor, made.quantity_milli, made.unit_price_e4, made.discount_minor, made.card_minor),
                *(made.currency, _document(made.detail), _document(made.prompts), made.flags, made.staff_id, made.fill_id),
                *(made.event_at, made.expires_at, made.business_day),
                *(counter_day, counted_minor, counted_milli, counted),
                *(made.counter_seen or _UNSEEN),
                *(original, original_status, completions),
            )
        )
        changes += [(place, account, change.purse_id, change.held, change.balance, change.seen) for change in made.changes]
        if made.new_receivable is not None:
            receivables.append((place, account, made.new_receivable, made.currency))
        by = (made.subject_id, made.card_id, made.station_id, made.event_at)
        transfers += [
            (place, account, uuid7(now), debit, credit, amount, made.currency, kind, *by) for debit, credit, amount, kind in made.transfers
        ]
    counts = (cards, originals, fills, tries, counting, limited, authorizations, sales)
    return [now, snapshot.revisions, snapshot.period, items, changes or None, receivables or None, transfers or None, *counts]
