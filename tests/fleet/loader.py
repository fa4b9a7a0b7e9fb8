"""What a test kills: `python -m tests.fleet.loader <database> <company> <run> <lines a chunk>`, dying where LOYALTY_CRASH says."""

import asyncio
import sys
from uuid import UUID

from loyalty.clock import real_now
from loyalty.db import make_engine, make_sessions
from loyalty.fleet.operations.allocation_runs import load_run
from loyalty.policy import load_policy


async def main(url: str, company: str, run: str, chunk: str) -> None:
    engine = make_engine(url, role="loyalty_jobs", pool_size=1)
    try:
        await load_run(
            make_sessions(engine),
            policy=load_policy("cn-single-purpose"),
            company_id=UUID(company),
            run_id=UUID(run),
            clock=real_now,
            chunk=int(chunk),
        )
    finally:
        await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
