"""Past sales under a draft: figures worked out by hand, whoever asks, in whatever order and by however many workers."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from loyalty.backtests.model import BACKTEST_MOVES, BacktestStatus
from loyalty.backtests.operations import backtests
from loyalty.backtests.operations.running import Edge, run
from loyalty.backtests.queries.backtests import BacktestNotFound, get_backtest, list_backtests
from loyalty.db import transaction
from loyalty.pricing.document import (
    Bonus,
    Budget,
    Cap,
    Document,
    Fixed,
    Funder,
    Give,
    Group,
    Hours,
    Mode,
    Nth,
    Of,
    Per,
    Percent,
    PerUnit,
    Points,
    When,
)
from loyalty.pricing.operations import publish
from tests.backtests.past import BY_COMMAND, borne_by, lines_of, rule

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
SHARED = (Funder(funder="head-office", parts=2), Funder(funder="station"))
LI, WANG = UUID(int=501), UUID(int=502)


@pytest.fixture
async def three(past):
    """Zhang, whom nobody knows; Li, gold, with two cards; Wang."""
    await past.person("zhang")
    await past.person("li", customer=LI, tier="gold")
    await past.person("li too", customer=LI)
    await past.person("wang", customer=WANG, segment="taxi")
    return past


async def test_the_figures_of_a_few_sales_are_those_of_a_calculator(three):
    # 30 L for 240.00 live 6.00 off; 10 L and a wash for 80.00 + 35.00, live nothing; 20 L for 160.00 live 20.00 off.
    await three.sold("zhang", ago=3 * DAY, milli=30_000, live=600)
    await three.sold("li", ago=2 * DAY, milli=10_000, lines=[("wash", 1, 3500)])
    await three.sold("wang", ago=DAY, milli=20_000, live=2000)
    # Neither refunded whole, voided, nor outside the period.
    await three.sold("zhang", ago=DAY, milli=50_000, live=999, status=3)
    await three.sold("zhang", ago=DAY, milli=50_000, live=999, status=4)
    await three.sold("zhang", ago=40 * DAY, milli=50_000, live=999)
    number = await three.draft(
        rule("litre", PerUnit(rate_e4=2500), when=When(categories=("fuel",), least_quantity_milli=15_000), funders=SHARED, priority=1),
        rule("gold", Percent(basis_points=1000), when=When(tiers=("gold",)), priority=2),
        rule("taxi", Fixed(amount_minor=101), when=When(segments=("taxi",)), priority=3),
        rule("points", Points(points=2, per_quantity_milli=1000), when=When(categories=("fuel",))),
        rule("cup", Give(what="gift", item="cup"), when=When(categories=("car-wash", "wash"))),
        rule("bonus", Bonus(amount_minor=50), when=When(segments=("taxi",))),
    )
    view = await three.replayed(number)
    report = view.report
    assert (view.status, view.rows_done, view.rows_total) == (BacktestStatus.DONE, 3, 3)
    assert (report.rows, report.gross_minor, report.parties) == (3, 24_000 + 11_500 + 16_000, 3)
    # 0.25 × 30 = 7.50, 0.25 × 20 = 5.00; 10 % of 115.00; 1.01; two points a litre; a cup for the wash.
    assert lines_of(report) == {
        "litre": (2, 750 + 500, 750 + 500),
        "gold": (1, 1150, 1150),
        "taxi": (1, 101, 101),
        "points": (3, 120, 120),
        "cup": (1, 1, 1),
        "bonus": (1, 50, 50),
    }
    assert (report.draft.discount_minor, report.draft.bonus_minor, report.draft.points, report.draft.things) == (2501, 50, 120, 1)
    assert report.draft.cost_minor == 2551
    # Two thirds and a third of 7.50 and of 5.00, the cents to the larger: 5.00 + 3.34, 2.50 + 1.66.
    assert borne_by(report.draft) == {"head-office": 834 + 1150 + 101, "station": 416}
    assert report.live.discount_minor == 2600
    # Zhang 7.50 − 6.00, Li 11.50, Wang 5.00 + 1.01 + 0.50 − 20.00.
    assert (report.winners, report.won_minor, report.losers, report.lost_minor) == (2, 150 + 1150, 1, 2000 - 651)
    assert [(one.party, one.live_minor, one.draft_minor) for one in report.top_losers] == [(WANG, 2000, 651)]
    assert (report.top_winners[0].party, report.top_winners[0].draft_minor) == (LI, 1150)
    assert {(one.least, one.most): one.parties for one in report.spread if one.parties} == {
        (-4999, -999): 1,
        (100, 1000): 1,
        (1000, 5000): 1,
    }
    assert sum(day.rows for day in report.days) == 3
    assert sum(day.draft_minor for day in report.days) == 2551
    assert report.notes == ["customers_as_now"]


async def test_caps_and_counts_are_those_of_each_customer_in_time_order(three):
    day_before = 2 * DAY
    for who, minutes, milli in (("li", 0, 10_000), ("li too", 10, 20_000), ("zhang", 20, 10_000), ("li", 30, 10_000), ("wang", 40, 30_000)):
        await three.sold(who, ago=day_before - minutes * MINUTE, milli=milli)
    await three.sold("li", ago=DAY, milli=10_000)
    number = await three.draft(
        # 1.00 a litre, at most 25.00 a customer and day: Li 10 + 15 of 20 + 0, next day 10; Wang 25 of 30; a stranger has no such cap.
        rule("capped", PerUnit(rate_e4=10_000), caps=(Cap(per=Per.DAY, of=Of.CUSTOMER, amount=2500),)),
        rule("second", Fixed(amount_minor=7), when=When(nth=Nth(count=2, of=Of.ACCOUNT))),
        rule("once", Fixed(amount_minor=3), caps=(Cap(per=Per.EVER, of=Of.CARD, count=1),)),
    )
    report = await three.report(number)
    assert lines_of(report) == {
        "capped": (4, 1000 + 2000 + 3000 + 1000, 1000 + 1500 + 2500 + 1000),
        "second": (1, 7, 7),
        "once": (4, 12, 12),
    }
    assert report.notes == ["counters_from_zero"]
    by_two = await three.report(number, workers=2)
    assert without_speed(by_two) == without_speed(report)


async def test_a_budget_runs_out_at_one_sale_and_another_rule_takes_its_place(three):
    for minutes in range(6):
        await three.sold(("zhang", "li", "wang")[minutes % 3], ago=DAY - minutes * MINUTE, milli=10_000)
    best = Group(code="one", name_zh="一", name_en="one", mode=Mode.BEST)
    number = await three.draft(
        rule("spring", Fixed(amount_minor=500), budget="spring", group="one"),
        rule("else", Fixed(amount_minor=100), group="one"),
        groups=(best,),
        budgets=(Budget(code="spring", name_zh="春", name_en="spring", total=1700),),
    )
    report = await three.report(number)
    # Three whole ones, then the remainder of 2.00, which is still better than 1.00; the last two get the other rule's.
    assert lines_of(report) == {"spring": (4, 2000, 1700), "else": (2, 200, 200)}
    assert [(one.budget, one.total, one.used, one.out_at is not None) for one in report.budgets] == [("spring", 1700, 1700, True)]
    assert (report.speed.passes, report.notes) == (2, ["budgets_from_full"])
    assert report.budgets[0].out_at == three.now - DAY + 3 * MINUTE
    assert without_speed(await three.report(number, workers=2)) == without_speed(report)


async def test_a_budget_that_suffices_takes_one_pass(three):
    await three.sold("zhang", ago=DAY, milli=10_000)
    number = await three.draft(
        rule("spring", Fixed(amount_minor=500), budget="spring"),
        budgets=(Budget(code="spring", name_zh="春", name_en="spring", total=500),),
    )
    report = await three.report(number)
    assert (report.speed.passes, report.budgets[0].used, report.budgets[0].out_at) == (1, 500, None)


async def test_time_is_the_stations(three):
    # Now is Thursday 10:15 in Shanghai: seven hours ago it was 3:15, on Wednesday 10:15.
    await three.sold("zhang", ago=7 * HOUR, milli=10_000)
    await three.sold("zhang", ago=DAY, milli=10_000)
    await three.sold("zhang", ago=12 * HOUR, milli=10_000)
    night = (Hours(starts="22:00", ends="05:00"),)
    number = await three.draft(
        rule("night", Fixed(amount_minor=1), when=When(hours=night)),
        rule("wednesday", Fixed(amount_minor=10), when=When(weekdays=(3,))),
        rule("on-24", Fixed(amount_minor=100), when=When(month_days=(24,))),
        rule("begun", Fixed(amount_minor=1000), starts_at=three.now - 10 * HOUR),
        rule("cash", Fixed(amount_minor=5), when=When(tenders=("card", "cash"))),
    )
    await three.sold("zhang", ago=HOUR, milli=10_000, tenders=["wechat"])
    await three.sold("zhang", ago=HOUR, milli=10_000, tenders=["cash"])
    report = await three.report(number)
    assert {code: line[0] for code, line in lines_of(report).items()} == {"night": 2, "wednesday": 2, "on-24": 3, "begun": 3, "cash": 4}


async def test_workers_apart_come_to_the_same(three):
    for minutes in range(40):
        who = ("zhang", "li", "li too", "wang")[minutes % 4]
        await three.sold(who, ago=(minutes % 7) * DAY + minutes * MINUTE + HOUR, milli=10_000 + 1000 * minutes, live=minutes)
    number = await three.draft(
        rule("litre", PerUnit(rate_e4=333), funders=SHARED), rule("gold", Percent(basis_points=77), when=When(tiers=("gold",)))
    )
    alone, together = await three.report(number), await three.report(number, workers=2)
    assert without_speed(alone) == without_speed(together)
    assert together.speed.workers == 2


async def test_an_empty_period_is_told(three):
    number = await three.draft(rule("litre", PerUnit(rate_e4=333)))
    report = await three.report(number)
    assert (report.rows, report.draft.rules, report.speed.rows_per_s) == (0, [], 0)


async def test_what_was_given_live_is_told_by_rule_and_funder(three):
    station = f"station:{three.world.station_id}"
    benefit = {
        "rule": "old",
        "revision": 1,
        "kind": "discount",
        "base_minor": 8000,
        "wanted": 900,
        "given": 800,
        "name_zh": "旧",
        "name_en": "Old",
    }
    points = benefit | {"rule": "points", "kind": "points", "wanted": 10, "given": 10, "funders": [["head-office", 10]]}
    bonus = benefit | {"rule": "more", "kind": "bonus", "wanted": 70, "given": 70, "funders": [["head-office", 70]]}
    shared = benefit | {"funders": [["head-office", 600], [station, 200]]}
    async with transaction(three.sessions) as session:
        await publish(session, document=Document(rules=(rule("more", Bonus(amount_minor=70)),)), note="live", now=three.now - 50 * DAY)
    await three.sold("zhang", ago=DAY, milli=10_000, live=800, detail={"book": 1, "benefits": [shared, points, bonus]})
    report = await three.report(await three.draft())
    assert (report.live.discount_minor, report.live.bonus_minor, report.live.points, report.live.cost_minor) == (800, 70, 10, 870)
    assert borne_by(report.live) == {"head-office": 600, "station": 200}
    assert [(line.rule, line.wanted, line.given) for line in report.live.rules] == [("old", 900, 800), ("more", 70, 70), ("points", 10, 10)]
    assert (report.losers, report.lost_minor, report.live.parties, report.draft.parties) == (1, 870, 1, 0)


async def test_progress_is_told_and_a_cancelled_one_ends(three):
    for day in range(5):
        await three.sold("zhang", ago=day * DAY + HOUR, milli=10_000)
    number = await three.draft(rule("litre", PerUnit(rate_e4=333)))
    seen = []

    def tick() -> float:
        # A second passes at each look: every slice is told.
        seen.append(len(seen))
        return float(len(seen))

    view = await three.replayed(number, edge=Edge(lambda: three.now, tick))
    assert (view.status, view.rows_done) == (BacktestStatus.DONE, 5)

    identity = await three.ask(number)
    async with transaction(three.sessions) as session:
        await backtests.cancel(session, backtest_id=identity, actor=BY_COMMAND, now=three.now)
    async with transaction(three.sessions) as session:
        assert await backtests.take(session, now=three.now) is None
        with pytest.raises(backtests.BacktestOver):
            await backtests.cancel(session, backtest_id=identity, actor=BY_COMMAND, now=three.now)


async def test_one_that_is_cancelled_while_it_runs_stops_and_keeps_no_report(three):
    for day in range(5):
        await three.sold("zhang", ago=day * DAY + HOUR, milli=10_000)
    number = await three.draft(rule("litre", PerUnit(rate_e4=333)))
    identity = await three.ask(number)
    ticks = iter(range(10_000))
    async with transaction(three.sessions) as session:
        taken = await backtests.take(session, backtest_id=identity, now=three.now)
    async with transaction(three.sessions) as session:
        await backtests.cancel(session, backtest_id=identity, actor=BY_COMMAND, now=three.now)
    done = await run(three.sessions, dsn=three.url, backtest=taken, workers=0, edge=Edge(lambda: three.now, lambda: float(next(ticks))))
    async with transaction(three.sessions) as session:
        view = await get_backtest(session, backtest_id=identity)
    assert (done, view.status, view.report, view.rows_done) == (False, BacktestStatus.CANCELLED, None, 0)


async def test_one_whose_runner_is_gone_is_taken_up_anew(three):
    number = await three.draft(rule("litre", PerUnit(rate_e4=333)))
    identity = await three.ask(number)
    async with transaction(three.sessions) as session:
        assert (await backtests.take(session, now=three.now)).backtest_id == identity
    async with transaction(three.sessions) as session:
        assert await backtests.take(session, now=three.now + MINUTE) is None
        assert await backtests.beat(session, backtest_id=identity, rows_done=1, rows_total=2, now=three.now + MINUTE)
    async with transaction(three.sessions) as session:
        assert await backtests.take(session, now=three.now + 2 * MINUTE) is None
        again = await backtests.take(session, now=three.now + 4 * MINUTE)
        assert (again.backtest_id, again.rows_done, again.status) == (identity, 0, BacktestStatus.RUNNING)


async def test_a_fault_ends_it_by_its_kind_only(three):
    number = await three.draft(rule("litre", PerUnit(rate_e4=333)))
    await three.sold("zhang", ago=DAY, milli=10_000)
    async with transaction(three.sessions) as session:
        await session.execute(text("UPDATE sales SET detail = CAST('{\"lines\": 7}' AS jsonb)"))
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is
        await three.replayed(number)
    async with transaction(three.sessions) as session:
        view = (await list_backtests(session, number=number)).rows[0]
    assert (view.status, view.problem) == (BacktestStatus.FAILED, "msgspec.ValidationError")


@pytest.mark.parametrize(("since", "until"), [(DAY, 2 * DAY), (DAY, DAY), (DAY, -DAY), (500 * DAY, DAY)])
async def test_a_period_lies_in_the_past(three, since, until):
    number = await three.draft()
    async with transaction(three.sessions) as session:
        with pytest.raises(backtests.PeriodNotUsable):
            await backtests.ask(session, number=number, since=three.now - since, until=three.now - until, actor=BY_COMMAND, now=three.now)


async def test_what_is_not_there_is_not_found(session):
    with pytest.raises(BacktestNotFound):
        await get_backtest(session, backtest_id=UUID(int=1))


def test_every_status_leads_where_the_table_says():
    ended = {BacktestStatus.DONE, BacktestStatus.FAILED, BacktestStatus.CANCELLED}
    assert set(BACKTEST_MOVES) == set(BacktestStatus)
    assert all(not BACKTEST_MOVES[status] for status in ended)


def without_speed(report):
    return msgspec.structs.replace(report, speed=None)
