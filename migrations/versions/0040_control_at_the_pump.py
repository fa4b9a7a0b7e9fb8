"""Control at the pump: a driver's own PIN, what must be said, dated changes of limits, and orders that a company names."""

from pathlib import Path

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE drivers ADD COLUMN pin_tries smallint NOT NULL DEFAULT 0;
ALTER TABLE limit_sets ADD COLUMN needs smallint NOT NULL DEFAULT 0;

ALTER TABLE card_limits DROP CONSTRAINT ck_card_limits_kind;
ALTER TABLE card_limits ADD CONSTRAINT ck_card_limits_kind CHECK (kind IN ('grades', 'shop', 'stations', 'districts', 'regions', 'hours',
    'plate', 'amount', 'quantity', 'count', 'min_interval', 'tank', 'odometer')) NOT VALID;
ALTER TABLE card_limits VALIDATE CONSTRAINT ck_card_limits_kind;

CREATE TABLE limit_changes (
    change_id uuid NOT NULL CONSTRAINT pk_limit_changes PRIMARY KEY,
    company_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    kind text NOT NULL,
    percent integer,
    amount_minor bigint,
    quantity_milli bigint,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL,
    reason text NOT NULL,
    created_by_kind text NOT NULL,
    created_by_id text NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT ck_limit_changes_kind CHECK (kind IN ('more', 'block')),
    CONSTRAINT ck_limit_changes_period CHECK (valid_to > valid_from),
    CONSTRAINT ck_limit_changes_sizes CHECK (percent BETWEEN 1 AND 1000 AND amount_minor > 0 AND quantity_milli > 0),
    CONSTRAINT ck_limit_changes_more CHECK ((kind = 'more') = (num_nonnulls(percent, amount_minor, quantity_milli) > 0))
);
CREATE INDEX ix_limit_changes_subject_id ON limit_changes (subject_id, change_id);
CREATE INDEX ix_limit_changes_company_id ON limit_changes (company_id, change_id);

CREATE TABLE fuel_orders (
    order_id uuid NOT NULL CONSTRAINT pk_fuel_orders PRIMARY KEY,
    company_id uuid NOT NULL,
    account_id uuid NOT NULL,
    number text NOT NULL,
    status text NOT NULL,
    product_code text,
    station_id uuid,
    chain_id uuid,
    vehicle_id uuid,
    amount_minor bigint,
    quantity_milli bigint,
    keeps_rest boolean NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_until timestamptz NOT NULL,
    note text,
    created_by_kind text NOT NULL,
    created_by_id text NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT ck_fuel_orders_status CHECK (status IN ('open', 'used', 'expired', 'cancelled')),
    CONSTRAINT ck_fuel_orders_period CHECK (valid_until > valid_from),
    CONSTRAINT ck_fuel_orders_size CHECK (num_nonnulls(amount_minor, quantity_milli) = 1 AND amount_minor > 0 AND quantity_milli > 0),
    CONSTRAINT ck_fuel_orders_number CHECK (number ~ '^[0-9A-Za-z._/-]{1,32}$')
);
CREATE UNIQUE INDEX ux_fuel_orders_number ON fuel_orders (company_id, number);
CREATE INDEX ix_fuel_orders_company_id ON fuel_orders (company_id, order_id);
CREATE INDEX ix_fuel_orders_open ON fuel_orders (valid_until) WHERE status = 'open';

SELECT fence_tenant(t) FROM unnest(ARRAY['limit_changes', 'fuel_orders']::regclass[]) t;
"""

BACK = """
DROP TABLE fuel_orders, limit_changes;
DELETE FROM card_limits WHERE kind = 'odometer';
ALTER TABLE card_limits DROP CONSTRAINT ck_card_limits_kind;
ALTER TABLE card_limits ADD CONSTRAINT ck_card_limits_kind CHECK (kind IN ('grades', 'shop', 'stations', 'districts', 'regions', 'hours',
    'plate', 'amount', 'quantity', 'count', 'min_interval', 'tank'));
ALTER TABLE limit_sets DROP COLUMN needs;
ALTER TABLE drivers DROP COLUMN pin_tries;
"""


def upgrade() -> None:
    """Make what the pump asks for; `hot_book_v4` stays for the release before."""
    op.execute(TABLES)
    op.execute((Path(__file__).parents[1] / "functions" / "hot_book.v5.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Back to a card's own credential alone."""
    op.execute("DROP FUNCTION hot_book_v5")
    for name in ("hot_driver", "pump_driver", "pump_odometer", "pump_order"):
        op.execute(f"DROP TYPE {name}")
    op.execute(BACK)
