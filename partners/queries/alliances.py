"""Partners, their outlets, what is agreed with them, what stations show of them."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, Select, func, or_, select
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


class NoticeNotFound(NotFound):
    """Unknown, or another partner's."""

    zh = "没有找到该商户公告。"
    en = "There is no such notice of this partner."


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
    ended_at: datetime | None = None

    def is_shown(self, day: date) -> bool:
        """Say whether it stands on a day."""
        return self.ended_at is None and self.first_day <= day < self.end_day


class PausedOutlet(msgspec.Struct, frozen=True):
    """An outlet of an active partner that serves nobody just now."""

    partner_zh: str
    partner_en: str
    name_zh: str
    name_en: str
    why: str
    until: datetime | None


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
    waiting: AgreementStatus | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[PartnerView]:
    """Return partners by code; `text` is a part of a code or a name, `waiting` where a version of theirs stands."""
    wanted: list[ColumnElement[bool]] = []
    if said := text.strip():
        wanted.append(or_(*(column.icontains(said, autoescape=True) for column in (Partner.code, Partner.name_zh, Partner.name_en))))
    if statuses:
        wanted.append(Partner.status.in_(statuses))
    if category is not None:
        wanted.append(Partner.category == category)
    if waiting is not None:
        of = select(PartnerAgreement.partner_id).where(PartnerAgreement.status == waiting)
        wanted.append(Partner.partner_id.in_(of))
    return await page_as(session, PartnerView, select(*_PARTNER).where(*wanted), keys=[Key(Partner.code)], cursor=cursor, limit=limit)


async def outlets_of(session: AsyncSession, *, partner_id: UUID) -> list[OutletView]:
    """Return a partner's outlets by code."""
    return await all_as(session, OutletView, select(*_OUTLET).where(PartnerOutlet.partner_id == partner_id).order_by(PartnerOutlet.code))


async def get_outlet(session: AsyncSession, *, partner_id: UUID, outlet_id: UUID) -> OutletView:
    """Return one outlet of a partner's.

    :raises OutletNotFound: if it is none of the partner's
    """
    wanted = select(*_OUTLET).where(PartnerOutlet.outlet_id == outlet_id, PartnerOutlet.partner_id == partner_id)
    found = await one_as(session, OutletView, wanted)
    if found is None:
        raise OutletNotFound(outlet=outlet_id)
    return found


class PlaceView(NamedTuple):
    """An outlet as a holder reads of it."""

    code: str
    partner_zh: str
    partner_en: str
    outlet_code: str
    name_zh: str
    name_en: str
    address: str
    hours: str
    telephone: str
    status: OutletStatus
    why_paused: str | None
    paused_until: datetime | None


async def places_of(session: AsyncSession, *, codes: Collection[str]) -> list[PlaceView]:
    """Return the outlets of active partners, by their codes, that are not shut."""
    partner = (Partner.code, Partner.name_zh, Partner.name_en)
    one = PartnerOutlet
    outlet = (one.code, one.name_zh, one.name_en, one.address, one.hours, one.telephone, one.status, one.why_paused, one.paused_until)
    columns: tuple[Any, ...] = (*partner, *outlet)
    rows = await session.execute(
        select(*columns)
        .join(one, one.partner_id == Partner.partner_id)
        .where(Partner.code.in_(codes), Partner.status == PartnerStatus.ACTIVE, one.status != OutletStatus.CLOSED)
        .order_by(Partner.code, one.code)
    )
    return [PlaceView(*row) for row in rows]


async def paused_outlets(session: AsyncSession, *, now: datetime) -> list[PausedOutlet]:
    """Return the outlets of active partners that are paused and not yet due to open again, by partner and code."""
    one = PartnerOutlet
    wanted = (
        select(Partner.name_zh, Partner.name_en, one.name_zh, one.name_en, func.coalesce(one.why_paused, ""), one.paused_until)
        .join(Partner, Partner.partner_id == one.partner_id)
        .where(Partner.status == PartnerStatus.ACTIVE, one.status == OutletStatus.PAUSED)
        .where(or_(one.paused_until.is_(None), one.paused_until > now))
        .order_by(Partner.code, one.code)
    )
    return await all_as(session, PausedOutlet, wanted)


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


async def standing_of(session: AsyncSession, *, partner_ids: Collection[UUID]) -> dict[UUID, list[Standing]]:
    """Return the approved versions of each partner's agreement: what holds on a day is for `rules.holds_on` to say."""
    one = PartnerAgreement
    wanted = select(one.partner_id, one.agreement_id, one.version, one.first_day, one.end_day).where(
        one.partner_id.in_(partner_ids), one.status == AgreementStatus.APPROVED
    )
    found: dict[UUID, list[Standing]] = {partner_id: [] for partner_id in partner_ids}
    for row in await session.execute(wanted):
        found[row.partner_id].append(Standing(row.agreement_id, row.version, row.first_day, row.end_day))
    return found


async def waiting_for(session: AsyncSession, *, partner_ids: Collection[UUID]) -> dict[UUID, AgreementStatus]:
    """Return which of these partners have a version that is drafted or waits for approval."""
    one = PartnerAgreement
    waiting = (AgreementStatus.DRAFT, AgreementStatus.SUBMITTED)
    wanted = select(one.partner_id, one.status).where(one.partner_id.in_(partner_ids), one.status.in_(waiting))
    return {row.partner_id: row.status for row in await session.execute(wanted)}


async def agreements_to_approve(session: AsyncSession, *, not_by: UUID) -> int:
    """Return how many versions wait for approval by whom is named: those that somebody else drafted."""
    one = PartnerAgreement
    wanted = select(func.count()).where(one.status == AgreementStatus.SUBMITTED, one.made_by != not_by)
    return int(await session.scalar(wanted) or 0)


async def notices_of(session: AsyncSession, *, partner_id: UUID, limit: int = 20) -> list[NoticeView]:
    """Return a partner's notices, the latest to begin first."""
    order = (PartnerNotice.first_day.desc(), PartnerNotice.notice_id.desc())
    wanted = _notices().where(PartnerNotice.partner_id == partner_id).order_by(*order).limit(limit)
    return await all_as(session, NoticeView, wanted)


async def get_notice(session: AsyncSession, *, partner_id: UUID, notice_id: UUID) -> NoticeView:
    """Return one notice of a partner's.

    :raises NoticeNotFound: if it is none of the partner's
    """
    wanted = _notices().where(PartnerNotice.notice_id == notice_id, PartnerNotice.partner_id == partner_id)
    found = await one_as(session, NoticeView, wanted)
    if found is None:
        raise NoticeNotFound(notice=notice_id)
    return found


async def notices_on(session: AsyncSession, *, day: date) -> list[NoticeView]:
    """Return what stations and portals show on a day, of partners that are active."""
    wanted = (
        _notices()
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


def _notices() -> Select[*tuple[Any, ...]]:
    shown = (PartnerNotice.text_zh, PartnerNotice.text_en, PartnerNotice.first_day, PartnerNotice.end_day, PartnerNotice.ended_at)
    return select(PartnerNotice.notice_id, Partner.partner_id, Partner.name_zh, Partner.name_en, *shown).join(
        Partner, Partner.partner_id == PartnerNotice.partner_id
    )


def _agreement(row: Row[*tuple[Any, ...]]) -> AgreementView:
    values: dict[str, Any] = dict(zip(AgreementView.__struct_fields__, row, strict=True))
    return AgreementView(**values | {"terms": msgspec.convert(values["terms"], Terms)})
