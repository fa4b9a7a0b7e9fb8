"""The batch of the hot path, booked whole or not at all; room on the pages of authorisations for their completion."""

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TYPES = (
    "hot_card",
    "hot_original",
    "hot_debt",
    "hot_purse",
    "hot_counter",
    "hot_authorization",
    "hot_sale",
    "hot_movement",
    "hot_fill",
    "hot_request",
)
# A completion changes its authorisation's row: with room on the page no index is touched.
ROOM = """
DO $$
DECLARE
    child regclass;
BEGIN
    FOR child IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'authorizations'::regclass LOOP
        EXECUTE format('ALTER TABLE %s SET (fillfactor = 70)', child);
    END LOOP;
END $$
"""
IN_FUNCTION = "                IF parent = 'transfers'::regclass THEN"
ROOM_LATER = """                IF parent = 'authorizations'::regclass THEN
                    EXECUTE format('ALTER TABLE %I SET (fillfactor = 70)', child);
                END IF;
"""


def upgrade() -> None:
    """Make it; `hot_write` stays for the release before."""
    functions = Path(__file__).parents[1] / "functions"
    op.execute((functions / "hot_book.v1.sql").read_text(encoding="utf-8"))
    op.execute(ROOM)
    op.execute(_make_month_partitions(functions).replace(IN_FUNCTION, ROOM_LATER + IN_FUNCTION))


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP FUNCTION hot_book")
    for name in TYPES:
        op.execute(f"DROP TYPE {name}")
    op.execute(_make_month_partitions(Path(__file__).parents[1] / "functions"))


def _make_month_partitions(functions: Path) -> str:
    source = (functions / "ledger.sql").read_text(encoding="utf-8")
    begin = source.index("CREATE FUNCTION make_month_partitions")
    end = source.index("END $$;", begin)
    return source[begin:end].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1) + "END $$"
