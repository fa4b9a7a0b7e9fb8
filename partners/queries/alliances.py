"""Partners, their outlets, what is agreed with them, what stations show of them."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.errors import NotFound
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, one_as, page_as
from partners.model import (
    AgreementStatus,
    Category,
    OutletStatus,
    Partner,
    PartnerAgreement,
    PartnerNotice,
    PartnerOutlet,
    PartnerStatus,
)
from partners.rules import Standing, Terms, holds_on


class PartnerNotFound(NotFound):
    """Unknown, or another's: the answer is the same."""

    zh = "没有找到该联盟商户。"
    en = "There is no such partner."


class OutletNotFound(NotFound):
    """Unknown, or another partner's."""

    zh = "没有找到该商户网点。"
    en = "There is no such outlet."


class AgreementNotFound(NotFound):
    """Unknown, or another partner's."""

    zh = "没有找到该联盟协议。"
    en = "There is no such agreement."


class PartnerView(msgspec.Struct, frozen=True):
    """One partner."""

    partner_id: UUID
    code: str
    name_zh: str
    name_en: str
    category: Category
    currency: str
    zone: str
    tax_number: str | None
    contact: str
    status: PartnerStatus
    made_at: datetime


class OutletView(msgspec.Struct, frozen=True):
    """One outlet."""

    outlet_id: UUID
    partner_id: UUID
    code: str
    name_zh: str
    name_en: str
    address: str
    telephone: str
    hours: str
    status: OutletStatus
    paused_until: datetime | None
    why_paused: str | None


class AgreementView(msgspec.Struct, frozen=True):
    """One version of an agreement."""

    agreement_id: UUID
    partner_id: UUID
    version: int
    status: AgreementStatus
    first_day: date
    end_day: date | None
    terms: Terms
    made_by: UUID
    made_at: datetime
    submitted_at: datetime | None
    decided_by: UUID | None
    decided_at: datetime | None
    why: str | None


class NoticeView(msgspec.Struct, frozen=True):
    """What is shown of a partner."""

    notice_id: UUID
    partner_id: UUID
    name_zh: str
    name_en: str
    text_zh: str
    text_en: str
    first_day: date
    end_day: date


_PARTNER: Final = [getattr(Partner, name) for name in PartnerView.__struct_fields__]
_OUTLET: Final = [getattr(PartnerOutlet, name) for name in OutletView.__struct_fields__]
_AGREEMENT: Final = [getattr(PartnerAgreement, name) for name in AgreementView.__struct_fields__]


async def get_partner(session: AsyncSession, *, partner_id: UUID) -> PartnerView:
    """Return one partner.

    :raises PartnerNotFound: if there is none
    """
    found = await one_as(session, PartnerView, select(*_PARTNER).where(Partner.partner_id == partner_id))
    if found is None:
        raise PartnerNotFound(partner=partner_id)
    return found


async def list_partners(
    session: AsyncSession,
    *,
    text: str = "",
    statuses: Collection[PartnerStatus] = (),
    category: Category | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[PartnerView]:
    """Return partners by code; `text` is a part of a code or a name."""
    wanted: list[ColumnElement[bool]] = []
    if said := text.strip():
        wanted.append(or_(*(column.icontains(said, autoescape=True) for column in (Partner.code, Partner.name_zh, Partner.name_en))))
    if statuses:
        wanted.append(Partner.status.in_(statuses))
    if category is not None:
        wanted.append(Partner.category == category)
    return await page_as(session, PartnerView, select(*_PARTNER).where(*wanted), keys=[Key(Partner.code)], cursor=cursor, limit=limit)


async def outlets_of(session: AsyncSession, *, partner_id: UUID) -> list[OutletView]:
    """Return a partner's outlets by code."""
    return await all_as(session, OutletView, select(*_OUTLET).where(PartnerOutlet.partner_id == partner_id).order_by(PartnerOutlet.code))


async def agreements_of(session: AsyncSession, *, partner_id: UUID) -> list[AgreementView]:
    """Return every version of a partner's agreement, the latest first."""
    wanted = select(*_AGREEMENT).where(PartnerAgreement.partner_id == partner_id).order_by(PartnerAgreement.version.desc())
    return [_agreement(row) for row in await session.execute(wanted)]


async def get_agreement(session: AsyncSession, *, agreement_id: UUID) -> AgreementView:
    """Return one version.

    :raises AgreementNotFound: if there is none
    """
    row = (await session.execute(select(*_AGREEMENT).where(PartnerAgreement.agreement_id == agreement_id))).one_or_none()
    if row is None:
        raise AgreementNotFound(agreement=agreement_id)
    return _agreement(row)


async def agreement_on(session: AsyncSession, *, partner_id: UUID, day: date) -> AgreementView | None:
    """Return the version that holds on a day of the partner's calendar; None where nothing does."""
    one = PartnerAgreement
    approved = select(one.agreement_id, one.version, one.first_day, one.end_day).where(
        one.partner_id == partner_id, one.status == AgreementStatus.APPROVED, one.first_day <= day
    )
    held = holds_on([Standing(*row) for row in await session.execute(approved)], day)
    return None if held is None else await get_agreement(session, agreement_id=held.agreement_id)


async def notices_on(session: AsyncSession, *, day: date) -> list[NoticeView]:
    """Return what stations and portals show on a day, of partners that are active."""
    wanted = (
        select(
            *(PartnerNotice.notice_id, Partner.partner_id, Partner.name_zh, Partner.name_en),
            *(PartnerNotice.text_zh, PartnerNotice.text_en, PartnerNotice.first_day, PartnerNotice.end_day),
        )
        .join(Partner, Partner.partner_id == PartnerNotice.partner_id)
        .where(
            Partner.status == PartnerStatus.ACTIVE,
            PartnerNotice.ended_at.is_(None),
            PartnerNotice.first_day <= day,
            PartnerNotice.end_day > day,
        )
        .order_by(PartnerNotice.first_day, PartnerNotice.notice_id)
    )
    return await all_as(session, NoticeView, wanted)


async def latest_version(session: AsyncSession, *, partner_id: UUID) -> int:
    """Return the number of a partner's last version, 0 where there is none."""
    found = await session.scalar(select(func.max(PartnerAgreement.version)).where(PartnerAgreement.partner_id == partner_id))
    return int(found or 0)


def _agreement(row: Row[*tuple[Any, ...]]) -> AgreementView:
    values: dict[str, Any] = dict(zip(AgreementView.__struct_fields__, row, strict=True))
    return AgreementView(**values | {"terms": msgspec.convert(values["terms"], Terms)})
