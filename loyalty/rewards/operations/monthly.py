"""Vouchers that come every month: the free wash of a tier, once a month a customer and plate."""

from datetime import datetime
from typing import Annotated, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.clock import day_bounds, local_date
from loyalty.errors import NotFound, Refusal
from loyalty.ids import uuid7
from loyalty.rewards.model_referrals import MonthlyVoucher
from loyalty.rewards.model_vouchers import VoucherKind
from loyalty.rewards.queries.vouchers import get_kind

from .voucher_kinds import Code, Named
from .vouchers import VoucherWish, issue_many

SOURCE: Final = "monthly"


class MonthlyNotWhole(Refusal):
    """The zone is unknown, or it ends before it begins."""

    status = 422
    zh = "每月发券的设置有误：{fault}。"
    en = "The monthly vouchers' terms are not whole: {fault}."
    next_zh = "请核对时区、张数和有效期。"
    next_en = "Check the zone, the number and the validity."


class MonthlyNotFound(NotFound):
    """Unknown."""

    zh = "没有此每月发券。"
    en = "There are no such monthly vouchers."


class MonthlyFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Vouchers of a kind that come every month; `tiers` empty: to everybody with a personal card."""

    name_zh: Named
    name_en: Named
    kind: Code
    zone: str
    starts_at: datetime
    ends_at: datetime | None = None
    pieces: Annotated[int, msgspec.Meta(ge=1, le=31)] = 1
    tiers: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=64)], ...] = ()
    active: bool = True


class Place(NamedTuple):
    """Where a pass stands: the next chunk goes on behind it."""

    customer_id: UUID
    plate: str


START: Final = Place(UUID(int=0), "")


class Chunk(NamedTuple):
    """What one chunk came to; `goes_on` None: that was the last."""

    issued: int
    goes_on: Place | None


async def put_monthly(session: AsyncSession, *, code: str, facts: MonthlyFacts, actor: Actor, now: datetime) -> UUID:
    """Make vouchers that come every month, or change them; return their id. What was issued stays.

    :raises MonthlyNotWhole: if the terms do not fit together
    :raises VoucherKindNotFound: if there is no such kind
    """
    try:
        msgspec.convert(code, Code)
        msgspec.convert(msgspec.to_builtins(facts), MonthlyFacts)
        ZoneInfo(facts.zone)
    except (msgspec.ValidationError, ZoneInfoNotFoundError, ValueError) as error:
        raise MonthlyNotWhole(fault=str(error)) from None
    if facts.ends_at is not None and facts.ends_at <= facts.starts_at:
        raise MonthlyNotWhole(fault="starts_at, ends_at")
    kind = await get_kind(session, code=facts.kind)
    values = {name: getattr(facts, name) for name in MonthlyFacts.__struct_fields__ if name != "kind"}
    values |= {"kind_id": kind.kind_id, "tiers": list(facts.tiers), "changed_at": now}
    made = upsert(MonthlyVoucher).values(monthly_id=uuid7(now), code=code, made_by=actor.staff_id, made_at=now, **values)
    put = made.on_conflict_do_update(index_elements=["code"], set_=values).returning(MonthlyVoucher.monthly_id)
    monthly_id: UUID = (await session.execute(put)).scalar_one()
    action = "rewards.monthly_vouchers_put"
    await audit.record(session, actor=actor, action=action, subject=("monthly_voucher", monthly_id), facts={"code": code}, now=now)
    return monthly_id


# Whose card has a plate, where the kind wants one, in a tier, and has not had this month's; a customer is the record that stands for them.
_DUE = text(
    """
    SELECT person.customer_id, who.plate, min(who.account_id::text)::uuid
    FROM (
        SELECT a.customer_id, a.account_id, CASE WHEN :plate_bound THEN k.plate ELSE '' END AS plate
        FROM cards k JOIN accounts a ON a.account_id = k.account_id
        WHERE k.status = 2 AND a.kind = 'personal' AND a.status = 'open' AND a.customer_id IS NOT NULL
            AND (NOT :plate_bound OR k.plate IS NOT NULL)
    ) who
    CROSS JOIN LATERAL (
        WITH RECURSIVE up AS (
            SELECT c.customer_id, c.merged_into FROM customers c WHERE c.customer_id = who.customer_id
            UNION ALL SELECT p.customer_id, p.merged_into FROM up JOIN customers p ON p.customer_id = up.merged_into
        )
        SELECT customer_id FROM up WHERE merged_into IS NULL
    ) person
    WHERE (cardinality(CAST(:tiers AS text[])) = 0 OR EXISTS (
            SELECT 1 FROM standings s WHERE s.customer_id IN (person.customer_id, who.customer_id) AND s.tier = ANY (:tiers)))
        AND (person.customer_id, who.plate) > (CAST(:customer_id AS uuid), CAST(:plate AS text))
        AND NOT EXISTS (SELECT 1 FROM voucher_issues i WHERE i.source_kind = :source_kind AND i.ordinal = 0
            AND i.source_id = concat_ws(':', CAST(:code AS text), CAST(:month AS text), person.customer_id, who.plate))
    GROUP BY 1, 2 ORDER BY 1, 2 LIMIT :most
    """
)


async def issue_monthly(session: AsyncSession, *, code: str, actor: Actor, now: datetime, after: Place = START, most: int = 500) -> Chunk:
    """Issue this month's vouchers to the next customers behind `after`, set-based; they end with the month, or sooner as their kind says.

    Once a month a customer and plate, however often and by however many it is run: whoever joins during the month gets theirs then.

    :raises MonthlyNotFound: if there are none of this code
    """
    found = (
        await session.execute(
            select(MonthlyVoucher, VoucherKind)
            .join(VoucherKind, VoucherKind.kind_id == MonthlyVoucher.kind_id)
            .where(MonthlyVoucher.code == code)
        )
    ).first()
    if found is None:
        raise MonthlyNotFound(code=code)
    monthly, kind = found
    if not monthly.active or now < monthly.starts_at or (monthly.ends_at is not None and now >= monthly.ends_at):
        return Chunk(0, None)
    month, ends_at = _month(now, monthly.zone)
    parameters = {
        "plate_bound": kind.plate_bound,
        "tiers": monthly.tiers,
        "source_kind": SOURCE,
        "code": code,
        "month": month,
        "most": most,
        **after._asdict(),
    }
    due = (await session.execute(_DUE, parameters)).all()
    wishes = [
        VoucherWish(
            kind.code,
            SOURCE,
            ":".join((code, month, str(customer_id), plate)),
            customer_id=customer_id,
            account_id=account_id,
            plate=plate or None,
            wanted=monthly.pieces,
            ends_at=ends_at,
        )
        for customer_id, plate, account_id in due
    ]
    issued = await issue_many(session, wishes=wishes, actor=actor, now=now) if wishes else []
    last = Place(due[-1][0], due[-1][1]) if len(due) == most else None
    return Chunk(sum(answer.given for answer in issued), last)


async def monthly_running(session: AsyncSession) -> list[str]:
    """Return the codes of monthly vouchers that are issued."""
    return list(await session.scalars(select(MonthlyVoucher.code).where(MonthlyVoucher.active).order_by(MonthlyVoucher.code)))


def _month(now: datetime, zone: str) -> tuple[str, datetime]:
    """Return a month's name and the instant at which it ends in a zone."""
    today = local_date(now, zone)
    following = today.replace(year=today.year + today.month // 12, month=today.month % 12 + 1, day=1)
    return f"{today:%Y-%m}", day_bounds(following, zone)[0]
