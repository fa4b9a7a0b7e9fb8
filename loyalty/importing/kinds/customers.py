"""Customers. Those already taken over stay as they are: they live here now."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.customers.model import CustomerKind
from loyalty.customers.operations import CustomerFacts
from loyalty.customers.operations.adopting import adopt_customers
from loyalty.importing.values import Field, Kind

from .base import Context, KindOfRow, Results, Row, Taken

FIELDS = {
    "kind": Field(required=True, choices=CustomerKind),
    "name": Field(required=True),
    "short_name": Field(),
    "locale": Field(),
    "country": Field(),
    "segment": Field(),
    "phone": Field(),
    "email": Field(),
    "address": Field(),
    "birthday": Field(Kind.DATE),
}


async def take(session: AsyncSession, context: Context, rows: Sequence[Row]) -> Results:
    """Add the customers that are new."""
    facts = {row.legacy_id: CustomerFacts(**{name: value for name, value in row.values.items() if value is not None}) for row in rows}
    put = await adopt_customers(session, source=context.source, customers=facts, actor=context.actor, now=context.now)
    return {row.line: Taken(put.ids[row.legacy_id]) for row in rows}


KIND = KindOfRow(FIELDS, take)
