"""Supervision by rules (督导): zero reports (零报告) as acts, and which order a rule opened about what; both are only ever added to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crisis_engine.store.trigger import install

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLES = ("crisis_zero_report", "crisis_occasion")
_KEPT = tuple(
    f"""
    CREATE TRIGGER {table}_never_{change} BEFORE {event} ON {table}
    BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
    """
    for table in _TABLES for change, event in (("deleted", "DELETE"), ("changed", "UPDATE"))
)


def upgrade() -> None:
    op.create_table(
        "crisis_zero_report",
        sa.Column("id", _ID, nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("crisis_zero_report_month", "crisis_zero_report", ["unit", "month"])
    op.create_table(
        "crisis_occasion",
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("rule", "unit", "since"),
    )
    install(op.get_bind(), _KEPT)


def downgrade() -> None:
    on_server = op.get_bind().dialect.name != "sqlite"
    op.drop_table("crisis_occasion")
    op.drop_table("crisis_zero_report")
    for table in _TABLES if on_server else ():
        for change in ("deleted", "changed", "emptied"):
            op.execute(sa.text(f"DROP FUNCTION IF EXISTS {table}_never_{change}()"))
