"""Card products: sound terms only, and every change tells the pump."""

from datetime import timedelta

import pytest

from loyalty import revisions
from loyalty.cards import operations, queries
from loyalty.cards.model import ProductKind
from loyalty.cards.rules import NO_OFFLINE, OfflineProfile, media_expired, media_expiry, months_later, offline_allowance, product_takes
from loyalty.limits.rules import Hours, LimitSet, WindowLimit, compiled
from loyalty.policy import load_policy

PROFILE = OfflineProfile(
    allowed=True,
    fill_amount_minor=30_000,
    fill_quantity_milli=40_000,
    day_amount_minor=50_000,
    day_quantity_milli=80_000,
    day_count=3,
    station_amount_minor=2_000_000,
    shrink_percent_per_hour=10,
)


def gold(**changes):
    facts = {
        "code": "GOLD",
        "name_zh": "金卡",
        "name_en": "Gold",
        "kind": ProductKind.PERSONAL,
        "currency": "CNY",
        "number_bin": "629987",
        "policy": load_policy("cn-single-purpose"),
    }
    return facts | changes


async def test_a_new_product_bumps_the_reference_revision_and_is_in_the_snapshot(session, now):
    before = (await revisions.current(session))[revisions.Kind.REFERENCE]
    limits = LimitSet(windows=(WindowLimit(window="day", measure="amount", value=200_000),))
    product = await operations.create_card_product(session, **gold(default_limits=limits, offline=PROFILE), now=now)
    assert (await revisions.current(session))[revisions.Kind.REFERENCE] == before + 1
    (snapshot,) = [found for found in await queries.snapshot_card_products(session) if found.product_id == product.product_id]
    assert (snapshot.bearer, snapshot.pin_required, snapshot.offline) == (False, True, PROFILE)
    assert compiled(snapshot.default_limits).source == limits
    assert snapshot.spend_order == ("bonus_expiring", "principal", "bonus")
    await operations.change_card_product(session, product_id=product.product_id, policy=load_policy("generic"), active=False, now=now)
    assert (await revisions.current(session))[revisions.Kind.REFERENCE] == before + 2
    with pytest.raises(operations.CardProductExists):
        await operations.create_card_product(session, **gold(), now=now)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"number_bin": "62 998"}, "number_bin"),
        ({"number_bin": "629987", "number_length": 16}, "number_length"),
        ({"number_length": 20}, "number_bin"),
        ({"currency": "XXX"}, "currency"),
        ({"replacement_fee_minor": -1}, "replacement_fee_minor"),
        ({"media_validity_months": 0}, "media_validity_months"),
        ({"default_limits": LimitSet(hours=(Hours(from_="25:00", to="06:00"),))}, "default_limits"),
        ({"offline": PROFILE._replace(day_count=-1)}, "offline_day_count"),
    ],
)
async def test_terms_that_make_no_sense_are_refused_by_name(session, now, changes, field):
    with pytest.raises(operations.CardProductNotSound) as refused:
        await operations.create_card_product(session, **gold(**changes), now=now)
    assert refused.value.facts["field"] == field


@pytest.mark.parametrize(
    ("profile", "months", "allowed"),
    [("cn-single-purpose", 35, False), ("cn-single-purpose", 36, True), ("generic", 12, True)],
)
async def test_the_profile_says_how_long_an_anonymous_card_lasts_at_least(session, now, profile, months, allowed):
    facts = gold(kind=ProductKind.ANONYMOUS, media_validity_months=months, policy=load_policy(profile))
    if allowed:
        assert (await operations.create_card_product(session, **facts, now=now)).bearer
    else:
        with pytest.raises(operations.AnonymousValidityTooShort) as refused:
            await operations.create_card_product(session, **facts, now=now)
        assert "cn-2012-9" in refused.value.sentence("zh")


def test_months_end_where_the_month_ends(now):
    day = now.date().replace(month=1, day=31)
    assert months_later(day, 1).isoformat() == "2026-02-28"
    assert months_later(day, 25).isoformat() == "2028-02-29"
    assert media_expiry(day, None) is None
    assert not media_expired(None, day)
    assert not media_expired(day, day)
    assert media_expired(day, day + timedelta(days=1))


@pytest.mark.parametrize(
    ("minutes", "amount", "count"),
    [(0, 30_000, 3), (59, 30_000, 3), (60, 27_000, 3), (9 * 60, 3_000, 1), (10 * 60, 0, 0), (600 * 60, 0, 0)],
)
def test_what_is_allowed_offline_shrinks_with_the_age_of_the_last_synchronisation(minutes, amount, count):
    allowance = offline_allowance(PROFILE, since_sync=timedelta(minutes=minutes))
    assert (allowance.fill_amount_minor, allowance.day_count, allowance.allowed) == (amount, count, amount > 0)
    assert offline_allowance(NO_OFFLINE, since_sync=timedelta(0)) == NO_OFFLINE


def test_a_product_takes_what_its_lists_say_and_an_empty_list_is_nothing():
    assert product_takes(fuel_kinds=None, shop_categories=(), fuel_kind="diesel", shop_category=None)
    assert not product_takes(fuel_kinds=("gasoline",), shop_categories=None, fuel_kind="diesel", shop_category=None)
    assert not product_takes(fuel_kinds=None, shop_categories=(), fuel_kind=None, shop_category="wash")
    assert product_takes(fuel_kinds=(), shop_categories=None, fuel_kind=None, shop_category="wash")
