"""Reading what customers consent to: one customer's, or many at once for whoever sends by it. Always of the whole family."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.customers.model import Consent, ConsentChannel, ConsentWording, Customer
from loyalty.ids import CustomerId
from loyalty.paging import all_as

from .family import families_of, family_of


class ConsentView(msgspec.Struct, frozen=True):
    """One declaration: what for, to whom, yes or no, when, where it is written, who wrote it down, what had been read."""

    purpose: str
    recipient: str
    granted: bool
    declared_at: datetime
    evidence: str
    staff_id: UUID | None
    wording: int | None
    channel: ConsentChannel
    station_id: UUID | None


class WordingView(msgspec.Struct, frozen=True):
    """One version of what is asked."""

    purpose: str
    recipient: str
    version: int
    title_zh: str
    title_en: str
    text_zh: str
    text_en: str
    made_by: UUID
    made_at: datetime


class Declared(NamedTuple):
    """The declaration that holds for a customer."""

    consent_id: UUID
    granted: bool


_CONSENT = [getattr(Consent, name) for name in ConsentView.__struct_fields__]
_WORDING = [getattr(ConsentWording, name) for name in WordingView.__struct_fields__]


async def consents_of(session: AsyncSession, *, customer_id: UUID, at: datetime) -> list[ConsentView]:
    """Return what holds at an instant: the latest declaration per purpose and recipient, withdrawn ones included.

    :raises CustomerNotFound: if there is no such customer
    """
    family = await family_of(session, customer_id=customer_id)
    wanted = select(*_CONSENT).where(Consent.customer_id.in_(family), Consent.declared_at <= at)
    declared = await all_as(session, ConsentView, wanted.order_by(Consent.declared_at, Consent.consent_id))
    latest = {(each.purpose, each.recipient): each for each in declared}
    return [latest[key] for key in sorted(latest)]


async def has_consent(session: AsyncSession, *, customer_id: UUID, purpose: str, at: datetime, recipient: str = "") -> bool:
    """Say whether consent for one purpose and recipient stands at an instant; silence is no.

    :raises CustomerNotFound: if there is no such customer
    """
    return any(
        each.granted and (each.purpose, each.recipient) == (purpose, recipient)
        for each in await consents_of(session, customer_id=customer_id, at=at)
    )


async def wordings_asked(session: AsyncSession) -> list[WordingView]:
    """Return what customers are asked today: the latest version for each purpose and recipient."""
    latest = select(*_WORDING).ext(distinct_on(ConsentWording.purpose, ConsentWording.recipient))
    order = (ConsentWording.purpose, ConsentWording.recipient, ConsentWording.version.desc())
    return await all_as(session, WordingView, latest.order_by(*order))


async def wording_versions(session: AsyncSession, *, purpose: str, recipient: str) -> list[WordingView]:
    """Return every version of what is asked for a purpose and recipient, the latest first."""
    one = ConsentWording
    wanted = select(*_WORDING).where(one.purpose == purpose, one.recipient == recipient).order_by(one.version.desc())
    return await all_as(session, WordingView, wanted)


async def standing_consents(
    session: AsyncSession, *, customer_ids: Collection[UUID], purpose: str, recipient: str, at: datetime
) -> dict[UUID, Declared]:
    """Return for each customer the declaration that holds at an instant, its family's latest; who never said anything is left out."""
    families = await families_of(session, customer_ids=customer_ids)
    return await _latest(session, families, purpose, recipient, at)


async def hold_consents(
    session: AsyncSession, *, customer_ids: Collection[UUID], purpose: str, recipient: str, at: datetime
) -> dict[UUID, Declared]:
    """As `standing_consents`, and keep it so until the transaction ends: a withdrawal waits, or was seen.

    The rows that a withdrawal or a merge would lock are share-locked in the order of their ids, anew where a merge came between.
    """
    held: set[UUID] = set()
    families = await families_of(session, customer_ids=customer_ids)
    while wanted := {each for _root, family in families.values() for each in family} - held:
        locking = select(Customer.customer_id).where(Customer.customer_id.in_(wanted)).order_by(Customer.customer_id)
        await session.execute(locking.with_for_update(read=True))
        held |= wanted
        families = await families_of(session, customer_ids=customer_ids)
    return await _latest(session, families, purpose, recipient, at)


async def _latest(
    session: AsyncSession, families: Mapping[UUID, tuple[CustomerId, list[CustomerId]]], purpose: str, recipient: str, at: datetime
) -> dict[UUID, Declared]:
    roots: dict[UUID, UUID] = {each: root for root, family in families.values() for each in family}
    one = Consent
    wanted = (
        select(one.customer_id, one.consent_id, one.granted)
        .where(one.customer_id.in_(roots), one.purpose == purpose, one.recipient == recipient, one.declared_at <= at)
        .order_by(one.declared_at, one.consent_id)
    )
    latest = {roots[each]: Declared(consent_id, granted) for each, consent_id, granted in await session.execute(wanted)}
    return {asked: latest[root] for asked, (root, _family) in families.items() if root in latest}
