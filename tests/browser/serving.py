"""The real application in a process of its own, for browsers."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from loyalty.serving import web_command

ROOT = Path(__file__).parent.parent.parent


@contextlib.contextmanager
def served(database_url: str, folder: Path) -> Iterator[str]:
    """Serve `database_url` on a free loopback port, in demonstration mode; yield the address. Keys and log stay in `folder`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "LOYALTY_DATA": str(folder / "data"),
        "LOYALTY_KEYS": str(folder / "keys"),
        "LOYALTY_DEMO": "1",
        "LOYALTY_PUBLIC_URL": url,
        "LOYALTY_LOG_LEVEL": "warning",
    }
    command = web_command(host="127.0.0.1", port=port, workers=1)
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            _wait(process, url, folder / "web.log")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def keep_picture(page: Any, name: str) -> None:
    """Keep a picture of what a test sees, where the environment names a folder for them: a tool of development."""
    if folder := os.environ.get("LOYALTY_PICTURES_OF_TESTS"):
        await page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True, caret="initial")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until the service answers; its own words if it does not."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health", trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"the service did not start:\n{log.read_text()[-4000:]}")
