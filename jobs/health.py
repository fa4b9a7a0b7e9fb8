"""`python -m jobs.health`: exit code 0 while some scheduler holds the lock, for the container's health check."""

import asyncio
import os
import sys

import asyncpg

from jobs.clockwork import LOCK
from loyalty.db import driver_dsn
from loyalty.settings import Settings

_HELD = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND ((classid::bigint << 32) | objid::bigint) = $1 AND granted)"


async def somebody_schedules(url: str) -> bool:
    """Say whether the scheduler's lock is held."""
    connection = await asyncpg.connect(driver_dsn(url), timeout=5)
    try:
        return bool(await connection.fetchval(_HELD, LOCK))
    finally:
        await connection.close()


if __name__ == "__main__":
    settings = Settings.from_environment(os.environ)
    sys.exit(0 if settings.database_url is not None and asyncio.run(somebody_schedules(settings.database_url)) else 1)
