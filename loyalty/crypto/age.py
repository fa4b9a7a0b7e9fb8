"""Files for somebody outside: sealed to their public key in the age format (age-encryption.org/v1), so that they open with the `age` tool.

Written from the format's specification, with X25519 recipients alone: a header with the file's key wrapped for the recipient and a MAC over
it, then the content in chunks of 64 KiB. We keep no key that opens them.
"""

import base64
import hmac
import re
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from loyalty.crypto.keys import CryptoError

_VERSION: Final = b"age-encryption.org/v1"
_LABEL: Final = b"age-encryption.org/v1/X25519"
_CHUNK: Final = 64 * 1024
_TAG: Final = 16
_KEY: Final = 32
_ZERO_NONCE: Final = bytes(12)
_ALPHABET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_RECIPIENT: Final = "age"
_IDENTITY: Final = "age-secret-key-"
_HEADER: Final = re.compile(
    rb"age-encryption\.org/v1\n-> X25519 (?P<share>[A-Za-z0-9+/]{43})\n(?P<body>[A-Za-z0-9+/]{43})\n---(?= (?P<mac>[A-Za-z0-9+/]{43})\n)"
)


class AgeError(CryptoError):
    """No public key, or a file that does not open with this one."""


def new_identity() -> tuple[str, str]:
    """Return a key pair as `age-keygen` prints it: the secret identity, the public recipient."""
    key = X25519PrivateKey.generate()
    identity = _bech32(_IDENTITY, key.private_bytes_raw()).upper()
    return identity, _bech32(_RECIPIENT, key.public_key().public_bytes_raw())


def is_recipient(text: str) -> bool:
    """Say whether a text is a public key, `age1…`, with its check characters right."""
    try:
        shared = X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(_unbech32(_RECIPIENT, text)))
    except (AgeError, ValueError):  # points of low order share nothing
        return False
    return any(shared)


def seal_for(recipient: str, content: bytes) -> bytes:
    """Return a file that only the recipient's identity opens.

    :raises AgeError: if the recipient is no public key
    """
    to = _unbech32(_RECIPIENT, recipient)
    file_key, ephemeral = secrets.token_bytes(16), X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(to))
    except ValueError:
        raise AgeError("the recipient is no public key") from None
    wrapped = ChaCha20Poly1305(_derived(shared, share + to, _LABEL)).encrypt(_ZERO_NONCE, file_key, None)
    head = b"\n".join([_VERSION, b"-> X25519 " + _b64(share), _b64(wrapped), b"---"])
    nonce = secrets.token_bytes(16)
    cipher = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
    # An empty content is one empty chunk; otherwise only the last may be shorter.
    pieces = [content[at : at + _CHUNK] for at in range(0, len(content), _CHUNK)] or [b""]
    chunks = [cipher.encrypt(_nonce(place, is_last=place + 1 == len(pieces)), piece, None) for place, piece in enumerate(pieces)]
    return b"".join([head, b" ", _b64(_mac(file_key, head)), b"\n", nonce, *chunks])


def open_sealed(identity: str, file: bytes) -> bytes:
    """Return the content of a file with the recipient's secret identity: what partners do, and our tests.

    :raises AgeError: if it is no such file, was changed, or is another's
    """
    key = X25519PrivateKey.from_private_bytes(_unbech32(_IDENTITY, identity.lower()))
    header = _HEADER.match(file)
    if header is None:
        raise AgeError("not an age file for one X25519 recipient")
    share, wrapped, mac = (_unb64(header[name]) for name in ("share", "body", "mac"))
    try:
        shared = key.exchange(X25519PublicKey.from_public_bytes(share))
        own = key.public_key().public_bytes_raw()
        file_key = ChaCha20Poly1305(_derived(shared, share + own, _LABEL)).decrypt(_ZERO_NONCE, wrapped, None)
        if not hmac.compare_digest(_mac(file_key, header[0]), mac):
            raise AgeError("the header was changed")
        payload = file[header.end() + 1 + 43 + 1 :]
        cipher = ChaCha20Poly1305(_derived(file_key, payload[:16], b"payload"))
        sealed = payload[16:]
        pieces = [sealed[at : at + _CHUNK + _TAG] for at in range(0, len(sealed), _CHUNK + _TAG)]
        if not pieces:
            raise AgeError("the content is missing")
        return b"".join(cipher.decrypt(_nonce(place, is_last=place + 1 == len(pieces)), piece, None) for place, piece in enumerate(pieces))
    except (InvalidTag, ValueError):
        raise AgeError("it was changed, or is for somebody else") from None


def _derived(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), _KEY, salt, info).derive(secret)


def _mac(file_key: bytes, head: bytes) -> bytes:
    return hmac.digest(_derived(file_key, b"", b"header"), head, "sha256")


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _b64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _unb64(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4))


# Bech32 (BIP 173) as age uses it: without its limit on length.


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, factor in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            if top >> bit & 1:
                check ^= factor
    return check


def _expanded(prefix: str) -> list[int]:
    return [*(ord(one) >> 5 for one in prefix), 0, *(ord(one) & 31 for one in prefix)]


def _bech32(prefix: str, data: bytes) -> str:
    number = int.from_bytes(data, "big") << (-len(data) * 8 % 5)
    length = -(-len(data) * 8 // 5)
    values = [number >> 5 * (length - 1 - place) & 31 for place in range(length)]
    check = _polymod([*_expanded(prefix), *values, 0, 0, 0, 0, 0, 0]) ^ 1
    return f"{prefix}1" + "".join(_ALPHABET[one] for one in [*values, *(check >> 5 * (5 - place) & 31 for place in range(6))])


def _unbech32(prefix: str, text: str) -> bytes:
    start = f"{prefix}1"
    body = text.removeprefix(start)
    if not text.startswith(start) or len(body) != -(-_KEY * 8 // 5) + 6 or not set(body) <= set(_ALPHABET):
        raise AgeError("not a key in this form")
    values = [_ALPHABET.index(one) for one in body]
    if _polymod([*_expanded(prefix), *values]) != 1:
        raise AgeError("its check characters are wrong")
    number = 0
    for value in values[:-6]:
        number = number << 5 | value
    spare = (len(values) - 6) * 5 - _KEY * 8
    if number & (1 << spare) - 1:
        raise AgeError("not a key in this form")
    return (number >> spare).to_bytes(_KEY, "big")
