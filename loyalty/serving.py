"""How a web process is started: one command line for the supervisor, for compose and for the benchmark."""

import sys
from pathlib import Path
from typing import Final

STOP_SECONDS: Final = 12
_PROTOCOL: Final = "loyalty.authorizations.hot_protocol:PumpProtocol"
"""uvicorn's own HTTP/1.1 protocol, with a short way for the hot routes."""


def web_command(*, host: str, port: int, workers: int, tls_cert: Path | None = None, tls_key: Path | None = None) -> list[str]:
    """Return the command line of the web server; its workers read the settings from their environment.

    Measured on the hot routes: uvicorn with httptools and uvloop takes 10-15 % less CPU a request than granian, whose own threads contend
    for the interpreter lock as soon as the handlers are busy (granian is faster only where they do nothing).
    """
    words = [sys.executable, "-m", "uvicorn", "--factory", "loyalty.main:app_from_environment", "--host", host, "--port", str(port)]
    words += ["--workers", str(workers), "--loop", "uvloop", "--http", _PROTOCOL, "--ws", "none", "--lifespan", "on"]
    words += ["--no-access-log", "--no-server-header", "--no-date-header", "--no-proxy-headers"]
    words += ["--log-level", "warning", "--backlog", "2048"]
    words += ["--timeout-graceful-shutdown", str(STOP_SECONDS)]
    if tls_cert is not None:
        words += ["--ssl-certfile", str(tls_cert), "--ssl-keyfile", str(tls_key)]
    return words
