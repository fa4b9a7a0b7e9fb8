"""Random secrets: codes that people type, tokens that browsers keep, and the guard of forms.

Only a SHA-256 of each is stored: they are random enough (128 bits and more) that a plain hash cannot be searched.
"""

import hashlib
import hmac
import secrets
from typing import Final

from loyalty.crypto.encoding import RandomBytes, b64url, framed
from loyalty.crypto.keys import Purpose, keyring

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LIKE: Final = str.maketrans("OIL", "011", " -")
_SYMBOL_BITS: Final = 5
_BODY_SYMBOLS: Final = 26
_CHECK_SYMBOLS: Final = 2
_GROUP: Final = 4
_TOKEN_BYTES: Final = 32


def new_code(*, randbytes: RandomBytes = secrets.token_bytes) -> str:
    """Return a code for people to type: 130 random bits and 2 check characters, seven groups of four in Crockford's base 32.

    For enrolment of a terminal and the like: `7K3F-…`. The check characters catch a slip before it counts as a guess.
    """
    number = int.from_bytes(randbytes(17), "big") >> (17 * 8 - _BODY_SYMBOLS * _SYMBOL_BITS)
    body = _symbols(number, _BODY_SYMBOLS)
    whole = body + _check(body)
    return "-".join(whole[at : at + _GROUP] for at in range(0, len(whole), _GROUP))


def read_code(typed: str) -> str | None:
    """Return the code in its one spelling; None if it is none.

    It may be typed in any case, with or without spaces and hyphens, O for 0, I or L for 1.
    """
    plain = typed.strip().upper().translate(_LIKE)
    body, check = plain[:_BODY_SYMBOLS], plain[_BODY_SYMBOLS:]
    if len(plain) != _BODY_SYMBOLS + _CHECK_SYMBOLS or not set(plain) <= set(_ALPHABET) or check != _check(body):
        return None
    return "-".join(plain[at : at + _GROUP] for at in range(0, len(plain), _GROUP))


def new_token(*, randbytes: RandomBytes = secrets.token_bytes) -> str:
    """Return a token for a cookie or a link: 256 random bits, 43 characters of base64url. Store `token_hash` of it, never itself."""
    return b64url(randbytes(_TOKEN_BYTES))


def token_hash(token: str) -> bytes:
    """Return the 32 bytes under which a token or a code (as `read_code` gives it) is stored and found."""
    return hashlib.sha256(token.encode()).digest()


def csrf_token(session_token: str) -> str:
    """Return the hidden field's value for forms of this browser session, 43 characters; it changes when the session's token does."""
    return b64url(keyring().active(Purpose.CSRF).mac(framed(b"loyalty csrf v1", session_token.encode())))


def csrf_matches(session_token: str, field: str) -> bool:
    """Compare a form's hidden field in constant time, under every live key so that a rotation breaks no open page."""
    message = framed(b"loyalty csrf v1", session_token.encode())
    given = field.encode()
    matches = [hmac.compare_digest(b64url(key.mac(message)).encode(), given) for key in keyring().live(Purpose.CSRF)]
    return any(matches)


def _symbols(number: int, count: int) -> str:
    return "".join(_ALPHABET[number >> (_SYMBOL_BITS * place) & 0x1F] for place in reversed(range(count)))


def _check(body: str) -> str:
    digest = hashlib.sha256(b"loyalty code check" + body.encode()).digest()
    return _symbols(int.from_bytes(digest[:2], "big"), _CHECK_SYMBOLS)
