"""A till on a real server: the application on a free port of this machine, a database of its own, the reference client."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import uvicorn

from loyalty import clock
from loyalty.cards.operations import produce_batch
from loyalty.cards.queries import batch_for_personaliser
from loyalty.crypto import use_keyring
from loyalty.db import Sessions, make_engine, make_sessions, transaction
from loyalty.identity.model import Role, ScopeKind
from loyalty.identity.model_terminals import EnrolmentUse
from loyalty.identity.operations import grant_role, hire, issue_enrolment_code, issue_staff_card, set_staff_pin
from loyalty.installation import open_keys
from loyalty.main import Application, create_app
from loyalty.pos_client import MemoryStore, Staff, Till
from loyalty.settings import Settings
from tests.factories.world import SYSTEM, TestCard, World, give_card, make_world


@dataclass
class Site:
    """A running service and the chain it serves."""

    base_url: str
    sessions: Sessions
    world: World
    settings: Settings

    async def code(self, terminal: int = 0) -> str:
        async with transaction(self.sessions) as session:
            code, _ = await issue_enrolment_code(
                session, terminal_id=self.world.terminal_ids[terminal], use=EnrolmentUse.KEY, now=clock.real_now()
            )
        return code

    async def till(self, terminal: int = 0, **options) -> Till:
        return await Till.enrol(
            self.base_url,
            code=await self.code(terminal),
            store=MemoryStore(),
            business_clock=clock.business_now,
            backoff_s=0.01,
            **options,
        )

    async def card(self, **options) -> TestCard:
        async with transaction(self.sessions) as session:
            return await give_card(session, self.world, **options)

    async def blanks(self, kind: str, count: int = 3) -> list[str]:
        async with transaction(self.sessions) as session:
            batch = await produce_batch(
                session,
                product_id=self.world.card_product_ids[kind],
                count=count,
                station_id=self.world.station_id,
                actor=SYSTEM,
                now=self.world.now,
            )
            return [number async for number, _ in batch_for_personaliser(session, batch_id=batch.batch_id)]


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[str]:
    """Serve the application on a free port; yield its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Application(create_app(settings)), log_config=None, access_log=False, lifespan="on"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            assert not task.done(), "the server did not start"
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


@pytest.fixture
async def site(database_url, tmp_path, now) -> AsyncIterator[Site]:
    settings = Settings(database_url=database_url, data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")
    engine = make_engine(database_url, role="loyalty_hot")
    sessions = make_sessions(engine)
    await open_keys(settings, engine, now=clock.real_now())
    clock.set_demo_clock(now)
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
    try:
        async with serving(settings) as base_url:
            yield Site(base_url, sessions, world, settings)
    finally:
        clock.set_demo_clock(None)
        await engine.dispose()
        use_keyring(None)


@pytest.fixture
async def till(site) -> AsyncIterator[Till]:
    async with await site.till() as till:
        yield till


@pytest.fixture
async def card(site) -> TestCard:
    return await site.card(balance_minor=100_000)


STAFF_PIN = "260917"


@dataclass
class People:
    """Who works at the station."""

    cashier: Staff
    manager: Staff


@pytest.fixture
async def people(site) -> People:
    """A cashier and a station manager with their cards."""
    made = []
    async with transaction(site.sessions) as session:
        for number, role in (("1001", Role.CASHIER), ("1002", Role.STATION_MANAGER)):
            now = clock.real_now() - timedelta(days=1)
            staff_id = await hire(session, employee_number=number, name=f"员工{number}", home_station_id=site.world.station_id, now=now)
            await grant_role(session, staff_id=staff_id, role=role, scope=ScopeKind.STATION, scope_id=site.world.station_id, now=now)
            card = f"99000000{number}"
            await issue_staff_card(session, staff_id=staff_id, card_number=card, now=now)
            await set_staff_pin(session, staff_id=staff_id, pin=STAFF_PIN, now=now)
            made.append(Staff(card=card, pin=STAFF_PIN))
    return People(*made)


@pytest.fixture
async def manned(till, people) -> Till:
    """A till with a running shift."""
    await till.open_shift(people.cashier, opening_float_minor=50_000)
    return till


@pytest.fixture
async def blanks(site) -> list[str]:
    """Numbers of blank anonymous cards in the station's stock."""
    return await site.blanks("anonymous")


@pytest.fixture
async def personal_blanks(site) -> list[str]:
    return await site.blanks("personal")
