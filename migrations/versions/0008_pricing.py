"""The pricing room's tables."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the standing discount terms."""
    op.create_table(
        "discount_terms",
        sa.Column("term_id", sa.Uuid, primary_key=True),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("name_zh", sa.Text, nullable=False),
        sa.Column("name_en", sa.Text, nullable=False),
        sa.Column("card_product_id", sa.Uuid, sa.ForeignKey("card_products.product_id")),
        sa.Column("product_id", sa.Uuid, sa.ForeignKey("products.product_id")),
        sa.Column("station_id", sa.Uuid, sa.ForeignKey("stations.station_id")),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("rate_e4", sa.BigInteger, nullable=False),
        sa.Column("funder", sa.Text, nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True)),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("code", "revision", name="uq_discount_terms_code_revision"),
        sa.CheckConstraint("rate_e4 > 0", name="rate"),
        sa.CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="validity"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("discount_terms")
