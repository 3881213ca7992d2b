"""Which databases are spoken to, and by what a room tells them apart: each has one room with these functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module, util
from typing import Any, Protocol, cast

from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from crisis_engine.core.errors import CrisisError, StoreError

BEGIN = "crisis_begin"
"""The execution option that says how a connection's transactions begin."""

_LOGIN = re.compile(r"([^:/@]+):(?!//).*@")   # to the last @: a password may hold one
_DRIVERS = {"sqlite": ("", "pysqlite"), "postgresql": ("", "psycopg")}
_ROOMS = {"sqlite": "crisis_engine.store.sqlite", "postgresql": "crisis_engine.store.postgres"}


class Dialect(Protocol):
    """What each database does in its own way. SQL is written once, as SQLite spells it; another one's room translates."""

    NAME: str
    ONE_WRITER: bool   # whether a second writer waits for the first one's commit, whatever they write
    READ: str          # how a transaction begins that only looks, …
    WRITE: str         # … that writes beside others, …
    ALONE: str         # … and that writes while nobody else does

    def check(self, url: URL, *, create: bool) -> None: ...  # noqa: D102 - the rooms say what each of these does
    def engine_for(self, url: URL, wait: float) -> Engine: ...  # noqa: D102
    def limit_cache(self, engine: Engine, megabytes: Callable[[], int]) -> None: ...  # noqa: D102
    def keep_journal(self, connection: Connection) -> None: ...  # noqa: D102
    def only_read(self, connection: Connection, *, only: bool) -> None: ...  # noqa: D102
    def undo(self, connection: Connection) -> None: ...  # noqa: D102
    def wipe_freed(self, connection: Connection, *, wipe: bool) -> None: ...  # noqa: D102
    def scrub(self, connection: Connection, *, whole: bool) -> None: ...  # noqa: D102
    def has_table(self, connection: Connection, name: str) -> bool: ...  # noqa: D102
    def holds_transaction(self, connection: Connection) -> bool: ...  # noqa: D102
    def fetch(self, connection: Connection, sql: str, binds: Mapping[str, object]) -> list[tuple[Any, ...]]: ...  # noqa: D102
    def fetch_bytes(self, connection: Connection, sql: str, binds: Mapping[str, object]) -> list[tuple[Any, ...]]: ...  # noqa: D102
    def stream(self, connection: Connection, sql: str, binds: Mapping[str, object]) -> Iterator[Any]: ...  # noqa: D102
    def run(self, connection: Connection, sql: str, binds: Mapping[str, object]) -> int: ...  # noqa: D102
    def run_many(self, connection: Connection, sql: str, rows: list[tuple[Any, ...]]) -> int: ...  # noqa: D102
    def now(self, connection: Connection) -> float: ...  # noqa: D102
    def translate(self, error: DBAPIError | Exception) -> CrisisError: ...  # noqa: D102


def parse(url: str) -> URL:
    """Return the parsed URL of a database that is known; StoreError for another. What it says never holds a password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError("This is no database URL.",
                         way_out='Write it such as "sqlite:///crisis.db" or "postgresql://user@host/crisis".') from None
    drivers = _DRIVERS.get(parsed.get_backend_name())
    try:
        known = drivers is not None and parsed.drivername.partition("+")[2] in drivers
    except ArgumentError:
        known = False
    if not known:
        raise StoreError(f"{parsed.drivername} databases are not known.", way_out='Write it such as "sqlite:///crisis.db" or "postgresql://user@host/crisis".')
    if parsed.get_backend_name() == "postgresql":
        if util.find_spec("psycopg") is None:
            raise StoreError("The driver for PostgreSQL is not installed.", way_out="Run `pip install 'crisis-engine[postgres]'`.")
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def masked(url: str) -> str:
    """Return a URL as it may be shown: three stars in the place of a password, in whichever part it stands, also where it is misspelled."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return url.partition("://")[0] + "://…" if "://" in url else _LOGIN.sub(r"\1:***@", url)
    hidden = {name: "***" for name in parsed.query if "pass" in name.lower()}
    shown = url if parsed.get_backend_name() == "sqlite" else parsed.update_query_dict(hidden).render_as_string(hide_password=True)
    return _LOGIN.sub(r"\1:***@", shown)


def dialect_named(name: str) -> Dialect:
    """Return the room of a database by SQLAlchemy's name of it; StoreError for one that is not known."""
    if name not in _ROOMS:
        raise StoreError(f"{name} databases are not known.", way_out='Write it such as "sqlite:///crisis.db" or "postgresql://user@host/crisis".')
    return cast("Dialect", import_module(_ROOMS[name]))   # PostgreSQL's driver costs 120 ms, which only its users pay


def dialect_of(connection: Connection) -> Dialect:
    """Return the room of the database on the other side of a connection."""
    return dialect_named(connection.dialect.name)


__all__ = ["BEGIN", "Dialect", "PoolTimeout", "dialect_named", "dialect_of", "masked", "parse"]
