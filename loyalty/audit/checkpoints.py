"""Checkpoints of the chain in a file outside the database: whoever rewrites the tables cannot rewrite these too."""

import os
from pathlib import Path

import msgspec

from .queries import Checkpoint

_decoder = msgspec.json.Decoder(Checkpoint)


def append_checkpoint(file: Path, checkpoint: Checkpoint) -> None:
    """Add one line to the file, durably; a checkpoint that already ends it is not repeated. The folder must exist."""
    known = read_checkpoints(file)
    if known and known[-1] == checkpoint:
        return
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, msgspec.json.encode(checkpoint) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def read_checkpoints(file: Path) -> list[Checkpoint]:
    """Return the file's checkpoints, oldest first; none where there is no file.

    :raises msgspec.DecodeError: for a line that is no checkpoint
    """
    if not file.exists():
        return []
    return [_decoder.decode(line) for line in file.read_bytes().splitlines() if line.strip()]
