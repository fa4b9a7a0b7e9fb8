"""Adding, changing and closing customers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.operations import Actor, record
from loyalty.customers.model import CUSTOMER_MOVES, Customer, CustomerKind, CustomerReference, CustomerStatus, SuggestionReason
from loyalty.customers.protected import protect_email, protect_phone
from loyalty.customers.queries.family import get_customer_for_update
from loyalty.customers.queries.records import find_by_references
from loyalty.customers.rules import name_key, read_phone
from loyalty.errors import Refusal
from loyalty.ids import CustomerId, uuid7

from .suggestions import suggest


class CustomerCannotMove(Refusal):
    """The customer's present status does not lead there."""

    zh = "客户状态为 {status}，不能改为 {to}。"
    en = "The customer is {status}; it cannot become {to}."
    next_zh = "请刷新后查看当前状态。"
    next_en = "Reload to see its present status."


class CustomerWasMerged(Refusal):
    """Another record stands for this customer."""

    zh = "该客户已并入另一客户。"
    en = "This customer was merged into another one."
    next_zh = "请打开合并后的客户再操作。"
    next_en = "Open the customer it was merged into."


class KindIsFixed(Refusal):
    """Documents, contacts and rules hang on it."""

    zh = "客户类型（个人/单位）不能更改。"
    en = "Whether a customer is a person or an organisation cannot change."
    next_zh = "请新建客户。"
    next_en = "Add a new customer."


class NameIsEmpty(Refusal):
    """A customer has a name."""

    status = 422
    zh = "姓名或名称不能为空。"
    en = "The name is missing."
    next_zh = "请填写姓名或单位名称。"
    next_en = "Give the person's or organisation's name."


class CustomerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said about a customer; `phone` as typed, in E.164 once stored. Who developed it is said once, when it is added."""

    kind: CustomerKind
    name: str
    short_name: str | None = None
    locale: str = "zh_CN"
    country: str = "CN"
    segment: str | None = None
    phone: str | None = None
    email: str | None = None
    address: str | None = None
    birthday: date | None = None


class Development(msgspec.Struct, frozen=True, kw_only=True):
    """Who brought the customer: staff, station, flyer code, another customer."""

    staff_id: UUID | None = None
    station_id: UUID | None = None
    flyer_code: str | None = None
    referrer_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class PutCustomers:
    """What an import did: every reference's customer, and the references that were new."""

    ids: dict[str, CustomerId]
    added: tuple[str, ...]


async def add_customer(
    session: AsyncSession, *, facts: CustomerFacts, actor: Actor, now: datetime, developed: Development | None = None
) -> CustomerId:
    """Add a customer. One with the same name and phone is suggested as the same, never merged for that.

    :raises NameIsEmpty: if there is no name
    :raises InvalidPhone: if the phone number cannot exist
    """
    values = values_of(facts, CustomerId(uuid7(now)), now) | _developed(developed)
    await session.execute(insert(Customer).values(values))
    await _suggest_twins(session, values, now)
    await record(
        session,
        actor=actor,
        action="customers.added",
        subject=("customer", values["customer_id"]),
        station_id=None if developed is None else developed.station_id,
        facts={"kind": facts.kind},
        now=now,
    )
    return CustomerId(values["customer_id"])


async def put_customers(
    session: AsyncSession, *, source: str, customers: Mapping[str, CustomerFacts], actor: Actor, now: datetime
) -> PutCustomers:
    """Add customers of another system by its references; those already taken over stay as they are, since they live here now.

    :raises NameIsEmpty: if a name is missing
    :raises InvalidPhone: if a phone number cannot exist
    """
    known = await find_by_references(session, source=source, references=list(customers))
    fresh = {reference: values_of(facts, CustomerId(uuid7(now)), now) for reference, facts in customers.items() if reference not in known}
    if fresh:
        await session.execute(insert(Customer), [values | _developed(None) for values in fresh.values()])
        await session.execute(
            insert(CustomerReference),
            [{"source": source, "reference": each, "customer_id": values["customer_id"]} for each, values in fresh.items()],
        )
        await record(
            session,
            actor=actor,
            action="customers.imported",
            subject=("customers", f"{len(fresh)} rows"),
            facts={"source": source, "added": len(fresh), "known": len(known)},
            now=now,
        )
    return PutCustomers(known | {each: CustomerId(values["customer_id"]) for each, values in fresh.items()}, tuple(fresh))


async def change_customer(
    session: AsyncSession, *, customer_id: CustomerId, facts: CustomerFacts, actor: Actor, now: datetime
) -> tuple[str, ...]:
    """Replace what is said about a customer and return the names of what differed; the trail gets the names, not the values.

    :raises CustomerNotFound: if there is no such customer
    :raises CustomerWasMerged: if another record stands for it
    :raises KindIsFixed: if a person would become an organisation
    :raises NameIsEmpty: if there is no name
    :raises InvalidPhone: if the phone number cannot exist
    """
    customer = await get_living_customer(session, customer_id=customer_id)
    if facts.kind is not customer.kind:
        raise KindIsFixed
    values = values_of(facts, customer_id, now)
    sealed = {"phone_sealed", "email_sealed"}
    # Sealing the same text twice gives two envelopes: phones are compared by index, and a mail address is always written.
    differing = [
        name for name, value in values.items() if name not in {*sealed, "created_at", "status"} and getattr(customer, name) != value
    ]
    if (customer.email_sealed is None) != (facts.email is None) or facts.email is not None:
        differing.append("email_sealed")
    if "phone_index" in differing:
        differing.append("phone_sealed")
    if not differing:
        return ()
    await session.execute(update(Customer).where(Customer.customer_id == customer_id).values({name: values[name] for name in differing}))
    await session.refresh(customer)
    await _suggest_twins(session, values, now)
    changed = tuple(
        sorted({name.removesuffix("_index").removesuffix("_sealed").removesuffix("_tail").removesuffix("_key") for name in differing})
    )
    await record(
        session, actor=actor, action="customers.changed", subject=("customer", customer_id), facts={"fields": list(changed)}, now=now
    )
    return changed


async def record_development(session: AsyncSession, *, customer_id: CustomerId, developed: Development) -> bool:
    """Store who developed a customer, at issue; False where that is stored already: it is said once."""
    stored = await session.execute(
        update(Customer)
        .where(
            Customer.customer_id == customer_id,
            Customer.developed_by.is_(None),
            Customer.developed_at_station.is_(None),
            Customer.flyer_code.is_(None),
            Customer.referrer_id.is_(None),
        )
        .values(_developed(developed))
        .returning(Customer.customer_id)
    )
    return stored.first() is not None


async def record_first_load(session: AsyncSession, *, customer_id: CustomerId, amount_minor: int, currency: str, at: datetime) -> bool:
    """Store a customer's first load; False where one is stored already."""
    stored = await session.execute(
        update(Customer)
        .where(Customer.customer_id == customer_id, Customer.first_load_at.is_(None))
        .values(first_load_minor=amount_minor, first_load_currency=currency, first_load_at=at)
        .returning(Customer.customer_id)
    )
    return stored.first() is not None


async def close_customer(session: AsyncSession, *, customer_id: CustomerId, reason: str, actor: Actor, now: datetime) -> Customer:
    """Close a customer record; its accounts and cards are closed in their own rooms first.

    :raises CustomerNotFound: if there is no such customer
    :raises CustomerCannotMove: if it is merged or closed
    """
    return await _move(session, customer_id, CustomerStatus.CLOSED, reason, actor=actor, now=now)


async def reopen_customer(session: AsyncSession, *, customer_id: CustomerId, reason: str, actor: Actor, now: datetime) -> Customer:
    """Let a closed customer come back.

    :raises CustomerNotFound: if there is no such customer
    :raises CustomerCannotMove: if it is not closed
    """
    customer = await get_customer_for_update(session, customer_id=customer_id)
    if customer.status is not CustomerStatus.CLOSED:
        raise CustomerCannotMove(status=customer.status, to=CustomerStatus.ACTIVE)
    return await _move(session, customer_id, CustomerStatus.ACTIVE, reason, actor=actor, now=now)


async def get_living_customer(session: AsyncSession, *, customer_id: CustomerId) -> Customer:
    """Lock and return a record that may be written to.

    :raises CustomerNotFound: if there is no such customer
    :raises CustomerWasMerged: if another record stands for it
    """
    customer = await get_customer_for_update(session, customer_id=customer_id)
    if customer.status is CustomerStatus.MERGED:
        raise CustomerWasMerged(merged_into=customer.merged_into)
    return customer


async def _move(
    session: AsyncSession, customer_id: CustomerId, to: CustomerStatus, reason: str, *, actor: Actor, now: datetime
) -> Customer:
    customer = await get_customer_for_update(session, customer_id=customer_id)
    if to not in CUSTOMER_MOVES[customer.status]:
        raise CustomerCannotMove(status=customer.status, to=to)
    before, customer.status = customer.status, to
    facts = {"from": before, "to": to, "reason": reason}
    await record(session, actor=actor, action="customers.moved", subject=("customer", customer_id), facts=facts, now=now)
    return customer


def values_of(facts: CustomerFacts, customer_id: CustomerId, now: datetime) -> dict[str, Any]:
    """Return a new record's columns, its protected ones sealed."""
    name = facts.name.strip()
    if not name:
        raise NameIsEmpty
    phone = None
    if facts.phone and facts.phone.strip():
        phone = protect_phone(read_phone(facts.phone, country=facts.country), table="customers", row_id=customer_id)
    email = facts.email.strip() if facts.email else None
    return {
        "customer_id": customer_id,
        "kind": facts.kind,
        "name": name,
        "name_key": name_key(name),
        "short_name": facts.short_name,
        "locale": facts.locale,
        "country": facts.country,
        "segment": facts.segment,
        "status": CustomerStatus.ACTIVE,
        "phone_sealed": None if phone is None else phone.sealed,
        "phone_index": None if phone is None else phone.index,
        "phone_tail": None if phone is None else phone.tail,
        "email_sealed": protect_email(email or None, table="customers", row_id=customer_id),
        "address": facts.address,
        "birthday": facts.birthday,
        "created_at": now,
    }


def _developed(developed: Development | None) -> dict[str, Any]:
    developed = developed or Development()
    return {
        "developed_by": developed.staff_id,
        "developed_at_station": developed.station_id,
        "flyer_code": developed.flyer_code,
        "referrer_id": developed.referrer_id,
    }


async def _suggest_twins(session: AsyncSession, values: Mapping[str, Any], now: datetime) -> None:
    """Suggest records of the same name and phone."""
    if values["phone_index"] is None:
        return
    twins = await session.scalars(
        select(Customer.customer_id).where(
            Customer.phone_index == values["phone_index"],
            Customer.name_key == values["name_key"],
            Customer.kind == values["kind"],
            Customer.status == CustomerStatus.ACTIVE,
            Customer.customer_id != values["customer_id"],
        )
    )
    for twin in twins:
        await suggest(session, one=values["customer_id"], other=twin, reason=SuggestionReason.SAME_NAME_AND_PHONE, now=now)
