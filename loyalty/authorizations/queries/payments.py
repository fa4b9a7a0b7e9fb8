"""What the phone and the till see of a payment request."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.model import Fill
from loyalty.authorizations.model_payments import PaymentRequest, PaymentStatus
from loyalty.authorizations.operations.payments import PaymentNotFound
from loyalty.authorizations.wire import reference
from loyalty.crypto import token_hash
from loyalty.paging import one_as
from loyalty.stations.model import Product, Station


class PaymentView(msgspec.Struct, frozen=True):
    """One QR: which fill, how much, until when, and how it ended. Amounts in minor units of `currency`."""

    request_id: UUID
    status: PaymentStatus
    reason: str | None
    amount_minor: int
    currency: str
    made_at: datetime
    expires_at: datetime
    account_id: UUID | None
    card_id: UUID | None
    sale_id: UUID | None
    station_id: UUID
    station_name_zh: str
    station_name_en: str
    zone: str
    fill_id: UUID
    nozzle: int
    product_code: str
    product_name_zh: str
    product_name_en: str
    quantity_milli: int
    unit_price_e4: int
    finished_at: datetime

    @property
    def sale_reference(self) -> str | None:
        """The public reference of the sale that paid it."""
        return None if self.account_id is None or self.sale_id is None else reference(self.account_id, self.sale_id)


async def payment_by_token(session: AsyncSession, *, token: str, now: datetime) -> PaymentView:
    """Return what the holder is asked to approve; one that ran out says so, whether or not the job has been there.

    :raises PaymentNotFound: if the token is none
    """
    return await _view(session, _payments().where(PaymentRequest.token_hash == token_hash(token)), now)


async def payment_of_station(session: AsyncSession, *, request_id: UUID, station_id: UUID, now: datetime) -> PaymentView:
    """Return a request as the till that made it looks after it.

    :raises PaymentNotFound: if the station has none such
    """
    statement = _payments().where(PaymentRequest.request_id == request_id, PaymentRequest.station_id == station_id)
    return await _view(session, statement, now)


async def _view(session: AsyncSession, statement: Select[*tuple[Any, ...]], now: datetime) -> PaymentView:
    view = await one_as(session, PaymentView, statement)
    if view is None:
        raise PaymentNotFound
    lapsed = view.status is PaymentStatus.OPEN and view.card_id is None and view.expires_at <= now
    return msgspec.structs.replace(view, status=PaymentStatus.EXPIRED) if lapsed else view


def _payments() -> Select[*tuple[Any, ...]]:
    return (
        select(
            PaymentRequest.request_id,
            PaymentRequest.status,
            PaymentRequest.reason,
            PaymentRequest.amount_minor,
            PaymentRequest.currency,
            PaymentRequest.made_at,
            PaymentRequest.expires_at,
            PaymentRequest.account_id,
            PaymentRequest.card_id,
            PaymentRequest.sale_id,
            PaymentRequest.station_id,
            Station.name_zh,
            Station.name_en,
            Station.zone,
            PaymentRequest.fill_id,
            Fill.nozzle,
            Product.code,
            Product.name_zh,
            Product.name_en,
            Fill.quantity_milli,
            Fill.unit_price_e4,
            Fill.finished_at,
        )
        .join(Fill, Fill.fill_id == PaymentRequest.fill_id)
        .join(Station, Station.station_id == PaymentRequest.station_id)
        .join(Product, Product.product_id == Fill.product_id)
    )
