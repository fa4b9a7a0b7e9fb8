"""The line a partner's event leaves: its worth, who bears it, what the issuer owes by it. Never changed: mirrored or adjusted."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Integer, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.rewards.model_vouchers  # noqa: F401 - its redemptions are what lines refer to
from loyalty.db import Base, one_of


class LineKind(StrEnum):
    """What happened."""

    REDEMPTION = "redemption"
    """A benefit was redeemed at the partner."""
    ROLLBACK = "rollback"
    """It was undone: the mirror of a redemption or a sale."""
    SALE = "sale"
    """The partner sold something to a card holder: commission, no benefit."""
    BLOCK = "block"
    """Paid to the partner in advance."""
    ADJUSTMENT = "adjustment"
    """What a dispute, or the office, put right."""
    PAYMENT = "payment"
    """An invoice of a closed month was paid, whichever way."""
    DIFFERENCE = "difference"
    """An invoice was accepted at another amount than its statement's: the rest is nobody's debt any more."""
    OFFLINE_LOSS = "offline_loss"
    """Honoured while the network was gone although it was used up."""


SETTLING: frozenset[LineKind] = frozenset({LineKind.BLOCK, LineKind.PAYMENT, LineKind.DIFFERENCE})
"""What settles what months come to, and is itself not invoiced again."""


class PartnerBook(Base):
    """One partner's book: the number of its last line, and the first month that still takes lines."""

    __tablename__ = "partner_books"
    __table_args__ = (
        CheckConstraint("last_number >= 0", name="last_number"),
        CheckConstraint("open_from = date_trunc('month', open_from)::date", name="open_from"),
    )

    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"), primary_key=True)
    last_number: Mapped[int] = mapped_column(BigInteger)
    open_from: Mapped[date]
    """A line of an earlier month that comes late belongs to this one."""
    balance_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """What all lines come to: what the issuer owes the partner; negative: what is left of blocks paid in advance, or the partner owes."""


class PartnerLine(Base):
    """One line. `due_minor` is what the issuer owes the partner by it: what others bear of the benefit, less the commission."""

    __tablename__ = "partner_lines"
    __table_args__ = (
        one_of("kind", LineKind),
        Index("ux_partner_lines_source", "partner_id", "source", unique=True),
        Index("ix_partner_lines_period", "partner_id", "period", "number"),
        Index("ix_partner_lines_outlet", "partner_id", "outlet_id", "number", postgresql_where=text("outlet_id IS NOT NULL")),
        Index("ux_partner_lines_mirrors", "partner_id", "mirrors", unique=True, postgresql_where=text("mirrors IS NOT NULL")),
        ForeignKeyConstraint(["partner_id", "mirrors"], ["partner_lines.partner_id", "partner_lines.number"]),
        CheckConstraint("due_minor = saved_minor - partner_minor - commission_minor + paid_minor", name="due"),
        CheckConstraint("(kind = 'rollback') = (mirrors IS NOT NULL)", name="mirrors"),
        CheckConstraint("kind IN ('block', 'adjustment', 'payment', 'difference') OR paid_minor = 0", name="paid"),
        CheckConstraint("period = date_trunc('month', period)::date", name="period"),
        CheckConstraint("number > 0", name="number"),
    )

    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """1, 2, … without a gap."""
    line_id: Mapped[UUID] = mapped_column(unique=True)
    kind: Mapped[LineKind]
    period: Mapped[date]
    """The first day of the month that states it: the event's, or the first that was still open."""
    event_at: Mapped[datetime]
    booked_at: Mapped[datetime]
    source: Mapped[str]
    """What it is booked for, once for ever: `redemption:ID`, `rollback:ID`, `adjustment:ID`."""
    agreement_id: Mapped[UUID | None] = mapped_column(ForeignKey("partner_agreements.agreement_id"))
    benefit: Mapped[str | None]
    pieces: Mapped[int] = mapped_column(Integer)
    """1; a roll-back's -1; 0 where nothing is counted."""
    outlet_id: Mapped[UUID | None] = mapped_column(ForeignKey("partner_outlets.outlet_id"))
    served_by: Mapped[str]
    """Who served, as the partner calls them."""
    redemption_id: Mapped[UUID | None] = mapped_column(ForeignKey("voucher_redemptions.redemption_id"))
    reference: Mapped[str]
    """What both sides know it by: the end of a code, a receipt's number."""
    currency: Mapped[str]
    gross_minor: Mapped[int] = mapped_column(BigInteger)
    """The partner's sale, before any benefit."""
    saved_minor: Mapped[int] = mapped_column(BigInteger)
    """What the customer saved by the benefit."""
    shares: Mapped[dict[str, int]] = mapped_column(JSONB)
    """Who bears what of it, minor units a funder; together `saved_minor`."""
    partner_minor: Mapped[int] = mapped_column(BigInteger)
    """What the partner bears of it."""
    commission_share: Mapped[int] = mapped_column(SmallInteger)
    """Parts of ten thousand, as agreed."""
    commission_minor: Mapped[int] = mapped_column(BigInteger)
    """The issuer's, of `gross_minor`."""
    paid_minor: Mapped[int] = mapped_column(BigInteger)
    """What a block (negative: paid in advance) or an adjustment moves besides."""
    due_minor: Mapped[int] = mapped_column(BigInteger)
    """What the issuer owes the partner by this line; negative: the partner the issuer."""
    mirrors: Mapped[int | None] = mapped_column(BigInteger)
    why: Mapped[str]
    actor: Mapped[str]
    """`staff:ID`, `partner_user:ID`, `key:ID`, `system`."""
