"""Files that partners send about what they served: each line with what it comes to against our book."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Integer, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of


class RowOutcome(StrEnum):
    """What a line of a partner's file comes to against our book."""

    MATCHED = "matched"
    DIFFERENT = "different"
    """Known on both sides, with another amount."""
    MISSING_HERE = "missing_here"
    """They have it, we do not."""
    MISSING_THERE = "missing_there"
    """We have it, their file does not."""
    CANCELLED = "cancelled"
    """They took it back, and so did we, or we never had it."""
    REPEATED = "repeated"
    """Another line of the file has the same number of theirs."""
    UNREADABLE = "unreadable"


class Compared(StrEnum):
    """Which of our amounts theirs is set against."""

    SAVED = "saved_minor"
    GROSS = "gross_minor"
    DUE = "due_minor"


class PartnerInboundFile(Base):
    """A file a partner sent: the same bytes are the same run."""

    __tablename__ = "partner_inbound_files"

    file_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    name: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(Integer)
    digest: Mapped[bytes]
    first_day: Mapped[date]
    end_day: Mapped[date]
    """The day after the last that it is about: of these days what is not in it is missing there."""
    mapping: Mapped[dict[str, str]] = mapped_column(JSONB)
    zone: Mapped[str]
    outcomes: Mapped[dict[str, int]] = mapped_column(JSONB)
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]

    __table_args__ = (
        Index("ux_partner_inbound_files_digest", "partner_id", "digest", unique=True),
        Index("ix_partner_inbound_files_partner_id", "partner_id", "file_id"),
        CheckConstraint("end_day > first_day AND size_bytes > 0 AND octet_length(digest) = 32", name="sound"),
    )


class PartnerInboundRow(Base):
    """One line of it, or one of ours that it lacks, with what came of it."""

    __tablename__ = "partner_inbound_rows"

    file_id: Mapped[UUID] = mapped_column(ForeignKey("partner_inbound_files.file_id"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    place: Mapped[int | None] = mapped_column(Integer)
    """The line as a spreadsheet counts; None: it is ours alone."""
    reference: Mapped[str]
    theirs: Mapped[str]
    """What they call it."""
    event_at: Mapped[datetime | None]
    amount_minor: Mapped[int | None]
    outcome: Mapped[RowOutcome]
    late: Mapped[bool]
    """Of a day before the file's."""
    line_number: Mapped[int | None]
    ours_minor: Mapped[int | None]
    why: Mapped[str]

    __table_args__ = (
        ForeignKeyConstraint(["partner_id", "line_number"], ["partner_lines.partner_id", "partner_lines.number"]),
        Index("ix_partner_inbound_rows_line_number", "partner_id", "line_number", postgresql_where=text("line_number IS NOT NULL")),
        Index("ix_partner_inbound_rows_outcome", "file_id", "outcome", "ordinal"),
        one_of("outcome", RowOutcome),
    )
