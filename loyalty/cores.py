"""One core for a web process and the database sessions of its hot path.

The two never work at the same time: the process decides, its session books, the process answers. On one core they hand over without waking
another, and neither finds its caches filled by the other worker's pair. With a worker on each core that is a tenth to a fifth more requests
than wherever the scheduler puts them (measured). It is right only where the database runs on this machine and there are as many workers as
cores; elsewhere the scheduler knows better.
"""

import contextlib
import os
import socket
import sys
from typing import Final

_EVERYWHERE: Final = frozenset(os.sched_getaffinity(0)) if sys.platform == "linux" else frozenset[int]()
"""The cores this process was given when it began; empty where a process cannot be kept on one."""


def worker_on_each(workers: int) -> bool:
    """Say whether so many workers are one for each core, on a system where a process can be kept on one."""
    return workers == len(_EVERYWHERE)


def run_anywhere() -> None:
    """Let the calling thread run on any core: what is given to a thread is long, and must not keep the hot path's core."""
    if _EVERYWHERE:
        os.sched_setaffinity(0, _EVERYWHERE)


class OwnCore:
    """A core that no other worker of the same parent has while this process lives."""

    def __init__(self) -> None:
        self._claim: socket.socket | None = None
        self._core: int | None = None

    def take(self) -> None:
        """Take the first free core and stay on it; where there is none nothing changes."""
        for core in sorted(_EVERYWHERE):
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                # A name without a file: free again the moment its owner dies, so that the worker after it finds it.
                claim.bind(f"\0loyalty-{os.getppid()}-core-{core}")
            except OSError:
                claim.close()
                continue
            self._claim, self._core = claim, core
            os.sched_setaffinity(0, {core})
            return

    def share(self, process_id: int) -> None:
        """Keep another process of this machine on the same core; one that is gone, or not ours to move, stays as it is."""
        if self._core is not None:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(process_id, {self._core})
