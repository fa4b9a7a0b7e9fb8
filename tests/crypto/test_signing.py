"""Signed requests: held against an independent implementation of RFC 9421, and against every change."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, InvalidSignature
from http_message_signatures.algorithms import HMAC_SHA256
from http_message_signatures.resolvers import MappingKeyResolver
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.crypto.keys import Mac
from loyalty.signing import (
    SignatureFault,
    SignatureHeaders,
    Verified,
    content_digest,
    sign_request,
    signature_headers,
    signing_key_id,
    verify_request,
)

KEY = bytes(range(32))
NOW = datetime(2026, 9, 24, 10, 15, tzinfo=UTC)
BODY = b'{"amount_minor": 30000, "nozzle": 4}'
COVERED = ("@method", "@path", "@query", "content-digest", "idempotency-key")
quick = settings(max_examples=60, deadline=None)


def signed(**changes):
    request = {
        "method": "POST",
        "path": "/v1/authorizations",
        "query": "",
        "body": BODY,
        "idempotency_key": "0199-a",
        "key_id": "ses-1",
        "mac_key": KEY,
        "now": NOW,
    }
    return sign_request(**(request | changes))


def raw(headers):
    return signature_headers([(name.lower().encode(), value.encode()) for name, value in headers.items()])


def verified(headers, **changes):
    request = {
        "method": "POST",
        "path": b"/v1/authorizations",
        "query": b"",
        "body": BODY,
        "mac": Mac(KEY),
        "now": NOW,
    }
    return verify_request(headers=raw(headers) if isinstance(headers, dict) else headers, **(request | changes))


@dataclass
class Message:
    """A request as the independent implementation wants it."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


RESOLVER = MappingKeyResolver(public_keys={"ses-1": KEY}, private_keys={"ses-1": KEY})


def test_what_we_sign_holds():
    assert verified(signed()) == Verified("ses-1", int(NOW.timestamp()))
    get = signed(method="GET", path="/v1/cards", query="after=1%20&limit=5", idempotency_key=None, body=b"")
    assert set(get) == {"Signature-Input", "Signature"}
    assert isinstance(verified(get, method="GET", path=b"/v1/cards", query=b"after=1%20&limit=5", body=b""), Verified)


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("POST", "/v1/sales", ""),
        ("POST", "/v1/a%20b/%E5%8D%A1", "x=1&y=%2F"),
        ("PUT", "/", "q"),
        ("GET", "/v1/stop-list", "since=4"),
        ("GET", "/v1", ""),
    ],
)
def test_the_independent_implementation_verifies_what_we_sign(method, path, query):
    now = datetime.now(UTC)
    headers = signed(method=method, path=path, query=query, now=now, body=b"" if method == "GET" else BODY)
    message = Message(method, f"https://station.example{path}{'?' + query if query else ''}", headers)
    verifier = HTTPMessageVerifier(signature_algorithm=HMAC_SHA256, key_resolver=RESOLVER)
    assert verifier.verify(message, max_age=timedelta(seconds=300))
    message.headers = headers | {
        "Signature": headers["Signature"][:6] + ("A" if headers["Signature"][6] != "A" else "B") + headers["Signature"][7:]
    }
    with pytest.raises(InvalidSignature):
        verifier.verify(message, max_age=timedelta(seconds=300))


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_we_verify_what_the_independent_implementation_signs(method):
    message = Message(method, "https://station.example/v1/sales?x=%20", {})
    if method == "POST":
        message.headers = {"Content-Digest": content_digest(BODY).decode(), "Idempotency-Key": "0199-a"}
    HTTPMessageSigner(signature_algorithm=HMAC_SHA256, key_resolver=RESOLVER).sign(
        message,
        key_id="ses-1",
        created=NOW,
        covered_component_ids=COVERED if method == "POST" else COVERED[:3],
        use_existing_digest=method == "POST",
    )
    body = BODY if method == "POST" else b""
    assert isinstance(verified(message.headers, method=method, path=b"/v1/sales", query=b"x=%20", body=body), Verified)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"method": "PUT"}, SignatureFault.MISMATCH),
        ({"path": b"/v1/sales"}, SignatureFault.MISMATCH),
        ({"query": b"dry=1"}, SignatureFault.MISMATCH),
        ({"body": BODY + b" "}, SignatureFault.DIGEST_MISMATCH),
        ({"method": "GET"}, SignatureFault.MALFORMED),
        ({"mac": None}, SignatureFault.UNKNOWN_KEY),
        ({"mac": Mac(bytes(32))}, SignatureFault.MISMATCH),
    ],
)
def test_every_component_is_covered(change, fault):
    assert verified(signed(), **change) is fault


@pytest.mark.parametrize(
    ("header", "value", "fault"),
    [
        ("Idempotency-Key", "0199-b", SignatureFault.MISMATCH),
        ("Idempotency-Key", "two words", SignatureFault.MALFORMED),
        ("Idempotency-Key", None, SignatureFault.MALFORMED),
        ("Content-Digest", None, SignatureFault.MALFORMED),
        ("Content-Digest", content_digest(b"other").decode(), SignatureFault.DIGEST_MISMATCH),
        ("Signature", None, SignatureFault.MISSING),
        ("Signature-Input", None, SignatureFault.MISSING),
        ("Signature", "pos=:AAAA:", SignatureFault.MISMATCH),
        ("Signature-Input", "pos=()", SignatureFault.MALFORMED),
        ("Signature-Input", 'pos=("@method");created=1;keyid="ses-1";alg="hmac-sha256"', SignatureFault.MALFORMED),
    ],
)
def test_headers_that_are_changed_or_missing(header, value, fault):
    headers = signed()
    if value is None:
        del headers[header]
    else:
        headers[header] = value
    assert verified(headers) is fault


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("ses-1", "ses-2", SignatureFault.MISMATCH),
        ("hmac-sha256", "ed25519", SignatureFault.MALFORMED),
        (";alg=", ";tag=", SignatureFault.MALFORMED),
        ('"@query" ', "", SignatureFault.MALFORMED),
        ("pos=", "other=", SignatureFault.MISMATCH),
        (f"created={int(NOW.timestamp())}", f"created={int(NOW.timestamp()) + 1}", SignatureFault.MISMATCH),
    ],
)
def test_parameters_are_covered(old, new, fault):
    headers = signed()
    assert old in headers["Signature-Input"]
    headers["Signature-Input"] = headers["Signature-Input"].replace(old, new)
    assert verified(headers) is fault


@pytest.mark.parametrize(("late_s", "holds"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_a_signature_lives_300_seconds_either_way(late_s, holds):
    answer = verified(signed(), now=NOW + timedelta(seconds=late_s))
    assert isinstance(answer, Verified) if holds else answer is SignatureFault.EXPIRED


def test_a_header_that_comes_twice_is_malformed():
    headers = [(name.lower().encode(), value.encode()) for name, value in signed().items()]
    for one in list(headers):
        assert signature_headers([*headers, one]) is SignatureFault.MALFORMED
    assert isinstance(signature_headers([*headers, (b"accept", b"a"), (b"accept", b"b")]), SignatureHeaders)


def test_the_claimed_session_is_known_before_its_key_is_loaded():
    assert signing_key_id(raw(signed())) == "ses-1"
    assert signing_key_id(SignatureHeaders()) is None
    assert signing_key_id(SignatureHeaders(signature_input=b"junk")) is None


@pytest.mark.parametrize("key", [None, "", "two words", "x" * 129, "line\nbreak"])
def test_a_request_without_a_usable_idempotency_key_is_not_signed(key):
    with pytest.raises(ValueError, match="idempotency key"):
        signed(idempotency_key=key)


@quick
@given(data=st.data(), header=st.sampled_from(["Signature", "Signature-Input", "Content-Digest", "Idempotency-Key"]))
def test_any_changed_character_of_any_header_is_noticed(data, header):
    headers = signed()
    value = headers[header]
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda character: character != value[at]))
    headers[header] = value[:at] + other + value[at + 1 :]
    assert isinstance(verified(headers), SignatureFault)


@quick
@given(junk=st.binary(max_size=200))
def test_junk_never_raises(junk):
    for place in range(4):
        headers = list(raw(signed()))
        headers[place] = junk
        assert isinstance(verified(SignatureHeaders(*headers)), SignatureFault)
