"""Document numbers: typed, verified by somebody who saw the document, shown only in a logged view."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.operations import Actor, record
from loyalty.customers.model import CustomerIdentifier, CustomerStatus, IdentifierType, MergeBasis, SuggestionReason
from loyalty.customers.protected import document_index, open_document, protect_document
from loyalty.customers.queries.family import family_of, survivor_of
from loyalty.customers.queries.records import get_customer
from loyalty.customers.rules import SameDocument, Warned, read_document, same_document
from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.ids import CustomerId, StaffId, uuid7

from .merging import lock_customers, merge_customers
from .records import CustomerWasMerged, get_living_customer
from .suggestions import suggest


class IdentifierNotFound(NotFound):
    """Unknown, removed, or another tenant's: the answer is the same."""

    zh = "没有此证件记录。"
    en = "There is no such document."


@dataclass(frozen=True, slots=True)
class Added:
    """A typed number: what looks odd about it, and which customers typed or hold the same."""

    identifier_id: UUID
    warnings: tuple[Warned, ...]
    same_number: tuple[CustomerId, ...]


class Verified(StrEnum):
    """What came of looking at the document."""

    VERIFIED = "verified"
    MERGED = "merged"
    """Same name, same verified document: the customer was known, and the older record stands for both."""
    DOUBTFUL = "doubtful"
    """The document is another customer's: the pair waits for a person, and the number stays typed only."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome and the record that stands for the customer now; `other_id` is the record that holds the document."""

    outcome: Verified
    customer_id: CustomerId
    other_id: CustomerId | None


async def add_identifier(
    session: AsyncSession,
    *,
    customer_id: CustomerId,
    type: IdentifierType,  # noqa: A002 - the word of the trade
    value: str,
    actor: Actor,
    now: datetime,
    country: str | None = None,
    valid_until: date | None = None,
) -> Added:
    """Note a document number that a customer gave; the same one again is the same row.

    Another customer with the same number is suggested as the same person, nothing more: typing proves nothing.

    :raises CustomerNotFound: if there is no such customer
    :raises CustomerWasMerged: if another record stands for it
    :raises WrongKindOfIdentifier: if people do not have this type, or organisations do not
    :raises InvalidIdentifier: if the number cannot be one
    """
    known = await get_customer(session, customer_id=customer_id)
    document = read_document(type, value, kind=known.kind, country=country or known.country)
    # The number before the customer, here and in `verify_identifier`: one order, no deadlock.
    await _lock_number(session, document_index(document.value))
    customer = await get_living_customer(session, customer_id=customer_id)
    family = set(await family_of(session, customer_id=customer_id))
    living = await _living(session, type, document_index(document.value))
    others = tuple(dict.fromkeys(CustomerId(each.customer_id) for each in living if each.customer_id not in family))
    mine = next((each for each in living if each.customer_id in family), None)
    if mine is not None:
        return Added(mine.identifier_id, document.warnings, others)
    identifier_id = uuid7(now)
    protected = protect_document(document.value, identifier_id=identifier_id)
    session.add(
        CustomerIdentifier(
            identifier_id=identifier_id,
            customer_id=customer_id,
            type=type,
            country=country or customer.country,
            value_sealed=protected.sealed,
            value_index=protected.index,
            tail=protected.tail,
            valid_until=valid_until,
            warnings=[warning.value for warning in document.warnings],
            added_at=now,
        )
    )
    await session.flush()
    for other in others:
        survivor = await survivor_of(session, customer_id=other)
        await suggest(session, one=customer_id, other=survivor, reason=SuggestionReason.SAME_NUMBER, now=now)
    await _record(session, "customers.identifier_added", identifier_id, customer_id, {"type": type}, actor=actor, now=now)
    return Added(identifier_id, document.warnings, others)


async def verify_identifier(session: AsyncSession, *, identifier_id: UUID, staff_id: StaffId, actor: Actor, now: datetime) -> Verification:
    """Say that a member of staff saw the document and it is this customer's.

    Where another record holds the same document verified: under the same name the two are one customer and are merged, the older standing
    for both; else the pair waits for a person. That is a result, not a refusal, because the suggestion must stay.

    :raises IdentifierNotFound: if there is no such document
    :raises CustomerWasMerged: if another record stands for its customer
    """
    identifier = await _get_for_update(session, identifier_id)
    own_id = CustomerId(identifier.customer_id)
    await _lock_number(session, identifier.value_index)
    holder = next((each for each in await _living(session, identifier.type, identifier.value_index) if each.verified_at is not None), None)
    if holder is None:
        await get_living_customer(session, customer_id=own_id)
        identifier.verified_at, identifier.verified_by = now, staff_id
        await session.flush()
        await _record(session, "customers.identifier_verified", identifier_id, own_id, {"type": identifier.type}, actor=actor, now=now)
        return Verification(Verified.VERIFIED, own_id, None)
    other_id = await survivor_of(session, customer_id=holder.customer_id)
    if other_id == await survivor_of(session, customer_id=own_id):
        return Verification(Verified.VERIFIED, other_id, None)
    both = await lock_customers(session, own_id, other_id)
    customer, other = both[own_id], both[other_id]
    if customer.status is CustomerStatus.MERGED:
        raise CustomerWasMerged(merged_into=customer.merged_into)
    verdict = same_document(verified=True, name=customer.name, other_name=other.name, other_is_active=other.status is CustomerStatus.ACTIVE)
    if verdict is SameDocument.MERGE and customer.status is CustomerStatus.ACTIVE:
        await merge_customers(
            session,
            kept_id=other_id,
            merged_id=own_id,
            basis=MergeBasis.VERIFIED_DOCUMENT,
            reason="same name and same verified document",
            actor=actor,
            now=now,
        )
        return Verification(Verified.MERGED, other_id, other_id)
    await suggest(session, one=own_id, other=other_id, reason=SuggestionReason.SAME_DOCUMENT_OTHER_NAME, now=now)
    await _record(session, "customers.identifier_doubtful", identifier_id, own_id, {"holder": other_id}, actor=actor, now=now)
    return Verification(Verified.DOUBTFUL, own_id, other_id)


async def remove_identifier(session: AsyncSession, *, identifier_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Take a document out of use; the row stays, since real-name records are kept for years.

    :raises IdentifierNotFound: if there is no such document
    """
    identifier = await _get_for_update(session, identifier_id)
    identifier.removed_at = now
    await session.flush()
    customer_id = CustomerId(identifier.customer_id)
    await _record(session, "customers.identifier_removed", identifier_id, customer_id, {"reason": reason}, actor=actor, now=now)


async def reveal_identifier(session: AsyncSession, *, identifier_id: UUID, reason: str, actor: Actor, now: datetime) -> str:
    """Return a document number in clear. Who looked, when and why is on the trail before the number is.

    :raises IdentifierNotFound: if there is no such document
    """
    identifier = await _get_for_update(session, identifier_id)
    customer_id = CustomerId(identifier.customer_id)
    facts = {"type": identifier.type, "reason": reason}
    await _record(session, "customers.identifier_viewed", identifier_id, customer_id, facts, actor=actor, now=now)
    return open_document(identifier.value_sealed, identifier_id=identifier_id)


async def _get_for_update(session: AsyncSession, identifier_id: UUID) -> CustomerIdentifier:
    found = await session.scalar(
        locked(select(CustomerIdentifier).where(CustomerIdentifier.identifier_id == identifier_id, CustomerIdentifier.removed_at.is_(None)))
    )
    if found is None:
        raise IdentifierNotFound
    return found


async def _living(session: AsyncSession, type_: IdentifierType, index: bytes) -> list[CustomerIdentifier]:
    found = await session.scalars(
        select(CustomerIdentifier)
        .where(CustomerIdentifier.type == type_, CustomerIdentifier.value_index == index, CustomerIdentifier.removed_at.is_(None))
        .order_by(CustomerIdentifier.added_at, CustomerIdentifier.identifier_id)
    )
    return list(found)


async def _lock_number(session: AsyncSession, index: bytes) -> None:
    """Let two counters that type or verify one number come one after the other: there may be no row yet to lock."""
    await session.execute(select(func.pg_advisory_xact_lock(int.from_bytes(index[:8], "big", signed=True))))


async def _record(
    session: AsyncSession,
    action: str,
    identifier_id: UUID,
    customer_id: CustomerId,
    facts: Mapping[str, object],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    await record(
        session, actor=actor, action=action, subject=("customer", customer_id), facts={"identifier": identifier_id, **facts}, now=now
    )
