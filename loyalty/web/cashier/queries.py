"""What the counter's pages show, read in one statement each: the forecourt's list, this shift's movements, a sale, what is unresolved."""

from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.ids import uuid7_floor

T = TypeVar("T")


class FillLine(msgspec.Struct, frozen=True, kw_only=True):
    """A finished, unpaid fill."""

    fill_id: UUID
    nozzle: int
    product_id: UUID
    product: str
    name_zh: str
    name_en: str
    unit: str
    quantity_milli: int
    unit_price_e4: int
    amount_minor: int
    finished_at: datetime
    locked_until: datetime | None


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the shift's list: `kind` is sale, authorization, topup, refund."""

    kind: str
    account_id: UUID
    subject_id: UUID
    at: datetime
    tail: str | None
    product_zh: str | None
    product_en: str | None
    unit: str | None
    nozzle: int | None
    quantity_milli: int | None
    amount_minor: int
    status: str
    tender: str | None = None


class SaleView(msgspec.Struct, frozen=True, kw_only=True):
    """A sale with what a receipt and a refund need."""

    account_id: UUID
    sale_id: UUID
    card_id: UUID | None
    terminal_id: UUID
    station_id: UUID
    staff_id: UUID | None
    tail: str | None
    account_kind: str
    nozzle: int | None
    product: str | None
    product_zh: str | None
    product_en: str | None
    unit: str | None
    quantity_milli: int
    unit_price_e4: int
    gross_minor: int
    discount_minor: int
    card_minor: int
    currency: str
    detail: dict[str, Any] | None
    status: int
    refunded_minor: int
    event_at: datetime
    booked_at: datetime


class RefundView(msgspec.Struct, frozen=True, kw_only=True):
    refund_id: UUID
    void: bool
    gross_minor: int
    card_minor: int
    tenders: dict[str, int] | None
    reason: str
    benefits: list[list[Any]] | None
    """What of the sale's benefits went back: `[[rule, kind, so much], …]`."""
    booked_at: datetime


class AuthorizationView(msgspec.Struct, frozen=True, kw_only=True):
    """An approved authorisation with what completing or releasing it needs."""

    account_id: UUID
    authorization_id: UUID
    card_id: UUID | None
    tail: str | None
    status: int
    nozzle: int | None
    product: str | None
    product_zh: str | None
    product_en: str | None
    unit: str | None
    approved_minor: int
    approved_milli: int
    unit_price_e4: int
    held_minor: int
    captured_minor: int
    captured_milli: int
    completions: int
    frozen: dict[str, Any] | None
    event_at: datetime
    expires_at: datetime | None
    opened_at: datetime | None
    """Since when it is an unresolved dispense."""


_FILLS: Final = """
SELECT f.fill_id, f.nozzle, f.product_id, p.code AS product, p.name_zh, p.name_en, p.unit, f.quantity_milli, f.unit_price_e4,
    f.amount_minor, f.finished_at, CASE WHEN f.status = 2 THEN f.locked_until END AS locked_until
FROM fills f JOIN products p ON p.product_id = f.product_id
WHERE f.station_id = :station_id AND f.status IN (1, 2)
ORDER BY f.nozzle, f.finished_at, f.fill_id LIMIT 60
"""

_MOVEMENTS: Final = """
(SELECT 'sale' AS kind, s.account_id, s.sale_id AS subject_id, s.booked_at AS at, c.number_tail AS tail, p.name_zh AS product_zh,
    p.name_en AS product_en, p.unit, s.nozzle, s.quantity_milli, s.gross_minor - s.discount_minor AS amount_minor, s.status::text AS status,
    NULL AS tender
 FROM sales s LEFT JOIN cards c ON c.card_id = s.card_id LEFT JOIN products p ON p.product_id = s.product_id
 WHERE s.terminal_id = :terminal_id AND s.station_id = :station_id AND s.sale_id >= :since ORDER BY s.sale_id DESC LIMIT :limit)
UNION ALL
(SELECT 'authorization', a.account_id, a.authorization_id, a.booked_at, c.number_tail, p.name_zh, p.name_en, p.unit, a.nozzle,
    a.approved_milli, a.approved_minor, a.status::text, NULL
 FROM authorizations a LEFT JOIN cards c ON c.card_id = a.card_id LEFT JOIN products p ON p.product_id = a.product_id
 WHERE a.terminal_id = :terminal_id AND a.station_id = :station_id AND a.authorization_id >= :since AND a.status IN (1, 2, 5, 9)
 ORDER BY a.authorization_id DESC LIMIT :limit)
UNION ALL
(SELECT 'topup', t.account_id, t.topup_id, t.requested_at, c.number_tail, NULL, NULL, NULL, NULL, NULL, t.amount_minor, t.status, t.tender
 FROM topups t LEFT JOIN cards c ON c.card_id = t.card_id
 WHERE t.terminal_id = :terminal_id AND t.topup_id >= :since ORDER BY t.topup_id DESC LIMIT :limit)
UNION ALL
(SELECT 'refund', r.account_id, r.sale_id, r.booked_at, c.number_tail, p.name_zh, p.name_en, p.unit, s.nozzle, r.quantity_milli,
    -(r.gross_minor - r.discount_minor), CASE WHEN r.void THEN 'void' ELSE 'refund' END, NULL
 FROM refunds r JOIN sales s ON s.account_id = r.account_id AND s.sale_id = r.sale_id
 LEFT JOIN cards c ON c.card_id = s.card_id LEFT JOIN products p ON p.product_id = s.product_id
 WHERE r.terminal_id = :terminal_id AND r.station_id = :station_id AND r.refund_id >= :since ORDER BY r.refund_id DESC LIMIT :limit)
ORDER BY at DESC LIMIT :limit
"""

_SALE: Final = """
SELECT s.account_id, s.sale_id, s.card_id, s.terminal_id, s.station_id, s.staff_id, c.number_tail AS tail, a.kind AS account_kind, s.nozzle,
    p.code AS product, p.name_zh AS product_zh, p.name_en AS product_en, p.unit, s.quantity_milli, s.unit_price_e4, s.gross_minor,
    s.discount_minor, s.card_minor, s.currency, s.detail, s.status, s.refunded_minor, s.event_at, s.booked_at
FROM sales s LEFT JOIN cards c ON c.card_id = s.card_id LEFT JOIN products p ON p.product_id = s.product_id
LEFT JOIN accounts a ON a.account_id = s.account_id
WHERE s.account_id = :account_id AND s.sale_id = :sale_id AND (CAST(:station_id AS uuid) IS NULL OR s.station_id = :station_id)
"""

_REFUNDS: Final = """
SELECT refund_id, void, gross_minor, card_minor, tenders, reason, benefits, booked_at FROM refunds
WHERE account_id = :account_id AND sale_id = :sale_id ORDER BY refund_id
"""

_AUTHORIZATION: Final = """
SELECT a.account_id, a.authorization_id, a.card_id, c.number_tail AS tail, a.status, a.nozzle, p.code AS product, p.name_zh AS product_zh,
    p.name_en AS product_en, p.unit, a.approved_minor, a.approved_milli, a.unit_price_e4,
    coalesce((SELECT sum(h) FROM unnest(a.hold_minors) h), 0)::bigint AS held_minor, a.captured_minor, a.captured_milli, a.completions,
    a.frozen, a.event_at, a.expires_at, u.opened_at
FROM authorizations a LEFT JOIN cards c ON c.card_id = a.card_id LEFT JOIN products p ON p.product_id = a.product_id
LEFT JOIN unresolved_dispenses u ON u.account_id = a.account_id AND u.authorization_id = a.authorization_id AND u.resolved_at IS NULL
WHERE a.station_id = :station_id
"""

_BALANCE_AFTER: Final = """
WITH money AS (SELECT purse_id, balance_minor FROM purses WHERE account_id = :account_id AND kind IN (1, 2, 4) AND unit = :currency),
later AS (SELECT debit_id, credit_id, amount_minor FROM transfers WHERE account_id = :account_id AND transfer_id >= :after)
SELECT (coalesce((SELECT sum(balance_minor) FROM money), 0)
    - coalesce((SELECT sum(l.amount_minor) FROM later l JOIN money m ON m.purse_id = l.credit_id), 0)
    + coalesce((SELECT sum(l.amount_minor) FROM later l JOIN money m ON m.purse_id = l.debit_id), 0))::bigint
"""


async def unpaid_fills(session: AsyncSession, *, station_id: UUID) -> list[FillLine]:
    """Return a station's finished, unpaid fills by nozzle; one that is being paid on a phone says until when."""
    return _all(FillLine, await session.execute(text(_FILLS), {"station_id": station_id}))


async def movements(session: AsyncSession, *, terminal_id: UUID, station_id: UUID, since: datetime, limit: int = 12) -> list[Movement]:
    """Return what was done at a till since an instant, the latest first: sales, open authorisations, top-ups, refunds."""
    bound = {"terminal_id": terminal_id, "station_id": station_id, "since": uuid7_floor(since), "limit": limit}
    return _all(Movement, await session.execute(text(_MOVEMENTS), bound))


async def find_sale(session: AsyncSession, *, account_id: UUID, sale_id: UUID, station_id: UUID | None) -> SaleView | None:
    """Return a sale of a station (None: of any), None where it has none such."""
    bound = {"account_id": account_id, "sale_id": sale_id, "station_id": station_id}
    return _one(SaleView, await session.execute(text(_SALE), bound))


async def refunds_of(session: AsyncSession, *, account_id: UUID, sale_id: UUID) -> list[RefundView]:
    """Return what was given back of a sale, the first first."""
    return _all(RefundView, await session.execute(text(_REFUNDS), {"account_id": account_id, "sale_id": sale_id}))


async def find_authorization(
    session: AsyncSession, *, account_id: UUID, authorization_id: UUID, station_id: UUID
) -> AuthorizationView | None:
    """Return an authorisation of a station, None where it has none such."""
    statement = f"{_AUTHORIZATION} AND a.account_id = :account_id AND a.authorization_id = :authorization_id"
    bound = {"account_id": account_id, "authorization_id": authorization_id, "station_id": station_id}
    return _one(AuthorizationView, await session.execute(text(statement), bound))


async def unresolved(session: AsyncSession, *, station_id: UUID, limit: int = 100) -> list[AuthorizationView]:
    """Return a station's unresolved dispenses, the oldest first."""
    statement = f"{_AUTHORIZATION} AND u.opened_at IS NOT NULL ORDER BY u.opened_at, a.authorization_id LIMIT :limit"
    return _all(AuthorizationView, await session.execute(text(statement), {"station_id": station_id, "limit": limit}))


async def count_unresolved(session: AsyncSession, *, station_id: UUID) -> int:
    """Return how many unresolved dispenses a station has."""
    statement = text("SELECT count(*) FROM unresolved_dispenses WHERE station_id = :station_id AND resolved_at IS NULL")
    return int((await session.execute(statement, {"station_id": station_id})).scalar_one())


async def balance_after(session: AsyncSession, *, account_id: UUID, currency: str, booked_at: datetime) -> int:
    """Return an account's money right after what was booked at an instant, debt taken off: now, less all that was booked later."""
    bound = {"account_id": account_id, "currency": currency, "after": uuid7_floor(booked_at + timedelta(milliseconds=1))}
    return int((await session.execute(text(_BALANCE_AFTER), bound)).scalar_one())


async def cards_by_plate(session: AsyncSession, *, plate: str, limit: int = 10) -> list[UUID]:
    """Return the living cards bound to a plate (as `limits.rules.plate_key` writes it)."""
    statement = text("SELECT card_id FROM cards WHERE plate = :plate AND status IN (1, 2, 3, 4) ORDER BY card_id DESC LIMIT :limit")
    return list((await session.execute(statement, {"plate": plate, "limit": limit})).scalars())


def _all(kind: type[T], rows: Any) -> list[T]:
    return [kind(**row) for row in rows.mappings()]


def _one(kind: type[T], rows: Any) -> T | None:
    row = rows.mappings().first()
    return None if row is None else kind(**row)
