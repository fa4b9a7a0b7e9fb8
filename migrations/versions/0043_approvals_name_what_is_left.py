"""An asking keeps what its limit still allowed: who answers sees by how much it is passed."""

from alembic import op

revision = "0043"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.execute("ALTER TABLE approvals ADD COLUMN left_minor bigint, ADD COLUMN left_milli bigint")


def downgrade() -> None:
    """Undo."""
    op.execute("ALTER TABLE approvals DROP COLUMN left_minor, DROP COLUMN left_milli")
