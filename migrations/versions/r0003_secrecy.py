"""Secrecy at rest: data keys, sealed columns of roster and receipts, blind indexes; plain rows stay readable until they are sealed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _data_key()
    _key_log()
    _in_place_of("crisis_person", ("crisis_person_name",), _person, ("id",), ("name", "contact"))
    _in_place_of("crisis_subject", ("crisis_subject_unit",), _subject, ("id", "unit"), ("ref", "name"), {"ref_index": "ref"})
    _in_place_of("crisis_guardian", ("crisis_guardian_subject",), _guardian, ("id",), ("name", "contact"), {"subject": "subject"})
    _in_place_of("crisis_receipt", (), _receipt, ("token", "case_id", "made_at"), ("reporter",))


def downgrade() -> None:
    msg = "What was sealed is not written in plain again: restore the backup from before."
    raise NotImplementedError(msg)


def _in_place_of(
    table: str, indexes: Sequence[str], make: Callable[[], None], kept: Sequence[str], secret: Sequence[str],
    indexed: dict[str, str] | None = None,
) -> None:
    """Make a table anew and move its rows: secrets become envelopes of algorithm 0, refs become indexes of that kind."""
    connection = op.get_bind()
    indexed = indexed or {}
    old = f"{table}_in_plain"
    op.rename_table(table, old)
    for index in indexes:
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {index}")
    make()
    read = [*kept, *secret, *indexed.values()]
    rows = connection.execute(sa.text(f"SELECT {', '.join(read)} FROM {old}")).all()  # noqa: S608 (constants of this file)
    written = [*kept, *secret, *indexed]
    binds = [
        {name: _envelope(value) if name in secret else f"0:{value}" if name in indexed else value
         for name, value in zip(written, row, strict=True)} for row in rows
    ]
    if binds:
        values = ", ".join(f":{name}" for name in written)
        connection.execute(sa.text(f"INSERT INTO {table} ({', '.join(written)}) VALUES ({values})"), binds)  # noqa: S608
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
