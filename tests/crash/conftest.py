"""One running service for this folder's tests: its workers die and come back, its database is a clone that commits."""

from collections.abc import AsyncIterator

import pytest

from tests.crash.service import Service, serving


@pytest.fixture
async def service(database_url, tmp_path) -> AsyncIterator[Service]:
    """Yield a service whose database is fast and forgetful: only its web processes are killed."""
    async with serving(database_url, tmp_path) as service:
        yield service
