"""The chain of a terminal's records: each body names the hash of the one before, and the shift close signs all of them.

Nozzles are parallel, so a server stores hashes as they come and looks at the chain at shift close only. A gap shows a lost or deleted sale;
one sequence with two hashes shows a cloned or doctored terminal, which is quarantined. A retry sends the very same bytes.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from loyalty.crypto.encoding import framed

HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ChainRecord:
    """What a server keeps of one record: its place, the hash it names as previous, and its own hash, 32 bytes each."""

    epoch: int
    sequence: int
    previous: bytes
    record_hash: bytes


class BreakKind(StrEnum):
    """How a chain can be broken."""

    MISSING = "missing"
    FORKED = "forked"
    UNLINKED = "unlinked"


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """One fault in a chain, at the first sequence it concerns; `missing` counts the records that are not there."""

    kind: BreakKind
    epoch: int
    sequence: int
    missing: int = 0


def record_hash(body: bytes) -> bytes:
    """Return SHA-256 of a record's body as it was sent, 32 bytes."""
    return hashlib.sha256(body).digest()


def chain_genesis(terminal_id: UUID, epoch: int) -> bytes:
    """Return what the first record (sequence 1) of an epoch names as previous, and the head of its empty chain."""
    return hashlib.sha256(framed(b"loyalty chain genesis v1", terminal_id.bytes, epoch.to_bytes(4, "big"))).digest()


def chain_head(start: bytes, records: Iterable[ChainRecord]) -> bytes:
    """Return the head after `records`, taken in order of (epoch, sequence), from `start`: the last close's head or the genesis.

    Every epoch, sequence and record hash enters it, so that one changed, left out or added record gives another head.
    """
    head = start
    for record in sorted(records, key=lambda record: (record.epoch, record.sequence)):
        place = record.epoch.to_bytes(4, "big") + record.sequence.to_bytes(8, "big")
        head = hashlib.sha256(head + place + record.record_hash).digest()
    return head


def chain_breaks(
    records: Iterable[ChainRecord], *, terminal_id: UUID, last: ChainRecord | None, announced: tuple[int, int] | None = None
) -> list[ChainBreak]:
    """Return every fault in a terminal's records since `last` (the last record of the previous close; None at the beginning).

    `announced` is the (epoch, sequence) that the terminal says was its latest: what is missing at the end shows, too. Records of a
    later epoch begin a chain of their own at sequence 1.
    """
    breaks: list[ChainBreak] = []
    before = last
    for record in sorted(records, key=lambda record: (record.epoch, record.sequence)):
        if before is not None and (record.epoch, record.sequence) == (before.epoch, before.sequence):
            if record.record_hash != before.record_hash:
                breaks.append(ChainBreak(BreakKind.FORKED, record.epoch, record.sequence))
            continue
        same_epoch = before is not None and before.epoch == record.epoch
        expected = before.sequence + 1 if before is not None and same_epoch else 1
        if record.sequence > expected:
            breaks.append(ChainBreak(BreakKind.MISSING, record.epoch, expected, record.sequence - expected))
        elif record.previous != (before.record_hash if before is not None and same_epoch else chain_genesis(terminal_id, record.epoch)):
            breaks.append(ChainBreak(BreakKind.UNLINKED, record.epoch, record.sequence))
        before = record
    if announced is not None:
        epoch, sequence = announced
        reached = before.sequence if before is not None and before.epoch == epoch else 0
        if sequence > reached:
            breaks.append(ChainBreak(BreakKind.MISSING, epoch, reached + 1, sequence - reached))
    return breaks


def sign_chain(enrolment_key: Ed25519PrivateKey, *, terminal_id: UUID, epoch: int, last_sequence: int, head: bytes) -> bytes:
    """Return the terminal's Ed25519 signature (64 bytes) over its chain at shift close."""
    return enrolment_key.sign(_close_message(terminal_id, epoch, last_sequence, head))


def chain_signature_is_good(
    enrolled_key: bytes, signature: bytes, *, terminal_id: UUID, epoch: int, last_sequence: int, head: bytes
) -> bool:
    """Check a shift close's signature; `enrolled_key` is the terminal's public key, 32 raw bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(enrolled_key).verify(signature, _close_message(terminal_id, epoch, last_sequence, head))
    except (InvalidSignature, ValueError):
        return False
    return True


def new_enrolment_key() -> Ed25519PrivateKey:
    """Return a terminal's fresh enrolment key, made on the device it stays on."""
    return Ed25519PrivateKey.generate()


def enrolment_public_key(enrolment_key: Ed25519PrivateKey) -> bytes:
    """Return the 32 raw bytes that a terminal hands in with its enrolment code."""
    return enrolment_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def prove_enrolment_key(enrolment_key: Ed25519PrivateKey, code: str) -> bytes:
    """Return the proof (64 bytes) that whoever hands in the public key holds the private one; `code` in its one spelling."""
    return enrolment_key.sign(framed(b"loyalty enrolment v1", code.encode()))


def enrolment_proof_is_good(public_key: bytes, proof: bytes, code: str) -> bool:
    """Check `prove_enrolment_key`; False also for 32 bytes that are no key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(proof, framed(b"loyalty enrolment v1", code.encode()))
    except (InvalidSignature, ValueError):
        return False
    return True


def _close_message(terminal_id: UUID, epoch: int, last_sequence: int, head: bytes) -> bytes:
    return framed(b"loyalty shift close v1", terminal_id.bytes, epoch.to_bytes(4, "big"), last_sequence.to_bytes(8, "big"), head)
