"""Who is registered with partners, and whose voucher would make them so."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.cards.model import Card
from loyalty.customers.model import Customer
from loyalty.customers.queries import standing_consents
from loyalty.errors import NotFound
from loyalty.ledger.model import Account
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, page_as
from loyalty.rewards.model_vouchers import Voucher, VoucherKind, VoucherStatus
from partners.feed_rules import band_of, months_after
from partners.model import AgreementStatus, PartnerAgreement
from partners.model_feeds import PartnerRegistration, RegistrationStatus
from partners.queries.alliances import PartnerView
from partners.rules import Benefit, Standing, Terms, holds_on

_ASKED: Final = 5_000
"""How many ids one statement names."""


class RegistrationNotFound(NotFound):
    """Unknown, or another partner's."""

    zh = "没有该登记。"
    en = "There is no such registration."


class Registered(NamedTuple):
    """One registration with what its voucher says today; `registration_id` is None while it is not stored."""

    registration_id: UUID | None
    number: int
    customer_id: UUID
    code_tail: str
    opened_on: date | None
    currency: str
    cover_minor: int
    valid_from: date
    valid_until: date | None
    status: RegistrationStatus
    held: bool
    digest: bytes | None
    voucher_id: UUID
    account_id: UUID | None
    voucher_plate: str | None
    cancelled: bool


class Found(NamedTuple):
    """Whom vouchers would register, how many of their holders have not consented, and how many nobody knows."""

    fresh: list[Registered]
    held_back: int
    nobody: int


class RegistrationView(msgspec.Struct, frozen=True):
    """One registration by name."""

    registration_id: UUID
    number: int
    code_tail: str
    benefit: str
    customer_id: UUID
    name: str
    currency: str
    cover_minor: int
    valid_from: date
    valid_until: date | None
    status: RegistrationStatus
    held: bool
    changed_at: datetime
    follow_up: str | None
    followed_up_at: datetime | None


async def versions_with(session: AsyncSession, *, partner_id: UUID, benefit: str) -> list[tuple[Standing, Benefit | None]]:
    """Return every approved version of a partner's agreement, with the benefit as it stands in it."""
    one = PartnerAgreement
    wanted = select(one.agreement_id, one.version, one.first_day, one.end_day, one.terms).where(
        one.partner_id == partner_id, one.status == AgreementStatus.APPROVED
    )
    found = []
    for *standing, terms in await session.execute(wanted.order_by(one.version)):
        benefits = {each.code: each for each in msgspec.convert(terms, Terms).benefits}
        found.append((Standing(*standing), benefits.get(benefit)))
    return found


async def candidates(session: AsyncSession, *, partner: PartnerView, benefit: str, now: datetime) -> Found:
    """Return whom the benefit's vouchers would register now: not yet registered, known by name, agreed to it, and not over."""
    versions = dict(await versions_with(session, partner_id=partner.partner_id, benefit=benefit))
    kinds = {each.voucher_kind for each in versions.values() if each is not None and each.voucher_kind}
    holder = func.coalesce(Voucher.customer_id, Account.customer_id)
    known = select(PartnerRegistration.voucher_id).where(
        PartnerRegistration.voucher_id == Voucher.voucher_id, PartnerRegistration.partner_id == partner.partner_id
    )
    wanted = (
        select(Voucher.voucher_id, VoucherKind.code, holder, Voucher.account_id, Voucher.plate, Voucher.code_tail)
        .add_columns(Voucher.issued_at, Voucher.face_minor)
        .join(VoucherKind, VoucherKind.kind_id == Voucher.kind_id)
        .outerjoin(Account, Account.account_id == Voucher.account_id)
        .where(VoucherKind.code.in_(kinds), Voucher.status != VoucherStatus.CANCELLED, ~known.exists())
        .order_by(Voucher.voucher_id)
    )
    today, standing = clock.local_date(now, partner.zone), list(versions)
    fresh, purposes, nobody = [], {}, 0
    for voucher_id, kind, customer_id, account_id, plate, tail, issued_at, face_minor in await session.execute(wanted):
        day = clock.local_date(issued_at, partner.zone)
        held = holds_on(standing, day)
        granted = None if held is None else versions[held]
        if granted is None or granted.voucher_kind != kind or not granted.purpose:
            continue
        if customer_id is None:
            nobody += 1
            continue
        band = band_of(granted, face_minor)
        until = None if band is None else months_after(day, band.months)
        if until is not None and until <= today:
            continue
        cover = granted.cover_minor or 0
        purposes[voucher_id] = granted.purpose
        of = (partner.currency, cover, day, until, RegistrationStatus.TO_SEND, False, None, voucher_id, account_id, plate, False)
        fresh.append(Registered(None, 0, customer_id, tail, None, *of))
    agreed = await _agreed(session, partner, fresh, purposes, now)
    days = await opening_days(session, account_ids={one.account_id for one in agreed if one.account_id is not None}, zone=partner.zone)
    shown = [one if one.account_id is None else one._replace(opened_on=days.get(one.account_id)) for one in agreed]
    return Found(shown, len(fresh) - len(agreed), nobody)


async def _agreed(
    session: AsyncSession, partner: PartnerView, fresh: list[Registered], purposes: Mapping[UUID, str], now: datetime
) -> list[Registered]:
    agreed: set[UUID] = set()
    for purpose in set(purposes.values()):
        asked = {one.customer_id for one in fresh if purposes[one.voucher_id] == purpose}
        for some in in_parts(asked):
            found = await standing_consents(session, customer_ids=some, purpose=purpose, recipient=partner.code, at=now)
            said = {customer_id for customer_id, declared in found.items() if declared.granted}
            agreed |= {one.voucher_id for one in fresh if purposes[one.voucher_id] == purpose and one.customer_id in said}
    return [one for one in fresh if one.voucher_id in agreed]


async def opening_days(session: AsyncSession, *, account_ids: Collection[UUID], zone: str) -> dict[UUID, date]:
    """Return the day on which each account's first card was opened."""
    days: dict[UUID, date] = {}
    for some in in_parts(account_ids):
        opened = func.min(func.coalesce(Card.activated_at, Card.issued_at))
        found = select(Card.account_id, opened).where(Card.account_id.in_(some)).group_by(Card.account_id)
        rows: list[tuple[UUID, datetime | None]] = [(account_id, at) for account_id, at in await session.execute(found)]
        days |= {account_id: clock.local_date(at, zone) for account_id, at in rows if at is not None}
    return days


async def registered(session: AsyncSession, *, partner_id: UUID, benefit: str) -> list[Registered]:
    """Return a benefit's registrations that a file may still tell of, by number."""
    one = PartnerRegistration
    columns = [getattr(one, name) for name in Registered._fields[:12]]
    wanted = (
        select(*columns, one.voucher_id, Voucher.account_id, Voucher.plate, Voucher.status == VoucherStatus.CANCELLED)
        .join(Voucher, Voucher.voucher_id == one.voucher_id)
        .where(one.partner_id == partner_id, one.benefit == benefit, or_(one.status != RegistrationStatus.LAPSED, one.held))
        .order_by(one.number)
    )
    return await all_as(session, Registered, wanted)


def _views(*wanted: ColumnElement[bool]) -> Select[*tuple[object, ...]]:
    one = PartnerRegistration
    columns = [Customer.name if name == "name" else getattr(one, name) for name in RegistrationView.__struct_fields__]
    return select(*columns).join(Customer, Customer.customer_id == one.customer_id).where(*wanted)


async def list_registrations(
    session: AsyncSession,
    *,
    partner_id: UUID,
    statuses: Collection[RegistrationStatus] = (),
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[RegistrationView]:
    """Return a partner's registrations, the latest first."""
    one = PartnerRegistration
    wanted = [one.partner_id == partner_id, *([one.status.in_(statuses)] if statuses else [])]
    return await page_as(session, RegistrationView, _views(*wanted), keys=[Key(one.number, descending=True)], cursor=cursor, limit=limit)


async def list_lapses(
    session: AsyncSession, *, partner_id: UUID, until: date, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[RegistrationView]:
    """Return whose cover is over or ends before a day and who was not asked yet, the longest over first."""
    one = PartnerRegistration
    end = func.coalesce(one.valid_until, date.max)
    wanted = (
        one.partner_id == partner_id,
        one.status != RegistrationStatus.REMOVED,
        one.valid_until < until,
        one.followed_up_at.is_(None),
    )
    return await page_as(session, RegistrationView, _views(*wanted), keys=[Key(end), Key(one.registration_id)], cursor=cursor, limit=limit)


async def count_registrations(session: AsyncSession, *, partner_id: UUID, benefit: str) -> dict[RegistrationStatus, int]:
    """Return how many registrations of a benefit there are by status."""
    one = PartnerRegistration
    found = select(one.status, func.count()).where(one.partner_id == partner_id, one.benefit == benefit).group_by(one.status)
    counted = {status: count for status, count in await session.execute(found)}  # noqa: C416 - a Row is no pair for the type checker
    return {status: counted.get(status, 0) for status in RegistrationStatus}


def in_parts(ids: Iterable[UUID]) -> list[list[UUID]]:
    """Cut ids, in their order, into what one statement may name; the order is that in which rows are locked."""
    ordered = sorted(set(ids))
    return [ordered[at : at + _ASKED] for at in range(0, len(ordered), _ASKED)]
