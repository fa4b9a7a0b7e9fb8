"""The ledger's tables. Integrity is theirs: CHECK constraints, a trigger that refuses to change a transfer, no grant to do so."""

from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class AccountKind(StrEnum):
    """Whose stored value it is."""

    PERSONAL = "personal"
    ANONYMOUS = "anonymous"
    COMPANY = "company"
    SUSPENSE = "suspense"
    """Value that is ours to explain: advices of unknown cards."""


class AccountStatus(StrEnum):
    """A frozen account takes no new authorisation; completions are still booked."""

    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"


ACCOUNT_MOVES: dict[AccountStatus, frozenset[AccountStatus]] = {
    AccountStatus.OPEN: frozenset({AccountStatus.FROZEN, AccountStatus.CLOSED}),
    AccountStatus.FROZEN: frozenset({AccountStatus.OPEN}),
    AccountStatus.CLOSED: frozenset({AccountStatus.OPEN}),
}
"""A closed account opens again only when its card number is reopened within the profile's months."""


class PurseKind(IntEnum):
    """What a purse counts; a small number because it stands on a hot row."""

    PRINCIPAL = 1
    BONUS = 2
    POINTS = 3
    RECEIVABLE = 4
    """What the holder owes us: balance ≤ 0."""


class TransferKind(IntEnum):
    """Why value moved."""

    LOAD = 1
    BONUS = 2
    SALE = 3
    DISCOUNT = 4
    TENDER = 5
    """Another tender's share of a mixed sale."""
    REFUND = 6
    VOID = 7
    FEE = 8
    ADJUSTMENT = 9
    OPENING = 10
    PAYOUT = 11
    """Principal given back at closure."""
    ALLOCATION = 12
    SETTLEMENT = 13
    """A receivable paid from a later load."""
    EXPIRY = 14
    BONUS_RETURN = 15
    SURCHARGE = 19
    """What a company's agreement adds to the pump's price, passed on by the station's sales."""
    POINTS = 16
    """Points earned."""
    REDEMPTION = 17
    """Points spent; turned round where a redemption is undone."""
    POINTS_RETURN = 18
    """Points of a sale that went back."""


class HouseCode(StrEnum):
    """The house accounts: they carry no balance row and are summed."""

    TENDER = "tender"
    SALES = "sales"
    DISCOUNT = "discount"
    SURCHARGE = "surcharge"
    BONUS = "bonus"
    FEE = "fee"
    MIGRATION = "migration"
    SUSPENSE = "suspense"
    PAYOUT = "payout"
    WRITE_OFF = "receivable_write_off"
    ADJUSTMENT = "adjustment"
    OWN_USE = "own_use"
    """What the chain's own vehicles used, by company: an expense."""
    POINTS = "points"
    """By funder, in points; what was redeemed or expired has a reference of its own."""


class Account(Base):
    """The stored value of one customer under one card product (a company: of one currency)."""

    __tablename__ = "accounts"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(Text)
    kind: Mapped[AccountKind]
    status: Mapped[AccountStatus]
    customer_id: Mapped[UUID | None]
    card_product_id: Mapped[UUID | None]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    registered_at: Mapped[datetime | None]
    """When an anonymous account became somebody's."""

    __table_args__ = (
        CheckConstraint("kind IN ('personal', 'anonymous', 'company', 'suspense')", name="kind"),
        CheckConstraint("status IN ('open', 'frozen', 'closed')", name="status"),
        Index("ix_accounts_customer_id", "customer_id"),
    )


class HouseAccount(Base):
    """The other side of most transfers; its id is computed from code, currency and reference, so hot code never looks it up."""

    __tablename__ = "house_accounts"

    house_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[HouseCode]
    currency: Mapped[str] = mapped_column(Text)
    reference: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime]


class Purse(Base):
    """One balance inside an account. Changed only by conditional UPDATE; equals the sum of its transfers."""

    __tablename__ = "purses"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    purse_id: Mapped[UUID] = mapped_column(primary_key=True)
    card_id: Mapped[UUID | None]
    kind: Mapped[PurseKind]
    unit: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime | None]
    balance_minor: Mapped[int] = mapped_column(BigInteger)
    held_minor: Mapped[int] = mapped_column(BigInteger)
    credit_limit_minor: Mapped[int] = mapped_column(BigInteger)
    spending: Mapped[dict[str, Any] | None]
    """What a bonus lot may be spent on (`spending.Spending`), frozen when it was given; None: anything."""

    __table_args__ = (
        CheckConstraint("spending IS NULL OR (kind = 2 AND jsonb_typeof(spending) = 'object')", name="spending"),
        CheckConstraint(
            "CASE WHEN kind = 4 THEN balance_minor <= 0 AND held_minor = 0 AND credit_limit_minor = 0 "
            "ELSE held_minor >= 0 AND held_minor <= balance_minor + credit_limit_minor AND credit_limit_minor >= 0 END",
            name="funds",
        ),
        Index("ix_purses_points_expires_at", "expires_at", postgresql_where=text("kind = 3")),
    )


class Transfer(Base):
    """One immutable ledger row. `debit_id` and `credit_id` are purses of `account_id` or house accounts; amount > 0."""

    __tablename__ = "transfers"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    transfer_id: Mapped[UUID] = mapped_column(primary_key=True)
    debit_id: Mapped[UUID]
    credit_id: Mapped[UUID]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    unit: Mapped[str] = mapped_column(Text)
    kind: Mapped[TransferKind]
    operation_id: Mapped[UUID]
    """The sale, top-up, refund, adjustment … that moved it."""
    card_id: Mapped[UUID | None]
    station_id: Mapped[UUID | None]
    event_at: Mapped[datetime]
    booked_at: Mapped[datetime]
    period: Mapped[int] = mapped_column(Integer)
    mirrors: Mapped[UUID | None]
    """The transfer of the same account that this one takes back."""

    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("debit_id <> credit_id", name="legs"),
        Index("ix_transfers_transfer_id", "transfer_id", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (transfer_id)"},
    )


class DailyBalance(Base):
    """A purse's closing balance of a business day on which it moved; the balance of a day without a row is the last row's before."""

    __tablename__ = "daily_balances"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    purse_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    balance_minor: Mapped[int] = mapped_column(BigInteger)


class Period(Base):
    """An accounting period; exactly one is open, and a closed one never changes."""

    __tablename__ = "periods"

    period: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ux_periods_open", "closed_at", unique=True, postgresql_where="closed_at IS NULL", postgresql_nulls_not_distinct=True),
    )
