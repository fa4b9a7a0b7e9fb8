"""Offline: signed codes that are out, the leases under which outlets honour them, and what came of each."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.rewards.model_vouchers  # noqa: F401 - its vouchers are what columns here refer to
from loyalty.db import Base, one_of
from partners.offline_rules import OfflineCode, OfflineStatus


class OfflineToken(Base):
    """A voucher whose signed code was shown to its holder; the last end of all that were."""

    __tablename__ = "partner_offline_tokens"
    __table_args__ = (Index("ix_partner_offline_tokens_live", "partner_id", "ends_at"),)

    voucher_id: Mapped[UUID] = mapped_column(ForeignKey("vouchers.voucher_id"), primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"), primary_key=True)
    worth_minor: Mapped[int | None] = mapped_column(BigInteger)
    shown_at: Mapped[datetime]
    ends_at: Mapped[datetime]


class OfflineLease(Base):
    """One phone's right to honour codes for an outlet, for some hours and up to its budget. An outlet has one that is not settled."""

    __tablename__ = "partner_offline_leases"
    __table_args__ = (
        Index("ix_partner_offline_leases_outlet", "outlet_id", "lease_id"),
        Index("ux_partner_offline_leases_open", "outlet_id", unique=True, postgresql_where=text("settled_at IS NULL")),
        CheckConstraint("used BETWEEN 0 AND uses AND used_minor BETWEEN 0 AND amount_minor", name="budget"),
        CheckConstraint("until > granted_at AND settle_by >= until", name="times"),
    )

    lease_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    outlet_id: Mapped[UUID] = mapped_column(ForeignKey("partner_outlets.outlet_id"))
    agreement_id: Mapped[UUID] = mapped_column(ForeignKey("partner_agreements.agreement_id"))
    device: Mapped[UUID]
    granted_at: Mapped[datetime]
    until: Mapped[datetime]
    """Then the list is too old: nothing more is honoured."""
    settle_by: Mapped[datetime]
    """What is told later is beyond the budget; another phone may have a lease."""
    uses: Mapped[int] = mapped_column(Integer)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    used: Mapped[int] = mapped_column(Integer)
    used_minor: Mapped[int] = mapped_column(BigInteger)
    settled_at: Mapped[datetime | None]
    granted_to: Mapped[str]


class OfflineClaim(Base):
    """What a phone told, and what became of it: one row for ever, whatever the answer. Never changed."""

    __tablename__ = "partner_offline_claims"
    __table_args__ = (
        one_of("status", OfflineStatus),
        one_of("code", OfflineCode),
        Index("ux_partner_offline_claims_key", "outlet_id", "key", "digest", unique=True),
        Index("ix_partner_offline_claims_voucher", "voucher_id", "outlet_id", postgresql_where=text("voucher_id IS NOT NULL")),
        Index("ix_partner_offline_claims_partner", "partner_id", "claim_id"),
        CheckConstraint("(status = 'refused') = (line IS NULL)", name="line"),
        CheckConstraint("octet_length(digest) = 32", name="digest"),
    )

    claim_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    outlet_id: Mapped[UUID] = mapped_column(ForeignKey("partner_outlets.outlet_id"))
    key: Mapped[UUID]
    digest: Mapped[bytes]
    """SHA-256 of what was told: the same key with other words is another row, refused."""
    lease_id: Mapped[UUID | None] = mapped_column(ForeignKey("partner_offline_leases.lease_id"))
    token: Mapped[str]
    voucher_id: Mapped[UUID | None]
    """As the code says; its signature was good."""
    status: Mapped[OfflineStatus]
    code: Mapped[OfflineCode]
    in_budget: Mapped[bool]
    served_at: Mapped[datetime]
    """As the phone says."""
    received_at: Mapped[datetime]
    served_by: Mapped[str]
    amount_minor: Mapped[int | None] = mapped_column(BigInteger)
    gross_minor: Mapped[int | None] = mapped_column(BigInteger)
    loss_minor: Mapped[int] = mapped_column(BigInteger)
    line: Mapped[int | None] = mapped_column(BigInteger)
    """Of the partner's book."""
