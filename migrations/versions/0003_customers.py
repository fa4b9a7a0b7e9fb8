"""The customers room's tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
TABLES = (
    "customers",
    "consents",
    "customer_bank_accounts",
    "customer_contacts",
    "customer_identifiers",
    "customer_merges",
    "customer_references",
    "merge_suggestions",
)


def upgrade() -> None:
    """Make the tables; their references to `staff` follow in 0014, since that table is younger."""
    op.create_table(
        "customers",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(collation="C"), nullable=False),
        sa.Column("short_name", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("merged_into", sa.Uuid(), nullable=True),
        sa.Column("phone_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("phone_index", sa.LargeBinary(), nullable=True),
        sa.Column("phone_tail", sa.Text(), nullable=True),
        sa.Column("email_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("birthday", sa.Date(), nullable=True),
        sa.Column("developed_by", sa.Uuid(), nullable=True),
        sa.Column("developed_at_station", sa.Uuid(), nullable=True),
        sa.Column("flyer_code", sa.Text(), nullable=True),
        sa.Column("referrer_id", sa.Uuid(), nullable=True),
        sa.Column("first_load_minor", sa.BigInteger(), nullable=True),
        sa.Column("first_load_currency", sa.Text(), nullable=True),
        sa.Column("first_load_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "(status = 'merged') = (merged_into IS NOT NULL) AND merged_into <> customer_id", name=op.f("ck_customers_merged_into")
        ),
        sa.CheckConstraint("kind IN ('person', 'organisation')", name=op.f("ck_customers_kind")),
        sa.CheckConstraint("status IN ('active', 'merged', 'closed')", name=op.f("ck_customers_status")),
        sa.CheckConstraint(
            "(phone_sealed IS NULL) = (phone_index IS NULL) AND (phone_sealed IS NULL) = (phone_tail IS NULL)",
            name=op.f("ck_customers_phone"),
        ),
        sa.CheckConstraint("referrer_id <> customer_id", name=op.f("ck_customers_no_self_referral")),
        sa.ForeignKeyConstraint(["developed_at_station"], ["stations.station_id"], name=op.f("fk_customers_developed_at_station")),
        sa.ForeignKeyConstraint(["merged_into"], ["customers.customer_id"], name=op.f("fk_customers_merged_into")),
        sa.ForeignKeyConstraint(["referrer_id"], ["customers.customer_id"], name=op.f("fk_customers_referrer_id")),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customers")),
    )
    op.create_index(
        "ix_customers_merged_into", "customers", ["merged_into"], unique=False, postgresql_where=sa.text("merged_into IS NOT NULL")
    )
    op.create_index("ix_customers_name_key", "customers", ["name_key", "customer_id"], unique=False)
    op.create_index("ix_customers_created_at", "customers", ["created_at", "customer_id"], unique=False)
    op.create_index(
        "ix_customers_phone_index", "customers", ["phone_index"], unique=False, postgresql_where=sa.text("phone_index IS NOT NULL")
    )
    op.create_index(
        "ix_customers_referrer_id", "customers", ["referrer_id"], unique=False, postgresql_where=sa.text("referrer_id IS NOT NULL")
    )
    op.create_table(
        "consents",
        sa.Column("consent_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("declared_at", INSTANT, nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.customer_id"], name=op.f("fk_consents_customer_id")),
        sa.PrimaryKeyConstraint("consent_id", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_customer_id_purpose", "consents", ["customer_id", "purpose", "recipient", "declared_at"], unique=False)
    op.create_table(
        "customer_bank_accounts",
        sa.Column("bank_account_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("bank", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("account_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("account_index", sa.LargeBinary(), nullable=False),
        sa.Column("tail", sa.Text(), nullable=False),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.Column("removed_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.customer_id"], name=op.f("fk_customer_bank_accounts_customer_id")),
        sa.PrimaryKeyConstraint("bank_account_id", name=op.f("pk_customer_bank_accounts")),
    )
    op.create_index("ix_customer_bank_accounts_account_index", "customer_bank_accounts", ["account_index"], unique=False)
    op.create_index(
        "ux_customer_bank_accounts_living",
        "customer_bank_accounts",
        ["customer_id", "account_index"],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "customer_contacts",
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("phone_index", sa.LargeBinary(), nullable=True),
        sa.Column("phone_tail", sa.Text(), nullable=True),
        sa.Column("email_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("personal_benefits_agreed", sa.Text(), nullable=True),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.Column("removed_at", INSTANT, nullable=True),
        sa.CheckConstraint("role IN ('manager', 'finance', 'fleet', 'other')", name=op.f("ck_customer_contacts_role")),
        sa.CheckConstraint(
            "(phone_sealed IS NULL) = (phone_index IS NULL) AND (phone_sealed IS NULL) = (phone_tail IS NULL)",
            name=op.f("ck_customer_contacts_phone"),
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.customer_id"], name=op.f("fk_customer_contacts_customer_id")),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_customer_contacts")),
    )
    op.create_index(op.f("ix_customer_contacts_customer_id"), "customer_contacts", ["customer_id"], unique=False)
    op.create_index(
        "ix_customer_contacts_phone_index",
        "customer_contacts",
        ["phone_index"],
        unique=False,
        postgresql_where=sa.text("phone_index IS NOT NULL"),
    )
    op.create_table(
        "customer_identifiers",
        sa.Column("identifier_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("value_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("value_index", sa.LargeBinary(), nullable=False),
        sa.Column("tail", sa.Text(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("warnings", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.Column("verified_at", INSTANT, nullable=True),
        sa.Column("verified_by", sa.Uuid(), nullable=True),
        sa.Column("removed_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "type IN ('resident_id', 'passport', 'hk_macau_permit', 'taiwan_permit', 'foreign_residence', 'uscc', 'tax_number')",
            name=op.f("ck_customer_identifiers_type"),
        ),
        sa.CheckConstraint("(verified_at IS NULL) = (verified_by IS NULL)", name=op.f("ck_customer_identifiers_verified")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.customer_id"], name=op.f("fk_customer_identifiers_customer_id")),
        sa.PrimaryKeyConstraint("identifier_id", name=op.f("pk_customer_identifiers")),
    )
    op.create_index("ix_customer_identifiers_customer_id", "customer_identifiers", ["customer_id"], unique=False)
    op.create_index("ix_customer_identifiers_value_index", "customer_identifiers", ["value_index"], unique=False)
    op.create_index(
        "ux_customer_identifiers_verified",
        "customer_identifiers",
        ["type", "value_index"],
        unique=True,
        postgresql_where=sa.text("verified_at IS NOT NULL AND removed_at IS NULL"),
    )
    op.create_table(
        "customer_merges",
        sa.Column("merge_id", sa.Uuid(), nullable=False),
        sa.Column("kept_id", sa.Uuid(), nullable=False),
        sa.Column("merged_id", sa.Uuid(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("moved", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("merged_at", INSTANT, nullable=False),
        sa.Column("merged_by", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("undone_at", INSTANT, nullable=True),
        sa.Column("undone_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("basis IN ('verified_document', 'decision')", name=op.f("ck_customer_merges_basis")),
        sa.CheckConstraint("kept_id <> merged_id", name=op.f("ck_customer_merges_two")),
        sa.ForeignKeyConstraint(["kept_id"], ["customers.customer_id"], name=op.f("fk_customer_merges_kept_id")),
        sa.ForeignKeyConstraint(["merged_id"], ["customers.customer_id"], name=op.f("fk_customer_merges_merged_id")),
        sa.PrimaryKeyConstraint("merge_id", name=op.f("pk_customer_merges")),
    )
    op.create_index("ix_customer_merges_kept_id", "customer_merges", ["kept_id"], unique=False)
    op.create_index(
        "ux_customer_merges_standing", "customer_merges", ["merged_id"], unique=True, postgresql_where=sa.text("undone_at IS NULL")
    )
    op.create_table(
        "customer_references",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.customer_id"], name=op.f("fk_customer_references_customer_id")),
        sa.PrimaryKeyConstraint("source", "reference", name=op.f("pk_customer_references")),
    )
    op.create_index(op.f("ix_customer_references_customer_id"), "customer_references", ["customer_id"], unique=False)
    op.create_table(
        "merge_suggestions",
        sa.Column("suggestion_id", sa.Uuid(), nullable=False),
        sa.Column("first_id", sa.Uuid(), nullable=False),
        sa.Column("second_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("decided_at", INSTANT, nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "reason IN ('same_number', 'same_document_other_name', 'same_name_and_phone')", name=op.f("ck_merge_suggestions_reason")
        ),
        sa.CheckConstraint("status IN ('open', 'merged', 'dismissed')", name=op.f("ck_merge_suggestions_status")),
        sa.CheckConstraint("first_id < second_id", name=op.f("ck_merge_suggestions_ordered")),
        sa.ForeignKeyConstraint(["first_id"], ["customers.customer_id"], name=op.f("fk_merge_suggestions_first_id")),
        sa.ForeignKeyConstraint(["second_id"], ["customers.customer_id"], name=op.f("fk_merge_suggestions_second_id")),
        sa.PrimaryKeyConstraint("suggestion_id", name=op.f("pk_merge_suggestions")),
        sa.UniqueConstraint("first_id", "second_id", name=op.f("uq_merge_suggestions_first_id_second_id")),
    )
    op.create_index("ix_merge_suggestions_second_id", "merge_suggestions", ["second_id"], unique=False)


def downgrade() -> None:
    """Drop the tables."""
    for table in reversed(TABLES):
        op.drop_table(table)
