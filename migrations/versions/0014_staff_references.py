"""References from stations and customers to the staff, whose table is younger than theirs."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

REFERENCES = (
    ("station_events", "staff_id"),
    ("terminal_events", "staff_id"),
    ("station_prices", "published_by"),
    ("station_prices", "withdrawn_by"),
    ("shifts", "cashier_id"),
    ("shifts", "closed_by"),
    ("cash_counts", "counted_by"),
    ("cash_drops", "dropped_by"),
    ("day_closes", "closed_by"),
    ("customers", "developed_by"),
    ("customer_identifiers", "verified_by"),
    ("consents", "staff_id"),
    ("merge_suggestions", "decided_by"),
    ("customer_merges", "merged_by"),
    ("customer_merges", "undone_by"),
)


def upgrade() -> None:
    """Add the references."""
    for table, column in REFERENCES:
        op.create_foreign_key(op.f(f"fk_{table}_{column}"), table, "staff", [column], ["staff_id"])


def downgrade() -> None:
    """Drop the references."""
    for table, column in REFERENCES:
        op.drop_constraint(op.f(f"fk_{table}_{column}"), table, type_="foreignkey")
