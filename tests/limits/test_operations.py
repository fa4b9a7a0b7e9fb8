"""A change of limits becomes one document and raises the version of the cards it binds; a replacement card inherits it."""

from datetime import time, timedelta
from uuid import uuid4

import pytest

from loyalty.audit.model import Actor, ActorKind
from loyalty.cards import operations as cards
from loyalty.cards import queries as card_queries
from loyalty.cards.model import EventKind, ProductKind
from loyalty.cards.rules import Replacing
from loyalty.limits import operations, queries
from loyalty.limits.model import LimitKind, LimitSetRow, Reaction, Window
from loyalty.limits.operations import NewLimit
from loyalty.policy import load_policy
from tests.cards.conftest import active, blanks

DAY_AMOUNT = NewLimit(LimitKind.AMOUNT, window=Window.DAY, value=50_000)
SYSTEM = Actor(ActorKind.SYSTEM, "tests")


async def test_a_limit_is_compiled_and_touches_the_chains_living_card(shop):
    card = await active(shop)
    version = card.version
    await operations.add_limit(shop.session, subject_id=card.chain_id, limit=DAY_AMOUNT, actor=shop.actor, now=shop.now)
    await operations.add_limit(
        shop.session, subject_id=card.chain_id, limit=NewLimit(LimitKind.GRADES, codes=("92",)), actor=shop.actor, now=shop.now
    )
    document = await queries.limit_set_of(shop.session, subject_id=card.chain_id)
    assert (document.grades, [(limit.window, limit.value) for limit in document.windows]) == (("92",), [("day", 50_000)])
    kept = await shop.session.get(LimitSetRow, card.chain_id)
    assert (kept.revision, card.version) == (2, version + 2)
    assert kept.compiled == {"grades": ["92"], "windows": [{"window": "day", "measure": "amount", "value": 50_000}]}
    page = await card_queries.history(shop.session, card_id=card.card_id, limit=1)
    assert page.rows[0].kind is EventKind.LIMITS_CHANGED


async def test_a_replacement_card_is_bound_by_the_chains_limits_and_the_old_one_is_left_alone(shop):
    old = await active(shop)
    await operations.add_limit(shop.session, subject_id=old.chain_id, limit=DAY_AMOUNT, actor=shop.actor, now=shop.now)
    (blank,) = await blanks(shop)
    new = (
        await cards.replace_card(
            shop.session,
            card_id=old.card_id,
            new_card_id=blank.card_id,
            reason=Replacing.DAMAGED,
            pin="5092",
            actor=shop.actor,
            now=shop.now,
        )
    ).card
    assert (await queries.limit_set_of(shop.session, subject_id=new.chain_id)).windows[0].value == 50_000
    before = (old.version, new.version)
    await operations.replace_limits(shop.session, subject_id=new.chain_id, limits=[], actor=shop.actor, now=shop.now)
    assert (old.version, new.version) == (before[0], before[1] + 1)
    assert (await queries.limit_set_of(shop.session, subject_id=new.chain_id)).windows == ()


async def test_an_ended_limit_stays_in_the_history_and_ends_once(shop):
    card = await active(shop)
    limit_id = await operations.add_limit(shop.session, subject_id=card.chain_id, limit=DAY_AMOUNT, actor=shop.actor, now=shop.now)
    await operations.end_limit(shop.session, limit_id=limit_id, actor=shop.actor, now=shop.now)
    assert await queries.standing_limits(shop.session, subject_id=card.chain_id) == []
    assert [row.limit_id for row in await queries.limit_history(shop.session, subject_id=card.chain_id)] == [limit_id]
    for gone in (limit_id, uuid4()):
        with pytest.raises(operations.LimitNotFound):
            await operations.end_limit(shop.session, limit_id=gone, actor=shop.actor, now=shop.now)


async def test_a_limit_begins_and_ends_by_itself_when_its_time_comes(shop):
    card = await active(shop)
    begins, ends = shop.now + timedelta(hours=1), shop.now + timedelta(hours=2)
    limit = DAY_AMOUNT._replace(valid_from=begins, valid_to=ends)
    await operations.add_limit(shop.session, subject_id=card.chain_id, limit=limit, actor=shop.actor, now=shop.now)
    kept = await shop.session.get(LimitSetRow, card.chain_id)
    for instant, due, windows, then in (
        (begins - timedelta(seconds=1), 0, 0, begins),
        (begins, 1, 1, ends),
        (begins, 0, 1, ends),
        (ends, 1, 0, None),
    ):
        version = card.version
        assert await operations.compile_due(shop.session, actor=SYSTEM, now=instant) == due
        assert len((await queries.limit_set_of(shop.session, subject_id=card.chain_id)).windows) == windows
        assert (kept.next_change_at, card.version) == (then, version + due)


async def test_a_plate_limit_needs_a_pin(shop):
    product_id = shop.products[ProductKind.PERSONAL]
    policy = load_policy("cn-single-purpose")
    await cards.change_card_product(shop.session, product_id=product_id, policy=policy, pin_required=False, now=shop.now)
    card = await cards.adopt_card(
        shop.session,
        number="1234567890123456",
        product_id=shop.products[ProductKind.ANONYMOUS],
        actor=shop.actor,
        now=shop.now,
    )
    card.product_id = product_id
    plate = NewLimit(LimitKind.PLATE, codes=("京A·82K61",))
    with pytest.raises(operations.PlateLimitNeedsPin):
        await operations.add_limit(shop.session, subject_id=card.chain_id, limit=plate, actor=shop.actor, now=shop.now)
    await cards.set_pin(shop.session, card_id=card.card_id, pin="5092", identity_seen=True, actor=shop.actor, now=shop.now)
    await operations.add_limit(shop.session, subject_id=card.chain_id, limit=plate, actor=shop.actor, now=shop.now)
    assert (await queries.limit_set_of(shop.session, subject_id=card.chain_id)).plate == "京A82K61"


@pytest.mark.parametrize(
    ("limit", "field"),
    [
        (NewLimit(LimitKind.AMOUNT, value=1), "window"),
        (NewLimit(LimitKind.AMOUNT, window=Window.DAY), "value"),
        (NewLimit(LimitKind.AMOUNT, window=Window.DAY, value=-1), "value"),
        (NewLimit(LimitKind.GRADES, window=Window.DAY, codes=("92",)), "window"),
        (NewLimit(LimitKind.GRADES), "codes"),
        (NewLimit(LimitKind.STATIONS, codes=("not an id",)), "codes"),
        (NewLimit(LimitKind.PLATE, codes=("京A82K61", "京A82K62")), "codes"),
        (NewLimit(LimitKind.PLATE, codes=("··",)), "codes"),
        (NewLimit(LimitKind.HOURS, from_time=time(6)), "to_time"),
        (NewLimit(LimitKind.HOURS, from_time=time(6), to_time=time(7), days=(8,)), "days"),
        (NewLimit(LimitKind.TANK, value=1, days=(1,)), "days"),
    ],
)
async def test_a_limit_that_says_nothing_or_nonsense_is_refused_by_field(shop, limit, field):
    card = await active(shop)
    with pytest.raises(operations.LimitNotSound) as refused:
        await operations.add_limit(shop.session, subject_id=card.chain_id, limit=limit, actor=shop.actor, now=shop.now)
    assert refused.value.facts["field"] == field


async def test_a_limit_that_only_flags_is_kept_as_one(shop):
    card = await active(shop)
    limits = [NewLimit(LimitKind.TANK, value=60_000, reaction=Reaction.FLAG), DAY_AMOUNT._replace(reaction=Reaction.FLAG)]
    await operations.replace_limits(shop.session, subject_id=card.chain_id, limits=limits, actor=shop.actor, now=shop.now)
    document = await queries.limit_set_of(shop.session, subject_id=card.chain_id)
    assert (document.reactions, document.windows[0].reaction) == ({LimitKind.TANK: Reaction.FLAG}, Reaction.FLAG)
