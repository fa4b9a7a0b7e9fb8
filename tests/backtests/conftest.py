import pytest

from loyalty.db import transaction
from tests.backtests.past import Past
from tests.factories.world import make_world
from tests.simulation.conftest import house, key_set

__all__ = ["house", "key_set", "past"]


@pytest.fixture
async def past(database_url, sessions, now) -> Past:
    """Return a chain without sales, on a database of its own."""
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
    return Past(database_url, sessions, world)
