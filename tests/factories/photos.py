"""Photos that people hand in, as small as one can be; each word makes another one."""

import struct
import zlib


def photo(word: str) -> bytes:
    """Return a sound PNG of one pixel that carries a word, so that its digest is its own."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"tEXt", b"said\0" + word.encode()), (b"IDAT", zlib.compress(b"\0\x7f")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
