"""Decisions about gifts: plain values in, plain values out."""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from .model_gifts import SignatureForm

RESERVED_FOR: Final = timedelta(days=3)
"""How long a station keeps a gift for its customer, unless it is told otherwise."""

_PATH: Final = re.compile(r"[Mm][MmLlHhVvCcSsQqTtZz0-9 ,.\-]{7,30000}")
_PNG_HEAD: Final = "data:image/png;base64,"
_PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_PNG_BYTES_MAX: Final = 64 * 1024


class Signature(NamedTuple):
    """What was drawn, as it is sealed."""

    form: SignatureForm
    data: bytes


def read_signature(drawn: str) -> Signature | None:
    """Read a drawn signature: the `d` of an SVG path, or a PNG as a data URL of at most 64 KiB; None if it is neither."""
    text = drawn.strip()
    if text.startswith(_PNG_HEAD):
        try:
            data = base64.b64decode(text[len(_PNG_HEAD) :], validate=True)
        except binascii.Error:
            return None
        return Signature(SignatureForm.PNG, data) if data.startswith(_PNG_MAGIC) and len(data) <= _PNG_BYTES_MAX else None
    return Signature(SignatureForm.SVG_PATH, text.encode()) if _PATH.fullmatch(text) else None


def points_for(steps: Sequence[Sequence[int]], pieces: int) -> int | None:
    """Return how many points buy so many pieces by the steps `[[pieces, points], …]`; None where no step says it."""
    return next((points for step, points in steps if step == pieces), None)


def steps_are_sound(steps: Sequence[Sequence[int]]) -> bool:
    """Say whether steps rise: more pieces cost more points, and none is named twice."""
    flat = [tuple(step) for step in steps]
    return all(pieces > 0 and points > 0 for pieces, points in flat) and all(
        one[0] < other[0] and one[1] < other[1] for one, other in pairwise(flat)
    )
