"""A code read off a photo: what a phone without a scanner of its own sends."""

import io
from typing import Final

import zxingcpp
from PIL import Image, ImageOps, UnidentifiedImageError

_SIDE: Final = 2_000
"""Longer sides are made smaller: enough for a code that fills a tenth of the picture."""
_PIXELS_MOST: Final = 80_000_000


def code_of_photo(photo: bytes) -> str | None:
    """Return what the first QR code of a photo says; None where there is none, or it is no picture."""
    try:
        with Image.open(io.BytesIO(photo), formats=("JPEG", "PNG", "WEBP")) as image:
            if image.width * image.height > _PIXELS_MOST:
                return None
            image.draft("L", (_SIDE, _SIDE))
            grey = ImageOps.exif_transpose(image).convert("L")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError):
        return None
    grey.thumbnail((_SIDE, _SIDE))
    dots = memoryview(grey.tobytes()).cast("B", (grey.height, grey.width))
    found = zxingcpp.read_barcode(dots, zxingcpp.barcode_formats_from_str("QRCode"))
    return found.text if found is not None and found.valid else None
