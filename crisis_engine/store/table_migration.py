"""The table of migrations: what one operator proposed for the open cases of a procedure, and who else confirmed it."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint
from sqlmodel import Field

from crisis_engine.store.table import Row


class MigrationRow(Row, table=True):
    """One migration. `pairs` is JSON: from the hash of each old procedure to that of the new one."""

    __tablename__ = "crisis_migration"
    __table_args__ = (CheckConstraint("confirmed_by IS NULL OR confirmed_by <> proposed_by", name="crisis_migration_two"),)
    id: str = Field(primary_key=True)
    origin: str
    target: str
    pairs: str
    proposed_by: str
    proposed_at: int = Field(sa_type=BigInteger)
    confirmed_by: str | None = None
    confirmed_at: int | None = Field(default=None, sa_type=BigInteger)
    reverts: str | None = None
