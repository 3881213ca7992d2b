"""Attachments (附件): sealed files beside the log, written with their record, deleted only with what two people erased."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crisis_engine.store.trigger import install

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_TRIGGERS = (
    """
    CREATE TRIGGER crisis_attachment_with_record BEFORE INSERT ON crisis_attachment WHEN NOT EXISTS (SELECT 1 FROM crisis_event e
        WHERE e.case_id = NEW.case_id AND e.seq = NEW.seq AND e.at = NEW.at AND e.secret IS NOT NULL)
    BEGIN SELECT RAISE(ABORT, 'crisis_attachment is append-only'); END
    """,
    """
    CREATE TRIGGER crisis_attachment_never_replaced BEFORE INSERT ON crisis_attachment WHEN EXISTS (SELECT 1 FROM crisis_attachment a
        WHERE a.case_id = NEW.case_id AND a.seq = NEW.seq AND a.n = NEW.n)
    BEGIN SELECT RAISE(ABORT, 'crisis_attachment is append-only'); END
    """,
    """
    CREATE TRIGGER crisis_attachment_never_updated BEFORE UPDATE ON crisis_attachment
    BEGIN SELECT RAISE(ABORT, 'crisis_attachment is append-only'); END
    """,
    """
    CREATE TRIGGER crisis_attachment_never_deleted BEFORE DELETE ON crisis_attachment WHEN NOT EXISTS (SELECT 1 FROM crisis_erasure e
        JOIN crisis_case c ON c.number = e.ref
        WHERE e.kind = 'case' AND c.id = OLD.case_id AND e.confirmed_by IS NOT NULL AND OLD.at <= e.confirmed_at)
    BEGIN SELECT RAISE(ABORT, 'crisis_erasure_two'); END
    """,
    """
    CREATE TRIGGER crisis_attachment_held BEFORE DELETE ON crisis_attachment WHEN EXISTS (SELECT 1 FROM crisis_case c JOIN crisis_hold h
        ON (h.kind = 'case' AND h.ref = c.number) OR (h.kind = 'subject' AND h.ref = c.subject)
        WHERE c.id = OLD.case_id AND h.lifted_at IS NULL)
    BEGIN SELECT RAISE(ABORT, 'crisis_hold_active'); END
    """,
)


def upgrade() -> None:
    op.create_table(
        "crisis_attachment",
        sa.Column("case_id", _ID, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["crisis_case.id"]),
        sa.PrimaryKeyConstraint("case_id", "seq", "n"),
        sa.CheckConstraint("size > 0 AND size = length(content)", name="crisis_attachment_whole"),
    )
    install(op.get_bind(), _TRIGGERS)


def downgrade() -> None:
    op.drop_table("crisis_attachment")
