"""Cards with their accounts and what those held: opening balances come from the house account `migration`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.card_numbers import plain_card_number
from loyalty.cards.model import CardProduct, CardStatus, ProductKind
from loyalty.cards.operations import create_card_product
from loyalty.cards.operations.adopting import AdoptedCard, adopt_cards, taken_numbers, taken_plates
from loyalty.cards.queries import list_products
from loyalty.cards.rules import is_organisations
from loyalty.customers.model import CustomerKind
from loyalty.customers.queries import find_by_references
from loyalty.importing.faults import Fault
from loyalty.importing.queries import customer_kinds
from loyalty.importing.values import Field, Kind
from loyalty.limits.rules import plate_key

from .base import Context, KindOfRow, Results, Row, Taken

FIELDS = {
    "number": Field(required=True),
    "card_product": Field(required=True),
    "customer": Field(),
    "currency": Field(),
    "opening": Field(Kind.MINOR),
    "opened_at": Field(Kind.INSTANT),
    "status": Field(),
    "plate": Field(),
    "holder_label": Field(),
    "expires_on": Field(Kind.DATE),
    "issued_at": Field(Kind.INSTANT),
}
"""`opening` is what the account held at `opened_at`, in `currency`; `status` one of active, suspended, lost, closed."""

_STATUSES = {
    "": CardStatus.ACTIVE,
    "issued": CardStatus.ISSUED,
    "active": CardStatus.ACTIVE,
    "suspended": CardStatus.SUSPENDED,
    "lost": CardStatus.LOST,
    "closed": CardStatus.CLOSED,
}


async def prepare(session: AsyncSession, context: Context) -> None:
    """Make the card products that the map names and that are not there."""
    standing = {product.code for product in await list_products(session)}
    for terms in context.map.setup.card_products:
        if terms.code not in standing:
            await create_card_product(
                session,
                code=terms.code,
                name_zh=terms.name_zh,
                name_en=terms.name_en,
                kind=ProductKind(terms.kind),
                currency=terms.currency,
                number_bin=terms.number_bin,
                number_length=terms.number_length,
                policy=context.policy,
                now=context.now,
            )


async def take(session: AsyncSession, context: Context, rows: Sequence[Row]) -> Results:
    """Adopt the cards whose number, product and holder fit; one movement an opening balance."""
    results: Results = {}
    products = {product.code: product for product in await list_products(session)}
    references = sorted({row.values["customer"] for row in rows if row.values["customer"]})
    holders = await find_by_references(session, source=context.source, references=references)
    kinds = await customer_kinds(session, customer_ids=list(holders.values()))
    numbers = {row.line: plain_card_number(row.values["number"]) for row in rows}
    taken = await taken_numbers(session, numbers=list(numbers.values()))
    fits: list[tuple[Row, AdoptedCard]] = []
    for row in rows:
        try:
            card = _card(row.values, numbers[row.line], products, holders, kinds, taken)
        except Fault as fault:
            results[row.line] = fault
        else:
            taken.add(card.number)
            fits.append((row, card))
    fits = await _free_plates(session, fits, results)
    results |= await _adopt(session, context, fits)
    return results


def _card(
    values: Any,
    number: str,
    products: dict[str, CardProduct],
    holders: dict[str, Any],
    kinds: dict[UUID, CustomerKind],
    taken: set[str],
) -> AdoptedCard:
    if not (number.isascii() and number.isdigit() and 8 <= len(number) <= 24):
        raise Fault("card_number_not_sound", "number")
    if number in taken:
        raise Fault("card_number_taken", "number")
    product = products.get(values["card_product"])
    if product is None:
        raise Fault("unknown_card_product", "card_product", value=values["card_product"])
    if values["currency"] not in {None, product.currency}:
        raise Fault("currency_differs", "currency", value=values["currency"], of="card product", wanted=product.currency)
    if (values["opening"] or 0) < 0:
        raise Fault("negative", "opening")
    status = _STATUSES.get(values["status"] or "")
    if status is None:
        raise Fault("not_a_choice", "status", value=values["status"], choices=", ".join(filter(None, _STATUSES)))
    plate = plate_key(values["plate"]) if values["plate"] else None
    if product.kind is ProductKind.FLEET and plate is None:
        raise Fault("plate_needed", "plate")
    return AdoptedCard(
        number=number,
        product=product,
        customer_id=_holder(values["customer"], product, holders, kinds),
        status=status,
        opening_minor=values["opening"] or 0,
        plate=plate,
        holder_label=values["holder_label"],
        expires_on=values["expires_on"],
        issued_at=values["issued_at"],
    )


def _holder(reference: str | None, product: CardProduct, holders: dict[str, Any], kinds: dict[UUID, CustomerKind]) -> UUID | None:
    if product.kind is ProductKind.ANONYMOUS:
        if reference:
            raise Fault("holder_does_not_fit", "customer")
        return None
    if not reference or reference not in holders:
        raise Fault("unknown_customer", "customer", value=reference or "")
    customer_id: UUID = holders[reference]
    if (kinds[customer_id] is CustomerKind.ORGANISATION) is not is_organisations(product.kind):
        raise Fault("holder_does_not_fit", "customer")
    return customer_id


async def _free_plates(session: AsyncSession, fits: list[tuple[Row, AdoptedCard]], results: Results) -> list[tuple[Row, AdoptedCard]]:
    """Keep the fleet cards whose vehicle has no other: one vehicle, one card."""
    fleet = {
        (card.customer_id, card.plate)
        for _, card in fits
        if card.product.kind is ProductKind.FLEET and card.customer_id is not None and card.plate is not None
    }
    if not fleet:
        return fits
    gone = await taken_plates(session, plates=fleet)
    kept = []
    for row, card in fits:
        pair = None if card.customer_id is None or card.plate is None else (card.customer_id, card.plate)
        if card.product.kind is ProductKind.FLEET and pair in gone:
            results[row.line] = Fault("vehicle_has_card", "plate")
            continue
        if card.product.kind is ProductKind.FLEET and pair is not None:
            gone.add(pair)
        kept.append((row, card))
    return kept


async def _adopt(session: AsyncSession, context: Context, fits: Sequence[tuple[Row, AdoptedCard]]) -> Results:
    """Adopt set by set: all rows whose balances are of one instant."""
    results: Results = {}
    sets: dict[datetime, list[tuple[Row, AdoptedCard]]] = {}
    for row, card in fits:
        sets.setdefault(row.values["opened_at"] or context.now, []).append((row, card))
    for opened_at, both in sorted(sets.items()):
        adopted = await adopt_cards(
            session,
            source=context.source,
            cards=[card for _, card in both],
            operation_id=context.run_id,
            opened_at=opened_at,
            actor=context.actor,
            now=context.now,
        )
        results |= {row.line: Taken(each.card_id) for (row, _), each in zip(both, adopted, strict=True)}
    return results


KIND = KindOfRow(FIELDS, take, prepare, amount="opening")
