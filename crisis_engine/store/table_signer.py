"""The table of signatures: which moves of a pinned procedure two people must sign."""

from __future__ import annotations

from sqlmodel import Field

from crisis_engine.store.table import Row


class SignedMoveRow(Row, table=True):
    """A move that two people must sign, by the hash of its procedure: what the database needs to refuse one."""

    __tablename__ = "crisis_signed_move"

    procedure: str = Field(primary_key=True)
    move: str = Field(primary_key=True)
