"""Whom a campaign could reach and what they spent: those it was offered to against those held out; and what flyer codes brought."""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.ids import uuid7_floor
from loyalty.paging import PAGE_SIZE, Page
from loyalty.rewards.campaign_rules import Sample
from loyalty.rewards.queries.campaigns import GIVEN, CampaignView, campaign_facts

BEFORE: Final = timedelta(days=90)
"""Who bought so lately before a campaign is counted as a customer of its time."""
FLYER_DAYS: Final = 30


class Group(NamedTuple):
    """Customers and what each of them spent: in minor units at the pump's prices, refunds taken off, and in thousandths of a litre."""

    spend: Sample
    litres: Sample
    buyers: int
    """Those of them who bought anything in its time."""

    @property
    def people(self) -> int:
        """How many customers."""
        return self.spend.people


class Uplift(NamedTuple):
    offered: Group
    """Everybody who was not held out, reached or not."""
    reached: Group
    """Those of them who got something of it."""
    held_out: Group
    leaked: int
    """Held out, and got something all the same: the share was changed while it ran."""


class FlyerFigures(msgspec.Struct, frozen=True):
    """What a flyer code brought, of customers entered in a span; amounts in minor units of the currency asked for."""

    code: str
    customers: int
    cards: int
    """Cards made out to them, closed ones too."""
    loaders: int
    """Customers who loaded at least once."""
    loaded_minor: int
    """Their first loads."""
    buyers: int
    """Customers who bought within thirty days of being entered."""
    spend_minor: int
    """What they spent in these thirty days, refunds taken off."""
    stayed: int
    """Customers who bought more than twice in them."""
    topups: int
    """Top-ups at which the code was shown, by whomsoever."""


# Who is counted: bought in the ninety days before, or came in its time. Neither depends on the draw, so the groups stay comparable. The
# draw is the pump's own (pricing.conditions.is_held_out): CRC-32 of the identity's bytes and the campaign's code; PostgreSQL has that CRC.
_GROUPS: Final = text(
    GIVEN  # noqa: S608 - put together from constants alone
    + """
, people AS MATERIALIZED (
    SELECT a.account_id, a.opened_at, coalesce(c.merged_into, c.customer_id, a.account_id) AS subject
    FROM accounts a LEFT JOIN customers c ON c.customer_id = a.customer_id
    WHERE a.kind <> 'suspense' AND a.currency = :currency AND a.opened_at < :until
        AND (cardinality(CAST(:kinds AS text[])) = 0 OR a.kind = ANY (CAST(:kinds AS text[])))
), eligible AS MATERIALIZED (
    SELECT subject FROM people WHERE opened_at >= :since
    UNION
    SELECT p.subject FROM people p
    JOIN (SELECT DISTINCT account_id FROM sales WHERE sale_id >= :before AND sale_id < :first) s USING (account_id)
), bought AS (
    SELECT p.subject, sum(s.gross_minor - s.refunded_minor) AS spend,
        sum(s.quantity_milli - coalesce(r.quantity, 0)) FILTER (WHERE g.unit = 'L') AS litres
    FROM sales s JOIN people p USING (account_id) LEFT JOIN products g ON g.product_id = s.product_id
    LEFT JOIN LATERAL (
        SELECT sum(r.quantity_milli) AS quantity FROM refunds r
        WHERE s.refunded_minor > 0 AND r.account_id = s.account_id AND r.sale_id = s.sale_id
    ) r ON true
    WHERE s.sale_id >= :first AND s.sale_id < :last AND s.currency = :currency GROUP BY p.subject
), drawn AS (
    SELECT e.subject, coalesce(b.spend, 0)::bigint AS spend, coalesce(b.litres, 0)::bigint AS litres, b.spend > 0 AS buys,
        crc32(uuid_send(e.subject) || convert_to(:code, 'UTF8')) % 10000 < :hold_out AS held_out,
        EXISTS (SELECT FROM given g WHERE g.subject = e.subject) AS reached
    FROM eligible e LEFT JOIN bought b USING (subject)
)
SELECT held_out, reached, count(*) AS people, sum(spend)::bigint AS spend, sum(spend::numeric * spend) AS spend_squares,
    sum(litres)::bigint AS litres, sum(litres::numeric * litres) AS litres_squares, count(*) FILTER (WHERE buys) AS buyers
FROM drawn GROUP BY 1, 2
"""
)


async def groups_of(session: AsyncSession, *, campaign: CampaignView, zone: str) -> Uplift:
    """Return who was offered a campaign and who was held out, with what each group spent in its time.

    The share held out is that of the last rulebook that has it.
    """
    facts: dict[str, Any] = campaign_facts(campaign, campaign.since, campaign.until, zone) | {
        "currency": campaign.currency,
        "kinds": campaign.account_kinds,
        "before": uuid7_floor(campaign.since - BEFORE),
        "hold_out": campaign.campaign.hold_out_basis_points,
    }
    nobody = Group(Sample(0, 0, 0), Sample(0, 0, 0), 0)
    found: dict[tuple[bool, bool], Group] = {}
    for row in await session.execute(_GROUPS, facts):
        spend = Sample(row.people, row.spend, int(row.spend_squares))
        found[row.held_out, row.reached] = Group(spend, Sample(row.people, row.litres, int(row.litres_squares)), row.buyers)
    reached, leaked = found.get((False, True), nobody), found.get((True, True), nobody)
    return Uplift(
        offered=_together(reached, found.get((False, False), nobody)),
        reached=reached,
        held_out=_together(leaked, found.get((True, False), nobody)),
        leaked=leaked.people,
    )


def _together(one: Group, other: Group) -> Group:
    return Group(one.spend + other.spend, one.litres + other.litres, one.buyers + other.buyers)


_FLYERS: Final = text(
    """
    WITH shown AS (
        SELECT flyer AS code, count(*) AS topups FROM topups
        WHERE flyer IS NOT NULL AND booked_at >= :since AND booked_at < :until GROUP BY flyer
    ), codes AS (
        SELECT DISTINCT flyer_code AS code FROM customers WHERE flyer_code <> '' AND created_at >= :since AND created_at < :until
        UNION SELECT code FROM shown
    ), page AS MATERIALIZED (
        SELECT code FROM codes
        WHERE code > :after AND (cardinality(CAST(:codes AS text[])) = 0 OR code = ANY (CAST(:codes AS text[]))) ORDER BY code LIMIT :most
    ), brought AS MATERIALIZED (
        SELECT c.customer_id, c.flyer_code AS code, c.created_at, c.first_load_minor
        FROM customers c JOIN page p ON p.code = c.flyer_code WHERE c.created_at >= :since AND c.created_at < :until
    ), held AS (
        SELECT b.code, count(*) AS cards FROM brought b
        JOIN accounts a ON a.customer_id = b.customer_id JOIN cards k ON k.account_id = a.account_id AND k.status > 0 GROUP BY b.code
    ), spent AS (
        SELECT b.code, b.customer_id, sum(s.gross_minor - s.refunded_minor) AS spend,
            count(*) FILTER (WHERE s.gross_minor > s.refunded_minor) AS visits
        FROM brought b JOIN accounts a ON a.customer_id = b.customer_id AND a.currency = :currency
        JOIN sales s ON s.account_id = a.account_id AND s.sale_id >= uuid7_floor(b.created_at)
            AND s.sale_id < uuid7_floor(b.created_at + make_interval(days => :days))
        WHERE s.sale_id >= :first AND s.sale_id < :last GROUP BY b.code, b.customer_id
    )
    SELECT p.code, coalesce(b.customers, 0), coalesce(h.cards, 0), coalesce(b.loaders, 0), coalesce(b.loaded, 0)::bigint,
        coalesce(s.buyers, 0), coalesce(s.spend, 0)::bigint, coalesce(s.stayed, 0), coalesce(t.topups, 0)
    FROM page p
    LEFT JOIN (
        SELECT code, count(*) AS customers, count(first_load_minor) AS loaders, sum(first_load_minor) AS loaded FROM brought GROUP BY code
    ) b USING (code)
    LEFT JOIN held h USING (code)
    LEFT JOIN (
        SELECT code, count(*) FILTER (WHERE spend > 0) AS buyers, sum(spend) AS spend, count(*) FILTER (WHERE visits > 2) AS stayed
        FROM spent GROUP BY code
    ) s USING (code)
    LEFT JOIN shown t USING (code)
    ORDER BY p.code
    """
)


async def list_flyers(
    session: AsyncSession,
    *,
    since: datetime,
    until: datetime,
    currency: str,
    codes: tuple[str, ...] = (),
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[FlyerFigures]:
    """Read a page of flyer codes, by code: customers entered in `[since, until)`, their cards, first loads and first thirty days.

    `codes` narrows it to some. The cursor is the last code; there is no way back but to the first page.
    """
    facts = {"since": since, "until": until, "currency": currency, "codes": list(codes), "after": cursor or "", "most": limit + 1}
    window = {"first": uuid7_floor(since), "last": uuid7_floor(until + timedelta(days=FLYER_DAYS)), "days": FLYER_DAYS}
    rows = [FlyerFigures(*row) for row in await session.execute(_FLYERS, facts | window)]
    more = len(rows) > limit
    return Page(rows=rows[:limit], next=rows[limit - 1].code if more else None, previous=None)
