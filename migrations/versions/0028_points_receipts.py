"""Receipts of points spent are printed and counted like any other."""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

CHANGE = """
ALTER TABLE receipt_prints DROP CONSTRAINT ck_receipt_prints_kind;
ALTER TABLE receipt_prints ADD CONSTRAINT ck_receipt_prints_kind CHECK (kind IN ('sale', 'topup', 'refund', 'points')) NOT VALID;
ALTER TABLE receipt_prints VALIDATE CONSTRAINT ck_receipt_prints_kind;
"""

BACK = """
DELETE FROM receipt_prints WHERE kind = 'points';
ALTER TABLE receipt_prints DROP CONSTRAINT ck_receipt_prints_kind;
ALTER TABLE receipt_prints ADD CONSTRAINT ck_receipt_prints_kind CHECK (kind IN ('sale', 'topup', 'refund'));
"""


def upgrade() -> None:
    """Let prints be of points spent, too."""
    op.execute(CHANGE)


def downgrade() -> None:
    """Forget them."""
    op.execute(BACK)
