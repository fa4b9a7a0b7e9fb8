"""Collecting what sales granted, and putting it into purses: set-based, exactly once, in chunks that may be run again.

The pump writes what its rules granted into the sale and nothing else. Here each becomes a row of `grants`, for ever under its sale, rule
and kind; when its time has come it is posted to its lot. Two collectors at once find the rows taken by the unique key, or by the row lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import locked
from loyalty.ids import PurseId, uuid7, uuid7_floor
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import Leg
from loyalty.ledger.queries import purses_of
from loyalty.money import POINTS, split
from loyalty.rewards.model_grants import SALE, TOPUP, VALUES, Grant, GrantKind, GrantMark, GrantStatus
from loyalty.rewards.points_rules import lot_id, spendable_points, take_points

OVERLAP: Final = timedelta(minutes=5)
"""Looked at again each time: longer than any transaction lives, so that what commits late is still found."""
PURSE_OF: Final = {GrantKind.POINTS: PurseKind.POINTS, GrantKind.BONUS: PurseKind.BONUS}
HOUSE_OF: Final = {GrantKind.POINTS: HouseCode.POINTS, GrantKind.BONUS: HouseCode.BONUS}
_TRANSFER_OF: Final = {GrantKind.POINTS: TransferKind.POINTS, GrantKind.BONUS: TransferKind.BONUS}


@dataclass(frozen=True)
class Source:
    """Where grants come from: rows that carry `detail.book` and `detail.benefits`.

    `rows` selects account_id, source_id, card_id, station_id, currency, detail, event_at, booked_at, business_day (null: the office's day
    of `event_at`); `booked` narrows it to what was booked in `[:since, :until)` (as `:first`, `:last` for ids), `one` to `:account_id`
    and `:source_id`.
    """

    name: str
    rows: str
    booked: str
    one: str


SALES: Final = Source(
    SALE,
    "SELECT account_id, sale_id AS source_id, card_id, station_id, currency, detail, event_at, booked_at, business_day FROM sales",
    "sale_id >= :first AND sale_id < :last",
    "account_id = :account_id AND sale_id = :source_id",
)

# A top-up's bonus money is posted with it: it stands in no grant.
TOPUPS: Final = Source(
    TOPUP,
    """SELECT account_id, topup_id AS source_id, card_id, station_id, currency, detail || jsonb_build_object('benefits', (
        SELECT coalesce(jsonb_agg(one ORDER BY place), '[]')
        FROM jsonb_array_elements(detail -> 'benefits') WITH ORDINALITY AS b(one, place)
        WHERE one ->> 'kind' <> 'bonus')) AS detail, event_at, booked_at, NULL::date AS business_day FROM topups""",
    "booked_at >= :since AND booked_at < :until AND detail IS NOT NULL",
    "account_id = :account_id AND topup_id = :source_id",
)
SOURCES: Final = (SALES, TOPUPS)

# The terms of a multiplier are those of the points before it in its group, which it multiplies.
_COLLECT = """
WITH found AS MATERIALIZED (
    SELECT s.*, (s.detail ->> 'book')::integer AS book, b.place, b.benefit, b.benefit ->> 'rule' AS rule, b.benefit ->> 'kind' AS kind
    FROM ({rows} WHERE {within} AND detail -> 'benefits' IS NOT NULL) AS s
    CROSS JOIN LATERAL jsonb_array_elements(s.detail -> 'benefits') WITH ORDINALITY AS b(benefit, place)
    WHERE b.benefit ->> 'kind' IN ('points', 'bonus', 'gift', 'voucher', 'wash') AND (b.benefit ->> 'given')::bigint > 0
), terms AS MATERIALIZED (
    SELECT r.number, rule ->> 'code' AS code, coalesce(rule ->> 'group', 'all') AS in_group, rule -> 'effect' AS effect
    FROM rulebooks r CROSS JOIN LATERAL jsonb_array_elements(r.document -> 'rules') AS rule
    WHERE r.number IN (SELECT book FROM found)
), termed AS (
    SELECT f.*, CASE WHEN t.effect ->> 'kind' = 'points_times'
        THEN array_remove(array_agg(CASE WHEN t.effect ->> 'kind' = 'points' THEN t.effect END) OVER before, NULL)
        ELSE ARRAY[t.effect] END AS effects
    FROM found f LEFT JOIN terms t ON t.number = f.book AND t.code = f.rule
    WINDOW before AS (PARTITION BY f.account_id, f.source_id, t.in_group ORDER BY f.place)
), dated AS (
    SELECT f.*, f.effects[cardinality(f.effects)] AS effect, (f.event_at AT TIME ZONE :zone)::date AS earned FROM termed f
), ended AS (
    SELECT f.*, coalesce((effect ->> 'pending_days')::integer, 0) AS pending_days, coalesce(effect ->> 'rounding', 'month') AS rounding,
        (earned + make_interval(months => (effect ->> 'expires_months')::integer))::date AS last_day,
        earned + (effect ->> 'expires_days')::integer AS last_bonus_day
    FROM dated f
), made AS (
    INSERT INTO grants (account_id, source_id, rule, kind, grant_id, source, amount, returned, unit, item, book, revision, funders, card_id,
        station_id, event_at, granted_at, active_at, settles_on, expires_at, spending, status, posted)
    SELECT account_id, source_id, rule, kind, overlay(gen_random_uuid()::text placing :front from 1 for 15)::uuid, :source,
        (benefit ->> 'given')::bigint, 0, CASE kind WHEN 'points' THEN 'POINTS' WHEN 'bonus' THEN currency ELSE 'piece' END,
        benefit ->> 'item', book, (benefit ->> 'revision')::integer,
        (SELECT jsonb_agg(jsonb_build_array(
            CASE WHEN share ->> 0 = 'station' THEN coalesce(station_id::text, 'station') ELSE share ->> 0 END, share -> 1) ORDER BY place)
            FROM jsonb_array_elements(benefit -> 'funders') WITH ORDINALITY AS s(share, place)),
        card_id, station_id, event_at, booked_at,
        CASE WHEN pending_days = 0 THEN booked_at
            ELSE greatest(booked_at, (earned + pending_days)::timestamp AT TIME ZONE :zone) END,
        CASE WHEN kind = 'points' AND station_id IS NOT NULL AND (effect ->> 'when_settled')::boolean
            THEN coalesce(business_day, earned) END,
        CASE kind
            WHEN 'points' THEN (CASE rounding WHEN 'day' THEN last_day + 1
                ELSE date_trunc(rounding, last_day::timestamp) + CASE rounding WHEN 'month' THEN interval '1 month'
                    WHEN 'quarter' THEN interval '3 months' ELSE interval '1 year' END END)::timestamp AT TIME ZONE :zone
            WHEN 'bonus' THEN (last_bonus_day + 1)::timestamp AT TIME ZONE :zone END,
        CASE kind WHEN 'bonus' THEN effect -> 'spend' END,
        1, 0
    FROM ended ORDER BY account_id, source_id, rule, kind
    ON CONFLICT (account_id, source_id, rule, kind) DO NOTHING
    RETURNING kind, unit, funders
)
SELECT kind, unit, funder ->> 0 AS funder, count(*) FROM made CROSS JOIN LATERAL jsonb_array_elements(funders) AS funder
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

# What was booked into a day that was closed already waits no longer than until the next run.
_SETTLE = """
WITH settled AS (
    UPDATE grants g SET settles_on = NULL, active_at = greatest(g.active_at, c.closed_at) FROM day_closes c
    WHERE g.status = 1 AND g.settles_on IS NOT NULL AND c.station_id = g.station_id AND c.day = g.settles_on
        AND c.day >= (SELECT min(settles_on) FROM grants WHERE status = 1 AND settles_on IS NOT NULL)
    RETURNING 1
)
SELECT count(*) FROM settled
"""

# All of it sees one snapshot: a lot that somebody makes meanwhile has the same computed id, and meets the conflict.
_ACTIVATE = """
WITH due AS MATERIALIZED (
    SELECT g.account_id, g.source_id, g.rule, g.kind, g.grant_id, g.amount - g.returned AS amount, g.unit, g.funders, g.card_id,
        g.station_id, g.event_at, g.expires_at, g.spending, CASE g.kind WHEN 'points' THEN 3 ELSE 2 END::smallint AS purse_kind
    FROM grants g JOIN accounts a ON a.account_id = g.account_id
    WHERE g.status = 1 AND g.settles_on IS NULL AND g.active_at <= :now AND g.kind IN ('points', 'bonus') AND a.status <> 'closed'
    ORDER BY g.active_at LIMIT :most FOR UPDATE OF g SKIP LOCKED
), placed AS MATERIALIZED (
    SELECT d.*, coalesce(p.purse_id, md5(concat_ws(':', d.account_id, d.purse_kind, d.unit,
        coalesce(round(extract(epoch FROM d.expires_at))::bigint::text, ''), d.spending::text))::uuid) AS purse_id
    FROM due d LEFT JOIN LATERAL (
        SELECT purse_id FROM purses q WHERE q.account_id = d.account_id AND q.kind = d.purse_kind AND q.unit = d.unit AND q.card_id IS NULL
            AND q.expires_at IS NOT DISTINCT FROM d.expires_at AND q.spending IS NOT DISTINCT FROM d.spending ORDER BY purse_id LIMIT 1
    ) p ON true
), moved AS (
    UPDATE grants g SET status = 2, posted = p.amount, purse_id = p.purse_id FROM placed p
    WHERE g.account_id = p.account_id AND g.source_id = p.source_id AND g.rule = p.rule AND g.kind = p.kind
), lots AS (
    INSERT INTO purses AS q (account_id, purse_id, kind, unit, expires_at, spending, balance_minor, held_minor, credit_limit_minor)
    SELECT account_id, purse_id, purse_kind, unit, expires_at, spending, sum(amount), 0, 0 FROM placed
    GROUP BY account_id, purse_id, purse_kind, unit, expires_at, spending ORDER BY account_id, purse_id
    ON CONFLICT (account_id, purse_id) DO UPDATE SET balance_minor = q.balance_minor + excluded.balance_minor
), shares AS (
    SELECT p.*, f.funder ->> 0 AS funder,
        div(p.amount * (f.funder ->> 1)::numeric, sum((f.funder ->> 1)::numeric) OVER whole)::bigint AS share,
        row_number() OVER (PARTITION BY p.grant_id ORDER BY (f.funder ->> 1)::bigint DESC, f.place) AS rank
    FROM placed p CROSS JOIN LATERAL jsonb_array_elements(p.funders) WITH ORDINALITY AS f(funder, place)
    WINDOW whole AS (PARTITION BY p.grant_id)
), parts AS (
    SELECT s.*, s.share + CASE s.rank WHEN 1 THEN s.amount - sum(s.share) OVER (PARTITION BY s.grant_id) ELSE 0 END AS part
    FROM shares s
), open AS MATERIALIZED (
    SELECT period FROM periods WHERE closed_at IS NULL FOR SHARE
), booked AS (
    INSERT INTO transfers (account_id, transfer_id, debit_id, credit_id, amount_minor, unit, kind, operation_id, card_id, station_id,
        event_at, booked_at, period)
    SELECT s.account_id, overlay(gen_random_uuid()::text placing :front from 1 for 15)::uuid,
        (SELECT house_id FROM house_accounts h WHERE h.code = s.kind AND h.currency = s.unit AND h.reference = s.funder),
        s.purse_id, s.part, s.unit, CASE s.kind WHEN 'points' THEN 16 ELSE 2 END, s.grant_id, s.card_id, s.station_id, s.event_at, :now,
        (SELECT period FROM open)
    FROM parts s WHERE s.part > 0
)
SELECT count(*), array_agg(DISTINCT p.account_id) FILTER (WHERE EXISTS (
    SELECT FROM purses r WHERE r.account_id = p.account_id AND r.kind = 4 AND r.unit = 'POINTS' AND r.balance_minor < 0))
FROM placed p
"""


class Progress(NamedTuple):
    """How far a chunk brought the collector: new grants, and up to which instant of booking."""

    made: int
    collected_to: datetime
    is_done: bool


def _front(now: datetime) -> str:
    """Return the first 15 characters of a UUIDv7 of `now`: put over a random UUID in SQL, it makes one."""
    return str(uuid7(now))[:15]


async def collect(
    session: AsyncSession,
    *,
    source: Source = SALES,
    since: datetime,
    until: datetime,
    zone: str,
    now: datetime,
) -> int:
    """Make the grants of everything booked in `[since, until)` that has none yet; return how many were new.

    Their terms are those of the rule in the rulebook under which each was decided. Days are counted in the office's `zone`.
    """
    window = {"first": uuid7_floor(since), "last": uuid7_floor(until)} if ":first" in source.booked else {"since": since, "until": until}
    return await _collect(session, source, source.booked, window, zone, now)


async def collect_one(session: AsyncSession, *, source: Source = SALES, account_id: UUID, source_id: UUID, zone: str, now: datetime) -> int:
    """Make the grants of one sale or top-up now, where the collector has not yet; return how many were new."""
    return await _collect(session, source, source.one, {"account_id": account_id, "source_id": source_id}, zone, now)


async def _collect(session: AsyncSession, source: Source, within: str, facts: dict[str, Any], zone: str, now: datetime) -> int:
    statement = text(_COLLECT.format(rows=source.rows, within=within))
    rows = await session.execute(statement, facts | {"zone": zone, "source": source.name, "front": _front(now)})
    made = 0
    for kind, unit, funder, count in rows.all():
        made += count
        if kind in VALUES:
            await ledger.ensure_house(session, code=HOUSE_OF[GrantKind(kind)], currency=unit, reference=funder, now=now)
    return made


async def collect_next(
    session: AsyncSession, *, source: Source = SALES, span: timedelta, until: datetime, zone: str, now: datetime
) -> Progress:
    """Collect the next `span` of bookings after the source's mark, not beyond `until`, and move the mark.

    The mark's row is locked: a second collector of the same source waits, and goes on where this one ended.
    """
    mark = await lock_mark(session, source=source.name, until=until)
    to = min(mark + span, until)
    made = await collect(session, source=source, since=mark - OVERLAP, until=to, zone=zone, now=now)
    await move_mark(session, source=source.name, to=max(mark, to))
    return Progress(made, to, to >= until)


async def lock_mark(session: AsyncSession, *, source: str, until: datetime, start: datetime | None = None) -> datetime:
    """Lock a source's mark and return it; a new one stands at `start`, else where the first rulebook began."""
    if start is None:
        start = await session.scalar(text("SELECT min(activates_at) FROM rulebooks"))
    begin = {"source": source, "collected_to": start or until}
    await session.execute(upsert(GrantMark).values(begin).on_conflict_do_nothing(index_elements=[GrantMark.source]))
    return (await session.execute(select(GrantMark.collected_to).where(GrantMark.source == source).with_for_update())).scalar_one()


async def move_mark(session: AsyncSession, *, source: str, to: datetime) -> None:
    """Say that a source is collected up to an instant."""
    await session.execute(update(GrantMark).where(GrantMark.source == source).values(collected_to=to))


async def settle_days(session: AsyncSession) -> int:
    """Let points wait no longer that waited for a business day's close which has come; return how many. From then on their time counts."""
    return int((await session.execute(text(_SETTLE))).scalar_one())


async def activate_due(session: AsyncSession, *, now: datetime, most: int = 2000) -> int:
    """Post grants of points and bonus money whose time has come to their lots, and let points debts be paid off; return how many.

    One statement for all of them; a closed account's wait until it is open again.
    """
    count, debtors = (await session.execute(text(_ACTIVATE), {"now": now, "most": most, "front": _front(now)})).one()
    for account_id in sorted(debtors or ()):
        await settle_debt(session, account_id=account_id, now=now)
    return int(count)


async def settle_debt(session: AsyncSession, *, account_id: UUID, now: datetime) -> int:
    """Let an account's points pay what it owes in points, the soonest-expiring first; return how many did."""
    purses = await purses_of(session, account_id=account_id)
    debts = [purse for purse in purses if purse.kind == PurseKind.RECEIVABLE and purse.unit == POINTS and purse.balance_minor < 0]
    owed = -sum(debt.balance_minor for debt in debts)
    takes = take_points(spendable_points(purses, company=False, card_id=None, now=now), owed)
    if not takes:
        return 0
    legs = [Leg(take.purse_id, debts[0].purse_id, take.amount_minor, TransferKind.SETTLEMENT, POINTS) for take in takes]
    await ledger.post(session, account_id=account_id, legs=legs, operation_id=uuid7(now), event_at=now, now=now)
    return sum(take.amount_minor for take in takes)


async def give(
    session: AsyncSession,
    *,
    account_id: UUID,
    source: str,
    source_id: UUID,
    rule: str,
    kind: GrantKind,
    amount: int,
    unit: str,
    funders: Sequence[tuple[str, int]],
    active_at: datetime,
    expires_at: datetime | None = None,
    item: str | None = None,
    card_id: UUID | None = None,
    station_id: UUID | None = None,
    event_at: datetime | None = None,
    now: datetime,
) -> bool:
    """Grant what no sale's rule did (a referral, an adjustment); False where this source already gave it.

    `source_id` is a UUIDv7 of its booking; `unit` is POINTS, the account's currency, or `piece`. Points and bonus money whose time has
    come are posted at once, as the job would.
    """
    row = {
        "account_id": account_id,
        "source_id": source_id,
        "rule": rule,
        "kind": kind,
        "grant_id": uuid7(now),
        "source": source,
        "amount": amount,
        "returned": 0,
        "unit": unit,
        "item": item,
        "funders": [list(funder) for funder in funders],
        "card_id": card_id,
        "station_id": station_id,
        "event_at": event_at or now,
        "granted_at": now,
        "active_at": active_at,
        "expires_at": expires_at,
        "status": GrantStatus.PENDING,
        "posted": 0,
    }
    keys = [Grant.account_id, Grant.source_id, Grant.rule, Grant.kind]
    made = await session.scalar(upsert(Grant).values(row).on_conflict_do_nothing(index_elements=keys).returning(Grant.grant_id))
    if made is None:
        return False
    if kind in VALUES:
        for reference, _ in funders:
            await ledger.ensure_house(session, code=HOUSE_OF[kind], currency=unit, reference=reference, now=now)
        if active_at <= now:
            await activate_one(session, account_id=account_id, source_id=source_id, rule=rule, kind=kind, now=now)
    return True


async def activate_one(session: AsyncSession, *, account_id: UUID, source_id: UUID, rule: str, kind: GrantKind, now: datetime) -> bool:
    """Post one pending grant of points or bonus money by the ledger's own operations; False where it waits no longer."""
    grant = await session.scalar(
        locked(select(Grant).where(Grant.account_id == account_id, Grant.source_id == source_id, Grant.rule == rule, Grant.kind == kind))
    )
    if grant is None or grant.status is not GrantStatus.PENDING:
        return False
    purse_kind, amount = PURSE_OF[kind], grant.amount - grant.returned
    lot = await ledger.ensure_purse(
        session,
        account_id=account_id,
        kind=purse_kind,
        unit=grant.unit,
        expires_at=grant.expires_at,
        purse_id=PurseId(lot_id(account_id, purse_kind, grant.unit, grant.expires_at)),
        now=now,
    )
    legs = []
    for (reference, _), part in zip(grant.funders, split(amount, [parts for _, parts in grant.funders]), strict=True):
        house = await ledger.ensure_house(session, code=HOUSE_OF[kind], currency=grant.unit, reference=reference, now=now)
        if part:
            legs.append(Leg(house, lot, part, _TRANSFER_OF[kind], grant.unit, grant.card_id, grant.station_id))
    await ledger.post(session, account_id=account_id, legs=legs, operation_id=grant.grant_id, event_at=grant.event_at, now=now)
    grant.status, grant.posted, grant.purse_id = GrantStatus.ACTIVE, amount, lot
    await session.flush()
    await settle_debt(session, account_id=account_id, now=now)
    return True
