"""What a check is and what it finds. No tables."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.queries import Checkpoint

Row = dict[str, str | int | bool | None]
"""A row that breaks an invariant: its ids and the figures that disagree, never personal data."""


class Level(StrEnum):
    """How bad it is."""

    BREACH = "breach"
    """An invariant does not hold: exit code 1."""
    WARNING = "warning"
    """Somebody should look at it."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a run is given besides the database."""

    now: datetime
    rows: int = 50
    """How many rows of a check are named; all are counted."""
    everything: bool = False
    """Every protected row and every text, instead of a sample of the large tables."""
    issuer_keys: Mapping[int, bytes] | None = None
    """The issuer's public keys of the audit trail, by key id; None: signatures are not proved."""
    checkpoints: Sequence[Checkpoint] = ()
    """The links of the trail that were exported outside the database."""


@dataclass(frozen=True)
class Found:
    """How many rows break an invariant, and the first of them."""

    count: int = 0
    rows: list[Row] = field(default_factory=list)


Look = Callable[[AsyncSession, Scope], Awaitable[Found]]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One invariant, or a part of one that is proved by itself."""

    code: str
    invariant: int
    """Its number in the list of ARCHITECTURE.md and the guarantees."""
    says: str
    """What holds, in one sentence."""
    look: Look
    level: Level = Level.BREACH


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one check found, and how long it looked."""

    check: Check
    found: Found
    seconds: float

    @property
    def breaks(self) -> bool:
        """Whether an invariant is broken."""
        return self.found.count > 0 and self.check.level is Level.BREACH
