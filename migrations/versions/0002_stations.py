"""The stations room's tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
TABLES = (
    "legal_entities",
    "products",
    "regions",
    "districts",
    "stations",
    "terminals",
    "day_closes",
    "shifts",
    "station_events",
    "station_prices",
    "terminal_events",
    "cash_counts",
    "cash_drops",
)


def upgrade() -> None:
    """Make the tables; their references to `staff` follow in 0014, since that table is younger."""
    op.create_table(
        "legal_entities",
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("tax_number", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_legal_entities")),
        sa.UniqueConstraint("code", name=op.f("uq_legal_entities_code")),
    )
    op.create_table(
        "products",
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("fuel_kind", sa.Text(), nullable=True),
        sa.Column("shop_category", sa.Text(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "(category = 'fuel') = (fuel_kind IS NOT NULL) AND (category = 'shop') = (shop_category IS NOT NULL)",
            name=op.f("ck_products_kind"),
        ),
        sa.CheckConstraint("category IN ('fuel', 'shop')", name=op.f("ck_products_category")),
        sa.CheckConstraint("fuel_kind IN ('gasoline', 'diesel', 'lng', 'cng', 'ev')", name=op.f("ck_products_fuel_kind")),
        sa.CheckConstraint("unit IN ('L', 'kg', 'm3', 'kWh', 'piece')", name=op.f("ck_products_unit")),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_products")),
        sa.UniqueConstraint("code", name=op.f("uq_products_code")),
    )
    op.create_table(
        "regions",
        sa.Column("region_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("region_id", name=op.f("pk_regions")),
        sa.UniqueConstraint("code", name=op.f("uq_regions_code")),
    )
    op.create_table(
        "districts",
        sa.Column("district_id", sa.Uuid(), nullable=False),
        sa.Column("region_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["region_id"], ["regions.region_id"], name=op.f("fk_districts_region_id")),
        sa.PrimaryKeyConstraint("district_id", name=op.f("pk_districts")),
        sa.UniqueConstraint("code", name=op.f("uq_districts_code")),
    )
    op.create_index(op.f("ix_districts_region_id"), "districts", ["region_id"], unique=False)
    op.create_table(
        "stations",
        sa.Column("station_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("district_id", sa.Uuid(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("may_issue", sa.Boolean(), nullable=False),
        sa.Column("may_load", sa.Boolean(), nullable=False),
        sa.Column("may_invoice", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint("status IN ('planned', 'open', 'shortage', 'paused', 'closed')", name=op.f("ck_stations_status")),
        sa.ForeignKeyConstraint(["district_id"], ["districts.district_id"], name=op.f("fk_stations_district_id")),
        sa.ForeignKeyConstraint(["entity_id"], ["legal_entities.entity_id"], name=op.f("fk_stations_entity_id")),
        sa.PrimaryKeyConstraint("station_id", name=op.f("pk_stations")),
        sa.UniqueConstraint("code", name=op.f("uq_stations_code")),
    )
    op.create_index(op.f("ix_stations_district_id"), "stations", ["district_id"], unique=False)
    op.create_index(op.f("ix_stations_entity_id"), "stations", ["entity_id"], unique=False)
    op.create_index("ix_stations_name_zh_station_id", "stations", ["name_zh", "station_id"], unique=False)
    op.create_table(
        "terminals",
        sa.Column("terminal_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("amount_per_transaction_max_minor", sa.BigInteger(), nullable=True),
        sa.Column("offline_amount_max_minor", sa.BigInteger(), nullable=True),
        sa.Column("software", sa.Text(), nullable=True),
        sa.Column("last_heartbeat_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint("kind IN ('pos', 'counter', 'outdoor')", name=op.f("ck_terminals_kind")),
        sa.CheckConstraint("status IN ('active', 'quarantined', 'revoked')", name=op.f("ck_terminals_status")),
        sa.CheckConstraint("amount_per_transaction_max_minor > 0 AND offline_amount_max_minor >= 0", name=op.f("ck_terminals_caps")),
        sa.ForeignKeyConstraint(["station_id"], ["stations.station_id"], name=op.f("fk_terminals_station_id")),
        sa.PrimaryKeyConstraint("terminal_id", name=op.f("pk_terminals")),
        sa.UniqueConstraint("station_id", "code", name=op.f("uq_terminals_station_id_code")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "day_closes",
        sa.Column("station_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("closed_at", INSTANT, nullable=False),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("totals", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("totals_hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("octet_length(totals_hash) = 32", name=op.f("ck_day_closes_hash")),
        sa.ForeignKeyConstraint(["station_id"], ["stations.station_id"], name=op.f("fk_day_closes_station_id")),
        sa.PrimaryKeyConstraint("station_id", "day", name=op.f("pk_day_closes")),
    )
    op.create_index("ix_day_closes_day", "day_closes", ["day"], unique=False)
    op.create_table(
        "shifts",
        sa.Column("shift_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Uuid(), nullable=False),
        sa.Column("terminal_id", sa.Uuid(), nullable=False),
        sa.Column("cashier_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("opening_float_minor", sa.BigInteger(), nullable=False),
        sa.Column("counted_at", INSTANT, nullable=True),
        sa.Column("counted_cash_minor", sa.BigInteger(), nullable=True),
        sa.Column("expected_cash_minor", sa.BigInteger(), nullable=True),
        sa.Column("over_short_minor", sa.BigInteger(), nullable=True),
        sa.Column("explanation", sa.Text(), nullable=True),
        sa.Column("totals", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "status <> 'closed' OR (closed_at IS NOT NULL AND expected_cash_minor IS NOT NULL AND totals IS NOT NULL)",
            name=op.f("ck_shifts_closed"),
        ),
        sa.CheckConstraint(
            "status = 'open' OR (counted_cash_minor IS NOT NULL AND counted_at IS NOT NULL)", name=op.f("ck_shifts_counted")
        ),
        sa.CheckConstraint("status IN ('open', 'counted', 'closed')", name=op.f("ck_shifts_status")),
        sa.CheckConstraint("opening_float_minor >= 0 AND counted_cash_minor >= 0", name=op.f("ck_shifts_cash")),
        sa.ForeignKeyConstraint(["station_id"], ["stations.station_id"], name=op.f("fk_shifts_station_id")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.terminal_id"], name=op.f("fk_shifts_terminal_id")),
        sa.PrimaryKeyConstraint("shift_id", name=op.f("pk_shifts")),
    )
    op.create_index("ix_shifts_cashier_id_opened_at", "shifts", ["cashier_id", "opened_at"], unique=False)
    op.create_index("ix_shifts_station_id_opened_at", "shifts", ["station_id", "opened_at"], unique=False)
    op.create_index("ux_shifts_running", "shifts", ["terminal_id"], unique=True, postgresql_where=sa.text("status <> 'closed'"))
    op.create_table(
        "station_events",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Uuid(), nullable=False),
        sa.Column("moved_to", sa.Text(), nullable=False),
        sa.Column("happened_at", INSTANT, nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("moved_to IN ('planned', 'open', 'shortage', 'paused', 'closed')", name=op.f("ck_station_events_moved_to")),
        sa.ForeignKeyConstraint(["station_id"], ["stations.station_id"], name=op.f("fk_station_events_station_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_station_events")),
    )
    op.create_index("ix_station_events_station_id_happened_at", "station_events", ["station_id", "happened_at"], unique=False)
    op.create_table(
        "station_prices",
        sa.Column("price_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("unit_price_e4", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("effective_from", INSTANT, nullable=False),
        sa.Column("published_at", INSTANT, nullable=False),
        sa.Column("published_by", sa.Uuid(), nullable=True),
        sa.Column("withdrawn_at", INSTANT, nullable=True),
        sa.Column("withdrawn_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("unit_price_e4 > 0", name=op.f("ck_station_prices_positive")),
        sa.ForeignKeyConstraint(["product_id"], ["products.product_id"], name=op.f("fk_station_prices_product_id")),
        sa.ForeignKeyConstraint(["station_id"], ["stations.station_id"], name=op.f("fk_station_prices_station_id")),
        sa.PrimaryKeyConstraint("price_id", name=op.f("pk_station_prices")),
    )
    op.create_index("ix_station_prices_effective_from", "station_prices", ["effective_from"], unique=False)
    op.create_index(
        "ux_station_prices_in_force",
        "station_prices",
        ["station_id", "product_id", "effective_from"],
        unique=True,
        postgresql_include=["unit_price_e4"],
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    op.create_table(
        "terminal_events",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("terminal_id", sa.Uuid(), nullable=False),
        sa.Column("moved_to", sa.Text(), nullable=False),
        sa.Column("happened_at", INSTANT, nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("moved_to IN ('active', 'quarantined', 'revoked')", name=op.f("ck_terminal_events_moved_to")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.terminal_id"], name=op.f("fk_terminal_events_terminal_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_terminal_events")),
    )
    op.create_index("ix_terminal_events_terminal_id_happened_at", "terminal_events", ["terminal_id", "happened_at"], unique=False)
    op.create_table(
        "cash_counts",
        sa.Column("count_id", sa.Uuid(), nullable=False),
        sa.Column("shift_id", sa.Uuid(), nullable=False),
        sa.Column("counted_cash_minor", sa.BigInteger(), nullable=False),
        sa.Column("counted_by", sa.Uuid(), nullable=False),
        sa.Column("counted_at", INSTANT, nullable=False),
        sa.CheckConstraint("counted_cash_minor >= 0", name=op.f("ck_cash_counts_amount")),
        sa.ForeignKeyConstraint(["shift_id"], ["shifts.shift_id"], name=op.f("fk_cash_counts_shift_id")),
        sa.PrimaryKeyConstraint("count_id", name=op.f("pk_cash_counts")),
    )
    op.create_index(op.f("ix_cash_counts_shift_id"), "cash_counts", ["shift_id"], unique=False)
    op.create_table(
        "cash_drops",
        sa.Column("drop_id", sa.Uuid(), nullable=False),
        sa.Column("shift_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("dropped_by", sa.Uuid(), nullable=False),
        sa.Column("dropped_at", INSTANT, nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_cash_drops_amount")),
        sa.ForeignKeyConstraint(["shift_id"], ["shifts.shift_id"], name=op.f("fk_cash_drops_shift_id")),
        sa.PrimaryKeyConstraint("drop_id", name=op.f("pk_cash_drops")),
    )
    op.create_index(op.f("ix_cash_drops_shift_id"), "cash_drops", ["shift_id"], unique=False)


def downgrade() -> None:
    """Drop the tables."""
    for table in reversed(TABLES):
        op.drop_table(table)
