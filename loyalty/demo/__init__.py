"""A small chain that has been open for a week: for demonstrations, on this machine only."""

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit.operations import seal
from loyalty.db import Sessions, driver_dsn, make_engine, make_sessions, transaction
from loyalty.identity.model_terminals import EnrolmentUse
from loyalty.identity.operations import issue_enrolment_code
from loyalty.installation import open_keys
from loyalty.ledger.operations import make_partitions, open_first_period
from loyalty.policy import load_policy
from loyalty.settings import Settings
from loyalty.stations.queries import find_terminal, snapshot_stations

from .agreements import agree
from .business import Business, Forecourt
from .campaigns import hand_over, judge, plan_ahead, reckon_up, set_up
from .cash import pay_cash
from .chain import COUNTER_CODE, COUNTER_STATION, ZONE, Chain, make_chain
from .custody import keep_and_lend
from .days import DAYS, trade
from .fleet import make_fleet
from .fleet_people import let_in, want_reports
from .holders import make_crowd
from .oddities import look_and_say
from .secrets import LogIns, keep, kept, told

__all__ = ["Also", "fill"]


Also = Callable[[AsyncSession, Chain, LogIns, datetime], Awaitable[None]]
"""What a room above adds to the chain, in the demo's last transaction; secrets that it draws join the log-ins."""


async def fill(settings: Settings, progress: Callable[[str], None] = lambda _: None, *, also: Sequence[Also] = ()) -> str:
    """Fill an empty database with the demo chain and return the log-ins to print; of a filled one return those kept at its making.

    Uses nothing but the rooms' operations. Names are the same each time; passwords, PINs, TOTP secrets and card numbers are drawn.
    """
    assert settings.database_url is not None, "the caller opened a database"
    # The chain is made in one transaction, all or nothing, of an empty database: a slow machine may take more than a request's time.
    engine = make_engine(settings.database_url, role="loyalty_hot", application_name="loyalty-demo", transaction_seconds=0)
    sessions = make_sessions(engine)
    try:
        await open_keys(settings, engine, now=clock.real_now())
        async with transaction(sessions) as session:
            empty = not await snapshot_stations(session)
        if not empty:
            known = kept(settings.keys_dir)
            return "" if known is None else told(known, folder=settings.keys_dir, code=await _browser_code(sessions))
        now = clock.business_now()
        began = now - timedelta(days=DAYS + 2)
        policy = load_policy(settings.policy)
        log_ins = LogIns()
        progress("Demo: a region, two districts, six stations, their people, goods and prices …")
        async with transaction(sessions) as session:
            await make_partitions(session, now=now, months_back=1)
            await open_first_period(session, period=clock.period_of(clock.local_date(now, ZONE)), now=began)
            chain = await make_chain(session, policy=policy, log_ins=log_ins, began=began, now=now)
            await set_up(session, chain, now=now)
            progress("Demo: blank cards, fifty customers, their cards and first loads …")
            crowd = await make_crowd(session, chain, policy=policy, log_ins=log_ins, now=now)
            await judge(session, since=began, now=began + timedelta(minutes=5))
            await agree(session, chain, now=now)
            company_id = await make_fleet(session, chain, pin=crowd.pin, now=now)
            people = await let_in(session, company_id=company_id, log_ins=log_ins, now=now)
            await want_reports(session, company_id=company_id, people=people, since=began)
            await pay_cash(session, company_id=company_id, people=people, now=now)
            # Before the commit: a chain whose secrets nobody knows would be of no use.
            keep(log_ins, settings.keys_dir)
        progress(f"Demo: {DAYS} days of fills …")
        forecourt = Forecourt(driver_dsn(settings.database_url), sessions, began)
        await forecourt.start()
        rng = random.Random(2026)  # noqa: S311 - the same week each time
        await trade(Business(forecourt, chain, crowd, policy, rng), now=now)
        await forecourt.stop()
        progress("Demo: points, gifts, tiers, and next month's rules …")
        async with transaction(sessions) as session:
            await reckon_up(session, chain, policy=policy, now=now)
            await hand_over(session, chain, crowd, now=now)
            await plan_ahead(session, chain, now=now)
            await keep_and_lend(session, chain, company_id=company_id, now=now)
            await look_and_say(session, company_id=company_id, now=now)
            for add in also:
                await add(session, chain, log_ins, now)
            keep(log_ins, settings.keys_dir)
            await seal(session, now=now)
        return told(log_ins, folder=settings.keys_dir, code=await _browser_code(sessions))
    finally:
        await engine.dispose()


async def _browser_code(sessions: Sessions) -> str | None:
    """Issue a code that makes the reader's browser the counter of the first station, good for some minutes of real time."""
    async with transaction(sessions) as session:
        first = next((station for station in await snapshot_stations(session) if station.code == COUNTER_STATION), None)
        if first is None:
            return None
        terminal_id = await find_terminal(session, station_id=first.station_id, code=COUNTER_CODE)
        if terminal_id is None:
            return None
        code, _ = await issue_enrolment_code(session, terminal_id=terminal_id, use=EnrolmentUse.BROWSER, now=clock.real_now())
        return code
