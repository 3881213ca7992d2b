"""The table of children who go to another unit on a day to come."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field

from crisis_engine.store.table import Row


class ChildMoveRow(Row, table=True):
    """Where a child is at home from a moment on; `done_at` once it is, or once something else came between."""

    __tablename__ = "crisis_child_move"
    __table_args__ = (
        Index("crisis_child_move_due", "at", sqlite_where=text("done_at IS NULL"), postgresql_where=text("done_at IS NULL")),
    )
    subject: str = Field(primary_key=True)
    unit: str
    at: int = Field(sa_type=BigInteger)
    by: str
    made_at: int = Field(sa_type=BigInteger)
    done_at: int | None = Field(default=None, sa_type=BigInteger)
