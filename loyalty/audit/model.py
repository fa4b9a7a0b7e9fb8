"""The trail's tables: entries that nobody may change, and the seals that chain them."""

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class ActorKind(StrEnum):
    """Who acted."""

    STAFF = "staff"
    CUSTOMER = "customer"
    COMPANY_USER = "company_user"
    """Somebody whom a company let into its portal."""
    TERMINAL = "terminal"
    PARTNER = "partner"
    SYSTEM = "system"
    """A job, a migration or the command line; its id names which."""
    UNKNOWN = "unknown"
    """Nobody who proved who they are: a refused log-in, a wrong enrolment code."""


class Actor(NamedTuple):
    """Who acts; `address` and `user_agent` only where a portal was used."""

    kind: ActorKind
    actor_id: UUID | str
    address: str | None = None
    user_agent: str | None = None

    @property
    def staff_id(self) -> UUID | None:
        """The member of staff who acts; None where somebody else does."""
        if self.kind is not ActorKind.STAFF:
            return None
        return self.actor_id if isinstance(self.actor_id, UUID) else UUID(self.actor_id)


class AuditEntry(Base):
    """One act. Its facts carry neither secrets nor personal data: they name rows, amounts, reasons."""

    __tablename__ = "audit_entries"

    entry_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    actor_kind: Mapped[ActorKind]
    actor_id: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    """A verb of the trade in the form `room.verb`: `identity.role_granted`."""
    subject_kind: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[str] = mapped_column(Text)
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    facts: Mapped[dict[str, Any]]
    address: Mapped[str | None] = mapped_column(Text)
    user_agent: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint(
            "actor_kind IN ('staff', 'customer', 'company_user', 'terminal', 'partner', 'system', 'unknown')", name="actor_kind"
        ),
        CheckConstraint("length(action) BETWEEN 3 AND 80 AND length(actor_id) <= 200 AND length(subject_id) <= 200", name="lengths"),
        Index("ix_audit_entries_at", "at", "entry_id"),
        Index("ix_audit_entries_actor", "actor_kind", "actor_id", "entry_id"),
        Index("ix_audit_entries_subject", "subject_kind", "subject_id", "entry_id"),
        Index("ix_audit_entries_action", "action", "entry_id"),
        Index("ix_audit_entries_station_id", "station_id", "entry_id"),
    )


class AuditSeal(Base):
    """A link of the chain over the entries `(previous link's last, last_id]`."""

    __tablename__ = "audit_seals"

    seal_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """1, 2, 3 … without a gap."""
    first_id: Mapped[int] = mapped_column(BigInteger)
    last_id: Mapped[int] = mapped_column(BigInteger)
    entries: Mapped[int] = mapped_column(Integer)
    leaves: Mapped[bytes]
    """The SHA-256 of each entry in id order, 40 bytes each with its id before it: what lets an altered row be named."""
    merkle_root: Mapped[bytes]
    previous_hash: Mapped[bytes]
    seal_hash: Mapped[bytes]
    signature: Mapped[bytes | None]
    """Ed25519 by the issuer's audit key over `seal_hash`: `key id ‖ signature`, where keys were at hand."""
    sealed_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("first_id <= last_id AND entries > 0 AND octet_length(leaves) = 40 * entries", name="range"),
        CheckConstraint(
            "octet_length(merkle_root) = 32 AND octet_length(previous_hash) = 32 AND octet_length(seal_hash) = 32",
            name="hashes",
        ),
        Index("ux_audit_seals_last_id", "last_id", unique=True),
    )
