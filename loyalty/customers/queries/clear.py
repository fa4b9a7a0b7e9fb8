"""Customers' facts in clear, many at once: for a file that goes to somebody they agreed to. Whoever asks writes down what left."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.customers.model import Customer, CustomerIdentifier, IdentifierType
from loyalty.customers.protected import open_document, open_phone

from .family import families_of


class ClearFacts(NamedTuple):
    """One customer's; what was not asked for, or is not known, is None."""

    name: str
    phone: str | None
    """E.164."""
    document_type: IdentifierType | None
    document_number: str | None


async def clear_facts(
    session: AsyncSession, *, customer_ids: Collection[UUID], with_phone: bool, with_document: bool
) -> dict[UUID, ClearFacts]:
    """Return each customer's facts as they stand for the whole family: the survivor's name and phone, a verified document first."""
    families = await families_of(session, customer_ids=customer_ids)
    roots = {root for root, _family in families.values()}
    one = Customer
    people = select(one.customer_id, one.name, one.phone_sealed).where(one.customer_id.in_(roots))
    named = {customer_id: (name, sealed) for customer_id, name, sealed in await session.execute(people)}
    members: dict[UUID, UUID] = {each: root for root, family in families.values() for each in family}
    documents = await _documents(session, members) if with_document else {}
    opened: dict[UUID, ClearFacts] = {}
    for root in roots:
        name, sealed = named[root]
        phone = open_phone(sealed, table="customers", row_id=root) if with_phone else None
        opened[root] = ClearFacts(name, phone, *documents.get(root, (None, None)))
    return {asked: opened[root] for asked, (root, _family) in families.items()}


async def _documents(session: AsyncSession, roots: dict[UUID, UUID]) -> dict[UUID, tuple[IdentifierType, str]]:
    one = CustomerIdentifier
    living = (
        select(one.customer_id, one.identifier_id, one.type, one.value_sealed)
        .where(one.customer_id.in_(roots), one.removed_at.is_(None))
        .order_by(one.verified_at.is_(None), one.added_at.desc(), one.identifier_id.desc())
    )
    found: dict[UUID, tuple[IdentifierType, str]] = {}
    for customer_id, identifier_id, type_, sealed in await session.execute(living):
        root = roots[customer_id]
        if root not in found:
            found[root] = (type_, open_document(sealed, identifier_id=identifier_id))
    return found
