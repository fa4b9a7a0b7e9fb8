"""What the short way reads by itself, and what it leaves to the server's parser."""

import pytest

from loyalty.authorizations.hot_head import read_plain

BODY = b'{"a":1}'
HEAD = (
    b"POST /v1/sales HTTP/1.1\r\nHost: till\r\nContent-Type: application/json\r\nContent-Length: 7\r\n"
    b"Content-Digest: sha-256=:AA:\r\nIdempotency-Key: 0199\r\nSignature-Input: pos=(x)\r\nSignature: pos=:BB:\r\n\r\n"
)


def test_a_plain_request_is_read_whole():
    plain = read_plain(HEAD + BODY)
    assert (plain.path, plain.raw_path, plain.body) == ("/v1/sales", b"/v1/sales", BODY)
    assert plain.signed == (b"pos=(x)", b"pos=:BB:", b"sha-256=:AA:", b"0199")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Host: till", b"host:till"),
        (b"Idempotency-Key: 0199", b"idempotency-key:  0199\t"),
        (b"\r\nHost: till", b"\r\nHost: till\r\nConnection: keep-alive\r\nUser-Agent: pos/1\r\nAccept: */*"),
        (b"/v1/sales", b"/v1/authorizations"),
        (b"/v1/sales", b"/v1/authorizations/AaICP0uMc4qT9ovej1Vs4QGiAkP5GHOSmhyBdLHja9U/completions"),
    ],
)
def test_harmless_differences_are_plain(old, new):
    plain = read_plain((HEAD + BODY).replace(old, new, 1))
    assert plain is not None
    assert plain.signed.idempotency_key == b"0199"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"POST", b"PUT"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"/v1/sales", b"/v1/sales?a=1"),
        (b"/v1/sales", b"/v1/s%61les"),
        (b"/v1/sales", b"/v1/shifts"),
        (b"/v1/sales", b"/v1/sales /v1/sales"),
        (b"Host: till", b"X-Other: 1"),
        (b"Host: till", b"Host : till"),
        (b"Host: till", b" Host: till"),
        (b"Host: till", b"Host"),
        (b"Host: till", b"Transfer-Encoding: chunked"),
        (b"Host: till", b"Host: till\nTransfer-Encoding: chunked"),
        (b"Host: till", b"Host: till\rTransfer-Encoding: chunked"),
        (b"Host: till", b"Connection: close"),
        (b"Host: till", b"Expect: 100-continue"),
        (b"Host: till", b"Content-Length: 7"),
        (b"Host: till", b"Signature: pos=:BB:"),
        (b"Content-Length: 7", b"Content-Length: 8"),
        (b"Content-Length: 7", b"Content-Length: 6"),
        (b"Content-Length: 7", b"Content-Length: +7"),
        (b"Content-Length: 7\r\n", b""),
        (b"\r\n\r\n", b"\r\n"),
    ],
)
def test_anything_unusual_is_left_to_the_servers_parser(old, new):
    assert old in HEAD
    assert read_plain((HEAD + BODY).replace(old, new, 1)) is None


def test_what_no_request_needs_is_left_too():
    big = b" " * 70_000
    assert read_plain(HEAD.replace(b"Length: 7", b"Length: %d" % len(big)) + big) is None
    assert read_plain(b"") is None
    assert read_plain(b"POST /v1/") is None
