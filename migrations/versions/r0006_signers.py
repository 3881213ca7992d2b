"""Which moves of a pinned procedure two people must sign: so that the database itself refuses one, whoever writes the SQL."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crisis_engine.core.errors import DefinitionError
from crisis_engine.core.procedure import Procedure
from crisis_engine.store.trigger import install

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# FAIL, not ABORT: see r0001. `danger_ended` and a lowered risk have rules of their own there.
_TRIGGERS = (
    """
    CREATE TRIGGER crisis_event_move_by_two BEFORE INSERT ON crisis_event
    WHEN NEW.kind = 'moved' AND NOT NEW.two AND EXISTS (
        SELECT 1 FROM crisis_case c JOIN crisis_signed_move s ON s.procedure = c.procedure
        WHERE c.id = NEW.case_id AND s.move = json_extract(NEW.header, '$.move'))
    BEGIN SELECT RAISE(FAIL, 'crisis_event_two'); END
    """,
    """
    CREATE TRIGGER crisis_signed_move_never_deleted BEFORE DELETE ON crisis_signed_move
    BEGIN SELECT RAISE(ABORT, 'crisis_signed_move is append-only'); END
    """,
    """
    CREATE TRIGGER crisis_signed_move_never_updated BEFORE UPDATE ON crisis_signed_move
    BEGIN SELECT RAISE(ABORT, 'crisis_signed_move is append-only'); END
    """,
    # The procedure of a case is pinned: another one would ask for other signatures.
    """
    CREATE TRIGGER crisis_case_pinned BEFORE UPDATE OF procedure ON crisis_case WHEN NEW.procedure <> OLD.procedure
    BEGIN SELECT RAISE(ABORT, 'crisis_case is append-only'); END
    """,
)


def upgrade() -> None:
    op.create_table(
        "crisis_signed_move",
        sa.Column("procedure", sa.String(), nullable=False),
        sa.Column("move", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("procedure", "move"),
    )
    connection = op.get_bind()
    for digest, body in connection.execute(sa.text("SELECT hash, body FROM crisis_definition WHERE kind = 'procedure'")).all():
        for move in _signed(body):
            connection.execute(sa.text("INSERT INTO crisis_signed_move (procedure, move) VALUES (:procedure, :move)"),
                               {"procedure": digest, "move": move})
    install(connection, _TRIGGERS)


def downgrade() -> None:
    on_server = op.get_bind().dialect.name != "sqlite"
    for trigger, table in (("crisis_event_move_by_two", "crisis_event"), ("crisis_case_pinned", "crisis_case")):
        op.execute(sa.text(f"DROP TRIGGER IF EXISTS {trigger}{f' ON {table}' if on_server else ''}"))
    op.drop_table("crisis_signed_move")


def _signed(body: str) -> tuple[str, ...]:
    try:
        return Procedure.from_body(body).signed_moves
    except DefinitionError:   # the doctor names it; it must not keep a database from being opened
        return ()
