"""Receipts of a former system, line by line. They are put aside, not booked: `loyalty replay` makes pump traffic of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.importing.faults import Fault
from loyalty.importing.operations import NewLine, NewReceipt, put_receipts
from loyalty.importing.queries import CardPlace, cards_by_id, our_ids, products_by_code, receipts_by_id
from loyalty.importing.values import Field, Kind
from loyalty.stations.model import ProductCategory

from . import products
from .base import Context, KindOfRow, Results, Row, Taken
from .places import Stand, stands

FIELDS = {
    "receipt": Field(required=True),
    "card": Field(required=True),
    "station": Field(required=True),
    "event_at": Field(Kind.INSTANT, required=True),
    "product": Field(required=True),
    "unmetered_product": Field(),
    "quantity": Field(Kind.MILLI),
    "amount": Field(Kind.MINOR, required=True),
    "currency": Field(required=True),
}
"""`amount` is the whole line's money. `quantity` zero or absent: only the money is known, and a fuel line stands as `unmetered_product`."""

_NAMES = UUID("0f8a1f0a-5f0e-5a55-8a8b-6b7a6a0c9c11")


class Looked(NamedTuple):
    """What the rows of one set refer to."""

    cards: dict[str, UUID]
    places: dict[UUID, CardPlace]
    stands: dict[tuple[str, str | None], Stand | Fault]
    products: dict[str, UUID]
    codes: dict[str, tuple[UUID, ProductCategory]]


async def take(session: AsyncSession, context: Context, rows: Sequence[Row]) -> Results:
    """Put lines under their receipts; a receipt's lines may come in several sets."""
    looked = await _look_up(session, context, rows)
    results: Results = {}
    read: list[tuple[Row, NewReceipt, NewLine]] = []
    for row in rows:
        try:
            read.append((row, *_line(context.source, row, looked)))
        except Fault as fault:
            results[row.line] = fault
    receipts = await receipts_by_id(session, receipt_ids=list({receipt.receipt_id for _, receipt, _ in read}))
    kept: list[NewLine] = []
    for row, receipt, line in read:
        standing = receipts.setdefault(receipt.receipt_id, receipt)
        if standing != receipt:
            results[row.line] = Fault("receipt_differs", "receipt")
        else:
            kept.append(line)
            results[row.line] = Taken(line.line_id)
    used = {line.receipt_id for line in kept}
    await put_receipts(session, receipts=[receipt for key, receipt in receipts.items() if key in used], lines=kept)
    return results


async def _look_up(session: AsyncSession, context: Context, rows: Sequence[Row]) -> Looked:
    source = context.source
    cards = await our_ids(session, source=source, kind="accounts", legacy_ids=sorted({row.values["card"] for row in rows}))
    named = {row.values["product"] for row in rows} | {row.values["unmetered_product"] for row in rows} - {None}
    ours = await our_ids(session, source=source, kind="products", legacy_ids=sorted(named))
    return Looked(
        cards,
        await cards_by_id(session, card_ids=list(cards.values())),
        await stands(session, context, ((row.values["station"], row.values["currency"]) for row in rows)),
        ours,
        await products_by_code(session, codes=sorted(named), product_ids=list(ours.values())),
    )


def _line(source: str, row: Row, looked: Looked) -> tuple[NewReceipt, NewLine]:
    values = row.values
    card_id = looked.cards.get(values["card"])
    if card_id is None:
        raise Fault("unknown_card", "card", value=values["card"])
    place = looked.places[card_id]
    if place.currency != values["currency"]:
        raise Fault("currency_differs", "currency", value=values["currency"], of="account", wanted=place.currency)
    stand = looked.stands[values["station"], values["currency"]]
    if isinstance(stand, Fault):
        raise stand
    if values["amount"] <= 0:
        raise Fault("not_positive", "amount")
    if (values["quantity"] or 0) < 0:
        raise Fault("negative", "quantity")
    quantity: int | None = values["quantity"] or None
    product_id, category = _product(values["product"], looked)
    if quantity is None and category is ProductCategory.FUEL:
        # A pump that delivered nothing measurable is no fuel line; the map names the article that stands for the money.
        product_id, _ = _product(values["unmetered_product"], looked)
    event_at: datetime = values["event_at"]
    receipt = NewReceipt(
        uuid5(_NAMES, f"{source}/receipt/{values['receipt']}"),
        source,
        values["receipt"],
        card_id,
        place.account_id,
        stand.station_id,
        stand.currency,
        event_at,
    )
    line_id = uuid5(_NAMES, f"{source}/line/{row.legacy_id}")
    return receipt, NewLine(line_id, receipt.receipt_id, row.legacy_id, row.line, product_id, quantity, values["amount"])


def _product(name: str | None, looked: Looked) -> tuple[UUID, ProductCategory]:
    key = name or ""
    ours = looked.products.get(key)
    found = looked.codes.get(key) if ours is None else looked.codes.get(str(ours))
    if found is None:
        raise Fault("unknown_product", "product", value=key)
    return found


KIND = KindOfRow(FIELDS, take, products.prepare, amount="amount")
