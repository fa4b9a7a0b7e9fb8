"""A till on a real server: the application on a free port of this machine, a database of its own, the reference client."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import pytest
import uvicorn

from loyalty import clock
from loyalty.crypto import use_keyring
from loyalty.db import Sessions, make_engine, make_sessions, transaction
from loyalty.identity.model_terminals import EnrolmentUse
from loyalty.identity.operations import issue_enrolment_code
from loyalty.installation import open_keys
from loyalty.main import Application, create_app
from loyalty.pos_client import MemoryStore, Till
from loyalty.settings import Settings
from tests.factories.world import TestCard, World, give_card, make_world


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


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[str]:
    """Serve the application on a free port; yield its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Application(create_app(settings)), log_config=None, lifespan="on"))
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


def uuid_of(text: str) -> UUID:
    return UUID(text)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
