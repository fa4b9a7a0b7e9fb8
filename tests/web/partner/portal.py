"""The partners' portal without a browser: the real application in this process, two partners, a signed-in client per person."""

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from loyalty.crypto import totp_code
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.installation import open_keys
from loyalty.ledger.operations import make_partitions
from loyalty.main import create_app
from loyalty.settings import Settings
from tests.factories.partner_house import CLERK_PIN, PASSWORD, SECRET, House, make_house
from tests.factories.world import World, make_world

_FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
ROLES = ("owner", "finance", "clerk")


@dataclass
class Browser:
    """One person's browser."""

    client: httpx.AsyncClient

    async def get(self, path: str):
        return await self.client.get(path, follow_redirects=False)

    async def fields(self, path: str) -> dict[str, str]:
        page = await self.get(path)
        assert page.status_code == 200, (path, page.status_code, page.text[:300])
        return dict(_FIELD.findall(page.text))

    async def send(self, page: str, data: dict[str, Any], *, to: str = "", **more: Any):
        """Open a page and send its form."""
        return await self.client.post(to or page, data=await self.fields(page) | data, follow_redirects=False, **more)

    async def answer(self, page, data: dict[str, Any], *, to: str):
        """Send the form of a page that was answered."""
        return await self.client.post(to, data=dict(_FIELD.findall(page.text)) | data, follow_redirects=False)


@dataclass
class Portal:
    """The application, its partners, and who is signed in."""

    app: Any
    sessions: Any
    houses: dict[str, House]
    world: World
    browsers: dict[str, Browser] = field(default_factory=dict)

    def stranger(self) -> Browser:
        return Browser(httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://testserver.local"))

    async def at(self, house: str, role: str) -> Browser:
        """Return a role's signed-in browser at a partner, the same one each time."""
        key = f"{role}@{house}"
        if key not in self.browsers:
            browser = self.browsers[key] = self.stranger()
            if role == "clerk":
                browser.client.cookies.set("partner-phone", self.houses[house].phone, domain="testserver.local")
                answer = await browser.send("/partner/sign-in", {"pin": CLERK_PIN})
            else:
                email = f"{role}@{self.houses[house].code.lower()}.example"
                await browser.send("/partner/log-in", {"name": email, "password": PASSWORD})
                answer = await browser.send("/partner/log-in/code", {"code": totp_code(SECRET, now=datetime.now(UTC))})
            assert (answer.status_code, answer.headers["location"]) == (303, "/partner"), answer.text[:400]
        return self.browsers[key]

    async def voucher(self, house: str, kind: str, **more: Any) -> str:
        async with transaction(self.sessions) as session:
            return await self.houses[house].voucher(session, kind, now=datetime.now(UTC), **more)


@asynccontextmanager
async def opened_portal(url: str, folder):
    """Fill a database with two partners and serve it within this process."""
    settings = Settings.from_environment(
        {"DATABASE_URL": url, "LOYALTY_DATA": str(folder / "data"), "LOYALTY_KEYS": str(folder / "keys"), "LOYALTY_LOG_LEVEL": "error"}
    )
    now = datetime.now(UTC) - timedelta(minutes=2)
    owner = make_engine(url)
    async with transaction(make_sessions(owner)) as session:
        await make_partitions(session, now=now, months_back=1)
    await owner.dispose()
    engine = make_engine(url, role="loyalty_hot")
    sessions = make_sessions(engine)
    await open_keys(settings, engine, now=now)
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
        houses = {
            "ours": await make_house(session, now=now),
            "theirs": await make_house(session, now=now, code="LANTIAN", names=("蓝天洗车", "Blue Sky Wash")),
        }
    app = create_app(settings)
    async with app.lifespan():
        yield Portal(app, sessions, houses, world)
    await engine.dispose()
