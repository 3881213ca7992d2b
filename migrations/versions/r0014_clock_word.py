"""Who said that a machine's clock is right: by that word alarms fire that nobody can take back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crisis_engine.store.trigger import install

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEPT = tuple(
    f"""
    CREATE TRIGGER crisis_clock_word_never_{change} BEFORE {event} ON crisis_clock_word
    BEGIN SELECT RAISE(ABORT, 'crisis_clock_word is append-only'); END
    """
    for change, event in (("deleted", "DELETE"), ("updated", "UPDATE"))
)


def upgrade() -> None:
    op.create_table(
        "crisis_clock_word",
        sa.Column("id", _ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    install(op.get_bind(), _KEPT)


def downgrade() -> None:
    op.drop_table("crisis_clock_word")
