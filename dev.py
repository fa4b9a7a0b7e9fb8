#!/usr/bin/env python3
"""Everything a newcomer needs, with nothing but Python: makes the environment from requirements.lock, then runs the product or its tests.

python3 dev.py up        start the service (all options of `loyalty up`, for instance --port 8000 --data DIR)
python3 dev.py test      run all tests (options of pytest, and --long, --require-browser)
python3 dev.py check     what CI checks: ruff, mypy, import-linter, alembic check, tests
python3 dev.py pictures  a screenshot of every page, into pictures/
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
LOCK = ROOT / "requirements.lock"
STAMP = ENVIRONMENT / "made-from"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main(words: list[str]) -> int:
    """Run one command."""
    commands = {"up": up, "test": test, "check": check, "pictures": pictures}
    if not words or words[0] not in commands:
        print(__doc__)
        return 0 if words and words[0] in {"-h", "--help"} else 2
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells an older Python so
        sys.exit("Loyalty needs Python 3.11 or newer; this is {}.{}.".format(*sys.version_info))
    make_environment()
    return commands[words[0]](words[1:])


def up(words: list[str]) -> int:
    """Become `loyalty up`, so that Ctrl-C and SIGTERM reach it directly."""
    os.chdir(ROOT)
    os.execv(BIN / "loyalty", [str(BIN / "loyalty"), "up", *words])  # noqa: S606 - no shell


def test(words: list[str]) -> int:
    """Run pytest on two processes or more; a missing browser is said aloud, or is an error where it is required."""
    required = "--require-browser" in words or os.environ.get("LOYALTY_REQUIRE_BROWSER", "") not in {"", "0"}
    if not any(shutil.which(browser) for browser in BROWSERS):
        print("Chromium was not found: the browser tests will NOT run. Install it (apt-get install chromium) to run them all.", flush=True)
        if required:
            return 1
    if not any(word.startswith("-n") or word == "--numprocesses" for word in words):
        words = ["-n", str(max(2, os.cpu_count() or 2)), "--dist", "worksteal", *words]
    return run("tests", [PYTHON, "-m", "pytest", *words])


def check(words: list[str]) -> int:
    """Run what CI runs; every step runs even if one before it failed, and the last lines say which did."""
    sources = ["loyalty", "partners", "jobs", "tests", "migrations", "dev.py", "hatch_build.py"]
    steps: dict[str, list[Any]] = {
        "ruff check": [BIN / "ruff", "check", *sources],
        "ruff format": [BIN / "ruff", "format", "--check", *sources],
        "mypy --strict": [BIN / "mypy"],
        "import-linter": [BIN / "lint-imports"],
        "alembic check": [PYTHON, "-m", "pytest", "-q", "-n0", "tests/setup/test_schema.py"],
    }
    failed = [name for name, command in steps.items() if run(name, command) != 0]
    if test(words) != 0:
        failed.append("tests")
    print(f"\nFailed: {', '.join(failed)}." if failed else "\nAll checks passed.")
    return 1 if failed else 0


def pictures(words: list[str]) -> int:
    """Make a screenshot of every page."""
    return run("pictures", [PYTHON, "-m", "tests.browser.pictures", *words])


def run(name: str, command: list[Any]) -> int:
    """Run one step in the repository and return its exit code."""
    print(f"\n== {name}", flush=True)
    return subprocess.run([str(word) for word in command], cwd=ROOT, check=False).returncode


def make_environment() -> None:
    """Make .venv from the lock, or bring it up to date; nothing is done when it was made from this very lock and project file."""
    wanted = {"lock": digest(LOCK), "project": digest(ROOT / "pyproject.toml", ROOT / "hatch_build.py")}
    made = dict(line.split() for line in STAMP.read_text().splitlines()) if STAMP.exists() and works(PYTHON) else {}
    if made == wanted:
        return
    install = installer()
    if made.get("lock") != wanted["lock"]:
        count = sum("==" in line for line in LOCK.read_text().splitlines())
        slow(
            f"Installing {count} packages from requirements.lock into {ENVIRONMENT} (once)", [*install, "--require-hashes", "-r", str(LOCK)]
        )
    slow("Installing Loyalty itself", [*install, "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    STAMP.write_text("".join(f"{name} {value}\n" for name, value in wanted.items()))


def installer() -> list[str]:
    """Make the bare environment if there is none and return the command that installs into it: pip, else uv, else one clear sentence."""
    has_pip = works(PYTHON, "-m", "pip", "--version")
    if not works(PYTHON):
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        # Debian splits ensurepip off; the module may then be there without what it installs, so only trying tells.
        whole = importlib.util.find_spec("ensurepip") is not None and works(sys.executable, "-m", "venv", str(ENVIRONMENT))
        if not whole:
            shutil.rmtree(ENVIRONMENT, ignore_errors=True)
            if not works(sys.executable, "-m", "venv", "--without-pip", str(ENVIRONMENT)):
                sys.exit("This Python cannot make environments: install its venv module (on Debian: apt-get install python3-venv).")
        has_pip = whole
    quiet = ["--quiet", "--no-compile", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    if has_pip:
        return [str(PYTHON), "-m", "pip", "install", *quiet]
    if works(sys.executable, "-m", "pip", "--version"):
        return [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", *quiet]
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--python", str(PYTHON)]
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    sys.exit("There is neither pip nor uv here: install one of them (on Debian: apt-get install python3-venv), then run this again.")


def works(program: object, *words: str) -> bool:
    """Say whether a command runs and succeeds."""
    command = [str(program), *(words or ("--version",))]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def slow(what: str, command: list[str]) -> None:
    """Run a long step; say every ten seconds that it goes on, and show its own words if it fails."""
    print(f"{what} …", flush=True)
    started, done = time.monotonic(), threading.Event()

    def tell() -> None:
        while not done.wait(10):
            print(f"  … {time.monotonic() - started:.0f} s", flush=True)

    threading.Thread(target=tell, daemon=True).start()
    output: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    result = subprocess.run(command, cwd=ROOT, text=True, check=False, **output)
    done.set()
    if result.returncode != 0:
        print(result.stdout)
        sys.exit(f"{what}: failed. The lines above say why.")
    print(f"  done in {time.monotonic() - started:.0f} s", flush=True)


def digest(*files: Path) -> str:
    """Return the hash of the files' contents."""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
