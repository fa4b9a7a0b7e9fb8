"""The run's keys: cards are sealed."""

from datetime import UTC, datetime

import pytest

from loyalty.crypto import FileKeyProvider, Keyring, open_keyring, use_keyring

NOW = datetime(2026, 9, 24, 2, 15, tzinfo=UTC)


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
