"""Partners (协作单位): of what sort a unit is, and what it agreed to, from when to when and for how many children."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "crisis_partner",
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("sort", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("unit"),
    )
    op.create_table(
        "crisis_agreement",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("partner", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("begins_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("ends_at > begins_at", name="crisis_agreement_term"),
        sa.CheckConstraint("capacity IS NULL OR capacity > 0", name="crisis_agreement_capacity"),
    )
    op.create_index("crisis_agreement_partner", "crisis_agreement", ["partner"])


def downgrade() -> None:
    op.drop_index("crisis_agreement_partner", table_name="crisis_agreement")
    op.drop_table("crisis_agreement")
    op.drop_table("crisis_partner")
