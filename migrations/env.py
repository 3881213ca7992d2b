"""What Alembic runs: our own MetaData and version table, on the connection and in the transaction of the store that called it."""

from __future__ import annotations

from alembic import context

from crisis_engine.store.migrate import VERSION_TABLE
from crisis_engine.store.schema import metadata

connection = context.config.attributes["connection"]  # the store's, which begins and commits
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    include_name=lambda name, kind, _parents: kind != "table" or str(name).startswith("crisis_"),
)
context.run_migrations()
