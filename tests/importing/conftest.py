"""A fresh database with keys, ready to import into; the Czech sample, where its folder is there."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from loyalty import clock
from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import use_keyring
from loyalty.db import Sessions, transaction
from loyalty.importing.mapping import Mapping, find_map, read_map
from loyalty.importing.running import Import, Result, import_file
from loyalty.installation import open_keys
from loyalty.ledger.operations import open_first_period
from loyalty.policy import load_policy
from loyalty.settings import Settings

CCS = Path(__file__).parents[3] / "shared" / "data" / "ccs"
CCS_FILES = {
    "customers": "customers.csv",
    "stations": "gasstations.csv",
    "products": "products.csv",
    "accounts": "transactions_1k.csv",
    "transactions": "transactions_1k.csv",
    "prices": "transactions_1k.csv",
}
IMPORTER = Actor(ActorKind.SYSTEM, "import")

needs_ccs = pytest.mark.skipif(not CCS.is_dir(), reason="the Czech sample is not there: ../shared/data/ccs")


class Watched:
    """Keeps the results of all sets; may stop the import after some of them, as a kill does."""

    def __init__(self, *, die_after: int | None = None) -> None:
        self.results: list[Result] = []
        self.sets = 0
        self._die_after = die_after

    def began(self, made: Import) -> None:
        self.made = made

    def took(self, figures, last_line, results) -> None:
        self.results += results
        self.sets += 1
        if self.sets == self._die_after:
            raise KeyboardInterrupt


@dataclass
class Site:
    """Where a test imports."""

    sessions: Sessions
    settings: Settings
    folder: Path
    now: object

    def write(self, name: str, text: str, encoding: str = "utf-8") -> Path:
        path = self.folder / name
        path.write_bytes(text.encode(encoding))
        return path

    async def take(self, path: Path, mapping: Mapping, *, watched: Watched | None = None, set_rows: int = 2000, sessions=None) -> Watched:
        watched = watched or Watched()
        watched.made = await import_file(
            sessions or self.sessions,
            path=path,
            mapping=mapping,
            actor=IMPORTER,
            policy=load_policy("cn-single-purpose"),
            now=self.now,
            watcher=watched,
            set_rows=set_rows,
        )
        return watched

    async def take_ccs(self, kind: str) -> Watched:
        mapping = read_map(find_map(f"ccs-{kind}").read_bytes())
        return await self.take(CCS / CCS_FILES[kind], mapping)


@pytest.fixture
async def site(database_url, engine, sessions, tmp_path, now) -> AsyncIterator[Site]:
    settings = Settings(database_url=database_url, data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")
    await open_keys(settings, engine, now=clock.real_now())
    async with transaction(sessions) as session:
        await open_first_period(session, period=now.year * 100 + now.month, now=now)
    yield Site(sessions, settings, tmp_path, now)
    use_keyring(None)
