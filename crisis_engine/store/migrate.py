"""Which schema a database has, read with plain SQL; Alembic is imported only when it has to be changed."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection

from crisis_engine.core.errors import StoreError
from crisis_engine.store.dialect import dialect_of

REVISIONS: tuple[str, ...] = ("0001", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012", "0014")
"""All schema versions in their order; the last is the one that this code works on."""

_ALEMBIC = Lock()  # Alembic keeps its context in a module: one migration at a time in a process

HEAD = REVISIONS[-1]
VERSION_TABLE = "crisis_alembic_version"
"""Our own: a host's Alembic keeps its version elsewhere and never sees ours."""


def version_of(connection: Connection) -> str | None:
    """Return the schema version of the database; None when it has no tables of ours."""
    sql = dialect_of(connection)
    if not sql.has_table(connection, VERSION_TABLE):
        return None
    rows = sql.fetch(connection, "SELECT version_num FROM crisis_alembic_version", {})
    return str(rows[0][0]) if rows else None


def is_current(connection: Connection) -> bool:
    """Whether the database has the schema of this code; StoreError where it has a newer one."""
    version = version_of(connection)
    if version is not None:
        _refuse_newer(version)
    return version == HEAD


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
    """Afterwards the database has the schema of this code: made if there was none, migrated if it was older, refused if newer.

    Inside a transaction that writes alone: whoever did it while we waited was first, and nobody writes meanwhile.
    """
    with _ALEMBIC:
        if not is_current(connection):
            _upgrade(connection)


def script_folder() -> Path:
    """Return the folder of the migrations: beside the package in a clone, inside it once installed."""
    clone = Path(__file__).parents[2]
    if (clone / "migrations" / "env.py").exists() and (clone / "pyproject.toml").exists():
        return clone / "migrations"   # also where another clone is installed: schema and code belong together
    return Path(str(files("crisis_engine.migrations")))


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
