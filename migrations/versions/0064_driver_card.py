"""The driver's own card beside the vehicle's: what the pump's read tells of it."""

from alembic import op

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the type in which the read tells it."""
    op.execute("""
        CREATE TYPE pump_driver_card AS (
            card_id uuid, status smallint, version integer, expires_on date, check_value_index bytea, needs_pin boolean
        )
    """)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TYPE pump_driver_card")
