"""A real PostgreSQL 18, built by the migrations: one server a run, a clone of its template for whoever wants to commit.

- `session`: an AsyncSession that is rolled back, for the rooms' own tests
- `database_url`: a fresh database of one's own, for tests that commit, race or kill
- `engine`, `sessions`: an engine and a session maker on that fresh database
- `now`: the instant at which the tests stand
"""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from loyalty import schema
from loyalty.db import Sessions, make_engine, make_sessions
from loyalty.postgres import EmbeddedServer
from loyalty.postgres.tuning import TEST_SETTINGS
from loyalty.running import AlreadyRunning, FolderLock

NOW = datetime(2026, 9, 24, 2, 15, tzinfo=UTC)
TEMPLATE = "loyalty"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Cluster:
    """The run's server: started by whoever needs it first, in the one process that outlives all workers."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.server: EmbeddedServer | None = None
        self.lock: FolderLock | None = None

    def url(self) -> str:
        """Return the template's URL, making it now if it is not there."""
        if self.server is None:
            # Not pytest's own folder: that one is closed to the user nobody, as whom PostgreSQL runs under root.
            self.folder = Path(tempfile.mkdtemp(prefix="loyalty-tests-", dir=_memory_folder()))
            self.folder.chmod(0o755)
            self.lock = FolderLock(self.folder / "data")
            self.lock.take()
            _sweep(self.folder.parent)
            self.server = EmbeddedServer(self.folder / "data", self.folder / "keys", settings=TEST_SETTINGS, durable=False)
            self.server.start()
            asyncio.run(_prepare(self.server.url))
        return self.server.url

    def stop(self) -> None:
        """Stop it and leave nothing behind."""
        if self.server is not None:
            self.server.stop()
        if self.lock is not None:
            self.lock.free()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


async def _prepare(url: str) -> None:
    """Migrate, and make the partitions of the months in which the tests stand."""
    await schema.migrate(url)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT make_month_partitions(date '2026-06-01', 9)")
    finally:
        await connection.close()


def _memory_folder() -> str | None:
    """Return a folder in memory if there is a roomy one: a clone's 900 files take 14 ms there and 400 ms on a disk."""
    try:
        found = os.statvfs("/dev/shm")  # noqa: S108 - mkdtemp makes an unguessable name in it
    except OSError:
        return None
    is_roomy = found.f_bavail * found.f_frsize >= 2 << 30
    return "/dev/shm" if is_roomy and not found.f_flag & os.ST_NOEXEC else None  # noqa: S108 - as above


def _sweep(place: Path) -> None:
    """Remove what killed runs left: memory is too dear to leak. A living run holds its lock."""
    for state in place.glob("loyalty-tests-*/data/running.json"):
        lock = FolderLock(state.parent)
        try:
            lock.take()
        except AlreadyRunning:
            continue
        lock.free()
        shutil.rmtree(state.parents[1], ignore_errors=True)


_cluster = Cluster()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long tests too: every crash point, more seeds")
    parser.addoption("--require-browser", action="store_true", help="a missing Chromium is an error, not a skip")


def pytest_configure(config: pytest.Config) -> None:
    if requires_browser(config) and CHROMIUM is None:
        raise pytest.UsageError("Chromium is required and was not found: install it (apt-get install chromium).")


def pytest_unconfigure() -> None:
    _cluster.stop()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    """Give every xdist worker the same server: it must live in the controller, since a worker may end before the others."""
    node.workerinput["template_url"] = _cluster.url()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "long" in item.keywords and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason="runs with --long"))
        if "browser" in item.keywords and CHROMIUM is None:
            item.add_marker(pytest.mark.skip(reason="Chromium was not found"))


def pytest_terminal_summary(terminalreporter) -> None:
    if CHROMIUM is None:
        terminalreporter.write_line("Chromium was not found: the browser tests did not run.", yellow=True)


def requires_browser(config: pytest.Config) -> bool:
    return bool(config.getoption("--require-browser")) or os.environ.get("LOYALTY_REQUIRE_BROWSER", "") not in {"", "0"}


@pytest.fixture(scope="session")
def anyio_backend():
    """One loop a worker, the one production runs on."""
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the browser's path; tests that ask for it carry the mark `browser`."""
    if CHROMIUM is None:
        pytest.skip("Chromium was not found")
    return CHROMIUM


@pytest.fixture(scope="session")
def template_url(request) -> str:
    """Return the URL of the migrated template. Nobody connects to it while it is cloned: ask for `database_url` instead."""
    given = getattr(request.config, "workerinput", {}).get("template_url")
    return given if given is not None else _cluster.url()


@pytest.fixture(scope="session")
def worker_name(request) -> str:
    return getattr(request.config, "workerinput", {}).get("workerid", "alone")


class Databases:
    """Clones of the template, each dropped after its test."""

    def __init__(self, template: str, worker: str) -> None:
        self._template = template
        self._worker = worker
        self._made = 0

    async def clone(self) -> str:
        self._made += 1
        name = f"test_{self._worker}_{self._made}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        return self.url_of(name)

    async def empty(self) -> str:
        """Make a database without tables: for what the migrations themselves do."""
        self._made += 1
        name = f"test_{self._worker}_{self._made}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url_of(name)

    async def drop(self, url: str) -> None:
        name = re.search(r"/(test_\w+)\?", url)
        assert name is not None
        await self._execute(f"DROP DATABASE {name[1]} WITH (FORCE)")

    def url_of(self, database: str) -> str:
        return self._template.replace(f"/{TEMPLATE}?", f"/{database}?")

    async def _execute(self, sentence: str) -> None:
        connection = await asyncpg.connect(self.url_of("postgres"))
        try:
            await connection.execute(sentence)
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def databases(template_url, worker_name) -> Databases:
    return Databases(template_url, worker_name)


@pytest.fixture
async def database_url(databases) -> AsyncIterator[str]:
    """Yield the owner's URL of a database of one's own, fresh from the migrations."""
    url = await databases.clone()
    yield url
    await databases.drop(url)


@pytest.fixture
async def engine(database_url) -> AsyncIterator[AsyncEngine]:
    """Yield an engine on `database_url`, as the hot role."""
    engine = make_engine(database_url, role="loyalty_hot", pool_size=10, max_overflow=50)
    yield engine
    await engine.dispose()


@pytest.fixture
def sessions(engine) -> Sessions:
    """Return the session maker that `loyalty.db.transaction` takes."""
    return make_sessions(engine)


@pytest.fixture(scope="session")
async def worker_engine(databases) -> AsyncIterator[AsyncEngine]:
    """Yield the engine on the one clone that this worker's rolled-back tests share."""
    url = await databases.clone()
    engine = make_engine(url, role="loyalty_hot")
    yield engine
    await engine.dispose()
    await databases.drop(url)


@pytest.fixture
async def session(worker_engine) -> AsyncIterator[AsyncSession]:
    """Yield a session whose transaction is rolled back; before that, deferred constraints must hold.

    A refusal that the test expected may have left the transaction as PostgreSQL left it; savepoints inside work as usual.
    """
    async with worker_engine.connect() as connection:
        transaction = await connection.begin()
        async with AsyncSession(connection, expire_on_commit=False, join_transaction_mode="create_savepoint") as session:
            yield session
            if session.is_active and not await _is_aborted(connection):
                await session.flush()
                await session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        await transaction.rollback()


async def _is_aborted(connection) -> bool:
    """Say whether the database already refused something outside a savepoint: then nothing more can be asked of this transaction."""
    raw = await connection.get_raw_connection()
    try:
        await raw.driver_connection.execute("SELECT 1")
    except asyncpg.InFailedSQLTransactionError:
        return True
    return False


@pytest.fixture
def now() -> datetime:
    """Return the instant of the tests: Thursday 24 September 2026, 10:15 in Shanghai."""
    return NOW


@pytest.fixture(scope="session")
def outside_folder() -> Iterator[Path]:
    """Yield a folder that the user nobody can reach, for tests that start servers of their own."""
    folder = Path(tempfile.mkdtemp(prefix="loyalty-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
