"""Limits at company, department, vehicle and driver: whose cards are whose, what each level used, profiles, releases, asking."""

from pathlib import Path

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE limit_chains (
    chain_id uuid NOT NULL CONSTRAINT pk_limit_chains PRIMARY KEY,
    account_id uuid NOT NULL,
    company_id uuid NOT NULL,
    subjects uuid[] NOT NULL,
    levels smallint[] NOT NULL,
    needs smallint NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT ck_limit_chains_levels CHECK (cardinality(subjects) = cardinality(levels))
);
CREATE INDEX ix_limit_chains_subjects ON limit_chains USING gin (subjects);

CREATE TABLE level_counters (
    account_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    "window" smallint NOT NULL,
    start date NOT NULL,
    amount_minor bigint NOT NULL,
    quantity_milli bigint NOT NULL,
    count integer NOT NULL,
    last_at timestamptz NOT NULL,
    CONSTRAINT pk_level_counters PRIMARY KEY (account_id, subject_id, "window", start),
    CONSTRAINT ck_level_counters_window CHECK ("window" BETWEEN 0 AND 3)
) WITH (fillfactor = 80);

CREATE TABLE limit_profiles (
    profile_id uuid NOT NULL CONSTRAINT pk_limit_profiles PRIMARY KEY,
    company_id uuid NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    closed_at timestamptz
);
CREATE UNIQUE INDEX ux_limit_profiles_name ON limit_profiles (company_id, name) WHERE closed_at IS NULL;

CREATE TABLE limit_releases (
    release_id uuid NOT NULL CONSTRAINT pk_limit_releases PRIMARY KEY,
    company_id uuid NOT NULL,
    account_id uuid NOT NULL,
    chain_id uuid NOT NULL,
    limits text[],
    valid_from timestamptz NOT NULL,
    valid_until timestamptz NOT NULL,
    minor_max bigint,
    milli_max bigint,
    once boolean NOT NULL,
    reason text NOT NULL,
    approval_id uuid,
    created_by_kind text NOT NULL,
    created_by_id text NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT ck_limit_releases_period CHECK (valid_until > valid_from),
    CONSTRAINT ck_limit_releases_maxima CHECK (minor_max > 0 AND milli_max > 0)
);
CREATE INDEX ix_limit_releases_chain_id ON limit_releases (chain_id) WHERE ended_at IS NULL;
CREATE INDEX ix_limit_releases_company_id ON limit_releases (company_id, release_id);

ALTER TABLE limit_sets ADD COLUMN profile_id uuid CONSTRAINT fk_limit_sets_profile_id REFERENCES limit_profiles;
CREATE INDEX ix_limit_sets_profile_id ON limit_sets (profile_id) WHERE profile_id IS NOT NULL;

ALTER TABLE card_limits DROP CONSTRAINT ck_card_limits_reaction;
ALTER TABLE card_limits ADD CONSTRAINT ck_card_limits_reaction CHECK (reaction IN ('block', 'flag', 'ask')) NOT VALID;
ALTER TABLE card_limits VALIDATE CONSTRAINT ck_card_limits_reaction;

SELECT fence_tenant(t) FROM unnest(ARRAY['limit_chains', 'limit_profiles', 'limit_releases']::regclass[]) t;
"""

BACK = """
DELETE FROM card_limits WHERE reaction = 'ask';
ALTER TABLE card_limits DROP CONSTRAINT ck_card_limits_reaction;
ALTER TABLE card_limits ADD CONSTRAINT ck_card_limits_reaction CHECK (reaction IN ('block', 'flag'));
ALTER TABLE limit_sets DROP COLUMN profile_id;
DROP TABLE limit_releases, limit_profiles, level_counters, limit_chains;
"""


def upgrade() -> None:
    """Make the levels and the batch that counts them; `hot_book_v3` stays for the release before."""
    op.execute(TABLES)
    op.execute((Path(__file__).parents[1] / "functions" / "hot_book.v4.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Back to limits of chains alone."""
    op.execute("DROP FUNCTION hot_book_v4")
    for name in ("hot_level", "limit_level", "limit_relief"):
        op.execute(f"DROP TYPE {name}")
    op.execute(BACK)
