"""A rule in one sentence, in both languages: what an approver reads."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings

from loyalty.pricing.document import (
    Band,
    Basis,
    Birthday,
    Bonus,
    Bundle,
    By,
    Cap,
    Channel,
    Document,
    Fixed,
    Funder,
    Give,
    Hours,
    Ladder,
    Needed,
    Nth,
    Of,
    Per,
    Percent,
    PerUnit,
    Points,
    PointsTimes,
    Tiered,
    UnitPrice,
    When,
)
from loyalty.pricing.wording import Names, sentence
from tests.pricing.documents import any_documents, budget, rule

NAMES = Names(
    words={
        "stations": {"S1": ("一号站", "Station 1"), "S2": ("东门站", "East Gate")},
        "card_products": {"gold": ("金卡", "gold card")},
        "products": {"92": ("92 号汽油", "92"), "wash": ("洗车", "Car wash")},
        "gifts": {"cup": ("水杯", "Cup")},
    },
    units={"92": "L", "0": "L", "wash": "piece"},
    tags={"92": frozenset({"fuel", "gasoline"}), "0": frozenset({"fuel", "diesel"}), "wash": frozenset({"shop"})},
)
TOPUP = When(channels=(Channel.TOPUP,))
BORNE = " head office bears it."
SAID = [
    (
        rule(
            effect=PerUnit(rate_e4=3000),
            when=When(card_products=("gold",), products=("92",), weekdays=(1,), least_quantity_milli=30_000),
        ),
        "金卡：92 号汽油每升优惠 ¥0.30，全部油站，每周一，满 30 L；由总部承担。",
        "Gold card: ¥0.30 off per litre of 92, at all stations, on Mondays, from 30 L; head office bears it.",
    ),
    (
        rule(
            effect=Percent(basis_points=250),
            when=When(stations=("S1", "S2"), categories=("fuel",), hours=(Hours(starts="22:00", ends="06:00"),)),
            funders=(Funder(funder="head-office", parts=80), Funder(funder="station", parts=20)),
        ),
        "油品按优惠前余额减 2.5%，一号站、东门站，22:00–06:00；由总部、油站按 80 : 20 承担。",
        "2.5% off fuel, of what is left, at Station 1 and East Gate, 22:00–06:00; borne by head office and the station 80 : 20.",
    ),
    (
        rule(effect=UnitPrice(unit_price_e4=72_350), caps=(Cap(per=Per.MONTH, amount=50_000), Cap(per=Per.DAY, count=1))),
        "92 号汽油每升一口价 ¥7.235，全部油站，每卡每月最多 ¥500，每卡每天最多 1 次；由总部承担。",
        "¥7.235 per litre for 92, at all stations, at most ¥500 a month for a card, at most once a day for a card; head office bears it.",
    ),
    (
        rule(
            effect=Bonus(bands=(Band(starts=100_000, amount_minor=5000), Band(starts=500_000, basis_points=800)), expires_days=90),
            when=TOPUP,
            budget="autumn",
        ),
        "充值满 ¥1,000 送 ¥50、满 ¥5,000 送 8%（90 天内有效）；由总部承担，预算“秋季”。",
        "Bonus on top-ups: from ¥1,000 ¥50, from ¥5,000 8% (good for 90 days); head office bears it, from the budget “Autumn”.",
    ),
    (
        rule(effect=Points(points=1, per_quantity_milli=1000, expires_months=24)),
        "92 号汽油每 1 升积 1 分，24 个月后失效，全部油站；由总部承担。",
        "1 point per litre on 92, lapsing after 24 months, at all stations; head office bears it.",
    ),
    (
        rule(effect=PointsTimes(basis_points=20_000), when=When(products=("92",), birthday=Birthday(month=True))),
        "生日当月：92 号汽油积分 ×2，全部油站；由总部承担。",
        "In the month of birth: points ×2 on 92, at all stations; head office bears it.",
    ),
    (
        rule(effect=Give(what="gift", item="cup"), when=When(channels=(Channel.TOPUP,), least_minor=100_000)),
        "充值送礼品“水杯”×1，满 ¥1,000；由总部承担。",
        "1 × gift “Cup” with top-ups, from ¥1,000; head office bears it.",
    ),
    (
        rule(
            effect=Tiered(by=By.QUANTITY, bands=(Band(starts=0, rate_e4=1000), Band(starts=60_000, rate_e4=2500)), ladder=Ladder.MARGINAL)
        ),
        "92 号汽油阶梯优惠：满 0 L 每升减 ¥0.10、满 60 L 每升减 ¥0.25，分段累计，全部油站；由总部承担。",
        "92: from 0 L ¥0.10 off per litre, from 60 L ¥0.25 off per litre, each part in its own band, at all stations;" + BORNE,
    ),
    (
        rule(
            effect=Bundle(
                parts=(Needed(products=("92",), quantity_milli=30_000), Needed(products=("wash",), quantity_milli=1000)),
                basis_points=5000,
            ),
            when=When(),
        ),
        "同时购买 30 升92 号汽油与 1 件洗车，1 件洗车减 50%，全部油站；由总部承担。",
        "30 L of 92 with 1 × Car wash: 50% off the 1 × Car wash, at all stations; head office bears it.",
    ),
    (
        rule(
            effect=Fixed(amount_minor=1000),
            when=When(
                categories=("fuel",),
                excluded_products=("0",),
                nth=Nth(count=5, every=True, per=Per.MONTH, of=Of.CARD),
                least_minor=20_000,
                basis=Basis.AFTER,
            ),
            ends_at=datetime(2026, 9, 30, 16, 0, tzinfo=UTC),
        ),
        "油品（不含0）立减 ¥10，全部油站，每卡每月第 5 次及其倍数，至 2026-10-01，优惠后满 ¥200；由总部承担。",
        "¥10 off fuel except 0, at all stations, every 5th time a month, for a card, until 2026-10-01, from ¥200 after it;" + BORNE,
    ),
]


@pytest.mark.parametrize(("one", "zh", "en"), SAID)
def test_a_rule_is_one_sentence(one, zh, en):
    assert sentence(one, Document(rules=(one,), budgets=(budget(),)), NAMES) == (zh, en)


@settings(deadline=None, max_examples=60)
@given(any_documents)
def test_every_rule_can_be_said(document):
    for one in document.rules:
        zh, en = sentence(one, document, NAMES)
        assert zh.endswith("。")
        assert en.endswith(".")
