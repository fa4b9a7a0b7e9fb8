"""What the next file would say: each registration weighed against the consent that holds, line by line. Reads only."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.model import Card
from loyalty.customers.queries import ClearFacts, Declared, clear_facts, hold_consents, standing_consents
from partners.feed_rules import Person, Record, Standing, Totals, cells_of, digest_of, slip_number, totals_of, verdict
from partners.model_feeds import FeedColumn, RecordKind, RegistrationStatus
from partners.queries.registrations import Registered, in_parts


class Said(NamedTuple):
    """What a file says: its lines, what moves without one, who is held back, and the slip and name behind each line, for the office."""

    records: list[Record]
    quiet: list[UUID]
    """Cancelled before anybody was told."""
    held_back: int
    names: list[tuple[str, str]]

    @property
    def totals(self) -> Totals:
        """The file's control totals."""
        return totals_of(self.records)


async def compose(
    session: AsyncSession,
    *,
    found: Sequence[Registered],
    columns: Sequence[FeedColumn],
    purpose: str,
    recipient: str,
    whole: bool,
    only_removals: bool,
    hold: bool,
    now: datetime,
) -> Said:
    """Return what a file says now of these registrations. Nobody's facts are opened who has not consented.

    :param hold: keep the consents as they are until the transaction ends, as sending does
    :param only_removals: nothing new leaves: the alliance stands still
    """
    consents = await _consents(session, found, purpose, recipient, hold=hold, now=now)
    agreed = {one.customer_id for one in found if (said := consents.get(one.customer_id)) is not None and said.granted}
    facts = await _facts(session, [one for one in found if one.customer_id in agreed], columns)
    plates = await _plates(session, found) if FeedColumn.PLATE in columns else {}
    records: list[Record] = []
    names: list[tuple[str, str]] = []
    quiet: list[UUID] = []
    held_back = 0
    for one in found:
        slip, said = slip_number(one.number, one.code_tail), consents.get(one.customer_id)
        consents_now = one.customer_id in agreed
        cells: tuple[str, ...] = (slip,)
        if consents_now:
            plate = one.voucher_plate or plates.get(one.account_id or one.voucher_id, "")
            cells = cells_of(columns, _person(one, slip, facts[one.customer_id], plate))
        digest = digest_of(columns, cells)
        standing = Standing(one.status, one.held, one.digest, consents_now, one.cancelled)
        ruled = verdict(standing, digest, whole=whole)
        if isinstance(ruled, RegistrationStatus):
            quiet += [one.registration_id] if one.registration_id is not None else []
        elif ruled is not None and not (only_removals and ruled[0] is not RecordKind.REMOVAL):
            kind, to = ruled
            removal = kind is RecordKind.REMOVAL
            consent_id = None if said is None or (removal and said.granted) else said.consent_id
            line = (slip,) if removal else cells
            about = one.registration_id or one.voucher_id
            records.append(Record(about, kind, to, line, 0 if removal else one.cover_minor, consent_id, digest))
            names.append((slip, facts[one.customer_id].name if consents_now else ""))
        elif not consents_now and one.status is RegistrationStatus.TO_SEND:
            held_back += 1
    return Said(records, quiet, held_back, names)


async def _consents(
    session: AsyncSession, found: Sequence[Registered], purpose: str, recipient: str, *, hold: bool, now: datetime
) -> dict[UUID, Declared]:
    read = hold_consents if hold else standing_consents
    known: dict[UUID, Declared] = {}
    for some in in_parts(one.customer_id for one in found):
        known |= await read(session, customer_ids=some, purpose=purpose, recipient=recipient, at=now)
    return known


async def _facts(session: AsyncSession, found: Sequence[Registered], columns: Sequence[FeedColumn]) -> dict[UUID, ClearFacts]:
    known: dict[UUID, ClearFacts] = {}
    document = FeedColumn.DOCUMENT_NUMBER in columns or FeedColumn.DOCUMENT_TYPE in columns
    for some in in_parts(one.customer_id for one in found):
        known |= await clear_facts(session, customer_ids=some, with_phone=FeedColumn.PHONE in columns, with_document=document)
    return known


async def _plates(session: AsyncSession, found: Sequence[Registered]) -> dict[UUID, str]:
    plates: dict[UUID, str] = {}
    for some in in_parts(one.account_id for one in found if one.account_id is not None):
        known = select(Card.account_id, Card.plate).where(Card.account_id.in_(some), Card.plate.is_not(None), Card.closed_at.is_(None))
        plates |= {account_id: plate for account_id, plate in await session.execute(known.order_by(Card.card_id)) if plate}
    return plates


def _person(one: Registered, slip: str, facts: ClearFacts, plate: str) -> Person:
    return Person(
        slip=slip,
        name=facts.name,
        document_type="" if facts.document_type is None else facts.document_type.value,
        document_number=facts.document_number or "",
        phone=facts.phone or "",
        plate=plate,
        opened_on=one.opened_on,
        cover_minor=one.cover_minor,
        currency=one.currency,
        valid_from=one.valid_from,
        valid_until=one.valid_until,
    )
