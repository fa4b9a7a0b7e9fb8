"""A till on a real server: the application on a free port of this machine, a database of its own, the reference client."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import uvicorn

from loyalty import clock
from loyalty.cards.operations import produce_batch
from loyalty.cards.queries import batch_for_personaliser
from loyalty.crypto import use_keyring
from loyalty.db import Sessions, make_engine, make_sessions, transaction
from loyalty.identity.model_terminals import EnrolmentUse
from loyalty.identity.operations import issue_enrolment_code
from loyalty.installation import open_keys
from loyalty.main import Application, create_app
from loyalty.pos_client import MemoryStore, Till
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


@contextlib.asynccontextmanager
async def a_site(database_url: str, folder: Path, now: datetime) -> AsyncIterator[Site]:
    """Serve a small chain on a database of one's own, business time standing at `now`."""
    settings = Settings(database_url=database_url, data_dir=folder / "data", keys_dir=folder / "keys")
    engine = make_engine(database_url, role="loyalty_hot")
    sessions = make_sessions(engine)
    await open_keys(settings, engine, now=clock.real_now())
    clock.set_demo_clock(now)
    try:
        async with transaction(sessions) as session:
            world = await make_world(session, now=now)
        async with serving(settings) as base_url:
            yield Site(base_url, sessions, world, settings)
    finally:
        clock.set_demo_clock(None)
        await engine.dispose()
        use_keyring(None)
