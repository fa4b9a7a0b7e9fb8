"""What was taken over from former systems: runs, the rows by their former ids, receipts that are replayed."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of


class RunStatus(StrEnum):
    """Where an import stands. One that was killed stays `running`, and the next of the same file goes on behind it."""

    RUNNING = "running"
    DONE = "done"


class ImportRun(Base):
    """One import of one file by one map. Its figures are written in each chunk's own transaction, so they always fit the rows."""

    __tablename__ = "import_runs"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str]
    kind: Mapped[str]
    file_name: Mapped[str]
    file_hash: Mapped[bytes]
    """SHA-256 of the file's bytes."""
    map_hash: Mapped[bytes]
    status: Mapped[RunStatus]
    last_line: Mapped[int]
    """The last line of the file that was worked on."""
    counts: Mapped[dict[str, Any]]
    """Rows by outcome."""
    sums: Mapped[dict[str, Any]]
    """Minor units by outcome and currency."""
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    __table_args__ = (one_of("status", RunStatus), Index("ix_import_runs_file_hash", "file_hash", "started_at"))


class ImportRow(Base):
    """What a former system called a row, and what it is here: how a second import adds nothing, and how a replay finds its card."""

    __tablename__ = "import_rows"

    source: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    legacy_id: Mapped[str] = mapped_column(primary_key=True)
    our_id: Mapped[UUID | None]
    """None where no single row stands for it (a price)."""
    row_hash: Mapped[bytes]
    """BLAKE2b-128 of the row as it was read."""
    run_id: Mapped[UUID] = mapped_column(ForeignKey("import_runs.run_id"))


class LegacyReceipt(Base):
    """A receipt of a former system, not booked: `loyalty replay` makes pump traffic of it."""

    __tablename__ = "legacy_receipts"

    receipt_id: Mapped[UUID] = mapped_column(primary_key=True)
    """Computed from source and receipt."""
    source: Mapped[str]
    legacy_id: Mapped[str]
    card_id: Mapped[UUID] = mapped_column(ForeignKey("cards.card_id"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.account_id"))
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    currency: Mapped[str]
    event_at: Mapped[datetime]

    __table_args__ = (Index("ix_legacy_receipts_event_at", "event_at", "receipt_id"), Index("ix_legacy_receipts_card_id", "card_id"))


class LegacyLine(Base):
    """A line of a former receipt: whole line's money, quantity where there was one."""

    __tablename__ = "legacy_lines"

    line_id: Mapped[UUID] = mapped_column(primary_key=True)
    """Computed from source and the line's id there."""
    receipt_id: Mapped[UUID] = mapped_column(ForeignKey("legacy_receipts.receipt_id"))
    legacy_id: Mapped[str]
    position: Mapped[int] = mapped_column(Integer)
    """The line of the file it stood on."""
    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.product_id"))
    quantity_milli: Mapped[int | None]
    """Thousandths; None where the former system knew only the money."""
    amount_minor: Mapped[int]

    __table_args__ = (
        CheckConstraint("amount_minor > 0 AND quantity_milli > 0", name="positive"),
        Index("ix_legacy_lines_receipt_id", "receipt_id"),
    )
