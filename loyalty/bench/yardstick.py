"""The yardstick: pgbench's TPC-B-like transaction, prepared, on the same server, started by the same run."""

import re
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

SCALE = 50
CLIENTS = 8


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class PgbenchFailed(Exception):  # noqa: N818 - said to a person
    """pgbench did not run; the text says what it printed."""

    for_people = True


class Yardstick:
    """TPC-B on a database of its own."""

    def __init__(self, pgbench: Path, url: str) -> None:
        self._pgbench = pgbench
        self._url = url

    def prepare(self) -> None:
        """Make and fill the four tables (scale 50: 5 million accounts)."""
        self._run("-i", "-q", "-s", str(SCALE), "-I", "dtGvp")

    def measure(self, seconds: int, cpu_of_server: Callable[[], float]) -> tuple[float, float]:
        """Return transactions a second, and the CPU seconds that one took, client and server together."""
        before = cpu_of_server() + _children_cpu()
        said = self._run("-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(seconds))
        found = re.search(r"tps = ([0-9.]+)", said)
        if found is None:
            raise PgbenchFailed(said)
        done = re.search(r"number of transactions actually processed: ([0-9]+)", said)
        spent = cpu_of_server() + _children_cpu() - before
        return float(found[1]), spent / int(done[1] if done else 1)

    def _run(self, *words: str) -> str:
        done = subprocess.run([str(self._pgbench), *words, self._url], capture_output=True, text=True, check=False)
        if done.returncode:
            raise PgbenchFailed(f"pgbench failed: {done.stderr.strip()[-400:]}")
        return done.stdout
