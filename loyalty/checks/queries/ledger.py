"""Invariants 1 and 2: transfers, purses, house accounts, holds."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.checks.model import Check, Found, Row, Scope
from loyalty.ledger.model import HouseCode
from loyalty.ledger.rules import house_id

from .asking import found, proved_by

_PLACES = """
    FROM transfers t
    LEFT JOIN purses d ON d.account_id = t.account_id AND d.purse_id = t.debit_id
    LEFT JOIN purses c ON c.account_id = t.account_id AND c.purse_id = t.credit_id
    LEFT JOIN house_accounts hd ON hd.house_id = t.debit_id
    LEFT JOIN house_accounts hc ON hc.house_id = t.credit_id
"""

LEGS = proved_by(
    f"""
    SELECT t.account_id, t.transfer_id, t.debit_id, t.credit_id,
        CASE WHEN d.purse_id IS NULL AND hd.house_id IS NULL THEN 'debit' ELSE 'credit' END AS leg_nowhere
    {_PLACES}
    WHERE (d.purse_id IS NULL AND hd.house_id IS NULL) OR (c.purse_id IS NULL AND hc.house_id IS NULL)
    """,
    code="transfer-legs",
    invariant=1,
    says="every transfer has a debit and a credit: a purse of its account or a house account each",
)

UNITS = proved_by(
    f"""
    SELECT t.account_id, t.transfer_id, t.unit, coalesce(d.unit, hd.currency) AS debit_unit, coalesce(c.unit, hc.currency) AS credit_unit
    {_PLACES}
    WHERE t.unit <> coalesce(d.unit, hd.currency, t.unit) OR t.unit <> coalesce(c.unit, hc.currency, t.unit) OR t.amount_minor <= 0
    """,
    code="transfer-units",
    invariant=1,
    says="both legs of a transfer are of its unit, and its amount is positive",
)

DIRECTIONS = proved_by(
    f"""
    SELECT t.account_id, t.transfer_id, t.kind, coalesce(hd.code, 'purse') AS from_place, coalesce(hc.code, 'purse') AS to_place
    {_PLACES}
    WHERE CASE t.kind
        WHEN 1 THEN coalesce(hd.code, '') <> 'tender' OR c.purse_id IS NULL
        WHEN 2 THEN coalesce(hd.code, '') <> 'bonus' OR c.purse_id IS NULL
        WHEN 3 THEN d.purse_id IS NULL OR coalesce(hc.code, '') <> 'sales'
        WHEN 4 THEN coalesce(hd.code, '') <> 'discount' OR (coalesce(hc.code, '') <> 'sales' AND coalesce(c.kind, 0) <> 1)
        WHEN 19 THEN coalesce(hd.code, '') <> 'sales' OR coalesce(hc.code, '') <> 'surcharge'
        WHEN 5 THEN coalesce(hd.code, '') <> 'tender' OR coalesce(hc.code, '') <> 'sales'
        WHEN 8 THEN coalesce(hc.code, '') <> 'fee'
        WHEN 10 THEN coalesce(hd.code, '') <> 'migration' OR c.purse_id IS NULL
        WHEN 12 THEN d.purse_id IS NULL OR c.purse_id IS NULL
        WHEN 13 THEN d.purse_id IS NULL OR coalesce(c.kind, 0) <> 4
        WHEN 16 THEN coalesce(hd.code, '') <> 'points' OR coalesce(c.kind, 0) <> 3
        WHEN 17 THEN CASE WHEN t.mirrors IS NULL THEN coalesce(d.kind, 0) <> 3 OR coalesce(hc.code, '') <> 'points'
            ELSE coalesce(hd.code, '') <> 'points' OR coalesce(c.kind, 0) <> 3 END
        WHEN 18 THEN coalesce(d.kind, 0) NOT IN (3, 4) OR coalesce(hc.code, '') <> 'points'
        ELSE false END
    """,
    code="transfer-directions",
    invariant=2,
    says="money comes from tenders and goes to sales: liabilities = loads − consumption − refunds − fees ± receivable",
)

BALANCES = proved_by(
    """
    SELECT coalesce(p.account_id, m.account_id) AS account_id, coalesce(p.purse_id, m.purse_id) AS purse_id,
        p.balance_minor, coalesce(m.amount, 0)::bigint AS transfers_minor
    FROM purses p
    LEFT JOIN (
        SELECT account_id, purse_id, sum(amount) AS amount FROM (
            SELECT account_id, credit_id AS purse_id, amount_minor AS amount FROM transfers
            UNION ALL SELECT account_id, debit_id, -amount_minor FROM transfers
        ) leg GROUP BY account_id, purse_id
    ) m ON m.account_id = p.account_id AND m.purse_id = p.purse_id
    WHERE p.balance_minor <> coalesce(m.amount, 0)
    """,
    code="purse-balances",
    invariant=1,
    says="every purse balance equals its transfers",
)

SUMS = proved_by(
    """
    SELECT unit, sum(amount)::text AS sum_minor FROM (
        SELECT unit, balance_minor AS amount FROM purses
        UNION ALL
        SELECT t.unit, t.amount_minor FROM transfers t JOIN house_accounts h ON h.house_id = t.credit_id
        UNION ALL
        SELECT t.unit, -t.amount_minor FROM transfers t JOIN house_accounts h ON h.house_id = t.debit_id
    ) place GROUP BY unit HAVING sum(amount) <> 0
    """,
    code="unit-sums",
    invariant=1,
    says="purses and house accounts sum to zero per unit",
)

FUNDS = proved_by(
    """
    SELECT account_id, purse_id, kind, balance_minor, held_minor, credit_limit_minor FROM purses
    WHERE CASE WHEN kind = 4 THEN balance_minor > 0 OR held_minor <> 0 OR credit_limit_minor <> 0
        ELSE held_minor < 0 OR held_minor > balance_minor + credit_limit_minor OR credit_limit_minor < 0 END
    """,
    code="purse-funds",
    invariant=2,
    says="0 ≤ held ≤ balance + credit; a receivable is never above zero and holds nothing",
)

HOLDS = proved_by(
    """
    SELECT coalesce(p.account_id, h.account_id) AS account_id, coalesce(p.purse_id, h.purse_id) AS purse_id,
        p.held_minor, coalesce(h.amount, 0)::bigint AS holds_minor
    FROM purses p
    FULL JOIN (
        SELECT account_id, purse_id, sum(amount) AS amount FROM (
            SELECT a.account_id, q.purse_id, q.amount
            FROM authorizations a CROSS JOIN LATERAL unnest(a.hold_purses, a.hold_minors) q(purse_id, amount)
            WHERE a.status IN (1, 2, 5, 9)
            UNION ALL
            SELECT f.account_id, (q.hold ->> 0)::uuid, (q.hold ->> 1)::bigint
            FROM freezes f CROSS JOIN LATERAL jsonb_array_elements(f.holds) q(hold) WHERE f.status = 'active'
        ) hold GROUP BY account_id, purse_id
    ) h ON h.account_id = p.account_id AND h.purse_id = p.purse_id
    WHERE coalesce(p.held_minor, 0) <> coalesce(h.amount, 0)
    """,
    code="purse-holds",
    invariant=2,
    says="what is held on a purse equals the holds of open authorisations and freezes",
)

HOLDS_ENDED = proved_by(
    """
    SELECT account_id, authorization_id, status FROM authorizations
    WHERE cardinality(hold_purses) <> cardinality(hold_minors)
        OR (status NOT IN (1, 2, 5, 9) AND 0 <> ANY (hold_minors)) OR 0 > ANY (hold_minors)
    """,
    code="holds-ended",
    invariant=9,
    says="an authorisation that has ended holds nothing",
)

RECEIVABLES = proved_by(
    """
    SELECT p.account_id, count(*) AS receivables FROM purses p WHERE p.kind = 4 GROUP BY p.account_id, p.unit HAVING count(*) > 1
    """,
    code="one-receivable",
    invariant=2,
    says="an account has one receivable per unit",
)

PERIODS = proved_by(
    """
    SELECT t.account_id, t.transfer_id, t.period FROM transfers t LEFT JOIN periods p ON p.period = t.period WHERE p.period IS NULL
    """,
    code="transfer-periods",
    invariant=1,
    says="every transfer is booked in a known accounting period",
)

OPEN_PERIOD = proved_by(
    """
    SELECT count(*) FILTER (WHERE closed_at IS NULL) AS open_periods FROM periods HAVING count(*) FILTER (WHERE closed_at IS NULL) > 1
        OR (count(*) FILTER (WHERE closed_at IS NULL) = 0 AND EXISTS (SELECT FROM transfers))
    """,
    code="open-period",
    invariant=1,
    says="exactly one accounting period is open",
)


async def _house_ids(session: AsyncSession, scope: Scope) -> Found:
    rows: list[Row] = []
    for house, code, currency, reference in await session.execute(text("SELECT house_id, code, currency, reference FROM house_accounts")):
        if house_id(HouseCode(code), currency, reference) != house:
            rows.append({"house_id": str(house), "code": code, "currency": currency, "reference": reference})
    return found(rows, scope)


HOUSES = Check(
    code="house-ids", invariant=1, says="a house account's id is computed from its code, currency and reference", look=_house_ids
)

CHECKS = (LEGS, UNITS, DIRECTIONS, BALANCES, SUMS, FUNDS, HOLDS, HOLDS_ENDED, RECEIVABLES, PERIODS, OPEN_PERIOD, HOUSES)
