"""Points may wait for their station's day close. A column without default is no rewrite, and the release before leaves it empty."""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

CHANGE = """
ALTER TABLE grants ADD COLUMN settles_on date;
DROP INDEX ix_grants_pending;
CREATE INDEX ix_grants_pending ON grants (active_at) WHERE status = 1 AND settles_on IS NULL;
CREATE INDEX ix_grants_unsettled ON grants (settles_on, station_id) WHERE status = 1 AND settles_on IS NOT NULL;
"""

BACK = """
DROP INDEX ix_grants_pending;
DROP INDEX ix_grants_unsettled;
ALTER TABLE grants DROP COLUMN settles_on;
CREATE INDEX ix_grants_pending ON grants (active_at) WHERE status = 1;
"""


def upgrade() -> None:
    """Let grants wait for an event too."""
    op.execute(CHANGE)


def downgrade() -> None:
    """Let those that wait wait for their time alone."""
    op.execute(BACK)
