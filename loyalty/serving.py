"""The web processes: one command line for the supervisor, for compose and for the benchmark.

uvicorn's own server and its supervisor of workers; only that each worker listens on a socket of its own on the same port, so that the
kernel shares connections out evenly. A till keeps its connection all day; on a common socket whichever worker woke first took up to three
quarters of them, which cost a tenth of the rate (measured).
"""

import argparse
import socket
import sys
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.supervisors import Multiprocess

STOP_SECONDS: Final = 12
_APPLICATION: Final = "loyalty.main:app_from_environment"
_PROTOCOL: Final = "loyalty.authorizations.hot_protocol:PumpProtocol"
"""uvicorn's own HTTP/1.1 protocol, with a short way for the hot routes."""
_BACKLOG: Final = 2048
_SHARES_OUT: Final = sys.platform == "linux"
"""Whether the kernel spreads connections over the sockets of one port; elsewhere the last one may get them all."""


def web_command(*, host: str, port: int, workers: int, tls_cert: Path | None = None, tls_key: Path | None = None) -> list[str]:
    """Return the command line of the web server; its workers read the settings from their environment.

    Measured on the hot routes: uvicorn with httptools and uvloop takes 10-15 % less CPU a request than granian, whose own threads contend
    for the interpreter lock as soon as the handlers are busy (granian is faster only where they do nothing).
    """
    words = [sys.executable, "-m", "loyalty.serving", _APPLICATION, "--host", host, "--port", str(port), "--workers", str(workers)]
    if tls_cert is not None:
        words += ["--tls-cert", str(tls_cert), "--tls-key", str(tls_key)]
    return words


class HeldPort(socket.socket):
    """Holds a port for workers to listen on beside each other, and listens to nobody itself; sent to a worker it becomes one of its own."""

    def __init__(self, family: int, address: tuple[Any, ...]) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            self.bind(address)
        except OSError:
            self.close()
            raise

    def __reduce__(self) -> tuple[type["HeldPort"], tuple[int, tuple[Any, ...]]]:
        """Bind anew where it is unpickled."""
        return HeldPort, (int(self.family), self.getsockname())


def main() -> None:
    """Serve until a signal says stop."""
    parser = argparse.ArgumentParser(prog="python -m loyalty.serving", description="The web processes; `loyalty web` starts them.")
    parser.add_argument("application", help="module:factory")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--workers", required=True, type=int)
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    asked = parser.parse_args()
    config = uvicorn.Config(
        asked.application,
        factory=True,
        host=asked.host,
        port=asked.port,
        workers=asked.workers,
        loop="uvloop",
        http=_PROTOCOL,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        log_level="warning",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=asked.tls_cert,
        ssl_keyfile=asked.tls_key,
    )
    if asked.workers == 1:
        server = uvicorn.Server(config)
        server.run()
        sys.exit(0 if server.started else 3)
    # Refuses a port that another program listens on, as a socket that shares it would not.
    common = config.bind_socket()
    if _SHARES_OUT:
        family, address = common.family, common.getsockname()
        common.close()
        common = HeldPort(int(family), address)
    Multiprocess(config, sockets=[common]).run()


if __name__ == "__main__":
    main()
