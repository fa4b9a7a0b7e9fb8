"""What the portals themselves remember: forms that were sent."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class FormKey(Base):
    """One form that a session sent; its effect and this row are one transaction."""

    __tablename__ = "form_keys"

    session_id: Mapped[UUID] = mapped_column(ForeignKey("user_sessions.session_id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    path: Mapped[str] = mapped_column(Text)
    led_to: Mapped[str | None] = mapped_column(Text)
    """The page its sender was led to; a repeated sending is led there too."""
    sent_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("length(key) BETWEEN 8 AND 64", name="key"),)
