"""Reading what was taken over."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Text, any_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.model import Card
from loyalty.cards.numbers import reveal_number
from loyalty.customers.model import Customer, CustomerKind
from loyalty.ledger.model import Account, Transfer, TransferKind
from loyalty.stations.model import Product, ProductCategory, Station

from .model import ImportRow, ImportRun, LegacyLine, LegacyReceipt, RunStatus
from .operations import NewReceipt


class Known(NamedTuple):
    """A row that was imported before."""

    our_id: UUID | None
    row_hash: bytes


async def known_rows(session: AsyncSession, *, source: str, kind: str, legacy_ids: Sequence[str]) -> dict[str, Known]:
    """Return which former ids were imported before, and how their rows read."""
    found = await session.execute(
        select(ImportRow.legacy_id, ImportRow.our_id, ImportRow.row_hash).where(
            ImportRow.source == source, ImportRow.kind == kind, ImportRow.legacy_id == any_(literal(list(legacy_ids), ARRAY(Text)))
        )
    )
    return {legacy_id: Known(our_id, row_hash) for legacy_id, our_id, row_hash in found}


async def our_ids(session: AsyncSession, *, source: str, kind: str, legacy_ids: Sequence[str]) -> dict[str, UUID]:
    """Return what former ids are here."""
    known = await known_rows(session, source=source, kind=kind, legacy_ids=legacy_ids)
    return {legacy_id: row.our_id for legacy_id, row in known.items() if row.our_id is not None}


async def unfinished_run(session: AsyncSession, *, source: str, kind: str, file_hash: bytes, map_hash: bytes) -> ImportRun | None:
    """Return the run of this very file and map that was killed, if the latest one was."""
    latest = await session.scalar(
        select(ImportRun)
        .where(ImportRun.file_hash == file_hash, ImportRun.map_hash == map_hash, ImportRun.source == source, ImportRun.kind == kind)
        .order_by(ImportRun.started_at.desc())
        .limit(1)
    )
    return latest if latest is not None and latest.status is RunStatus.RUNNING else None


async def customer_kinds(session: AsyncSession, *, customer_ids: Sequence[UUID]) -> dict[UUID, CustomerKind]:
    """Return whether customers are people or organisations."""
    found = await session.execute(select(Customer.customer_id, Customer.kind).where(Customer.customer_id.in_(list(customer_ids))))
    return {customer_id: kind for customer_id, kind in found}  # noqa: C416 - a Row is no pair for the type checker


class CardPlace(NamedTuple):
    """A card's account and its currency."""

    account_id: UUID
    currency: str


async def cards_by_id(session: AsyncSession, *, card_ids: Sequence[UUID]) -> dict[UUID, CardPlace]:
    """Return the accounts of cards."""
    found = await session.execute(
        select(Card.card_id, Card.account_id, Account.currency)
        .join(Account, Account.account_id == Card.account_id)
        .where(Card.card_id.in_(list(card_ids)))
    )
    return {card_id: CardPlace(account_id, currency) for card_id, account_id, currency in found}


async def product_codes(session: AsyncSession, *, product_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return products' codes."""
    found = await session.execute(select(Product.product_id, Product.code).where(Product.product_id.in_(list(product_ids))))
    return {product_id: code for product_id, code in found}  # noqa: C416 - as above


async def products_by_code(
    session: AsyncSession, *, codes: Sequence[str], product_ids: Sequence[UUID]
) -> dict[str, tuple[UUID, ProductCategory]]:
    """Return products by their code and by their id as text, whichever was asked for."""
    found = await session.execute(
        select(Product.product_id, Product.code, Product.category).where(
            or_(Product.code.in_(list(codes)), Product.product_id.in_(list(product_ids)))
        )
    )
    both: dict[str, tuple[UUID, ProductCategory]] = {}
    for product_id, code, category in found:
        both[code] = both[str(product_id)] = (product_id, category)
    return both


async def receipts_by_id(session: AsyncSession, *, receipt_ids: Sequence[UUID]) -> dict[UUID, NewReceipt]:
    """Return receipts that stand, as they would be written."""
    found = await session.execute(
        select(
            LegacyReceipt.receipt_id,
            LegacyReceipt.source,
            LegacyReceipt.legacy_id,
            LegacyReceipt.card_id,
            LegacyReceipt.account_id,
            LegacyReceipt.station_id,
            LegacyReceipt.currency,
            LegacyReceipt.event_at,
        ).where(LegacyReceipt.receipt_id.in_(list(receipt_ids)))
    )
    return {row[0]: NewReceipt(*row) for row in found}


class ReceiptLine(NamedTuple):
    """A line of a receipt to be replayed."""

    legacy_id: str
    product: str
    fuel: bool
    quantity_milli: int | None
    amount_minor: int


class Receipt(NamedTuple):
    """A receipt to be replayed, with its card's number in clear: it never prints."""

    receipt_id: UUID
    source: str
    legacy_id: str
    card_id: UUID
    account_id: UUID
    station_id: UUID
    station_code: str
    currency: str
    event_at: datetime
    number: str
    lines: tuple[ReceiptLine, ...]

    @property
    def amount_minor(self) -> int:
        """What it came to."""
        return sum(line.amount_minor for line in self.lines)

    def __repr__(self) -> str:
        return f"Receipt({self.legacy_id}, {self.event_at:%Y-%m-%d %H:%M}, {self.amount_minor} {self.currency})"


async def list_receipts(session: AsyncSession, *, source: str | None = None) -> list[Receipt]:
    """Return all receipts in the order in which they happened, their lines in the file's order."""
    lines: dict[UUID, list[ReceiptLine]] = {}
    found = await session.execute(
        select(
            LegacyLine.receipt_id, LegacyLine.legacy_id, Product.code, Product.category, LegacyLine.quantity_milli, LegacyLine.amount_minor
        )
        .join(Product, Product.product_id == LegacyLine.product_id)
        .order_by(LegacyLine.position, LegacyLine.line_id)
    )
    for receipt_id, legacy_id, code, category, quantity, amount in found:
        lines.setdefault(receipt_id, []).append(ReceiptLine(legacy_id, code, category is ProductCategory.FUEL, quantity, amount))
    heads = (
        select(LegacyReceipt, Station.code, Card.number_sealed)
        .join(Station, Station.station_id == LegacyReceipt.station_id)
        .join(Card, Card.card_id == LegacyReceipt.card_id)
        .order_by(LegacyReceipt.event_at, LegacyReceipt.receipt_id)
    )
    if source is not None:
        heads = heads.where(LegacyReceipt.source == source)
    return [
        Receipt(
            head.receipt_id,
            head.source,
            head.legacy_id,
            head.card_id,
            head.account_id,
            head.station_id,
            code,
            head.currency,
            head.event_at,
            reveal_number(card_id=head.card_id, sealed=sealed),
            tuple(lines[head.receipt_id]),
        )
        for head, code, sealed in await session.execute(heads)
    ]


async def opening_balances(session: AsyncSession, *, account_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return what accounts brought from the former system, minor units; those that brought nothing are left out."""
    found = await session.execute(
        select(Transfer.account_id, func.sum(Transfer.amount_minor))
        .where(Transfer.account_id.in_(list(account_ids)), Transfer.kind == TransferKind.OPENING)
        .group_by(Transfer.account_id)
    )
    return {account_id: int(amount) for account_id, amount in found}
