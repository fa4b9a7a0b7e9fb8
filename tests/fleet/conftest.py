"""The run's keys, and a company with three cards on a small chain."""

from datetime import UTC, datetime

import pytest

from loyalty.crypto import FileKeyProvider, Keyring, open_keyring, use_keyring
from tests.factories.fleet import Fleet, make_fleet
from tests.factories.world import World, make_world


@pytest.fixture(scope="session")
def key_set(tmp_path_factory) -> Keyring:
    return open_keyring(
        FileKeyProvider(tmp_path_factory.mktemp("secret") / "keys"), expected_fingerprint=None, now=datetime(2026, 9, 24, tzinfo=UTC)
    )


@pytest.fixture(autouse=True)
def keys(key_set):
    use_keyring(key_set)
    yield key_set
    use_keyring(None)


@pytest.fixture
async def world(session, now) -> World:
    return await make_world(session, now=now)


@pytest.fixture
async def fleet(session, world) -> Fleet:
    return await make_fleet(session, world, cards=3)
