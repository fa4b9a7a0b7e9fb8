"""What a former receipt becomes at the pump: pure, the same receipts give the same requests with the same keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from loyalty.importing.queries import Receipt, ReceiptLine
from loyalty.money import round_half_up

_KEYS: Final = UUID("6b0f8d0c-6c9d-5d0e-9a53-0f7f5b6f8e21")


class Verb(StrEnum):
    """What a till does with some lines of a receipt."""

    TOP_UP = "top_up"
    AUTHORISE = "authorise"
    COMPLETE = "complete"
    SELL = "sell"
    ADVISE = "advise"


class Part(NamedTuple):
    """Lines of a receipt that go together: a fuel line alone, the shop's, those without a quantity."""

    verb: Verb
    lines: tuple[ReceiptLine, ...]

    @property
    def amount_minor(self) -> int:
        """What they came to."""
        return sum(line.amount_minor for line in self.lines)


class Planned(NamedTuple):
    """A receipt, what its account must be loaded with before, and its parts in order."""

    receipt: Receipt
    top_up_minor: int
    parts: tuple[Part, ...]


def request_key(source: str, verb: Verb, legacy_id: str) -> UUID:
    """Return the idempotency key of a request: computed from the former transaction's id, so a second replay has no effect."""
    return uuid5(_KEYS, f"{source}/{verb}/{legacy_id}")


def plan(receipts: Sequence[Receipt], opening_minor: Mapping[UUID, int]) -> list[Planned]:
    """Plan all receipts in the order they happened.

    `opening_minor` is what each account brought from the former system; an account is loaded only with what a receipt needs beyond that,
    reckoned over all its receipts, so that a replay of some of them plans the same for each.
    """
    left = dict(opening_minor)
    planned = []
    for receipt in receipts:
        held = left.get(receipt.account_id, 0)
        due = receipt.amount_minor
        planned.append(Planned(receipt, max(0, due - held), parts_of(receipt)))
        left[receipt.account_id] = max(0, held - due)
    return planned


def parts_of(receipt: Receipt) -> tuple[Part, ...]:
    """Divide a receipt: each metered fuel line is authorised and completed, shop lines are one sale, what has no quantity is an advice."""
    fuel = [Part(Verb.AUTHORISE, (line,)) for line in receipt.lines if line.fuel and line.quantity_milli]
    shop = tuple(line for line in receipt.lines if not line.fuel and line.quantity_milli)
    unmetered = tuple(line for line in receipt.lines if not line.quantity_milli)
    others = [Part(verb, lines) for verb, lines in ((Verb.SELL, shop), (Verb.ADVISE, unmetered)) if lines]
    return (*fuel, *others)


def unit_price_e4(line: ReceiptLine, digits: int) -> int:
    """Return a line's unit price in 1/10,000: money by quantity, half-up. The pump's amount stays authoritative."""
    assert line.quantity_milli, "only metered lines have a price"
    return round_half_up(line.amount_minor * 10 ** (7 - digits), line.quantity_milli)


def authorisation_body(receipt: Receipt, line: ReceiptLine, card: Mapping[str, str]) -> dict[str, Any]:
    """Return what is asked before the fuel flows: a preset of the line's money, at the time of the receipt."""
    return {
        "card": dict(card),
        "product": line.product,
        "amount_minor": line.amount_minor,
        "partial": False,
        "event_at": written(receipt.event_at),
    }


def completion_body(receipt: Receipt, line: ReceiptLine, digits: int) -> dict[str, Any]:
    """Return what the pump delivered."""
    return {
        "quantity_milli": line.quantity_milli,
        "unit_price_e4": unit_price_e4(line, digits),
        "amount_minor": line.amount_minor,
        "event_at": written(receipt.event_at),
    }


def sale_body(receipt: Receipt, part: Part, card: Mapping[str, str]) -> dict[str, Any]:
    """Return a sale of shop lines."""
    return {"card": dict(card), "shop": shop_lines(part.lines), "event_at": written(receipt.event_at)}


def advice_record(receipt: Receipt, part: Part, digits: int) -> dict[str, Any]:
    """Return the record of something that happened and is told afterwards; a fuel line that has its litres stays one."""
    record: dict[str, Any] = {
        "key": str(request_key(receipt.source, Verb.ADVISE, part.lines[0].legacy_id)),
        "event_at": written(receipt.event_at),
        "card": {"number": receipt.number},
        "why": "late",
    }
    fuel = [line for line in part.lines if line.fuel and line.quantity_milli]
    if fuel:
        line = fuel[0]
        record["fuel"] = {
            "product": line.product,
            "quantity_milli": line.quantity_milli,
            "unit_price_e4": unit_price_e4(line, digits),
            "amount_minor": line.amount_minor,
        }
    shop = [line for line in part.lines if line not in fuel]
    if shop:
        record["shop"] = shop_lines(shop)
    return record


def top_up_body(planned: Planned) -> dict[str, Any]:
    """Return the load a receipt needs, paid by bank card at the counter."""
    receipt = planned.receipt
    return {
        "card": {"number": receipt.number},
        "amount_minor": planned.top_up_minor,
        "tender": "card",
        "event_at": written(receipt.event_at),
    }


def shop_lines(lines: Sequence[ReceiptLine]) -> list[dict[str, Any]]:
    """Return lines as the API takes them; without a quantity they are one piece there."""
    said: list[dict[str, Any]] = []
    for line in lines:
        each: dict[str, Any] = {"product": line.product, "amount_minor": line.amount_minor}
        if line.quantity_milli:
            each["quantity_milli"] = line.quantity_milli
        said.append(each)
    return said


def written(instant: datetime) -> str:
    """Write an instant as the requests have it."""
    return instant.isoformat()


def due_after_s(planned: Sequence[Planned], speed: float | None) -> list[float]:
    """Return how many seconds after the start each receipt is due, at `speed` times real time; None: at once."""
    if not planned or speed is None:
        return [0.0] * len(planned)
    first = planned[0].receipt.event_at
    return [(each.receipt.event_at - first).total_seconds() / speed for each in planned]
