"""`loyalty bench allocation`: a month's allocation of 10,000 cards, killed in the midst and taken up again.

Proposed, asked for, checked, approved and loaded as a company's own is; two people's approval is one statement here. The loader is its own
process, ended without warning once it has done half; what is done after it must come to the same.
"""

import asyncio
import multiprocessing
import time
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from loyalty import clock, schema
from loyalty.clock import day_bounds
from loyalty.db import Sessions, driver_dsn, make_engine, make_sessions, transaction
from loyalty.fleet.allocation_rules import Span, span_of
from loyalty.fleet.operations.allocation_runs import day_of, load_run, prepare_run, start_run
from loyalty.fleet.queries.allocations import get_run
from loyalty.fleet.queries.companies import get_company
from loyalty.installation import open_keys
from loyalty.policy import load_policy
from loyalty.postgres import EmbeddedServer
from loyalty.settings import Settings

from .firm import BENCH, COMPANY, make_firm

_ZONE: Final = "Asia/Shanghai"
_APPROVE: Final = """
UPDATE allocation_requests SET status = 'approved', department_by = 'one', department_at = :now, decided_by = 'two', decided_at = :now
WHERE company_id = :company AND period_from = :first AND status IN ('draft', 'requested')
"""
_WHOLE: Final = """
SELECT (SELECT count(*) FROM transfers WHERE account_id = :account AND kind = 12) AS moves,
    (SELECT count(DISTINCT operation_id) FROM transfers WHERE account_id = :account AND kind = 12) AS lines,
    (SELECT sum(amount_minor) FROM transfers WHERE account_id = :account AND kind = 12)::bigint AS moved_minor,
    (SELECT sum(balance_minor) FROM purses WHERE account_id = :account AND kind = 1 AND card_id IS NOT NULL)::bigint AS on_cards_minor,
    (SELECT count(*) FROM allocation_lines WHERE run_id = :run AND result = 'loaded') AS loaded
"""


def measure(settings: Settings, *, cards: int, fills: int) -> dict[str, Any]:
    """Make the company on a server of its own, and return what each step of its allocation took."""
    server = EmbeddedServer(settings.data_dir, settings.keys_dir)
    server.start()
    try:
        asyncio.run(schema.migrate(server.url))
        return asyncio.run(_measure(settings.beside_database(server.url), server.url, cards, fills))
    finally:
        server.stop()


async def _measure(settings: Settings, url: str, cards: int, fills: int) -> dict[str, Any]:
    engine = make_engine(url, transaction_seconds=0)
    sessions = make_sessions(engine)
    try:
        now = clock.business_now()
        await open_keys(settings, engine, now=clock.real_now())
        firm = await make_firm(sessions, driver_dsn(url), cards=cards, fills=fills, now=now, policy=settings.policy)
        span = span_of(clock.local_date(now, _ZONE), period_day=26)
        report, run_id = await _prepared(sessions, span, now)
        report |= await _loaded(sessions, url, settings.policy, run_id)
        async with transaction(sessions) as session:
            run = await get_run(session, company_id=COMPANY, run_id=run_id)
            found = (await session.execute(text(_WHOLE), {"account": firm.account_id, "run": run_id})).one()._asdict()
        sound = found["moves"] == found["lines"] == found["loaded"] == run.loaded
        sound = sound and found["moved_minor"] == found["on_cards_minor"] == run.loaded_minor
        return {"cards": cards, "fills": fills, **report, "lines": run.lines, "loaded": run.loaded, "refused": run.refused, "sound": sound}
    finally:
        await engine.dispose()


async def _prepared(sessions: Sessions, span: Span, now: datetime) -> tuple[dict[str, Any], UUID]:
    """Prepare the period whose check day was last, and start its run."""
    of: dict[str, Any] = {"company_id": COMPANY, "span": span, "actor": BENCH}
    async with transaction(sessions) as session:
        day = await day_of(session, company=await get_company(session, company_id=COMPANY), span=span)
    moment = max(now, day_bounds(day, _ZONE)[0] + timedelta(hours=2))
    took: dict[str, Any] = {}
    began = time.perf_counter()
    async with transaction(sessions) as session:
        prepared = await prepare_run(session, **of, now=moment)
    took["prepare_s"] = round(time.perf_counter() - began, 2)
    assert prepared is not None, "its day has come, and it is the first"
    began = time.perf_counter()
    async with transaction(sessions) as session:
        await session.execute(text(_APPROVE), {"company": COMPANY, "first": span.first, "now": moment})
    took["approve_s"] = round(time.perf_counter() - began, 2)
    began = time.perf_counter()
    async with transaction(sessions) as session:
        run = await start_run(session, **of, now=moment)
    took["start_s"] = round(time.perf_counter() - began, 2)
    return took, run.run_id


async def _loaded(sessions: Sessions, url: str, policy: str, run_id: UUID) -> dict[str, Any]:
    """Load by another process, kill it at half, and finish what it left."""
    context = multiprocessing.get_context("spawn")

    async def done() -> tuple[int, int]:
        async with transaction(sessions) as session:
            run = await get_run(session, company_id=COMPANY, run_id=run_id)
        return run.loaded + run.refused, run.lines

    first = context.Process(target=_load, args=(url, policy, run_id))
    first.start()
    while first.is_alive():
        killed_at, lines = await done()
        if 2 * killed_at >= lines:
            first.kill()
            break
        await asyncio.sleep(0.01)
    await asyncio.to_thread(first.join)
    killed_at, lines = await done()
    began = time.perf_counter()
    await _finish(url, policy, run_id)
    seconds = time.perf_counter() - began
    return {"killed_at": killed_at, "resumed_s": round(seconds, 2), "lines_per_s": round((lines - killed_at) / seconds)}


def _load(url: str, policy: str, run_id: UUID) -> None:
    """Load a run to its end: the body of the process that does not reach it."""
    asyncio.run(_finish(url, policy, run_id))


async def _finish(url: str, policy: str, run_id: UUID) -> None:
    engine = make_engine(url, role="loyalty_jobs", pool_size=1)
    try:
        sessions = make_sessions(engine)
        await load_run(sessions, policy=load_policy(policy), company_id=COMPANY, run_id=run_id, clock=clock.business_now)
    finally:
        await engine.dispose()


def table(report: dict[str, Any]) -> str:
    """Return the report for a terminal."""
    killed = f"killed after {report['killed_at']:,} of {report['lines']:,} lines"
    lines = (
        f"{report['cards']:,} cards, {report['fills']:,} fills: prepared in {report['prepare_s']} s, started in {report['start_s']} s",
        f"{killed}; the rest in {report['resumed_s']} s: {report['lines_per_s']:,} lines/s",
        f"loaded {report['loaded']:,}, refused {report['refused']:,}; each line once and all of the money: {report['sound']}",
    )
    return "\n".join(lines)
