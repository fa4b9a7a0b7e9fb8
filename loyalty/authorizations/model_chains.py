"""A till's chain as its shift closes signed it, and where the till's journal and our books differ."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class ChainClose(Base):
    """The stretch of a till's chain that one shift close signed."""

    __tablename__ = "chain_closes"

    shift_id: Mapped[UUID] = mapped_column(ForeignKey("shifts.shift_id"), primary_key=True)
    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminals.terminal_id"))
    epoch: Mapped[int] = mapped_column(Integer)
    last_sequence: Mapped[int]
    last_hash: Mapped[bytes]
    """Hash of the last record; the chain's genesis where there is none."""
    head: Mapped[bytes]
    signature: Mapped[bytes]
    signature_good: Mapped[bool] = mapped_column(Boolean)
    differences: Mapped[list[Any]]
    """`[{kind, sequence, key, operation, …}]`: each transaction in which till and host differ."""
    unbooked: Mapped[list[Any]]
    """Sequence numbers of records that, by the signed journal, were refused, never sent or replaced: no lost sales."""
    closed_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("last_sequence >= 0 AND octet_length(head) = 32 AND octet_length(last_hash) = 32", name="chain"),
        Index("ix_chain_closes_terminal_id", "terminal_id", "epoch", "last_sequence"),
    )
