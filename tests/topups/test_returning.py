"""How a load goes back, in parts: to each who gave, exactly, whatever was spent."""

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.pricing.compiling import budget_id
from loyalty.pricing.freezing import BudgetUse
from loyalty.topups.returning import Loaded, LoadRefund, by_hand, counts_back, plan_refund, told_back, uses_back
from loyalty.topups.rules import RefundTooLarge

LOT, OTHER = UUID(int=1), UUID(int=2)


def bonus(code, given_, lot, funders=None, **more):
    return {"rule": code, "kind": "bonus", "given": given_, "funders": funders or [["head-office", given_]], "lot": str(lot), **more}


def discount(code, given_, funders=None):
    return {"rule": code, "kind": "discount", "given": given_, "funders": funders or [["head-office", given_]]}


def back(loaded, amount, lots, **more):
    return plan_refund(loaded, amount_minor=amount, lots=lots, currency="CNY", **more)


@pytest.mark.parametrize(
    ("benefits", "amount", "lots", "paid", "off", "out", "short"),
    [
        ([], 10_000, {}, 10_000, 0, 0, 0),
        ([bonus("a", 1_000, LOT)], 10_000, {LOT: 1_000}, 10_000, 0, 1_000, 0),
        ([bonus("a", 1_000, LOT)], 10_000, {LOT: 400}, 9_400, 0, 400, 600),
        ([bonus("a", 1_000, LOT)], 10_000, {LOT: 0}, 9_000, 0, 0, 1_000),
        ([bonus("a", 1_000, LOT)], 5_000, {LOT: 400}, 4_900, 0, 400, 100),
        ([bonus("a", 1_000, LOT), bonus("b", 500, OTHER)], 10_000, {LOT: 1_000, OTHER: 0}, 9_500, 0, 1_000, 500),
        ([bonus("a", 1_000, LOT), bonus("b", 500, LOT)], 10_000, {LOT: 1_200}, 9_700, 0, 1_200, 300),
        ([discount("off", 500)], 10_000, {}, 9_500, 500, 0, 0),
        ([discount("off", 500), bonus("a", 1_000, LOT)], 2_500, {LOT: 100}, 2_225, 125, 100, 150),
        ([discount("off", 10_000)], 10_000, {}, 0, 10_000, 0, 0),
        ([{"rule": "cup", "kind": "gift", "given": 1, "funders": [["head-office", 1]]}], 10_000, {}, 10_000, 0, 0, 0),
    ],
)
def test_a_part_of_a_load_goes_back_to_whom_it_came_from(benefits, amount, lots, paid, off, out, short):
    refund = back(Loaded(10_000, 0, benefits, []), amount, lots)
    assert (refund.paid_minor, refund.discount_minor, refund.bonus_minor, refund.shortfall_minor) == (paid, off, out, short)
    assert paid + off + short == amount


def test_what_was_given_by_hand_is_one_benefit_among_them():
    loaded = Loaded(10_000, 5_000, [by_hand(1_000, "campaign", LOT), bonus("a", 100, OTHER)], [[["", "bonus", 500], ["a", "bonus", 50]]])
    refund = back(loaded, 5_000, {LOT: 1_000, OTHER: 10})
    assert refund.back == [("", "bonus", 500), ("a", "bonus", 50)]
    assert [(piece.funder, piece.amount_minor, piece.source) for piece in refund.pieces] == [
        ("campaign", 500, LOT),
        ("head-office", 10, OTHER),
        ("head-office", 40, None),
    ]


def test_bonus_that_is_spent_may_eat_the_refund_up():
    with pytest.raises(RefundTooLarge):
        back(Loaded(1_000, 0, [bonus("a", 1_000, LOT)], []), 1_000, {})


def test_a_wallet_s_reversal_lets_go_of_bonus_that_is_spent():
    refund = back(Loaded(1_000, 0, [bonus("a", 600, LOT)], []), 1_000, {LOT: 100}, keep_back=False)
    assert (refund.paid_minor, refund.bonus_minor, refund.shortfall_minor, refund.back) == (1_000, 100, 0, [("a", "bonus", 100)])


SHARED = [["head-office", 0], ["station:x", 0], ["oil-co", 0]]


@given(
    amount=st.integers(1, 10**7),
    given_=st.lists(st.integers(0, 10**6), min_size=1, max_size=3),
    off=st.integers(0, 10**6),
    left=st.integers(0, 10**6),
    parts=st.lists(st.integers(1, 10**7), max_size=5),
)
def test_the_parts_of_any_run_of_refunds_are_exact_for_each_funder(amount, given_, off, left, parts):
    funders = [[name, share] for (name, _), share in zip(SHARED, given_, strict=False)]
    benefits = [bonus("a", sum(given_), LOT, funders), discount("off", min(off, amount // 2))]
    lots, earlier, gone = {LOT: min(left, sum(given_))}, [], 0
    got: dict[tuple[str, str], int] = {}
    for part in [*parts, amount]:
        wanted = min(part, amount - gone)
        if not wanted:
            break
        try:
            refund = back(Loaded(amount, gone, benefits, earlier), wanted, lots)
        except RefundTooLarge:
            return
        assert refund.paid_minor + refund.discount_minor + refund.shortfall_minor == wanted
        for piece in refund.pieces:
            got[piece.kind, piece.funder] = got.get((piece.kind, piece.funder), 0) + piece.amount_minor
        lots = {LOT: lots[LOT] - refund.bonus_minor}
        assert lots[LOT] >= 0
        earlier = [*earlier, refund.back]
        gone += wanted
    assert gone == amount
    expected = {("bonus", name): share for name, share in funders if share}
    if benefits[1]["given"]:
        expected["discount", "head-office"] = benefits[1]["given"]
    assert got == expected


def test_counters_and_budgets_get_back_their_share_and_the_times_with_the_last():
    benefits = [bonus("a", 1_000, LOT, budget=["spring", 0])]
    counted = [[str(UUID(int=5)), str(UUID(int=6)), date(2026, 9, 1).toordinal(), 1_000, 1]]
    first = Loaded(9_000, 0, benefits, [])
    assert [(one.amount, one.times) for one in counts_back(counted, first, 3_000)] == [(-333, 0)]
    last = Loaded(9_000, 3_000, benefits, [])
    assert [(one.amount, one.times) for one in counts_back(counted, last, 6_000)] == [(-667, -1)]
    assert uses_back(first, [("a", "bonus", 333), ("a", "points", 9)]) == [BudgetUse(budget_id("spring"), 0, 0, -333)]


def test_what_became_of_the_bonus_is_told_in_both_languages():
    def told(out, short):
        return told_back(LoadRefund(10_000, 10_000 - short, 0, out, short, (), []), "CNY")

    assert told(0, 0) is None
    assert told(1_000, 0) == (
        "应退回赠送金 ¥10.00，已从赠送余额收回；退款 ¥100.00。",
        "¥10.00 of bonus goes back and was still there; ¥100.00 is paid back.",
    )
    zh, en = told(400, 600)
    assert zh == "应退回赠送金 ¥10.00：其中 ¥4.00 从赠送余额收回，¥6.00 已消费，从退款中扣除；退款 ¥94.00。"
    assert en == "¥10.00 of bonus goes back: ¥4.00 of it was still there, ¥6.00 had been spent and is kept back; ¥94.00 is paid back."
