"""One customer, one identity: what merges, what only suggests, and how it is undone."""

import asyncio

import pytest
from sqlalchemy import insert, select

from loyalty.audit.model import Actor, ActorKind
from loyalty.customers import operations, queries
from loyalty.customers.model import (
    SUGGESTION_MOVES,
    CustomerIdentifier,
    CustomerKind,
    CustomerStatus,
    IdentifierType,
    MergeBasis,
    SuggestionStatus,
)
from loyalty.db import transaction
from loyalty.identity.model import Staff, StaffStatus
from loyalty.ids import uuid7

from .conftest import RESIDENT_ID


@pytest.fixture
def typed(session, actor, now):
    async def typed(customer_id, value=RESIDENT_ID):
        return await operations.add_identifier(
            session, customer_id=customer_id, type=IdentifierType.RESIDENT_ID, value=value, actor=actor, now=now
        )

    return typed


@pytest.fixture
def verify(session, actor, now):
    async def verify(added):
        return await operations.verify_identifier(session, identifier_id=added.identifier_id, staff_id=actor.actor_id, actor=actor, now=now)

    return verify


async def test_a_typed_number_only_suggests(session, person, add, typed):
    twin = await add(phone="13800138000")
    await typed(person)
    added = await typed(twin)
    assert added.same_number == (person,)
    suggestion = (await queries.list_suggestions(session)).rows[0]
    assert ({suggestion.first_id, suggestion.second_id}, suggestion.reason) == ({person, twin}, "same_number")
    assert await queries.family_of(session, customer_id=twin) == [twin]


async def test_the_same_number_typed_twice_is_one_document(session, person, typed):
    assert (await typed(person)).identifier_id == (await typed(person, RESIDENT_ID.lower())).identifier_id
    assert len(await queries.identifiers_of(session, customer_id=person)) == 1


async def test_same_name_and_same_verified_document_are_one_customer(session, person, add, typed, verify):
    await verify(await typed(person))
    twin = await add("王 小明", phone="13800138000")
    verification = await verify(await typed(twin))
    assert (verification.outcome, verification.customer_id) == ("merged", person)
    assert await queries.survivor_of(session, customer_id=twin) == person
    assert await queries.family_of(session, customer_id=twin) == [person, twin]
    merge = (await queries.merges_of(session, customer_id=person))[0]
    assert (merge.kept_id, merge.merged_id, merge.basis) == (person, twin, MergeBasis.VERIFIED_DOCUMENT)
    assert not (await queries.list_suggestions(session)).rows, "the typed number's suggestion is settled by the merge"


async def test_another_name_on_a_verified_document_waits_for_a_person(session, person, add, typed, verify):
    await verify(await typed(person))
    other = await add("李四")
    added = await typed(other)
    verification = await verify(added)
    assert (verification.outcome, verification.customer_id, verification.other_id) == ("doubtful", other, person)
    kept = await session.get(CustomerIdentifier, added.identifier_id)
    assert kept.verified_at is None
    assert len((await queries.list_suggestions(session)).rows) == 1


async def test_a_closed_holder_waits_for_a_person_too(session, person, add, typed, verify, actor, now):
    await verify(await typed(person))
    await operations.close_customer(session, customer_id=person, reason="left", actor=actor, now=now)
    assert (await verify(await typed(await add()))).outcome == "doubtful"


async def test_verifying_again_is_the_same(session, person, typed, verify, now):
    added = await typed(person)
    assert [(await verify(added)).outcome for _ in range(2)] == ["verified", "verified"]
    assert await queries.has_verified_identity(session, customer_id=person, at=now.date())


async def test_an_expired_document_is_no_identity(session, person, actor, now, verify):
    from datetime import date

    added = await operations.add_identifier(
        session, customer_id=person, type=IdentifierType.PASSPORT, value="E12345678", valid_until=date(2026, 9, 24), actor=actor, now=now
    )
    assert not await queries.has_verified_identity(session, customer_id=person, at=date(2026, 9, 24)), "typed only"
    await verify(added)
    assert await queries.has_verified_identity(session, customer_id=person, at=date(2026, 9, 24))
    assert not await queries.has_verified_identity(session, customer_id=person, at=date(2026, 9, 25))


async def test_a_removed_document_is_free_for_its_next_holder(session, person, add, typed, verify, actor, now):
    added = await typed(person)
    await verify(added)
    await operations.remove_identifier(session, identifier_id=added.identifier_id, reason="mistyped", actor=actor, now=now)
    other = await add("李四")
    assert (await verify(await typed(other))).outcome == "verified"


async def test_a_merge_is_undone_exactly(session, person, add, typed, verify, actor, now):
    await verify(await typed(person))
    twin = await add(phone="13800138000")
    before = await queries.get_customer(session, customer_id=twin)
    await verify(await typed(twin))
    merge = (await queries.merges_of(session, customer_id=person))[0]
    assert await operations.undo_merge(session, merge_id=merge.merge_id, reason="brothers", actor=actor, now=now) == []
    assert await queries.get_customer(session, customer_id=twin) == before
    assert await queries.family_of(session, customer_id=person) == [person]
    assert [each.customer_id for each in await queries.identifiers_of(session, customer_id=twin)] == [twin]
    with pytest.raises(operations.MergeAlreadyUndone):
        await operations.undo_merge(session, merge_id=merge.merge_id, reason="again", actor=actor, now=now)


async def test_what_rooms_above_moved_comes_back_with_the_undoing(session, person, add, actor, now):
    twin = await add("李四")
    moved = [operations.Moved(table="letters", column="customer_id", row_id="17")]
    merge = await operations.merge_customers(session, kept_id=person, merged_id=twin, reason="seen both", moved=moved, actor=actor, now=now)
    assert await operations.undo_merge(session, merge_id=merge.merge_id, reason="no", actor=actor, now=now) == moved


async def test_a_chain_of_merges_leads_to_the_one_that_stands_and_opens_in_any_order(session, person, add, actor, now):
    second, third = await add("李四"), await add("赵五")
    merge = {"reason": "same", "actor": actor, "now": now}
    first_merge = await operations.merge_customers(session, kept_id=second, merged_id=third, **merge)
    await operations.merge_customers(session, kept_id=person, merged_id=second, **merge)
    assert await queries.survivor_of(session, customer_id=third) == person
    assert await queries.family_of(session, customer_id=second) == [person, second, third]
    await operations.undo_merge(session, merge_id=first_merge.merge_id, reason="no", actor=actor, now=now)
    assert await queries.survivor_of(session, customer_id=third) == third
    assert await queries.family_of(session, customer_id=person) == [person, second]


async def test_a_merged_record_is_found_as_the_one_that_stands_and_takes_no_more(session, person, add, typed, actor, now):
    twin = await add("赵五", phone="13800138000")
    await operations.merge_customers(session, kept_id=person, merged_id=twin, reason="same", actor=actor, now=now)
    hits = await queries.find_customers(session, text="13800138000")
    assert [hit.customer.customer_id for hit in hits] == [person]
    with pytest.raises(operations.CustomerWasMerged) as refused:
        await typed(twin)
    assert refused.value.facts == {"merged_into": person}
    assert twin not in [row.customer_id for row in (await queries.list_customers(session, limit=200)).rows]
    for kept, merged in ((person, twin), (twin, person)):
        with pytest.raises(operations.NotBothActive):
            await operations.merge_customers(session, kept_id=kept, merged_id=merged, reason="again", actor=actor, now=now)


async def test_a_person_is_no_company_and_no_one_merges_with_itself(session, person, company, actor, now):
    with pytest.raises(operations.KindsDiffer):
        await operations.merge_customers(session, kept_id=person, merged_id=company, reason="x", actor=actor, now=now)
    with pytest.raises(operations.CannotMergeWithItself):
        await operations.merge_customers(session, kept_id=person, merged_id=person, reason="x", actor=actor, now=now)


def test_every_suggestion_status_has_its_row_of_moves():
    assert set(SUGGESTION_MOVES) == set(SuggestionStatus)
    assert not [status for status in SuggestionStatus if status in SUGGESTION_MOVES[status]]


async def test_one_document_verified_at_twenty_counters_at_once_is_one_customer(sessions, now):
    """Commits: twenty records of one name, one document, all verified at the same moment."""
    staff_id = uuid7(now)
    actor = Actor(ActorKind.STAFF, staff_id)
    async with transaction(sessions) as session:
        row = {"employee_number": "race", "name": "race", "status": StaffStatus.ACTIVE, "locale": "zh_CN", "hired_at": now}
        await session.execute(insert(Staff).values(staff_id=staff_id, **row))
    identifiers = []
    for _ in range(20):
        async with transaction(sessions) as session:
            facts = operations.CustomerFacts(kind=CustomerKind.PERSON, name="王小明")
            customer_id = await operations.add_customer(session, facts=facts, actor=actor, now=now)
            added = await operations.add_identifier(
                session, customer_id=customer_id, type=IdentifierType.RESIDENT_ID, value=RESIDENT_ID, actor=actor, now=now
            )
            identifiers.append(added.identifier_id)

    async def verify(identifier_id):
        async with transaction(sessions) as session:
            return await operations.verify_identifier(session, identifier_id=identifier_id, staff_id=staff_id, actor=actor, now=now)

    outcomes = await asyncio.gather(*(verify(each) for each in identifiers))
    assert sorted(each.outcome for each in outcomes) == ["merged"] * 19 + ["verified"]
    survivor = next(each.customer_id for each in outcomes if each.outcome == "verified")
    async with transaction(sessions) as session:
        assert len(await queries.family_of(session, customer_id=survivor)) == 20
        verified = select(CustomerIdentifier).where(CustomerIdentifier.verified_at.is_not(None))
        assert len(list(await session.scalars(verified))) == 1
        assert (await queries.get_customer(session, customer_id=survivor)).status is CustomerStatus.ACTIVE
