"""Reading referral programmes, who brought whom, how far they came, and what it cost."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.ids import uuid7_floor
from loyalty.ledger.model import Account, AccountKind, AccountStatus
from loyalty.paging import PAGE_SIZE, Column, Page, all_as, keys_for, one_as, page_as
from loyalty.rewards.model_referrals import MonthlyVoucher, Referral, ReferralProgramme, ReferralReward, ReferralStatus
from loyalty.rewards.model_vouchers import VoucherKind
from loyalty.rewards.referral_rules import Fault, Progress, Span


class ProgrammeNotFound(NotFound):
    """Unknown."""

    zh = "没有此推荐活动。"
    en = "There is no such referral programme."


class ReferralNotFound(NotFound):
    """Unknown."""

    zh = "没有此推荐记录。"
    en = "There is no such referral."


class ProgrammeView(msgspec.Struct, frozen=True):
    programme_id: UUID
    code: str
    name_zh: str
    name_en: str
    currency: str
    zone: str
    milestones: list[dict[str, Any]]
    funders: list[list[str | int]]
    starts_at: datetime
    ends_at: datetime | None
    within_days: int | None
    wait_days: int
    most_each: int | None
    active: bool
    changed_at: datetime


class ReferralView(msgspec.Struct, frozen=True):
    referral_id: UUID
    programme_id: UUID
    referrer_id: UUID
    referee_id: UUID
    status: ReferralStatus
    fault: Fault | None
    joined_at: datetime
    looked_at: datetime
    decided_at: datetime | None
    decision: str | None
    rewards: int


class RewardView(msgspec.Struct, frozen=True):
    reward_id: UUID
    referral_id: UUID
    milestone: str
    side: str
    customer_id: UUID
    account_id: UUID
    given: list[dict[str, Any]]
    paid_at: datetime


class Results(msgspec.Struct, frozen=True):
    """What a programme brought: customers by status, milestones paid, and what was given by kind."""

    brought: int
    held: int
    refused: int
    rewarded: int
    """Customers for whom something was paid."""
    given: list[tuple[str, str, int]]
    """(kind, item or empty, sum)."""


class MonthlyView(msgspec.Struct, frozen=True):
    monthly_id: UUID
    code: str
    name_zh: str
    name_en: str
    kind_code: str
    plate_bound: bool
    pieces: int
    tiers: list[str]
    zone: str
    starts_at: datetime
    ends_at: datetime | None
    active: bool


_SORTS: dict[str, Column] = {"code": ReferralProgramme.code, "starts_at": ReferralProgramme.starts_at}


async def list_programmes(
    session: AsyncSession, *, sort: str = "code", cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[ProgrammeView]:
    """Read a page of programmes; sorts: code, starts_at.

    :raises UnknownSort: for another sort
    """
    keys = keys_for(sort, _SORTS, unique=ReferralProgramme.code)
    return await page_as(session, ProgrammeView, _programmes(), keys=keys, cursor=cursor, limit=limit)


async def get_programme(session: AsyncSession, *, code: str) -> ProgrammeView:
    """Return one programme.

    :raises ProgrammeNotFound: if there is none of this code
    """
    found = await one_as(session, ProgrammeView, _programmes().where(ReferralProgramme.code == code))
    if found is None:
        raise ProgrammeNotFound(code=code)
    return found


async def get_programme_for_update(session: AsyncSession, *, code: str) -> ReferralProgramme:
    """Lock and return one programme: who pays for it goes one after the other.

    :raises ProgrammeNotFound: if there is none of this code
    """
    found = await session.scalar(locked(select(ReferralProgramme).where(ReferralProgramme.code == code)))
    if found is None:
        raise ProgrammeNotFound(code=code)
    return found


async def programmes_running(session: AsyncSession) -> list[str]:
    """Return the codes of programmes that are looked at."""
    return list(await session.scalars(select(ReferralProgramme.code).where(ReferralProgramme.active).order_by(ReferralProgramme.code)))


async def referrals_of(
    session: AsyncSession,
    *,
    programme_id: UUID,
    statuses: Sequence[ReferralStatus] = (),
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[ReferralView]:
    """Read a page of a programme's referrals, the latest first."""
    statement = _referrals().where(Referral.programme_id == programme_id)
    if statuses:
        statement = statement.where(Referral.status.in_(list(statuses)))
    keys = keys_for("-joined_at", {"joined_at": Referral.joined_at}, unique=Referral.referral_id)
    return await page_as(session, ReferralView, statement, keys=keys, cursor=cursor, limit=limit)


async def get_referral(session: AsyncSession, *, referral_id: UUID) -> ReferralView:
    """Return one referral.

    :raises ReferralNotFound: if there is none
    """
    found = await one_as(session, ReferralView, _referrals().where(Referral.referral_id == referral_id))
    if found is None:
        raise ReferralNotFound
    return found


async def get_referral_for_update(session: AsyncSession, *, referral_id: UUID) -> Referral:
    """Lock and return one referral.

    :raises ReferralNotFound: if there is none
    """
    found = await session.scalar(locked(select(Referral).where(Referral.referral_id == referral_id)))
    if found is None:
        raise ReferralNotFound
    return found


async def rewards_of(session: AsyncSession, *, referral_id: UUID) -> list[RewardView]:
    """Return what was paid for a referral, the first first."""
    columns = [getattr(ReferralReward, name) for name in RewardView.__struct_fields__]
    statement = select(*columns).where(ReferralReward.referral_id == referral_id).order_by(ReferralReward.reward_id)
    return await all_as(session, RewardView, statement)


_GIVEN = text(
    """
    SELECT g ->> 'kind', coalesce(g ->> 'item', ''), sum((g ->> 'given')::bigint)::bigint
    FROM referral_rewards r JOIN referrals f ON f.referral_id = r.referral_id CROSS JOIN LATERAL jsonb_array_elements(r.given) AS g
    WHERE f.programme_id = :programme_id GROUP BY 1, 2 ORDER BY 1, 2
    """
)


async def results_of(session: AsyncSession, *, programme_id: UUID) -> Results:
    """Sum up what a programme brought and what was given for it."""
    counts = select(Referral.status, func.count()).where(Referral.programme_id == programme_id).group_by(Referral.status)
    by_status = {row[0]: row[1] for row in await session.execute(counts)}
    rewarded = (
        select(func.count(ReferralReward.referral_id.distinct()))
        .join(Referral, Referral.referral_id == ReferralReward.referral_id)
        .where(Referral.programme_id == programme_id)
    )
    given = await session.execute(_GIVEN, {"programme_id": programme_id})
    return Results(
        brought=sum(by_status.values()),
        held=by_status.get(ReferralStatus.HELD, 0),
        refused=by_status.get(ReferralStatus.REFUSED, 0),
        rewarded=await session.scalar(rewarded) or 0,
        given=[(kind, item, total) for kind, item, total in given],
    )


_FAMILIES = """
    WITH RECURSIVE family AS (
        SELECT unnest(CAST(:customers AS uuid[])) AS root, unnest(CAST(:customers AS uuid[])) AS id
        UNION SELECT f.root, c.customer_id FROM family f JOIN customers c ON c.merged_into = f.id
    )
"""
_FAULTS = (
    (
        Fault.PERSON,
        """
        SELECT 1 FROM family a JOIN family b ON a.root = :referrer AND b.root = :referee AND a.id = b.id
        UNION ALL SELECT 1 FROM family a JOIN customer_identifiers x ON x.customer_id = a.id AND a.root = :referrer
            JOIN customer_identifiers y ON y.value_index = x.value_index JOIN family b ON b.id = y.customer_id AND b.root = :referee
        """,
    ),
    (
        Fault.PHONE,
        """
        SELECT 1 FROM family a JOIN customers x ON x.customer_id = a.id AND a.root = :referrer
            JOIN customers y ON y.phone_index = x.phone_index JOIN family b ON b.id = y.customer_id AND b.root = :referee
        """,
    ),
    (
        Fault.DEVICE,
        """
        SELECT 1 FROM family a JOIN user_sessions x ON x.customer_id = a.id AND a.root = :referrer
            JOIN user_sessions y ON y.address = x.address AND y.user_agent = x.user_agent
            JOIN family b ON b.id = y.customer_id AND b.root = :referee
        """,
    ),
)


async def same_hands(session: AsyncSession, *, referrer_id: UUID, referee_id: UUID) -> Fault | None:
    """Say by what two customers look like one: identity or document, phone, or the browser of their pages; all merged records included.

    Both are named by the records that stand for them.
    """
    for fault, statement in _FAULTS:
        parameters = {"customers": [referrer_id, referee_id], "referrer": referrer_id, "referee": referee_id}
        if (await session.execute(text(f"{_FAMILIES} {statement} LIMIT 1"), parameters)).first() is not None:
            return fault
    return None


# A sale's id is of its booking: the span's ids choose the months to look at.
_PROGRESS = text(
    f"""{_FAMILIES}, spans AS (
        SELECT * FROM unnest(CAST(:customers AS uuid[]), CAST(:since AS timestamptz[]), CAST(:until AS timestamptz[]),
            CAST(:first AS uuid[]), CAST(:last AS uuid[])) AS s (root, since, until, first, last)
    ), accounts_of AS (
        SELECT s.*, a.account_id FROM spans s JOIN family f ON f.root = s.root
        JOIN accounts a ON a.customer_id = f.id AND a.currency = :currency
    ), loads AS (
        SELECT DISTINCT ON (o.root) o.root, CASE WHEN t.booked_at < o.until THEN t.amount_minor - t.returned_minor ELSE 0 END AS minor
        FROM accounts_of o JOIN topups t ON t.account_id = o.account_id
        WHERE t.booked_at >= o.since AND t.returned_minor < t.amount_minor ORDER BY o.root, t.booked_at, t.topup_id
    ), sold AS (
        SELECT o.root,
            count(*) FILTER (WHERE x.product_id IS NOT NULL AND x.quantity_milli > 0 AND x.refunded_minor < x.gross_minor) AS fills,
            sum(x.gross_minor - x.refunded_minor) AS spent
        FROM accounts_of o JOIN sales x ON x.account_id = o.account_id AND x.sale_id >= o.first AND x.sale_id < o.last GROUP BY o.root
    )
    SELECT s.root, coalesce(l.minor, 0)::bigint, coalesce(x.fills, 0)::bigint, coalesce(x.spent, 0)::bigint
    FROM spans s LEFT JOIN loads l ON l.root = s.root LEFT JOIN sold x ON x.root = s.root
    """  # noqa: S608 - a constant of this file
)


async def progress_of(session: AsyncSession, *, spans: dict[UUID, Span], currency: str) -> dict[UUID, Progress]:
    """Return what new customers did within their spans, accounts of records merged into them included, refunds taken off."""
    if not spans:
        return {}
    parameters = {
        "customers": list(spans),
        "since": [span.since for span in spans.values()],
        "until": [span.until for span in spans.values()],
        "first": [uuid7_floor(span.since) for span in spans.values()],
        "last": [uuid7_floor(span.until) for span in spans.values()],
        "currency": currency,
    }
    return {root: Progress(load, fills, spent) for root, load, fills, spent in await session.execute(_PROGRESS, parameters)}


async def account_to_pay(session: AsyncSession, *, family: Sequence[UUID], currency: str) -> UUID | None:
    """Return a customer's oldest open personal account of a currency; None where there is none to pay into."""
    mine = (Account.customer_id.in_(list(family)), Account.currency == currency)
    open_ones = (Account.kind == AccountKind.PERSONAL, Account.status == AccountStatus.OPEN)
    statement = select(Account.account_id).where(*mine, *open_ones).order_by(Account.opened_at, Account.account_id).limit(1)
    found: UUID | None = await session.scalar(statement)
    return found


async def paid_before(session: AsyncSession, *, programme_id: UUID, family: Sequence[UUID]) -> set[tuple[str, str]]:
    """Return the (milestone, side) that were paid for a new customer under any record of theirs."""
    statement = (
        select(ReferralReward.milestone, ReferralReward.side)
        .join(Referral, Referral.referral_id == ReferralReward.referral_id)
        .where(Referral.programme_id == programme_id, Referral.referee_id.in_(list(family)))
    )
    return {(milestone, side) for milestone, side in await session.execute(statement)}


async def rewarded_for(session: AsyncSession, *, programme_id: UUID, family: Sequence[UUID]) -> set[UUID]:
    """Return the referrals for which a referrer, under any record of theirs, was rewarded."""
    statement = (
        select(ReferralReward.referral_id)
        .join(Referral, Referral.referral_id == ReferralReward.referral_id)
        .where(Referral.programme_id == programme_id, ReferralReward.side == "referrer", ReferralReward.customer_id.in_(list(family)))
    )
    return set(await session.scalars(statement))


async def list_monthly(session: AsyncSession) -> list[MonthlyView]:
    """Return the vouchers that come every month, by code."""
    columns = [
        getattr(VoucherKind, "code" if name == "kind_code" else name)
        if name in {"kind_code", "plate_bound"}
        else getattr(MonthlyVoucher, name)
        for name in MonthlyView.__struct_fields__
    ]
    statement = select(*columns).join(VoucherKind, VoucherKind.kind_id == MonthlyVoucher.kind_id).order_by(MonthlyVoucher.code)
    return await all_as(session, MonthlyView, statement)


def _programmes() -> Select[*tuple[Any, ...]]:
    return select(*(getattr(ReferralProgramme, name) for name in ProgrammeView.__struct_fields__))


def _referrals() -> Select[*tuple[Any, ...]]:
    paid = select(func.count()).where(ReferralReward.referral_id == Referral.referral_id).correlate(Referral).scalar_subquery()
    return select(*(getattr(Referral, name) for name in ReferralView.__struct_fields__[:-1]), paid)
