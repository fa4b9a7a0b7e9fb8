"""PINs: a verifier that cannot be reversed, and the sealed form in which a PIN travels.

The verifier is keyed, since a bare hash of six digits falls in minutes. In transit a PIN is padded to one length, sealed, and bound to its
card and to the request's idempotency key, so that it cannot be lifted into another request.
"""

import hmac
import secrets
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from loyalty.crypto.day_sessions import SessionKeys
from loyalty.crypto.encoding import b64url, framed, unb64url
from loyalty.crypto.keys import KEY_ID_BYTES, CryptoError, Purpose, UnknownKeyError, keyring

PIN_DIGITS_MIN: Final = 4
PIN_DIGITS_MAX: Final = 12
VERIFIER_BYTES: Final = KEY_ID_BYTES + 32
CARD_PIN: Final = b"pin-v1"
DRIVER_PIN: Final = b"driver-pin-v1"
"""Whose PIN a verifier is of: a card's (or a member of staff's), a company's driver's."""
_NONCE_BYTES: Final = 12
_BLOCK_BYTES: Final = 1 + PIN_DIGITS_MAX
_BY_SESSION: Final = "s1."
_BY_HPKE: Final = "h1."
_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class SealedPinError(CryptoError):
    """A sealed PIN that cannot be opened: changed, or for another card, request or session. The edge answers it as a wrong message."""


def pin_verifier(*, card_id: UUID, generation: int, pin: str, like: bytes | None = None, label: bytes = CARD_PIN) -> bytes:
    """Return `key id (2) ‖ HMAC-SHA-256(K_pin, label ‖ card id (16) ‖ generation (4) ‖ PIN)`, 34 bytes.

    `generation` rises with every change of the PIN. `like`, a stored verifier, chooses its key: so the candidate is equal to it, byte for
    byte, exactly when the PIN is right, and a database may compare them under the card's row lock. A member of staff's PIN takes the
    staff id for `card_id`; a driver's takes the driver id and the label `DRIVER_PIN`.

    :raises UnknownKeyError: if `like` stands under a destroyed key
    """
    ring = keyring()
    key = ring.active(Purpose.PIN) if like is None else ring.find(Purpose.PIN, int.from_bytes(like[:KEY_ID_BYTES], "big"))
    return key.prefix + key.mac(label + card_id.bytes + generation.to_bytes(4, "big") + pin.encode())


def pin_matches(stored: bytes, *, card_id: UUID, generation: int, pin: str, label: bytes = CARD_PIN) -> bool:
    """Compare a PIN with its stored verifier in constant time. The caller has committed the try counter before.

    :raises UnknownKeyError: if the verifier stands under a destroyed key
    """
    return hmac.compare_digest(stored, pin_verifier(card_id=card_id, generation=generation, pin=pin, like=stored, label=label))


def pin_is_well_formed(pin: str) -> bool:
    """Say whether `pin` is 4 to 12 ASCII digits, the widest a sealed PIN carries; a card product's own length is a rule elsewhere."""
    return PIN_DIGITS_MIN <= len(pin) <= PIN_DIGITS_MAX and pin.isascii() and pin.isdigit()


def seal_pin(session: SessionKeys, *, card: str, request_key: str, pin: str) -> str:
    """Seal a PIN under a day session: `s1.` + base64url of `nonce (12) ‖ ciphertext ‖ tag`, 58 characters.

    `card` is the card's reference exactly as the request names it, `request_key` the request's idempotency key.

    :raises ValueError: if the PIN is not 4 to 12 digits
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _BY_SESSION + b64url(nonce + session.pin_cipher.encrypt(nonce, _padded(pin), _bound(card, request_key)))


def seal_pin_hpke(public_key: bytes, key_id: int, *, card: str, request_key: str, pin: str) -> str:
    """Seal a PIN where there is no day session: HPKE (RFC 9180) to the issuer's `pin_transport_key()`; `h1.` + base64url.

    :raises ValueError: if the PIN is not 4 to 12 digits, or the key is none
    """
    sealed = _SUITE.encrypt(_padded(pin), X25519PublicKey.from_public_bytes(public_key), _bound(card, request_key))
    return _BY_HPKE + b64url(key_id.to_bytes(KEY_ID_BYTES, "big") + sealed)


def pin_transport_key() -> tuple[int, bytes]:
    """Return the id and the 32 raw bytes of the X25519 public key to which PINs are sealed without a session."""
    key = keyring().active(Purpose.PIN_TRANSPORT)
    return key.key_id, key.agreement.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def open_pin(sealed: str, *, session: SessionKeys | None, card: str, request_key: str) -> str:
    """Return the PIN, 4 to 12 digits.

    :raises SealedPinError: if it was changed, or was sealed for another card, request or session, or its key is gone
    """
    try:
        form, data = sealed[:3], unb64url(sealed[3:])
        if form == _BY_SESSION and session is not None:
            block = session.pin_cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _bound(card, request_key))
        elif form == _BY_HPKE:
            key = keyring().find(Purpose.PIN_TRANSPORT, int.from_bytes(data[:KEY_ID_BYTES], "big"))
            block = _SUITE.decrypt(data[KEY_ID_BYTES:], key.agreement, _bound(card, request_key))
        else:
            raise SealedPinError("a sealed PIN of an unknown form, or without its session")
    except (InvalidTag, ValueError, UnknownKeyError):
        raise SealedPinError("a sealed PIN does not open") from None
    return _unpadded(block)


def _bound(card: str, request_key: str) -> bytes:
    return framed(b"loyalty pin transit v1", card.encode(), request_key.encode())


def _padded(pin: str) -> bytes:
    if not pin_is_well_formed(pin):
        raise ValueError("a PIN has 4 to 12 digits")
    return bytes([len(pin)]) + pin.encode("ascii").ljust(PIN_DIGITS_MAX, b"\0")


def _unpadded(block: bytes) -> str:
    pin = block[1 : 1 + block[0]].decode("ascii", "replace") if len(block) == _BLOCK_BYTES else ""
    if not pin_is_well_formed(pin) or len(pin) != block[0] or block[1 + len(pin) :].strip(b"\0"):
        raise SealedPinError("a sealed PIN holds no PIN")
    return pin
