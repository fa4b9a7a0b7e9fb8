"""Three wrong PINs lock it, however many try at once; only a person who checked who asks gives the tries back."""

import asyncio

import pytest
from sqlalchemy import select

from loyalty.audit.model import Actor, ActorKind
from loyalty.cards import operations
from loyalty.cards.model import Card, CardEvent, EventKind, ProductKind
from loyalty.cards.operations import pin as pin_module
from loyalty.cards.rules import PinCheck, PinFault, pin_fault
from loyalty.crypto import pin_matches
from loyalty.customers.model import CustomerKind
from loyalty.db import transaction

from .conftest import PIN, active, issued, make_shop, new_customer

MACHINE = Actor(ActorKind.SYSTEM, "tests")


@pytest.mark.parametrize(
    ("pin", "fault"),
    [
        ("841", PinFault.LENGTH),
        ("8416", None),
        ("841603", None),
        ("8416035", PinFault.LENGTH),
        ("84a6", PinFault.LENGTH),
        ("８４１６", PinFault.LENGTH),
        ("7777", PinFault.REPEATED),
        ("1234", PinFault.RUN),
        ("7890", PinFault.RUN),
        ("987654", PinFault.RUN),
        ("1235", None),
    ],
)
def test_a_chosen_pin_is_four_to_six_digits_and_not_the_first_guess(pin, fault):
    assert pin_fault(pin) is fault


async def try_pin(shop, card, pin):
    return await operations.check_pin(shop.session, card_id=card.card_id, pin=pin, actor=MACHINE, now=shop.now)


async def test_the_third_wrong_pin_in_a_row_locks_and_the_right_one_no_longer_helps(shop):
    card = await active(shop)
    assert await try_pin(shop, card, "0000") == (PinCheck.WRONG, 2)
    assert await try_pin(shop, card, PIN) == (PinCheck.RIGHT, 3)
    version = card.version
    answers = [await try_pin(shop, card, wrong) for wrong in ("0001", "0002", "0003")]
    assert answers == [(PinCheck.WRONG, 2), (PinCheck.WRONG, 1), (PinCheck.LOCKED, 0)]
    assert await try_pin(shop, card, PIN) == (PinCheck.LOCKED, 0)
    assert (card.pin_tries, card.version) == (3, version + 1)
    locked = select(CardEvent).where(CardEvent.card_id == card.card_id, CardEvent.kind == EventKind.PIN_LOCKED)
    assert len((await shop.session.scalars(locked)).all()) == 1


async def test_a_person_unlocks_with_id_and_the_pin_stays(shop):
    card = await active(shop)
    for wrong in ("0001", "0002", "0003"):
        await try_pin(shop, card, wrong)
    for actor, seen in ((shop.actor, False), (MACHINE, True)):
        with pytest.raises(operations.IdentityNotSeen):
            await operations.unlock_pin(shop.session, card_id=card.card_id, identity_seen=seen, actor=actor, now=shop.now)
    await operations.unlock_pin(shop.session, card_id=card.card_id, identity_seen=True, actor=shop.actor, now=shop.now)
    assert await try_pin(shop, card, PIN) == (PinCheck.RIGHT, 3)


async def test_a_companys_administrator_unlocks_its_cards(shop):
    company = await new_customer(shop.session, shop.now, kind=CustomerKind.ORGANISATION)
    card = await active(shop, kind=ProductKind.COMPANY, customer_id=company)
    for wrong in ("0001", "0002", "0003"):
        await try_pin(shop, card, wrong)
    administrator = Actor(ActorKind.CUSTOMER, company)
    await operations.unlock_pin(shop.session, card_id=card.card_id, identity_seen=True, actor=administrator, now=shop.now)
    assert card.pin_tries == 0


async def test_a_pin_is_changed_by_the_old_one_only_and_the_old_one_dies(shop):
    card = await active(shop)

    async def change(old, new):
        return await operations.change_pin(shop.session, card_id=card.card_id, old_pin=old, new_pin=new, actor=MACHINE, now=shop.now)

    assert (await change("0001", "5092")).check is PinCheck.WRONG
    assert card.pin_generation == 1
    with pytest.raises(operations.PinTooSimple):
        await change(PIN, "4444")
    assert card.pin_tries == 1
    assert (await change(PIN, "5092")).check is PinCheck.RIGHT
    assert (card.pin_generation, card.pin_tries) == (2, 0)
    assert (await try_pin(shop, card, PIN)).check is PinCheck.WRONG
    assert (await try_pin(shop, card, "5092")).check is PinCheck.RIGHT


async def test_a_forgotten_pin_is_set_anew_only_with_id_and_unlocks(shop):
    card = await active(shop)
    for wrong in ("0001", "0002", "0003"):
        await try_pin(shop, card, wrong)
    with pytest.raises(operations.IdentityNotSeen):
        await operations.set_pin(shop.session, card_id=card.card_id, pin="5092", identity_seen=False, actor=shop.actor, now=shop.now)
    await operations.set_pin(shop.session, card_id=card.card_id, pin="5092", identity_seen=True, actor=shop.actor, now=shop.now)
    assert await try_pin(shop, card, "5092") == (PinCheck.RIGHT, 3)


async def test_the_verifier_belongs_to_its_card_and_its_generation(shop):
    one, other = await active(shop), await active(shop)
    assert one.pin_verifier != other.pin_verifier
    assert pin_matches(one.pin_verifier, card_id=one.card_id, generation=1, pin=PIN)
    assert not pin_matches(one.pin_verifier, card_id=other.card_id, generation=1, pin=PIN)
    assert not pin_matches(one.pin_verifier, card_id=one.card_id, generation=2, pin=PIN)


async def test_a_card_without_pin_says_so_and_counts_nothing(shop):
    card = await issued(shop)
    assert (await try_pin(shop, card, PIN)).check is PinCheck.NOT_SET
    assert card.pin_tries == 0


async def test_fifty_guesses_at_once_are_three_evaluations(sessions, now, monkeypatch):
    evaluated = []

    def counted(stored, **facts):
        evaluated.append(facts["pin"])
        return pin_matches(stored, **facts)

    monkeypatch.setattr(pin_module, "pin_matches", counted)
    async with transaction(sessions) as session:
        card_id = (await active(await make_shop(session, now))).card_id

    async def guess(number: int):
        async with transaction(sessions) as session:
            return await operations.check_pin(session, card_id=card_id, pin=f"{number:04d}", actor=MACHINE, now=now)

    answers = await asyncio.gather(*(guess(number) for number in range(50)))
    assert sorted(answer.check for answer in answers) == [PinCheck.LOCKED] * 48 + [PinCheck.WRONG] * 2
    assert len(evaluated) == 3
    async with transaction(sessions) as session:
        assert (await session.get(Card, card_id)).pin_tries == 3
