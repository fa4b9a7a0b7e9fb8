"""`loyalty bench backtest`: a generated month of sales, replayed against drafts of three kinds, beside the plain aggregate.

Plain: a few rules that ask about the goods only. Personal: tiers, segments, hours, weekdays, bands, points. Counted: 200 rules with a cap a
card and day and a budget that runs out, so that every sale is asked on what the ones before it left.
"""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from loyalty import schema
from loyalty.audit.model import Actor, ActorKind
from loyalty.backtests.operations import backtests
from loyalty.backtests.operations.running import Edge, run
from loyalty.backtests.queries.backtests import get_backtest
from loyalty.db import Sessions, driver_dsn, make_engine, make_sessions, transaction
from loyalty.money import shown
from loyalty.postgres import EmbeddedServer
from loyalty.pricing.document import (
    Band,
    Budget,
    By,
    Document,
    Funder,
    Group,
    Hours,
    Mode,
    Percent,
    PerUnit,
    Points,
    Rule,
    Tiered,
    When,
)
from loyalty.pricing.operations import publish
from loyalty.settings import Settings

from .month import DAYS, LITRE, make_month
from .rules import rulebook

_BENCH: Final = Actor(ActorKind.SYSTEM, "bench")
_SINCE: Final = datetime(2026, 8, 31, 16, tzinfo=UTC)
"""September 2026 in Shanghai."""
_HEAD: Final = (Funder(funder="head-office"),)


def measure(settings: Settings, *, sales: int, accounts: int, workers: int | None) -> dict[str, Any]:
    """Make the month on a server of its own, replay it, and return rows a second and ratio of each draft."""
    server = EmbeddedServer(settings.data_dir, settings.keys_dir)
    server.start()
    try:
        asyncio.run(schema.migrate(server.url))
        return asyncio.run(_measure(server.url, settings, sales, accounts, os.cpu_count() or 1 if workers is None else workers))
    finally:
        server.stop()


async def _measure(url: str, settings: Settings, sales: int, accounts: int, workers: int) -> dict[str, Any]:
    engine = make_engine(url, role="loyalty_jobs", transaction_seconds=0)
    sessions = make_sessions(engine)
    try:
        began = time.perf_counter()
        live = await make_month(sessions, driver_dsn(url), sales=sales, accounts=accounts, since=_SINCE, policy=settings.policy)
        _say(f"{sales:,} sales of {accounts:,} customers made in {time.perf_counter() - began:.0f} s")
        rows = [await _one(sessions, url, "live", None, live, workers)]
        for name, document in drafts(sales).items():
            rows.append(await _one(sessions, url, name, document, live, workers))
        return {"sales": sales, "accounts": accounts, "workers": workers, "drafts": rows}
    finally:
        await engine.dispose()


async def _one(sessions: Sessions, url: str, name: str, document: Document | None, live: int, workers: int) -> dict[str, Any]:
    until = _SINCE + timedelta(days=DAYS)
    async with transaction(sessions) as session:
        number = live if document is None else await publish(session, document=document, note=name, now=until + timedelta(days=400))
        identity = await backtests.ask(session, number=number, since=_SINCE, until=until, actor=_BENCH, now=until)
        taken = await backtests.take(session, backtest_id=identity, now=until)
    assert taken is not None, "asked for just now"
    await run(sessions, dsn=url, backtest=taken, workers=workers, edge=Edge(lambda: until, time.perf_counter))
    async with transaction(sessions) as session:
        report = (await get_backtest(session, backtest_id=identity)).report
    assert report is not None, "nobody cancelled it"
    speed = report.speed
    _say(f"{name}: {speed.rows_per_s:,} rows/s, ratio {speed.ratio_e4 / 10_000:.4f}")
    return {
        "draft": name,
        "rules": len(report.draft.rules),
        "rows": report.rows,
        **msgspec.structs.asdict(speed),
        "live_cost_minor": report.live.cost_minor,
        "draft_cost_minor": report.draft.cost_minor,
        "winners": report.winners,
        "losers": report.losers,
    }


def drafts(sales: int) -> dict[str, Document]:
    """Return the drafts by name; the budget of the last is too small for the month."""
    counted, _ = rulebook()
    budget = Budget(code="autumn", name_zh="金秋", name_en="Autumn", total=max(sales * 50, 1))
    return {"plain": _plain(), "personal": _personal(), "counted": msgspec.structs.replace(counted, budgets=(budget,))}


def _plain() -> Document:
    bands = (Band(starts=20_000, rate_e4=1500), Band(starts=40_000, rate_e4=3000))
    return Document(
        rules=(
            _rule("size", Tiered(by=By.QUANTITY, bands=bands), When(categories=("gasoline",))),
            _rule("diesel", PerUnit(rate_e4=2500), When(products=("0",))),
            _rule("wash", Percent(basis_points=1000), When(categories=("car-wash",))),
            _rule("points", Points(points=1, per_quantity_milli=1000), When(categories=("fuel",))),
        )
    )


def _personal() -> Document:
    night = (Hours(starts="22:00", ends="05:00"),)
    rules = (
        _rule("litre", LITRE.effect, When(categories=("fuel",)), group="price"),
        _rule("gold", PerUnit(rate_e4=4000), When(categories=("fuel",), tiers=("gold",)), group="price"),
        _rule("taxi", PerUnit(rate_e4=3500), When(categories=("fuel",), segments=("taxi",)), group="price"),
        _rule("night", PerUnit(rate_e4=3000), When(categories=("fuel",), hours=night), group="price"),
        _rule("weekend", Percent(basis_points=200), When(weekdays=(6, 7), least_minor=20_000)),
        _rule("districts", PerUnit(rate_e4=500), When(districts=("D1", "D3"), categories=("gasoline",))),
        _rule("points", Points(points=1, per_quantity_milli=1000), When(categories=("fuel",))),
    )
    groups = (Group(code="price", name_zh="油价", name_en="Price", mode=Mode.BEST),)
    return Document(rules=rules, groups=groups)


def _rule(code: str, effect: Any, when: When, **more: Any) -> Rule:
    return Rule(code=code, name_zh=code, name_en=code, effect=effect, when=when, funders=_HEAD, **more)


def table(report: dict[str, Any]) -> str:
    """Return the figures as lines."""
    lines = [f"{'draft':<10} {'rows/s':>10} {'ratio':>8} {'passes':>7} {'replay':>9} {'aggregate':>10} {'cost':>16}"]
    for row in report["drafts"]:
        ratio, replay, plain = row["ratio_e4"] / 10_000, row["replay_ms"] / 1000, row["aggregate_ms"]
        cost = shown(row["draft_cost_minor"], "CNY")
        lines.append(
            f"{row['draft']:<10} {row['rows_per_s']:>10,} {ratio:>8.4f} {row['passes']:>7} {replay:>7.2f} s {plain:>7} ms {cost:>16}"
        )
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
