"""The limits room: typed rows and the document compiled from them."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE limit_sets (
    subject_id UUID NOT NULL,
    revision INTEGER NOT NULL,
    compiled JSONB NOT NULL,
    next_change_at timestamptz,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_limit_sets PRIMARY KEY (subject_id)
);
CREATE INDEX ix_limit_sets_next_change_at ON limit_sets (next_change_at) WHERE next_change_at IS NOT NULL;
CREATE TABLE card_limits (
    limit_id UUID NOT NULL,
    subject_id UUID NOT NULL,
    kind TEXT NOT NULL,
    "window" TEXT,
    value BIGINT,
    codes TEXT[],
    days SMALLINT[],
    from_time TIME WITHOUT TIME ZONE,
    to_time TIME WITHOUT TIME ZONE,
    reaction TEXT NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    created_by_kind TEXT NOT NULL,
    created_by_id TEXT NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT pk_card_limits PRIMARY KEY (limit_id),
    CONSTRAINT ck_card_limits_kind CHECK (kind IN ('grades', 'shop', 'stations', 'districts', 'regions', 'hours', 'plate',
        'amount', 'quantity', 'count', 'min_interval', 'tank')),
    CONSTRAINT ck_card_limits_reaction CHECK (reaction IN ('block', 'flag')),
    CONSTRAINT ck_card_limits_window CHECK ("window" IN ('transaction', 'day', 'week', 'month')),
    CONSTRAINT ck_card_limits_windowed CHECK ((kind IN ('amount', 'quantity', 'count')) = ("window" IS NOT NULL)),
    CONSTRAINT ck_card_limits_value CHECK (value IS NULL OR value >= 0),
    CONSTRAINT ck_card_limits_valid CHECK (valid_to IS NULL OR valid_to > valid_from)
);
CREATE INDEX ix_card_limits_subject_id ON card_limits (subject_id, limit_id);
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("card_limits", "limit_sets"):
        op.drop_table(table)
