"""Grants, what went back of them, points redeemed; tiers and their history."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

GRANTS = """
CREATE TABLE grants (
    account_id uuid NOT NULL,
    source_id uuid NOT NULL,
    rule text NOT NULL,
    kind text NOT NULL,
    grant_id uuid NOT NULL,
    source text NOT NULL,
    amount bigint NOT NULL,
    returned bigint NOT NULL,
    unit text NOT NULL,
    item text,
    book integer,
    revision integer,
    funders jsonb NOT NULL,
    card_id uuid,
    station_id uuid,
    event_at timestamptz NOT NULL,
    granted_at timestamptz NOT NULL,
    active_at timestamptz NOT NULL,
    expires_at timestamptz,
    status smallint NOT NULL,
    posted bigint NOT NULL,
    purse_id uuid,
    CONSTRAINT pk_grants PRIMARY KEY (account_id, source_id, rule, kind),
    CONSTRAINT ck_grants_kind CHECK (kind IN ('points', 'bonus', 'gift', 'voucher', 'wash')),
    CONSTRAINT ck_grants_status CHECK (status BETWEEN 1 AND 3),
    CONSTRAINT ck_grants_amounts CHECK (amount > 0 AND returned BETWEEN 0 AND amount AND posted BETWEEN 0 AND amount),
    CONSTRAINT ck_grants_unit CHECK ((kind IN ('points', 'bonus')) = (unit <> 'piece')),
    CONSTRAINT ck_grants_posted CHECK
        (CASE status WHEN 1 THEN posted = 0 WHEN 2 THEN posted > 0 OR unit = 'piece' ELSE posted = 0 AND returned = amount END)
) PARTITION BY RANGE (source_id);
CREATE INDEX ix_grants_pending ON grants (active_at) WHERE status = 1;

CREATE TABLE grant_returns (
    account_id uuid NOT NULL,
    refund_id uuid NOT NULL,
    rule text NOT NULL,
    kind text NOT NULL,
    source_id uuid NOT NULL,
    return_id uuid NOT NULL,
    amount bigint NOT NULL,
    pending bigint NOT NULL,
    recovered bigint NOT NULL,
    owed bigint NOT NULL,
    lost bigint NOT NULL,
    booked_at timestamptz NOT NULL,
    CONSTRAINT pk_grant_returns PRIMARY KEY (account_id, refund_id, rule, kind),
    CONSTRAINT ck_grant_returns_kind CHECK (kind IN ('points', 'bonus', 'gift', 'voucher', 'wash')),
    CONSTRAINT ck_grant_returns_amounts CHECK
        (amount > 0 AND pending >= 0 AND recovered >= 0 AND owed >= 0 AND lost >= 0 AND amount = pending + recovered + owed + lost)
);
CREATE INDEX ix_grant_returns_source ON grant_returns (account_id, source_id);

CREATE TABLE grant_marks (
    source text NOT NULL,
    collected_to timestamptz NOT NULL,
    CONSTRAINT pk_grant_marks PRIMARY KEY (source)
);

CREATE TABLE points_redemptions (
    account_id uuid NOT NULL,
    redemption_id uuid NOT NULL,
    points bigint NOT NULL,
    purpose text NOT NULL,
    month date NOT NULL,
    card_id uuid,
    station_id uuid,
    staff_id uuid,
    spent_at timestamptz NOT NULL,
    returned_at timestamptz,
    CONSTRAINT pk_points_redemptions PRIMARY KEY (account_id, redemption_id),
    CONSTRAINT ck_points_redemptions_points CHECK (points > 0)
);
CREATE INDEX ix_points_redemptions_month ON points_redemptions (account_id, month);

CREATE TABLE points_liabilities (
    taken_at timestamptz NOT NULL,
    outstanding bigint NOT NULL,
    pending bigint NOT NULL,
    owed bigint NOT NULL,
    holders bigint NOT NULL,
    expiring jsonb NOT NULL,
    CONSTRAINT pk_points_liabilities PRIMARY KEY (taken_at)
);

-- Neither column changes while a lot lives, so that its balance's updates stay HOT.
CREATE INDEX ix_purses_points_expires_at ON purses (expires_at) WHERE kind = 3;
"""

TIERS = """CREATE TABLE tier_programmes (
    code text NOT NULL,
    currency text NOT NULL,
    "window" text NOT NULL,
    window_days integer,
    grace_days integer NOT NULL,
    downgrade text NOT NULL,
    companies boolean NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by uuid,
    CONSTRAINT pk_tier_programmes PRIMARY KEY (code),
    CONSTRAINT ck_tier_programmes_window CHECK ("window" IN ('rolling', 'month', 'quarter', 'year', 'anniversary')),
    CONSTRAINT ck_tier_programmes_downgrade CHECK (downgrade IN ('by_balance', 'one_down', 'never')),
    CONSTRAINT ck_tier_programmes_window_days CHECK (("window" = 'rolling') = (window_days IS NOT NULL)),
    CONSTRAINT ck_tier_programmes_grace CHECK (grace_days >= 0),
    CONSTRAINT fk_tier_programmes_changed_by FOREIGN KEY (changed_by) REFERENCES staff (staff_id)
);

CREATE TABLE tiers (
    code text NOT NULL,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    rank integer NOT NULL,
    meets text NOT NULL,
    spend_minor bigint,
    quantity_milli bigint,
    topup_minor bigint,
    visits integer,
    benefits_zh text NOT NULL,
    benefits_en text NOT NULL,
    active boolean NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT pk_tiers PRIMARY KEY (code),
    CONSTRAINT uq_tiers_rank UNIQUE (rank),
    CONSTRAINT ck_tiers_meets CHECK (meets IN ('any', 'all')),
    CONSTRAINT ck_tiers_rank CHECK (rank > 0),
    CONSTRAINT ck_tiers_criteria CHECK (spend_minor > 0 AND quantity_milli > 0 AND topup_minor > 0 AND visits > 0)
);

CREATE TABLE tier_standings (
    customer_id uuid NOT NULL,
    tier text,
    since date NOT NULL,
    grace_until date,
    granted_until date,
    locked boolean NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT pk_tier_standings PRIMARY KEY (customer_id),
    CONSTRAINT fk_tier_standings_customer_id FOREIGN KEY (customer_id) REFERENCES customers (customer_id),
    CONSTRAINT fk_tier_standings_tier FOREIGN KEY (tier) REFERENCES tiers (code)
);
CREATE INDEX ix_tier_standings_tier ON tier_standings (tier);

CREATE TABLE tier_moves (
    move_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    customer_id uuid NOT NULL,
    from_tier text,
    to_tier text,
    why text NOT NULL,
    happened_at timestamptz NOT NULL,
    facts jsonb NOT NULL,
    staff_id uuid,
    reason text NOT NULL,
    CONSTRAINT pk_tier_moves PRIMARY KEY (move_id),
    CONSTRAINT ck_tier_moves_why CHECK (why IN ('reached', 'grace_ended', 'granted', 'locked', 'unlocked')),
    CONSTRAINT fk_tier_moves_customer_id FOREIGN KEY (customer_id) REFERENCES customers (customer_id),
    CONSTRAINT fk_tier_moves_staff_id FOREIGN KEY (staff_id) REFERENCES staff (staff_id)
);
CREATE INDEX ix_tier_moves_customer_id ON tier_moves (customer_id, move_id);
CREATE INDEX ix_tier_moves_happened_at ON tier_moves (happened_at, move_id);

CREATE TABLE activity_days (
    account_id uuid NOT NULL,
    day date NOT NULL,
    spend_minor bigint NOT NULL,
    quantity_milli bigint NOT NULL,
    topup_minor bigint NOT NULL,
    visits integer NOT NULL,
    CONSTRAINT pk_activity_days PRIMARY KEY (account_id, day)
);
"""

# The months that sales have are the months that their grants can be of.
PARTITIONS = """
SELECT make_month_partitions(min(month), (extract(year FROM age(max(month), min(month))) * 12
    + extract(month FROM age(max(month), min(month))))::integer + 1)
FROM (
    SELECT to_date(right(c.relname, 6), 'YYYYMM') AS month FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'sales'::regclass AND c.relname ~ '_[0-9]{6}$'
) AS known HAVING count(*) > 0
"""


def upgrade() -> None:
    """Make the tables, and the partitions of the months there are."""
    op.execute(GRANTS)
    op.execute(TIERS)
    op.execute(PARTITIONS)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP INDEX ix_purses_points_expires_at")
    for table in ("activity_days", "tier_moves", "tier_standings", "tiers", "tier_programmes"):
        op.drop_table(table)
    for table in ("points_liabilities", "points_redemptions", "grant_marks", "grant_returns", "grants"):
        op.drop_table(table)
