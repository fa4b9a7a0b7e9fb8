"""Keys, and a world with money in it."""

import pytest

from loyalty.crypto import FileKeyProvider, open_keyring, use_keyring
from tests.conftest import NOW


@pytest.fixture(scope="session")
def key_set(tmp_path_factory):
    return open_keyring(FileKeyProvider(tmp_path_factory.mktemp("secret") / "keys"), expected_fingerprint=None, now=NOW)


@pytest.fixture(autouse=True)
def keys(key_set):
    use_keyring(key_set)
    yield key_set
    use_keyring(None)
