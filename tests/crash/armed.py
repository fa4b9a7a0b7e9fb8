"""The application as the web server's workers load it under test: it dies as by SIGKILL where a file says, once.

The file names a crash point and the end of a path. The first POST to such a path takes the file away and arms the point, so that the
transactions which every request needs (sessions, start-up) pass, and the worker that takes the dead one's place serves on.
"""

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
        if scope["type"] == "http" and scope["method"] == "POST" and self.order.exists():
            point, path = self.order.read_text(encoding="ascii").split()
            if scope["path"].endswith(path):
                self.order.unlink()
                db._CRASH = point
        await self.application(scope, receive, send)


def application() -> Armed:
    return Armed(app_from_environment(), Path(os.environ[ORDER]))
