"""The batch of the hot path, checked by what its updates find; requests without a sequence number leave that index alone."""

from pathlib import Path

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# Without the condition a plan made while a partition is empty may look keys up by the till alone, through all it ever asked (seen).
ONLY_NUMBERED = """
ALTER TABLE requests DROP CONSTRAINT uq_requests_terminal_id_epoch_sequence;
CREATE UNIQUE INDEX uq_requests_terminal_id_epoch_sequence ON requests (terminal_id, epoch, sequence) WHERE sequence IS NOT NULL
"""
ALL = """
DROP INDEX uq_requests_terminal_id_epoch_sequence;
ALTER TABLE requests ADD CONSTRAINT uq_requests_terminal_id_epoch_sequence UNIQUE (terminal_id, epoch, sequence)
"""


def upgrade() -> None:
    """Make it; `hot_book` stays for the release before."""
    op.execute((Path(__file__).parents[1] / "functions" / "hot_book.v2.sql").read_text(encoding="utf-8"))
    op.execute(ONLY_NUMBERED)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP FUNCTION hot_book_v2")
    op.execute(ALL)
