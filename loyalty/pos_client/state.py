"""What a till must not forget: its key, its place in the chain, what it asked and has no answer to, and what it sold offline.

Saved before a request leaves, so that a till which dies keeps its idempotency keys and asks again with the same bytes. A PIN stands in
here only sealed.
"""

import contextlib
import os
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import msgspec


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of the till's journal since its last shift close; the close sends them, and the server says where it differs."""

    sequence: int
    key: UUID
    hash: bytes
    operation: str
    booked: bool | None = None
    """None: no answer yet. False: refused, never sent, or replaced by another record; `note` says which."""
    outcome: str | None = None
    amount_minor: int = 0
    note: str | None = None


class Pending(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A request that left, or was about to, and has no answer yet."""

    operation: str
    path: str
    key: UUID
    body: bytes
    sequence: int | None = None
    before: tuple[bytes, bytes] | None = None
    """Hash and head before it entered the chain: one that never left is taken out again."""
    take_back: bool = False
    """The till went on without it: when the line is back it is reversed, not asked again."""


class OfflineSale(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A sale made without the server: the record that will be reported, and what it used of the offline allowance."""

    record: bytes
    key: UUID
    instead_of: UUID | None = None
    """The online request whose answer was lost: only if that one turns out not to be booked is this one reported."""


class Used(msgspec.Struct, kw_only=True):
    """One offline sale against the allowance: keyed card hash, product codes of the card, station-local day."""

    card: bytes
    profile: str
    day: str
    amount_minor: int
    quantity_milli: int


class Profile(msgspec.Struct, kw_only=True):
    """What cards of one product may take offline; each figure shrinks by the percentage for every full hour since the last sync."""

    code: str
    number_bin: str
    allowed: bool
    fill_amount_minor: int
    fill_quantity_milli: int
    day_amount_minor: int
    day_quantity_milli: int
    day_count: int
    station_amount_minor: int
    shrink_percent_per_hour: int


class Offline(msgspec.Struct, kw_only=True):
    """The last synchronised offline package, its signatures checked."""

    synced_at: datetime
    day: str
    day_key: bytes
    stopped: list[bytes]
    profiles: list[Profile]
    terminal_max_minor: int | None


class TillState(msgspec.Struct, kw_only=True):
    """Everything a till keeps between two starts."""

    base_url: str
    terminal_id: UUID
    station_id: UUID
    epoch: int
    private_key: bytes
    """Ed25519, 32 raw bytes, made on this device."""
    issuer_keys: dict[str, bytes]
    sequence: int = 0
    previous: bytes
    """Hash of the latest record, the chain's genesis before the first."""
    head: bytes
    """Head of the chain up to the latest record."""
    journal: list[Entry] = []
    pending: list[Pending] = []
    queue: list[OfflineSale] = []
    used: list[Used] = []
    offline: Offline | None = None


class Store(Protocol):
    """Where the state is kept."""

    def load(self) -> TillState | None:
        """Return what was saved last, None at the beginning."""

    def save(self, state: TillState) -> None:
        """Save; a till that dies afterwards finds exactly this."""


class FileStore:
    """One JSON file, readable by its owner only, replaced whole and synced to disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> TillState | None:
        """Read the file; None where there is none."""
        with contextlib.suppress(FileNotFoundError):
            return msgspec.json.decode(self.path.read_bytes(), type=TillState)
        return None

    def save(self, state: TillState) -> None:
        """Write a new file beside the old one, then put it in its place."""
        beside = self.path.with_name(self.path.name + ".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)


class MemoryStore:
    """Keeps nothing beyond the process: for load generators and tests."""

    def __init__(self, state: TillState | None = None) -> None:
        self.state = state

    def load(self) -> TillState | None:
        """Return the state of this process."""
        return self.state

    def save(self, state: TillState) -> None:
        """Keep it."""
        self.state = state


Answer = dict[str, Any]
"""A JSON answer of the API, as /schema/openapi.json describes it."""
