"""Tiers: defined, reached, granted, kept and lost. Figures are summed for thousands of customers in one statement; a rule judges each."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.clock import local_date
from loyalty.customers.queries import survivor_of
from loyalty.errors import Refusal
from loyalty.pricing.document import Code, Currency, Named
from loyalty.pricing.operations.standings import set_tiers
from loyalty.rewards.model_tiers import PROGRAMME, Downgrade, Meets, MoveWhy, Tier, TierMove, TierProgramme, TierStanding, TierWindow
from loyalty.rewards.queries.tiers import FACTORS, THESE, TierNotFound, figures_statement, terms_of, typed, window_facts
from loyalty.rewards.tier_rules import Held, judge

Days = Annotated[int, msgspec.Meta(ge=0, le=3660)]
Wanted = Annotated[int, msgspec.Meta(gt=0, le=10**13)]


class RankTaken(Refusal):
    """Two tiers cannot stand equally high."""

    status = 422
    zh = "级别 {rank} 已被等级“{tier}”使用。"
    en = "Rank {rank} is the tier {tier}'s already."
    next_zh = "请换一个级别。"
    next_en = "Choose another rank."


class WindowNotWhole(Refusal):
    """A rolling window has its days, a calendar one has none."""

    status = 422
    zh = "滚动周期须填写天数，其他周期不填。"
    en = "A rolling window needs its days; the others have none."
    next_zh = "请补全或清空天数。"
    next_en = "Fill them in, or leave them out."


class GrantEnded(Refusal):
    """A tier is granted for days to come."""

    status = 422
    zh = "授予截止日期须晚于今天。"
    en = "The last day of a granted tier is after today."
    next_zh = "请选择今天之后的日期，或留空。"
    next_en = "Choose a later day, or leave it out."


class ProgrammeFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all tiers have in common."""

    currency: Currency = "CNY"
    window: TierWindow = TierWindow.ROLLING
    window_days: Annotated[int, msgspec.Meta(ge=1, le=800)] | None = None
    grace_days: Days = 0
    downgrade: Downgrade = Downgrade.BY_BALANCE
    companies: bool = False


class TierFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tier: amounts in minor units, quantity in thousandths; nothing asked makes it everybody's."""

    name_zh: Named
    name_en: Named
    rank: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    meets: Meets = Meets.ANY
    spend_minor: Wanted | None = None
    quantity_milli: Wanted | None = None
    topup_minor: Wanted | None = None
    visits: Annotated[int, msgspec.Meta(gt=0, le=100_000)] | None = None
    benefits_zh: Annotated[str, msgspec.Meta(max_length=500)] = ""
    benefits_en: Annotated[str, msgspec.Meta(max_length=500)] = ""
    active: bool = True


async def put_programme(session: AsyncSession, *, facts: ProgrammeFacts, actor: Actor, now: datetime) -> None:
    """Say what all tiers have in common; the next night judges everybody by it.

    :raises WindowNotWhole: if days are missing, or given where none belong
    """
    if (facts.window is TierWindow.ROLLING) != (facts.window_days is not None):
        raise WindowNotWhole
    row = msgspec.structs.asdict(facts) | {"changed_at": now, "changed_by": actor.staff_id}
    await session.execute(
        upsert(TierProgramme).values(code=PROGRAMME, **row).on_conflict_do_update(index_elements=[TierProgramme.code], set_=row)
    )
    told = {name: str(value) for name, value in msgspec.structs.asdict(facts).items()}
    await audit.record(session, actor=actor, action="rewards.tiers_set", subject=("tier_programme", PROGRAMME), facts=told, now=now)


async def put_tier(session: AsyncSession, *, code: Code, facts: TierFacts, actor: Actor, now: datetime) -> None:
    """Make a tier, or change what it asks; the next night judges everybody by it.

    :raises RankTaken: if another tier stands as high
    """
    other = await session.scalar(select(Tier.code).where(Tier.rank == facts.rank, Tier.code != code))
    if other is not None:
        raise RankTaken(rank=facts.rank, tier=other)
    row = msgspec.structs.asdict(facts) | {"changed_at": now}
    await session.execute(upsert(Tier).values(code=code, **row).on_conflict_do_update(index_elements=[Tier.code], set_=row))
    told = {name: value for name, value in msgspec.structs.asdict(facts).items() if value is not None}
    await audit.record(session, actor=actor, action="rewards.tier_put", subject=("tier", code), facts=told, now=now)


# Only those about whom there is something to decide, or whom the pump knows otherwise, leave the database.
_JUDGED: Final = """
SELECT r.customer_id, r.current_spend_minor, r.current_quantity_milli, r.current_topup_minor, r.current_visits, w.begins,
    greatest(r.rank_current, r.rank_earlier) AS reached, coalesce(t.rank, 0) AS rank, h.tier, h.grace_until, h.granted_until,
    coalesce(h.locked, false) AS locked
FROM reached r JOIN windows w ON w.customer_id = r.customer_id
LEFT JOIN tier_standings h ON h.customer_id = r.customer_id
LEFT JOIN tiers t ON t.code = h.tier
WHERE greatest(r.rank_current, r.rank_earlier) <> coalesce(t.rank, 0) OR h.grace_until IS NOT NULL
    OR EXISTS (SELECT FROM family f LEFT JOIN standings s ON s.customer_id = f.customer_id
        WHERE f.survivor = r.customer_id AND s.tier IS DISTINCT FROM h.tier)
ORDER BY r.customer_id
"""
_NEXT: Final = "customer_id > :after ORDER BY customer_id LIMIT :most"


class Evaluated(NamedTuple):
    """What an evaluation came to."""

    moved: int
    last: UUID | None
    """The last customer looked at, where more may follow."""


async def evaluate(session: AsyncSession, *, customer_ids: Sequence[UUID], zone: str, now: datetime) -> int:
    """Let customers who did something rise at once, whichever of their records did it; return how many moved. Nobody is lowered by it."""
    programme = await session.get(TierProgramme, PROGRAMME)
    if programme is None or not customer_ids:
        return 0
    facts = window_facts(programme, zone=zone, today=local_date(now, zone)) | {"customers": list(customer_ids)}
    rows = (await session.execute(typed(figures_statement(THESE, _JUDGED)), facts)).all()
    return await _settle(session, programme, rows, zone=zone, now=now, lowers=False)


async def evaluate_everybody(session: AsyncSession, *, after: UUID, most: int, zone: str, now: datetime) -> Evaluated:
    """Judge the next `most` customers after an id, up and down; the night's work, a chunk a transaction."""
    programme = await session.get(TierProgramme, PROGRAMME)
    if programme is None:
        return Evaluated(0, None)
    last = await session.scalar(
        text(
            "SELECT customer_id FROM (SELECT customer_id FROM customers WHERE merged_into IS NULL AND status = 'active' "
            "AND (kind = 'person' OR :companies) AND customer_id > :after ORDER BY customer_id LIMIT :most) AS next "
            "ORDER BY customer_id DESC LIMIT 1"
        ),
        {"after": after, "most": most, "companies": programme.companies},
    )
    facts = window_facts(programme, zone=zone, today=local_date(now, zone)) | {"after": after, "most": most}
    rows = (await session.execute(typed(figures_statement(_NEXT, _JUDGED)), facts)).all()
    return Evaluated(await _settle(session, programme, rows, zone=zone, now=now, lowers=True), last)


async def _settle(session: AsyncSession, programme: TierProgramme, rows: Sequence[Any], *, zone: str, now: datetime, lowers: bool) -> int:
    """Judge each customer and write what changed: three statements, however many they are."""
    tiers = {tier.rank: tier.code for tier in await session.scalars(select(Tier))}
    active = list(await session.scalars(select(Tier.rank).where(Tier.active)))
    terms, today = terms_of(programme), local_date(now, zone)
    standings: list[dict[str, Any]] = []
    moves: list[dict[str, Any]] = []
    pump: dict[UUID, str | None] = {}
    for row in rows:
        pump[row.customer_id] = row.tier
        if not lowers and row.reached <= row.rank:
            continue
        held = Held(row.rank, row.grace_until, row.granted_until, row.locked)
        verdict = judge(held, reached=row.reached, terms=terms, ranks=active, today=today)
        if verdict.why is None and verdict.grace_until == row.grace_until:
            continue
        code = tiers.get(verdict.rank) if verdict.rank else None
        standings.append({"customer": row.customer_id, "tier": code, "grace_until": verdict.grace_until, "moved": verdict.why is not None})
        if verdict.why is not None:
            pump[row.customer_id] = code
            moves.append(_move(row.customer_id, row.tier, code, verdict.why, now, facts=_told(row, today)))
    await _write_standings(session, standings, today, now)
    if moves:
        await session.execute(insert(TierMove), moves)
    await set_tiers(session, tiers=pump, now=now)
    return len(moves)


def _told(row: Any, today: date) -> dict[str, Any]:
    figures = {name: getattr(row, f"current_{name}") for name in FACTORS}
    return figures | {"from": row.begins.isoformat(), "to": today.isoformat()}


def _move(
    customer_id: UUID,
    from_tier: str | None,
    to_tier: str | None,
    why: MoveWhy,
    now: datetime,
    *,
    facts: dict[str, Any] | None = None,
    staff_id: UUID | None = None,
    reason: str = "",
) -> dict[str, Any]:
    return {
        "customer_id": customer_id,
        "from_tier": from_tier,
        "to_tier": to_tier,
        "why": why,
        "happened_at": now,
        "facts": facts or {},
        "staff_id": staff_id,
        "reason": reason,
    }


_WRITE: Final = text(
    """
    INSERT INTO tier_standings AS h (customer_id, tier, since, grace_until, locked, changed_at)
    SELECT w.customer_id, w.tier, :today, w.grace_until, false, :now
    FROM unnest(CAST(:customers AS uuid[]), CAST(:tiers AS text[]), CAST(:graces AS date[]), CAST(:moved AS boolean[]))
        AS w(customer_id, tier, grace_until, moved) ORDER BY w.customer_id
    ON CONFLICT (customer_id) DO UPDATE SET tier = excluded.tier, grace_until = excluded.grace_until, changed_at = excluded.changed_at,
        since = CASE WHEN h.tier IS DISTINCT FROM excluded.tier THEN excluded.since ELSE h.since END
    """
)


async def _write_standings(session: AsyncSession, standings: Sequence[dict[str, Any]], today: date, now: datetime) -> None:
    if standings:
        columns = {"customers": "customer", "tiers": "tier", "graces": "grace_until", "moved": "moved"}
        facts = {name: [one[column] for one in standings] for name, column in columns.items()}
        await session.execute(_WRITE, facts | {"today": today, "now": now})


async def grant_tier(
    session: AsyncSession,
    *,
    customer_id: UUID,
    tier: str | None,
    reason: str,
    until: date | None = None,
    zone: str,
    actor: Actor,
    now: datetime,
) -> None:
    """Put a customer into a tier (None: into none) by decision, with a reason; not below it before `until`, where given.

    Without `until` the next night judges by the figures again, grace and all.

    :raises CustomerNotFound: if there is no such customer
    :raises TierNotFound: if there is no such tier, or it is no longer given
    :raises GrantEnded: if `until` is not after today
    """
    today = local_date(now, zone)
    if until is not None and until <= today:
        raise GrantEnded(until=until)
    if tier is not None and await session.scalar(select(Tier.code).where(Tier.code == tier, Tier.active)) is None:
        raise TierNotFound(tier=tier)
    standing = await _locked_standing(session, customer_id, today, now)
    before, standing.tier = standing.tier, tier
    standing.granted_until, standing.grace_until, standing.changed_at = until, None, now
    standing.since = today if before != tier else standing.since
    facts = {} if until is None else {"until": until.isoformat()}
    await _decided(session, standing, _move(standing.customer_id, before, tier, MoveWhy.GRANTED, now, facts=facts, reason=reason), actor)


async def lock_tier(session: AsyncSession, *, customer_id: UUID, locked: bool, reason: str, zone: str, actor: Actor, now: datetime) -> None:
    """Say that a customer is never downgraded, or is again like everybody; does nothing where it is so already.

    :raises CustomerNotFound: if there is no such customer
    """
    standing = await _locked_standing(session, customer_id, local_date(now, zone), now)
    if standing.locked == locked:
        return
    standing.locked, standing.changed_at = locked, now
    why = MoveWhy.LOCKED if locked else MoveWhy.UNLOCKED
    await _decided(session, standing, _move(standing.customer_id, standing.tier, standing.tier, why, now, reason=reason), actor)


async def _locked_standing(session: AsyncSession, customer_id: UUID, today: date, now: datetime) -> TierStanding:
    survivor = await survivor_of(session, customer_id=customer_id)
    new = {"customer_id": survivor, "tier": None, "since": today, "locked": False, "changed_at": now}
    await session.execute(upsert(TierStanding).values(new).on_conflict_do_nothing(index_elements=[TierStanding.customer_id]))
    mine = select(TierStanding).where(TierStanding.customer_id == survivor).with_for_update()
    return (await session.scalars(mine.execution_options(populate_existing=True))).one()


async def _decided(session: AsyncSession, standing: TierStanding, move: dict[str, Any], actor: Actor) -> None:
    await session.flush()
    await session.execute(insert(TierMove).values(move | {"staff_id": actor.staff_id}))
    await set_tiers(session, tiers={standing.customer_id: standing.tier}, now=standing.changed_at)
    told = {"from": move["from_tier"] or "", "to": move["to_tier"] or "", "reason": move["reason"]}
    action = f"rewards.tier_{move['why'].value}"
    await audit.record(session, actor=actor, action=action, subject=("customer", standing.customer_id), facts=told, now=standing.changed_at)
