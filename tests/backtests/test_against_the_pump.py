"""What the pump gave under a book is what a backtest of that book says: to the cent, by rule and by funder."""

import time
from datetime import timedelta

import pytest

from loyalty.backtests.operations import backtests
from loyalty.backtests.operations.running import Edge, run
from loyalty.backtests.queries.backtests import get_backtest
from loyalty.crypto import use_keyring
from loyalty.money import line_amount
from loyalty.pricing.document import (
    Band,
    Bundle,
    By,
    Document,
    Fixed,
    Funder,
    Group,
    Ladder,
    Mode,
    Needed,
    Percent,
    PerUnit,
    Points,
    Tiered,
    When,
)
from loyalty.pricing.operations import publish
from tests.backtests.past import BY_COMMAND, rule
from tests.scenarios.telling import key, said

PRICE = 78_900
SHARED = (Funder(funder="head-office", parts=3), Funder(funder="station", parts=2))
FUEL = When(categories=("fuel",))
BOOK = Document(
    rules=(
        rule("litre", PerUnit(rate_e4=2_300), when=FUEL, funders=SHARED, group="best"),
        rule("tenth", Percent(basis_points=350), when=When(categories=("fuel",), most_minor=20_000), group="best"),
        rule(
            "ladder",
            Tiered(by=By.QUANTITY, bands=(Band(starts=0, rate_e4=100), Band(starts=20_000, rate_e4=700)), ladder=Ladder.MARGINAL),
            when=FUEL,
            priority=200,
        ),
        rule("fixed", Fixed(amount_minor=333), when=When(least_minor=15_000), funders=SHARED, priority=300),
        rule(
            "wash",
            Bundle(
                parts=(Needed(categories=("fuel",), quantity_milli=20_000), Needed(products=("wash",), quantity_milli=1_000)),
                basis_points=1_500,
            ),
            priority=400,
        ),
        rule("no-wallet", Fixed(amount_minor=50), when=When(tenders=("card",)), priority=500),
        rule("points", Points(points=3, per_minor=500), priority=900),
    ),
    groups=(Group(code="best", name_zh="择优", name_en="Best", mode=Mode.BEST, priority=10),),
)


@pytest.fixture(autouse=True)
def keys(key_set):
    use_keyring(key_set)
    yield
    use_keyring(None)


async def test_the_live_book_replayed_gives_what_was_given(house):
    number = await house.perform(lambda session: publish(session, document=BOOK, note="test", now=house.time - timedelta(days=1)))
    await house.reload()
    card = house.people.cards["personal"]
    for place, milli in enumerate((4_990, 20_000, 22_130, 5_010, 26_010)):
        amount = line_amount(milli, PRICE)
        tenders = (("wechat", 1000),) if place == 3 else ()
        shop = 3_500 if place % 2 else 0
        assert said(await house.sell(card, key=key(), milli=milli, price=PRICE, amount=amount, shop=shop, tenders=tenders))["outcome"] == (
            "approved"
        )
    approved = said(await house.authorise(card, key=key(), quantity_milli=30_000))
    said(await house.complete(approved["authorization"], key=key(), milli=21_370, price=PRICE, amount=line_amount(21_370, PRICE)))

    until = house.time + timedelta(seconds=1)
    since = house.time - timedelta(days=1)

    async def begin(session):
        identity = await backtests.ask(session, number=number, since=since, until=until, actor=BY_COMMAND, now=until)
        return await backtests.take(session, backtest_id=identity, now=until)

    taken = await house.perform(begin)
    assert await run(house.sessions, dsn=house.url, backtest=taken, workers=0, edge=Edge(lambda: until, time.perf_counter))
    report = (await house.perform(lambda session: get_backtest(session, backtest_id=taken.backtest_id))).report
    assert report.rows == 6
    assert (report.winners, report.losers) == (0, 0)
    assert sorted(given(report.draft)) == sorted(given(report.live))
    assert {code for code, *_ in given(report.draft)} == {one.code for one in BOOK.rules}
    assert [(one.funder, one.kind, one.amount) for one in report.draft.funders] == [
        (one.funder, one.kind, one.amount) for one in report.live.funders
    ]
    assert report.draft.cost_minor == report.live.cost_minor > 0


def given(side):
    return [(line.rule, line.kind, line.times, line.wanted, line.given) for line in side.rules]
