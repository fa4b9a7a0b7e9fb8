"""Byte layouts shared by everything that is sealed, hashed or signed: framed fields, base64url without padding, canonical JSON."""

import binascii
from collections.abc import Callable
from datetime import datetime

import msgspec

RandomBytes = Callable[[int], bytes]
"""How random bytes are asked for: a count in, that many bytes out; `secrets.token_bytes` unless a test passes another."""

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/", b"+/\x00\x00")


def framed(*parts: bytes) -> bytes:
    """Join parts so that no two lists of parts give the same bytes: each is preceded by its length, 4 bytes big-endian."""
    return b"".join([len(part).to_bytes(4, "big") + part for part in parts])


def b64url(data: bytes) -> str:
    """Return base64url text without padding (RFC 4648 §5)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def unb64url(text: str) -> bytes:
    """Read base64url text without padding; one text only stands for each value (no stray bits in the last character).

    :raises ValueError: for anything else
    """
    raw = text.encode("ascii").translate(_FROM_URL)  # UnicodeEncodeError is a ValueError
    data = binascii.a2b_base64(raw + b"=" * (-len(raw) % 4), strict_mode=True)
    if b64url(data) != text:
        raise ValueError("not canonical base64url")
    return data


def canonical_json(value: object) -> bytes:
    """Return the one JSON encoding of `value` that is signed: UTF-8, no spaces, object keys sorted."""
    return msgspec.json.encode(value, order="deterministic")


def seconds_of(instant: datetime) -> int:
    """Return whole seconds since 1970 of an aware instant, the unit of `created`, `opened_at` and token expiry."""
    return int(instant.timestamp())
