"""Which schema a database has, read with plain SQL; Alembic is imported only when it has to be changed."""

from __future__ import annotations

import importlib.util
from importlib.resources import files
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection

from crisis_engine.core.errors import StoreError
from crisis_engine.store import sqlite

REVISIONS: tuple[str, ...] = ("0001", "0003", "0004", "0005", "0006", "0007")
"""All schema versions in their order; the last is the one that this code works on."""

_ALEMBIC = Lock()  # Alembic keeps its context in a module: one migration at a time in a process

HEAD = REVISIONS[-1]
VERSION_TABLE = "crisis_alembic_version"
"""Our own: a host's Alembic keeps its version elsewhere and never sees ours."""


def version_of(connection: Connection) -> str | None:
    """Return the schema version of the database; None when it has no tables of ours."""
    if not sqlite.has_table(connection, VERSION_TABLE):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM crisis_alembic_version").scalar()


def refuse_other(connection: Connection) -> None:
    """Raise StoreError unless the database has exactly the schema of this code."""
    version = version_of(connection)
    if version is None:
        raise StoreError("The database holds no cases of ours.", way_out="Run `crisis init`.")
    _refuse_newer(version)
    if version != HEAD:
        raise StoreError(f"The database has schema {version}, this version works on {HEAD}.",
                         way_out="Run `crisis init` to bring it up to date.")


def make_current(connection: Connection) -> None:
    """Afterwards the database has the schema of this code: made if there was none, migrated if it was older, refused if newer."""
    version = version_of(connection)
    connection.rollback()
    if version == HEAD:
        return
    if version is not None:
        _refuse_newer(version)
    sqlite.keep_journal(connection)
    connection.rollback()
    locked = connection.execution_options(**{sqlite.BEGIN: "BEGIN IMMEDIATE"})
    with _ALEMBIC, locked.begin():
        version = version_of(locked)  # another process may have done it while we waited
        if version is not None:
            _refuse_newer(version)
        if version != HEAD:
            _upgrade(locked)


def script_folder() -> Path:
    """Return the folder of the migrations: inside the package once installed, beside it in the clone."""
    if importlib.util.find_spec("crisis_engine.migrations") is not None:
        return Path(str(files("crisis_engine.migrations")))
    return Path(__file__).parents[2] / "migrations"


def _refuse_newer(version: str) -> None:
    if version not in REVISIONS:
        raise StoreError(f"The database has schema {version}, which is newer than the {HEAD} that this version knows.",
                         way_out="Use a newer crisis-engine.")


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 (290 ms that only a migration pays)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(script_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
