"""What was done at an outlet: its day, one use with its way back, and who served how much."""

from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from loyalty.rewards.model_vouchers import RedemptionStatus, Voucher, VoucherKind, VoucherRedemption
from partners.model_lines import LineKind, PartnerLine

from .alliances import get_agreement

SHOWN: Final = 200
"""Rows of a day that a page shows; its sums count all."""


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an outlet's day; amounts in minor units of the partner's currency."""

    number: int
    kind: LineKind
    at: datetime
    name_zh: str
    name_en: str
    reference: str
    served_by: str
    gross_minor: int
    saved_minor: int
    key: UUID | None
    """Of a voucher's use."""
    undone: bool
    undo_until: datetime | None
    """Until when the counter itself may take it back; None: not at all, or it was."""
    left_minor: int | None
    """What is left on a voucher of money."""


class Day(msgspec.Struct, frozen=True):
    """What was done at an outlet in some time, the latest first, and what all of it that stands comes to."""

    rows: list[Use]
    uses: int
    gross_minor: int
    saved_minor: int


class Served(msgspec.Struct, frozen=True):
    """What one employee did in a month."""

    name: str
    uses: int
    undone: int
    sales: int
    gross_minor: int
    saved_minor: int


async def day_at(session: AsyncSession, *, partner_id: UUID, outlet_id: UUID, since: datetime, until: datetime) -> Day:
    """Return what was done at an outlet in `[since, until)`."""
    within = [*_at(partner_id, outlet_id), PartnerLine.event_at >= since, PartnerLine.event_at < until]
    rows = await session.execute(_uses().where(*within).order_by(PartnerLine.number.desc()).limit(SHOWN))
    mirror = aliased(PartnerLine)
    undone = exists().where(mirror.partner_id == PartnerLine.partner_id, mirror.mirrors == PartnerLine.number)
    sums = (
        await session.execute(
            select(
                func.count(),
                func.coalesce(func.sum(PartnerLine.gross_minor), 0),
                func.coalesce(func.sum(PartnerLine.saved_minor), 0),
            ).where(*within, PartnerLine.kind.in_((LineKind.REDEMPTION, LineKind.SALE)), ~undone)
        )
    ).one()
    named = _Names(session)
    uses = [await named.use(row) for row in rows]
    return Day([one for one in uses if one.kind is not LineKind.ROLLBACK], *(int(each) for each in sums))


async def use_of_key(session: AsyncSession, *, partner_id: UUID, outlet_id: UUID, key: UUID) -> Use | None:
    """Return the use of a voucher that an outlet's key had; None where it had none."""
    wanted = _uses().where(*_at(partner_id, outlet_id), VoucherRedemption.key == key, PartnerLine.kind == LineKind.REDEMPTION)
    row = (await session.execute(wanted)).one_or_none()
    return None if row is None else await _Names(session).use(row)


async def served_in(session: AsyncSession, *, partner_id: UUID, period: date, outlet_id: UUID | None = None) -> list[Served]:
    """Return what each employee did in a month, whoever did most first."""
    of = [PartnerLine.partner_id == partner_id, PartnerLine.period == period, PartnerLine.outlet_id.is_not(None)]
    if outlet_id is not None:
        of.append(PartnerLine.outlet_id == outlet_id)
    counts = [func.count().filter(PartnerLine.kind == kind) for kind in (LineKind.REDEMPTION, LineKind.ROLLBACK, LineKind.SALE)]
    sums = [func.coalesce(func.sum(column), 0) for column in (PartnerLine.gross_minor, PartnerLine.saved_minor)]
    grouped = select(PartnerLine.served_by, *counts, *sums).where(*of).group_by(PartnerLine.served_by)
    rows = await session.execute(grouped.order_by(func.count().desc(), PartnerLine.served_by))
    return [Served(name, *(int(each) for each in figures)) for name, *figures in rows]


def _at(partner_id: UUID, outlet_id: UUID) -> list[ColumnElement[bool]]:
    return [PartnerLine.partner_id == partner_id, PartnerLine.outlet_id == outlet_id]


def _uses() -> Select[*tuple[Any, ...]]:
    """Return lines with what became of the voucher's use behind them."""
    return (
        select(
            PartnerLine,
            VoucherRedemption.key,
            VoucherRedemption.status,
            VoucherRedemption.redeemed_at,
            Voucher.left_minor,
            VoucherKind.name_zh,
            VoucherKind.name_en,
            VoucherKind.rollback_minutes,
        )
        .outerjoin(VoucherRedemption, VoucherRedemption.redemption_id == PartnerLine.redemption_id)
        .outerjoin(Voucher, Voucher.voucher_id == VoucherRedemption.voucher_id)
        .outerjoin(VoucherKind, VoucherKind.kind_id == Voucher.kind_id)
    )


class _Names:
    """Names benefits by their agreements, each read once."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.known: dict[UUID, dict[str, tuple[str, str]]] = {}

    async def of(self, line: PartnerLine) -> tuple[str, str]:
        if line.agreement_id is None or line.benefit is None:
            return "", ""
        if line.agreement_id not in self.known:
            terms = (await get_agreement(self.session, agreement_id=line.agreement_id)).terms
            self.known[line.agreement_id] = {one.code: (one.name_zh, one.name_en) for one in terms.benefits}
        return self.known[line.agreement_id].get(line.benefit, ("", ""))

    async def use(self, row: Row[*tuple[Any, ...]]) -> Use:
        line, key, status, redeemed_at, left_minor, kind_zh, kind_en, minutes = row
        zh, en = (kind_zh, kind_en) if kind_zh is not None else await self.of(line)
        live = status is RedemptionStatus.REDEEMED and line.kind is LineKind.REDEMPTION
        return Use(
            number=line.number,
            kind=line.kind,
            at=line.event_at,
            name_zh=zh,
            name_en=en,
            reference=line.reference,
            served_by=line.served_by,
            gross_minor=line.gross_minor,
            saved_minor=line.saved_minor,
            key=key if line.kind is LineKind.REDEMPTION else None,
            undone=status is RedemptionStatus.ROLLED_BACK,
            undo_until=redeemed_at + timedelta(minutes=minutes) if live and redeemed_at is not None else None,
            left_minor=left_minor,
        )
