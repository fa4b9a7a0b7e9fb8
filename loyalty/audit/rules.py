"""What a seal is made of: pure hashing, so that anyone with the rows can compute it again.

The tree is that of RFC 9162, section 2.1.1: a leaf is hashed with 0x00 before it, a node with 0x01, and the left subtree is the largest
full one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

GENESIS: Final = bytes(32)
"""What the first seal names as its previous."""
SEAL_TOPIC: Final = "audit seal"
SEAL_ENTRIES_MAX: Final = 10_000
LEAF_BYTES: Final = 40
_ID_BYTES: Final = 8


class SealedEntry(NamedTuple):
    """An entry's columns as the database gives them back, in the order in which they are hashed."""

    entry_id: int
    at: datetime
    actor_kind: str
    actor_id: str
    action: str
    subject_kind: str
    subject_id: str
    station_id: UUID | None
    facts: Mapping[str, object]
    address: str | None
    user_agent: str | None


def entry_hash(entry: SealedEntry) -> bytes:
    """Return the leaf hash of one entry, 32 bytes: SHA-256 over its canonical JSON (sorted keys, UTC, microseconds)."""
    row = entry._replace(at=entry.at.astimezone(UTC), facts=dict(entry.facts))
    return hashlib.sha256(b"\x00" + msgspec.json.encode(list(row), order="deterministic")).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes, 32 bytes; that of one leaf is the leaf.

    :raises ValueError: for no leaves
    """
    if not leaves:
        raise ValueError("a tree has at least one leaf")
    level = list(leaves)
    # Pairing neighbours and lifting an odd last one gives the same tree as splitting at the largest power of two.
    while len(level) > 1:
        pairs = [hashlib.sha256(b"\x01" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
        level = pairs + ([level[-1]] if len(level) % 2 else [])
    return level[0]


def seal_hash(*, seal_id: int, first_id: int, last_id: int, entries: int, root: bytes, previous: bytes) -> bytes:
    """Return the hash of a link, 32 bytes: what the next link names, what is signed and what is exported."""
    numbers = b"".join(number.to_bytes(_ID_BYTES, "big") for number in (seal_id, first_id, last_id, entries))
    return hashlib.sha256(b"loyalty audit seal v1" + numbers + root + previous).digest()


def pack_leaves(leaves: Sequence[tuple[int, bytes]]) -> bytes:
    """Join `(entry id, leaf hash)` into 40 bytes each, in the given order."""
    return b"".join([entry_id.to_bytes(_ID_BYTES, "big") + leaf for entry_id, leaf in leaves])


def unpack_leaves(packed: bytes) -> dict[int, bytes]:
    """Read what `pack_leaves` joined: entry id to leaf hash, in order."""
    cuts = range(0, len(packed), LEAF_BYTES)
    return {int.from_bytes(packed[at : at + _ID_BYTES], "big"): packed[at + _ID_BYTES : at + LEAF_BYTES] for at in cuts}
