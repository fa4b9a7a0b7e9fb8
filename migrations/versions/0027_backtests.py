"""Backtests, and what drafts in the shadow say."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE backtests (
    backtest_id uuid NOT NULL,
    number integer NOT NULL,
    version integer NOT NULL,
    document jsonb NOT NULL,
    currency text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    status text NOT NULL,
    rows_done bigint NOT NULL,
    rows_total bigint NOT NULL,
    asked_by uuid,
    asked_at timestamptz NOT NULL,
    started_at timestamptz,
    beat_at timestamptz,
    finished_at timestamptz,
    problem text,
    result jsonb,
    CONSTRAINT pk_backtests PRIMARY KEY (backtest_id),
    CONSTRAINT fk_backtests_number FOREIGN KEY (number) REFERENCES rulebooks (number),
    CONSTRAINT fk_backtests_asked_by FOREIGN KEY (asked_by) REFERENCES staff (staff_id),
    CONSTRAINT ck_backtests_status CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    CONSTRAINT ck_backtests_period CHECK (until > since),
    CONSTRAINT ck_backtests_rows CHECK (rows_done >= 0 AND rows_total >= 0),
    CONSTRAINT ck_backtests_result CHECK ((status = 'done') = (result IS NOT NULL))
);
CREATE INDEX ix_backtests_number ON backtests (number, asked_at);
CREATE INDEX ix_backtests_open ON backtests (asked_at) WHERE status IN ('queued', 'running');

CREATE TABLE shadow_results (
    number integer NOT NULL,
    account_id uuid NOT NULL,
    sale_id uuid NOT NULL,
    version integer NOT NULL,
    business_day date NOT NULL,
    currency text NOT NULL,
    gross_minor bigint NOT NULL,
    live_minor bigint NOT NULL,
    shadow_minor bigint NOT NULL,
    live_bonus_minor bigint NOT NULL,
    shadow_bonus_minor bigint NOT NULL,
    live_points bigint NOT NULL,
    shadow_points bigint NOT NULL,
    live_things bigint NOT NULL,
    shadow_things bigint NOT NULL,
    evaluated_at timestamptz NOT NULL,
    CONSTRAINT pk_shadow_results PRIMARY KEY (number, account_id, sale_id),
    CONSTRAINT fk_shadow_results_number FOREIGN KEY (number) REFERENCES rulebooks (number)
);
CREATE INDEX ix_shadow_results_day ON shadow_results (number, business_day);

CREATE TABLE shadow_marks (
    number integer NOT NULL,
    looked_to timestamptz NOT NULL,
    CONSTRAINT pk_shadow_marks PRIMARY KEY (number),
    CONSTRAINT fk_shadow_marks_number FOREIGN KEY (number) REFERENCES rulebooks (number)
);

CREATE TABLE shadow_counters (
    number integer NOT NULL,
    subject_id uuid NOT NULL,
    cap_id uuid NOT NULL,
    start date NOT NULL,
    amount bigint NOT NULL,
    count integer NOT NULL,
    CONSTRAINT pk_shadow_counters PRIMARY KEY (number, subject_id, cap_id, start),
    CONSTRAINT fk_shadow_counters_number FOREIGN KEY (number) REFERENCES rulebooks (number)
);

CREATE TABLE shadow_budgets (
    number integer NOT NULL,
    budget_id uuid NOT NULL,
    used bigint NOT NULL,
    CONSTRAINT pk_shadow_budgets PRIMARY KEY (number, budget_id),
    CONSTRAINT fk_shadow_budgets_number FOREIGN KEY (number) REFERENCES rulebooks (number)
);

REVOKE UPDATE, DELETE, TRUNCATE ON shadow_results FROM loyalty_hot, loyalty_jobs, loyalty_portal;
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE shadow_budgets, shadow_counters, shadow_marks, shadow_results, backtests")
