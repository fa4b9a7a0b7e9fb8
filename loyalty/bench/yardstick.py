"""The yardstick: pgbench's TPC-B-like transaction, prepared, on the same server, started by the same run."""

import re
import subprocess
from pathlib import Path

SCALE = 50
CLIENTS = 8


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

    def measure(self, seconds: int) -> float:
        """Return transactions a second."""
        said = self._run("-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(seconds))
        found = re.search(r"tps = ([0-9.]+)", said)
        if found is None:
            raise PgbenchFailed(said)
        return float(found[1])

    def _run(self, *words: str) -> str:
        done = subprocess.run([str(self._pgbench), *words, self._url], capture_output=True, text=True, check=False)  # noqa: S603 - our own program
        if done.returncode:
            raise PgbenchFailed(f"pgbench failed: {done.stderr.strip()[-400:]}")
        return done.stdout
