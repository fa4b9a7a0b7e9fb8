"""A bonus lot says what it may be spent on; a grant keeps the conditions until its lot is made. New columns without default: no rewrite."""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

CHANGE = """
ALTER TABLE purses ADD COLUMN spending jsonb;
ALTER TABLE purses ADD CONSTRAINT ck_purses_spending CHECK (spending IS NULL OR (kind = 2 AND jsonb_typeof(spending) = 'object')) NOT VALID;
ALTER TABLE purses VALIDATE CONSTRAINT ck_purses_spending;
ALTER TABLE grants ADD COLUMN spending jsonb;
"""

BACK = """
ALTER TABLE grants DROP COLUMN spending;
ALTER TABLE purses DROP COLUMN spending;
"""


def upgrade() -> None:
    """Let lots and grants carry conditions."""
    op.execute(CHANGE)


def downgrade() -> None:
    """Forget them: what is left of such lots may be spent on anything."""
    op.execute(BACK)
