"""`loyalty bench fleet`: how long each page of the portal takes for a company with 10,000 cards and two million fills.

Through the real application over a socket, one request after the other, as one person clicks; the server's time and the way there and back.
"""

import asyncio
import http.client
import re
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import msgspec

from loyalty import clock, schema
from loyalty.crypto import totp_code
from loyalty.db import driver_dsn, make_engine, make_sessions
from loyalty.fleet.allocation_rules import before, span_of
from loyalty.identity.model_portal import PortalRole
from loyalty.installation import open_keys
from loyalty.postgres import EmbeddedServer
from loyalty.settings import Settings

from .firm import PASSWORD, SECRET, Firm, email_of, make_firm

_HIDDEN: Final = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
_WARM: Final = 3
_ZONE: Final = "Asia/Shanghai"
ROLES: Final = (PortalRole.OWNER, PortalRole.DEPARTMENT_HEAD)
GOAL_MS: Final = 100


class Browser:
    """One signed-in person, on one connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None) -> tuple[int, str]:
        """Send one request; return the status and the page."""
        head = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())} if self._cookies else {}
        body = None
        if fields is not None:
            body = urllib.parse.urlencode(fields)
            head |= {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        self._connection.request(method, path, body=body, headers=head)
        answer = self._connection.getresponse()
        page = answer.read().decode(errors="replace")
        for said in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = said.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.status, page

    def log_in(self, role: PortalRole) -> None:
        """Log in as the company's user of a role."""
        for path, fields in (
            ("/fleet/log-in", {"name": email_of(role), "password": PASSWORD}),
            ("/fleet/log-in/code", {"code": totp_code(SECRET, now=clock.real_now())}),
        ):
            status, page = self.ask("GET", path)
            status, page = self.ask("POST", path, dict(_HIDDEN.findall(page)) | fields)
            if status != http.HTTPStatus.SEE_OTHER:
                raise RuntimeError(f"{path}: {status}: {page[:300]}")


def measure(
    settings: Settings, *, cards: int, fills: int, requests: int, start: Callable[[Settings], tuple[subprocess.Popen[bytes], int]]
) -> dict[str, Any]:
    """Make the company on a server of its own, serve it by `start`, and return the milliseconds of every page.

    A company that was made in the folder before is measured as it is: what it is good for is a change of the pages or the tables.
    """
    server = EmbeddedServer(settings.data_dir, settings.keys_dir)
    server.start()
    try:
        asyncio.run(schema.migrate(server.url))
        served = settings.beside_database(server.url)
        began = time.perf_counter()
        kept = settings.data_dir.parent / "firm.json"
        if kept.exists():
            firm = msgspec.json.decode(kept.read_bytes(), type=Firm)
        else:
            firm = asyncio.run(_make(served, server.url, cards, fills))
            kept.write_bytes(msgspec.json.encode(firm))
        made = time.perf_counter() - began
        _say(f"{firm.cards:,} cards and {firm.fills:,} fills of one company made in {made:.0f} s")
        web, port = start(served)
        try:
            pages = [page for role in ROLES for page in _of_role(role, port, firm, requests)]
        finally:
            web.terminate()
            web.wait()
    finally:
        server.stop()
    return {"cards": firm.cards, "fills": firm.fills, "made_s": round(made), "requests": requests, "pages": pages}


async def _make(settings: Settings, url: str, cards: int, fills: int) -> Firm:
    engine = make_engine(url, transaction_seconds=0)
    try:
        await open_keys(settings, engine, now=clock.real_now())
        return await make_firm(
            make_sessions(engine), driver_dsn(url), cards=cards, fills=fills, now=clock.business_now(), policy=settings.policy
        )
    finally:
        await engine.dispose()


def addresses(firm: Firm) -> list[str]:
    """Return the pages, lists with and without what narrows them."""
    today = clock.local_date(clock.business_now(), _ZONE)
    month = (today - timedelta(days=30)).isoformat()
    span = span_of(today, period_day=26)
    vehicle, driver, card, room = (firm.id_of(letter) for letter in "vdke")
    period = f"period={before(span).first.isoformat()}"
    return [
        "/fleet",
        "/fleet/vehicles",
        "/fleet/vehicles?text=00777",
        f"/fleet/vehicles/{vehicle}",
        f"/fleet/vehicles/{vehicle}/odometer",
        "/fleet/drivers",
        "/fleet/drivers?text=10777",
        f"/fleet/drivers/{driver}",
        "/fleet/cards",
        "/fleet/cards?text=00777",
        f"/fleet/cards/{card}",
        f"/fleet/cards/{card}/bind",
        "/fleet/fills",
        f"/fleet/fills?since={month}&until={today.isoformat()}",
        "/fleet/approvals",
        "/fleet/approvals?status=asked",
        "/fleet/findings",
        "/fleet/findings?status=open",
        f"/fleet/limits/card/{card}",
        f"/fleet/limits/vehicle/{vehicle}",
        "/fleet/profiles",
        "/fleet/orders",
        "/fleet/economy",
        f"/fleet/economy?{period}",
        "/fleet/stations",
        "/fleet/allocations",
        "/fleet/allocations/early",
        "/fleet/allocations/early/new",
        "/fleet/allocations/moves",
        "/fleet/allocations/table",
        "/fleet/statements",
        f"/fleet/statements?{period}",
        f"/fleet/statements?{period}&vehicle={vehicle}",
        "/fleet/statements/periods",
        "/fleet/invoices",
        "/fleet/departments",
        f"/fleet/departments/{room}",
        "/fleet/people",
        "/fleet/settings",
        "/fleet/me",
    ]


def _of_role(role: PortalRole, port: int, firm: Firm, requests: int) -> list[dict[str, Any]]:
    browser = Browser(port)
    browser.log_in(role)
    rows = []
    for path in addresses(firm):
        status, page = browser.ask("GET", path)
        if status == http.HTTPStatus.FORBIDDEN:
            continue
        taken = []
        for at in range(requests + _WARM):
            began = time.perf_counter()
            again, page = browser.ask("GET", path)
            if at >= _WARM:
                taken.append(1000 * (time.perf_counter() - began))
            status = max(status, again)
        taken.sort()
        row = {"role": role.value, "path": re.sub(r"[0-9a-f-]{36}", "…", path), "status": status, "kib": len(page.encode()) // 1024}
        rows.append(row | {f"p{share}_ms": round(taken[min(len(taken) * share // 100, len(taken) - 1)], 1) for share in (50, 95, 99)})
        _say(_row(rows[-1]))
    return rows


def _row(row: dict[str, Any]) -> str:
    mark = "" if row["status"] == http.HTTPStatus.OK and row["p95_ms"] <= GOAL_MS else "  *"
    figures = f"{row['status']:>7}{row['kib']:>6}{row['p50_ms']:>9.1f}{row['p95_ms']:>9.1f}{row['p99_ms']:>9.1f}"
    return f"{row['role']:<16}{row['path']:<52}{figures}{mark}"


def table(report: dict[str, Any]) -> str:
    """Return the report for a terminal; a star marks what is above the goal or did not answer."""
    head = f"{'role':<16}{'page':<52}{'status':>7}{'KiB':>6}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}"
    said = f"{report['cards']:,} cards, {report['fills']:,} fills, {report['requests']} requests each, one after the other"
    return "\n".join([said, head, *(_row(row) for row in report["pages"])])


def _say(said: str) -> None:
    print(said, file=sys.stderr, flush=True)
