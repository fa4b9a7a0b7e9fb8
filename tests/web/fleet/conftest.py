"""A portal with two companies, freshly made for the test that asks."""

import pytest

from loyalty.crypto import use_keyring
from tests.web.fleet.portal import opened_portal


@pytest.fixture
async def portal(databases, tmp_path):
    url = await databases.clone()
    async with opened_portal(url, tmp_path / "portal") as found:
        yield found
        for browser in found.browsers.values():
            await browser.client.aclose()
    use_keyring(None)
    await databases.drop(url)
