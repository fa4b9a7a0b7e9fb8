"""The pump's tables."""

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("unresolved_dispenses", "fills", "limit_counters", "requests", "refunds", "sales", "authorizations")


def upgrade() -> None:
    """Make them, and the partitions around today."""
    op.execute((Path(__file__).parents[1] / "functions" / "authorizations.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop them."""
    for table in TABLES:
        op.drop_table(table)
