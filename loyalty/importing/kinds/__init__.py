"""What can be imported: one module a kind."""

from typing import Final

from . import accounts, customers, prices, products, stations, transactions
from .base import Context, KindOfRow, Row, Taken

KINDS: Final[dict[str, KindOfRow]] = {
    "customers": customers.KIND,
    "stations": stations.KIND,
    "products": products.KIND,
    "prices": prices.KIND,
    "accounts": accounts.KIND,
    "transactions": transactions.KIND,
}

__all__ = ["KINDS", "Context", "KindOfRow", "Row", "Taken"]
