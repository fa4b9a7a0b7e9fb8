"""Referral programmes, who was brought by whom, what was paid for it; and vouchers that come every month."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.customers.model
import loyalty.identity.model  # noqa: F401 - as the one above: their tables are what columns here refer to
from loyalty.db import Base, one_of

from .referral_rules import Fault, Side


class ReferralStatus(StrEnum):
    OPEN = "open"
    HELD = "held"
    """It looks like a self-referral: nothing is paid unless a person decides otherwise."""
    ADMITTED = "admitted"
    """Was held; a person looked at it and let it count."""
    REFUSED = "refused"
    ENDED = "ended"
    """All is paid, or the time is over."""


REFERRAL_MOVES: dict[ReferralStatus, frozenset[ReferralStatus]] = {
    ReferralStatus.OPEN: frozenset({ReferralStatus.HELD, ReferralStatus.ENDED}),
    ReferralStatus.HELD: frozenset({ReferralStatus.ADMITTED, ReferralStatus.REFUSED}),
    ReferralStatus.ADMITTED: frozenset({ReferralStatus.REFUSED, ReferralStatus.ENDED}),
    ReferralStatus.REFUSED: frozenset({ReferralStatus.ADMITTED}),
    ReferralStatus.ENDED: frozenset(),
}


class ReferralProgramme(Base):
    """What bringing a customer earns."""

    __tablename__ = "referral_programmes"
    __table_args__ = (
        CheckConstraint("ends_at IS NULL OR ends_at > starts_at", name="validity"),
        CheckConstraint("within_days > 0 AND wait_days >= 0 AND most_each > 0", name="figures"),
    )

    programme_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    currency: Mapped[str]
    zone: Mapped[str]
    """The IANA zone in which a lot's last day ends."""
    milestones: Mapped[list[dict[str, Any]]]
    """`referral_rules.Milestone` each."""
    funders: Mapped[list[Any]]
    """Who bears it, `[[funder, parts], …]`."""
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    """Customers who join in `[starts_at, ends_at)` count."""
    within_days: Mapped[int | None] = mapped_column(Integer)
    """How long after joining a milestone may be reached."""
    wait_days: Mapped[int] = mapped_column(Integer)
    """How long a deed must stand before it is paid for."""
    most_each: Mapped[int | None] = mapped_column(Integer)
    """For how many customers one referrer is rewarded."""
    active: Mapped[bool]
    made_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class Referral(Base):
    """That one customer was brought by another, once a programme."""

    __tablename__ = "referrals"
    __table_args__ = (
        one_of("status", ReferralStatus),
        one_of("fault", Fault),
        CheckConstraint("referrer_id <> referee_id", name="two"),
        CheckConstraint("status <> 'held' OR fault IS NOT NULL", name="held"),
        CheckConstraint("(decided_at IS NULL) = (decided_by IS NULL)", name="decided"),
        Index("ux_referrals_referee_id", "referee_id", "programme_id", unique=True),
        Index("ix_referrals_referrer_id", "referrer_id", "referral_id"),
        Index("ix_referrals_programme_id", "programme_id", "referral_id"),
        Index("ix_referrals_looked_at", "programme_id", "looked_at", postgresql_where=text("status IN ('open', 'admitted')")),
    )

    referral_id: Mapped[UUID] = mapped_column(primary_key=True)
    programme_id: Mapped[UUID] = mapped_column(ForeignKey("referral_programmes.programme_id"))
    referrer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"))
    referee_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"))
    status: Mapped[ReferralStatus]
    fault: Mapped[Fault | None]
    joined_at: Mapped[datetime]
    looked_at: Mapped[datetime]
    """When its progress was last looked at."""
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    decision: Mapped[str | None]


class ReferralReward(Base):
    """One milestone of one referral paid to one side, for ever once."""

    __tablename__ = "referral_rewards"
    __table_args__ = (
        one_of("side", Side),
        Index("ux_referral_rewards_once", "referral_id", "milestone", "side", unique=True),
        Index("ix_referral_rewards_customer_id", "customer_id", "reward_id"),
    )

    reward_id: Mapped[UUID] = mapped_column(primary_key=True)
    """The source under which points, money, vouchers and gifts are given."""
    referral_id: Mapped[UUID] = mapped_column(ForeignKey("referrals.referral_id"))
    milestone: Mapped[str]
    side: Mapped[Side]
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.account_id"))
    given: Mapped[list[dict[str, Any]]]
    """What was wanted and given: `{kind, item?, wanted, given}` each."""
    paid_at: Mapped[datetime]


class MonthlyVoucher(Base):
    """Vouchers that come every month to those of a tier: the free wash."""

    __tablename__ = "monthly_vouchers"
    __table_args__ = (
        CheckConstraint("ends_at IS NULL OR ends_at > starts_at", name="validity"),
        CheckConstraint("pieces > 0", name="pieces"),
    )

    monthly_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    kind_id: Mapped[UUID] = mapped_column(ForeignKey("voucher_kinds.kind_id"))
    pieces: Mapped[int] = mapped_column(Integer)
    tiers: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Any of these tiers; empty: every customer with a personal card."""
    zone: Mapped[str]
    """The IANA zone in which a month begins, and its vouchers end."""
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    active: Mapped[bool]
    made_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]
