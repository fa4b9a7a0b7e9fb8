"""What sales granted is collected once, with the terms it was promised under, and posted as the ledger's own operations would."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select, text

from loyalty.db import transaction
from loyalty.ids import uuid7
from loyalty.ledger.model import AccountStatus, PurseKind, Transfer
from loyalty.ledger.queries import purses_of
from loyalty.money import POINTS
from loyalty.policy import load_policy
from loyalty.pricing.document import Points, Rounding
from loyalty.rewards.model_grants import GRANT_MOVES, Grant, GrantKind, GrantMark, GrantStatus
from loyalty.rewards.operations.grant_returns import mirror_refund
from loyalty.rewards.operations.grants import activate_due, collect, collect_next, collect_one, give, settle_days
from loyalty.rewards.points_rules import active_from, bonus_end, lot_id, points_end
from loyalty.rewards.queries.points import points_of as points_view
from loyalty.stations.model import DayClose
from tests.factories.world import give_card, make_world

from .earning import ZONE, benefit, publish_rules, refunded, sold
from .earning import rule as a_rule

SPLIT = (("head-office", 2), ("station", 1), ("oil-co", 2))
HOUR = timedelta(hours=1)


@pytest.fixture
async def shop(session, now):
    world = await make_world(session, now=now)
    world.book = await publish_rules(session, now=now)
    world.card = await give_card(session, world)
    return world


async def all_grants(session, account_id):
    session.expire_all()
    found = await session.scalars(select(Grant).where(Grant.account_id == account_id).order_by(Grant.source_id, Grant.rule))
    return {grant.rule: grant for grant in found}


async def points_of(session, account_id):
    return sorted(
        ((p.expires_at, p.balance_minor) for p in await purses_of(session, account_id=account_id) if p.kind == PurseKind.POINTS),
        key=lambda lot: (lot[0] is None, lot),
    )


async def collected(session, now):
    return await collect(session, since=now - HOUR, until=now + HOUR, zone=ZONE, now=now)


async def test_a_sale_is_collected_once_with_the_terms_of_its_rules(session, shop, now):
    granted = [
        benefit(shop.book, "litre", "points", 30, funders=SPLIT),
        benefit(shop.book, "slow", "points", 100),
        benefit(shop.book, "rolling", "points", 5),
        benefit(shop.book, "for-ever", "points", 5),
        benefit(shop.book, "back", "bonus", 500, funders=SPLIT),
        benefit(shop.book, "cup", "gift", 1, item="cup"),
        benefit(shop.book, "off", "discount", 300),
    ]
    await sold(session, shop, shop.card.account_id, shop.book, granted, at=now, card_id=shop.card.card_id)
    assert await collected(session, now) == 10, "grants by funder"
    assert await collected(session, now) == 0
    grants = await all_grants(session, shop.card.account_id)
    assert set(grants) == {"litre", "slow", "rolling", "for-ever", "back", "cup"}
    assert {rule: (grant.active_at, grant.expires_at) for rule, grant in grants.items()} == {
        "litre": (now, datetime(2028, 9, 30, 16, tzinfo=UTC)),
        "slow": (datetime(2026, 9, 30, 16, tzinfo=UTC), datetime(2027, 12, 31, 16, tzinfo=UTC)),
        "rolling": (now, datetime(2026, 10, 24, 16, tzinfo=UTC)),
        "for-ever": (now, None),
        "back": (now, datetime(2026, 10, 24, 16, tzinfo=UTC)),
        "cup": (now, None),
    }
    assert grants["litre"].funders == [["head-office", 2], [str(shop.station_id), 1], ["oil-co", 2]]
    assert (grants["cup"].unit, grants["cup"].item, grants["back"].unit, grants["slow"].unit) == ("piece", "cup", "CNY", POINTS)
    assert {grant.status for grant in grants.values()} == {GrantStatus.PENDING}


async def test_a_multiplier_takes_the_terms_of_the_points_it_multiplies(session, shop, now):
    granted = [benefit(shop.book, "slow", "points", 100), benefit(shop.book, "double", "points", 100)]
    await sold(session, shop, shop.card.account_id, shop.book, granted, at=now)
    await collected(session, now)
    grants = await all_grants(session, shop.card.account_id)
    assert (grants["double"].active_at, grants["double"].expires_at) == (grants["slow"].active_at, grants["slow"].expires_at)


async def test_what_is_pending_is_not_in_the_ledger_until_its_day(session, shop, now):
    await sold(session, shop, shop.card.account_id, shop.book, [benefit(shop.book, "slow", "points", 100)], at=now)
    await collected(session, now)
    assert await activate_due(session, now=now) == 0
    assert await points_of(session, shop.card.account_id) == []
    day = datetime(2026, 9, 30, 16, tzinfo=UTC)
    assert await activate_due(session, now=day - timedelta(milliseconds=1)) == 0
    assert await activate_due(session, now=day) == 1
    assert await activate_due(session, now=day) == 0
    assert await points_of(session, shop.card.account_id) == [(datetime(2027, 12, 31, 16, tzinfo=UTC), 100)]


async def test_grants_of_one_expiry_share_a_lot(session, shop, now):
    for _ in range(3):
        await sold(session, shop, shop.card.account_id, shop.book, [benefit(shop.book, "litre", "points", 10, funders=SPLIT)], at=now)
    await collected(session, now)
    assert await activate_due(session, now=now, most=2) == 2
    assert await activate_due(session, now=now, most=2) == 1
    assert await points_of(session, shop.card.account_id) == [(datetime(2028, 9, 30, 16, tzinfo=UTC), 30)]


async def test_the_job_posts_what_the_ledgers_own_operations_post(session, shop, now):
    """The same gains, once collected and posted set-based and once given one by one, leave the same books."""
    other = await give_card(session, shop)
    gains = [
        ("litre", "points", 31, POINTS),
        ("back", "bonus", 503, "CNY"),
        ("for-ever", "points", 7, POINTS),
        ("litre", "points", 1, POINTS),
    ]
    for rule, kind, amount, _ in gains:
        granted = [benefit(shop.book, rule, kind, amount, funders=SPLIT)]
        await sold(session, shop, shop.card.account_id, shop.book, granted, at=now, card_id=None)
    await collected(session, now)
    await activate_due(session, now=now)
    funders = [("head-office", 2), (str(shop.station_id), 1), ("oil-co", 2)]
    ends = {rule: grant.expires_at for rule, grant in (await all_grants(session, shop.card.account_id)).items()}
    for rule, kind, amount, unit in gains:
        given = {"source": "sale", "source_id": uuid7(now), "rule": rule, "kind": GrantKind(kind), "amount": amount, "unit": unit}
        place = {"station_id": shop.station_id, "active_at": now, "expires_at": ends[rule], "now": now}
        assert await give(session, account_id=other.account_id, funders=funders, **given, **place)
    assert await _books(session, shop.card.account_id) == await _books(session, other.account_id)


async def _books(session, account_id):
    purses = await purses_of(session, account_id=account_id)
    lots = {purse.purse_id: (purse.kind, purse.unit, purse.expires_at) for purse in purses}
    rows = await session.scalars(select(Transfer).where(Transfer.account_id == account_id, Transfer.kind != 1))
    moved = [
        (row.debit_id, lots[row.credit_id], row.amount_minor, row.unit, row.kind, row.station_id, row.event_at, row.booked_at, row.period)
        for row in rows
    ]
    return sorted(map(str, moved)), sorted((lots[p.purse_id][:2], str(p.expires_at), p.balance_minor, p.held_minor) for p in purses)


async def test_lots_have_computed_ids(session, shop, now):
    await sold(session, shop, shop.card.account_id, shop.book, [benefit(shop.book, "litre", "points", 10)], at=now)
    await sold(session, shop, shop.card.account_id, shop.book, [benefit(shop.book, "for-ever", "points", 10)], at=now)
    await collected(session, now)
    await activate_due(session, now=now)
    for purse in await purses_of(session, account_id=shop.card.account_id):
        if purse.kind == PurseKind.POINTS:
            assert purse.purse_id == lot_id(shop.card.account_id, PurseKind.POINTS, POINTS, purse.expires_at)


async def test_giving_twice_from_one_source_gives_once(session, shop, now):
    facts = {"source": "referral", "source_id": uuid7(now), "rule": "friend", "kind": GrantKind.POINTS, "amount": 50, "unit": POINTS}
    both = {"account_id": shop.card.account_id, "funders": [("head-office", 1)], "active_at": now, "now": now}
    assert await give(session, **facts, **both)
    assert not await give(session, **facts, **both)
    assert await points_of(session, shop.card.account_id) == [(None, 50)]


async def test_a_closed_accounts_grants_wait(session, shop, now):
    await sold(session, shop, shop.card.account_id, shop.book, [benefit(shop.book, "litre", "points", 10)], at=now)
    await collected(session, now)
    change = text("UPDATE accounts SET status = :status WHERE account_id = :id")
    await session.execute(change, {"status": AccountStatus.CLOSED.value, "id": shop.card.account_id})
    assert await activate_due(session, now=now) == 0
    await session.execute(change, {"status": AccountStatus.OPEN.value, "id": shop.card.account_id})
    assert await activate_due(session, now=now) == 1


async def test_one_sale_is_collected_by_itself(session, shop, now):
    sale = await sold(session, shop, shop.card.account_id, shop.book, [benefit(shop.book, "litre", "points", 10)], at=now)
    await sold(session, shop, shop.card.account_id, shop.book, [benefit(shop.book, "litre", "points", 11)], at=now)
    assert await collect_one(session, account_id=shop.card.account_id, source_id=sale, zone=ZONE, now=now) == 1
    assert await collected(session, now) == 1


async def test_the_mark_moves_on_and_what_commits_late_is_still_found(session, shop, now):
    first = await collect_next(session, span=timedelta(hours=20), until=now, zone=ZONE, now=now)
    assert (first.made, first.is_done) == (0, False)
    assert (await collect_next(session, span=timedelta(hours=20), until=now, zone=ZONE, now=now)).is_done
    late = now - timedelta(minutes=4)
    await sold(session, shop, shop.card.account_id, shop.book, [benefit(shop.book, "litre", "points", 10)], at=late)
    again = await collect_next(session, span=timedelta(hours=20), until=now + HOUR, zone=ZONE, now=now)
    assert (again.made, again.collected_to, again.is_done) == (1, now + HOUR, True)
    assert await session.scalar(select(GrantMark.collected_to)) == now + HOUR


@pytest.mark.parametrize("rounding", Rounding)
async def test_sql_and_rules_reckon_the_same_days(session, shop, now, rounding):
    """The collector's statement and the pure rule date every kind of lot alike, around month ends and leap days too."""
    from loyalty.pricing.document import Points

    from .earning import rule

    terms = [(months, pending) for months in (1, 5, 12, 24) for pending in (0, 3)]
    rules = [
        rule(f"p{months}-{pending}", Points(points=1, expires_months=months, pending_days=pending, rounding=rounding))
        for months, pending in terms
    ]
    book = await publish_rules(session, now=now, rules=rules)
    days = [date(2026, 8, 31), date(2026, 9, 30), date(2026, 9, 24), date(2027, 2, 28)]
    for day in days:
        event = datetime(day.year, day.month, day.day, 3, tzinfo=UTC)
        await sold(
            session, shop, shop.card.account_id, book, [benefit(book, one.code, "points", 1) for one in rules], at=now, event_at=event
        )
    assert await collected(session, now) == len(days) * len(rules)
    for grant in await session.scalars(select(Grant)):
        months, pending = map(int, grant.rule[1:].split("-"))
        earned = grant.event_at.date()
        assert grant.expires_at == points_end(earned, expires_months=months, rounding=rounding, zone=ZONE)
        assert grant.active_at == active_from(earned, pending_days=pending, granted_at=now, zone=ZONE)


def test_bonus_money_ends_with_its_last_day():
    assert bonus_end(date(2026, 9, 24), expires_days=30, zone=ZONE) == datetime(2026, 10, 24, 16, tzinfo=UTC)
    assert bonus_end(date(2026, 9, 24), expires_days=None, zone=ZONE) is None


def test_every_status_has_its_moves():
    assert set(GRANT_MOVES) == set(GrantStatus)
    assert not [status for status in GrantStatus if status in GRANT_MOVES[status]]


async def test_collectors_that_race_make_and_post_each_grant_once(sessions, now):
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
        book = await publish_rules(session, now=now)
        cards = [await give_card(session, world) for _ in range(5)]
        for place in range(60):
            granted = [benefit(book, "litre", "points", 10 + place, funders=SPLIT), benefit(book, "back", "bonus", 500, funders=SPLIT)]
            await sold(session, world, cards[place % 5].account_id, book, granted, at=now - timedelta(seconds=place))

    async def work() -> int:
        done = 0
        async with transaction(sessions) as session:
            await collect_next(session, span=timedelta(days=3), until=now + HOUR, zone=ZONE, now=now)
        async with transaction(sessions) as session:
            await collect(session, since=now - HOUR, until=now + HOUR, zone=ZONE, now=now)
        for _ in range(6):
            async with transaction(sessions) as session:
                done += await activate_due(session, now=now, most=25)
        return done

    done = await asyncio.gather(*(work() for _ in range(4)))
    async with transaction(sessions) as session:
        while more := await activate_due(session, now=now):
            done.append(more)
        assert sum(done) == 120
        assert await session.scalar(select(func.count()).select_from(Grant).where(Grant.status == GrantStatus.ACTIVE)) == 120
        sums = "SELECT kind, sum(balance_minor)::bigint FROM purses WHERE kind IN (2, 3) GROUP BY kind ORDER BY kind"
        assert [tuple(row) for row in await session.execute(text(sums))] == [(2, 30_000), (3, 600 + sum(range(60)))]
        posted = "SELECT kind, sum(amount_minor)::bigint FROM transfers WHERE kind IN (2, 16) GROUP BY kind ORDER BY kind"
        assert [tuple(row) for row in await session.execute(text(posted))] == [(2, 30_000), (16, 600 + sum(range(60)))]


async def closes(session, station_id, day, *, at):
    session.add(DayClose(station_id=station_id, day=day, closed_at=at, closed_by=None, totals={}, totals_hash=bytes(32)))
    await session.flush()


async def another_station(session, shop):
    facts = {"old": shop.station_id, "new": uuid7(shop.now)}
    sentence = """INSERT INTO stations SELECT (
        jsonb_populate_record(s, jsonb_build_object('station_id', CAST(:new AS uuid), 'code', 'other'))
    ).* FROM stations s WHERE station_id = :old"""
    await session.execute(text(sentence), facts)
    return facts["new"]


async def test_what_waits_for_the_day_close_comes_with_it(session, shop, now):
    """Of the sale's business day at its own station: another station's close, and another day's, let nothing come."""
    terms = (Points(points=1, when_settled=True), Points(points=1, when_settled=True, pending_days=7), Points(points=1))
    book = await publish_rules(session, now=now, rules=[a_rule(f"w{place}", effect) for place, effect in enumerate(terms)])
    granted = [benefit(book, f"w{place}", "points", 10 + place) for place in range(3)]
    await sold(session, shop, shop.card.account_id, book, granted, at=now)
    await collected(session, now)
    grants = await all_grants(session, shop.card.account_id)
    assert [grants[code].settles_on for code in ("w0", "w1", "w2")] == [date(2026, 9, 24), date(2026, 9, 24), None]
    assert await activate_due(session, now=now + HOUR) == 1, "what waits for nothing"
    closed = now + timedelta(hours=20)
    await closes(session, shop.station_id, date(2026, 9, 23), at=closed)
    await closes(session, await another_station(session, shop), date(2026, 9, 24), at=closed)
    assert await settle_days(session) == 0
    held = await points_view(session, account_ids=[shop.card.account_id], now=now)
    assert (held.pending, held.pending_from) == (21, None)
    await closes(session, shop.station_id, date(2026, 9, 24), at=closed)
    assert await settle_days(session) == 2
    assert await settle_days(session) == 0
    held = await points_view(session, account_ids=[shop.card.account_id], now=now)
    assert (held.pending, held.pending_from) == (21, closed)
    assert await activate_due(session, now=closed - timedelta(milliseconds=1)) == 0
    assert await activate_due(session, now=closed) == 1
    seventh = datetime(2026, 9, 30, 16, tzinfo=UTC)
    assert await activate_due(session, now=seventh - timedelta(milliseconds=1)) == 0, "days count too"
    assert await activate_due(session, now=seventh) == 1
    assert await points_of(session, shop.card.account_id) == [(None, 33)]


async def test_a_refund_before_the_day_close_strikes_what_waits(session, shop, now):
    book = await publish_rules(session, now=now, rules=[a_rule("w", Points(points=1, when_settled=True))])
    sale = await sold(session, shop, shop.card.account_id, book, [benefit(book, "w", "points", 10)], at=now)
    await collected(session, now)
    refund = await refunded(session, shop, shop.card.account_id, sale, [["w", "points", 4]], at=now + HOUR)
    mirrored = {"account_id": shop.card.account_id, "refund_id": refund, "policy": load_policy("generic"), "zone": ZONE}
    await mirror_refund(session, **mirrored, now=now + HOUR)
    await closes(session, shop.station_id, date(2026, 9, 24), at=now + 2 * HOUR)
    await settle_days(session)
    assert await activate_due(session, now=now + 2 * HOUR) == 1
    assert await points_of(session, shop.card.account_id) == [(None, 6)]
