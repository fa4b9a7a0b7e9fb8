"""The office without a browser: the real application in this process, a chain in its database, a signed-in client per role."""

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from loyalty.db import make_engine, make_sessions, transaction
from loyalty.installation import open_keys
from loyalty.ledger.operations import make_partitions
from loyalty.main import create_app
from loyalty.settings import Settings
from tests.web.office_chain import PASSWORD, SECRET, Chain, code_now, fill_office

_FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')


@dataclass
class Desk:
    """One person's browser."""

    client: httpx.AsyncClient
    name: str

    async def get(self, path: str, **headers: str):
        return await self.client.get(path, headers=headers, follow_redirects=False)

    async def fields(self, path: str) -> dict[str, str]:
        """Return the hidden fields that a page gives its form."""
        page = await self.get(path)
        assert page.status_code == 200, (path, page.status_code)
        return dict(_FIELD.findall(page.text))

    async def send(self, page: str, data: dict[str, Any], *, to: str = "", **headers: str):
        """Open a page and send its form."""
        return await self.client.post(to or page, data=await self.fields(page) | data, headers=headers, follow_redirects=False)

    async def log_in(self, *, later: timedelta = timedelta(0)) -> None:
        answer = await self.send("/office/log-in", {"name": self.name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text[:500]
        assert answer.headers["location"] == "/office/log-in/code"
        answer = await self.send("/office/log-in/code", {"code": code_now(datetime.now(UTC) + later)})
        assert answer.status_code == 303, answer.text[:500]
        assert answer.headers["location"] == "/office"


@dataclass
class Office:
    """The application, its chain, and who is signed in."""

    app: Any
    chain: Chain
    sessions: Any
    desks: dict[str, Desk] = field(default_factory=dict)

    def fill(self, path: str) -> str:
        """Put ids into a path: {zhang}, {S1}."""

        def found(match: re.Match[str]) -> str:
            name = match[1]
            if re.fullmatch(r"S\d", name):
                return str(self.chain.stations[int(name[1]) - 1])
            return str(self.chain.ids.get(name) or self.chain.people[name])

        return re.sub(r"\{([\w-]+)\}", found, path)

    def stranger(self, name: str = "") -> Desk:
        """Return a browser that nobody signed in with; it shares the running application."""
        return Desk(httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://testserver.local"), name)

    async def at(self, name: str) -> Desk:
        """Return somebody's signed-in browser, the same one each time."""
        if name not in self.desks:
            desk = self.stranger(name)
            await desk.log_in()
            self.desks[name] = desk
        return self.desks[name]


@asynccontextmanager
async def opened_office(url: str, folder, *, with_sales: bool = True):
    """Fill a database and serve it within this process."""
    settings = Settings.from_environment(
        {"DATABASE_URL": url, "LOYALTY_DATA": str(folder / "data"), "LOYALTY_KEYS": str(folder / "keys"), "LOYALTY_LOG_LEVEL": "error"}
    )
    now = datetime.now(UTC) - timedelta(minutes=2)
    owner = make_engine(url)
    async with transaction(make_sessions(owner)) as session:
        await make_partitions(session, now=now, months_back=2)
    await owner.dispose()
    engine = make_engine(url, role="loyalty_hot")
    sessions = make_sessions(engine)
    await open_keys(settings, engine, now=now)
    chain = await fill_office(sessions, url, now=now, with_sales=with_sales)
    app = create_app(settings)
    async with app.lifespan():
        yield Office(app, chain, sessions)
    await engine.dispose()


__all__ = ["SECRET", "Desk", "Office", "opened_office"]
