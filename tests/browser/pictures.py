"""`python3 dev.py pictures [PORTAL …] [--look LOOK] [--url URL] [--into FOLDER]`: a screenshot of every page.

Without `--url` it starts the whole service on a database of its own, fills the demo chain, and stops it afterwards.
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from loyalty.web.pictures import LOOKS, albums, take
from tests.browser.serving import free_port

ROOT = Path(__file__).parent.parent.parent
START_SECONDS_MAX = 180


def main() -> int:
    """Take the pictures; 1 if a page complained."""
    parser = argparse.ArgumentParser(prog="dev.py pictures", description="A screenshot of every page, both languages, light and dark.")
    parser.add_argument("portals", nargs="*", help="only these: design, cashier, office, …")
    parser.add_argument("--url", help="a running service with the demo chain, instead of one started for this")
    parser.add_argument("--into", type=Path, default=ROOT / "pictures", help="the folder (default: pictures/)")
    looks = {"-".join(map(str, look)): look for look in LOOKS}
    parser.add_argument("--look", action="append", choices=looks, help="only this language, theme and width; may stand several times")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.stderr.write("Chromium was not found: install it (apt-get install chromium).\n")
        return 1
    wanted = [album for album in albums() if not arguments.portals or album.portal in arguments.portals]
    complained = 0
    with contextlib.nullcontext(arguments.url.rstrip("/")) if arguments.url else _started() as url:
        for path, complaints in take(url, arguments.into, wanted, chromium=chromium, looks=[looks[one] for one in arguments.look or looks]):
            complained += bool(complaints)
            sys.stdout.write(f"{path.relative_to(arguments.into)}{'  !! ' + '; '.join(complaints) if complaints else ''}\n")
            sys.stdout.flush()
    return 1 if complained else 0


@contextlib.contextmanager
def _started() -> Iterator[str]:
    """Run `loyalty up` with the demo chain on a port and in a folder of its own."""

    folder = Path(tempfile.mkdtemp(prefix="loyalty-pictures-"))
    folder.chmod(0o755)
    port = free_port()
    os.environ["LOYALTY_PICTURES_LOG_INS"] = str(folder / "keys" / "demo-log-ins.json")
    command = [str(Path(sys.executable).with_name("loyalty")), "up", "--data", str(folder / "data"), "--keys", str(folder / "keys")]
    with (folder / "up.log").open("wb") as said:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--workers", "1"], cwd=ROOT, env=os.environ, stdin=subprocess.DEVNULL, stdout=said
        )
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200:
                    break
            time.sleep(0.3)
        else:
            raise SystemExit("The service did not start.")
        os.environ["LOYALTY_PICTURES_CODE"] = _till_code(folder / "up.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _till_code(said: Path) -> str:
    """Return the code that `up` prints for the first station's counter."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        found = re.search(r"within 15 minutes: (\S+)", said.read_text())
        if found:
            return found[1]
        time.sleep(0.2)
    return ""


if __name__ == "__main__":
    sys.exit(main())
