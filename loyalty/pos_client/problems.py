"""What can go wrong between a till and the server, as a caller must tell it apart."""

from typing import Any
from uuid import UUID


class TillError(Exception):
    """Base of the client's errors."""


class NotEnrolledError(TillError):
    """The state is empty: enrol with a code from the office or the station manager."""


class ProblemError(TillError):
    """The server refused: an RFC 9457 problem with a stable `code`. Nothing was booked; another try needs another request."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(f"{document.get('code')}: {document.get('title')}")
        self.document = document
        self.code = str(document.get("code"))
        self.status = int(document.get("status", 0))
        self.title_zh = str(document.get("title_zh", ""))


class UnreachableError(TillError):
    """No answer came. The request is kept under its key; `Till.resume` asks again with the same bytes and has one effect.

    `sent` is False where it certainly never left.
    """

    def __init__(self, key: UUID, *, sent: bool) -> None:
        super().__init__(f"no answer for {key}")
        self.key = key
        self.sent = sent


class OfflineRefusedError(TillError):
    """The till may not sell this offline; `reason` is a stable code, `remaining_minor` what it might."""

    def __init__(self, reason: str, *, remaining_minor: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remaining_minor = remaining_minor
