"""The proof over all chains: Merkle leaves and tiles, signed checkpoints, cosignatures, public keys. All of it only grows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crisis_engine.store.trigger import install

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_KEPT = ("crisis_leaf", "crisis_checkpoint", "crisis_cosignature", "crisis_verifier")


def _never(table: str, change: str) -> str:
    return (f"CREATE TRIGGER {table}_never_{change.lower()}d BEFORE {change} ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END")


_TRIGGERS = (
    *(_never(table, change) for table in _KEPT for change in ("UPDATE", "DELETE")),
    _never("crisis_tile", "DELETE"),
    """
    CREATE TRIGGER crisis_tile_only_grows BEFORE UPDATE ON crisis_tile
    WHEN NEW.level IS NOT OLD.level OR NEW.place IS NOT OLD.place
        OR length(NEW.hashes) < length(OLD.hashes) OR substr(NEW.hashes, 1, length(OLD.hashes)) IS NOT OLD.hashes
    BEGIN SELECT RAISE(ABORT, 'crisis_tile is append-only'); END
    """,
    # Leaves are counted without a gap, and nothing is put in the place of another (INSERT OR REPLACE).
    """
    CREATE TRIGGER crisis_leaf_in_turn BEFORE INSERT ON crisis_leaf
    WHEN NEW.place <> (SELECT coalesce(max(place) + 1, 0) FROM crisis_leaf)
    BEGIN SELECT RAISE(ABORT, 'crisis_leaf is append-only'); END
    """,
    """
    CREATE TRIGGER crisis_checkpoint_in_turn BEFORE INSERT ON crisis_checkpoint
    WHEN NEW.size <= (SELECT coalesce(max(size), 0) FROM crisis_checkpoint)
        OR NEW.size <> (SELECT coalesce(max(place) + 1, 0) FROM crisis_leaf)
    BEGIN SELECT RAISE(ABORT, 'crisis_checkpoint is append-only'); END
    """,
)


def upgrade() -> None:
    op.create_table(
        "crisis_leaf",
        sa.Column("place", _COUNT, autoincrement=False, nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("place >= 0 AND seq > 0 AND length(head) = 32", name="crisis_leaf_whole"),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_index("crisis_leaf_number", "crisis_leaf", ["number", "seq"], unique=True)
    op.create_table(
        "crisis_tile",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("place", _COUNT, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(hashes) % 32 = 0 AND length(hashes) BETWEEN 32 AND 8192", name="crisis_tile_whole"),
        sa.PrimaryKeyConstraint("level", "place"),
    )
    op.create_table(
        "crisis_checkpoint",
        sa.Column("size", _COUNT, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "crisis_cosignature",
        sa.Column("size", _COUNT, nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["size"], ["crisis_checkpoint.size"]),
        sa.PrimaryKeyConstraint("size", "key_id", "name"),
    )
    op.create_table(
        "crisis_verifier",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("duty", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("duty IN ('sealer', 'cosigner')", name="crisis_verifier_duty"),
        sa.PrimaryKeyConstraint("key"),
    )
    install(op.get_bind(), _TRIGGERS)


def downgrade() -> None:
    for table in ("crisis_verifier", "crisis_cosignature", "crisis_checkpoint", "crisis_tile", "crisis_leaf"):
        op.drop_table(table)
