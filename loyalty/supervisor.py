"""`loyalty up`: PostgreSQL, the web workers and the scheduler as one thing that starts, and stops, together."""

import argparse
import asyncio
import importlib
import importlib.util
import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from loyalty import clock, schema
from loyalty.db import make_engine
from loyalty.installation import open_keys
from loyalty.postgres import EmbeddedServer, launcher_command
from loyalty.running import FolderLock, Running
from loyalty.serving import web_command
from loyalty.settings import Settings

_CHILD_STOP_SECONDS = 20.0
_HEALTH_SECONDS = 180.0
_RESTARTS_MAX = 5
"""A child that dies this often within `_RESTART_WINDOW_SECONDS` ends the whole: something is wrong that a restart does not mend."""
_RESTART_WINDOW_SECONDS = 60.0


class CannotStart(Exception):  # noqa: N818 - said to a person
    """The service cannot be started as asked; the text says why and what to do."""

    for_people: ClassVar[bool] = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe `loyalty up`."""
    add_web_arguments(parser)
    parser.add_argument(
        "--demo",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="fill an empty database with a small demo chain (default: only in the embedded database on a loopback address)",
    )


def add_web_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe how the pages and the API are served."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)")
    parser.add_argument("--port", type=int, default=8000, help="port of the API and the portals (default: 8000)")
    parser.add_argument("--workers", type=int, help="web processes (default: one a core, at least 2)")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM): serves HTTPS; needs --tls-key")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="the certificate's private key (PEM, PKCS#8)")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Start everything, say where it is, watch over it, and stop it on Ctrl-C or SIGTERM."""
    if arguments.demo is not None:
        settings = replace(settings, demo=arguments.demo)
    settings = served(arguments, settings)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    if not settings.embedded:
        return _serve(arguments, settings, stopping, None, None)
    lock = FolderLock(settings.data_dir)
    lock.take()
    server = EmbeddedServer(settings.data_dir, settings.keys_dir)
    try:
        _say(f"PostgreSQL: starting on {settings.data_dir}")
        server.start()
        return _serve(arguments, settings, stopping, server, lock)
    finally:
        server.stop()
        lock.free()
        _say("Stopped.")


def run_web(arguments: argparse.Namespace, settings: Settings) -> int:
    """Become the web server alone, on the database that DATABASE_URL names: what one container does."""
    settings = served(arguments, settings)
    if settings.database_url is None:
        raise CannotStart("`loyalty web` serves from the PostgreSQL that DATABASE_URL names; `loyalty up` brings its own.")
    os.execve(sys.executable, _web_command(arguments, settings), os.environ | settings.to_environment())  # noqa: S606 - no shell


def served(arguments: argparse.Namespace, settings: Settings) -> Settings:
    """Return the settings as the arguments change them.

    :raises CannotStart: if the arguments contradict each other, or the port is taken
    """
    if (arguments.tls_cert is None) != (arguments.tls_key is None):
        raise CannotStart("HTTPS needs both --tls-cert and --tls-key.")
    with socket.socket(socket.AF_INET6 if ":" in arguments.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((arguments.host, arguments.port))
        except OSError as error:
            raise CannotStart(
                f"Port {arguments.port} on {arguments.host} cannot be used ({error.strerror}); choose another with --port."
            ) from error
    if settings.demo is None and not _is_loopback(arguments.host):
        settings = replace(settings, demo=False)  # demo log-ins are for this machine only
    if "LOYALTY_PUBLIC_URL" not in os.environ:
        settings = replace(settings, public_url=_url(arguments))
    return settings if arguments.workers is None else replace(settings, workers=max(1, arguments.workers))


def _web_command(arguments: argparse.Namespace, settings: Settings) -> list[str]:
    return web_command(
        host=arguments.host, port=arguments.port, workers=settings.workers, tls_cert=arguments.tls_cert, tls_key=arguments.tls_key
    )


class Child:
    """One process that should run as long as we do."""

    def __init__(self, name: str, command: Sequence[str], environment: dict[str, str]) -> None:
        self.name = name
        self._command = launcher_command(list(command))
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths: list[float] = []

    def start(self) -> None:
        """Start it in a session of its own: a Ctrl-C in the terminal reaches only us, and we stop things in order."""
        self._process = subprocess.Popen(self._command, env=self._environment, stdin=subprocess.DEVNULL, start_new_session=True)

    def ended(self) -> int | None:
        """Return its exit code if it ended."""
        return None if self._process is None else self._process.poll()

    def may_restart(self) -> bool:
        """Say whether it died seldom enough to be started again."""
        now = time.monotonic()
        self._deaths = [death for death in self._deaths if now - death < _RESTART_WINDOW_SECONDS] + [now]
        return len(self._deaths) < _RESTARTS_MAX

    def stop(self) -> None:
        """Ask it to end, then make it end."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_CHILD_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Its whole session: a web server that hangs must not leave workers behind.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _serve(
    arguments: argparse.Namespace, settings: Settings, stopping: threading.Event, server: EmbeddedServer | None, lock: FolderLock | None
) -> int:
    url = server.url if server is not None else settings.database_url
    assert url is not None
    _say("Schema: bringing it up to date")
    asyncio.run(schema.migrate(url))
    wants_demo = settings.fills_demo
    settings = replace(settings if server is None else settings.beside_database(url), database_url=url, demo=wants_demo)
    asyncio.run(_prove_keys(settings, url))
    log_ins = _fill_demo(settings) if wants_demo else ""
    environment = dict(os.environ) | settings.to_environment()
    children = [
        Child("web", _web_command(arguments, settings), environment),
        Child("scheduler", [sys.executable, "-m", "jobs"], environment),
    ]
    try:
        for child in children:
            child.start()
        if not _wait_until_healthy(arguments, children, stopping):
            return 0 if stopping.is_set() else 1
        if lock is not None and server is not None:
            lock.say(Running(os.getpid(), _url(arguments), str(server.socket_dir), server.port))
        _introduce(arguments, settings, log_ins, embedded=server is not None)
        return _watch(children, server, stopping)
    finally:
        _say("Stopping …")
        for child in children:
            child.stop()


async def _prove_keys(settings: Settings, url: str) -> None:
    """Make the keys of a new database, or refuse wrong ones here, where a person reads it."""
    engine = make_engine(url, role="loyalty_hot")
    try:
        await open_keys(settings, engine, now=clock.real_now())
    finally:
        await engine.dispose()


def _watch(children: Sequence[Child], server: EmbeddedServer | None, stopping: threading.Event) -> int:
    """Stay until told to stop; start again what died, and give up when that does not help."""
    while not stopping.wait(0.5):
        if server is not None and server.poll() is not None:
            _say("PostgreSQL ended by itself; starting it again (it recovers from its log)")
            server.start()
        for child in children:
            code = child.ended()
            if code is None:
                continue
            if not child.may_restart():
                _say(f"The {child.name} process keeps ending (code {code}); giving up.")
                return 1
            _say(f"The {child.name} process ended (code {code}); starting it again")
            child.start()
    return 0


def _wait_until_healthy(arguments: argparse.Namespace, children: Sequence[Child], stopping: threading.Event) -> bool:
    until = time.monotonic() + _HEALTH_SECONDS
    trust = ssl.create_default_context()
    # We ask our own address, which the certificate need not name, only whether somebody answers there.
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    while time.monotonic() < until and not stopping.wait(0.1):
        dead = [child.name for child in children if child.ended() is not None]
        if dead:
            _say(f"The {dead[0]} process did not start; its message stands above.")
            return False
        try:
            with urllib.request.urlopen(f"{_local_url(arguments)}/health", timeout=2, context=trust) as answer:  # noqa: S310 - our own address
                if answer.status == 200:
                    return True
        except (OSError, urllib.error.URLError):
            continue
    return False


def _fill_demo(settings: Settings) -> str:
    """Fill an empty database with the demo chain and return what to print of its log-ins."""
    if importlib.util.find_spec("loyalty.demo") is None:
        return ""
    demo = importlib.import_module("loyalty.demo_command")  # only where demo data is wanted
    return str(asyncio.run(demo.fill(settings, _say)) or "")


def _introduce(arguments: argparse.Namespace, settings: Settings, log_ins: str, *, embedded: bool) -> None:
    """Print where everything is."""
    base = _url(arguments)
    pages = (("Cashier  收银", "/cashier"), ("Office   管理", "/office"), ("Holder   持卡人", "/me"), ("API", "/schema/openapi.json"))
    _say("")
    for name, path in pages:
        _say(f"  {name:<12} {base}{path}")
    if log_ins:
        _say(f"\n{log_ins}")
    where = str(settings.data_dir) if embedded else "the PostgreSQL that DATABASE_URL names"
    _say(f"\n  Data in {where}; keys in {settings.keys_dir}. Stop with Ctrl-C.\n")


def _url(arguments: argparse.Namespace, host: str | None = None) -> str:
    scheme = "http" if arguments.tls_cert is None else "https"
    if host is None:
        host = socket.getfqdn() if arguments.host in {"0.0.0.0", "::"} else arguments.host  # noqa: S104 - compared, not bound
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{arguments.port}"


def _local_url(arguments: argparse.Namespace) -> str:
    return _url(arguments, "127.0.0.1" if arguments.host in {"0.0.0.0", "::"} else None)  # noqa: S104 - compared, not bound


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _say(line: str) -> None:
    print(line, flush=True)
