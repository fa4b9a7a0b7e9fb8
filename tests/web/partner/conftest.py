"""A portal with two partners, made once for the tests of a file: none of them ends what another needs."""

import pytest

from loyalty.crypto import use_keyring
from tests.web.partner.portal import opened_portal


@pytest.fixture(scope="module")
async def portal(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_portal(url, tmp_path_factory.mktemp("portal")) as found:
        yield found
        for browser in found.browsers.values():
            await browser.client.aclose()
    use_keyring(None)
    await databases.drop(url)
