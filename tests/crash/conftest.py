"""One running service a module: its workers die and come back, its database is a clone that commits."""

from collections.abc import AsyncIterator

import pytest

from tests.crash.service import Service, serving


@pytest.fixture(scope="module")
async def service(databases, tmp_path_factory) -> AsyncIterator[Service]:
    """Yield a service whose database is fast and forgetful: only its web processes are killed."""
    url = await databases.clone()
    async with serving(url, tmp_path_factory.mktemp("service")) as service:
        yield service
    await databases.drop(url)
