"""A till asks what a top-up would give, loads for what was told, is told what it gave, and gives a part back."""

from datetime import timedelta

import pytest

from loyalty.db import make_engine, make_sessions, transaction
from loyalty.pos_client import Card, ProblemError
from loyalty.pricing.document import Band, Bonus, Channel, Document, Fixed, Funder, Rule, When
from loyalty.pricing.operations import publish

OURS = (Funder(funder="head-office"),)
OFF = Rule(
    code="off",
    name_zh="立减",
    name_en="Off",
    effect=Fixed(amount_minor=500),
    funders=OURS,
    when=When(channels=(Channel.TOPUP,), flyers=("F-7",)),
)
BANDS = Rule(
    code="bands",
    name_zh="满赠",
    name_en="Bands",
    effect=Bonus(bands=(Band(starts=20_000, amount_minor=2_000),), expires_days=30),
    funders=OURS,
    when=When(channels=(Channel.TOPUP,)),
)


@pytest.fixture
async def rules(database_url, now):
    engine = make_engine(database_url)
    async with transaction(make_sessions(engine)) as session:
        await publish(session, document=Document(rules=(OFF, BANDS)), note="tests", now=now - timedelta(days=1))
    await engine.dispose()


async def test_what_is_told_is_paid_and_what_is_given_stands_in_the_answer(manned, blanks, rules):
    await manned.issue(blanks[0])
    at = Card(number=blanks[0])
    quoted = await manned.quote_top_up(at, amount_minor=15_000, flyer="F-7")
    assert (quoted["pays_minor"], quoted["discount_minor"], [one["rule"] for one in quoted["benefits"]]) == (14_500, 500, ["off"])
    assert [(one["rule"], one["why"]) for one in quoted["others"]] == [("bands", "below_bands")]
    assert quoted["next"][0]["en"] == "¥55.00 more: ¥20.00 bonus (Bands)"
    with pytest.raises(ProblemError) as refused:
        await manned.top_up(at, amount_minor=15_000, tender="cash", pays_minor=14_500)
    assert refused.value.code == "offer_changed"
    loaded = await manned.top_up(at, amount_minor=20_500, tender="cash", pays_minor=20_000, flyer="F-7")
    assert (loaded["discount_minor"], loaded["bonus_minor"], loaded["balance_after_minor"]) == (500, 2_000, 22_500)
    assert [(one["rule"], one["kind"], one["amount"]) for one in loaded["benefits"]] == [
        ("off", "discount", 500),
        ("bands", "bonus", 2_000),
    ]
    back = await manned.refund_top_up(loaded["topup_id"], reason="changed his mind", amount_minor=10_250)
    assert (back["paid_minor"], back["discount_minor"], back["bonus_returned_minor"]) == (10_000, 250, 1_000)
    assert back["message_en"] == "¥10.00 of bonus goes back and was still there; ¥100.00 is paid back."
    closed = await manned.close_shift(counted_cash_minor=60_000)
    assert (closed["over_short_minor"], closed["totals"]["topups_minor"]) == (0, 20_500)


async def test_several_cards_tell_what_is_paid_in_all(manned, blanks, rules):
    for number in blanks[:2]:
        await manned.issue(number)
    items = [{"number": blanks[0], "amount_minor": 21_000}, {"number": blanks[1], "amount_minor": 10_000}]
    bought = await manned.purchase(items, tender="cash", flyer="F-7", pays_minor=30_000)
    assert (bought["total_minor"], bought["discount_minor"]) == (31_000, 1_000)
    assert [item.get("bonus_minor", 0) for item in bought["items"]] == [2_000, 0]
