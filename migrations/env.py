"""What Alembic runs: our own MetaData and version table, on the connection and in the transaction of the store that called it."""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlalchemy import String, Table, event

from crisis_engine.store.migrate import VERSION_TABLE
from crisis_engine.store.schema import metadata

connection = context.config.attributes["connection"]  # the store's, which begins and commits


def _compare_by_bytes(table: Table, _connection: object, **_more: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
    """Let every text of ours compare by its bytes, as SQLite does: a unit's id is a path, and a range of paths is a part of the tree."""
    for column in table.columns:
        if isinstance(column.type, String) and column.type.collation is None:
            column.type = type(column.type)(collation="C")


context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    include_name=lambda name, kind, _parents: kind != "table" or str(name).startswith("crisis_"),
)
if connection.dialect.name == "postgresql":
    event.listen(Table, "before_create", _compare_by_bytes)
try:
    context.run_migrations()
finally:
    if connection.dialect.name == "postgresql":
        event.remove(Table, "before_create", _compare_by_bytes)
