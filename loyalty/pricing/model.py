"""Standing discount terms, effective-dated; a change is a new revision of the same code."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Integer, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class DiscountTerm(Base):
    """So much per unit off the pump's price, for one card product, product and station, or any of them."""

    __tablename__ = "discount_terms"

    term_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    card_product_id: Mapped[UUID | None] = mapped_column(ForeignKey("card_products.product_id"))
    product_id: Mapped[UUID | None] = mapped_column(ForeignKey("products.product_id"))
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    currency: Mapped[str] = mapped_column(Text)
    rate_e4: Mapped[int] = mapped_column(BigInteger)
    """In 1/10,000 of a currency unit per product unit."""
    funder: Mapped[str] = mapped_column(Text)
    """Reference of the house account that bears it."""
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]
    published_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("code", "revision", name="uq_discount_terms_code_revision"),
        CheckConstraint("rate_e4 > 0", name="rate"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="validity"),
    )
