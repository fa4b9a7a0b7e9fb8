"""Points spent at a till: shown whole, once, out of this station's stock; and back."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from loyalty.authorizations.wire import parse_reference
from loyalty.checks.model import Scope
from loyalty.checks.running import examine
from loyalty.db import transaction
from loyalty.ids import uuid7
from loyalty.pos_client import Card, ProblemError
from loyalty.rewards.model_grants import GrantKind
from loyalty.rewards.operations.gift_stock import GiftFacts, put_gift, receive_gifts
from loyalty.rewards.operations.grants import give
from loyalty.rewards.queries.gifts import stock_at
from tests.factories.world import PIN, SYSTEM

DRAWN = "M10,20 L30,40 Q50 60 70 80"


@pytest.fixture
async def stocked(site, now):
    """An umbrella and a cap: three of the first at the station, none of the second."""
    async with transaction(site.sessions) as session:
        for code, zh, en, steps, pieces in (
            ("umbrella", "雨伞", "Umbrella", ((1, 500), (2, 900)), 3),
            ("cap", "帽子", "Cap", ((1, 100),), 0),
        ):
            facts = GiftFacts(name_zh=zh, name_en=en, zone="Asia/Shanghai", points_steps=steps)
            await put_gift(session, code=code, facts=facts, actor=SYSTEM, now=now)
            if pieces:
                await receive_gifts(session, code=code, place_id=site.world.station_id, pieces=pieces, actor=SYSTEM, now=now)
    return site


async def earn(site, card, now, points=1_240, days=40, active_at=None) -> None:
    async with transaction(site.sessions) as session:
        await give(
            session,
            account_id=card.account_id,
            source="tests",
            source_id=uuid7(now),
            rule="points",
            kind=GrantKind.POINTS,
            unit="POINTS",
            amount=points,
            funders=[("head-office", 1)],
            active_at=active_at or now,
            expires_at=now + timedelta(days=days),
            now=now,
        )


async def pieces(site) -> tuple[int, int]:
    async with transaction(site.sessions) as session:
        return next((line.on_hand, line.reserved) for line in await stock_at(session, place_id=site.world.station_id))


def shown(card) -> Card:
    return Card(number=card.number, pin=PIN)


async def test_a_till_says_what_points_buy_here_and_a_balance_tells_them(stocked, manned, card, now):
    assert [(row["gift"], row["pieces"], row["points"], row["free"]) for row in (await manned.points_offers())["rows"]] == [
        ("umbrella", 1, 500, 3),
        ("umbrella", 2, 900, 3),
    ]
    await earn(stocked, card, now)
    await earn(stocked, card, now, points=22, active_at=now + timedelta(days=3))
    told = await manned.balance(shown(card))
    assert (told["points"], told["points_pending"], told["points_owed"]) == (1_240, 22, 0)
    assert "points" not in await manned.balance(Card(number=card.number)), "a number alone tells nothing"


async def test_signed_for_it_is_handed_over_and_taken_back_into_the_stock(stocked, manned, card, now):
    await earn(stocked, card, now)
    made = await manned.redeem_points(shown(card), gift="umbrella", pieces=2, signature=DRAWN)
    assert (made["outcome"], made["points"], made["pieces"], made["status"]) == ("redeemed", 900, 2, "handed_out")
    assert (made["points_after"], await pieces(stocked)) == (340, (1, 0))
    back = await manned.reverse_redemption(made["redemption"], reason="the wrong gift")
    assert (back["outcome"], back["status"], back["points_after"]) == ("returned", "returned", 1_240)
    assert await pieces(stocked) == (3, 0)
    with pytest.raises(ProblemError) as refused:
        await manned.reverse_redemption(made["redemption"], reason="again")
    assert refused.value.code == "redemption_returned"
    async with transaction(stocked.sessions) as session:
        broken = [result.check.code async for result in examine(session, Scope(now=now + timedelta(minutes=1))) if result.breaks]
    assert broken == [], "the books are whole afterwards"


async def test_unsigned_it_is_set_aside_here_and_freed_again(stocked, manned, card, now):
    await earn(stocked, card, now)
    made = await manned.redeem_points(shown(card), gift="umbrella")
    assert (made["status"], await pieces(stocked)) == ("reserved", (3, 1))
    back = await manned.reverse_redemption(made["redemption"], reason="changed his mind")
    assert (back["status"], back["points_after"], await pieces(stocked)) == ("cancelled", 1_240, (3, 0))


async def test_a_number_alone_spends_nothing_and_wrong_pins_lock(stocked, manned, card, now):
    await earn(stocked, card, now)
    asked = await manned.redeem_points(Card(number=card.number), gift="umbrella")
    assert (asked["outcome"], asked["needs"]) == ("more_data", ["pin"])
    wrong = [await manned.redeem_points(Card(number=card.number, pin="8642"), gift="umbrella") for _ in range(3)]
    assert [each["reason"] for each in wrong] == ["pin_wrong", "pin_wrong", "pin_locked"]
    assert (await manned.redeem_points(shown(card), gift="umbrella"))["reason"] == "pin_locked", "on every channel"
    assert (await manned.redeem_points(Card(number="8810000000000000", pin=PIN), gift="umbrella"))["reason"] == "card_unknown"
    await manned.report_lost(card.number, reason="left in a taxi")
    assert (await manned.redeem_points(shown(card), gift="umbrella"))["reason"] == "card_lost"
    assert await pieces(stocked) == (3, 0)


async def test_a_lost_answer_is_asked_for_again_and_spends_once(stocked, manned, card, now):
    await earn(stocked, card, now)
    key = uuid4()
    body = await manned._sealed({"gift": "umbrella"}, key, shown(card), ())
    pending = manned.record("other", "/v1/points-redemptions", body, key=key)
    first = await manned.deliver(pending)
    await manned.change_pin(shown(card), new_pin="8642")
    assert await manned.deliver(pending) == first, "the same bytes, whatever the PIN is by now"
    assert (await manned.balance(Card(number=card.number, pin="8642")))["points"] == 740


async def test_what_is_refused_takes_nothing(stocked, manned, card, now):
    await earn(stocked, card, now, points=600)
    for gift, pieces_wanted, code in (
        ("umbrella", 2, "points_not_enough"),
        ("umbrella", 3, "not_for_points"),
        ("cap", 1, "gift_out_of_stock"),
        ("hat", 1, "gift_not_found"),
    ):
        with pytest.raises(ProblemError) as refused:
            await manned.redeem_points(shown(card), gift=gift, pieces=pieces_wanted)
        assert refused.value.code == code
    with pytest.raises(ProblemError) as refused:
        await manned.redeem_points(shown(card), gift="umbrella", signature="<script>")
    assert refused.value.code == "signature_not_read"
    assert (await manned.balance(shown(card)))["points"] == 600
    assert await pieces(stocked) == (3, 0)


async def test_after_the_shift_a_second_person_undoes_it(stocked, manned, people, card, now):
    await earn(stocked, card, now)
    made = await manned.redeem_points(shown(card), gift="umbrella")
    both = parse_reference(made["redemption"])
    assert both is not None
    await manned.close_shift(counted_cash_minor=50_000)
    await backdate(stocked, both[1], now - timedelta(hours=1))
    await manned.open_shift(people.cashier, opening_float_minor=50_000)
    with pytest.raises(ProblemError) as refused:
        await manned.reverse_redemption(made["redemption"], reason="came back")
    assert refused.value.code == "needs_second_person"
    back = await manned.reverse_redemption(made["redemption"], reason="came back", approver=people.manager)
    assert (back["outcome"], back["points_after"]) == ("returned", 1_240)


async def backdate(site, redemption_id: UUID, spent_at) -> None:
    async with transaction(site.sessions) as session:
        bound = {"at": spent_at, "id": redemption_id}
        await session.execute(text("UPDATE points_redemptions SET spent_at = :at WHERE redemption_id = :id"), bound)


async def test_another_stations_redemption_is_not_found(stocked, manned, card, now):
    await earn(stocked, card, now)
    for unknown in ("A" * 43, "nonsense"):
        with pytest.raises(ProblemError) as refused:
            await manned.reverse_redemption(unknown, reason="typed wrong")
        assert refused.value.code == "redemption_not_found"
