"""The topups room's tables, its statuses and which leads where."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.customers.model import IdentifierType
from loyalty.db import Base, one_of


class Tender(StrEnum):
    """What a customer pays with."""

    CASH = "cash"
    BANK_TRANSFER = "bank_transfer"
    CARD = "card"
    """A bank card at the till's acquirer."""
    WECHAT = "wechat"
    ALIPAY = "alipay"


WALLETS = frozenset({Tender.WECHAT, Tender.ALIPAY})
"""Tenders that carry the wallet's own transaction number, one payment each, and that the wallet itself may reverse."""


PAYS_AS: dict[Tender, str] = {**{tender: tender.value for tender in Tender}, Tender.CARD: "bank_card"}
"""A tender as the rules name it: there `card` is the card's own money."""


class Party(StrEnum):
    """Who stands in a real-name record."""

    PERSON = "person"
    ORGANISATION = "organisation"


class TopupStatus(StrEnum):
    """Where a top-up stands. Only a booked one is in the ledger."""

    PENDING = "pending"
    """A bank transfer that finance has not yet found on the statement."""
    BOOKED = "booked"
    CANCELLED = "cancelled"
    VOIDED = "voided"
    """Taken back as the account's last movement."""
    REFUNDED = "refunded"
    """Given back whole, later; a partial refund leaves it booked."""
    REVERSED = "reversed"
    """The wallet took its payment back."""


TOPUP_MOVES: dict[TopupStatus, frozenset[TopupStatus]] = {
    TopupStatus.PENDING: frozenset({TopupStatus.BOOKED, TopupStatus.CANCELLED}),
    TopupStatus.BOOKED: frozenset({TopupStatus.VOIDED, TopupStatus.REFUNDED, TopupStatus.REVERSED}),
    TopupStatus.CANCELLED: frozenset(),
    TopupStatus.VOIDED: frozenset(),
    TopupStatus.REFUNDED: frozenset(),
    TopupStatus.REVERSED: frozenset(),
}


class PurchaseStatus(StrEnum):
    """A purchase is confirmed or cancelled whole; afterwards its items live on their own."""

    PENDING = "pending"
    BOOKED = "booked"
    CANCELLED = "cancelled"


PURCHASE_MOVES: dict[PurchaseStatus, frozenset[PurchaseStatus]] = {
    PurchaseStatus.PENDING: frozenset({PurchaseStatus.BOOKED, PurchaseStatus.CANCELLED}),
    PurchaseStatus.BOOKED: frozenset(),
    PurchaseStatus.CANCELLED: frozenset(),
}


class AdjustmentKind(StrEnum):
    """What a manual adjustment does."""

    CREDIT = "credit"
    DEBIT = "debit"
    WRITE_OFF = "write_off"
    """Forgives a receivable."""


class AdjustmentStatus(StrEnum):
    """The maker proposes or withdraws, another person approves or rejects."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


ADJUSTMENT_MOVES: dict[AdjustmentStatus, frozenset[AdjustmentStatus]] = {
    AdjustmentStatus.PROPOSED: frozenset({AdjustmentStatus.APPROVED, AdjustmentStatus.REJECTED, AdjustmentStatus.WITHDRAWN}),
    AdjustmentStatus.APPROVED: frozenset(),
    AdjustmentStatus.REJECTED: frozenset(),
    AdjustmentStatus.WITHDRAWN: frozenset(),
}


class FreezeScope(StrEnum):
    """What an authority's order reaches."""

    ACCOUNT = "account"
    AMOUNT = "amount"


class FreezeStatus(StrEnum):
    """An order holds until it is lifted by a document or runs out."""

    ACTIVE = "active"
    LIFTED = "lifted"
    EXPIRED = "expired"


FREEZE_MOVES: dict[FreezeStatus, frozenset[FreezeStatus]] = {
    FreezeStatus.ACTIVE: frozenset({FreezeStatus.LIFTED, FreezeStatus.EXPIRED}),
    FreezeStatus.LIFTED: frozenset(),
    FreezeStatus.EXPIRED: frozenset(),
}


class ClosureReason(StrEnum):
    """Why the customer leaves; coded, because each has its matching offer."""

    NO_LONGER_DRIVES = "no_longer_drives"
    MOVED_AWAY = "moved_away"
    PRICE = "price"
    SERVICE = "service"
    OTHER_SUPPLIER = "other_supplier"
    COMPANY_ENDS = "company_ends"
    DECEASED = "deceased"
    OTHER = "other"


class PayoutMethod(StrEnum):
    BANK = "bank"
    CASH = "cash"


class ClosureStatus(StrEnum):
    """A closure's life: the ledger moves at approval, the money leaves at payment."""

    REQUESTED = "requested"
    APPROVED = "approved"
    PAID = "paid"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    REOPENED = "reopened"


CLOSURE_MOVES: dict[ClosureStatus, frozenset[ClosureStatus]] = {
    ClosureStatus.REQUESTED: frozenset({ClosureStatus.APPROVED, ClosureStatus.REJECTED, ClosureStatus.WITHDRAWN}),
    ClosureStatus.APPROVED: frozenset({ClosureStatus.PAID}),
    ClosureStatus.PAID: frozenset({ClosureStatus.REOPENED}),
    ClosureStatus.REJECTED: frozenset(),
    ClosureStatus.WITHDRAWN: frozenset(),
    ClosureStatus.REOPENED: frozenset(),
}


class RealName(Base):
    """Who bought, loaded or gave back: kept for the profile's years, opened only by a logged view."""

    __tablename__ = "real_names"
    __table_args__ = (
        one_of("party", Party),
        one_of("id_type", IdentifierType),
        CheckConstraint(
            "(name_sealed IS NULL) = (id_number_sealed IS NULL) AND (name_sealed IS NULL) = (id_number_index IS NULL) "
            "AND (name_sealed IS NULL) = (id_type IS NULL) AND (name_sealed IS NULL) = (contact_sealed IS NULL) "
            "AND (name_sealed IS NOT NULL OR customer_id IS NOT NULL)",
            name="whole",
        ),
        Index("ix_real_names_id_number_index", "id_number_index"),
        Index("ix_real_names_keep_until", "keep_until"),
    )

    record_id: Mapped[UUID] = mapped_column(primary_key=True)
    party: Mapped[Party]
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customers.customer_id"))
    """Set without the sealed columns where a customer's verified identity was reused."""
    name_sealed: Mapped[bytes | None]
    id_type: Mapped[IdentifierType | None]
    id_number_sealed: Mapped[bytes | None]
    id_number_index: Mapped[bytes | None]
    id_tail: Mapped[str | None]
    contact_sealed: Mapped[bytes | None]
    taken_at: Mapped[datetime]
    taken_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    keep_until: Mapped[datetime]
    """Not before this instant may it be erased."""


class Purchase(Base):
    """Several cards bought at once: cash and real-name thresholds judge it; each item is a top-up of its own."""

    __tablename__ = "purchases"
    __table_args__ = (
        one_of("status", PurchaseStatus),
        one_of("tender", Tender),
        one_of("buyer", Party),
        CheckConstraint("total_minor > 0 AND items > 0", name="total"),
        Index("ix_purchases_pending", "purchase_id", postgresql_where=text("status = 'pending'")),
        Index("ix_purchases_buyer_customer_id", "buyer_customer_id", postgresql_where=text("buyer_customer_id IS NOT NULL")),
    )

    purchase_id: Mapped[UUID] = mapped_column(primary_key=True)
    status: Mapped[PurchaseStatus]
    tender: Mapped[Tender]
    currency: Mapped[str]
    total_minor: Mapped[int]
    items: Mapped[int]
    buyer: Mapped[Party]
    buyer_customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customers.customer_id"))
    buyer_record_id: Mapped[UUID | None] = mapped_column(ForeignKey("real_names.record_id"))
    agent_record_id: Mapped[UUID | None] = mapped_column(ForeignKey("real_names.record_id"))
    off_premises: Mapped[bool]
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    terminal_id: Mapped[UUID | None] = mapped_column(ForeignKey("terminals.terminal_id"))
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    event_at: Mapped[datetime]
    requested_at: Mapped[datetime]
    booked_at: Mapped[datetime | None]


class Topup(Base):
    """Money paid into one account by one tender; its id is the ledger's operation id."""

    __tablename__ = "topups"
    __table_args__ = (
        one_of("status", TopupStatus),
        one_of("tender", Tender),
        CheckConstraint("amount_minor > 0 AND bonus_minor >= 0 AND settled_minor BETWEEN 0 AND amount_minor", name="amounts"),
        CheckConstraint("returned_minor BETWEEN 0 AND amount_minor AND bonus_returned_minor BETWEEN 0 AND bonus_minor", name="returned"),
        CheckConstraint(
            "discount_minor BETWEEN 0 AND amount_minor AND discount_returned_minor BETWEEN 0 AND discount_minor", name="discount"
        ),
        CheckConstraint("(status IN ('pending', 'cancelled')) = (booked_at IS NULL)", name="booked"),
        Index("ix_topups_account_id", "account_id", "topup_id"),
        # How what they granted is found by time.
        Index("ix_topups_granted", "booked_at", postgresql_where=text("detail IS NOT NULL")),
        Index("ix_topups_terminal_id", "terminal_id", "booked_at"),
        Index("ix_topups_station_id", "station_id", "booked_at"),
        Index("ix_topups_purchase_id", "purchase_id", postgresql_where=text("purchase_id IS NOT NULL")),
        Index("ix_topups_pending", "topup_id", postgresql_where=text("status = 'pending'")),
    )

    topup_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.account_id"))
    card_id: Mapped[UUID | None] = mapped_column(ForeignKey("cards.card_id"))
    purchase_id: Mapped[UUID | None] = mapped_column(ForeignKey("purchases.purchase_id"))
    status: Mapped[TopupStatus]
    tender: Mapped[Tender]
    currency: Mapped[str]
    amount_minor: Mapped[int]
    """What is loaded. What was paid is less by the discount."""
    discount_minor: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """What the rules' funders put into the principal instead of the payer."""
    bonus_minor: Mapped[int]
    """Bonus money in all: given by hand and by the rules, whose lots and funders stand in `detail`."""
    bonus_expires_at: Mapped[datetime | None]
    """Of the bonus given by hand."""
    bonus_funder: Mapped[str | None]
    """Of the bonus given by hand."""
    settled_minor: Mapped[int]
    """How much of it paid an open receivable."""
    flyer: Mapped[str | None]
    """The flyer code shown with it."""
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """What the rules gave, in the form of `sales.detail`; of bonus money `lot` and `expires_at` too; `others`: why other rules did not
    apply. None before it is booked, and where no rule was asked."""
    returned_minor: Mapped[int]
    """How much of the load was taken back so far, bonus shortfall included."""
    bonus_returned_minor: Mapped[int]
    discount_returned_minor: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    off_premises: Mapped[bool]
    payer_record_id: Mapped[UUID | None] = mapped_column(ForeignKey("real_names.record_id"))
    """Who paid, where that was not the holder."""
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    terminal_id: Mapped[UUID | None] = mapped_column(ForeignKey("terminals.terminal_id"))
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    reference: Mapped[str | None]
    """The wallet's or the acquirer's number, for the receipt; `payment_references` keeps it single."""
    event_at: Mapped[datetime]
    requested_at: Mapped[datetime]
    booked_at: Mapped[datetime | None]

    @property
    def paid_minor(self) -> int:
        """What the payer gives, or gave: the tender's share of the load."""
        return self.amount_minor - self.discount_minor


class Fee(Base):
    """A fee charged to an account's owner, a card's replacement say; its id is the ledger's operation id."""

    __tablename__ = "fees"
    __table_args__ = (
        one_of("tender", Tender),
        CheckConstraint("amount_minor > 0", name="amount"),
        Index("ix_fees_station_id", "station_id", "booked_at"),
        Index("ix_fees_terminal_id", "terminal_id", "booked_at"),
    )

    fee_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.account_id"))
    card_id: Mapped[UUID | None] = mapped_column(ForeignKey("cards.card_id"))
    code: Mapped[str]
    """What for: `card_replacement`."""
    tender: Mapped[Tender | None]
    """None: the account's principal paid."""
    currency: Mapped[str]
    amount_minor: Mapped[int]
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    terminal_id: Mapped[UUID | None] = mapped_column(ForeignKey("terminals.terminal_id"))
    """The till in whose shift it counts."""
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    event_at: Mapped[datetime]
    booked_at: Mapped[datetime]


class BankPayment(Base):
    """Both ends of a bank transfer, one row an item (cn-2012-9, the register of transfers)."""

    __tablename__ = "bank_payments"
    __table_args__ = (
        CheckConstraint(
            "(confirmed_at IS NULL) = (confirmed_by IS NULL) AND (confirmed_at IS NULL) = (statement_line IS NULL)", name="confirmed"
        ),
        Index("ix_bank_payments_payer_account_index", "payer_account_index"),
    )

    topup_id: Mapped[UUID] = mapped_column(ForeignKey("topups.topup_id"), primary_key=True)
    amount_minor: Mapped[int]
    payer_name_sealed: Mapped[bytes]
    payer_bank: Mapped[str]
    payer_account_sealed: Mapped[bytes]
    payer_account_index: Mapped[bytes]
    payer_account_tail: Mapped[str]
    payee_name: Mapped[str]
    payee_bank: Mapped[str]
    payee_account: Mapped[str]
    """The issuer's own account."""
    own_account: Mapped[bool]
    """Whether the payer's account is in the name of the account's owner."""
    statement_line: Mapped[str | None]
    statement_day: Mapped[date | None]
    confirmed_at: Mapped[datetime | None]
    confirmed_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))


class PaymentReference(Base):
    """A payment's number in somebody else's books: each is used once, whatever for."""

    __tablename__ = "payment_references"

    kind: Mapped[str] = mapped_column(primary_key=True)
    """`wechat`, `alipay`, `card`, `bank_line`, `wechat_reversal` …"""
    reference: Mapped[str] = mapped_column(primary_key=True)
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    taken_at: Mapped[datetime]


class Adjustment(Base):
    """A manual correction: one person proposes it, another approves it."""

    __tablename__ = "adjustments"
    __table_args__ = (
        one_of("kind", AdjustmentKind),
        one_of("status", AdjustmentStatus),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("status NOT IN ('approved', 'rejected') OR (decided_by IS NOT NULL AND decided_by <> made_by)", name="two_people"),
        CheckConstraint("(status = 'proposed') = (decided_at IS NULL)", name="decided"),
        Index("ix_adjustments_account_id", "account_id", "adjustment_id"),
        Index("ix_adjustments_proposed", "adjustment_id", postgresql_where=text("status = 'proposed'")),
    )

    adjustment_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.account_id"))
    kind: Mapped[AdjustmentKind]
    status: Mapped[AdjustmentStatus]
    bonus: Mapped[bool]
    """Bonus money instead of principal."""
    bonus_expires_at: Mapped[datetime | None]
    currency: Mapped[str]
    amount_minor: Mapped[int]
    reason_code: Mapped[str]
    note: Mapped[str]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    decided_at: Mapped[datetime | None]


class Freeze(Base):
    """An order of an authority against an account or an amount in it."""

    __tablename__ = "freezes"
    __table_args__ = (
        one_of("scope", FreezeScope),
        one_of("status", FreezeStatus),
        CheckConstraint("(scope = 'amount') = (amount_minor IS NOT NULL) AND amount_minor > 0", name="amount"),
        CheckConstraint("expires_at > frozen_at", name="expiry"),
        CheckConstraint("(status = 'active') = (ended_at IS NULL)", name="ended"),
        Index("ux_freezes_document", "account_id", "authority", "document", unique=True),
        Index("ix_freezes_active", "expires_at", "freeze_id", postgresql_where=text("status = 'active'")),
    )

    freeze_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.account_id"))
    scope: Mapped[FreezeScope]
    status: Mapped[FreezeStatus]
    amount_minor: Mapped[int | None]
    holds: Mapped[list[Any]]
    """What an amount freeze holds now: `[[purse id, minor units], …]`."""
    authority: Mapped[str]
    document: Mapped[str]
    officer: Mapped[str]
    frozen_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    frozen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    ended_document: Mapped[str | None]


class AccountClosure(Base):
    """Giving an account's money back and ending it."""

    __tablename__ = "account_closures"
    __table_args__ = (
        one_of("status", ClosureStatus),
        one_of("reason", ClosureReason),
        one_of("method", PayoutMethod),
        CheckConstraint(
            "refund_minor >= 0 AND bonus_returned_minor >= 0 AND bonus_expired_minor >= 0 AND settled_minor >= 0", name="amounts"
        ),
        CheckConstraint("NOT second_person OR approved_by IS NULL OR approved_by <> requested_by", name="two_people"),
        CheckConstraint("(payee_account_sealed IS NULL) = (method = 'cash')", name="payee"),
        CheckConstraint("(payee_account_sealed IS NULL) = (payee_name_sealed IS NULL)", name="payee_name"),
        Index("ux_account_closures_running", "account_id", unique=True, postgresql_where=text("status IN ('requested', 'approved')")),
        Index("ix_account_closures_account_id", "account_id", "closure_id"),
        Index("ix_account_closures_waiting", "status", "closure_id", postgresql_where=text("status IN ('requested', 'approved')")),
    )

    closure_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.account_id"))
    status: Mapped[ClosureStatus]
    reason: Mapped[ClosureReason]
    note: Mapped[str]
    method: Mapped[PayoutMethod]
    second_person: Mapped[bool]
    """Whether somebody else than who asked must approve."""
    currency: Mapped[str]
    refund_minor: Mapped[int]
    """What the customer gets; a quote until approval."""
    paid_in_minor: Mapped[int]
    bonus_given_minor: Mapped[int]
    settled_minor: Mapped[int]
    bonus_returned_minor: Mapped[int]
    """Principal that goes back to the bonus's funder: the share of what was consumed that the customer owes it."""
    bonus_expired_minor: Mapped[int]
    payee_name_sealed: Mapped[bytes | None]
    payee_bank: Mapped[str | None]
    payee_account_sealed: Mapped[bytes | None]
    payee_account_tail: Mapped[str | None]
    claimant_record_id: Mapped[UUID | None] = mapped_column(ForeignKey("real_names.record_id"))
    cards: Mapped[list[str]]
    """The cards closed with it, for a reopening."""
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    requested_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    requested_at: Mapped[datetime]
    approved_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    approved_at: Mapped[datetime | None]
    paid_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    paid_at: Mapped[datetime | None]
    payout_reference: Mapped[str | None]


class TopupEvent(Base):
    """One line a change of anything in this room: who, when, why. Never updated."""

    __tablename__ = "topup_events"
    __table_args__ = (Index("ix_topup_events_subject_id", "subject_id", "event_id"),)

    event_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    """Counted, since a request and its approval may fall into one instant."""
    subject_kind: Mapped[str]
    """`topup`, `purchase`, `fee`, `adjustment`, `freeze` or `closure`."""
    subject_id: Mapped[UUID]
    moved_to: Mapped[str]
    happened_at: Mapped[datetime]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    reason: Mapped[str]
    facts: Mapped[dict[str, Any]]
