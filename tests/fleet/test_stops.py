"""Cards that are stopped: by the company, by the issuer, and when they are recalled."""

from uuid import uuid4

import pytest
from sqlalchemy import select

from loyalty.audit.model import Actor, ActorKind
from loyalty.cards import operations as cards
from loyalty.cards.model import Card, CardStatus
from loyalty.cards.operations import CardCannotMove
from loyalty.cards.queries import CardNotFound
from loyalty.fleet.model import DriverStatus, Ownership
from loyalty.fleet.model_notices import CompanyNotice
from loyalty.fleet.operations.bindings import bind_card
from loyalty.fleet.operations.drivers import move_driver
from loyalty.fleet.operations.moves import allocate
from loyalty.fleet.operations.stops import (
    StoppedByIssuer,
    report_company_card_lost,
    resume_company_card,
    suspend_company_card,
    unlock_company_pin,
)
from loyalty.fleet.operations.vehicles import close_vehicle
from loyalty.fleet.queries.allocations import pool_minor
from loyalty.fleet.queries.bindings import standing_bindings
from loyalty.fleet.queries.companies import get_company
from loyalty.policy import load_policy
from tests.factories.fleet import make_fleet
from tests.factories.world import SYSTEM
from tests.fleet.structure import driver, vehicle

MANAGER = Actor(ActorKind.COMPANY_USER, str(uuid4()))
CLERK = Actor(ActorKind.STAFF, str(uuid4()))


@pytest.fixture
async def fleet(session, world):
    return await make_fleet(session, world, cards=3)


async def status(session, card) -> CardStatus:
    session.expire_all()
    return await session.scalar(select(Card.status).where(Card.card_id == card.card_id))


async def told(session) -> list[tuple[str, str]]:
    rows = await session.scalars(select(CompanyNotice.facts).order_by(CompanyNotice.notice_id))
    return [(row["who"], row["why"]) for row in rows]


async def bind(session, fleet, now, place, **to):
    await bind_card(session, company_id=fleet.company_id, chain_id=fleet.chains[place], **to, actor=SYSTEM, now=now)


async def give(session, fleet, now, place, minor) -> None:
    await allocate(
        session,
        company_id=fleet.company_id,
        card_id=fleet.cards[place].card_id,
        amount_minor=minor,
        operation_id=uuid4(),
        policy=load_policy("generic"),
        actor=SYSTEM,
        now=now,
    )


async def test_a_company_stops_its_card_and_lets_it_live_again(session, fleet, now):
    card, own = fleet.cards[0], {"account_id": fleet.account_id, "card_id": fleet.cards[0].card_id, "actor": MANAGER, "now": now}
    await suspend_company_card(session, **own, reason="in the workshop")
    assert await status(session, card) is CardStatus.SUSPENDED
    with pytest.raises(CardCannotMove):
        await suspend_company_card(session, **own, reason="again")
    await resume_company_card(session, **own, reason="back")
    assert await status(session, card) is CardStatus.ACTIVE
    await report_company_card_lost(session, **own, reason="stolen")
    assert await status(session, card) is CardStatus.LOST
    with pytest.raises(CardCannotMove):
        await resume_company_card(session, **own, reason="found")


async def test_what_the_issuer_stopped_the_company_does_not_start(session, fleet, now):
    card = fleet.cards[0]
    await cards.suspend_card(session, card_id=card.card_id, reason="fraud", actor=CLERK, now=now)
    with pytest.raises(StoppedByIssuer):
        await resume_company_card(session, account_id=fleet.account_id, card_id=card.card_id, reason="x", actor=MANAGER, now=now)
    assert await status(session, card) is CardStatus.SUSPENDED


async def test_another_company_s_card_is_not_there(session, world, fleet, now):
    other = await make_fleet(session, world, name="甬江运输", cards=1)
    theirs = {"account_id": fleet.account_id, "card_id": other.cards[0].card_id, "actor": MANAGER, "now": now}
    for act in (suspend_company_card, resume_company_card, report_company_card_lost):
        with pytest.raises(CardNotFound):
            await act(session, **theirs, reason="x")
    with pytest.raises(CardNotFound):
        await unlock_company_pin(session, **theirs)


async def test_a_locked_pin_gets_its_tries_again(session, fleet, now):
    card = fleet.cards[0]
    for _try in range(3):
        await cards.check_pin(session, card_id=card.card_id, pin="0000", actor=CLERK, now=now)
    assert await session.scalar(select(Card.pin_tries).where(Card.card_id == card.card_id)) == 3
    await unlock_company_pin(session, account_id=fleet.account_id, card_id=card.card_id, actor=MANAGER, now=now)
    assert await session.scalar(select(Card.pin_tries).where(Card.card_id == card.card_id)) == 0


@pytest.mark.parametrize("with_car", [True, False])
async def test_a_private_vehicle_s_card_is_recalled_when_a_company_car_is_assigned(session, fleet, now, with_car):
    wang = await driver(session, fleet, now)
    own = await vehicle(session, fleet, now, ownership=Ownership.PRIVATE, fixed_amount_minor=50_000)
    car = await vehicle(session, fleet, now, "浙A54321", ownership=Ownership.COMPANY if with_car else Ownership.PRIVATE)
    await bind(session, fleet, now, 0, vehicle_id=own, driver_id=wang)
    await give(session, fleet, now, 0, 50_000)
    await bind(session, fleet, now, 1, vehicle_id=car, driver_id=wang)
    standing = {one.chain_id for one in await standing_bindings(session, company_id=fleet.company_id)}
    company = await get_company(session, company_id=fleet.company_id)
    if with_car:
        assert standing == {fleet.chains[1]}
        assert await status(session, fleet.cards[0]) is CardStatus.SUSPENDED
        assert await told(session) == [("王强 · 浙A12345", "car")]
        assert await pool_minor(session, company=company, with_credit=False) == 1_000_000
        recalled = {
            "account_id": fleet.account_id,
            "card_id": fleet.cards[0].card_id,
            "reason": "for another",
            "actor": MANAGER,
            "now": now,
        }
        await resume_company_card(session, **recalled)
    else:
        assert standing == {fleet.chains[0], fleet.chains[1]}
        assert await status(session, fleet.cards[0]) is CardStatus.ACTIVE


@pytest.mark.parametrize(("to", "why"), [(DriverStatus.AWAY, "away"), (DriverStatus.LEFT, "left")])
async def test_whoever_goes_gives_their_cards_back_but_a_company_car_keeps_its_own(session, fleet, now, to, why):
    wang = await driver(session, fleet, now)
    own = await vehicle(session, fleet, now, ownership=Ownership.PRIVATE)
    truck = await vehicle(session, fleet, now, "浙A54321")
    await bind(session, fleet, now, 2, vehicle_id=truck)
    await bind(session, fleet, now, 0, vehicle_id=own, driver_id=wang)
    await bind(session, fleet, now, 1, driver_id=wang)
    recalled = await move_driver(session, company_id=fleet.company_id, driver_id=wang, to=to, actor=SYSTEM, now=now)
    assert set(recalled) == {fleet.chains[0], fleet.chains[1]}
    assert [await status(session, card) for card in fleet.cards] == [CardStatus.SUSPENDED, CardStatus.SUSPENDED, CardStatus.ACTIVE]
    assert await told(session) == [("王强", why)] * 2
    assert {one.chain_id for one in await standing_bindings(session, company_id=fleet.company_id)} == {fleet.chains[2]}


async def test_a_closed_vehicle_s_card_buys_nothing_more(session, fleet, now):
    truck = await vehicle(session, fleet, now)
    await bind(session, fleet, now, 0, vehicle_id=truck)
    await close_vehicle(session, company_id=fleet.company_id, vehicle_id=truck, actor=SYSTEM, now=now)
    assert await status(session, fleet.cards[0]) is CardStatus.SUSPENDED
    assert await told(session) == [("浙A12345", "closed")]
