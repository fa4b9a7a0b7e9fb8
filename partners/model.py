"""Alliances: partners, their outlets, and what was agreed with them, version by version."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.identity.model  # noqa: F401 - its `staff` is what columns here refer to
from loyalty.db import Base, one_of


class Category(StrEnum):
    """What a partner is."""

    INSURANCE = "insurance"
    REPAIR = "repair"
    WASH = "wash"
    FOOD = "food"
    RETAIL = "retail"
    TRAVEL = "travel"
    OTHER = "other"


class PartnerStatus(StrEnum):
    """Where an alliance stands."""

    PROSPECTIVE = "prospective"
    """Known, nothing agreed yet."""
    ACTIVE = "active"
    SUSPENDED = "suspended"
    """For a while nothing is redeemed; what was is settled."""
    ENDED = "ended"


PARTNER_MOVES: dict[PartnerStatus, frozenset[PartnerStatus]] = {
    PartnerStatus.PROSPECTIVE: frozenset({PartnerStatus.ACTIVE, PartnerStatus.ENDED}),
    PartnerStatus.ACTIVE: frozenset({PartnerStatus.SUSPENDED, PartnerStatus.ENDED}),
    PartnerStatus.SUSPENDED: frozenset({PartnerStatus.ACTIVE, PartnerStatus.ENDED}),
    PartnerStatus.ENDED: frozenset(),
}


class OutletStatus(StrEnum):
    """Whether an outlet serves."""

    OPEN = "open"
    PAUSED = "paused"
    """Rain, a full yard: stations and holders see it."""
    CLOSED = "closed"


OUTLET_MOVES: dict[OutletStatus, frozenset[OutletStatus]] = {
    OutletStatus.OPEN: frozenset({OutletStatus.PAUSED, OutletStatus.CLOSED}),
    OutletStatus.PAUSED: frozenset({OutletStatus.OPEN, OutletStatus.CLOSED}),
    OutletStatus.CLOSED: frozenset({OutletStatus.OPEN}),
}


class AgreementStatus(StrEnum):
    """How far a version of an agreement is."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    """It stands from its first day on, until its last or a later version's first."""
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


AGREEMENT_MOVES: dict[AgreementStatus, frozenset[AgreementStatus]] = {
    AgreementStatus.DRAFT: frozenset({AgreementStatus.SUBMITTED, AgreementStatus.WITHDRAWN}),
    AgreementStatus.SUBMITTED: frozenset({AgreementStatus.APPROVED, AgreementStatus.REJECTED, AgreementStatus.WITHDRAWN}),
    AgreementStatus.APPROVED: frozenset(),
    AgreementStatus.REJECTED: frozenset(),
    AgreementStatus.WITHDRAWN: frozenset(),
}


class Partner(Base):
    """A merchant, insurer or service with whom the issuer is allied."""

    __tablename__ = "partners"

    partner_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str]
    """Short, for files and voucher kinds: `partner:CODE`."""
    name_zh: Mapped[str]
    name_en: Mapped[str]
    category: Mapped[Category]
    currency: Mapped[str]
    zone: Mapped[str]
    """IANA; the calendar of its days and statements."""
    tax_number: Mapped[str | None]
    contact: Mapped[str]
    """Whom one talks to, as the office writes it: name, telephone, mail."""
    status: Mapped[PartnerStatus]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]

    __table_args__ = (
        Index("ux_partners_code", "code", unique=True),
        one_of("category", Category),
        one_of("status", PartnerStatus),
        CheckConstraint("code ~ '^[A-Z0-9][A-Z0-9-]{1,19}$'", name="code"),
    )


class PartnerOutlet(Base):
    """A shop of a partner's, where something is redeemed."""

    __tablename__ = "partner_outlets"

    outlet_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    code: Mapped[str]
    name_zh: Mapped[str]
    name_en: Mapped[str]
    address: Mapped[str]
    telephone: Mapped[str]
    hours: Mapped[str]
    """As customers read them: `09:00–18:00`, `周一至周六`."""
    status: Mapped[OutletStatus]
    paused_until: Mapped[datetime | None]
    why_paused: Mapped[str | None]
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]

    __table_args__ = (
        Index("ux_partner_outlets_code", "partner_id", "code", unique=True),
        one_of("status", OutletStatus),
        CheckConstraint("(status = 'paused') = (why_paused IS NOT NULL) AND (paused_until IS NULL OR status = 'paused')", name="paused"),
    )


class PartnerAgreement(Base):
    """One version of what is agreed with a partner; an approved one never changes."""

    __tablename__ = "partner_agreements"

    agreement_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    version: Mapped[int] = mapped_column(SmallInteger)
    status: Mapped[AgreementStatus]
    first_day: Mapped[date]
    end_day: Mapped[date | None]
    """The day after its last; None: until it is replaced."""
    terms: Mapped[dict[str, Any]]
    """`partners.rules.Terms` as it was agreed."""
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    decided_at: Mapped[datetime | None]
    why: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("ux_partner_agreements_version", "partner_id", "version", unique=True),
        Index("ux_partner_agreements_waiting", "partner_id", unique=True, postgresql_where=text("status IN ('draft', 'submitted')")),
        Index("ix_partner_agreements_approved", "partner_id", "first_day", postgresql_where=text("status = 'approved'")),
        one_of("status", AgreementStatus),
        CheckConstraint("end_day IS NULL OR end_day > first_day", name="days"),
        CheckConstraint("(status IN ('approved', 'rejected')) = (decided_by IS NOT NULL)", name="decided"),
        CheckConstraint("(decided_by IS NULL) = (decided_at IS NULL)", name="decided_at"),
        CheckConstraint("decided_by IS NULL OR decided_by <> made_by", name="two_people"),
        CheckConstraint("version > 0", name="version"),
    )


class PartnerDocument(Base):
    """A signed paper of an alliance: sealed, known by its digest."""

    __tablename__ = "partner_documents"

    document_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    name: Mapped[str]
    media_type: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(Integer)
    digest: Mapped[bytes]
    """SHA-256 of what was signed."""
    content: Mapped[bytes]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]

    __table_args__ = (
        Index("ux_partner_documents_digest", "partner_id", "digest", unique=True),
        CheckConstraint("size_bytes > 0 AND octet_length(digest) = 32", name="size"),
    )


class PartnerNotice(Base):
    """What stations and portals show of a partner, for some days."""

    __tablename__ = "partner_notices"

    notice_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    text_zh: Mapped[str]
    text_en: Mapped[str]
    first_day: Mapped[date]
    end_day: Mapped[date]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_partner_notices_end_day", "end_day", postgresql_where=text("ended_at IS NULL")),
        CheckConstraint("end_day > first_day", name="days"),
    )
