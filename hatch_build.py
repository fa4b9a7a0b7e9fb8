"""Takes the browser's third-party scripts out of the wheels that carry them, checks their sha256 and puts them beside our own assets.

Nothing third-party is committed; editable installs, wheels and source trees all get the same bytes or no build at all.
"""

import hashlib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("loyalty/web/static/vendor")
# name in our folder → (distribution, path inside it, sha256)
ASSETS = {
    "htmx-2.min.js": (
        "django-htmx",
        "django_htmx/static/django_htmx/htmx-2.min.js",
        "71ea67185bfa8c98c39d31717c6fce5d852370fcdfd129db4543774d3145c0de",
    ),
    "uplot.min.js": ("youplot", "youplot/vendor/uplot.iife.min.js", "2d27e8ad3d228164525ce213f9dc716f39b4e3aee0cc773fb3491c96cf4921a2"),
    "uplot.min.css": ("youplot", "youplot/vendor/uplot.min.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
}


def copy_assets(root: Path) -> None:
    """Write every asset under `root`.

    :raises RuntimeError: if a wheel carries other bytes than the ones that were read and approved
    """
    folder = root / VENDOR
    folder.mkdir(parents=True, exist_ok=True)
    for name, (wheel, inside, expected) in ASSETS.items():
        content = Path(str(distribution(wheel).locate_file(inside))).read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            raise RuntimeError(f"{wheel}: {inside} has sha256 {found}, expected {expected}")
        (folder / name).write_bytes(content)


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling leaves the configuration type open
    """Called by hatchling before each build, editable ones too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the plugin interface's signature
        """Copy the assets; `artifacts` in pyproject.toml takes them into the wheel."""
        copy_assets(Path(self.root))
