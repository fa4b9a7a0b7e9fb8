"""The keys with which a company's own systems come in. A key stands here as its SHA-256 only; whoever lost it makes another."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class ApiScope(StrEnum):
    """What a key may do."""

    READ = "read"
    ORDERS = "orders"
    """Also make and cancel fuel orders."""


class CompanyApiKey(Base):
    """One key of one company, good until it is revoked."""

    __tablename__ = "company_api_keys"

    key_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    name: Mapped[str]
    """Which system it is for."""
    prefix: Mapped[str]
    """How the key begins: what lists and the trail show of it."""
    key_hash: Mapped[bytes]
    may_order: Mapped[bool]
    made_by: Mapped[str]
    made_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    minute_at: Mapped[datetime | None]
    """The minute of which `used` counts the requests: the rate budget."""
    used: Mapped[int] = mapped_column(Integer)
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ux_company_api_keys_key_hash", "key_hash", unique=True),
        Index("ix_company_api_keys_company_id", "company_id", "key_id"),
        CheckConstraint("name <> '' AND octet_length(key_hash) = 32 AND used >= 0", name="said"),
    )
