"""What a group's companies came to, for whoever reads at the parent: figures only, through a function that knows who asks."""

from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

# The tenant's fence shows a company nothing but its own rows. This is the one door in it: sums of the companies below, no row of theirs.
FIGURES = """
CREATE FUNCTION group_figures(p_first date, p_end date) RETURNS TABLE (
    company_id uuid, depth integer, name text, currency text, fills bigint, quantity_milli bigint, discount_minor bigint, card_minor bigint,
    vehicles bigint, cards bigint, findings bigint, pool_minor bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH RECURSIVE members AS (
        SELECT c.company_id, 0 AS depth FROM companies c WHERE c.company_id = nullif(current_setting('app.tenant', true), '')::uuid
        UNION ALL
        SELECT c.company_id, m.depth + 1 FROM companies c JOIN members m ON c.parent_id = m.company_id WHERE m.depth < 9
    )
    SELECT m.company_id, m.depth, u.name, c.currency, coalesce(d.fills, 0)::bigint, coalesce(d.milli, 0)::bigint,
        coalesce(d.discount, 0)::bigint, coalesce(d.card, 0)::bigint,
        (SELECT count(*) FROM vehicles v WHERE v.company_id = m.company_id AND v.closed_at IS NULL),
        (SELECT count(*) FROM cards k WHERE k.account_id = c.account_id AND k.status IN (1, 2, 3) AND NOT k.is_main),
        (SELECT count(*) FROM findings f WHERE f.company_id = m.company_id AND f.disposition = 'open'),
        (SELECT coalesce(sum(p.balance_minor), 0)::bigint FROM purses p
            WHERE p.account_id = c.account_id AND p.kind = 1 AND p.card_id IS NULL)
    FROM members m
    JOIN companies c ON c.company_id = m.company_id
    JOIN customers u ON u.customer_id = m.company_id
    LEFT JOIN LATERAL (
        SELECT sum(f.fills) AS fills, sum(f.quantity_milli) AS milli, sum(f.discount_minor) AS discount, sum(f.card_minor) AS card
        FROM fleet_days f WHERE f.company_id = m.company_id AND f.by = 'department' AND f.day >= p_first AND f.day < p_end
    ) d ON true
    ORDER BY m.depth, u.name
$$;
REVOKE EXECUTE ON FUNCTION group_figures FROM PUBLIC;
GRANT EXECUTE ON FUNCTION group_figures TO loyalty_portal;
"""


def upgrade() -> None:
    """Make it."""
    op.execute(FIGURES)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP FUNCTION group_figures(date, date)")
