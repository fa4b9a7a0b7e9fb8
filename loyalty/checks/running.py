"""Running the checks on one snapshot."""

import time
from collections.abc import AsyncIterator, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import make_engine, make_sessions

from .model import Check, Result, Scope
from .queries import CHECKS


async def examine(session: AsyncSession, scope: Scope, *, checks: Sequence[Check] = CHECKS) -> AsyncIterator[Result]:
    """Look with each check in turn, in the caller's transaction, and yield what it found."""
    for check in checks:
        started = time.monotonic()
        found = await check.look(session, scope)
        yield Result(check=check, found=found, seconds=time.monotonic() - started)


async def examine_database(url: str, scope: Scope, *, checks: Sequence[Check] = CHECKS) -> AsyncIterator[Result]:
    """Look at a database as it is at one instant: one read-only snapshot for all checks, however long they take."""
    engine = make_engine(url, role="loyalty_jobs", application_name="loyalty-check", pool_size=1, transaction_seconds=0)
    try:
        async with make_sessions(engine)() as session:
            await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            # Large sorts and joins are the whole work here; the pump's small setting would spill them to disk.
            await session.execute(text("SET LOCAL work_mem = '64MB'"))
            async for result in examine(session, scope, checks=checks):
                yield result
            await session.rollback()
    finally:
        await engine.dispose()
