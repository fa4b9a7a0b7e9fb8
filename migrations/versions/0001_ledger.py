"""Roles, revision counters, and the ledger: accounts, purses, transfers."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = ("daily_balances", "transfers", "purses", "house_accounts", "accounts", "periods", "revisions")


def upgrade() -> None:
    """Make roles, tables, the partition maker and the guard of the transfers."""
    op.execute((Path(__file__).parents[1] / "functions" / "roles.sql").read_text(encoding="utf-8"))
    op.create_table("revisions", sa.Column("kind", sa.Text, primary_key=True), sa.Column("revision", sa.BigInteger, nullable=False))
    op.execute("INSERT INTO revisions VALUES ('reference', 1), ('price', 1), ('rule', 1), ('terminal', 1), ('period', 1)")
    op.execute((Path(__file__).parents[1] / "functions" / "ledger.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop them; the roles stay, since they belong to the cluster."""
    for table in TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION make_month_partitions(date, integer)")
    op.execute("DROP FUNCTION refuse_change()")
    op.execute("DROP FUNCTION uuid7_floor(timestamptz)")
