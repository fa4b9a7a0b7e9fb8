"""Signed compact tokens, and the issuer's signatures.

A token is base64url of `version (1) ‖ key id (2) ‖ expiry in seconds (5) ‖ payload ‖ proof`. The proof is an HMAC (32 bytes) for tokens
that only this service reads (a holder's QR, a receipt's link), an Ed25519 signature (64 bytes) for those that terminals and partners
check offline (stop lists, offline profiles, vouchers). The purpose's key decides which, and a token of one purpose is nothing under
another.
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from loyalty.crypto.encoding import b64url, canonical_json, framed, seconds_of, unb64url
from loyalty.crypto.keys import KEY_ID_BYTES, CryptoError, Purpose, UnknownKeyError, Use, keyring

T = TypeVar("T")

_VERSION: Final = b"\x01"
_EXPIRY_BYTES: Final = 5
_HEAD_BYTES: Final = 1 + KEY_ID_BYTES + _EXPIRY_BYTES
_MAC_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_STOP_LIST_ENTRY_BYTES: Final = 16


class TokenFault(StrEnum):
    """Why a token is not believed."""

    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    MISMATCH = "mismatch"
    EXPIRED = "expired"


class TokenError(CryptoError):
    """A token that is not believed; `fault` says why, for the caller to map to a decline or a refusal."""

    def __init__(self, fault: TokenFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def issue_token(purpose: Purpose, payload: object, *, expires_at: datetime) -> str:
    """Return a token that carries `payload` (a struct, a dict or anything msgspec encodes) until `expires_at`, in whole seconds."""
    key = keyring().active(purpose)
    body = _VERSION + key.prefix + seconds_of(expires_at).to_bytes(_EXPIRY_BYTES, "big") + canonical_json(payload)
    message = _message(purpose, body)
    return b64url(body + (key.signer.sign(message) if purpose.use is Use.SIGN else key.mac(message)))


def read_token(purpose: Purpose, token: str, *, now: datetime, payload: type[T]) -> T:
    """Return the payload of a token that this service issued, decoded as the type `payload`.

    :raises TokenError: if it is malformed, changed, of another purpose, of an unknown key, or `now` has reached its expiry
    """
    if purpose.use is Use.SIGN:
        return read_signed_token(purpose, token, public_keys=public_keys(purpose), now=now, payload=payload)
    body, key_id, proof = _parts(token, _MAC_BYTES)
    try:
        key = keyring().find(purpose, key_id)
    except UnknownKeyError:
        raise TokenError(TokenFault.UNKNOWN_KEY) from None
    if not hmac.compare_digest(key.mac(_message(purpose, body)), proof):
        raise TokenError(TokenFault.MISMATCH)
    return _payload(body, now, payload)


def read_signed_token(purpose: Purpose, token: str, *, public_keys: Mapping[int, bytes], now: datetime, payload: type[T]) -> T:
    """Return the payload of a token signed by Ed25519, checked offline with the issuer's public keys by key id. Needs no keyring.

    :raises TokenError: like `read_token`
    """
    body, key_id, proof = _parts(token, _SIGNATURE_BYTES)
    if key_id not in public_keys:
        raise TokenError(TokenFault.UNKNOWN_KEY)
    if not _verifies(public_keys[key_id], proof, _message(purpose, body)):
        raise TokenError(TokenFault.MISMATCH)
    return _payload(body, now, payload)


def public_keys(purpose: Purpose) -> dict[int, bytes]:
    """Return the Ed25519 public keys of a signing purpose, 32 raw bytes by key id: what a terminal or partner is given at enrolment."""
    return {key.key_id: key.signer.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for key in keyring().live(purpose)}


def sign(purpose: Purpose, topic: str, message: bytes) -> bytes:
    """Return the issuer's detached signature `key id (2) ‖ Ed25519 (64)` over `message`, bound to `topic`."""
    key = keyring().active(purpose)
    return key.prefix + key.signer.sign(framed(b"loyalty signature v1", purpose.encode(), topic.encode(), message))


def signature_is_good(purpose: Purpose, topic: str, message: bytes, signature: bytes, *, public_keys: Mapping[int, bytes]) -> bool:
    """Check what `sign` returned; needs no keyring."""
    key_id = int.from_bytes(signature[:KEY_ID_BYTES], "big")
    signed = framed(b"loyalty signature v1", purpose.encode(), topic.encode(), message)
    return key_id in public_keys and _verifies(public_keys[key_id], signature[KEY_ID_BYTES:], signed)


def stop_list_day_key(day: date) -> bytes:
    """Return the 32-byte key of a business day's stop list, told to enrolled terminals only (`SessionKeys.seal_answer`)."""
    return keyring().active(Purpose.STOP_LIST).mac(framed(b"loyalty stop list day v1", day.isoformat().encode()))


def stop_list_entry(day_key: bytes, card_number: str) -> bytes:
    """Return a card's 16-byte entry in the stop list of the day; both sides compute it, nobody without the day key can."""
    return hmac.digest(day_key, card_number.encode(), "sha256")[:_STOP_LIST_ENTRY_BYTES]


def _message(purpose: Purpose, body: bytes) -> bytes:
    return framed(b"loyalty token v1", purpose.encode(), body)


def _parts(token: str, proof_bytes: int) -> tuple[bytes, int, bytes]:
    try:
        raw = unb64url(token)
    except ValueError:
        raise TokenError(TokenFault.MALFORMED) from None
    if len(raw) < _HEAD_BYTES + proof_bytes or raw[:1] != _VERSION:
        raise TokenError(TokenFault.MALFORMED)
    return raw[:-proof_bytes], int.from_bytes(raw[1 : 1 + KEY_ID_BYTES], "big"), raw[-proof_bytes:]


def _payload(body: bytes, now: datetime, payload: type[T]) -> T:
    if now >= datetime.fromtimestamp(int.from_bytes(body[1 + KEY_ID_BYTES : _HEAD_BYTES], "big"), UTC):
        raise TokenError(TokenFault.EXPIRED)
    try:
        return msgspec.json.decode(body[_HEAD_BYTES:], type=payload)
    except msgspec.DecodeError:
        raise TokenError(TokenFault.MALFORMED) from None


def _verifies(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
