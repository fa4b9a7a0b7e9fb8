"""The keys with which partners' own tills come in, and what was answered to them under each of their keys, for ever."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

import partners.model  # noqa: F401 - its partners are what keys belong to
from loyalty.db import Base


class PartnerApiKey(Base):
    """One key of one partner, good until it is revoked; kept as its SHA-256 only."""

    __tablename__ = "partner_api_keys"

    key_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    name: Mapped[str]
    """Which system it is for."""
    outlets: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    """Where it may act; None: at every outlet of the partner, those to come included."""
    prefix: Mapped[str]
    """How the key begins: what lists and the trail show of it."""
    key_hash: Mapped[bytes]
    made_by: Mapped[str]
    made_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    minute_at: Mapped[datetime | None]
    """The minute of which `used` counts the requests: the rate budget."""
    used: Mapped[int] = mapped_column(Integer)
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ux_partner_api_keys_key_hash", "key_hash", unique=True),
        Index("ix_partner_api_keys_partner_id", "partner_id", "key_id"),
        CheckConstraint("name <> '' AND octet_length(key_hash) = 32 AND used >= 0 AND cardinality(outlets) > 0", name="said"),
    )


class PartnerRequest(Base):
    """What an outlet's till was answered under one of its keys: the same bytes to the same request, for ever; never dropped."""

    __tablename__ = "partner_requests"

    outlet_id: Mapped[UUID] = mapped_column(ForeignKey("partner_outlets.outlet_id"), primary_key=True)
    key: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    fingerprint: Mapped[bytes]
    """Keyed, over address and body."""
    status: Mapped[int] = mapped_column(SmallInteger)
    answer: Mapped[bytes]
    answered_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("octet_length(fingerprint) = 32 AND status BETWEEN 200 AND 299", name="answered"),)
