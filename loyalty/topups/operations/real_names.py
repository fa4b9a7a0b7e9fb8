"""Real-name records: sealed when taken, opened only by a logged view."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.crypto import Purpose, blind_index, open_text, seal_text
from loyalty.customers.model import CustomerKind, IdentifierType
from loyalty.customers.rules import read_document
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.policy import Policy
from loyalty.topups.model import Party, RealName
from loyalty.topups.queries import get_real_name
from loyalty.topups.rules import years_later

_TABLE = "real_names"


class RealNameIncomplete(Refusal):
    """A record names the party, the document and a contact."""

    status = 422
    zh = "实名登记缺少：{missing}。"
    en = "The real-name record lacks: {missing}."
    next_zh = "请补全后再办理。"
    next_en = "Complete it and try again."


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """Who stands at the counter, as the document says. Never shown by repr."""

    party: Party
    name: str
    id_type: IdentifierType
    id_number: str
    contact: str
    """A telephone number or address at which the party is reached."""

    def __repr__(self) -> str:
        return f"Declared(party={self.party.value!r})"


class RealNameView(msgspec.Struct, frozen=True, kw_only=True):
    """An opened record. `declared` is None where a customer's verified identity was reused: it is opened there."""

    record_id: UUID
    party: Party
    customer_id: UUID | None
    declared: Declared | None
    taken_at: datetime
    keep_until: datetime


async def record_real_name(
    session: AsyncSession,
    *,
    policy: Policy,
    declared: Declared | None,
    customer_id: UUID | None,
    party: Party,
    actor: Actor,
    station_id: UUID | None,
    now: datetime,
) -> UUID:
    """Keep who bought, paid or claimed; without `declared` the customer's verified identity stands for it. Return the record's id.

    :raises RealNameIncomplete: if a part of it is missing
    :raises InvalidIdentifier: if the document's number cannot be one
    :raises WrongKindOfIdentifier: if a person shows an organisation's document, or the other way round
    """
    record_id = uuid7(now)
    made = RealName(
        record_id=record_id,
        party=party if declared is None else declared.party,
        customer_id=customer_id,
        taken_at=now,
        taken_by=actor.staff_id,
        station_id=station_id,
        keep_until=years_later(now, policy.real_name.keep_years),
    )
    if declared is not None:
        missing = [name for name in ("name", "id_number", "contact") if not getattr(declared, name).strip()]
        if missing:
            raise RealNameIncomplete(missing=", ".join(missing))
        kind = CustomerKind.ORGANISATION if declared.party is Party.ORGANISATION else CustomerKind.PERSON
        document = read_document(declared.id_type, declared.id_number, kind=kind)
        number = document.value
        made.name_sealed = seal_text(
            Purpose.PERSON_NAME, table=_TABLE, column="name_sealed", row_id=record_id, plaintext=declared.name.strip()
        )
        made.id_type = declared.id_type
        made.id_number_sealed = seal_text(Purpose.ID_DOCUMENT, table=_TABLE, column="id_number_sealed", row_id=record_id, plaintext=number)
        made.id_number_index = blind_index(Purpose.INDEX_ID_DOCUMENT, number)
        made.id_tail = document.tail
        made.contact_sealed = seal_text(
            Purpose.CONTACT, table=_TABLE, column="contact_sealed", row_id=record_id, plaintext=declared.contact.strip()
        )
    session.add(made)
    await session.flush()
    return record_id


async def view_real_name(session: AsyncSession, *, record_id: UUID, reason: str, actor: Actor, now: datetime) -> RealNameView:
    """Open a record for a person who says why; the view itself is an entry of the audit trail.

    :raises RealNameNotFound: if there is none
    """
    found = await get_real_name(session, record_id=record_id)
    await audit.record(
        session,
        actor=actor,
        action="topups.real_name_viewed",
        subject=("real_name", record_id),
        facts={"reason": reason},
        station_id=None,
        now=now,
    )
    return RealNameView(
        record_id=record_id,
        party=found.party,
        customer_id=found.customer_id,
        declared=_opened(found),
        taken_at=found.taken_at,
        keep_until=found.keep_until,
    )


async def declared_name(session: AsyncSession, *, record_id: UUID | None) -> str | None:
    """Return the name on a record for a comparison inside the room; nobody is shown it. None where none was declared."""
    if record_id is None:
        return None
    declared = _opened(await get_real_name(session, record_id=record_id))
    return None if declared is None else declared.name


def _opened(found: RealName) -> Declared | None:
    if found.name_sealed is None or found.id_number_sealed is None or found.contact_sealed is None or found.id_type is None:
        return None
    row_id = found.record_id
    return Declared(
        party=found.party,
        name=open_text(Purpose.PERSON_NAME, table=_TABLE, column="name_sealed", row_id=row_id, envelope=found.name_sealed),
        id_type=found.id_type,
        id_number=open_text(Purpose.ID_DOCUMENT, table=_TABLE, column="id_number_sealed", row_id=row_id, envelope=found.id_number_sealed),
        contact=open_text(Purpose.CONTACT, table=_TABLE, column="contact_sealed", row_id=row_id, envelope=found.contact_sealed),
    )
