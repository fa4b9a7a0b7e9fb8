"""The small former system imported, and the application served on a free port."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn

from loyalty import clock
from loyalty.db import transaction
from loyalty.importing.queries import list_receipts, opening_balances
from loyalty.main import Application, create_app
from loyalty.replay.command import replay
from loyalty.replay.rules import Planned, plan
from loyalty.settings import Settings
from tests.importing.conftest import Site, site
from tests.importing.small import take_all

__all__ = ["site"]


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


@dataclass
class Stage:
    """Where receipts are replayed."""

    site: Site
    base_url: str
    keys: Path
    planned: list[Planned] = field(default_factory=list)

    async def replay(self, wanted=None, **options):
        return await replay(
            self.site.sessions, self.planned if wanted is None else wanted, base_url=self.base_url, folder=self.keys, **options
        )


@pytest.fixture
async def stage(site, tmp_path) -> AsyncIterator[Stage]:
    clock.set_demo_clock(site.now)
    await take_all(site)
    keys = tmp_path / "replay"
    keys.mkdir(mode=0o700)
    async with transaction(site.sessions) as session:
        receipts = await list_receipts(session)
        planned = plan(receipts, await opening_balances(session, account_ids=[receipt.account_id for receipt in receipts]))
    try:
        async with serving(site.settings) as base_url:
            yield Stage(site, base_url, keys, planned)
    finally:
        clock.set_demo_clock(None)
