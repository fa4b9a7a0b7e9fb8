"""Reading the pump's rows: sales, the station's board, a card's history, a till's totals."""

from .board import FillLine, OpenAuthorization, list_fills, list_unresolved, open_authorizations, unpaid_fills
from .history import HistoryLine, card_history
from .payments import PaymentView, payment_by_token, payment_of_station
from .sales import (
    MoneyLine,
    RefundView,
    SaleFilter,
    SaleLine,
    SaleView,
    answer_to,
    find_sale_by_reference,
    get_sale,
    list_sales,
    refunds_of,
)
from .totals import STORED_VALUE, StationDay, shift_totals, totals_by_station

__all__ = [
    "STORED_VALUE",
    "FillLine",
    "HistoryLine",
    "MoneyLine",
    "OpenAuthorization",
    "PaymentView",
    "RefundView",
    "SaleFilter",
    "SaleLine",
    "SaleView",
    "StationDay",
    "answer_to",
    "card_history",
    "find_sale_by_reference",
    "get_sale",
    "list_fills",
    "list_sales",
    "list_unresolved",
    "open_authorizations",
    "payment_by_token",
    "payment_of_station",
    "refunds_of",
    "shift_totals",
    "totals_by_station",
    "unpaid_fills",
]
