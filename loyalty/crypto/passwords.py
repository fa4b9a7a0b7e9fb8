"""Passwords (Argon2id, PHC strings) and time-based one-time codes (TOTP).

Both are slow or rare: call the password functions in a worker thread, a few at a time, since each takes `MEMORY_KIB` of memory.
"""

import hmac
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from loyalty.crypto.encoding import RandomBytes, seconds_of

MEMORY_KIB: Final = 46 * 1024
ITERATIONS: Final = 1
LANES: Final = 1
"""Argon2id's costs: the first of the equal choices in OWASP's password storage cheat sheet (46 MiB, one pass, one lane).

More than one lane is no option: OpenSSL then uses a thread pool of its own, which failed with MemoryError, or hung, under parallel log-ins.
"""

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_PREFIX: Final = f"$argon2id$v=19$m={MEMORY_KIB},t={ITERATIONS},p={LANES}$"
_NOBODY: Final = _PREFIX + "AAAAAAAAAAAAAAAAAAAAAA$" + "A" * 43

TOTP_STEP_SECONDS: Final = 30
TOTP_DIGITS: Final = 6
_TOTP_SECRET_BYTES: Final = 20
_TOTP_DRIFT_STEPS: Final = 1


def hash_password(password: str, *, randbytes: RandomBytes = secrets.token_bytes) -> str:
    """Return the PHC string `$argon2id$v=19$m=…,t=…,p=…$salt$hash` of a password, about a tenth of a second."""
    return Argon2id(
        salt=randbytes(_SALT_BYTES), length=_HASH_BYTES, iterations=ITERATIONS, lanes=LANES, memory_cost=MEMORY_KIB
    ).derive_phc_encoded(password.encode())


def verify_password(stored: str | None, password: str) -> bool:
    """Say whether the password is right.

    `stored` None means there is no such user: the same work is done, so that an unknown name takes as long as a wrong password.
    """
    try:
        Argon2id.verify_phc_encoded(password.encode(), stored or _NOBODY)
    except InvalidKey:
        return False
    return stored is not None


def password_needs_rehash(stored: str) -> bool:
    """Say whether a hash was made with other costs than today's; after a good log-in the caller stores `hash_password` anew."""
    return not stored.startswith(_PREFIX)


def new_totp_secret(*, randbytes: RandomBytes = secrets.token_bytes) -> bytes:
    """Return a fresh TOTP secret of 20 bytes (RFC 4226 recommends 160 bits); it is stored sealed, purpose `totp_secret`."""
    return randbytes(_TOTP_SECRET_BYTES)


def totp_uri(secret: bytes, *, account: str, issuer: str) -> str:
    """Return the `otpauth://` URI that an authenticator app scans: SHA-1, 6 digits, 30 s, which every app knows."""
    return TOTP(secret, TOTP_DIGITS, SHA1(), TOTP_STEP_SECONDS).get_provisioning_uri(account, issuer)  # noqa: S303 - RFC 6238


def totp_code(secret: bytes, *, now: datetime) -> str:
    """Return the code that an authenticator shows at `now`, 6 digits."""
    return _at_step(secret)(seconds_of(now) // TOTP_STEP_SECONDS).decode()


def matching_totp_step(secret: bytes, code: str, *, now: datetime, last_step: int | None) -> int | None:
    """Return the step that `code` belongs to, one step early or late allowed (RFC 6238 §5.2), else None.

    `last_step` is the step that was accepted last. The caller stores the step returned in the same transaction and refuses if another
    request did so first; a code is thereby good once.
    """
    if len(code) != TOTP_DIGITS or not code.isascii() or not code.isdigit():
        return None
    generate = _at_step(secret)
    present = seconds_of(now) // TOTP_STEP_SECONDS
    for step in range(present - _TOTP_DRIFT_STEPS, present + _TOTP_DRIFT_STEPS + 1):
        if hmac.compare_digest(generate(step), code.encode()) and (last_step is None or step > last_step):
            return step
    return None


def _at_step(secret: bytes) -> Callable[[int], bytes]:
    return HOTP(secret, TOTP_DIGITS, SHA1()).generate  # noqa: S303 - RFC 6238's algorithm; HMAC-SHA-1 is not broken
