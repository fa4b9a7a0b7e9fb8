"""How much of what an agreement limits is used up."""

from datetime import date
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class PartnerCounter(Base):
    """One limit's use: of a month (its first day), or for ever (`date.min`). Drawn on under a condition, never above the agreed limit."""

    __tablename__ = "partner_counters"
    __table_args__ = (CheckConstraint("used >= 0", name="used"), {"postgresql_with": {"fillfactor": 50}})

    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"), primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    """`cost` (minor units that the issuer bears), `benefit:CODE` (pieces), `plate:CODE:PLATE` (pieces)."""
    month: Mapped[date] = mapped_column(primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger)
