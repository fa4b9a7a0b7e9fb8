"""A real web server in processes of its own, tills that talk to it over HTTP, and what a test does to both."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from loyalty import clock
from loyalty.crypto import use_keyring
from loyalty.db import Sessions, driver_dsn, make_engine, make_sessions, transaction
from loyalty.identity.model import Role, ScopeKind
from loyalty.identity.model_terminals import EnrolmentUse
from loyalty.identity.operations import grant_role, hire, issue_enrolment_code, issue_staff_card, set_staff_pin
from loyalty.installation import open_keys
from loyalty.pos_client import Card, MemoryStore, Staff, Till
from loyalty.serving import web_command
from loyalty.settings import Settings
from tests.crash.armed import ORDER
from tests.factories.world import PIN, TestCard, World, give_card, make_world
from tests.simulation.house import UNBALANCED, breaches

STAFF = Staff(card="990000001001", pin="260917")
READY_SECONDS = 60.0


class Line(httpx.AsyncHTTPTransport):
    """Keeps every request and its answers' bytes by key. With a chance, of a hundred: loses an answer, sends a request twice at once."""

    def __init__(self, *, loses: int = 0, doubles: int = 0, seed: int = 0) -> None:
        super().__init__()
        self.answers: list[bytes] = []
        self.by_key: dict[str, set[bytes]] = {}
        self.requests: dict[str, tuple[str, bytes]] = {}
        self.sent: tuple[str, bytes, str] | None = None
        self._loses = loses
        self._doubles = doubles
        self._random = random.Random(seed)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        key = request.headers.get("idempotency-key")
        if request.method != "POST" or key is None:
            return await super().handle_async_request(request)
        self.sent = (request.url.path, request.content, key)
        self.requests[key] = self.sent[:2]
        if self._random.randrange(100) < self._doubles:
            first, second = await asyncio.gather(self._take(request, key), self._take(request, key), return_exceptions=True)
            answered = second if isinstance(first, BaseException) else first
            if isinstance(answered, BaseException):
                raise answered
        else:
            answered = await self._take(request, key)
        if self._random.randrange(100) < self._loses:
            raise httpx.ReadError("the line dropped")
        return answered

    def mend(self) -> None:
        """Be a good line from now on."""
        self._loses = self._doubles = 0

    async def _take(self, request: httpx.Request, key: str) -> httpx.Response:
        response = await super().handle_async_request(request)
        content = await response.aread()
        if response.status_code == 200:
            self.answers.append(content)
            self.by_key.setdefault(key, set()).add(content)
        return response


@dataclass
class Service:
    """A running service, its chain, and its ends."""

    base_url: str
    settings: Settings
    sessions: Sessions
    world: World
    process: subprocess.Popen[bytes]
    order: Path
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def crash_at(self, point: str, path: str) -> None:
        """Let the worker that takes the next POST to such a path die at a point."""
        self.order.write_text(f"{point} {path}", encoding="ascii")

    @property
    def crashed(self) -> bool:
        return not self.order.exists()

    def workers(self) -> set[int]:
        """Return the worker processes of the web server."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        children = {int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text(encoding="ascii").split()}
        return {pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}

    def kill_a_worker(self, chosen: random.Random) -> None:
        """End one as by SIGKILL; the other goes on, and the web server makes a new one."""
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(chosen.choice(sorted(self.workers())), signal.SIGKILL)

    async def till(self, terminal: int = 0, *, line: Line | None = None, **options: Any) -> tuple[Till, Line]:
        """Enrol a till with a line of its own; patient, since a worker takes seconds to come back."""
        async with transaction(self.sessions) as session:
            code, _ = await issue_enrolment_code(
                session, terminal_id=self.world.terminal_ids[terminal], use=EnrolmentUse.KEY, now=clock.real_now()
            )
        line = line or Line()
        http = httpx.AsyncClient(base_url=self.base_url, transport=line, timeout=60)
        self.clients.append(http)
        till = await Till.enrol(self.base_url, code=code, store=MemoryStore(), http=http, **({"attempts": 26, "backoff_s": 0.1} | options))
        return till, line

    async def card(self, **facts: Any) -> TestCard:
        async with transaction(self.sessions) as session:
            return await give_card(session, self.world, **facts)

    async def rows(self, sentence: str, *facts: Any) -> list[dict]:
        assert self.settings.database_url is not None
        connection = await asyncpg.connect(driver_dsn(self.settings.database_url))
        try:
            return [dict(row) for row in await connection.fetch(sentence, *facts)]
        finally:
            await connection.close()

    async def broken(self) -> list[tuple[str, Any]]:
        """What the tests' own query finds, and `loyalty check`."""
        assert self.settings.database_url is not None
        found = [(row["what"], row["id"]) for row in await self.rows(UNBALANCED)]
        return found + await breaches(self.settings.database_url, clock.real_now())

    async def ready(self) -> None:
        until = time.monotonic() + READY_SECONDS
        async with httpx.AsyncClient(base_url=self.base_url, timeout=2) as http:
            while True:
                assert self.process.poll() is None, "the web server ended"
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get("/health")).status_code == 200:
                        return
                assert time.monotonic() < until, "the service does not come back"
                await asyncio.sleep(0.1)


async def again_by_key(till: Till, line: Line, key: str) -> bytes:
    """Send a request once more, same key and body, freshly signed; return the answer's bytes."""
    path, body = line.requests[key]
    answer = await till._send("POST", path, "", body, uuid.UUID(key))
    assert answer.status_code == 200, answer.text
    return answer.content


async def again(till: Till, line: Line) -> bytes:
    """Send the last request once more."""
    assert line.sent is not None
    return await again_by_key(till, line, line.sent[2])


def presented(card: TestCard) -> Card:
    return Card(number=card.number, pin=PIN)


async def furnish(sessions: Sessions) -> World:
    """Make the chain, and a station manager with card and PIN."""
    now = clock.real_now()
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
        hired = now - timedelta(days=1)
        staff_id = await hire(session, employee_number="1001", name="站长", home_station_id=world.station_id, now=hired)
        await grant_role(
            session, staff_id=staff_id, role=Role.STATION_MANAGER, scope=ScopeKind.STATION, scope_id=world.station_id, now=hired
        )
        await issue_staff_card(session, staff_id=staff_id, card_number=STAFF.card, now=hired)
        await set_staff_pin(session, staff_id=staff_id, pin=STAFF.pin, now=hired)
    return world


async def make_partitions(url: str) -> None:
    """The processes live in real time, whatever month that is."""
    connection = await asyncpg.connect(driver_dsn(url))
    try:
        await connection.execute("SELECT make_month_partitions((date_trunc('month', now()) - interval '2 months')::date, 4)")
    finally:
        await connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def serving(url: str, folder: Path) -> AsyncIterator[Service]:
    """Serve a migrated database from processes of their own; they end with the test."""
    settings = Settings(database_url=url, data_dir=folder / "data", keys_dir=folder / "keys", workers=2, log_level="error")
    await make_partitions(url)
    engine = make_engine(url, role="loyalty_hot")
    sessions = make_sessions(engine)
    await open_keys(settings, engine, now=clock.real_now())
    world = await furnish(sessions)
    port = free_port()
    words = [
        word.replace("loyalty.main:app_from_environment", "tests.crash.armed:application")
        for word in web_command(host="127.0.0.1", port=port, workers=2)
    ]
    order = folder / "crash-order"
    root = str(Path(__file__).parents[2])
    environment = os.environ | settings.to_environment() | {ORDER: str(order), "PYTHONPATH": root}
    process = subprocess.Popen(  # noqa: ASYNC220 - it starts at once, and lives as long as the test
        words, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    )
    service = Service(f"http://127.0.0.1:{port}", settings, sessions, world, process, order)
    try:
        await service.ready()
        yield service
    finally:
        for client in service.clients:
            await client.aclose()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        await engine.dispose()
        use_keyring(None)
