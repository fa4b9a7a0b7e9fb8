"""`loyalty backtest`: what a rulebook would have cost over a past period's sales, asked, run and told at the terminal."""

import argparse
import asyncio
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from loyalty import clock
from loyalty.audit.model import Actor, ActorKind
from loyalty.db import Sessions, make_engine, make_sessions, transaction
from loyalty.errors import Refusal
from loyalty.money import shown
from loyalty.settings import Settings

from .model import Backtest
from .operations import backtests
from .operations.running import Edge
from .operations.running import run as run_backtest
from .queries.backtests import BacktestView, get_backtest
from .report import Report, Side

_BY_COMMAND: Final = Actor(ActorKind.SYSTEM, "backtest")
_TELL_S: Final = 1.0
_MONEY: Final = frozenset({"discount", "surcharge", "bonus"})
EDGE: Final = Edge(clock.business_now, time.perf_counter)


class BacktestRefused(Exception):  # noqa: N818 - a sentence for the person at the keyboard
    """What the operation refused, in its own words."""

    for_people = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe `loyalty backtest`."""
    parser.add_argument("number", type=int, help="the rulebook, whatever its status")
    parser.add_argument("--from", dest="since", type=_instant, metavar="INSTANT", help="sales booked from here on (default: 30 days ago)")
    parser.add_argument("--to", dest="until", type=_instant, metavar="INSTANT", help="sales booked before here (default: now)")
    parser.add_argument("--currency", help="which sales (default: those in the rulebook's currency)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one a core; 0: none but this one)")
    parser.add_argument("--json", action="store_true", help="print the whole report as JSON")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run one; exit code 4 where it was cancelled meanwhile."""
    view = asyncio.run(_run(arguments, settings))
    if view.report is None:
        print(f"The backtest is {view.status.value}.", file=sys.stderr)
        return 4
    print(msgspec.json.encode(view.report).decode() if arguments.json else told(view.report))
    return 0


async def _run(arguments: argparse.Namespace, settings: Settings) -> BacktestView:
    assert settings.database_url is not None, "the command says that it needs one"
    engine = make_engine(settings.database_url, role="loyalty_jobs", application_name="loyalty-backtest")
    sessions = make_sessions(engine)
    now = clock.business_now()
    since, until = arguments.since or now - timedelta(days=30), arguments.until or now
    try:
        async with transaction(sessions) as session:
            identity = await backtests.ask(
                session, number=arguments.number, since=since, until=until, currency=arguments.currency, actor=_BY_COMMAND, now=now
            )
            taken = await backtests.take(session, backtest_id=identity, now=now)
        assert taken is not None, "it was asked for in this very transaction"
        telling = asyncio.create_task(_tell(sessions, taken))
        try:
            await run_backtest(sessions, dsn=settings.database_url, backtest=taken, workers=arguments.workers, edge=EDGE)
        finally:
            telling.cancel()
        async with transaction(sessions) as session:
            return await get_backtest(session, backtest_id=identity)
    except Refusal as refusal:
        raise BacktestRefused(refusal.sentence("en")) from refusal
    finally:
        await engine.dispose()


async def _tell(sessions: Sessions, backtest: Backtest) -> None:
    """Say on standard error how far it is."""
    while True:
        await asyncio.sleep(_TELL_S)
        async with transaction(sessions) as session:
            view = await get_backtest(session, backtest_id=backtest.backtest_id)
        if view.rows_total:
            print(f"{view.rows_done:,} of {view.rows_total:,} sales", file=sys.stderr)


def told(report: Report) -> str:
    """Return a report as lines for a terminal."""
    currency, speed = report.currency, report.speed
    lines = [
        f"Rulebook {report.number}, sales booked {report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC, {currency}",
        f"  {report.rows:,} sales of {shown(report.gross_minor, currency)} by {report.parties:,} customers",
        "",
        f"{'':<28} {'live':>16} {'draft':>16}",
        *(f"{name:<28} {live:>16} {draft:>16}" for name, live, draft in _sides(report)),
        "",
        f"better off {report.winners:,} customers by {shown(report.won_minor, currency)}",
        f"worse off  {report.losers:,} customers by {shown(report.lost_minor, currency)}",
        "",
        f"{'rule of the draft':<28} {'times':>10} {'wanted':>16} {'given':>16} {'customers':>10}",
    ]
    for rule in report.draft.rules:
        wanted, given = (shown(amount, currency) if rule.kind in _MONEY else f"{amount:,}" for amount in (rule.wanted, rule.given))
        lines.append(f"{rule.rule:<28} {rule.times:>10,} {wanted:>16} {given:>16} {rule.parties or 0:>10,}")
    for budget in report.budgets:
        out = f", ran out {budget.out_at:%Y-%m-%d %H:%M} UTC" if budget.out_at else ""
        lines.append(f"budget {budget.budget}: {budget.used:,} of {budget.total:,}{out}")
    lines += [
        "",
        f"{speed.rows_per_s:,} rows/s in {speed.passes} pass(es) by {speed.workers} worker(s), {speed.replay_ms / 1000:.2f} s",
        f"the plain aggregate takes {speed.aggregate_ms} ms: ratio {speed.ratio_e4 / 10_000:.4f}",
    ]
    return "\n".join(lines)


def _sides(report: Report) -> list[tuple[str, str, str]]:
    def money(read: str) -> tuple[str, str]:
        live, draft = getattr(report.live, read), getattr(report.draft, read)
        return shown(live, report.currency), shown(draft, report.currency)

    def number(read: str) -> tuple[str, str]:
        return f"{getattr(report.live, read):,}", f"{getattr(report.draft, read):,}"

    found = [
        ("cost", *money("cost_minor")),
        ("  discounts", *money("discount_minor")),
        ("  surcharges", *money("surcharge_minor")),
        ("  bonus", *money("bonus_minor")),
        ("points", *number("points")),
        ("gifts, vouchers, washes", *number("things")),
        ("customers who saved", *number("parties")),
    ]
    live, draft = _borne(report.live), _borne(report.draft)
    for funder in sorted(live | draft):
        amounts = shown(live.get(funder, 0), report.currency), shown(draft.get(funder, 0), report.currency)
        found.append((f"  borne by {funder}", *amounts))
    return found


def _borne(side: Side) -> dict[str, int]:
    """Return what each funder bears in money."""
    borne: dict[str, int] = {}
    for line in side.funders:
        if line.kind in {"discount", "bonus"}:
            borne[line.funder] = borne.get(line.funder, 0) + line.amount
    return borne


def _instant(written: str) -> datetime:
    instant = datetime.fromisoformat(written)
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
