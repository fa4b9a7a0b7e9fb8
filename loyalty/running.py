"""Who runs on a data folder: one supervisor at a time, and where its database answers for the commands that want it meanwhile."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from loyalty.db import socket_url
from loyalty.postgres import EmbeddedServer
from loyalty.settings import Settings


class Running(msgspec.Struct, frozen=True):
    """What a running supervisor says of itself."""

    pid: int
    url: str = ""
    """Where its pages are; empty while it starts, or where a command runs the server for itself."""
    socket_dir: str = ""
    port: int = 0


class AlreadyRunning(Exception):  # noqa: N818 - said to a person
    """Another process works on this data folder."""

    def __init__(self, running: Running | None, data_dir: Path) -> None:
        where = f", at {running.url}" if running is not None and running.url else ""
        who = f" (process {running.pid}{where})" if running is not None else ""
        super().__init__(f"Loyalty already runs on {data_dir}{who}. Stop it first, or choose another folder with --data.")
        self.running = running


class FolderLock:
    """The lock on a data folder: the kernel frees it when its holder ends, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._state = data_dir / "running.json"
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock.

        :raises AlreadyRunning: if another process holds it
        """
        self._data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise AlreadyRunning(self.read(), self._data_dir) from None
        self._descriptor = descriptor
        self.say(Running(os.getpid()))

    def say(self, running: Running) -> None:
        """Write what others may read of us, whole or not at all."""
        fresh = self._state.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(running))
        fresh.chmod(0o600)
        fresh.rename(self._state)

    def read(self) -> Running | None:
        """Return what the holder of the lock says, if it says anything."""
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=Running)
        except (OSError, msgspec.DecodeError):
            return None

    def free(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            self._state.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


@contextlib.contextmanager
def open_database(settings: Settings) -> Iterator[Settings]:
    """Yield these settings with a database that answers: the one named, the running supervisor's, or the embedded server started for now.

    :raises AlreadyRunning: if another process is just starting or stopping on the data folder
    :raises loyalty.postgres.ServerFailed: if the server does not start
    """
    if settings.database_url is not None:
        yield settings
        return
    lock = FolderLock(settings.data_dir)
    server = EmbeddedServer(settings.data_dir, settings.keys_dir)
    try:
        lock.take()
    except AlreadyRunning as error:
        if error.running is None or not error.running.port:
            raise
        url = socket_url(
            user="loyalty",
            password=(settings.keys_dir / "database-loyalty").read_text(encoding="ascii").strip(),
            database="loyalty",
            folder=error.running.socket_dir,
            port=error.running.port,
        )
        yield replace(settings, database_url=url, demo=settings.fills_demo)
        return
    try:
        server.start()
        yield replace(settings, database_url=server.url, demo=settings.fills_demo)
    finally:
        server.stop()
        lock.free()
