"""Reading what whoever asks sales again is handed."""

from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.facts import Product
from loyalty.backtests.orders import Order
from loyalty.cards.queries import snapshot_card_products
from loyalty.db import driver_dsn, server_settings
from loyalty.money import minor_digits
from loyalty.pricing.basket import Where
from loyalty.pricing.compiling import budget_id
from loyalty.pricing.document import Document
from loyalty.pricing.queries import names
from loyalty.stations.queries import snapshot_products, snapshot_stations

from .live import live_books


async def read_order(
    session: AsyncSession, *, dsn: str, number: int, document: Document, currency: str, since: datetime, until: datetime
) -> Order:
    """Return it for a rulebook's document and the sales of a period in one currency; `dsn` is for connections of workers' own."""
    places = {
        one.station_id: (Where(one.station_id, one.district_id, one.region_id, one.currency, minor_digits(one.currency)), one.zone)
        for one in await snapshot_stations(session)
    }
    products = [
        Product(
            one.product_id,
            one.code,
            str(one.category),
            None if one.fuel_kind is None else str(one.fuel_kind),
            one.shop_category,
            str(one.unit),
            frozenset(map(str, filter(None, (one.category, one.fuel_kind, one.shop_category)))),
        )
        for one in await snapshot_products(session)
    ]
    return Order(
        dsn=driver_dsn(dsn),
        settings=server_settings(role="loyalty_jobs", application_name="loyalty-backtest", transaction_seconds=0),
        number=number,
        document=msgspec.json.encode(document),
        names=await names(session),
        places=places,
        products=products,
        cards={str(one.product_id): one.code for one in await snapshot_card_products(session)},
        budgets={budget_id(budget.code): budget.total for budget in document.budgets},
        books=await live_books(session),
        currency=currency,
        since=since,
        until=until,
        cuts={},
        part=None,
    )
