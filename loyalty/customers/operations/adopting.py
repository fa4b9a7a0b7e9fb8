"""Taking customers over from a former system by the thousand."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.operations import Actor, record
from loyalty.copying import copy_rows
from loyalty.customers.queries.records import find_by_references
from loyalty.ids import CustomerId, uuid7

from .records import CustomerFacts, PutCustomers, values_of

_COLUMNS = (
    "customer_id",
    "kind",
    "name",
    "name_key",
    "short_name",
    "locale",
    "country",
    "segment",
    "status",
    "phone_sealed",
    "phone_index",
    "phone_tail",
    "email_sealed",
    "address",
    "birthday",
    "created_at",
)


async def adopt_customers(
    session: AsyncSession, *, source: str, customers: Mapping[str, CustomerFacts], actor: Actor, now: datetime
) -> PutCustomers:
    """Do as `put_customers` does, by COPY: those already taken over stay as they are, since they live here now.

    :raises NameIsEmpty: if a name is missing
    :raises InvalidPhone: if a phone number cannot exist
    """
    known = await find_by_references(session, source=source, references=list(customers))
    ids: dict[str, CustomerId] = {}
    rows = []
    for reference, facts in customers.items():
        if reference not in known:
            ids[reference] = CustomerId(uuid7(now))
            values = values_of(facts, ids[reference], now)
            rows.append(tuple(values[name] for name in _COLUMNS))
    if rows:
        await copy_rows(session, "customers", _COLUMNS, rows)
        references = [(source, reference, customer_id) for reference, customer_id in ids.items()]
        await copy_rows(session, "customer_references", ("source", "reference", "customer_id"), references)
        await record(
            session,
            actor=actor,
            action="customers.imported",
            subject=("customers", f"{len(rows)} rows"),
            facts={"source": source, "added": len(rows), "known": len(known)},
            now=now,
        )
    return PutCustomers(known | ids, tuple(ids))
