"""A populated database to clone, and a loop of one's own for tests that Hypothesis drives."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime

import pytest
import uvloop

from loyalty.crypto import FileKeyProvider, Keyring, open_keyring, use_keyring
from tests.conftest import NOW
from tests.simulation.house import House, Population, breaches, populate


@pytest.fixture(scope="session")
def key_set(tmp_path_factory) -> Keyring:
    provider = FileKeyProvider(tmp_path_factory.mktemp("secret") / "keys")
    return open_keyring(provider, expected_fingerprint=None, now=datetime.fromisoformat("2026-09-24T00:00:00Z"))


@pytest.fixture(autouse=True)
def keys(key_set):
    use_keyring(key_set)
    yield key_set
    use_keyring(None)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """Yield a loop for tests that are not coroutines."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner


@pytest.fixture
async def house(database_url) -> AsyncIterator[House]:
    """Yield a running house on a database of its own."""
    people: Population = await populate(database_url, NOW)
    made = House(database_url, people)
    await made.start()
    yield made
    assert await breaches(made.url, made.now()) == []
    await made.stop()


@pytest.fixture
async def workers(house) -> AsyncIterator[list[House]]:
    """Yield two workers on one database."""
    other = House(house.url, house.people)
    await other.start()
    yield [house, other]
    await other.stop()
