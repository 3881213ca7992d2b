"""Messages are made from notices for one person each, claimed by a lease with a fence; digests go out once a period and person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "crisis_digest",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("shared_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('daily', 'weekly')", name="crisis_digest_kind"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "period", "person", name="crisis_digest_once"),
    )
    _where("crisis_digest_waiting", "crisis_digest", "id", "shared_at IS NULL")
    op.create_table(
        "crisis_message",
        sa.Column("id", _ID, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("digest_id", _ID, nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("unsure", sa.Boolean(), nullable=False),
        sa.Column("passed_on", sa.Boolean(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("status IN ('waiting', 'sent', 'dead', 'dropped')", name="crisis_message_status"),
        sa.ForeignKeyConstraint(["digest_id"], ["crisis_digest.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", "channel", name="crisis_message_key"),
    )
    _where("crisis_message_waiting", "crisis_message", "urgent, next_try_at", "status = 'waiting'")
    _where("crisis_message_dead", "crisis_message", "id", "status = 'dead'")
    op.create_index("crisis_message_person", "crisis_message", ["person", "channel", "made_at"])
    op.create_table(
        "crisis_message_notice",
        sa.Column("message_id", _ID, nullable=False),
        sa.Column("notice_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["crisis_message.id"]),
        sa.ForeignKeyConstraint(["notice_id"], ["crisis_notice.id"]),
        sa.PrimaryKeyConstraint("message_id", "notice_id"),
    )
    op.create_index("crisis_message_notice_notice", "crisis_message_notice", ["notice_id"])


def downgrade() -> None:
    for table in ("crisis_message_notice", "crisis_message", "crisis_digest"):
        op.drop_table(table)


def _where(name: str, table: str, columns: str, where: str) -> None:
    op.create_index(name, table, columns.split(", "), sqlite_where=sa.text(where), postgresql_where=sa.text(where))
