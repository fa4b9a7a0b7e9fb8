"""What a hot worker keeps in memory: reference data with the revisions it was read at.

Loaded in one transaction, revisions first: whatever changes later makes the write answer *reload*. Prices and terms carry their own times,
so that a change published ahead happens at its instant in every worker.
"""

from bisect import bisect_right
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.queries import snapshot_card_products
from loyalty.identity.queries import snapshot_terminal_keys
from loyalty.ledger.queries import open_period
from loyalty.ledger.rules import SpendStep
from loyalty.ledger.spending import Site
from loyalty.limits.rules import compiled
from loyalty.money import minor_digits
from loyalty.pricing.basket import Where
from loyalty.pricing.compiling import EMPTY_BOOK, Book
from loyalty.pricing.queries import has_agreements, snapshot_books
from loyalty.stations.queries import snapshot_prices, snapshot_products, snapshot_stations, snapshot_terminals

from . import hot_queries
from .facts import CardTerms, Place, Product


class Snapshot:
    """One consistent picture of the reference data."""

    def __init__(self) -> None:
        self.revisions: list[int] = []
        self.period = 0
        self.places: dict[UUID, Place] = {}
        self.epochs: dict[UUID, int] = {}
        """The present key epoch of each enrolled till."""
        self.products: dict[str, Product] = {}
        self.products_by_id: dict[UUID, Product] = {}
        self.card_terms: dict[UUID, CardTerms] = {}
        self.books: dict[int, Book] = {}
        """By number, in the order in which they become live."""
        self.has_agreements = False
        self.anonymous_points = False
        """Whether bearer cards earn points (the profile's `anonymous`)."""
        self.prices: dict[tuple[UUID, UUID], tuple[list[datetime], list[int]]] = {}

    def price(self, station_id: UUID, product_id: UUID, now: datetime) -> int | None:
        """Return the price in force, in 1/10,000 of a currency unit; None where there is none yet."""
        found = self.prices.get((station_id, product_id))
        if found is None:
            return None
        index = bisect_right(found[0], now)
        return found[1][index - 1] if index else None

    def book(self, now: datetime) -> Book:
        """Return the rulebook that is live at an instant; one without rules before the first."""
        live = EMPTY_BOOK
        for book in self.books.values():
            if book.activates_at is None or book.activates_at > now:
                break
            live = book
        return live

    def product_codes(self) -> list[str]:
        """Return the codes of all fuel products."""
        return [product.code for product in self.products.values() if product.category == "fuel"]


async def load(session: AsyncSession, *, now: datetime, anonymous_points: bool = False) -> Snapshot:
    """Read a new snapshot, in the caller's transaction."""
    made = Snapshot()
    made.revisions = list((await session.execute(text(hot_queries.REVISIONS))).scalar_one())
    made.period = await open_period(session)
    stations = {station.station_id: station for station in await snapshot_stations(session)}
    for terminal in await snapshot_terminals(session):
        station = stations[terminal.station_id]
        made.places[terminal.terminal_id] = Place(
            terminal_id=terminal.terminal_id,
            terminal_status=str(terminal.status),
            amount_max_minor=terminal.amount_per_transaction_max_minor,
            station_id=station.station_id,
            station_status=str(station.status),
            district_id=station.district_id,
            region_id=station.region_id,
            entity_id=station.entity_id,
            zone=station.zone,
            currency=station.currency,
            digits=minor_digits(station.currency),
            where=Where(station.station_id, station.district_id, station.region_id, station.currency, minor_digits(station.currency)),
            site=Site(station.code, station.district_code, station.region_code),
        )
    made.epochs = {key.terminal_id: key.epoch for key in await snapshot_terminal_keys(session)}
    for product in await snapshot_products(session):
        known = Product(
            product.product_id,
            product.code,
            str(product.category),
            None if product.fuel_kind is None else str(product.fuel_kind),
            product.shop_category,
            str(product.unit),
            frozenset(str(tag) for tag in (product.category, product.fuel_kind, product.shop_category) if tag is not None),
        )
        made.products[product.code] = made.products_by_id[product.product_id] = known
    for terms in await snapshot_card_products(session):
        limits = compiled(terms.default_limits)
        made.card_terms[terms.product_id] = CardTerms(
            product_id=terms.product_id,
            code=terms.code,
            kind=terms.kind,
            currency=terms.currency,
            pin_required=terms.pin_required,
            spend_order=tuple(SpendStep(step) for step in terms.spend_order),
            fuel_kinds=terms.fuel_kinds,
            shop_categories=terms.shop_categories,
            limits=None if limits.quiet else limits,
        )
    made.books = {book.number: book for book in await snapshot_books(session, now=now)}
    made.anonymous_points = anonymous_points
    made.has_agreements = await has_agreements(session)
    prices: dict[tuple[UUID, UUID], list[tuple[datetime, int]]] = {}
    for price in await snapshot_prices(session, now=now):
        prices.setdefault((price.station_id, price.product_id), []).append((price.effective_from, price.unit_price_e4))
    for place, dated in prices.items():
        dated.sort()
        made.prices[place] = ([at for at, _ in dated], [price_e4 for _, price_e4 in dated])
    return made
