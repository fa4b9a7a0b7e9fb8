"""The batch of the hot path with benefits' counters and budgets; an authorisation completed in part keeps what is left of its freeze."""

from pathlib import Path

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it; `hot_book_v2` stays for the release before."""
    op.execute((Path(__file__).parents[1] / "functions" / "hot_book.v3.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP FUNCTION gather_budget")
    op.execute("DROP FUNCTION hot_book_v3")
    for name in ("hot_budget", "hot_benefit", "hot_original_v3"):
        op.execute(f"DROP TYPE {name}")
