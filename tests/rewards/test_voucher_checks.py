"""Vouchers, gifts and referrals kept by the operations are clean; each invariant, broken by hand, is named with its row."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.checks.model import Scope
from loyalty.checks.queries.trail import PROTECTED, _opens
from loyalty.checks.queries.vouchers import CHECKS
from loyalty.checks.running import examine
from loyalty.crypto import use_keyring
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.rewards.model_vouchers import ValueType
from loyalty.rewards.operations.gift_stock import receive_gifts
from loyalty.rewards.operations.gifts import GiftWish, grant_gifts, hand_out, reserve_gift, return_gift
from loyalty.rewards.operations.redemptions import redeem, reserve, roll_back
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from loyalty.rewards.operations.vouchers import VoucherWish, issue, take_back
from loyalty.rewards.queries.vouchers import outlet_of_station
from tests.conftest import NOW
from tests.factories.world import SYSTEM

from .people import new_customer
from .test_referrals import FIRST, LOYAL, Town

BREACHES = {
    "vouchers-counted": "UPDATE voucher_counters SET issued = issued - 1 WHERE issued > 1",
    "vouchers-limits": "UPDATE voucher_counters SET at_most = 400 WHERE at_most = 500",
    "vouchers-issued": "UPDATE voucher_issues SET wanted = wanted + 1, given = given + 1",
    "vouchers-redeemed": "UPDATE vouchers SET left_minor = left_minor + 1 WHERE left_minor < face_minor",
    "vouchers-lives": "UPDATE vouchers SET status = 'cancelled' WHERE status = 'issued'",
    "vouchers-paid-with": "UPDATE voucher_redemptions SET honoured_minor = 899 WHERE honoured_minor = 900",
    "vouchers-overdue": "UPDATE vouchers SET expires_at = '2026-09-01' WHERE status = 'issued'",
    "gifts-stock": "UPDATE gift_stocks SET on_hand = on_hand + 1",
    "gifts-set-aside": "UPDATE gift_entitlements SET pieces = pieces + 1 WHERE status = 'reserved'",
    "gifts-rights": "UPDATE gift_entitlements SET status = 'granted' WHERE status = 'handed_out'",
    "referrals-paid": "UPDATE grants SET amount = amount + 1, posted = posted + 1 WHERE source = 'referral' AND kind = 'points'",
    "referrals-most": "UPDATE referral_programmes SET most_each = 1, changed_at = '2026-01-01'",
}
PAID = """
UPDATE sales SET detail = jsonb_build_object('tenders', jsonb_build_array(jsonb_build_object('tender', 'voucher',
    'amount_minor', 900, 'reference', (SELECT redemption_id FROM voucher_redemptions WHERE honoured_minor = 900 AND status = 'redeemed'))))
"""
TWICE = """
INSERT INTO sales
SELECT (jsonb_populate_record(s, jsonb_build_object('sale_id', overlay(s.sale_id::text placing '00' from 35)))).* FROM sales s
"""
MORE = {
    "vouchers-paid-with": [
        "UPDATE sales SET detail = jsonb_set(detail, '{tenders,0,reference}', to_jsonb(gen_random_uuid()::text))",
        "UPDATE sales SET detail = jsonb_set(detail, '{tenders,0,amount_minor}', '901')",
        TWICE,
    ],
    "vouchers-redeemed": [
        "DELETE FROM voucher_events WHERE redemption_id IS NOT NULL; DELETE FROM voucher_redemptions WHERE status = 'redeemed'",
        "UPDATE vouchers SET status = 'redeemed' WHERE status = 'issued'",
        "UPDATE vouchers SET status = 'issued' WHERE status = 'reserved'",
    ],
    "vouchers-issued": ["DELETE FROM voucher_issues"],
    "vouchers-counted": ["DELETE FROM voucher_counters", "UPDATE vouchers SET counted_for = NULL"],
    "gifts-stock": ["UPDATE gift_moves SET reserved_change = 0 WHERE kind = 'reserved'", "DELETE FROM gift_stocks"],
    "gifts-rights": ["DELETE FROM gift_hand_outs", "UPDATE gift_moves SET on_hand_change = 0 WHERE kind = 'handed_out'"],
    "referrals-paid": ["DELETE FROM grants WHERE source = 'referral'"],
}


async def keep(sessions) -> None:
    """Something of everything: limits, parts, roll-backs, refunds; stock, reservations, returns; two customers brought."""
    async with transaction(sessions) as session:
        town = await Town(session, NOW).furnish()
        await town.programme(FIRST, LOYAL)
        old, _ = await town.person(days=8)
        for _ in range(2):
            _, account = await town.person(referrer_id=old)
            await town.load(account, 10_000)
            await town.fill(account)
            await town.fill(account)
        await town.look()
        await keep_vouchers(session, town)
        await keep_gifts(session, town)
        # Fills without their transfers are another check's business.
        await session.execute(text("DELETE FROM sales"))
        await town.fill(account)
        await session.execute(text(PAID))


async def keep_vouchers(session, town) -> None:
    parts = {
        "name_zh": "券",
        "name_en": "Parts",
        "value_type": ValueType.MONEY,
        "zone": "Asia/Shanghai",
        "face_minor": 900,
        "currency": "CNY",
    }
    facts = KindFacts(**parts, partial=True, limit_total=500, limit_each=5, validity_days=30)
    await put_kind(session, code="parts", facts=facts, actor=SYSTEM, now=NOW)
    customer = await new_customer(session, NOW)
    issued = await issue(session, wish=VoucherWish("parts", "grant", "g-1", customer, wanted=9), actor=SYSTEM, now=NOW)
    at = await outlet_of_station(session, station_id=town.world.station_id)
    here = {"at": at, "actor": SYSTEM, "now": NOW}
    keys = [uuid4() for _ in range(4)]
    for key, amount in zip(keys[:3], (900, 400, 300), strict=True):
        place = 0 if amount == 900 else 1
        await reserve(session, voucher_id=issued.voucher_ids[place], key=key, amount_minor=amount, **here)
        await redeem(session, key=key, **here)
    await roll_back(session, key=keys[2], reason="wrong", **here)
    await roll_back(session, key=uuid4(), reason="never came", **here)
    await reserve(session, voucher_id=issued.voucher_ids[2], key=keys[3], **here)
    await take_back(session, source_kind="grant", source_id="g-1", pieces=1, reason="refund", actor=SYSTEM, now=NOW)


async def keep_gifts(session, town) -> None:
    here = town.world.station_id
    await receive_gifts(session, code="towel", place_id=here, pieces=9, actor=SYSTEM, now=NOW)
    wishes = [GiftWish("towel", "grant", str(number), pieces=2) for number in range(4)]
    rights = await grant_gifts(session, wishes=wishes, actor=SYSTEM, now=NOW)
    await reserve_gift(session, entitlement_id=rights[0], station_id=here, actor=SYSTEM, now=NOW)
    for right in rights[1:3]:
        await hand_out(session, entitlement_id=right, station_id=here, signature="M10,20 L30,40", actor=town.clerk, now=NOW)
    await return_gift(session, entitlement_id=rights[2], restock=True, reason="torn", actor=town.clerk, now=NOW)


@pytest.fixture(scope="module")
async def books(databases, key_set):
    url = await databases.clone()
    engine = make_engine(url, role="loyalty_hot")
    use_keyring(key_set)
    await keep(make_sessions(engine))
    await engine.dispose()
    yield url
    await databases.drop(url)


@pytest.fixture
async def breaking(books):
    """Yield a session of the owner whose damage is undone."""
    engine = make_engine(books, transaction_seconds=0)
    async with engine.connect() as connection:
        done = await connection.begin()
        async with AsyncSession(connection, expire_on_commit=False) as session:
            yield session
        await done.rollback()
    await engine.dispose()


async def broken(session, checks=CHECKS) -> dict:
    scope = Scope(now=NOW + timedelta(minutes=5))
    return {result.check.code: result.found async for result in examine(session, scope, checks=checks) if result.found.count}


async def test_books_kept_by_the_operations_are_clean(breaking):
    assert {code: found.rows for code, found in (await broken(breaking)).items()} == {}
    sealed = [_opens(column) for column in PROTECTED if column.table in {"vouchers", "gift_hand_outs"}]
    assert (len(sealed), await broken(breaking, sealed)) == (2, {})


@pytest.mark.parametrize(
    ("code", "sentences"),
    [*BREACHES.items(), *((code, each) for code, several in MORE.items() for each in several)],
)
async def test_a_broken_row_is_named(breaking, code, sentences):
    for sentence in sentences.split("; "):
        done = await breaking.execute(text(sentence))
        assert done.rowcount, "the damage was done"
    assert (await broken(breaking))[code].rows


async def test_a_name_says_which_voucher_and_both_figures(breaking):
    await breaking.execute(text("UPDATE vouchers SET left_minor = 899 WHERE left_minor = 0"))
    (row,) = [row for row in (await broken(breaking))["vouchers-redeemed"].rows if row["left_minor"] == 899]
    assert (row["face_minor"], row["taken_minor"]) == (900, 900)


async def test_a_moved_code_does_not_open(breaking):
    await breaking.execute(text("UPDATE vouchers a SET code_sealed = b.code_sealed FROM vouchers b WHERE a.voucher_id < b.voucher_id"))
    (check,) = [_opens(column) for column in PROTECTED if column.table == "vouchers"]
    assert await broken(breaking, [check])


def test_every_check_is_broken():
    assert {check.code for check in CHECKS} == set(BREACHES)
