"""The hot path's batch function."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    op.execute((Path(__file__).parents[1] / "functions" / "hot_write.v1.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP FUNCTION hot_write")
    for name in ("hot_item", "hot_change", "hot_receivable", "hot_transfer"):
        op.execute(f"DROP TYPE {name}")
