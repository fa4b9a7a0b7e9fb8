"""Static files: read once, served from memory under the hash of them all, so that a browser keeps them for ever.

The stylesheet is one file to the browser and several to its authors.
"""

import functools
import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
STYLES = ("tokens", "base", "frame", "pieces", "forms", "tables", "charts", "phone", "cashier", "office", "print")
"""The parts of app.css in their order."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent; `gzipped` is None where compression gains nothing."""

    content: bytes
    gzipped: bytes | None
    media_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All files by path, and the digest under which they stand."""

    digest: str
    files: dict[str, Asset]

    def url(self, path: str) -> str:
        """Return the address of a file.

        :raises KeyError: if there is no such file, so that a typing error shows in the first test
        """
        if path not in self.files:
            raise KeyError(path)
        return f"/static/{self.digest}/{path}"


@functools.cache
def assets() -> Assets:
    """Read every file below `static/`, once a process; a running service never sees a half-changed set."""
    contents = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in sorted(FOLDER.rglob("*")) if path.is_file()}
    parts = {f"css/{name}.css" for name in STYLES}
    style = b"\n".join(contents[f"css/{name}.css"] for name in STYLES)
    files = {path: content for path, content in contents.items() if path not in parts} | {"app.css": style}
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.encode() + b"\0" + hashlib.sha256(files[path]).digest())
    return Assets(digest.hexdigest()[:16], {path: _asset(path, content) for path, content in files.items()})


def _asset(path: str, content: bytes) -> Asset:
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    if path.endswith(".js"):
        kind = "text/javascript"
    textual = kind.startswith("text/") or kind in {"image/svg+xml", "application/json", "application/manifest+json"}
    squeezed = gzip.compress(content, 9, mtime=0) if textual and len(content) > 1000 else None
    return Asset(content, squeezed, kind, '"' + hashlib.sha256(content).hexdigest()[:20] + '"')
