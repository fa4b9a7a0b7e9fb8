"""Reading tiers: who stands where, what is missing for the next one and until when, and how customers moved."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.clock import local_date
from loyalty.customers.model import Customer
from loyalty.customers.queries import survivor_of
from loyalty.errors import NotFound
from loyalty.paging import PAGE_SIZE, Key, Page, page_as
from loyalty.rewards.model_tiers import PROGRAMME, Meets, MoveWhy, Tier, TierMove, TierProgramme, TierStanding, TierWindow
from loyalty.rewards.tier_rules import Criteria, Figures, Span, Terms, window_before, window_of


class TierNotFound(NotFound):
    """Unknown, or no longer given."""

    zh = "没有此等级。"
    en = "There is no such tier."


# Below, `current` is the window that counts today and `earlier` the one before it, in which a tier may have been earned.
_FIGURES: Final = """
WITH RECURSIVE chosen AS MATERIALIZED (
    SELECT customer_id, (created_at AT TIME ZONE :zone)::date AS joined FROM customers
    WHERE merged_into IS NULL AND status = 'active' AND (kind = 'person' OR :companies) AND {which}
), family AS (
    SELECT customer_id AS survivor, customer_id FROM chosen
    UNION ALL
    SELECT f.survivor, c.customer_id FROM family f JOIN customers c ON c.merged_into = f.customer_id
), years AS (
    SELECT customer_id, joined, extract(year FROM CAST(:today AS date))::integer - extract(year FROM joined)::integer AS n FROM chosen
), passed AS (
    SELECT customer_id, joined, CASE WHEN (joined + make_interval(years => n))::date > :today THEN n - 1 ELSE n END AS n FROM years
), windows AS (
    SELECT customer_id, joined,
        CASE WHEN :anniversary THEN (joined + make_interval(years => n))::date ELSE :begins END AS begins,
        CASE WHEN :anniversary THEN (joined + make_interval(years => n - 1))::date ELSE :before END AS before
    FROM passed
), sums AS (
    SELECT w.customer_id, {sums}
    FROM windows w JOIN family f ON f.survivor = w.customer_id
    LEFT JOIN accounts a ON a.customer_id = f.customer_id AND a.currency = :currency
    LEFT JOIN activity_days d ON d.account_id = a.account_id AND d.day >= w.before AND d.day <= :today
    GROUP BY w.customer_id
), reached AS (
    SELECT s.*, (SELECT coalesce(max(t.rank), 0) FROM tiers t WHERE t.active AND {meets_current}) AS rank_current,
        (SELECT coalesce(max(t.rank), 0) FROM tiers t WHERE t.active AND {meets_earlier}) AS rank_earlier
    FROM sums s
)
"""
FACTORS: Final = Figures._fields


def _meets(window: str) -> str:
    """Write a tier's criteria over the sums of a window."""
    each = [f"s.{window}_{name} >= t.{name}" for name in FACTORS]
    nothing = " AND ".join(f"t.{name} IS NULL" for name in FACTORS)
    some = " OR ".join(f"coalesce({one}, false)" for one in each)
    every = " AND ".join(f"coalesce({one}, true)" for one in each)
    return f"(({nothing}) OR CASE t.meets WHEN 'any' THEN {some} ELSE {every} END)"


_SUMS: Final = ", ".join(
    f"coalesce(sum(d.{name}) FILTER (WHERE d.day {test} w.begins), 0)::bigint AS {window}_{name}"
    for window, test in (("current", ">="), ("earlier", "<"))
    for name in FACTORS
)
THESE: Final = """customer_id IN (
        WITH RECURSIVE climb AS (
            SELECT customer_id, merged_into FROM customers WHERE customer_id = ANY (CAST(:customers AS uuid[]))
            UNION
            SELECT c.customer_id, c.merged_into FROM climb k JOIN customers c ON c.customer_id = k.merged_into
        ) SELECT customer_id FROM climb WHERE merged_into IS NULL)"""


def figures_statement(which: str, then: str) -> str:
    """Write the statement that sums the figures of `which` customers and goes on with `then`."""
    return _FIGURES.format(which=which, sums=_SUMS, meets_current=_meets("current"), meets_earlier=_meets("earlier")) + then


def window_facts(programme: TierProgramme, *, zone: str, today: date) -> dict[str, Any]:
    """Return what the statement asks of the programme and the day."""
    terms = terms_of(programme)
    anniversary = programme.window is TierWindow.ANNIVERSARY
    window = window_of(terms, today=today, joined=today)
    before = window_before(terms, window, joined=today)
    return {
        "zone": zone,
        "today": today,
        "companies": programme.companies,
        "currency": programme.currency,
        "anniversary": anniversary,
        "begins": window.begins,
        "before": window.begins if before is None else before.begins,
    }


def terms_of(programme: TierProgramme) -> Terms:
    """Return a programme as the rules take it."""
    return Terms(programme.window, programme.window_days, programme.grace_days, programme.downgrade)


def criteria_of(tier: Tier) -> Criteria:
    """Return a tier as the rules take it."""
    return Criteria(tier.code, tier.rank, tier.meets, tier.spend_minor, tier.quantity_milli, tier.topup_minor, tier.visits)


def typed(statement: str) -> Any:
    """Bind the days as dates: the server would take them for text inside a CASE."""
    return text(statement).bindparams(
        bindparam("today", type_=TierStanding.since.type),
        bindparam("begins", type_=TierStanding.since.type),
        bindparam("before", type_=TierStanding.since.type),
    )


async def get_programme(session: AsyncSession) -> TierProgramme | None:
    """Return what all tiers have in common; None where there are none yet."""
    return await session.get(TierProgramme, PROGRAMME)


async def list_tiers(session: AsyncSession, *, only_active: bool = False) -> list[Tier]:
    """Return the tiers, the lowest first."""
    wanted = [Tier.active] if only_active else []
    return list(await session.scalars(select(Tier).where(*wanted).order_by(Tier.rank)))


async def get_tier(session: AsyncSession, *, code: str) -> Tier:
    """Return one tier.

    :raises TierNotFound: if there is none
    """
    found = await session.get(Tier, code)
    if found is None:
        raise TierNotFound(tier=code)
    return found


async def count_by_tier(session: AsyncSession) -> dict[str | None, int]:
    """Return how many customers are in each tier, those without left out."""
    held = TierStanding.tier.is_not(None)
    rows = await session.execute(select(TierStanding.tier, func.count()).where(held).group_by(TierStanding.tier))
    return {tier: int(count) for tier, count in rows}


class Missing(NamedTuple):
    """One figure that the next tier asks: what there is of it, and how much it takes."""

    name: str
    """`spend_minor`, `quantity_milli`, `topup_minor` or `visits`."""
    have: int
    wanted: int

    @property
    def left(self) -> int:
        """What is missing."""
        return max(self.wanted - self.have, 0)

    @property
    def percent(self) -> int:
        """How far it is, 0 to 100."""
        return min(100 * self.have // self.wanted, 100)


class TierProgress(NamedTuple):
    """Where a customer stands and what the next tier takes."""

    tier: Tier | None
    since: date | None
    grace_until: date | None
    granted_until: date | None
    locked: bool
    next: Tier | None
    missing: tuple[Missing, ...]
    """What the next tier asks; any one of it or all, as `next.meets` says. The nearest first."""
    window: Span
    ends: date | None
    """The last day on which it can be reached; None in a rolling window."""
    figures: Figures
    currency: str

    @property
    def nearest(self) -> Missing | None:
        """What to show where there is room for one: the nearest of any, the farthest of all."""
        if not self.missing or self.next is None:
            return None
        return self.missing[0] if self.next.meets is Meets.ANY else self.missing[-1]


_ONE: Final = """
SELECT r.customer_id, r.current_spend_minor, r.current_quantity_milli, r.current_topup_minor, r.current_visits, w.joined
FROM reached r JOIN windows w ON w.customer_id = r.customer_id
"""


async def progress_of(session: AsyncSession, *, customer_id: UUID, zone: str, now: datetime) -> TierProgress | None:
    """Return where a customer stands and what is missing for the next tier; None where tiers are not for such customers.

    :raises CustomerNotFound: if there is no such customer
    """
    programme = await get_programme(session)
    if programme is None:
        return None
    survivor = await survivor_of(session, customer_id=customer_id)
    today = local_date(now, zone)
    facts = window_facts(programme, zone=zone, today=today) | {"customers": [survivor]}
    row = (await session.execute(typed(figures_statement(THESE, _ONE)), facts)).one_or_none()
    if row is None:
        return None
    tiers = await list_tiers(session)
    standing = await session.get(TierStanding, survivor)
    held = next((tier for tier in tiers if standing is not None and tier.code == standing.tier), None)
    following = next((tier for tier in tiers if tier.active and tier.rank > (held.rank if held else 0)), None)
    figures = Figures(*(getattr(row, f"current_{name}") for name in FACTORS))
    window = window_of(terms_of(programme), today=today, joined=row.joined)
    asked = criteria_of(following).asked if following else []
    missing = sorted(
        (Missing(name, getattr(figures, name), wanted) for name, wanted in asked), key=lambda one: -(1000 * one.have // one.wanted)
    )
    return TierProgress(
        tier=held,
        since=standing.since if standing else None,
        grace_until=standing.grace_until if standing else None,
        granted_until=standing.granted_until if standing else None,
        locked=standing.locked if standing else False,
        next=following,
        missing=tuple(missing),
        window=window,
        ends=None if programme.window is TierWindow.ROLLING else window.last,
        figures=figures,
        currency=programme.currency,
    )


class MoveView(NamedTuple):
    """One move, and whose."""

    move_id: int
    customer_id: UUID
    name: str
    from_tier: str | None
    to_tier: str | None
    why: MoveWhy
    happened_at: datetime
    facts: dict[str, Any]
    staff_id: UUID | None
    reason: str


async def list_moves(
    session: AsyncSession,
    *,
    customer_id: UUID | None = None,
    why: Sequence[MoveWhy] = (),
    tier: str | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[MoveView]:
    """Read a page of moves, the latest first: of one customer, or of everybody; only those into a `tier`, where given."""
    move = TierMove
    statement = select(
        move.move_id,
        move.customer_id,
        Customer.name,
        move.from_tier,
        move.to_tier,
        move.why,
        move.happened_at,
        move.facts,
        move.staff_id,
        move.reason,
    ).join(Customer, Customer.customer_id == move.customer_id)
    if customer_id is not None:
        statement = statement.where(move.customer_id == await survivor_of(session, customer_id=customer_id))
    if tier is not None:
        statement = statement.where(move.to_tier == tier, move.from_tier.is_distinct_from(tier))
    if why:
        statement = statement.where(move.why.in_(why))
    return await page_as(session, MoveView, statement, keys=[Key(move.move_id, descending=True)], cursor=cursor, limit=limit)
