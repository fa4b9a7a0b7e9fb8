"""Profiles are read whole or not at all."""

from pathlib import Path

import pytest

import loyalty
from loyalty.policy import CapScope, RefundSplit, load_policy, read_policy

GENERIC = (Path(loyalty.__file__).parent / "policies" / "generic.toml").read_text(encoding="utf-8")


def test_the_default_profile_carries_the_figures_of_the_regulation():
    policy = load_policy("cn-single-purpose")
    assert (policy.cap.registered_minor, policy.cap.anonymous_minor, policy.cap.company_scope) == (500_000, 100_000, CapScope.ALLOCATED)
    assert (policy.real_name.anonymous_from_minor, policy.real_name.keep_years) == (1_000_000, 5)
    assert (policy.no_cash.organisation_from_minor, policy.no_cash.person_from_minor) == (500_000, 5_000_000)
    assert (policy.validity.anonymous_months_min, policy.validity.registered_expires) == (36, False)
    assert (policy.closure.cash_refund_max_minor, policy.closure.split, policy.closure.reopen_months) == (10_000, RefundSplit.PRO_RATA, 6)
    assert (policy.custody.large_percent, policy.custody.group_percent, policy.custody.brand_percent) == (20, 30, 40)


def test_the_generic_profile_binds_nobody():
    policy = load_policy("generic")
    assert policy.cap.registered_minor is policy.cap.anonymous_minor is policy.real_name.anonymous_from_minor is None
    assert policy.no_cash.organisation_from_minor is policy.no_cash.person_from_minor is policy.closure.cash_refund_max_minor is None


def test_a_profile_binds_accounts_of_its_currency_only():
    policy = load_policy("cn-single-purpose")
    assert policy.for_currency("CNY") is policy
    assert policy.for_currency("CZK").name == "generic"
    assert load_policy("generic").for_currency("CZK").name == "generic"


def test_an_issuer_may_bring_a_file_of_its_own(tmp_path):
    file = tmp_path / "house.toml"
    file.write_text(GENERIC.replace('name = "generic"', 'name = "house"'), encoding="utf-8")
    assert load_policy(str(file)).name == "house"


def test_an_unknown_profile_is_named():
    with pytest.raises(LookupError, match="atlantis"):
        load_policy("atlantis")


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('split = "pro_rata"', 'split = "generous"', "split"),
        ("counts_bonus = false", "counts_bonus = false\nceiling = 5", "ceiling"),
        ("keep_years = 5", "keep_years = -1", "keep_years"),
        ("keep_years = 5", "", "keep_years"),
        ('company_scope = "none"', 'company_scope = "none"\nregistered_minor = 5000.0', "registered_minor"),
    ],
)
def test_a_figure_that_is_missing_unknown_or_out_of_range_is_refused(before, after, named):
    assert before in GENERIC
    with pytest.raises(ValueError, match=named):
        read_policy(GENERIC.replace(before, after))
