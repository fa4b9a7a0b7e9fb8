"""What a customer is asked at the counter when a card becomes theirs: whose data may go to whom, in the words that are read to them.

A tick is a declaration with the version of those words. Who ticks nothing says nothing: silence is no, and may be changed on one's own
page.
"""

from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.customers.model import ConsentChannel
from loyalty.customers.operations import declare_consent
from loyalty.customers.queries import survivor_of, wordings_asked
from loyalty.ids import CustomerId
from loyalty.web.cashier.till import Till

FIELD: Final = "agrees"


async def asked_here(till: Till, session: AsyncSession) -> list[dict[str, Any]]:
    """Return what is asked: the words, and what a tick says."""
    return [
        {
            "said": f"{one.version}:{one.recipient}:{one.purpose}",
            "title": till.either(one.title_zh, one.title_en),
            "text": till.either(one.text_zh, one.text_en),
        }
        for one in await wordings_asked(session)
    ]


async def declare_ticked(till: Till, session: AsyncSession, customer_id: UUID) -> None:
    """Declare what was ticked, for the customer who stands at the counter.

    :raises WordingNotFound: if words were ticked that nobody is asked
    """
    for said in till.form.many(FIELD):
        version, _colon, rest = said.partition(":")
        recipient, _colon, purpose = rest.partition(":")
        await declare_consent(
            session,
            customer_id=await survivor_of(session, customer_id=CustomerId(customer_id)),
            purpose=purpose,
            recipient=recipient,
            granted=True,
            evidence=f"/cashier {till.principal.employee_number}",
            wording=int(version) if version.isascii() and version.isdigit() else 0,
            channel=ConsentChannel.COUNTER,
            station_id=till.place.station_id,
            actor=till.actor,
            now=till.now,
        )
