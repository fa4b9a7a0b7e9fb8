"""Reading what belongs to a customer: documents, contacts, bank accounts, merges. Always of the whole family."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from loyalty.customers.model import (
    PERSONS,
    ContactRole,
    Customer,
    CustomerBankAccount,
    CustomerContact,
    CustomerIdentifier,
    CustomerMerge,
    IdentifierType,
    MergeBasis,
    MergeSuggestion,
    SuggestionReason,
    SuggestionStatus,
)
from loyalty.customers.protected import bank_account_index, open_email, open_phone
from loyalty.customers.rules import Warned, phone_text
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, page_as

from .family import family_of


class IdentifierView(msgspec.Struct, frozen=True):
    """A document by its last characters; the number itself only by `operations.reveal_identifier`, which is logged."""

    identifier_id: UUID
    customer_id: UUID
    type: IdentifierType
    country: str
    tail: str
    valid_until: date | None
    warnings: list[Warned]
    added_at: datetime
    verified_at: datetime | None
    verified_by: UUID | None


class ContactView(msgspec.Struct, frozen=True, kw_only=True):
    contact_id: UUID
    customer_id: UUID
    role: ContactRole
    name: str
    phone: str | None
    email: str | None
    personal_benefits_agreed: str | None


class BankAccountView(msgspec.Struct, frozen=True):
    """A bank account by its last digits."""

    bank_account_id: UUID
    customer_id: UUID
    holder: str
    bank: str
    currency: str
    tail: str
    added_at: datetime


class MergeView(msgspec.Struct, frozen=True):
    merge_id: UUID
    kept_id: UUID
    merged_id: UUID
    basis: MergeBasis
    merged_at: datetime
    merged_by: UUID | None
    reason: str
    undone_at: datetime | None
    undone_by: UUID | None


class SuggestionView(msgspec.Struct, frozen=True):
    """Two records that may be one customer, by name."""

    suggestion_id: UUID
    first_id: UUID
    first_name: str
    second_id: UUID
    second_name: str
    reason: SuggestionReason
    status: SuggestionStatus
    made_at: datetime
    decided_at: datetime | None
    decided_by: UUID | None


async def identifiers_of(session: AsyncSession, *, customer_id: UUID) -> list[IdentifierView]:
    """Return a customer's living documents, the verified ones first.

    :raises CustomerNotFound: if there is no such customer
    """
    family = await family_of(session, customer_id=customer_id)
    columns = [getattr(CustomerIdentifier, name) for name in IdentifierView.__struct_fields__]
    return await all_as(
        session,
        IdentifierView,
        select(*columns)
        .where(CustomerIdentifier.customer_id.in_(family), CustomerIdentifier.removed_at.is_(None))
        .order_by(CustomerIdentifier.verified_at.is_(None), CustomerIdentifier.added_at, CustomerIdentifier.identifier_id),
    )


async def has_verified_identity(session: AsyncSession, *, customer_id: UUID, at: date) -> bool:
    """Say whether a document of this customer was verified and is still valid on a day: what a registered load reuses.

    :raises CustomerNotFound: if there is no such customer
    """
    return any(
        each.verified_at is not None and (each.valid_until is None or each.valid_until >= at)
        for each in await identifiers_of(session, customer_id=customer_id)
        if each.type in PERSONS or each.type in {IdentifierType.USCC, IdentifierType.TAX_NUMBER}
    )


async def contacts_of(session: AsyncSession, *, customer_id: UUID) -> list[ContactView]:
    """Return an organisation's living contacts by role.

    :raises CustomerNotFound: if there is no such customer
    """
    family = await family_of(session, customer_id=customer_id)
    found = await session.execute(
        select(CustomerContact, Customer.country)
        .join(Customer, Customer.customer_id == CustomerContact.customer_id)
        .where(CustomerContact.customer_id.in_(family), CustomerContact.removed_at.is_(None))
        .order_by(CustomerContact.role, CustomerContact.added_at, CustomerContact.contact_id)
    )
    return [_contact(contact, country) for contact, country in found]


async def bank_accounts_of(session: AsyncSession, *, customer_id: UUID) -> list[BankAccountView]:
    """Return a customer's living bank accounts, the oldest first.

    :raises CustomerNotFound: if there is no such customer
    """
    family = await family_of(session, customer_id=customer_id)
    columns = [getattr(CustomerBankAccount, name) for name in BankAccountView.__struct_fields__]
    return await all_as(
        session,
        BankAccountView,
        select(*columns)
        .where(CustomerBankAccount.customer_id.in_(family), CustomerBankAccount.removed_at.is_(None))
        .order_by(CustomerBankAccount.added_at, CustomerBankAccount.bank_account_id),
    )


async def is_own_bank_account(session: AsyncSession, *, customer_id: UUID, number: str) -> bool:
    """Say whether a bank account is known as this customer's own: an organisation pays from no other.

    :raises CustomerNotFound: if there is no such customer
    """
    family = await family_of(session, customer_id=customer_id)
    found = await session.scalar(
        select(CustomerBankAccount.bank_account_id).where(
            CustomerBankAccount.customer_id.in_(family),
            CustomerBankAccount.account_index == bank_account_index("".join(number.split())),
            CustomerBankAccount.removed_at.is_(None),
        )
    )
    return found is not None


async def merges_of(session: AsyncSession, *, customer_id: UUID) -> list[MergeView]:
    """Return the merges that a customer's records took part in, undone ones included, the latest first.

    :raises CustomerNotFound: if there is no such customer
    """
    family = await family_of(session, customer_id=customer_id)
    columns = [getattr(CustomerMerge, name) for name in MergeView.__struct_fields__]
    return await all_as(
        session,
        MergeView,
        select(*columns)
        .where(CustomerMerge.kept_id.in_(family) | CustomerMerge.merged_id.in_(family))
        .order_by(CustomerMerge.merged_at.desc(), CustomerMerge.merge_id.desc()),
    )


async def list_suggestions(
    session: AsyncSession,
    *,
    statuses: Collection[SuggestionStatus] = (SuggestionStatus.OPEN,),
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[SuggestionView]:
    """Read a page of doubtful pairs, the latest first."""
    first, second = aliased(Customer), aliased(Customer)
    columns: list[Any] = [getattr(MergeSuggestion, name, None) for name in SuggestionView.__struct_fields__]
    columns[2], columns[4] = first.name.label("first_name"), second.name.label("second_name")
    statement = (
        select(*columns)
        .join(first, first.customer_id == MergeSuggestion.first_id)
        .join(second, second.customer_id == MergeSuggestion.second_id)
        .where(MergeSuggestion.status.in_(list(statuses)))
    )
    keys = [Key(MergeSuggestion.made_at, descending=True), Key(MergeSuggestion.suggestion_id, descending=True)]
    return await page_as(session, SuggestionView, statement, keys=keys, cursor=cursor, limit=limit)


def _contact(row: CustomerContact, country: str) -> ContactView:
    phone = open_phone(row.phone_sealed, table="customer_contacts", row_id=row.contact_id)
    return ContactView(
        contact_id=row.contact_id,
        customer_id=row.customer_id,
        role=row.role,
        name=row.name,
        phone=None if phone is None else phone_text(phone, country=country),
        email=open_email(row.email_sealed, table="customer_contacts", row_id=row.contact_id),
        personal_benefits_agreed=row.personal_benefits_agreed,
    )
