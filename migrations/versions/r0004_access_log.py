"""The read log says how secret a thing was shown and under which emergency reading; nobody changes or takes out an entry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crisis_engine.store.trigger import install

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# `why` alone may be sealed or shredded; who read what, how secret and when stays until its term is over and two people erase what is older.
# An entry is found again by its number or its reader.
_TRIGGERS = (
    """
    CREATE TRIGGER crisis_access_log_kept BEFORE UPDATE OF id, who, what, number, at, tier, glass ON crisis_access_log
    BEGIN SELECT RAISE(ABORT, 'crisis_access_log is append-only'); END
    """,
    """
    CREATE TRIGGER crisis_access_log_never_deleted BEFORE DELETE ON crisis_access_log WHEN NOT EXISTS (SELECT 1 FROM crisis_erasure e
        WHERE e.kind = 'reads' AND e.confirmed_by IS NOT NULL AND OLD.at < CAST(e.ref AS INTEGER))
    BEGIN SELECT RAISE(ABORT, 'crisis_access_log is append-only'); END
    """,
    """
    CREATE TRIGGER crisis_access_log_never_replaced BEFORE INSERT ON crisis_access_log
    WHEN NEW.id IN (SELECT id FROM crisis_access_log)
    BEGIN SELECT RAISE(ABORT, 'crisis_access_log is append-only'); END
    """,
)


def upgrade() -> None:
    """Make the table anew with its two columns: what earlier versions wrote into it, if a host did, comes along at tier 0."""
    connection = op.get_bind()
    moves = connection.dialect.name == "sqlite"   # what wrote the old table knew no other database
    if moves:
        op.rename_table("crisis_access_log", "crisis_access_log_old")
        op.drop_index("crisis_access_log_number", "crisis_access_log_old")
    else:
        op.drop_table("crisis_access_log")
    op.create_table(
        "crisis_access_log",
        sa.Column("id", _ID, nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.LargeBinary(), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("glass", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    if moves:
        op.execute(
            "INSERT INTO crisis_access_log (id, who, what, number, at, why, tier, glass)"
            " SELECT id, who, what, number, at, CASE WHEN why = '' THEN x'' ELSE CAST(x'00' || why AS BLOB) END, 0, 0"
            " FROM crisis_access_log_old"
        )
        op.drop_table("crisis_access_log_old")
    op.create_index("crisis_access_log_number", "crisis_access_log", ["number", "at"])
    op.create_index("crisis_access_log_who", "crisis_access_log", ["who", "at"])
    install(connection, _TRIGGERS)
