"""What whoever asks sales again is handed: the rulebook, and the places, goods and cards that sales name."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from loyalty.authorizations.facts import Product
from loyalty.pricing.basket import Where
from loyalty.pricing.compiling import Book, Names
from loyalty.pricing.document import Document

from .asking import Asks, asks_of, kinds_of_places
from .queries.rows import Books, Kinds, Part
from .replaying import Cut, Place, World


class Order(NamedTuple):
    """Everything a worker needs, sent once a pass."""

    dsn: str
    settings: dict[str, str]
    number: int
    document: bytes
    """`Document` as JSON."""
    names: Names
    places: dict[UUID, tuple[Where, str]]
    """By station: the place and its zone."""
    products: list[Product]
    cards: dict[str, str]
    """Card products: id → code."""
    budgets: Mapping[UUID, int]
    books: Books
    currency: str
    since: datetime
    until: datetime
    cuts: Mapping[UUID, Cut]
    part: Part | None


def opened(order: Order) -> tuple[Asks, Kinds, World]:
    """Compile the rulebook, and lay out what rows name."""
    book = Book(order.number, msgspec.json.decode(order.document, type=Document), order.names)
    asks = asks_of(book, order.budgets, order.since, order.until)
    kinds = kinds_of_places(book, order.names, order.places, apart=order.books.surcharges)
    world = World(
        book,
        # Of the places of a kind any one stands for all.
        {str(kinds[station]).encode(): Place(where, ZoneInfo(zone)) for station, (where, zone) in order.places.items()},
        {str(product.product_id).encode(): product for product in order.products},
        {product.code: product for product in order.products},
        {product.encode(): code for product, code in order.cards.items()},
    )
    return asks, Kinds(list(kinds), list(kinds.values())), world
