"""Gifts: pieces are never promised twice, every one of them is in a line, and whoever has none hears what else there is."""

import asyncio
import base64
from collections import Counter
from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import func, select, text, update

from loyalty.db import transaction
from loyalty.errors import NotAllowed
from loyalty.ids import uuid7
from loyalty.ledger.model import AccountKind, PurseKind
from loyalty.ledger.operations import open_account
from loyalty.ledger.queries import purses_of
from loyalty.policy import load_policy
from loyalty.rewards.gift_rules import points_for, read_signature, steps_are_sound
from loyalty.rewards.model_gifts import (
    CENTRAL,
    ENTITLEMENT_MOVES,
    EntitlementStatus,
    GiftEntitlement,
    GiftHandOut,
    GiftMove,
    GiftStock,
    SignatureForm,
)
from loyalty.rewards.model_grants import GrantKind
from loyalty.rewards.operations.gift_buying import NotForPoints, buy_gift, give_back_gift
from loyalty.rewards.operations.gift_stock import (
    AlreadyArrived,
    CountBelowReserved,
    GiftCount,
    GiftFacts,
    GiftNotWhole,
    PiecesNotCounted,
    SamePlace,
    StockTooLow,
    confirm_arrival,
    count_gifts,
    put_gift,
    receive_gifts,
    send_gifts,
    spoil_gifts,
)
from loyalty.rewards.operations.gifts import (
    EntitlementCannotMove,
    EntitlementEnded,
    GiftGrantDiffers,
    GiftOutOfStock,
    GiftsTakenBack,
    GiftWish,
    NotInstead,
    ReservedElsewhere,
    SignatureNotRead,
    cancel_gift,
    expire_gifts,
    grant_gifts,
    hand_out,
    release_gift,
    reserve_gift,
    return_gift,
    swap_gift,
    take_back_gifts,
)
from loyalty.rewards.operations.grants import give
from loyalty.rewards.operations.points import PointsNotEnough
from loyalty.rewards.queries import gifts as queries
from loyalty.stations.operations import StationFacts, put_stations
from loyalty.stations.queries import get_station
from tests.factories.world import SYSTEM, make_world

from .people import hire

DRAWN = "M10,20 L30,40 Q50 60 70 80"
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()


class Store:
    """Two stations, a towel and an umbrella."""

    def __init__(self, session, now) -> None:
        self.session, self.now, self.sources = session, now, 0

    async def furnish(self, pieces=5):
        self.world = await make_world(self.session, now=self.now)
        self.here = self.world.station_id
        first = await get_station(self.session, station_id=self.here)
        second = StationFacts(
            name_zh="二号站",
            name_en="Station 2",
            entity_id=first.entity_id,
            district_id=first.district_id,
            zone="Asia/Shanghai",
            currency="CNY",
        )
        self.there = (await put_stations(self.session, stations={"S2": second}, actor=SYSTEM, now=self.now)).ids["S2"]
        self.clerk = await hire(self.session, self.now)
        await self.gift("towel", "毛巾", "Towel", instead=("umbrella",), validity_days=10, points_steps=((1, 500), (2, 900)))
        await self.gift("umbrella", "雨伞", "Umbrella")
        await self.receive("towel", pieces)
        return self

    async def gift(self, code, name_zh, name_en, **more):
        facts = GiftFacts(name_zh=name_zh, name_en=name_en, zone="Asia/Shanghai", **more)
        return await put_gift(self.session, code=code, facts=facts, actor=SYSTEM, now=self.now)

    async def receive(self, code, pieces, place_id=None):
        where = place_id or self.here
        await receive_gifts(self.session, code=code, place_id=where, pieces=pieces, actor=SYSTEM, now=self.now)

    async def right(self, code="towel", **more):
        self.sources += 1
        wish = GiftWish(code, "grant", f"source-{self.sources}", **more)
        return (await grant_gifts(self.session, wishes=[wish], actor=SYSTEM, now=self.now))[0]

    async def reserve(self, right, station_id=None, now=None):
        where = station_id or self.here
        return await reserve_gift(self.session, entitlement_id=right, station_id=where, actor=SYSTEM, now=now or self.now)

    async def hand_out(self, right, station_id=None, now=None, signature=DRAWN, actor=None):
        return await hand_out(
            self.session,
            entitlement_id=right,
            station_id=station_id or self.here,
            signature=signature,
            actor=actor or self.clerk,
            now=now or self.now,
        )

    async def stock(self, code="towel", place_id=None):
        found = {stock.place_id: (stock.on_hand, stock.reserved) for stock in await queries.stock_of(self.session, code=code)}
        return found.get(place_id or self.here, (0, 0))

    async def balances(self):
        """Every balance is the sum of its lines."""
        lines = (
            select(GiftMove.gift_id, GiftMove.place_id, func.sum(GiftMove.on_hand_change), func.sum(GiftMove.reserved_change))
            .group_by(GiftMove.gift_id, GiftMove.place_id)
            .order_by(GiftMove.gift_id, GiftMove.place_id)
        )
        stock = select(GiftStock.gift_id, GiftStock.place_id, GiftStock.on_hand, GiftStock.reserved)
        stock = stock.order_by(GiftStock.gift_id, GiftStock.place_id)
        return [tuple(row) for row in await self.session.execute(lines)] == [tuple(row) for row in await self.session.execute(stock)]


@pytest.fixture
async def store(session, now):
    store = await Store(session, now).furnish()
    yield store
    assert await store.balances()


# Rules


@pytest.mark.parametrize(
    ("drawn", "form"),
    [
        (DRAWN, SignatureForm.SVG_PATH),
        (f" {DRAWN}\n", SignatureForm.SVG_PATH),
        (PNG, SignatureForm.PNG),
        ("", None),
        ("M1 1", None),
        ("<script>", None),
        ('M10,20 L30,40" onload="x', None),
        ("data:image/png;base64,AAAA", None),
        ("data:image/png;base64,***", None),
        (PNG[:22] + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(70_000)).decode(), None),
    ],
)
def test_a_signature_is_a_path_or_a_picture_and_nothing_else(drawn, form):
    read = read_signature(drawn)
    assert (None if read is None else read.form) is form


def test_points_buy_by_steps():
    steps = [[1, 500], [2, 900]]
    assert [points_for(steps, pieces) for pieces in (1, 2, 3)] == [500, 900, None]
    assert steps_are_sound(steps)
    assert not steps_are_sound([[1, 500], [2, 500]])
    assert not steps_are_sound([[2, 500], [1, 900]])


# Moves


def test_every_status_has_its_row_and_none_leads_to_itself():
    assert set(ENTITLEMENT_MOVES) == set(EntitlementStatus)
    assert not [status for status in EntitlementStatus if status in ENTITLEMENT_MOVES[status]]


WAYS = {
    EntitlementStatus.RESERVED: lambda store, right: store.reserve(right),
    EntitlementStatus.GRANTED: lambda store, right: release_gift(
        store.session, entitlement_id=right, reason="x", actor=SYSTEM, now=store.now
    ),
    EntitlementStatus.HANDED_OUT: lambda store, right: store.hand_out(right),
    EntitlementStatus.RETURNED: lambda store, right: return_gift(
        store.session, entitlement_id=right, restock=True, reason="x", actor=store.clerk, now=store.now
    ),
    EntitlementStatus.CANCELLED: lambda store, right: cancel_gift(
        store.session, entitlement_id=right, reason="x", actor=SYSTEM, now=store.now
    ),
}


async def bring_to(store, right, present):
    """Lead a right to a status by what leads there."""
    if present is EntitlementStatus.EXPIRED:
        await store.session.execute(update(GiftEntitlement).where(GiftEntitlement.entitlement_id == right).values(status=present))
    elif present is EntitlementStatus.RETURNED:
        await WAYS[EntitlementStatus.HANDED_OUT](store, right)
        await WAYS[present](store, right)
    elif present is not EntitlementStatus.GRANTED:
        await WAYS[present](store, right)


@pytest.mark.parametrize(("present", "to"), [*product(EntitlementStatus, WAYS)])
async def test_a_right_moves_by_the_table_only(store, present, to):
    right = await store.right()
    await bring_to(store, right, present)
    if to in ENTITLEMENT_MOVES[present]:
        await WAYS[to](store, right)
        assert (await queries.get_entitlement(store.session, entitlement_id=right)).status is to
    elif present is to is EntitlementStatus.RESERVED:
        assert (await store.reserve(right)).status is EntitlementStatus.RESERVED
    else:
        with pytest.raises(EntitlementCannotMove):
            await WAYS[to](store, right)


# Granting


async def test_a_source_grants_once_for_ever(store, now):
    wish = GiftWish("towel", "topup", "t-1", pieces=2)
    first = await grant_gifts(store.session, wishes=[wish, wish], actor=SYSTEM, now=now)
    assert first == await grant_gifts(store.session, wishes=[wish, wish], actor=SYSTEM, now=now)
    assert len(set(first)) == 1
    history = await queries.entitlement_history(store.session, entitlement_id=first[0])
    assert [event.moved_to for event in history] == [EntitlementStatus.GRANTED]
    with pytest.raises(GiftGrantDiffers):
        await grant_gifts(store.session, wishes=[wish._replace(pieces=3)], actor=SYSTEM, now=now)
    # What was swapped is still what was granted.
    await swap_gift(store.session, entitlement_id=first[0], code="umbrella", actor=SYSTEM, now=now)
    assert await grant_gifts(store.session, wishes=[wish], actor=SYSTEM, now=now) == first[:1]


async def test_a_refund_cancels_what_was_not_handed_out_and_says_what_was(store, now):
    kept, given = await store.right(pieces=2), await store.right()
    await store.reserve(kept)
    await store.hand_out(given)
    taken = {"source_kind": "grant", "reason": "refund", "actor": SYSTEM, "now": now}
    assert await take_back_gifts(store.session, source_id="source-1", **taken) == GiftsTakenBack(2, 0, 0)
    assert await take_back_gifts(store.session, source_id="source-1", **taken) == GiftsTakenBack(0, 0, 0)
    assert await take_back_gifts(store.session, source_id="source-2", **taken) == GiftsTakenBack(0, 1, 0)
    assert await take_back_gifts(store.session, source_id="nothing", **taken) == GiftsTakenBack(0, 0, 0)
    assert await store.stock() == (4, 0)


# At the station


async def test_a_gift_is_set_aside_fetched_and_brought_back(store, now):
    right = await store.right(pieces=2)
    await store.reserve(right)
    assert await store.stock() == (5, 2)
    done = await store.hand_out(right)
    assert (done.status, done.place_id) == (EntitlementStatus.HANDED_OUT, store.here)
    assert await store.stock() == (3, 0)
    with pytest.raises(EntitlementCannotMove):
        await store.hand_out(right)
    back = {"entitlement_id": right, "reason": "torn", "actor": store.clerk, "now": now}
    await return_gift(store.session, restock=False, **back)
    assert await store.stock() == (3, 0)
    given = await store.session.get_one(GiftHandOut, right)
    assert (given.returned_by, given.restocked) == (store.clerk.actor_id, False)


async def test_what_was_signed_is_sealed_and_opens_for_a_dispute(store):
    right, other = await store.right(), await store.right()
    await store.hand_out(right)
    await store.hand_out(other, signature=PNG)
    given = await store.session.get_one(GiftHandOut, right)
    assert DRAWN.encode() not in given.signature_sealed
    assert given.staff_id == store.clerk.actor_id
    assert (await queries.signature_of(store.session, entitlement_id=right)).data == DRAWN.encode()
    assert (await queries.signature_of(store.session, entitlement_id=other)).form is SignatureForm.PNG


async def test_it_takes_a_person_and_a_signature(store):
    right = await store.right()
    with pytest.raises(SignatureNotRead):
        await store.hand_out(right, signature="x")
    with pytest.raises(NotAllowed):
        await store.hand_out(right, actor=SYSTEM)


async def test_whoever_has_none_says_what_else_there_is_and_who_has_it(store):
    await store.receive("umbrella", 3)
    await store.receive("towel", 9, store.there)
    right = await store.right(pieces=6)
    with pytest.raises(GiftOutOfStock) as refused:
        await store.reserve(right)
    assert refused.value.facts["free"] == 5
    assert refused.value.sentence("en") == (
        "Towel: 5 free at this station, 6 needed. Instead there is: nothing. Stations that have it: Station 2 × 9."
    )
    assert "二号站 × 9" in refused.value.sentence("zh")
    small = await store.right(pieces=3)
    await store.hand_out(await store.right(pieces=4))
    with pytest.raises(GiftOutOfStock, match="Umbrella × 3"):
        await store.hand_out(small)
    await swap_gift(store.session, entitlement_id=small, code="umbrella", actor=store.clerk, now=store.now)
    done = await store.hand_out(small)
    assert (done.code, done.granted_code) == ("umbrella", "towel")
    assert await store.stock("umbrella") == (0, 0)


async def test_only_what_the_catalogue_names_goes_in_its_place(store):
    right = await store.right("umbrella")
    with pytest.raises(NotInstead):
        await swap_gift(store.session, entitlement_id=right, code="towel", actor=SYSTEM, now=store.now)


async def test_what_lies_at_another_station_is_fetched_there(store):
    right = await store.right()
    await store.receive("towel", 1, store.there)
    await store.reserve(right, store.there)
    for work in (store.reserve(right), store.hand_out(right)):
        with pytest.raises(ReservedElsewhere):
            await work
    await store.hand_out(right, store.there)


async def test_what_is_not_fetched_is_free_again_and_ends(store, now):
    right = await store.right()
    assert (await store.reserve(right)).reserved_until == now + timedelta(days=3)
    assert await expire_gifts(store.session, actor=SYSTEM, now=now + timedelta(days=2)) == 0
    assert await expire_gifts(store.session, actor=SYSTEM, now=now + timedelta(days=3)) == 1
    assert await store.stock() == (5, 0)
    later = now + timedelta(days=11)
    for work in (store.reserve(right, now=later), store.hand_out(right, now=later)):
        with pytest.raises(EntitlementEnded):
            await work
    assert await expire_gifts(store.session, actor=SYSTEM, now=later) == 1
    history = await queries.entitlement_history(store.session, entitlement_id=right)
    assert [event.moved_to.value for event in history] == ["granted", "reserved", "granted", "expired"]


# Stock


async def test_pieces_are_sent_and_arrive_once(store, now):
    common = {"actor": SYSTEM, "now": now}
    await receive_gifts(store.session, code="towel", pieces=20, **common)
    sent = await send_gifts(store.session, code="towel", from_id=CENTRAL, to_id=store.there, pieces=8, **common)
    assert await store.stock(place_id=CENTRAL) == (12, 0)
    assert await store.stock(place_id=store.there) == (0, 0)
    assert [move.move_id for move in await queries.on_the_way_to(store.session, place_id=store.there)] == [sent]
    await confirm_arrival(store.session, move_id=sent, **common)
    assert await store.stock(place_id=store.there) == (8, 0)
    assert await queries.on_the_way_to(store.session, place_id=store.there) == []
    with pytest.raises(AlreadyArrived):
        await confirm_arrival(store.session, move_id=sent, **common)
    with pytest.raises(StockTooLow):
        await send_gifts(store.session, code="towel", from_id=CENTRAL, to_id=store.there, pieces=13, **common)
    with pytest.raises(SamePlace):
        await send_gifts(store.session, code="towel", from_id=CENTRAL, to_id=CENTRAL, pieces=1, **common)


async def test_a_count_sets_the_books_right_but_not_below_what_is_set_aside(store, now):
    await store.reserve(await store.right(pieces=2))
    common = {"code": "towel", "place_id": store.here, "actor": store.clerk, "now": now}
    assert await count_gifts(store.session, counted=4, **common) == GiftCount(4, 5, -1)
    assert await count_gifts(store.session, counted=2, **common) == GiftCount(2, 4, -2)
    with pytest.raises(CountBelowReserved):
        await count_gifts(store.session, counted=1, **common)
    with pytest.raises(PiecesNotCounted):
        await count_gifts(store.session, counted=-1, **common)
    with pytest.raises(StockTooLow):
        await spoil_gifts(store.session, pieces=1, note="wet", **common)
    moves = await queries.moves_of(
        store.session, gift_id=(await queries.get_gift(store.session, code="towel")).gift_id, place_id=store.here
    )
    assert [(move.kind.value, move.on_hand_change, move.reserved_change) for move in moves] == [
        ("counted", -2, 0),
        ("counted", -1, 0),
        ("reserved", 0, 2),
        ("received", 5, 0),
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"points_steps": ((2, 900), (1, 500))},
        {"threshold_minor": 50_000},
        {"currency": "XXX", "threshold_minor": 1},
        {"instead": ("cap",)},
        {"zone": "Mars/Base"},
        {"name_zh": ""},
    ],
)
async def test_facts_that_do_not_fit_are_refused(store, more):
    facts = {"name_zh": "帽子", "name_en": "Cap", "zone": "Asia/Shanghai"} | more
    with pytest.raises(GiftNotWhole):
        await put_gift(store.session, code="cap", facts=GiftFacts(**facts), actor=SYSTEM, now=store.now)


async def test_nobody_changes_what_happened(store):
    for table in ("gift_moves", "gift_entitlement_events"):
        with pytest.raises(Exception, match="permission denied"):
            async with store.session.begin_nested():
                await store.session.execute(text(f"DELETE FROM {table}"))


# All at once


async def test_a_hundred_customers_want_forty_towels(sessions, now):
    async with transaction(sessions) as session:
        store = await Store(session, now).furnish(pieces=40)
        rights = [await store.right() for _ in range(100)]

    async def fetch(number, right):
        async with transaction(sessions) as session:
            own = Store(session, now)
            own.here, own.clerk = store.here, store.clerk
            return await (own.reserve(right) if number % 2 else own.hand_out(right))

    outcomes = await asyncio.gather(*(fetch(number, right) for number, right in enumerate(rights)), return_exceptions=True)
    assert Counter(type(outcome).__name__ for outcome in outcomes) == {"EntitlementView": 40, "GiftOutOfStock": 60}
    async with transaction(sessions) as session:
        stock = (await session.scalars(select(GiftStock))).one()
        handed = await session.scalar(select(func.count()).select_from(GiftHandOut))
        assert (stock.on_hand, stock.reserved) == (40 - handed, 40 - handed)
        assert await Store(session, now).balances()


async def test_one_right_is_handed_out_once(sessions, now):
    async with transaction(sessions) as session:
        store = await Store(session, now).furnish()
        right = await store.right()

    async def fetch():
        async with transaction(sessions) as session:
            own = Store(session, now)
            own.here, own.clerk = store.here, store.clerk
            return await own.hand_out(right)

    outcomes = await asyncio.gather(*(fetch() for _ in range(30)), return_exceptions=True)
    assert Counter(type(outcome).__name__ for outcome in outcomes) == {"EntitlementView": 1, "EntitlementCannotMove": 29}


async def test_a_sending_arrives_once_however_many_confirm_it(sessions, now):
    async with transaction(sessions) as session:
        store = await Store(session, now).furnish()
        sent = await send_gifts(session, code="towel", from_id=store.here, to_id=store.there, pieces=5, actor=SYSTEM, now=now)

    async def confirm():
        async with transaction(sessions) as session:
            await confirm_arrival(session, move_id=sent, actor=SYSTEM, now=now)

    outcomes = await asyncio.gather(*(confirm() for _ in range(10)), return_exceptions=True)
    assert Counter(type(outcome).__name__ for outcome in outcomes) == {"NoneType": 1, "AlreadyArrived": 9}


# For points


async def rich(store, points):
    account_id = await open_account(
        store.session, kind=AccountKind.PERSONAL, currency="CNY", customer_id=None, card_product_id=None, now=store.now
    )
    given = {"source": "adjustment", "source_id": uuid7(store.now), "rule": "x", "kind": GrantKind.POINTS, "unit": "POINTS"}
    given |= {"funders": [("head-office", 1)], "active_at": store.now, "now": store.now}
    await give(store.session, account_id=account_id, amount=points, **given)
    return account_id


async def left(store, account_id):
    return sum(purse.balance_minor for purse in await purses_of(store.session, account_id=account_id) if purse.kind == PurseKind.POINTS)


async def test_points_buy_a_gift_once_and_come_back_with_it(store, now):
    account_id, buying_id = await rich(store, 1_000), uuid7(now)
    buying = {"buying_id": buying_id, "account_id": account_id, "code": "towel", "policy": load_policy("generic")}
    buying |= {"zone": "Asia/Shanghai", "actor": SYSTEM, "now": now}
    first = await buy_gift(store.session, pieces=2, **buying)
    assert (first.points_paid, first.pieces, await left(store, account_id)) == (900, 2, 100)
    assert await buy_gift(store.session, pieces=2, **buying) == first
    with pytest.raises(NotForPoints):
        await buy_gift(store.session, pieces=3, **buying)
    with pytest.raises(PointsNotEnough):
        await buy_gift(store.session, **buying | {"buying_id": uuid7(now)})
    back = {"buying_id": buying_id, "account_id": account_id, "reason": "changed their mind", "actor": SYSTEM, "now": now}
    assert await give_back_gift(store.session, **back)
    assert await left(store, account_id) == 1_000
    assert not await give_back_gift(store.session, **back)
