"""A draft beside the live rules: every sale asked once, whoever looks how often, and told day by day."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from jobs.job import Context
from jobs.shadow import run as look
from loyalty.backtests.operations import shadows
from loyalty.backtests.operations.shadows import ask_new
from loyalty.backtests.queries.shadows import shadow_days, shadows_to_ask
from loyalty.db import transaction
from loyalty.pricing.document import Budget, Cap, Document, Fixed, Give, Of, Per, PerUnit, Points, When
from loyalty.pricing.operations import drafts, publish
from loyalty.pricing.operations.shadowing import NoShadow, NotForShadow, ShadowRuns, start_shadow, stop_shadow
from loyalty.pricing.queries.books import events_of
from loyalty.settings import Settings
from tests.backtests.past import BY_COMMAND, rule

DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
LI = UUID(int=501)


@pytest.fixture
async def shadowed(past):
    """A draft of 0.25 off a litre, points and a cup, in the shadow for two days."""
    await past.person("zhang")
    await past.person("li", customer=LI)
    past.number = await past.draft(
        rule("litre", PerUnit(rate_e4=2500), when=When(categories=("fuel",))),
        rule("points", Points(points=1, per_quantity_milli=1000), when=When(categories=("fuel",))),
        rule("cup", Give(what="gift", item="cup"), when=When(products=("wash",))),
    )
    await started(past, past.number, ago=2 * DAY)
    return past


async def started(past, number, *, ago):
    async with transaction(past.sessions) as session:
        await start_shadow(session, number=number, actor=BY_COMMAND, now=past.now - ago)


async def looked(past, *, now=None) -> int:
    settings = Settings(data_dir=Path("unused"), keys_dir=Path("unused"), database_url=past.url)
    return await look(Context(past.sessions, settings), now or past.now)


async def days(past, number=None):
    async with transaction(past.sessions) as session:
        return await shadow_days(session, number=number or past.number)


async def rows(past):
    async with transaction(past.sessions) as session:
        found = await session.execute(text("SELECT * FROM shadow_results ORDER BY number, sale_id"))
        return [dict(row) for row in found.mappings()]


async def test_sales_since_its_start_are_asked_and_told_by_day(shadowed):
    benefits = [
        {"rule": "x", "kind": kind, "given": given, "funders": []} for kind, given in (("discount", 900), ("points", 7), ("bonus", 30))
    ]
    await shadowed.sold("zhang", ago=3 * DAY, milli=99_000)
    await shadowed.sold("zhang", ago=DAY + HOUR, milli=10_000, live=900, detail={"benefits": benefits})
    await shadowed.sold("li", ago=DAY, milli=20_000, lines=[("wash", 1, 3500)])
    await shadowed.sold("li", ago=MINUTE, milli=4_000)
    assert await looked(shadowed) == 3
    told = await days(shadowed)
    assert [(day.day.isoformat(), day.sales, day.accounts, day.better, day.worse) for day in told] == [
        ("2026-09-23", 2, 2, 1, 1),
        ("2026-09-24", 1, 1, 1, 0),
    ]
    first = told[0]
    assert (first.gross_minor, first.live_minor, first.shadow_minor) == (8_000 + 19_500, 900, 250 + 500)
    assert (first.live_bonus_minor, first.shadow_bonus_minor, first.live_points, first.shadow_points) == (30, 0, 7, 30)
    assert (first.live_things, first.shadow_things, first.difference_minor) == (0, 1, 750 - 930)


async def test_each_sale_is_asked_once_however_often_and_whoever_looks(shadowed):
    for minutes in range(7):
        await shadowed.sold("zhang", ago=HOUR - minutes * MINUTE, milli=10_000)
    first = await asyncio.gather(*(looked(shadowed) for _ in range(4)))
    assert sum(first) == 7
    before = await rows(shadowed)
    assert len(before) == 7
    assert await looked(shadowed) == 0
    # A minute later one more is there, and one that was committed late behind the mark.
    await shadowed.sold("li", ago=2 * MINUTE, milli=10_000)
    await shadowed.sold("li", ago=-MINUTE, milli=10_000)
    assert await looked(shadowed, now=shadowed.now + MINUTE) == 2
    after = await rows(shadowed)
    assert [row for row in after if row["account_id"] == before[0]["account_id"]] == before
    assert len(after) == 9


async def test_batches_are_small_and_none_is_lost_between_them(shadowed, monkeypatch):
    monkeypatch.setattr(shadows, "BATCH", 3)
    for minutes in range(8):
        await shadowed.sold("zhang", ago=HOUR - minutes * MINUTE, milli=10_000)
    assert await looked(shadowed) == 8
    assert len(await rows(shadowed)) == 8


async def test_what_fails_half_way_leaves_nothing(shadowed):
    await shadowed.sold("zhang", ago=HOUR, milli=10_000)

    async def interrupted():
        async with transaction(shadowed.sessions) as session:
            assert await ask_new(session, number=shadowed.number, dsn=shadowed.url, now=shadowed.now) == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await interrupted()
    assert await rows(shadowed) == []
    assert await looked(shadowed) == 1


async def test_caps_and_budgets_go_on_from_batch_to_batch(past):
    await past.person("li", customer=LI)
    await past.person("li too", customer=LI)
    number = await past.draft(
        rule("capped", PerUnit(rate_e4=10_000), caps=(Cap(per=Per.EVER, of=Of.CUSTOMER, amount=2500),)),
        rule("spring", Fixed(amount_minor=40), budget="spring"),
        budgets=(Budget(code="spring", name_zh="春", name_en="spring", total=100),),
    )
    await started(past, number, ago=DAY)
    given = []
    for step, who in enumerate(("li", "li too", "li", "li")):
        await past.sold(who, ago=HOUR - step * MINUTE, milli=10_000)
        assert await looked(past, now=past.now - HOUR + step * MINUTE + SECOND) == 1
        given.append((await rows(past))[-1]["shadow_minor"])
    # 10 + 10 + 5 of 10 and nothing; 0.40, 0.40, the remainder 0.20 and nothing.
    assert given == [1000 + 40, 1000 + 40, 500 + 20, 0]


async def test_it_starts_stops_and_starts_again_with_its_traces(shadowed):
    number = shadowed.number
    async with transaction(shadowed.sessions) as session:
        with pytest.raises(ShadowRuns):
            await start_shadow(session, number=number, actor=BY_COMMAND, now=shadowed.now)
    await shadowed.sold("zhang", ago=HOUR, milli=10_000)
    async with transaction(shadowed.sessions) as session:
        await stop_shadow(session, number=number, actor=BY_COMMAND, now=shadowed.now - 30 * MINUTE)
    await shadowed.sold("zhang", ago=10 * MINUTE, milli=10_000)
    assert await looked(shadowed) == 1, "what was booked before the stop is still asked, what came after is not"
    async with transaction(shadowed.sessions) as session:
        assert await shadows_to_ask(session, now=shadowed.now) == []
        with pytest.raises(NoShadow):
            await stop_shadow(session, number=number, actor=BY_COMMAND, now=shadowed.now)
        await start_shadow(session, number=number, actor=BY_COMMAND, now=shadowed.now - 5 * MINUTE)
    await shadowed.sold("zhang", ago=MINUTE, milli=10_000)
    assert await looked(shadowed) == 1
    async with transaction(shadowed.sessions) as session:
        trail = list(await session.scalars(text("SELECT action FROM audit_entries WHERE action LIKE 'pricing.shadow%' ORDER BY entry_id")))
        assert len(await events_of(session, number=number)) >= 4
    assert trail == ["pricing.shadow_started", "pricing.shadow_stopped", "pricing.shadow_started"]


async def test_only_what_is_not_approved_runs_in_the_shadow(past):
    async with transaction(past.sessions) as session:
        live = await publish(session, document=Document(), note="live", now=past.now)
        with pytest.raises(NotForShadow):
            await start_shadow(session, number=live, actor=BY_COMMAND, now=past.now)
    number = await past.draft(rule("litre", PerUnit(rate_e4=1)))
    await started(past, number, ago=HOUR)
    async with transaction(past.sessions) as session:
        assert await shadows_to_ask(session, now=past.now) == [number]
        await drafts.discard(session, number=number, actor=BY_COMMAND, now=past.now)
        assert await shadows_to_ask(session, now=past.now) == []
