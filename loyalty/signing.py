"""Signed requests in RFC 9421's wire format, with one fixed list of components.

    Content-Digest: sha-256=:…:
    Idempotency-Key: 0199…
    Signature-Input: pos=("@method" "@path" "@query" "content-digest" "idempotency-key");created=1790000000;keyid="…";alg="hmac-sha256"
    Signature: pos=:…:

GET and HEAD sign `("@method" "@path" "@query")` only. The list depends on the method alone, so nobody can shorten it. `@path` is the
path as it stands on the request line, percent-encoding included; `@query` is `?` and the query as it stands there, `?` alone without one.
Parameters come in the order shown. `created` may be 300 s off; what is older is refused, and a replay within the window meets the
idempotency key. Verification is written by hand for speed; a test holds it against an independent implementation.
"""

import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

WINDOW_SECONDS: Final = 300
"""How far `created` may be from the server's clock, either way."""

_BODYLESS: Final = frozenset({"GET", "HEAD"})
_COMPONENTS: Final = b'("@method" "@path" "@query" "content-digest" "idempotency-key")'
_COMPONENTS_BODYLESS: Final = b'("@method" "@path" "@query")'
_INPUT: Final = re.compile(
    rb'(?P<label>[a-z*][a-z0-9_.*-]{0,31})=(?P<params>(?P<components>\([a-z0-9@" -]{1,128}\))'
    rb';created=(?P<created>[0-9]{1,12});keyid="(?P<key_id>[A-Za-z0-9._:-]{1,64})";alg="hmac-sha256")'
)
_KEY_MAX: Final = 128
_VISIBLE: Final = bytes(range(0x21, 0x7F))


class SignatureFault(StrEnum):
    """Why a request's signature is not believed; the edge answers 401 with this code."""

    MISSING = "signature_missing"
    MALFORMED = "signature_malformed"
    UNKNOWN_KEY = "signature_unknown_key"
    EXPIRED = "signature_expired"
    DIGEST_MISMATCH = "signature_digest_mismatch"
    MISMATCH = "signature_mismatch"


class SignatureHeaders(NamedTuple):
    """The four headers a signature lives in, as they came; None where absent."""

    signature_input: bytes | None = None
    signature: bytes | None = None
    content_digest: bytes | None = None
    idempotency_key: bytes | None = None


class Verified(NamedTuple):
    """A signature that holds: the session's id and when the terminal says it signed (seconds since 1970)."""

    key_id: str
    created: int


PLACES: Final = {b"signature-input": 0, b"signature": 1, b"content-digest": 2, b"idempotency-key": 3}
"""Where each of the four headers stands in `SignatureHeaders`."""


def signature_headers(headers: Iterable[tuple[bytes, bytes]]) -> SignatureHeaders | SignatureFault:
    """Pick the four headers from a raw ASGI list (names in lower case); MALFORMED where one of them comes twice."""
    found: list[bytes | None] = [None, None, None, None]
    for name, value in headers:
        place = PLACES.get(name)
        if place is not None:
            if found[place] is not None:
                return SignatureFault.MALFORMED
            found[place] = value
    return SignatureHeaders._make(found)


def signing_key_id(headers: SignatureHeaders) -> str | None:
    """Return the session id that a request claims, so that the edge can load its key before verifying; None where it claims none."""
    read = None if headers.signature_input is None else _read_input(headers.signature_input)
    return None if read is None else read.verified.key_id


class _Input(NamedTuple):
    """A Signature-Input header, taken apart."""

    label: bytes
    params: bytes
    components: bytes
    verified: Verified
    """What is answered if the signature holds."""


@lru_cache(maxsize=4096)
def _read_input(value: bytes) -> _Input | None:
    """Read a Signature-Input header; a busy till sends the same one for all requests of a second."""
    match = _INPUT.fullmatch(value)
    if match is None:
        return None
    label, params, components, created, key_id = match.groups()
    return _Input(label, params, components, Verified(key_id.decode("ascii"), int(created)))


def _is_key(value: bytes) -> bool:
    """Say whether an idempotency key is 1 to 128 visible ASCII characters."""
    return 0 < len(value) <= _KEY_MAX and not value.translate(None, _VISIBLE)


def content_digest(body: bytes) -> bytes:
    """Return the Content-Digest header's value of a body (RFC 9530, SHA-256)."""
    return b"sha-256=:%b:" % binascii.b2a_base64(hashlib.sha256(body).digest(), newline=False)


def sign_request(
    *,
    method: str,
    path: str,
    query: str = "",
    body: bytes = b"",
    idempotency_key: str | None = None,
    key_id: str,
    mac_key: bytes,
    now: datetime,
) -> dict[str, str]:
    """Return the headers to add to a request: Content-Digest, Idempotency-Key (unless GET or HEAD), Signature-Input, Signature.

    `path` and `query` as they will stand on the request line (percent-encoded, the query without its `?`).

    :raises ValueError: if the idempotency key is missing where it is needed, or is not 1 to 128 visible ASCII characters
    """
    bodyless = method in _BODYLESS
    components = _COMPONENTS_BODYLESS if bodyless else _COMPONENTS
    params = b'%b;created=%d;keyid="%b";alg="hmac-sha256"' % (components, int(now.timestamp()), key_id.encode("ascii"))
    signed = {"Signature-Input": f"pos={params.decode('ascii')}"}
    digest = key = b""
    if not bodyless:
        key = (idempotency_key or "").encode("ascii")
        if not _is_key(key):
            raise ValueError("an idempotency key has 1 to 128 visible ASCII characters")
        digest = content_digest(body)
        signed |= {"Content-Digest": digest.decode("ascii"), "Idempotency-Key": key.decode("ascii")}
    base = _base(method.encode("ascii"), path.encode("ascii"), query.encode("ascii"), None if bodyless else (digest, key), params)
    proof = binascii.b2a_base64(hmac.digest(mac_key, base, "sha256"), newline=False)
    return signed | {"Signature": f"pos=:{proof.decode('ascii')}:"}


def verify_request(
    *,
    method: str,
    path: bytes,
    query: bytes,
    body: bytes,
    headers: SignatureHeaders,
    mac: Callable[[bytes], bytes] | None,
    now: datetime,
) -> Verified | SignatureFault:
    """Say who signed a request, or why it is not believed.

    `path` and `query` are ASGI's `raw_path` and `query_string`; `mac` is the HMAC-SHA-256 under the request key of the session that the
    request claims (see `signing_key_id`), None where there is no live one. Whether the terminal is revoked is the caller's batch to check.
    """
    given, signature, digest, key = headers
    if given is None or signature is None:
        return SignatureFault.MISSING
    read = _read_input(given)
    if read is None:
        return SignatureFault.MALFORMED
    label, params, components, verified = read
    bodyless = method in _BODYLESS
    if components != (_COMPONENTS_BODYLESS if bodyless else _COMPONENTS):
        return SignatureFault.MALFORMED
    if abs(now.timestamp() - verified.created) > WINDOW_SECONDS:
        return SignatureFault.EXPIRED
    if mac is None:
        return SignatureFault.UNKNOWN_KEY
    covered = None
    if not bodyless:
        if digest is None or key is None or not _is_key(key):
            return SignatureFault.MALFORMED
        covered = (digest, key)
        if not hmac.compare_digest(content_digest(body), digest):
            return SignatureFault.DIGEST_MISMATCH
    base = _base(method.encode("ascii"), path, query, covered, params)
    proof = b"%b=:%b:" % (label, binascii.b2a_base64(mac(base), newline=False))
    # Compared as text: one spelling only of each signature is accepted.
    return verified if hmac.compare_digest(proof, signature) else SignatureFault.MISMATCH


def _base(method: bytes, path: bytes, query: bytes, covered: tuple[bytes, bytes] | None, params: bytes) -> bytes:
    """Build the signature base (RFC 9421 §2.5)."""
    if covered is None:
        return b'"@method": %b\n"@path": %b\n"@query": ?%b\n"@signature-params": %b' % (method, path, query, params)
    return b'"@method": %b\n"@path": %b\n"@query": ?%b\n"content-digest": %b\n"idempotency-key": %b\n"@signature-params": %b' % (
        method,
        path,
        query,
        *covered,
        params,
    )
