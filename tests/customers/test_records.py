"""Customers are added, found, changed, closed; nothing personal stands open in the database or on the trail."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text

from loyalty.audit.model import AuditEntry
from loyalty.customers import operations, queries
from loyalty.customers.model import CUSTOMER_MOVES, ContactRole, Customer, CustomerKind, CustomerStatus, IdentifierType, SuggestionStatus
from loyalty.customers.rules import InvalidPhone

from .conftest import RESIDENT_ID, USCC

PHONE = "139 1234 5678"


async def last_entry(session):
    return await session.scalar(select(AuditEntry).order_by(AuditEntry.entry_id.desc()).limit(1))


async def test_a_customer_is_found_by_phone_document_and_name(session, person, actor, now):
    await operations.add_identifier(session, customer_id=person, type=IdentifierType.RESIDENT_ID, value=RESIDENT_ID, actor=actor, now=now)
    for said, matched_by in (
        ("13912345678", "phone"),
        ("340524 19800101 001x", "identifier"),
        ("王小", "name"),
        ("+86 139 1234 5678", "phone"),
    ):
        hits = await queries.find_customers(session, text=said)
        assert (person, matched_by) in [(hit.customer.customer_id, hit.matched_by) for hit in hits], said
    assert not await queries.find_customers(session, text="小明%")
    assert not await queries.find_customers(session, text="")


async def test_no_phone_document_or_account_number_stands_open_in_the_database(session, person, company, actor, now):
    await operations.add_identifier(session, customer_id=person, type=IdentifierType.RESIDENT_ID, value=RESIDENT_ID, actor=actor, now=now)
    await operations.add_identifier(session, customer_id=company, type=IdentifierType.USCC, value=USCC, actor=actor, now=now)
    await operations.add_contact(
        session, customer_id=company, role=ContactRole.FLEET, name="赵六", phone="13800138000", actor=actor, now=now
    )
    bank = {"holder": "上海货运(集团)有限公司", "bank": "工商银行", "number": "6222 0212 3456 7890 128", "currency": "CNY"}
    await operations.add_bank_account(session, customer_id=company, **bank, actor=actor, now=now)
    tables = ("customers", "customer_identifiers", "customer_contacts", "customer_bank_accounts", "audit_entries")
    for table in tables:
        dump = "\n".join(row[0] for row in await session.execute(text(f"SELECT t::text FROM {table} t")))
        for secret in ("13912345678", "13800138000", RESIDENT_ID, USCC, "6222021234567890128"):
            assert secret not in dump
            assert secret.encode().hex() not in dump


async def test_names_and_phones_are_shown_and_documents_by_their_tail(session, person, actor, now):
    added = await operations.add_identifier(
        session, customer_id=person, type=IdentifierType.RESIDENT_ID, value=RESIDENT_ID, actor=actor, now=now
    )
    view = await queries.get_customer(session, customer_id=person)
    assert (view.name, view.phone) == ("王小明", PHONE)
    shown = (await queries.identifiers_of(session, customer_id=person))[0]
    assert (shown.identifier_id, shown.tail, shown.verified_at) == (added.identifier_id, "001X", None)


async def test_who_looks_at_a_document_number_is_on_the_trail(session, person, actor, now):
    added = await operations.add_identifier(
        session, customer_id=person, type=IdentifierType.RESIDENT_ID, value=RESIDENT_ID, actor=actor, now=now
    )
    number = await operations.reveal_identifier(
        session, identifier_id=added.identifier_id, reason="police request 17", actor=actor, now=now
    )
    assert number == RESIDENT_ID
    entry = await last_entry(session)
    assert (entry.action, entry.actor_id, entry.subject_id) == ("customers.identifier_viewed", str(actor.actor_id), str(person))
    assert entry.facts["reason"] == "police request 17"
    with pytest.raises(operations.IdentifierNotFound):
        await operations.reveal_identifier(session, identifier_id=uuid4(), reason="x", actor=actor, now=now)


async def test_a_sealed_phone_moved_to_another_row_does_not_open(session, person, add):
    from loyalty.crypto import BrokenEnvelopeError

    other = await add("李四", phone="13800138000")
    await session.execute(
        text(
            "UPDATE customers SET phone_sealed = (SELECT phone_sealed FROM customers WHERE customer_id = :one) WHERE customer_id = :other"
        ),
        {"one": person, "other": other},
    )
    session.expire_all()
    with pytest.raises(BrokenEnvelopeError):
        await queries.get_customer(session, customer_id=other)


async def test_a_change_names_what_differs_and_not_what_it_was(session, person, actor, now):
    facts = operations.CustomerFacts(kind=CustomerKind.PERSON, name="王小明", phone="138-0013-8000", segment="vip")
    changed = await operations.change_customer(session, customer_id=person, facts=facts, actor=actor, now=now)
    assert changed == ("phone", "segment")
    assert (await last_entry(session)).facts == {"fields": ["phone", "segment"]}
    assert (await queries.get_customer(session, customer_id=person)).phone == "138 0013 8000"
    assert await operations.change_customer(session, customer_id=person, facts=facts, actor=actor, now=now) == ()
    assert await queries.find_by_phone(session, text="13800138000") == [person]


async def test_a_change_cannot_make_a_company_of_a_person(session, person, actor, now):
    facts = operations.CustomerFacts(kind=CustomerKind.ORGANISATION, name="王小明")
    with pytest.raises(operations.KindIsFixed):
        await operations.change_customer(session, customer_id=person, facts=facts, actor=actor, now=now)


@pytest.mark.parametrize(("facts", "refusal"), [({"name": " "}, operations.NameIsEmpty), ({"phone": "12"}, InvalidPhone)])
async def test_what_cannot_be_a_customer_is_refused(add, facts, refusal):
    with pytest.raises(refusal):
        await add(**facts)


async def test_same_name_and_phone_only_suggests(session, person, add):
    twin = await add("王 小明", phone="+8613912345678")
    suggestions = (await queries.list_suggestions(session)).rows
    assert [{each.first_id, each.second_id} for each in suggestions] == [{person, twin}]
    assert suggestions[0].reason == "same_name_and_phone"
    assert (await queries.get_customer(session, customer_id=twin)).status is CustomerStatus.ACTIVE


async def test_a_dismissed_pair_is_not_suggested_again(session, person, add, actor, now):
    twin = await add(phone=PHONE)
    suggestion = (await queries.list_suggestions(session)).rows[0]
    await operations.dismiss_suggestion(session, suggestion_id=suggestion.suggestion_id, reason="father and son", actor=actor, now=now)
    facts = operations.CustomerFacts(kind=CustomerKind.PERSON, name="王小明", phone=PHONE, segment="new")
    await operations.change_customer(session, customer_id=twin, facts=facts, actor=actor, now=now)
    assert not (await queries.list_suggestions(session)).rows
    with pytest.raises(operations.SuggestionDecided):
        await operations.dismiss_suggestion(session, suggestion_id=suggestion.suggestion_id, reason="again", actor=actor, now=now)
    assert (await queries.list_suggestions(session, statuses=[SuggestionStatus.DISMISSED])).rows[0].decided_by == actor.actor_id


async def test_an_import_by_reference_adds_once(session, actor, now):
    facts = {
        str(number): operations.CustomerFacts(kind=CustomerKind.ORGANISATION, name=f"CCS {number}", country="CZ") for number in range(2000)
    }
    first = await operations.put_customers(session, source="ccs", customers=facts, actor=actor, now=now)
    again = await operations.put_customers(session, source="ccs", customers=facts, actor=actor, now=now)
    assert (len(first.added), again.added) == (2000, ())
    assert first.ids == again.ids
    assert await queries.find_by_references(session, source="ccs", references=["7", "nobody"]) == {"7": first.ids["7"]}
    assert await queries.find_by_references(session, source="other", references=["7"]) == {}


async def test_lists_page_through_by_name(session, add):
    for number in range(5):
        await add(f"Zz {number}")
    by = queries.CustomerFilter(name="zz")
    first = await queries.list_customers(session, by=by, limit=3)
    second = await queries.list_customers(session, by=by, limit=3, cursor=first.next)
    assert [row.name for row in first.rows + second.rows] == [f"Zz {number}" for number in range(5)]
    assert second.next is None
    assert not (await queries.list_customers(session, by=queries.CustomerFilter(name="zz", kind=CustomerKind.ORGANISATION))).rows


async def test_who_developed_a_customer_is_said_once(session, add, actor):
    known = await add(developed=operations.Development(flyer_code="F-2026-09"))
    assert not await operations.record_development(session, customer_id=known, developed=operations.Development(staff_id=actor.actor_id))
    fresh = await add("李四")
    assert await operations.record_development(session, customer_id=fresh, developed=operations.Development(referrer_id=known))
    assert (await queries.get_customer(session, customer_id=fresh)).referrer_id == known


async def test_the_first_load_stays_the_first(session, person, now):
    assert await operations.record_first_load(session, customer_id=person, amount_minor=100_000, currency="CNY", at=now)
    assert not await operations.record_first_load(session, customer_id=person, amount_minor=5, currency="CNY", at=now)
    assert (await queries.get_customer(session, customer_id=person)).first_load_minor == 100_000


def test_every_status_has_its_row_of_moves_and_none_leads_to_itself():
    assert set(CUSTOMER_MOVES) == set(CustomerStatus)
    assert not [status for status in CustomerStatus if status in CUSTOMER_MOVES[status]]


@pytest.mark.parametrize("operation", ["close", "reopen", "merge"])
@pytest.mark.parametrize("status", CustomerStatus)
async def test_a_customer_moves_only_along_the_table(session, person, add, actor, now, status, operation):
    other = await add("李四")
    customer = await session.get(Customer, person)
    customer.status, customer.merged_into = status, other if status is CustomerStatus.MERGED else None
    await session.flush()
    to = {"close": CustomerStatus.CLOSED, "reopen": CustomerStatus.ACTIVE, "merge": CustomerStatus.MERGED}[operation]
    attempt = {
        "close": lambda: operations.close_customer(session, customer_id=person, reason="left", actor=actor, now=now),
        "reopen": lambda: operations.reopen_customer(session, customer_id=person, reason="back", actor=actor, now=now),
        "merge": lambda: operations.merge_customers(session, kept_id=other, merged_id=person, reason="same", actor=actor, now=now),
    }[operation]
    # A merged record becomes active by undoing the merge, never by reopening.
    if to in CUSTOMER_MOVES[status] and not (status is CustomerStatus.MERGED and operation == "reopen"):
        await attempt()
        assert (await queries.get_customer(session, customer_id=person)).status is to
    else:
        with pytest.raises((operations.CustomerCannotMove, operations.NotBothActive)):
            await attempt()


async def test_an_unknown_customer_is_not_found(session, actor, now):
    nobody = UUID(int=7)
    for attempt in (
        queries.get_customer(session, customer_id=nobody),
        queries.survivor_of(session, customer_id=nobody),
        queries.identifiers_of(session, customer_id=nobody),
        operations.close_customer(session, customer_id=nobody, reason="x", actor=actor, now=now),
        operations.merge_customers(session, kept_id=nobody, merged_id=UUID(int=8), reason="x", actor=actor, now=now),
    ):
        with pytest.raises(queries.CustomerNotFound):
            await attempt


async def test_contacts_belong_to_organisations(session, person, company, actor, now):
    contact = {"role": ContactRole.FINANCE, "name": "钱七", "phone": "13800138000", "email": "q@example.com", "actor": actor, "now": now}
    with pytest.raises(operations.OnlyOrganisationsHaveContacts):
        await operations.add_contact(session, customer_id=person, **contact)
    contact_id = await operations.add_contact(session, customer_id=company, **contact)
    found = (await queries.contacts_of(session, customer_id=company))[0]
    assert (found.phone, found.email, found.personal_benefits_agreed) == ("138 0013 8000", "q@example.com", None)
    await operations.remove_contact(session, contact_id=contact_id, actor=actor, now=now)
    assert await queries.contacts_of(session, customer_id=company) == []
    with pytest.raises(operations.ContactNotFound):
        await operations.remove_contact(session, contact_id=contact_id, actor=actor, now=now)


async def test_a_bank_account_is_the_customers_own(session, company, person, actor, now):
    account = {"bank": "工商银行", "number": "6222 0212 3456 7890 128", "currency": "CNY", "actor": actor, "now": now}
    with pytest.raises(operations.NotOwnBankAccount):
        await operations.add_bank_account(session, customer_id=company, holder="别的公司", **account)
    added = await operations.add_bank_account(session, customer_id=company, holder="上海货运(集团)有限公司", **account)
    assert await operations.add_bank_account(session, customer_id=company, holder="上海货运(集团)有限公司", **account) == added
    assert await queries.is_own_bank_account(session, customer_id=company, number="6222021234567890128")
    assert not await queries.is_own_bank_account(session, customer_id=person, number="6222021234567890128")
    assert [each.tail for each in await queries.bank_accounts_of(session, customer_id=company)] == ["0128"]
    assert (
        await operations.reveal_bank_account(session, bank_account_id=added, reason="refund", actor=actor, now=now) == "6222021234567890128"
    )
    assert (await last_entry(session)).action == "customers.bank_account_viewed"
    await operations.remove_bank_account(session, bank_account_id=added, actor=actor, now=now)
    assert not await queries.is_own_bank_account(session, customer_id=company, number="6222021234567890128")
    with pytest.raises(operations.InvalidBankAccount):
        await operations.add_bank_account(session, customer_id=company, holder="上海货运（集团）有限公司", **(account | {"number": "12"}))


async def test_consent_is_silent_until_given_and_ends_when_withdrawn(session, person, actor, now):
    from datetime import timedelta

    hour = timedelta(hours=1)
    asked = {"customer_id": person, "purpose": "partner_sharing", "recipient": "insurer"}
    assert not await queries.has_consent(session, **asked, at=now)
    declare = {"customer_id": person, "purpose": "partner_sharing", "recipient": "insurer", "evidence": "form 9", "actor": actor}
    await operations.declare_consent(session, **declare, granted=True, now=now)
    await operations.declare_consent(session, **declare, granted=False, now=now + 2 * hour)
    held = [await queries.has_consent(session, **asked, at=at) for at in (now - hour, now, now + hour, now + 2 * hour)]
    assert held == [False, True, True, False]
    assert not await queries.has_consent(session, customer_id=person, purpose="partner_sharing", at=now + hour)
    assert [each.granted for each in await queries.consents_of(session, customer_id=person, at=now + 3 * hour)] == [False]
    assert await session.scalar(select(func.count()).select_from(text("consents"))) == 2
