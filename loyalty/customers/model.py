"""One customer, one identity: whatever cards and roles it has.

Names are in clear and searched. Phone numbers, document numbers and bank accounts are sealed, found by a blind index, and shown by their
last characters. A merge moves nothing: the merged record points at the one that stays, so that undoing it is exact.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.identity.model  # noqa: F401 - its `staff` is what columns here refer to
from loyalty.db import Base, one_of


class CustomerKind(StrEnum):
    PERSON = "person"
    ORGANISATION = "organisation"


class CustomerStatus(StrEnum):
    ACTIVE = "active"
    MERGED = "merged"
    """Another record is this customer's identity; see `merged_into`."""
    CLOSED = "closed"


CUSTOMER_MOVES: dict[CustomerStatus, frozenset[CustomerStatus]] = {
    CustomerStatus.ACTIVE: frozenset({CustomerStatus.MERGED, CustomerStatus.CLOSED}),
    CustomerStatus.MERGED: frozenset({CustomerStatus.ACTIVE}),
    CustomerStatus.CLOSED: frozenset({CustomerStatus.ACTIVE}),
}


class IdentifierType(StrEnum):
    RESIDENT_ID = "resident_id"
    """居民身份证, GB 11643."""
    PASSPORT = "passport"
    HK_MACAU_PERMIT = "hk_macau_permit"
    TAIWAN_PERMIT = "taiwan_permit"
    FOREIGN_RESIDENCE = "foreign_residence"
    USCC = "uscc"
    """统一社会信用代码, GB 32100."""
    TAX_NUMBER = "tax_number"
    """An organisation's number outside China."""


PERSONS = frozenset(
    {
        IdentifierType.RESIDENT_ID,
        IdentifierType.PASSPORT,
        IdentifierType.HK_MACAU_PERMIT,
        IdentifierType.TAIWAN_PERMIT,
        IdentifierType.FOREIGN_RESIDENCE,
    }
)
"""Documents of people; the others name organisations."""


class ContactRole(StrEnum):
    MANAGER = "manager"
    FINANCE = "finance"
    FLEET = "fleet"
    OTHER = "other"


class SuggestionReason(StrEnum):
    """Why two records may be one customer."""

    SAME_NUMBER = "same_number"
    """The same typed, not verified, document number."""
    SAME_DOCUMENT_OTHER_NAME = "same_document_other_name"
    """The same verified document under another name: a person decides."""
    SAME_NAME_AND_PHONE = "same_name_and_phone"


class SuggestionStatus(StrEnum):
    OPEN = "open"
    MERGED = "merged"
    DISMISSED = "dismissed"


SUGGESTION_MOVES: dict[SuggestionStatus, frozenset[SuggestionStatus]] = {
    SuggestionStatus.OPEN: frozenset({SuggestionStatus.MERGED, SuggestionStatus.DISMISSED}),
    SuggestionStatus.MERGED: frozenset({SuggestionStatus.OPEN}),
    SuggestionStatus.DISMISSED: frozenset({SuggestionStatus.OPEN}),
}


class MergeBasis(StrEnum):
    VERIFIED_DOCUMENT = "verified_document"
    """Same name, same verified document: the rule."""
    DECISION = "decision"
    """A person compared the two."""


class Customer(Base):
    """A person or an organisation."""

    __tablename__ = "customers"
    __table_args__ = (
        one_of("kind", CustomerKind),
        one_of("status", CustomerStatus),
        CheckConstraint("(status = 'merged') = (merged_into IS NOT NULL) AND merged_into <> customer_id", name="merged_into"),
        CheckConstraint("(phone_sealed IS NULL) = (phone_index IS NULL) AND (phone_sealed IS NULL) = (phone_tail IS NULL)", name="phone"),
        CheckConstraint("referrer_id <> customer_id", name="no_self_referral"),
        Index("ix_customers_name_key", "name_key", "customer_id"),
        Index("ix_customers_created_at", "created_at", "customer_id"),
        Index("ix_customers_phone_index", "phone_index", postgresql_where=text("phone_index IS NOT NULL")),
        Index("ix_customers_merged_into", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
        Index("ix_customers_referrer_id", "referrer_id", postgresql_where=text("referrer_id IS NOT NULL")),
    )

    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[CustomerKind]
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(Text(collation="C"))
    """The name as it is compared and searched: see `rules.name_key`. In byte order, so that one index serves prefix and page."""
    short_name: Mapped[str | None]
    locale: Mapped[str]
    country: Mapped[str]
    """ISO 3166-1 alpha-2: how a phone number without prefix, a plate or a document is read."""
    segment: Mapped[str | None]
    status: Mapped[CustomerStatus]
    merged_into: Mapped[UUID | None] = mapped_column(ForeignKey("customers.customer_id"))
    phone_sealed: Mapped[bytes | None]
    phone_index: Mapped[bytes | None]
    phone_tail: Mapped[str | None]
    email_sealed: Mapped[bytes | None]
    address: Mapped[str | None]
    birthday: Mapped[date | None]
    developed_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    developed_at_station: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    flyer_code: Mapped[str | None]
    referrer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customers.customer_id"))
    first_load_minor: Mapped[int | None]
    first_load_currency: Mapped[str | None]
    first_load_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class CustomerReference(Base):
    """What another system calls this customer: how an import finds it again."""

    __tablename__ = "customer_references"

    source: Mapped[str] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"), index=True)


class CustomerIdentifier(Base):
    """A document number, typed or verified. Two customers may type the same number; only one may hold it verified."""

    __tablename__ = "customer_identifiers"
    __table_args__ = (
        one_of("type", IdentifierType),
        CheckConstraint("(verified_at IS NULL) = (verified_by IS NULL)", name="verified"),
        Index(
            "ux_customer_identifiers_verified",
            "type",
            "value_index",
            unique=True,
            postgresql_where=text("verified_at IS NOT NULL AND removed_at IS NULL"),
        ),
        Index("ix_customer_identifiers_value_index", "value_index"),
        Index("ix_customer_identifiers_customer_id", "customer_id"),
    )

    identifier_id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"))
    type: Mapped[IdentifierType]
    country: Mapped[str]
    value_sealed: Mapped[bytes]
    value_index: Mapped[bytes]
    tail: Mapped[str]
    valid_until: Mapped[date | None]
    warnings: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Codes of what looked odd when it was typed: `check_digit`, `place` …; they never block."""
    added_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]
    verified_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    removed_at: Mapped[datetime | None]


class CustomerContact(Base):
    """A named person at an organisation."""

    __tablename__ = "customer_contacts"
    __table_args__ = (
        one_of("role", ContactRole),
        CheckConstraint("(phone_sealed IS NULL) = (phone_index IS NULL) AND (phone_sealed IS NULL) = (phone_tail IS NULL)", name="phone"),
        Index("ix_customer_contacts_phone_index", "phone_index", postgresql_where=text("phone_index IS NOT NULL")),
    )

    contact_id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"), index=True)
    role: Mapped[ContactRole]
    name: Mapped[str]
    phone_sealed: Mapped[bytes | None]
    phone_index: Mapped[bytes | None]
    phone_tail: Mapped[str | None]
    email_sealed: Mapped[bytes | None]
    personal_benefits_agreed: Mapped[str | None]
    """The document by which the organisation agreed that this person may have benefits; None: it did not."""
    added_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class CustomerBankAccount(Base):
    """A bank account in the customer's own name: what an organisation pays from, where principal is refunded to."""

    __tablename__ = "customer_bank_accounts"
    __table_args__ = (
        Index("ux_customer_bank_accounts_living", "customer_id", "account_index", unique=True, postgresql_where=text("removed_at IS NULL")),
        Index("ix_customer_bank_accounts_account_index", "account_index"),
    )

    bank_account_id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"))
    holder: Mapped[str]
    bank: Mapped[str]
    currency: Mapped[str]
    account_sealed: Mapped[bytes]
    account_index: Mapped[bytes]
    tail: Mapped[str]
    added_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class ConsentChannel(StrEnum):
    """Where a declaration was made."""

    COUNTER = "counter"
    OFFICE = "office"
    OWN_PAGE = "own_page"
    """By the holder, on their own page."""


class ConsentWording(Base):
    """What a customer is asked for one purpose and recipient, version by version; the latest is asked, none is ever changed."""

    __tablename__ = "consent_wordings"
    __table_args__ = (CheckConstraint("version > 0", name="version"),)

    purpose: Mapped[str] = mapped_column(primary_key=True)
    recipient: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    title_zh: Mapped[str]
    title_en: Mapped[str]
    text_zh: Mapped[str]
    text_en: Mapped[str]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]


class Consent(Base):
    """One line a declaration: given or withdrawn. The latest for a purpose and recipient holds."""

    __tablename__ = "consents"
    __table_args__ = (
        Index("ix_consents_customer_id_purpose", "customer_id", "purpose", "recipient", "declared_at"),
        ForeignKeyConstraint(
            ["purpose", "recipient", "wording"], ["consent_wordings.purpose", "consent_wordings.recipient", "consent_wordings.version"]
        ),
        one_of("channel", ConsentChannel),
    )

    consent_id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"))
    purpose: Mapped[str]
    """What for: `marketing`, `accident-insurance` …"""
    recipient: Mapped[str]
    """To whom, empty where the issuer itself: a partner's code."""
    granted: Mapped[bool]
    declared_at: Mapped[datetime]
    evidence: Mapped[str]
    """Where it can be seen: a form's number, a page's version."""
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    wording: Mapped[int | None] = mapped_column(Integer)
    """The version of what the customer read; None: other words than ours, the evidence has them."""
    channel: Mapped[ConsentChannel]
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))


class MergeSuggestion(Base):
    """Two records that may be one customer; a person decides."""

    __tablename__ = "merge_suggestions"
    __table_args__ = (
        UniqueConstraint("first_id", "second_id"),
        one_of("reason", SuggestionReason),
        one_of("status", SuggestionStatus),
        CheckConstraint("first_id < second_id", name="ordered"),
        Index("ix_merge_suggestions_second_id", "second_id"),
    )

    suggestion_id: Mapped[UUID] = mapped_column(primary_key=True)
    first_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"))
    second_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"))
    reason: Mapped[SuggestionReason]
    status: Mapped[SuggestionStatus]
    made_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))


class CustomerMerge(Base):
    """That two records are one identity, on what ground, and what was changed, so that it can be undone."""

    __tablename__ = "customer_merges"
    __table_args__ = (
        one_of("basis", MergeBasis),
        CheckConstraint("kept_id <> merged_id", name="two"),
        Index("ux_customer_merges_standing", "merged_id", unique=True, postgresql_where=text("undone_at IS NULL")),
        Index("ix_customer_merges_kept_id", "kept_id"),
    )

    merge_id: Mapped[UUID] = mapped_column(primary_key=True)
    kept_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"))
    merged_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"))
    basis: Mapped[MergeBasis]
    moved: Mapped[list[dict[str, Any]]]
    """References that rooms above moved along, `{table, column, id}`: what an undo gives them back to move again. This room moves none."""
    merged_at: Mapped[datetime]
    merged_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    reason: Mapped[str]
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
