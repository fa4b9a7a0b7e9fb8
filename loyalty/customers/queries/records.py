"""Reading customers: one, a page of them, or by what somebody at the counter says."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import ARRAY, ColumnElement, Select, Text, any_, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from stdnum.util import clean

from loyalty.customers.model import Customer, CustomerIdentifier, CustomerKind, CustomerReference, CustomerStatus
from loyalty.customers.protected import document_index, open_email, open_phone, phone_index
from loyalty.customers.rules import InvalidPhone, name_key, phone_text, read_phone
from loyalty.ids import CustomerId
from loyalty.paging import PAGE_SIZE, Column, Page, keys_for, page

from .family import CustomerNotFound, survivors_of


class CustomerView(msgspec.Struct, frozen=True, kw_only=True):
    """One record. The phone is written as it is dialled in the customer's country; document numbers are not here."""

    customer_id: UUID
    kind: CustomerKind
    name: str
    short_name: str | None
    status: CustomerStatus
    merged_into: UUID | None
    locale: str
    country: str
    segment: str | None
    phone: str | None
    email: str | None
    address: str | None
    birthday: date | None
    developed_by: UUID | None
    developed_at_station: UUID | None
    flyer_code: str | None
    referrer_id: UUID | None
    first_load_minor: int | None
    first_load_currency: str | None
    first_load_at: datetime | None
    created_at: datetime


class MatchedBy(StrEnum):
    PHONE = "phone"
    IDENTIFIER = "identifier"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Hit:
    """A customer found, always the record that stands for it; several ways to the same one are one hit."""

    customer: CustomerView
    matched_by: MatchedBy


class CustomerFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of customers is cut to. Merged records are left out unless `statuses` names them."""

    name: str = ""
    """The beginning of the name."""
    kind: CustomerKind | None = None
    statuses: Collection[CustomerStatus] = (CustomerStatus.ACTIVE, CustomerStatus.CLOSED)
    segment: str | None = None
    developed_at_station: UUID | None = None
    developed_by: UUID | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


_SORTS: dict[str, Column] = {"name": Customer.name_key, "created_at": Customer.created_at}


def view_of(row: Customer) -> CustomerView:
    """Make plain values of a record, its phone and mail address opened."""
    phone = open_phone(row.phone_sealed, table="customers", row_id=row.customer_id)
    return CustomerView(
        customer_id=row.customer_id,
        kind=row.kind,
        name=row.name,
        short_name=row.short_name,
        status=row.status,
        merged_into=row.merged_into,
        locale=row.locale,
        country=row.country,
        segment=row.segment,
        phone=None if phone is None else phone_text(phone, country=row.country),
        email=open_email(row.email_sealed, table="customers", row_id=row.customer_id),
        address=row.address,
        birthday=row.birthday,
        developed_by=row.developed_by,
        developed_at_station=row.developed_at_station,
        flyer_code=row.flyer_code,
        referrer_id=row.referrer_id,
        first_load_minor=row.first_load_minor,
        first_load_currency=row.first_load_currency,
        first_load_at=row.first_load_at,
        created_at=row.created_at,
    )


async def get_customer(session: AsyncSession, *, customer_id: UUID) -> CustomerView:
    """Return one record as it stands, merged or not; `survivor_of` leads on.

    :raises CustomerNotFound: if there is no such customer
    """
    row = await session.scalar(select(Customer).where(Customer.customer_id == customer_id))
    if row is None:
        raise CustomerNotFound
    return view_of(row)


async def names_of(session: AsyncSession, *, customer_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the names of many customers: for lists of other rooms."""
    found = await session.execute(select(Customer.customer_id, Customer.name).where(Customer.customer_id.in_(list(customer_ids))))
    return {customer_id: name for customer_id, name in found}  # noqa: C416 - a Row is no pair for the type checker


async def list_customers(
    session: AsyncSession, *, by: CustomerFilter | None = None, sort: str = "name", cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[CustomerView]:
    """Read a page of customers; sorts: name, created_at.

    :raises UnknownSort: for another sort
    """
    statement = _filtered(select(Customer), by or CustomerFilter())
    found = await page(session, statement, keys=keys_for(sort, _SORTS, unique=Customer.customer_id), cursor=cursor, limit=limit)
    return Page(rows=[view_of(row) for row in found.rows], next=found.next, previous=found.previous)


async def find_customers(session: AsyncSession, *, text: str, country: str = "CN", limit: int = 20) -> list[Hit]:
    """Find customers by whatever was typed or said: a phone number, a document number, or the beginning of a name.

    Exact finds come first. Merged and closed records lead to who stands for them.
    """
    matched = {
        MatchedBy.PHONE: await find_by_phone(session, text=text, country=country),
        MatchedBy.IDENTIFIER: await find_by_document(session, text=text),
        MatchedBy.NAME: await _by_name(session, text, limit),
    }
    survivors = await survivors_of(session, customer_ids={each for found in matched.values() for each in found})
    ways: dict[CustomerId, MatchedBy] = {}
    for matched_by, found in matched.items():
        for customer_id in found:
            ways.setdefault(survivors[customer_id], matched_by)
    wanted = list(ways)[:limit]
    rows = {row.customer_id: row for row in await session.scalars(select(Customer).where(Customer.customer_id.in_(wanted)))}
    return [Hit(view_of(rows[customer_id]), ways[customer_id]) for customer_id in wanted]


async def find_by_phone(session: AsyncSession, *, text: str, country: str = "CN") -> list[CustomerId]:
    """Return the records with this main phone, the oldest first; none where the text is no phone number."""
    try:
        index = phone_index(read_phone(text, country=country))
    except InvalidPhone:
        return []
    found = await session.scalars(select(Customer.customer_id).where(Customer.phone_index == index).order_by(Customer.customer_id))
    return [CustomerId(each) for each in found]


async def find_by_document(session: AsyncSession, *, text: str) -> list[CustomerId]:
    """Return the records with this document number, those who hold it verified first."""
    value = clean(text, " -./").upper().strip()
    if not value:
        return []
    found = await session.scalars(
        select(CustomerIdentifier.customer_id)
        .where(CustomerIdentifier.value_index == document_index(value), CustomerIdentifier.removed_at.is_(None))
        .order_by(CustomerIdentifier.verified_at.is_(None), CustomerIdentifier.added_at, CustomerIdentifier.identifier_id)
    )
    return [CustomerId(each) for each in dict.fromkeys(found)]


async def find_by_references(session: AsyncSession, *, source: str, references: Sequence[str]) -> dict[str, CustomerId]:
    """Return which records another system's references name."""
    found = await session.execute(
        select(CustomerReference.reference, CustomerReference.customer_id).where(
            CustomerReference.source == source, CustomerReference.reference == any_(literal(list(references), ARRAY(Text)))
        )
    )
    return {reference: CustomerId(customer_id) for reference, customer_id in found}


async def _by_name(session: AsyncSession, text: str, limit: int) -> list[CustomerId]:
    key = name_key(text)
    if not key:
        return []
    found = await session.scalars(
        select(Customer.customer_id).where(_begins_with(key)).order_by(Customer.name_key, Customer.customer_id).limit(limit)
    )
    return [CustomerId(each) for each in found]


def _begins_with(key: str) -> ColumnElement[bool]:
    # The whole pattern as one value, or the planner does not see that it is a prefix.
    escaped = key.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return Customer.name_key.like(f"{escaped}%")


def _filtered(statement: Select[Customer], by: CustomerFilter) -> Select[Customer]:
    statement = statement.where(Customer.status.in_(list(by.statuses)))
    if by.name:
        statement = statement.where(_begins_with(name_key(by.name)))
    if by.kind is not None:
        statement = statement.where(Customer.kind == by.kind)
    if by.segment is not None:
        statement = statement.where(Customer.segment == by.segment)
    if by.developed_at_station is not None:
        statement = statement.where(Customer.developed_at_station == by.developed_at_station)
    if by.developed_by is not None:
        statement = statement.where(Customer.developed_by == by.developed_by)
    if by.created_from is not None:
        statement = statement.where(Customer.created_at >= by.created_from)
    if by.created_to is not None:
        statement = statement.where(Customer.created_at < by.created_to)
    return statement
