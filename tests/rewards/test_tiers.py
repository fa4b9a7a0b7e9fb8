"""Tiers are reached at once, kept through a grace, and counted for one customer whatever records and accounts it has."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import event, select, text

from loyalty.audit.model import Actor, ActorKind
from loyalty.customers.model import CustomerKind
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import AccountKind
from loyalty.policy import load_policy
from loyalty.pricing.model import Standing
from loyalty.pricing.operations.standings import set_tiers
from loyalty.rewards.model_tiers import ActivityDay, Downgrade, Meets, MoveWhy, TierMove, TierStanding, TierWindow
from loyalty.rewards.operations.activity import refresh, refresh_next
from loyalty.rewards.operations.tiers import (
    GrantEnded,
    ProgrammeFacts,
    RankTaken,
    TierFacts,
    WindowNotWhole,
    evaluate,
    evaluate_everybody,
    grant_tier,
    lock_tier,
    put_programme,
    put_tier,
)
from loyalty.rewards.queries.tiers import TierNotFound, count_by_tier, get_tier, list_moves, list_tiers, progress_of
from loyalty.rewards.tier_rules import Criteria, Figures, Held, Span, Terms, judge, meets, window_before, window_of
from loyalty.topups import operations as topups
from loyalty.topups.model import Tender
from tests.factories.world import SYSTEM, make_world

from .earning import ZONE, new_customer, refunded, sold

DAY = timedelta(days=1)
FIRST = UUID(int=0)
OFFICE = Actor(ActorKind.SYSTEM, "tests")


@pytest.fixture
async def club(session, now):
    world = await make_world(session, now=now)
    world.li = await new_customer(session, now - 400 * DAY, "li")
    world.account = await account_of(session, world.li, now)
    await put_programme(session, facts=ProgrammeFacts(window_days=30, grace_days=10), actor=OFFICE, now=now)
    await put_tier(session, code="silver", facts=tier("Silver", 1, spend_minor=100_00), actor=OFFICE, now=now)
    await put_tier(session, code="gold", facts=tier("Gold", 2, spend_minor=500_00, visits=20), actor=OFFICE, now=now)
    await put_tier(session, code="black", facts=tier("Black", 3, spend_minor=900_00, visits=3, meets=Meets.ALL), actor=OFFICE, now=now)
    return world


def tier(name, rank, **facts) -> TierFacts:
    return TierFacts(name_zh=name, name_en=name, rank=rank, **facts)


async def account_of(session, customer_id, now, kind=AccountKind.PERSONAL, currency="CNY"):
    return await ledger.open_account(session, kind=kind, currency=currency, customer_id=customer_id, card_product_id=None, now=now)


async def did(session, world, account, amount_minor, day, *, litres_milli=10_000):
    """Sell on a day before the tests' one, and reckon that day."""
    at = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
    sale = await sold(session, world, account, 0, [], at=at, amount_minor=amount_minor, litres_milli=litres_milli)
    await session.execute(text("UPDATE sales SET business_day = :day WHERE sale_id = :sale"), {"day": day, "sale": sale})
    touched = await refresh(session, since=at - DAY, until=at + DAY, zone=ZONE)
    return sale, touched


async def night(session, now):
    return (await evaluate_everybody(session, after=FIRST, most=1000, zone=ZONE, now=now)).moved


async def standing(session, customer_id):
    session.expire_all()
    return await session.get(TierStanding, customer_id)


async def tier_of(session, customer_id):
    session.expire_all()
    held = await session.get(TierStanding, customer_id)
    at_the_pump = await session.get(Standing, customer_id)
    assert (held.tier if held else None) == (at_the_pump.tier if at_the_pump else None)
    return held.tier if held else None


async def test_a_tier_is_reached_at_once(session, club, now):
    _, touched = await did(session, club, club.account, 120_00, date(2026, 9, 24))
    assert touched == [club.li]
    assert await evaluate(session, customer_ids=touched, zone=ZONE, now=now) == 1
    assert await evaluate(session, customer_ids=touched, zone=ZONE, now=now) == 0
    assert await tier_of(session, club.li) == "silver"
    await did(session, club, club.account, 800_00, date(2026, 9, 24))
    await evaluate(session, customer_ids=[club.li], zone=ZONE, now=now)
    assert await tier_of(session, club.li) == "gold", "black asks for three visits too"
    await did(session, club, club.account, 1_00, date(2026, 9, 23))
    await evaluate(session, customer_ids=[club.li], zone=ZONE, now=now)
    assert await tier_of(session, club.li) == "black"
    moves = (await list_moves(session, customer_id=club.li)).rows
    assert [(move.from_tier, move.to_tier, move.why) for move in moves] == [
        ("gold", "black", MoveWhy.REACHED),
        ("silver", "gold", MoveWhy.REACHED),
        (None, "silver", MoveWhy.REACHED),
    ]
    assert moves[0].facts == {
        "spend_minor": 921_00, "quantity_milli": 30_000, "topup_minor": 0, "visits": 3, "from": "2026-08-26", "to": "2026-09-24"
    }  # fmt: skip


async def test_a_family_of_records_is_one_customer(session, club, now):
    same = await new_customer(session, now, "li again", merged_into=club.li)
    again = await new_customer(session, now, "and again", merged_into=same)
    other = await account_of(session, again, now)
    await did(session, club, club.account, 60_00, date(2026, 9, 24))
    _, touched = await did(session, club, other, 60_00, date(2026, 9, 24))
    assert again in touched
    assert await evaluate(session, customer_ids=[again], zone=ZONE, now=now) == 1
    assert await tier_of(session, club.li) == "silver"
    at_the_pump = {row.customer_id: row.tier for row in await session.scalars(select(Standing))}
    assert at_the_pump == {club.li: "silver", same: "silver", again: "silver"}
    assert await standing(session, again) is None


async def test_a_record_merged_later_gets_the_tier_at_night(session, club, now):
    await did(session, club, club.account, 120_00, date(2026, 9, 24))
    await night(session, now)
    same = await new_customer(session, now, "li again", merged_into=club.li)
    assert await night(session, now) == 0
    assert (await session.get(Standing, same)).tier == "silver"


async def test_who_falls_below_keeps_the_tier_for_the_grace(session, club, now):
    await did(session, club, club.account, 120_00, date(2026, 9, 24))
    await night(session, now)
    fallen = now + 30 * DAY
    assert await night(session, fallen - DAY) == 0
    assert (await standing(session, club.li)).grace_until is None
    assert await night(session, fallen) == 0
    assert (await standing(session, club.li)).grace_until == date(2026, 11, 3)
    assert await evaluate(session, customer_ids=[club.li], zone=ZONE, now=fallen + 20 * DAY) == 0, "only the night lowers"
    assert await night(session, fallen + 9 * DAY) == 0
    assert await night(session, fallen + 10 * DAY) == 1
    assert await tier_of(session, club.li) is None


async def test_who_recovers_within_the_grace_has_lost_nothing(session, club, now):
    await did(session, club, club.account, 120_00, date(2026, 9, 24))
    await night(session, now)
    await night(session, now + 30 * DAY)
    await did(session, club, club.account, 120_00, date(2026, 10, 26))
    assert await night(session, now + 33 * DAY) == 0
    held = await standing(session, club.li)
    assert (held.tier, held.grace_until, held.since) == ("silver", None, date(2026, 9, 24))


async def test_a_refund_takes_its_figures_back(session, club, now):
    sale, _ = await did(session, club, club.account, 120_00, date(2026, 9, 20))
    refund = await refunded(session, club, club.account, sale, [], at=now)
    partly = "UPDATE refunds SET gross_minor = 3000, quantity_milli = 2500 WHERE refund_id = :id"
    await session.execute(text(partly), {"id": refund})
    await session.execute(text("UPDATE sales SET refunded_minor = 3000, status = 2 WHERE sale_id = :id"), {"id": sale})
    assert await refresh(session, since=now - timedelta(hours=1), until=now + timedelta(hours=1), zone=ZONE) == [club.li]
    session.expire_all()
    day = await session.get(ActivityDay, (club.account, date(2026, 9, 20)))
    assert (day.spend_minor, day.quantity_milli, day.visits) == (90_00, 7_500, 1)


async def test_top_ups_count_on_their_day_less_what_went_back(session, club, now):
    facts = {"policy": load_policy("generic"), "actor": SYSTEM, "event_at": now, "now": now, "station_id": club.station_id}
    await topups.load(session, account_id=club.account, amount_minor=300_00, tender=Tender.CASH, **facts)
    assert await refresh(session, since=now - DAY, until=now + DAY, zone=ZONE) == [club.li]
    session.expire_all()
    assert (await session.get(ActivityDay, (club.account, date(2026, 9, 24)))).topup_minor == 300_00
    await session.execute(text("UPDATE topups SET returned_minor = 10000"))
    await refresh(session, since=now - DAY, until=now + DAY, zone=ZONE)
    session.expire_all()
    assert (await session.get(ActivityDay, (club.account, date(2026, 9, 24)))).topup_minor == 200_00


async def test_bearers_and_other_currencies_do_not_count(session, club, now):
    bearer = await account_of(session, None, now, kind=AccountKind.ANONYMOUS)
    assert (await did(session, club, bearer, 500_00, date(2026, 9, 24)))[1] == []
    euro = await account_of(session, club.li, now, currency="EUR")
    await did(session, club, euro, 500_00, date(2026, 9, 24))
    assert await night(session, now) == 0


async def test_companies_count_where_the_programme_says_so(session, club, now):
    firm = await new_customer(session, now, "firm", kind=CustomerKind.ORGANISATION)
    account = await account_of(session, firm, now, kind=AccountKind.COMPANY)
    await did(session, club, account, 500_00, date(2026, 9, 24))
    assert await night(session, now) == 0
    assert await progress_of(session, customer_id=firm, zone=ZONE, now=now) is None
    await put_programme(session, facts=ProgrammeFacts(window_days=30, companies=True), actor=OFFICE, now=now)
    assert await night(session, now) == 1
    assert await tier_of(session, firm) == "gold"


async def test_progress_says_what_is_missing_and_until_when(session, club, now):
    await did(session, club, club.account, 180_00, date(2026, 9, 24))
    await night(session, now)
    seen = await progress_of(session, customer_id=club.li, zone=ZONE, now=now)
    assert (seen.tier.code, seen.next.code, seen.ends) == ("silver", "gold", None)
    assert [(one.name, one.have, one.left, one.percent) for one in seen.missing] == [
        ("spend_minor", 180_00, 320_00, 36),
        ("visits", 1, 19, 5),
    ]
    assert seen.nearest == seen.missing[0]
    await put_programme(session, facts=ProgrammeFacts(window=TierWindow.MONTH), actor=OFFICE, now=now)
    assert (await progress_of(session, customer_id=club.li, zone=ZONE, now=now)).ends == date(2026, 9, 30)
    await grant_tier(session, customer_id=club.li, tier="black", reason="", zone=ZONE, actor=OFFICE, now=now)
    top = await progress_of(session, customer_id=club.li, zone=ZONE, now=now)
    assert (top.next, top.nearest) == (None, None)


async def test_a_calendar_tier_holds_through_the_next_period(session, club, now):
    await put_programme(session, facts=ProgrammeFacts(window=TierWindow.MONTH, grace_days=0), actor=OFFICE, now=now)
    await did(session, club, club.account, 120_00, date(2026, 9, 24))
    await night(session, now)
    assert await night(session, datetime(2026, 10, 31, 12, tzinfo=UTC)) == 0
    assert await night(session, datetime(2026, 10, 31, 16, tzinfo=UTC)) == 1
    assert await tier_of(session, club.li) is None


async def test_an_anniversary_year_begins_on_the_day_the_customer_joined(session, club, now):
    await put_programme(session, facts=ProgrammeFacts(window=TierWindow.ANNIVERSARY, grace_days=0), actor=OFFICE, now=now)
    joined = datetime(2025, 9, 25, 12, tzinfo=UTC)
    await session.execute(text("UPDATE customers SET created_at = :at WHERE customer_id = :id"), {"at": joined, "id": club.li})
    await did(session, club, club.account, 120_00, date(2026, 9, 24))
    await night(session, now)
    seen = await progress_of(session, customer_id=club.li, zone=ZONE, now=now)
    assert (seen.figures.spend_minor, seen.ends) == (120_00, date(2026, 9, 24))
    seen = await progress_of(session, customer_id=club.li, zone=ZONE, now=now + DAY)
    assert (seen.figures.spend_minor, seen.ends, seen.tier.code) == (0, date(2027, 9, 24), "silver")
    assert await night(session, now + 365 * DAY) == 0
    assert await night(session, now + 366 * DAY) == 1


async def test_a_granted_tier_is_kept_until_its_day(session, club, now):
    with pytest.raises(TierNotFound):
        await grant_tier(session, customer_id=club.li, tier="diamond", reason="x", zone=ZONE, actor=OFFICE, now=now)
    with pytest.raises(GrantEnded):
        await grant_tier(session, customer_id=club.li, tier="gold", reason="x", until=date(2026, 9, 24), zone=ZONE, actor=OFFICE, now=now)
    until = date(2026, 10, 24)
    await grant_tier(session, customer_id=club.li, tier="gold", reason="complaint", until=until, zone=ZONE, actor=OFFICE, now=now)
    assert await tier_of(session, club.li) == "gold"
    assert await night(session, now + 29 * DAY) == 0
    assert (await standing(session, club.li)).grace_until is None
    await night(session, now + 30 * DAY)
    assert (await standing(session, club.li)).grace_until == date(2026, 11, 3)
    (move,) = (await list_moves(session, why=[MoveWhy.GRANTED])).rows
    assert (move.name, move.to_tier, move.reason, move.facts) == ("li", "gold", "complaint", {"until": "2026-10-24"})


async def test_a_locked_customer_is_never_lowered(session, club, now):
    await did(session, club, club.account, 120_00, date(2026, 9, 24))
    await night(session, now)
    for _ in range(2):
        await lock_tier(session, customer_id=club.li, locked=True, reason="founder", zone=ZONE, actor=OFFICE, now=now)
    assert await night(session, now + 100 * DAY) == 0
    await lock_tier(session, customer_id=club.li, locked=False, reason="", zone=ZONE, actor=OFFICE, now=now)
    await night(session, now + 100 * DAY)
    assert await night(session, now + 110 * DAY) == 1
    assert [move.why for move in await session.scalars(select(TierMove).order_by(TierMove.move_id))] == [
        MoveWhy.REACHED,
        MoveWhy.LOCKED,
        MoveWhy.UNLOCKED,
        MoveWhy.GRACE_ENDED,
    ]


async def test_definitions_hold_together(session, club, now):
    with pytest.raises(RankTaken):
        await put_tier(session, code="copper", facts=tier("Copper", 2), actor=OFFICE, now=now)
    with pytest.raises(WindowNotWhole):
        await put_programme(session, facts=ProgrammeFacts(), actor=OFFICE, now=now)
    await put_tier(session, code="black", facts=tier("Black", 3, active=False), actor=OFFICE, now=now)
    session.expire_all()
    assert [one.code for one in await list_tiers(session, only_active=True)] == ["silver", "gold"]
    assert (await get_tier(session, code="black")).active is False
    with pytest.raises(TierNotFound):
        await get_tier(session, code="diamond")


async def test_evaluating_is_a_fixed_number_of_statements(session, club, now):
    """Fifty customers cost what one does: figures are summed and judged together, not one by one."""

    async def statements(customers) -> int:
        for number in range(customers):
            account = await account_of(session, await new_customer(session, now, f"c{customers}-{number}"), now)
            await did(session, club, account, 600_00, date(2026, 9, 24))
        connection = (await session.connection()).sync_connection
        seen: list[str] = []
        listener = lambda *arguments: seen.append(arguments[2])  # noqa: E731 - event.remove wants the same object
        event.listen(connection, "before_cursor_execute", listener)
        assert await night(session, now) == customers
        event.remove(connection, "before_cursor_execute", listener)
        return len(seen)

    assert await statements(1) == await statements(50)
    assert (await count_by_tier(session))["gold"] == 51


async def test_chunks_of_customers_follow_each_other(session, club, now):
    for number in range(5):
        account = await account_of(session, await new_customer(session, now, f"c{number}"), now)
        await did(session, club, account, 120_00, date(2026, 9, 24))
    after, moved = FIRST, 0
    while after is not None:
        chunk = await evaluate_everybody(session, after=after, most=2, zone=ZONE, now=now)
        moved, after = moved + chunk.moved, chunk.last
    assert moved == 5


async def test_the_mark_of_activity_moves_on(session, club, now):
    await did(session, club, club.account, 60_00, date(2026, 9, 24))
    first = await refresh_next(session, span=timedelta(hours=1), until=now, zone=ZONE)
    assert (first.customer_ids, first.is_done) == ([], True), "accounts were opened at this very instant"
    assert (await refresh_next(session, span=3 * DAY, until=now + DAY, zone=ZONE)).customer_ids == [club.li]


async def test_without_a_programme_nobody_has_a_tier(session, now):
    assert await evaluate(session, customer_ids=[FIRST], zone=ZONE, now=now) == 0
    assert await evaluate_everybody(session, after=FIRST, most=5, zone=ZONE, now=now) == (0, None)
    assert await set_tiers(session, tiers={}, now=now) == 0


TERMS = Terms(TierWindow.ROLLING, 30, 10, Downgrade.BY_BALANCE)


@pytest.mark.parametrize(
    ("window", "today", "span", "before"),
    [
        (TierWindow.MONTH, date(2026, 9, 24), (date(2026, 9, 1), date(2026, 10, 1)), (date(2026, 8, 1), date(2026, 9, 1))),
        (TierWindow.QUARTER, date(2026, 9, 24), (date(2026, 7, 1), date(2026, 10, 1)), (date(2026, 4, 1), date(2026, 7, 1))),
        (TierWindow.YEAR, date(2026, 9, 24), (date(2026, 1, 1), date(2027, 1, 1)), (date(2025, 1, 1), date(2026, 1, 1))),
        (TierWindow.ANNIVERSARY, date(2027, 2, 27), (date(2026, 2, 28), date(2027, 2, 28)), (date(2025, 2, 28), date(2026, 2, 28))),
        (TierWindow.ANNIVERSARY, date(2027, 2, 28), (date(2027, 2, 28), date(2028, 2, 29)), (date(2026, 2, 28), date(2027, 2, 28))),
        (TierWindow.ROLLING, date(2026, 9, 24), (date(2026, 8, 26), date(2026, 9, 25)), None),
    ],
)
def test_windows_follow_the_calendar(window, today, span, before):
    terms, joined = TERMS._replace(window=window), date(2024, 2, 29)
    assert window_of(terms, today=today, joined=joined) == Span(*span)
    assert window_before(terms, Span(*span), joined=joined) == (before and Span(*before))


TODAY = date(2026, 9, 24)
LATER = TODAY + timedelta(days=1)


@pytest.mark.parametrize(
    ("held", "reached", "terms", "verdict"),
    [
        (Held(1), 3, {}, (3, None, MoveWhy.REACHED)),
        (Held(2, grace_until=LATER), 2, {}, (2, None, None)),
        (Held(3), 1, {}, (3, TODAY + timedelta(days=10), None)),
        (Held(3, grace_until=LATER), 1, {}, (3, LATER, None)),
        (Held(3, grace_until=TODAY), 1, {}, (1, None, MoveWhy.GRACE_ENDED)),
        (Held(3), 1, {"grace_days": 0}, (1, None, MoveWhy.GRACE_ENDED)),
        (Held(3, grace_until=TODAY), 1, {"downgrade": Downgrade.ONE_DOWN}, (2, TODAY + timedelta(days=10), MoveWhy.GRACE_ENDED)),
        (Held(3, grace_until=TODAY), 2, {"downgrade": Downgrade.ONE_DOWN}, (2, None, MoveWhy.GRACE_ENDED)),
        (Held(1, grace_until=TODAY), 0, {"downgrade": Downgrade.ONE_DOWN}, (0, None, MoveWhy.GRACE_ENDED)),
        (Held(3, grace_until=TODAY), 1, {"downgrade": Downgrade.NEVER}, (3, None, None)),
        (Held(3, grace_until=TODAY, locked=True), 1, {}, (3, None, None)),
        (Held(3, granted_until=LATER), 1, {}, (3, None, None)),
        (Held(3, granted_until=TODAY), 1, {}, (3, TODAY + timedelta(days=10), None)),
    ],
)
def test_up_at_once_and_down_after_the_grace(held, reached, terms, verdict):
    assert judge(held, reached=reached, terms=TERMS._replace(**terms), ranks=[1, 2, 3], today=TODAY) == verdict


def test_criteria_join_as_the_tier_says():
    some = Criteria("gold", 2, Meets.ANY, spend_minor=100, visits=3)
    assert meets(some, Figures(spend_minor=100))
    assert not meets(some._replace(meets=Meets.ALL), Figures(spend_minor=100))
    assert meets(Criteria("base", 1, Meets.ALL), Figures())
