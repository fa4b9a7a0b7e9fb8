"""The simulator's service: a small chain on a real server."""

from collections.abc import AsyncIterator

import pytest

from tests.factories.site import Site, a_site


@pytest.fixture
async def site(database_url, tmp_path, now) -> AsyncIterator[Site]:
    async with a_site(database_url, tmp_path, now) as made:
        yield made
