"""The application as the web server's workers load it under test: it dies as by SIGKILL where a file says, once.

The file names a crash point and the end of a path. The first POST to such a path takes the file away and arms the point, so that the
transactions which every request needs (sessions, start-up) pass, and the worker that takes the dead one's place serves on.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from loyalty import db
from loyalty.main import Application, app_from_environment

ORDER = "LOYALTY_TEST_CRASH_ORDER"


class Armed:
    def __init__(self, application: Application, order: Path) -> None:
        self.application = application
        self.order = order

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            self.arm(scope["path"])
        await self.application(scope, receive, send)

    @property
    def hot(self) -> "Armed":
        """The short way of the hot routes, which passes no ASGI."""
        return self

    def begin(self, path: str, *more: Any) -> asyncio.Future[bytes]:
        self.arm(path)
        return self.application.hot.begin(path, *more)

    def arm(self, asked: str) -> None:
        if self.order.exists():
            point, path = self.order.read_text(encoding="ascii").split()
            if asked.endswith(path):
                self.order.unlink()
                db._CRASH = point


def application() -> Armed:
    return Armed(app_from_environment(), Path(os.environ[ORDER]))
