"""Which PostgreSQL processes really run on a data folder: the process table says it; a pid file outlives its process, and pids return."""

import contextlib
import os
import signal
import time
from pathlib import Path

_PATIENCE_SECONDS = 20.0


def processes_on(cluster: Path, proc: Path = Path("/proc")) -> list[int]:
    """Return the pids of the PostgreSQL processes whose working folder is `cluster`; none where there is no process table to read."""
    found = []
    for entry in proc.iterdir() if proc.exists() else ():
        if not entry.name.isdigit():
            continue
        if _is_server_of(entry, cluster) or _works_in(entry, cluster):
            found.append(int(entry.name))
    return found


def _is_server_of(entry: Path, cluster: Path) -> bool:
    """Tell the server by its command line, which every user may read."""
    try:
        words = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False  # ended meanwhile
    return Path(os.fsdecode(words[0])).name == "postgres" and os.fsencode(cluster) in words


def _works_in(entry: Path, cluster: Path) -> bool:
    """Tell a session or background process, whose command line is its title, by its folder; a container may hide it even from root."""
    try:
        return (entry / "cwd").readlink() == cluster and (entry / "exe").readlink().name == "postgres"
    except OSError:
        return False


def end_orphans(cluster: Path) -> None:
    """Wait for the server of a killed supervisor to finish its shutdown, and make it hurry if it lingers.

    The caller holds the data folder's lock, so whatever runs here has no supervisor any more.

    :raises TimeoutError: if a process does not end even when killed
    """
    for order in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        until = time.monotonic() + _PATIENCE_SECONDS
        living = processes_on(cluster)
        for pid in living:
            _signal(pid, order)
        while living and time.monotonic() < until:
            time.sleep(0.05)
            living = processes_on(cluster)
        if not living:
            return
    raise TimeoutError(f"PostgreSQL processes on {cluster} do not end.")


def _signal(pid: int, order: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, order)
