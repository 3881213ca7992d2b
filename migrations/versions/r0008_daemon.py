"""Daemons on several machines: who lives, with which schema and definitions, and which periodic job was done by whom."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_heartbeat("crisis_heartbeat")
    op.execute(sa.text("INSERT INTO crisis_heartbeat (name, at) SELECT name, at FROM crisis_daemon"))
    op.drop_table("crisis_daemon")
    op.create_table(
        "crisis_daemon",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("definitions", sa.String(), nullable=False),
        sa.Column("definitions_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", sa.BigInteger(), nullable=False),
        sa.Column("round_at", sa.BigInteger(), nullable=True),
        sa.Column("success_at", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "crisis_job",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("daemon", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("job", "period"),
    )


def downgrade() -> None:
    op.drop_table("crisis_job")
    op.drop_table("crisis_daemon")
    _make_heartbeat("crisis_daemon")
    op.execute(sa.text("INSERT INTO crisis_daemon (name, at) SELECT name, at FROM crisis_heartbeat"))
    op.drop_table("crisis_heartbeat")


def _make_heartbeat(name: str) -> None:
    op.create_table(
        name,
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
