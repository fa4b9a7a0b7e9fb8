"""The pure rules: thresholds at, under and over; splits that are exact."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.ledger.model import AccountKind, PurseKind, TransferKind
from loyalty.ledger.rules import PurseView
from loyalty.policy import RefundSplit, load_policy
from loyalty.topups.model import Party, Tender
from loyalty.topups.rules import (
    Basis,
    Buying,
    Movement,
    OverCap,
    SecondPersonNeeded,
    TenderNotAllowed,
    basis_of,
    cap_of,
    closing_refund,
    months_later,
    needs_real_name,
    plan_closing,
    require_second_person,
    require_tender,
    require_under_cap,
    shown,
    years_later,
)

CN = load_policy("cn-single-purpose")
GENERIC = load_policy("generic")
NOW = datetime(2026, 9, 24, 2, 15, tzinfo=UTC)
MONEY = st.integers(0, 10**9)


def buying(**facts):
    return Buying(
        **(
            {
                "buyer": Party.PERSON,
                "total_minor": 100,
                "registered_minor": 0,
                "currency": "CNY",
                "tender": Tender.CASH,
                "off_premises": False,
            }
            | facts
        )
    )


@pytest.mark.parametrize("tender", Tender)
@pytest.mark.parametrize(("buyer", "threshold"), [(Party.ORGANISATION, 500_000), (Party.PERSON, 5_000_000)])
def test_from_its_threshold_on_a_purchase_is_paid_by_transfer_only(buyer, threshold, tender):
    require_tender(CN, buying(buyer=buyer, total_minor=threshold - 1, tender=tender))
    if tender is Tender.BANK_TRANSFER:
        require_tender(CN, buying(buyer=buyer, total_minor=threshold, tender=tender))
    else:
        with pytest.raises(TenderNotAllowed):
            require_tender(CN, buying(buyer=buyer, total_minor=threshold, tender=tender))
    require_tender(GENERIC, buying(buyer=buyer, total_minor=10**12, tender=tender, off_premises=True))


@pytest.mark.parametrize(
    ("total", "registered", "asked"),
    [(999_999, 0, False), (1_000_000, 0, True), (1_000_000, 1, True), (1, 1, True), (999_999, 999_999, True)],
)
def test_real_names_are_asked_for_registered_cards_always_and_for_anonymous_ones_from_the_threshold_on(total, registered, asked):
    assert needs_real_name(CN, buying(total_minor=total, registered_minor=registered)) is asked
    assert not needs_real_name(GENERIC, buying(total_minor=total, registered_minor=registered))


def test_a_company_s_cap_is_laid_where_the_profile_says():
    assert cap_of(CN, AccountKind.COMPANY) is None
    assert cap_of(CN, AccountKind.COMPANY, allocated=True) == 500_000
    assert cap_of(GENERIC, AccountKind.COMPANY, allocated=True) is None


@given(balance=st.integers(0, 600_000), added=st.integers(1, 600_000))
def test_a_refusal_at_the_cap_names_exactly_what_still_fits(balance, added):
    facts = {"kind": AccountKind.PERSONAL, "currency": "CNY", "balance_minor": balance}
    try:
        require_under_cap(CN, added_minor=added, **facts)
        assert balance + added <= 500_000
    except OverCap as refused:
        room = refused.facts["room_minor"]
        assert balance + added > 500_000
        assert room == max(500_000 - balance, 0)
        if room:
            require_under_cap(CN, added_minor=room, **facts)


@given(paid=MONEY, bonus=MONEY, consumed=MONEY, principal_first=st.booleans(), split=st.sampled_from(RefundSplit))
def test_a_closing_refund_never_exceeds_what_was_paid_nor_what_is_left(paid, bonus, consumed, principal_first, split):
    consumed = min(consumed, paid + bonus)
    first, second = (paid, bonus) if principal_first else (bonus, paid)
    left = [first - min(consumed, first), second - (consumed - min(consumed, first))]
    principal, rest = left if principal_first else reversed(left)
    refund = closing_refund(split, Basis(paid, bonus), principal_minor=principal, bonus_minor=rest)
    assert 0 <= refund <= min(paid, principal + rest)
    if split is RefundSplit.PRO_RATA and bonus == 0:
        assert refund == principal
    if split is RefundSplit.PRO_RATA and consumed == 0:
        assert refund == paid
    if split is RefundSplit.PRO_RATA and paid + bonus:
        assert abs(refund * (paid + bonus) - (principal + rest) * paid) * 2 <= paid + bonus


def test_the_example_of_the_domain_notes():
    basis = Basis(100_000, 10_000)
    assert closing_refund(RefundSplit.PRO_RATA, basis, principal_minor=100_000, bonus_minor=0) == 90_909
    assert closing_refund(RefundSplit.PRINCIPAL_FIRST, basis, principal_minor=100_000, bonus_minor=0) == 90_000
    assert closing_refund(RefundSplit.AS_SPENT, basis, principal_minor=100_000, bonus_minor=0) == 100_000


PURSES = st.lists(
    st.tuples(st.sampled_from([PurseKind.PRINCIPAL, PurseKind.BONUS]), st.integers(0, 10_000), st.sampled_from([None, -1, 0, 1])),
    max_size=6,
)


@given(purses=PURSES, debts=st.lists(st.integers(0, 5_000), max_size=2), share=st.integers(0, 100))
def test_closing_empties_every_purse_exactly(purses, debts, share):
    views = [
        PurseView(uuid4(), kind, "CNY", balance, 0, 0, None if days is None or kind == PurseKind.PRINCIPAL else NOW + timedelta(days=days))
        for kind, balance, days in purses
    ]
    principal = sum(view.balance_minor for view in views if view.kind == PurseKind.PRINCIPAL)
    living = sum(
        view.balance_minor for view in views if view.kind == PurseKind.BONUS and (view.expires_at is None or view.expires_at > NOW)
    )
    owed = [min(debt, principal // max(len(debts), 1)) for debt in debts]
    views += [PurseView(uuid4(), PurseKind.RECEIVABLE, "CNY", -debt, 0) for debt in owed]
    refund = (principal - sum(owed) + living) * share // 100
    plan = plan_closing(views, refund_minor=refund, now=NOW)
    assert sum(amount for _, amount in plan.refunded) == refund
    moved: dict[UUID, int] = {}
    for source, target, amount in plan.settled:
        moved[source] = moved.get(source, 0) - amount
        moved[target] = moved.get(target, 0) + amount
    for source, amount in plan.refunded + plan.returned + plan.expired:
        moved[source] = moved.get(source, 0) - amount
    assert all(view.balance_minor + moved.get(view.purse_id, 0) == 0 for view in views)
    dead = {view.purse_id for view in views if view.expires_at is not None and view.expires_at <= NOW}
    assert not dead & {source for source, _ in plan.refunded}


def test_only_money_brought_in_is_the_basis_of_a_closing():
    principal, bonus = PurseKind.PRINCIPAL, PurseKind.BONUS
    moves = [
        Movement(principal, TransferKind.LOAD, True, False, 1_000),
        Movement(principal, TransferKind.DISCOUNT, True, False, 40),
        Movement(principal, TransferKind.BONUS_RETURN, False, False, 40),
        Movement(bonus, TransferKind.BONUS, True, False, 100),
        Movement(principal, TransferKind.SALE, False, False, 500),
        Movement(principal, TransferKind.REFUND, True, False, 50),
        Movement(principal, TransferKind.REFUND, True, True, 70),
        Movement(principal, TransferKind.VOID, False, False, 200),
        Movement(principal, TransferKind.BONUS_RETURN, False, False, 10),
        Movement(bonus, TransferKind.EXPIRY, False, False, 20),
        Movement(principal, TransferKind.FEE, False, False, 30),
        Movement(principal, TransferKind.SETTLEMENT, False, False, 40),
    ]
    assert basis_of(moves) == Basis(1_000 + 70 - 200, 100 - 10 - 20)


@pytest.mark.parametrize(
    ("amount", "second", "refused"), [(99, None, False), (100, None, True), (100, 2, False), (1, 1, True), (100, 1, True)]
)
def test_two_people_are_two(amount, second, refused):
    facts = {"rule": "r", "from_minor": 100, "amount_minor": amount, "currency": "CNY", "first": UUID(int=1)}
    if refused:
        with pytest.raises(SecondPersonNeeded):
            require_second_person(second=second and UUID(int=second), **facts)
    else:
        require_second_person(second=second and UUID(int=second), **facts)


def test_a_term_is_never_short():
    assert years_later(datetime(2024, 2, 29, tzinfo=UTC), 5) == datetime(2029, 3, 1, tzinfo=UTC)
    assert months_later(datetime(2026, 8, 31, tzinfo=UTC), 6) == datetime(2027, 3, 1, tzinfo=UTC)
    assert months_later(datetime(2026, 12, 31, tzinfo=UTC), 1) == datetime(2027, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(500_000, "CNY", "¥5,000.00"), (5, "CNY", "¥0.05"), (12_000, "EUR", "120.00 EUR"), (1234567, "JPY", "1,234,567 JPY")],
)
def test_amounts_are_written_for_readers(amount, currency, text):
    assert shown(amount, currency) == text
