"""A key set of its own for every test, and the published vectors where they lie beside the project."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loyalty.crypto import FileKeyProvider, Keyring, open_keyring, use_keyring

NOW = datetime(2026, 9, 24, 10, 15, tzinfo=UTC)
VECTORS = Path(__file__).resolve().parents[3] / "shared" / "data" / "vectors"


@pytest.fixture(scope="session")
def key_set(tmp_path_factory) -> Keyring:
    return open_keyring(FileKeyProvider(tmp_path_factory.mktemp("secret") / "keys"), expected_fingerprint=None, now=NOW)


@pytest.fixture
def keys(key_set) -> Iterator[Keyring]:
    use_keyring(key_set)
    yield key_set
    use_keyring(None)


@pytest.fixture
def own_keys(tmp_path) -> Iterator[Keyring]:
    ring = open_keyring(FileKeyProvider(tmp_path / "keys"), expected_fingerprint=None, now=NOW)
    use_keyring(ring)
    yield ring
    use_keyring(None)


def vector_file(name: str) -> Path:
    path = VECTORS / name
    if not path.exists():
        pytest.skip(f"the published vectors are not beside the project: {name}")
    return path


def wycheproof(name: str) -> list[tuple[dict, dict]]:
    groups = json.loads(vector_file(name).read_text())["testGroups"]
    return [(group, case) for group in groups for case in group["tests"]]


def records(name: str, last: str) -> list[dict[str, str]]:
    """Read a file of `NAME = value` lines; a record is whole when it has `last`."""
    found, record = [], {}
    for line in vector_file(name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            field, value = line.split("=", 1)
            record[field.strip()] = value.strip()
            if field.strip() == last:
                found.append(record)
                record = {}
    return found
