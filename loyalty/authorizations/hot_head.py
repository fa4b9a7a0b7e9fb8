"""The head of a till's request, read at once where it is plain; anything unusual is left to the server's own parser.

Plain means: `POST` of a hot path, HTTP/1.1, header names from the list below, each that counts once, no line break but CR LF, a
`Content-Length`, and the whole body in the same piece. So there is nothing here that two parsers could read differently.
"""

from typing import Final, NamedTuple

from loyalty.signing import PLACES, SignatureHeaders

from .hot_api import BODY_MAX, is_hot

_BEGIN: Final = b"POST /v1/"
_PATH_AT: Final = len(b"POST ")
_VERSION: Final = b" HTTP/1.1"
_IN_PATH: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_/"
_SIGNED: Final = len(PLACES)
_LENGTH, _CONNECTION, _OTHER = range(_SIGNED, _SIGNED + 3)
_PLACES: Final = {**PLACES, b"content-length": _LENGTH, b"connection": _CONNECTION} | dict.fromkeys(
    (b"host", b"content-type", b"accept", b"accept-encoding", b"accept-language", b"user-agent", b"date"), _OTHER
)
_KEEP_ALIVE: Final = frozenset({None, b"keep-alive"})


class PlainRequest(NamedTuple):
    """A whole request: its path as text and as it stands on the request line, what its signature lives in, and its body."""

    path: str
    raw_path: bytes
    signed: SignatureHeaders
    body: bytes


def read_plain(data: bytes) -> PlainRequest | None:
    """Read a request that came whole and plain; None where the server's parser must look at it."""
    if not data.startswith(_BEGIN):
        return None
    end = data.find(b"\r\n\r\n")
    head = data[:end] if end > 0 else b""
    lines = head.split(b"\r\n")
    line, breaks = lines[0], len(lines) - 1
    path = line[_PATH_AT : -len(_VERSION)]
    if not line.endswith(_VERSION) or path.translate(None, _IN_PATH) or head.count(b"\n") != breaks or head.count(b"\r") != breaks:
        return None
    found: list[bytes | None] = [None] * (_OTHER + 1)
    for header in lines[1:]:
        name, colon, value = header.partition(b":")
        place = _PLACES.get(name.lower())
        if place is None or not colon or (found[place] is not None and place != _OTHER):
            return None
        found[place] = value.strip(b" \t")
    length, body = found[_LENGTH], data[end + 4 :]
    if length is None or not length.isdigit() or len(body) != int(length) or len(body) > BODY_MAX or found[_CONNECTION] not in _KEEP_ALIVE:
        return None
    text = path.decode("ascii")
    return PlainRequest(text, path, SignatureHeaders._make(found[:_SIGNED]), body) if is_hot(text) else None
