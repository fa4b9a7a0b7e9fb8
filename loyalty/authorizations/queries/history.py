"""Everything that happened with a card or an account, in one list: asked for, sold, given back, loaded."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, Integer, Select, Text, Uuid, case, cast, literal, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.model import Authorization, Refund, Sale
from loyalty.authorizations.reasons import Reason
from loyalty.authorizations.rules import flag_names
from loyalty.authorizations.wire import reference
from loyalty.paging import PAGE_SIZE, Key, Page, page_as
from loyalty.stations.model import Product, Station
from loyalty.topups.model import Topup


class HistoryLine(msgspec.Struct, frozen=True):
    """One line: `kind` is authorization, sale, refund, void or topup; its amount in minor units of the account's currency."""

    kind: str
    account_id: UUID
    subject_id: UUID
    card_id: UUID | None
    station_id: UUID | None
    station_name_zh: str | None
    station_name_en: str | None
    zone: str | None
    event_at: datetime
    booked_at: datetime
    status: str
    """The number of the status of an authorisation or sale; the word of a top-up's."""
    amount_minor: int
    """Gross: approved, sold, given back, or loaded."""
    card_minor: int
    """What the account gave (a sale), got back (a refund) or got (a top-up); 0 for an authorisation."""
    quantity_milli: int
    product_code: str | None
    product_name_zh: str | None
    product_name_en: str | None
    reason: int
    """Why an authorisation was declined or is partial."""
    flags: int

    @property
    def reference(self) -> str:
        """The public reference of an authorisation, sale or refund."""
        return reference(self.account_id, self.subject_id)

    @property
    def reason_code(self) -> str | None:
        """The stable code of `reason`."""
        return Reason(self.reason).code if self.reason else None

    @property
    def flag_names(self) -> list[str]:
        """What somebody should look at."""
        return flag_names(self.flags) or []


async def card_history(
    session: AsyncSession,
    *,
    account_id: UUID,
    card_id: UUID | None = None,
    sales_only: bool = False,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[HistoryLine]:
    """Read a page of an account's history, the latest first, or of one card's; a top-up of no card in particular is every card's.

    A sale or completion makes its authorisation's line no less true, so both stand; `sales_only` leaves out what moved no value.
    """
    arms = [_sales(account_id, card_id), _refunds(account_id, card_id), _topups(account_id, card_id)]
    if not sales_only:
        arms.append(_authorizations(account_id, card_id))
    every = union_all(*arms).subquery("every")
    statement = (
        select(
            every.c.kind,
            every.c.account_id,
            every.c.subject_id,
            every.c.card_id,
            every.c.station_id,
            Station.name_zh,
            Station.name_en,
            Station.zone,
            every.c.event_at,
            every.c.booked_at,
            every.c.status,
            every.c.amount_minor,
            every.c.card_minor,
            every.c.quantity_milli,
            Product.code,
            Product.name_zh,
            Product.name_en,
            every.c.reason,
            every.c.flags,
        )
        .join(Station, Station.station_id == every.c.station_id, isouter=True)
        .join(Product, Product.product_id == every.c.product_id, isouter=True)
    )
    return await page_as(session, HistoryLine, statement, keys=[Key(every.c.subject_id, descending=True)], cursor=cursor, limit=limit)


def _sales(account_id: UUID, card_id: UUID | None) -> Select[*tuple[Any, ...]]:
    statement = select(
        literal("sale").label("kind"),
        Sale.account_id,
        Sale.sale_id.label("subject_id"),
        Sale.card_id,
        Sale.station_id,
        Sale.event_at,
        Sale.booked_at,
        cast(Sale.status, Text).label("status"),
        Sale.gross_minor.label("amount_minor"),
        Sale.card_minor,
        Sale.quantity_milli,
        Sale.product_id,
        cast(literal(0), Integer).label("reason"),
        Sale.flags,
    ).where(Sale.account_id == account_id)
    return statement if card_id is None else statement.where(Sale.card_id == card_id)


def _refunds(account_id: UUID, card_id: UUID | None) -> Select[*tuple[Any, ...]]:
    statement = (
        select(
            # A void is told from a refund by its word, since a reader asks for it by that.
            case((Refund.void, "void"), else_="refund"),
            Refund.account_id,
            Refund.refund_id,
            Sale.card_id,
            Refund.station_id,
            Refund.event_at,
            Refund.booked_at,
            cast(Sale.status, Text),
            Refund.gross_minor,
            Refund.card_minor,
            Refund.quantity_milli,
            Sale.product_id,
            cast(literal(0), Integer),
            cast(literal(0), Integer),
        )
        .join(Sale, (Sale.account_id == Refund.account_id) & (Sale.sale_id == Refund.sale_id))
        .where(Refund.account_id == account_id)
    )
    return statement if card_id is None else statement.where(Sale.card_id == card_id)


def _topups(account_id: UUID, card_id: UUID | None) -> Select[*tuple[Any, ...]]:
    statement = select(
        literal("topup"),
        Topup.account_id,
        Topup.topup_id,
        Topup.card_id,
        Topup.station_id,
        Topup.event_at,
        Topup.requested_at,
        cast(Topup.status, Text),
        Topup.amount_minor,
        (Topup.amount_minor + Topup.bonus_minor).label("card_minor"),
        cast(literal(0), BigInteger),
        cast(null(), Uuid),
        cast(literal(0), Integer),
        cast(literal(0), Integer),
    ).where(Topup.account_id == account_id)
    return statement if card_id is None else statement.where((Topup.card_id == card_id) | Topup.card_id.is_(None))


def _authorizations(account_id: UUID, card_id: UUID | None) -> Select[*tuple[Any, ...]]:
    statement = select(
        literal("authorization"),
        Authorization.account_id,
        Authorization.authorization_id,
        Authorization.card_id,
        Authorization.station_id,
        Authorization.event_at,
        Authorization.booked_at,
        cast(Authorization.status, Text),
        Authorization.approved_minor,
        cast(literal(0), BigInteger),
        Authorization.approved_milli,
        Authorization.product_id,
        cast(Authorization.reason, Integer),
        Authorization.flags,
    ).where(Authorization.account_id == account_id)
    return statement if card_id is None else statement.where(Authorization.card_id == card_id)
