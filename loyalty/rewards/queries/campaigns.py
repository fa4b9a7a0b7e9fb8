"""Campaigns of live and past rulebooks, and what they did: whom they reached, what they cost whom by day, what is left of their budgets.

Set-based over a span of bookings, so that a page asks for as much as it shows.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.errors import NotFound
from loyalty.ids import uuid7_floor
from loyalty.pricing.document import Campaign, Document, Rule
from loyalty.pricing.model import BookStatus, Rulebook
from loyalty.pricing.queries.books import BudgetState, budget_states

_DAY: Final = timedelta(days=1)


class CampaignNotFound(NotFound):
    """In no rulebook that was ever live."""

    zh = "没有此活动。"
    en = "There is no such campaign."


class CampaignView(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign as the last rulebook that has it says it, and the time in which it could be met: `[since, until)`."""

    campaign: Campaign
    currency: str
    books: list[int]
    """Every rulebook that has it, the first first."""
    rules: list[Rule]
    """Its rules in the last of them."""
    budget_names: dict[str, tuple[str, str]]
    """Of all budgets of that rulebook, Chinese and English."""
    since: datetime
    until: datetime
    is_over: bool

    @property
    def code(self) -> str:
        """Its code."""
        return self.campaign.code

    @property
    def budgets(self) -> list[str]:
        """The budgets that its rules draw on; other rules may too."""
        return sorted({rule.budget for rule in self.rules if rule.budget is not None})

    @property
    def flyers(self) -> list[str]:
        """The flyer codes that its rules ask for."""
        return sorted({code for rule in self.rules for code in rule.when.flyers})

    @property
    def account_kinds(self) -> list[str]:
        """The kinds of accounts that its rules are for; empty for all."""
        kinds = [rule.when.account_kinds for rule in self.rules]
        return sorted({str(kind) for each in kinds for kind in each}) if kinds and all(kinds) else []


class Given(msgspec.Struct, frozen=True):
    """What a campaign gave of one kind: minor units, points or pieces; `returned` went back with refunds."""

    kind: str
    times: int
    customers: int
    given: int
    returned: int

    @property
    def net(self) -> int:
        """What stayed."""
        return self.given - self.returned


class Results(msgspec.Struct, frozen=True):
    """What a campaign gave in a span of bookings: customers are counted once, whatever they got."""

    customers: int
    times: int
    kinds: list[Given]


class Cost(msgspec.Struct, frozen=True):
    """What a funder bore on a business day, what went back taken off, counted on the day of the sale."""

    day: date
    funder: str
    kind: str
    times: int
    amount: int


class Left(NamedTuple):
    """What was left of a budget when a day ended, by today's total."""

    day: date
    left: int


async def list_campaigns(session: AsyncSession, *, now: datetime) -> list[CampaignView]:
    """Return every campaign that was ever live, the latest begun first."""
    rows = (
        await session.execute(
            select(Rulebook.number, Rulebook.activates_at, Rulebook.document)
            .where(Rulebook.status == BookStatus.APPROVED, Rulebook.activates_at <= now)
            .order_by(Rulebook.activates_at, Rulebook.number)
        )
    ).all()
    found: dict[str, CampaignView] = {}
    for place, (number, begins, document) in enumerate(rows):
        if not document.get("campaigns"):
            continue
        ends = rows[place + 1].activates_at if place + 1 < len(rows) else None
        for view in _campaigns_of(msgspec.convert(document, Document, strict=False), number, begins, ends, now):
            before = found.get(view.code)
            found[view.code] = view if before is None else _joined(before, view)
    return sorted((one for one in found.values() if one.since < one.until), key=lambda one: (one.since, one.code), reverse=True)


async def get_campaign(session: AsyncSession, *, code: str, now: datetime) -> CampaignView:
    """Return one campaign.

    :raises CampaignNotFound: if no rulebook that was ever live has it
    """
    found = next((one for one in await list_campaigns(session, now=now) if one.code == code), None)
    if found is None:
        raise CampaignNotFound(campaign=code)
    return found


def _campaigns_of(document: Document, number: int, begins: datetime, ends: datetime | None, now: datetime) -> list[CampaignView]:
    made = []
    for one in document.campaigns:
        over = min(at for at in (one.ends_at, ends, now) if at is not None)
        made.append(
            CampaignView(
                campaign=one,
                currency=document.currency,
                books=[number],
                rules=[rule for rule in document.rules if rule.campaign == one.code],
                budget_names={budget.code: (budget.name_zh, budget.name_en) for budget in document.budgets},
                since=begins if one.starts_at is None else max(begins, one.starts_at),
                until=over,
                is_over=over < now,
            )
        )
    return made


def _joined(before: CampaignView, view: CampaignView) -> CampaignView:
    since = min(one.since for one in (before, view) if one.since < one.until) if before.since < before.until else view.since
    return msgspec.structs.replace(view, books=[*before.books, *view.books], since=since, until=max(before.until, view.until))


# What a campaign gave, a row a sale (or top-up) and rule: which rules are its own, the rulebook says under which each was decided.
GIVEN: Final = """
WITH own AS MATERIALIZED (
    SELECT b.number, rule ->> 'code' AS rule FROM rulebooks b CROSS JOIN LATERAL jsonb_array_elements(b.document -> 'rules') AS rule
    WHERE b.number = ANY (CAST(:books AS integer[])) AND rule ->> 'campaign' = :code
), sold AS (
    SELECT s.account_id, s.sale_id AS source_id, s.business_day AS day, b.benefit
    FROM sales s CROSS JOIN LATERAL jsonb_array_elements(s.detail -> 'benefits') AS b(benefit)
    WHERE s.sale_id >= :first AND s.sale_id < :last AND s.detail -> 'benefits' IS NOT NULL
        AND ((s.detail ->> 'book')::integer, b.benefit ->> 'rule') IN (SELECT number, rule FROM own)
), loaded AS (
    SELECT t.account_id, t.topup_id AS source_id, (t.booked_at AT TIME ZONE :zone)::date AS day, b.benefit
    FROM topups t CROSS JOIN LATERAL jsonb_array_elements(t.detail -> 'benefits') AS b(benefit)
    WHERE t.booked_at >= :since AND t.booked_at < :until AND t.detail -> 'benefits' IS NOT NULL
        AND ((t.detail ->> 'book')::integer, b.benefit ->> 'rule') IN (SELECT number, rule FROM own)
), gone AS (
    -- whatever went back since: refunds are few beside sales, and are found without asking each sale for its own
    SELECT account_id, source_id, back ->> 0 AS rule, back ->> 1 AS kind, sum((back ->> 2)::bigint)::bigint AS returned FROM (
        SELECT account_id, sale_id AS source_id, benefits FROM refunds WHERE refund_id >= :first AND benefits IS NOT NULL
        UNION ALL
        SELECT account_id, topup_id, benefits FROM topup_returns WHERE booked_at >= :since AND benefits IS NOT NULL
    ) r CROSS JOIN LATERAL jsonb_array_elements(r.benefits) AS back GROUP BY 1, 2, 3, 4
), given AS MATERIALIZED (
    SELECT g.account_id, g.source_id, g.day, g.benefit ->> 'rule' AS rule, g.benefit ->> 'kind' AS kind,
        (g.benefit ->> 'given')::bigint AS given, coalesce(b.returned, 0) AS returned, g.benefit -> 'funders' AS funders,
        coalesce(c.merged_into, c.customer_id, g.account_id) AS subject
    FROM (SELECT * FROM sold UNION ALL SELECT * FROM loaded) g
    JOIN accounts a ON a.account_id = g.account_id
    LEFT JOIN customers c ON c.customer_id = a.customer_id
    LEFT JOIN gone b ON b.account_id = g.account_id AND b.source_id = g.source_id
        AND b.rule = g.benefit ->> 'rule' AND b.kind = g.benefit ->> 'kind'
    WHERE (g.benefit ->> 'given')::bigint > 0
)
"""

_RESULTS: Final = text(
    GIVEN  # noqa: S608 - put together from the constants of this file alone
    + """
, people AS MATERIALIZED (
    SELECT kind, subject, count(*) AS times, sum(given) AS given, sum(returned) AS returned FROM given GROUP BY kind, subject
)
SELECT kind, sum(times)::bigint AS times, count(*) AS customers, sum(given)::bigint AS given, sum(returned)::bigint AS returned,
    NULL::bigint AS sources
FROM people GROUP BY kind
UNION ALL
SELECT NULL, NULL, (SELECT count(*) FROM (SELECT FROM people GROUP BY subject) s), NULL, NULL,
    (SELECT count(*) FROM (SELECT FROM given GROUP BY source_id) s)
ORDER BY kind
"""
)

# What a sale keeps of each funder are amounts; as parts they are the same. A return is split as the benefit was; the cents of a split go to
# the largest share, as everywhere. What is alike is split once and counted as often as it came.
_COSTS: Final = text(
    GIVEN  # noqa: S608 - put together from the constants of this file alone
    + """
, alike AS MATERIALIZED (
    SELECT row_number() OVER () AS id, g.* FROM (
        SELECT day, kind, given, returned, funders, count(*) AS times FROM given WHERE day >= :first_day AND day < :last_day
        GROUP BY day, kind, given, returned, funders
    ) g
), parts AS (
    SELECT g.*, f.funder ->> 0 AS funder, (f.funder ->> 1)::numeric AS part, sum((f.funder ->> 1)::numeric) OVER one AS whole,
        row_number() OVER (one ORDER BY (f.funder ->> 1)::numeric DESC, f.place) AS rank
    FROM alike g CROSS JOIN LATERAL jsonb_array_elements(g.funders) WITH ORDINALITY AS f(funder, place)
    WINDOW one AS (PARTITION BY g.id)
), cut AS (
    SELECT p.*, div(given * part, whole) AS share, div(returned * part, whole) AS back FROM parts p WHERE whole > 0
), borne AS (
    SELECT c.*, share - back + CASE rank WHEN 1 THEN given - sum(share) OVER one - returned + sum(back) OVER one ELSE 0 END AS amount
    FROM cut c WINDOW one AS (PARTITION BY id)
)
SELECT day, funder, kind, sum(times)::bigint AS times, sum(amount * times)::bigint AS amount FROM borne
GROUP BY 1, 2, 3 ORDER BY day DESC, funder, kind
"""
)


def campaign_facts(campaign: CampaignView, since: datetime, until: datetime, zone: str) -> dict[str, Any]:
    window = {"since": since, "until": until, "first": uuid7_floor(since), "last": uuid7_floor(until)}
    return window | {"books": campaign.books, "code": campaign.code, "zone": zone}


async def results_of(session: AsyncSession, *, campaign: CampaignView, zone: str, until: datetime) -> Results:
    """Return what a campaign gave from its beginning until an instant, advices that came later than its end included."""
    rows = (await session.execute(_RESULTS, campaign_facts(campaign, campaign.since, until, zone))).all()
    kinds = [Given(*row[:5]) for row in rows if row.kind is not None]
    whole = next((row for row in rows if row.kind is None), None)
    return Results(whole.customers if whole else 0, whole.sources if whole else 0, kinds)


async def costs_of(session: AsyncSession, *, campaign: CampaignView, first_day: date, last_day: date, zone: str) -> list[Cost]:
    """Return what each funder bore on each business day of `[first_day, last_day)`, the latest day first.

    Money a funder bears is discounts and bonus; points and pieces stand beside it in their own unit.
    """
    # A business day's sales are booked around it: a station may be in any zone, and a fill may end after midnight.
    span = [datetime.combine(day, datetime.min.time(), campaign.since.tzinfo) for day in (first_day - 2 * _DAY, last_day + 3 * _DAY)]
    facts = campaign_facts(campaign, span[0], span[1], zone) | {"first_day": first_day, "last_day": last_day}
    return [Cost(*row) for row in (await session.execute(_COSTS, facts)).all()]


_USES: Final = text(
    """
    SELECT code, day, sum(amount)::bigint AS amount FROM (
        SELECT b -> 'budget' ->> 0 AS code, s.business_day AS day, (b ->> 'given')::bigint AS amount
        FROM sales s CROSS JOIN LATERAL jsonb_array_elements(s.detail -> 'benefits') AS b
        WHERE s.sale_id >= :first AND s.detail -> 'benefits' IS NOT NULL AND b -> 'budget' IS NOT NULL
        UNION ALL
        SELECT b -> 'budget' ->> 0, (t.booked_at AT TIME ZONE :zone)::date, (b ->> 'given')::bigint
        FROM topups t CROSS JOIN LATERAL jsonb_array_elements(t.detail -> 'benefits') AS b
        WHERE t.booked_at >= :since AND t.detail -> 'benefits' IS NOT NULL AND b -> 'budget' IS NOT NULL
        UNION ALL
        SELECT b -> 'budget' ->> 0, r.business_day, -(back ->> 2)::bigint
        FROM stations st JOIN refunds r ON r.station_id = st.station_id AND r.refund_id >= :first
        JOIN sales s ON s.account_id = r.account_id AND s.sale_id = r.sale_id
        CROSS JOIN LATERAL jsonb_array_elements(r.benefits) AS back
        JOIN LATERAL jsonb_array_elements(s.detail -> 'benefits') AS b
            ON b ->> 'rule' = back ->> 0 AND b ->> 'kind' = back ->> 1 AND b -> 'budget' IS NOT NULL
        WHERE r.benefits IS NOT NULL
        UNION ALL
        SELECT b -> 'budget' ->> 0, (r.booked_at AT TIME ZONE :zone)::date, -(back ->> 2)::bigint
        FROM topup_returns r JOIN topups t ON t.topup_id = r.topup_id
        CROSS JOIN LATERAL jsonb_array_elements(r.benefits) AS back
        JOIN LATERAL jsonb_array_elements(t.detail -> 'benefits') AS b
            ON b ->> 'rule' = back ->> 0 AND b ->> 'kind' = back ->> 1 AND b -> 'budget' IS NOT NULL
        WHERE r.booked_at >= :since AND r.benefits IS NOT NULL
    ) used WHERE code = ANY (CAST(:codes AS text[])) GROUP BY 1, 2
    """
)


async def burn_down(
    session: AsyncSession, *, codes: Sequence[str], since: datetime, today: date, zone: str, days_most: int = 62
) -> list[tuple[BudgetState, list[Left]]]:
    """Return what was left of each budget at the end of each day up to today, the first day first; of at most `days_most` days.

    Reckoned back from what is used now, so that the last figure is the budget's own.
    """
    states = await budget_states(session)
    known = [states[code] for code in codes if code in states]
    if not known:
        return []
    first = max(since.date() - _DAY, today - timedelta(days=days_most - 1))
    begin = datetime.combine(first - 2 * _DAY, datetime.min.time(), since.tzinfo)
    facts = {"first": uuid7_floor(begin), "since": begin, "zone": zone, "codes": list(codes)}
    used: dict[tuple[str, date], int] = {(row.code, row.day): row.amount for row in await session.execute(_USES, facts)}
    days = [first + place * _DAY for place in range((today - first).days + 1)]
    found = []
    for state in known:
        left, line = state.total - state.used, []
        for day in reversed(days):
            line.append(Left(day, left))
            left += used.get((state.code, day), 0)
        found.append((state, line[::-1]))
    return found
