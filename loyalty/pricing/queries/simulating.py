"""What a simulation asks of the database: the place, its goods and prices, the book, what is free of its budgets."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.errors import NotFound
from loyalty.money import minor_digits
from loyalty.pricing.basket import Where
from loyalty.pricing.compiling import EMPTY_BOOK, Book
from loyalty.pricing.document import Document
from loyalty.pricing.simulating import Asked, Simulated, Site, simulate
from loyalty.stations.queries import snapshot_prices, snapshot_products, snapshot_stations

from .books import RulebookNotFound, budget_states
from .live import book_numbered, names, number_live_at


class StationNotKnown(NotFound):
    zh = "没有代码为“{station}”的站点。"
    en = 'No station has the code "{station}".'
    next_zh = "请从列表中选择站点。"
    next_en = "Choose the station from the list."


async def simulate_basket(session: AsyncSession, *, asked: Asked, number: int | None = None, document: Document | None = None) -> Simulated:
    """Simulate one basket under a document that is being written, a rulebook by number, or the one that is live at the basket's instant.

    Budgets are as they stand now; one that never went live is whole.

    :raises StationNotKnown, RulebookNotFound: if there is none
    :raises ProductNotKnown, AmountNeeded, PriceNotKnown: if a line does not say enough
    """
    site = await _site(session, asked)
    book = await _book(session, asked.at, number, document)
    states = await budget_states(session)
    whole = {budget.code: budget.total for budget in book.document.budgets}
    free = {rule.budget: 0 for rule in book.rules.values() if rule.budget is not None}
    for rule in book.rules.values():
        code = rule.rule.budget
        if rule.budget is not None and code is not None and code in whole:
            state = states.get(code)
            # A draft may raise or lower it: what is used of it stays used.
            free[rule.budget] = max(whole[code] - (0 if state is None else state.reserved + state.used), 0)
    return simulate(book, site, asked, free=free)


async def _book(session: AsyncSession, instant: datetime, number: int | None, document: Document | None) -> Book:
    if document is not None:
        return Book(number or 0, document, await names(session))
    if number is None:
        number = await number_live_at(session, instant=instant)
        if number is None:
            return EMPTY_BOOK
    book = await book_numbered(session, number=number)
    if book is None:
        raise RulebookNotFound(number=number)
    return book


async def _site(session: AsyncSession, asked: Asked) -> Site:
    stations = await snapshot_stations(session)
    station = next((one for one in stations if one.code == asked.station), None)
    if station is None:
        raise StationNotKnown(station=asked.station)
    products = await snapshot_products(session)
    codes = {one.product_id: one.code for one in products}
    prices: dict[str, int] = {}
    for price in await snapshot_prices(session, now=asked.at):
        if price.station_id == station.station_id and price.effective_from <= asked.at:
            prices[codes[price.product_id]] = price.unit_price_e4
    known = await names(session)
    where = Where(station.station_id, station.district_id, station.region_id, station.currency, minor_digits(station.currency))
    tags = {
        one.code: frozenset(str(tag) for tag in (one.category, one.fuel_kind, one.shop_category) if tag is not None) for one in products
    }
    return Site(where, station.zone, tags, prices, known.districts, known.regions, known.stations)
