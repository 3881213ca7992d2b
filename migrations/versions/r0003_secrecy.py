"""Secrecy at rest and forgetting: data keys, sealed columns, blind indexes, erasures, holds; plain rows stay readable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from crisis_engine.store.trigger import install

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None

_CHUNK = 10_000  # rows in memory at once
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


# What is under a legal hold: a case by itself or by its child, a child by itself or by one of its cases.
_HELD = """EXISTS (SELECT 1 FROM crisis_hold h WHERE h.lifted_at IS NULL AND (
        (h.kind = {0}.kind AND h.ref = {0}.ref)
        OR ({0}.kind = 'case' AND h.kind = 'subject' AND h.ref = (SELECT c.subject FROM crisis_case c WHERE c.number = {0}.ref))
        OR ({0}.kind = 'subject' AND h.kind = 'case' AND h.ref IN (SELECT c.number FROM crisis_case c WHERE c.subject = {0}.ref))))"""
_AGREED = "EXISTS (SELECT 1 FROM crisis_erasure e WHERE e.kind = {0} AND e.ref = {1} AND e.confirmed_by IS NOT NULL)"

# The constraint of two signers and these together: nothing is erased by one person, nothing under hold, whoever writes the SQL.
_TRIGGERS = (
    """
    CREATE TRIGGER crisis_data_key_kept BEFORE DELETE ON crisis_data_key WHEN OLD.kind IN ('staff', 'index')
    BEGIN SELECT RAISE(ABORT, 'crisis_data_key is append-only'); END
    """,
    f"""
    CREATE TRIGGER crisis_data_key_two BEFORE DELETE ON crisis_data_key
    WHEN OLD.kind IN ('case', 'subject') AND NOT {_AGREED.format("OLD.kind", "OLD.ref")}
    BEGIN SELECT RAISE(ABORT, 'crisis_erasure_two'); END
    """,
    f"""
    CREATE TRIGGER crisis_data_key_held BEFORE DELETE ON crisis_data_key WHEN {_HELD.format("OLD")}
    BEGIN SELECT RAISE(ABORT, 'crisis_hold_active'); END
    """,
    f"""
    CREATE TRIGGER crisis_erasure_held BEFORE UPDATE OF confirmed_by ON crisis_erasure WHEN {_HELD.format("NEW")}
    BEGIN SELECT RAISE(ABORT, 'crisis_hold_active'); END
    """,
    f"""
    CREATE TRIGGER crisis_erasure_held_at_once BEFORE INSERT ON crisis_erasure WHEN NEW.confirmed_by IS NOT NULL AND {_HELD.format("NEW")}
    BEGIN SELECT RAISE(ABORT, 'crisis_hold_active'); END
    """,
    """
    CREATE TRIGGER crisis_erasure_kept BEFORE UPDATE ON crisis_erasure WHEN OLD.confirmed_by IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'crisis_erasure is append-only'); END
    """,
    """
    CREATE TRIGGER crisis_erasure_never_deleted BEFORE DELETE ON crisis_erasure WHEN OLD.confirmed_by IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'crisis_erasure is append-only'); END
    """,
    f"""
    CREATE TRIGGER crisis_subject_two BEFORE DELETE ON crisis_subject WHEN NOT {_AGREED.format("'subject'", "OLD.id")}
    BEGIN SELECT RAISE(ABORT, 'crisis_erasure_two'); END
    """,
    """
    CREATE TRIGGER crisis_receipt_held BEFORE DELETE ON crisis_receipt WHEN EXISTS (SELECT 1 FROM crisis_case c JOIN crisis_hold h
        ON (h.kind = 'case' AND h.ref = c.number) OR (h.kind = 'subject' AND h.ref = c.subject)
        WHERE c.id = OLD.case_id AND h.lifted_at IS NULL)
    BEGIN SELECT RAISE(ABORT, 'crisis_hold_active'); END
    """,
    """
    CREATE TRIGGER crisis_hold_kept BEFORE UPDATE ON crisis_hold WHEN OLD.lifted_at IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'crisis_hold is append-only'); END
    """,
    """
    CREATE TRIGGER crisis_hold_never_deleted BEFORE DELETE ON crisis_hold
    BEGIN SELECT RAISE(ABORT, 'crisis_hold is append-only'); END
    """,
)


def upgrade() -> None:
    _data_key()
    _key_log()
    _erasure()
    _hold()
    _in_place_of("crisis_person", ("crisis_person_name",), _person, ("id",), ("name", "contact"))
    _in_place_of("crisis_subject", ("crisis_subject_unit",), _subject, ("id", "unit"), ("ref", "name"), {"ref_index": "ref"})
    _in_place_of("crisis_guardian", ("crisis_guardian_subject",), _guardian, ("id",), ("name", "contact"), {"subject": "subject"})
    _in_place_of("crisis_receipt", (), _receipt, ("token", "case_id", "made_at"), ("reporter",))
    install(op.get_bind(), _TRIGGERS)


def downgrade() -> None:
    msg = "What was sealed is not written in plain again: restore the backup from before."
    raise NotImplementedError(msg)


def _in_place_of(
    table: str, indexes: Sequence[str], make: Callable[[], None], kept: Sequence[str], secret: Sequence[str],
    indexed: dict[str, str] | None = None,
) -> None:
    """Make a table anew and move its rows: secrets become envelopes of algorithm 0, refs become indexes of that kind."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":   # what wrote in plain knew SQLite alone, so there is nothing to move
        op.drop_table(table)
        make()
        return
    indexed = indexed or {}
    old = f"{table}_in_plain"
    op.rename_table(table, old)
    for index in indexes:
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {index}")
    make()
    read = [*kept, *secret, *indexed.values()]
    written = [*kept, *secret, *indexed]
    values = ", ".join(f":{name}" for name in written)
    insert = sa.text(f"INSERT INTO {table} ({', '.join(written)}) VALUES ({values})")  # noqa: S608 (constants of this file)
    rows = connection.execute(sa.text(f"SELECT {', '.join(read)} FROM {old}"))  # noqa: S608 (likewise)
    for chunk in rows.partitions(_CHUNK):
        connection.execute(insert, [
            {name: _envelope(value) if name in secret else f"0:{value}" if name in indexed else value
             for name, value in zip(written, row, strict=True)} for row in chunk
        ])
    rows.close()
    op.drop_table(old)


def _envelope(text: str) -> bytes:
    return b"\0" + text.encode() if text else b""


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _data_key() -> None:
    op.create_table(
        "crisis_data_key",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("master", sa.String(), nullable=False),
        sa.Column("algorithm", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('case', 'subject', 'staff', 'index')", name="crisis_data_key_kind"),
        sa.PrimaryKeyConstraint("kind", "ref"),
    )


def _key_log() -> None:
    op.create_table(
        "crisis_key_log",
        sa.Column("id", _ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("master", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _erasure() -> None:
    op.create_table(
        "crisis_erasure",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=True),
        sa.Column("because", sa.LargeBinary(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('case', 'subject', 'receipts', 'reads')", name="crisis_erasure_kind"),
        sa.CheckConstraint(
            "proposed_by <> '' AND (confirmed_by IS NULL) = (confirmed_at IS NULL)"
            " AND (confirmed_by IS NULL OR (confirmed_by <> '' AND confirmed_by <> proposed_by))",
            name="crisis_erasure_two",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("crisis_erasure_open", "crisis_erasure", ["kind", "ref"], unique=True, **_where("confirmed_at IS NULL"))
    op.create_index("crisis_erasure_done", "crisis_erasure", ["kind", "ref"], **_where("confirmed_at IS NOT NULL"))


def _hold() -> None:
    op.create_table(
        "crisis_hold",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("because", sa.LargeBinary(), nullable=False),
        sa.Column("placed_by", sa.String(), nullable=False),
        sa.Column("placed_at", sa.BigInteger(), nullable=False),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('case', 'subject')", name="crisis_hold_kind"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("crisis_hold_active", "crisis_hold", ["kind", "ref"], unique=True, **_where("lifted_at IS NULL"))


def _person() -> None:
    op.create_table(
        "crisis_person",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("contact", sa.LargeBinary(), nullable=False),
        sa.Column("name_index", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("crisis_person_name", "crisis_person", ["name_index"], **_where("name_index IS NOT NULL"))


def _subject() -> None:
    op.create_table(
        "crisis_subject",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("ref", sa.LargeBinary(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("ref_index", sa.String(), nullable=False),
        sa.Column("name_index", sa.Integer(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("ref_index", name="crisis_subject_ref"),
    )
    op.create_index("crisis_subject_unit", "crisis_subject", ["unit"])
    op.create_index("crisis_subject_name", "crisis_subject", ["name_index"], **_where("name_index IS NOT NULL"))


def _guardian() -> None:
    op.create_table(
        "crisis_guardian",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("contact", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("crisis_guardian_subject", "crisis_guardian", ["subject"])


def _receipt() -> None:
    op.create_table(
        "crisis_receipt",
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("case_id", _ID, nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("reporter", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["crisis_case.id"]),
        sa.PrimaryKeyConstraint("token"),
    )
