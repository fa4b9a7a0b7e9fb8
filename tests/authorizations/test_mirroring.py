"""A refund is the exact mirror: every sum exact, no part above its original, nothing left after the last."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.authorizations.mirroring import Part, mirror, share_out, window_is_open
from loyalty.ledger.model import TransferKind

RECEIVABLE = uuid.UUID(int=7)


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=6), st.data())
def test_shares_sum_exactly_and_none_is_above_its_own(lefts, data):
    total = data.draw(st.integers(0, sum(lefts)))
    shares = share_out(total, lefts)
    assert sum(shares) == total
    assert all(0 <= share <= left for share, left in zip(shares, lefts, strict=True))


def test_more_than_is_left_is_never_shared_out():
    with pytest.raises(ValueError, match="more is shared out"):
        share_out(11, [5, 5])


def part(kind: TransferKind, amount: int, debit: uuid.UUID | None = None) -> Part:
    return Part(uuid.uuid4(), debit or uuid.uuid4(), uuid.uuid4(), kind, amount, amount)


sales = st.builds(
    lambda purses, owed, discount, tenders: [
        *(part(TransferKind.SALE, amount) for amount in purses),
        *([part(TransferKind.SALE, owed, RECEIVABLE)] if owed else []),
        *([part(TransferKind.DISCOUNT, discount)] if discount else []),
        *(part(TransferKind.TENDER, amount) for amount in tenders),
    ],
    st.lists(st.integers(1, 10**6), min_size=1, max_size=4),
    st.integers(0, 10**5),
    st.integers(0, 10**5),
    st.lists(st.integers(1, 10**6), max_size=2),
)


@given(sales, st.data())
def test_any_run_of_partial_refunds_ends_with_every_part_back_where_it_was(parts, data):
    gross = left = sum(one.amount_minor for one in parts)
    discount = sum(one.amount_minor for one in parts if one.kind == TransferKind.DISCOUNT)
    goods_left = data.draw(st.integers(0, gross - discount))
    given_back = dict.fromkeys((one.transfer_id for one in parts), 0)
    for last in (False, False, False, False, True):
        if not left:
            break
        amount = left if last else data.draw(st.integers(1, left))
        goods = data.draw(st.integers(0, min(amount, goods_left)))
        now = [one._replace(left_minor=one.amount_minor - given_back[one.transfer_id]) for one in parts]
        mirrored = mirror(now, gross_minor=amount, receivables={RECEIVABLE}, undiscounted_minor=goods)
        assert sum(one.amount_minor for one in mirrored) == amount
        for one in mirrored:
            assert 0 < one.amount_minor <= one.part.left_minor
            given_back[one.part.transfer_id] += one.amount_minor
        left -= amount
        goods_left -= goods
    assert given_back == {one.transfer_id: one.amount_minor for one in parts}


def test_what_was_owed_goes_back_before_what_was_paid():
    paid, owed = part(TransferKind.SALE, 9_000), part(TransferKind.SALE, 1_000, RECEIVABLE)
    assert [(one.part, one.amount_minor) for one in mirror([paid, owed], gross_minor=1_500, receivables={RECEIVABLE})] == [
        (owed, 1_000),
        (paid, 500),
    ]


def test_a_shop_line_takes_no_discount_of_the_fuel_along():
    card, discount = part(TransferKind.SALE, 11_800), part(TransferKind.DISCOUNT, 200)
    assert mirror([card, discount], gross_minor=2_000, receivables=(), undiscounted_minor=2_000) == [(card, 2_000)]


@pytest.mark.parametrize(
    ("day", "today", "open_"),
    [
        ("2026-09-24", "2026-09-24", True),
        ("2026-09-01", "2026-09-30", True),
        ("2026-09-30", "2026-10-01", True),
        ("2026-09-24", "2026-10-01", False),
        ("2026-12-31", "2027-01-03", True),
        ("2025-09-24", "2026-09-24", False),
    ],
)
def test_a_counter_is_given_back_while_its_day_week_or_month_runs(day, today, open_):
    from datetime import date

    assert window_is_open(date.fromisoformat(day), today=date.fromisoformat(today)) is open_
