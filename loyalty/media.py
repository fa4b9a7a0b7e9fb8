"""What a handed-in file is, by its first bytes: neither its name nor what a browser calls it is believed."""

from enum import StrEnum


class Media(StrEnum):
    """Kinds of files that people hand in: photos and papers."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"
    PDF = "application/pdf"

    @property
    def ending(self) -> str:
        """How a file of this kind is named: `jpg`."""
        return "jpg" if self is Media.JPEG else self.value.rpartition("/")[2]

    @property
    def is_image(self) -> bool:
        """Whether a page can show it."""
        return self is not Media.PDF


def media_of(content: bytes) -> Media | None:
    """Return what a file is; None: nothing that is taken. A PDF's head must be its first bytes, so that it is nothing else besides."""
    if content.startswith(b"\xff\xd8\xff"):
        return Media.JPEG
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return Media.PNG
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return Media.WEBP
    return Media.PDF if content.startswith(b"%PDF-") else None
