"""Protected columns: sealed values, their blind indexes, and the keyed fingerprint of a request.

A sealed value is `version (1) ‖ key id (2) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`, AES-256-GCM. Its associated data names table, column, row
and key, so a value moved to another row, column or table does not open.
"""

import hmac
import secrets
from functools import lru_cache
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag

from loyalty.crypto.encoding import framed
from loyalty.crypto.keys import KEY_ID_BYTES, CryptoError, Purpose, keyring

ENVELOPE_VERSION: Final = 1
_VERSION: Final = bytes([ENVELOPE_VERSION])
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_HEAD_BYTES: Final = 1 + KEY_ID_BYTES
_BODY_AT: Final = _HEAD_BYTES + _NONCE_BYTES
ENVELOPE_OVERHEAD: Final = _BODY_AT + _TAG_BYTES
"""How many bytes longer than its plaintext an envelope is."""

RowId = UUID | str | int


class BrokenEnvelopeError(CryptoError):
    """A sealed value that was changed, or that belongs to another row, column or table."""


def seal(purpose: Purpose, *, table: str, column: str, row_id: RowId, plaintext: bytes) -> bytes:
    """Return the envelope of `plaintext` for one column of one row, `len(plaintext) + ENVELOPE_OVERHEAD` bytes.

    `row_id` is the row's primary key, known before the insert; a composite key is given as one text.
    """
    key = keyring().active(purpose)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    head = _VERSION + key.prefix
    return head + nonce + key.cipher.encrypt(nonce, plaintext, _place(head, table, column) + _row(row_id))


def open_(purpose: Purpose, *, table: str, column: str, row_id: RowId, envelope: bytes) -> bytes:
    """Return the plaintext of an envelope.

    :raises UnknownKeyError: if its key is unknown, destroyed, or another purpose's
    :raises BrokenEnvelopeError: if it was changed or moved
    """
    head = envelope[:_HEAD_BYTES]
    if len(envelope) < ENVELOPE_OVERHEAD or head[:1] != _VERSION:
        raise BrokenEnvelopeError(f"{table}.{column}: not an envelope")
    key = keyring().find(purpose, int.from_bytes(head[1:], "big"))
    try:
        return key.cipher.decrypt(envelope[_HEAD_BYTES:_BODY_AT], envelope[_BODY_AT:], _place(head, table, column) + _row(row_id))
    except InvalidTag:
        raise BrokenEnvelopeError(f"{table}.{column}: an envelope was changed or moved") from None


def seal_text(purpose: Purpose, *, table: str, column: str, row_id: RowId, plaintext: str) -> bytes:
    """Seal text as UTF-8; see `seal`."""
    return seal(purpose, table=table, column=column, row_id=row_id, plaintext=plaintext.encode())


def open_text(purpose: Purpose, *, table: str, column: str, row_id: RowId, envelope: bytes) -> str:
    """Open text sealed by `seal_text`; raises like `open_`."""
    return open_(purpose, table=table, column=column, row_id=row_id, envelope=envelope).decode()


def key_id_of(envelope: bytes) -> int:
    """Return the key id an envelope was sealed under: what a re-encryption job selects by."""
    return int.from_bytes(envelope[1:_HEAD_BYTES], "big")


def needs_rotation(purpose: Purpose, envelope: bytes) -> bool:
    """Say whether an envelope stands under a key that is no longer the active one, or in an older layout."""
    return envelope[:_HEAD_BYTES] != _VERSION + keyring().active(purpose).prefix


def reseal(purpose: Purpose, *, table: str, column: str, row_id: RowId, envelope: bytes) -> bytes:
    """Return the same plaintext under the active key; the caller stores it only where `envelope` still stands (compare-and-swap).

    Raises like `open_`.
    """
    plaintext = open_(purpose, table=table, column=column, row_id=row_id, envelope=envelope)
    return seal(purpose, table=table, column=column, row_id=row_id, plaintext=plaintext)


def blind_index(purpose: Purpose, text: str) -> bytes:
    """Return the 32-byte look-up value of `text`, HMAC-SHA-256 under an `INDEX_…` purpose.

    The caller normalises first (digits only, upper case, E.164 …): two spellings give two indexes.
    """
    return keyring().active(purpose).mac(text.encode())


def request_fingerprint(request: bytes) -> bytes:
    """Return the 32-byte keyed fingerprint of a request whose body the caller gives without its PIN.

    Keyed because the stored value would else let a reader of the database guess card numbers.
    """
    return keyring().active(Purpose.FINGERPRINT).mac(request)


def same_bytes(one: bytes, other: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one, other)


@lru_cache(maxsize=512)
def _place(head: bytes, table: str, column: str) -> bytes:
    return framed(b"loyalty field", head, table.encode(), column.encode())


def _row(row_id: RowId) -> bytes:
    return row_id.bytes if isinstance(row_id, UUID) else str(row_id).encode()
