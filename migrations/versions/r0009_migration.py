"""Changing a case's procedure under its feet: only by an event that two people signed, in the same transaction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crisis_engine.store.trigger import install

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_PINNED = """
    CREATE TRIGGER crisis_case_pinned BEFORE UPDATE OF procedure ON crisis_case WHEN NEW.procedure <> OLD.procedure
    BEGIN SELECT RAISE(ABORT, 'crisis_case is append-only'); END
"""
# The event is written before the row: it is newer than what the row knows, so no event of an earlier time will do.
_MIGRATES = """
    CREATE TRIGGER crisis_case_pinned BEFORE UPDATE OF procedure ON crisis_case WHEN NEW.procedure <> OLD.procedure AND NOT EXISTS (
        SELECT 1 FROM crisis_event e WHERE e.case_id = OLD.id AND e.seq > OLD.version AND e.kind = 'migrated' AND e.two
        AND json_extract(e.header, '$.origin') = OLD.procedure AND json_extract(e.header, '$.procedure') = NEW.procedure)
    BEGIN SELECT RAISE(ABORT, 'crisis_case is append-only'); END
"""
_BY_TWO = """
    CREATE TRIGGER crisis_event_migrated_by_two BEFORE INSERT ON crisis_event WHEN NEW.kind = 'migrated' AND NOT NEW.two
    BEGIN SELECT RAISE(FAIL, 'crisis_event_two'); END
"""
_KEPT = tuple(
    f"""
    CREATE TRIGGER crisis_migration_never_{change} BEFORE {event} ON crisis_migration{when}
    BEGIN SELECT RAISE(ABORT, 'crisis_migration is append-only'); END
    """
    for change, event, when in (("deleted", "DELETE", ""), ("unsigned", "UPDATE", " WHEN OLD.confirmed_by IS NOT NULL"))
)


def upgrade() -> None:
    op.create_table(
        "crisis_migration",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("pairs", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("reverts", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("confirmed_by IS NULL OR confirmed_by <> proposed_by", name="crisis_migration_two"),
    )
    _drop("crisis_case_pinned", "crisis_case")
    install(op.get_bind(), (_MIGRATES, _BY_TWO, *_KEPT))


def downgrade() -> None:
    _drop("crisis_case_pinned", "crisis_case")
    _drop("crisis_event_migrated_by_two", "crisis_event")
    install(op.get_bind(), (_PINNED,))
    op.drop_table("crisis_migration")


def _drop(trigger: str, table: str) -> None:
    on_server = op.get_bind().dialect.name != "sqlite"
    op.execute(sa.text(f"DROP TRIGGER IF EXISTS {trigger}{f' ON {table}' if on_server else ''}"))
    if on_server:
        op.execute(sa.text(f"DROP FUNCTION IF EXISTS {trigger}()"))
