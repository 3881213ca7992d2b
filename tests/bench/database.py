"""The databases that are measured: how one is named, copied, filled in bulk and dropped, on SQLite files and on a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import make_url

TABLES = ("crisis_case", "crisis_deadline", "crisis_event")
"""What a city's cases consist of."""

Rows = Iterable[Sequence[Any]]


class Session(ABC):
    """One plain connection of a driver, past our store."""

    @abstractmethod
    def table(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return the columns and the rows of a query without parameters."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query without parameters."""
        return self.table(query)[1]

    @abstractmethod
    def insert(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Write many rows, as fast as the driver can."""

    @abstractmethod
    def bare(self) -> list[str]:
        """Drop the indexes and silence the triggers of TABLES; return what makes them again."""

    @abstractmethod
    def restore(self, statements: Sequence[str]) -> None:
        """Make the indexes and triggers again, and let the counters of rows go on where the rows end."""


class Database(ABC):
    """A kind of database, and where those of a run lie."""

    name: str

    @abstractmethod
    def url(self, base: str) -> str:
        """Return the URL of the database of that name, as our engine takes it."""

    @abstractmethod
    def exists(self, base: str) -> bool:
        """Whether there is a database of that name."""

    @abstractmethod
    def make(self, base: str) -> None:
        """Afterwards there is an empty database of that name."""

    @abstractmethod
    def copy(self, source: str, base: str) -> None:
        """Afterwards there is a copy of `source`, and the disk is at rest."""

    @abstractmethod
    def drop(self, base: str) -> None:
        """Afterwards there is no database of that name."""

    @abstractmethod
    def session(self, base: str, *, fill: bool = False) -> Any:  # noqa: ANN401 - a context manager; ABC and Generator do not agree
        """Give a Session; with `fill` one that may lose everything in a crash, committed at its end."""

    @abstractmethod
    def settle(self, base: str) -> None:
        """Afterwards a database is as one that has lived for a while: it has statistics, and its pages are in the file."""

    @contextmanager
    def copied(self, source: str, base: str) -> Iterator[str]:
        """Give the URL of a copy that ends with the block."""
        self.copy(source, base)
        try:
            yield self.url(base)
        finally:
            self.drop(base)


@dataclass(frozen=True)
class Sqlite(Database):
    """Files in one folder."""

    folder: Path
    name: str = "sqlite"

    def path(self, base: str) -> Path:
        """Return the file of a database."""
        return self.folder / f"{base}.db"

    def url(self, base: str) -> str:
        return f"sqlite:///{self.path(base)}"

    def exists(self, base: str) -> bool:
        return self.path(base).exists()

    def make(self, base: str) -> None:
        self.drop(base)

    def copy(self, source: str, base: str) -> None:
        self.drop(base)
        shutil.copy(self.path(source), self.path(base))
        os.sync()   # the copy's pages must not be written back while a sweep waits for its own

    def drop(self, base: str) -> None:
        for end in ("", "-wal", "-shm"):
            Path(f"{self.path(base)}{end}").unlink(missing_ok=True)

    @contextmanager
    def session(self, base: str, *, fill: bool = False) -> Iterator[_SqliteSession]:
        with closing(sqlite3.connect(self.path(base), isolation_level=None)) as connection:
            if not fill:
                yield _SqliteSession(connection)
                return
            for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("BEGIN")
            yield _SqliteSession(connection)
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")

    def settle(self, base: str) -> None:
        with closing(sqlite3.connect(self.path(base))) as connection:
            connection.execute("ANALYZE")
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@dataclass(frozen=True)
class _SqliteSession(Session):
    raw: sqlite3.Connection

    def table(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        cursor = self.raw.execute(query)
        return [column[0] for column in cursor.description], cursor.fetchall()

    def insert(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
        alone = not self.raw.in_transaction
        if alone:
            self.raw.execute("BEGIN IMMEDIATE")
        self.raw.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608 - our own names
        if alone:
            self.raw.execute("COMMIT")

    def bare(self) -> list[str]:
        found = self.rows("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL")
        found = [row for row in found if row[2] in TABLES]
        for kind, name, *_rest in found:
            self.raw.execute(f"DROP {kind} {name}")
        return [row[3] for row in found]

    def restore(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self.raw.execute(statement)


@dataclass(frozen=True)
class Postgres(Database):
    """Databases of one server, whose URL may make and drop them."""

    server: str
    name: str = "postgresql"

    def _plain(self, base: str | None = None) -> str:
        url = make_url(self.server).set(drivername="postgresql")
        return (url.set(database=base) if base else url).render_as_string(hide_password=False)

    @contextmanager
    def _server(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self._plain(), autocommit=True) as connection:
            yield connection

    def url(self, base: str) -> str:
        return make_url(self.server).set(drivername="postgresql+psycopg", database=base).render_as_string(hide_password=False)

    def exists(self, base: str) -> bool:
        with self._server() as server:
            return server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (base,)).fetchone() is not None

    def make(self, base: str) -> None:
        self.drop(base)
        with self._server() as server:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(base)))

    def copy(self, source: str, base: str) -> None:
        self.drop(base)
        with self._server() as server:
            order = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")   # with a checkpoint before and after
            server.execute(order.format(sql.Identifier(base), sql.Identifier(source)))
        os.sync()

    def drop(self, base: str) -> None:
        with self._server() as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(base)))

    @contextmanager
    def session(self, base: str, *, fill: bool = False) -> Iterator[_PostgresSession]:
        with psycopg.connect(self._plain(base), autocommit=True) as connection:
            if not fill:
                yield _PostgresSession(connection)
                return
            connection.execute("SET session_replication_role = replica")   # no trigger, no foreign key: the rows are known to be right
            connection.execute("SET maintenance_work_mem = '512MB'")
            with connection.transaction():
                yield _PostgresSession(connection)

    def settle(self, base: str) -> None:
        with psycopg.connect(self._plain(base), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")


@dataclass(frozen=True)
class _PostgresSession(Session):
    raw: psycopg.Connection

    def table(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        cursor = self.raw.execute(query.encode())
        return [column.name for column in cursor.description or ()], cursor.fetchall()

    def insert(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        order = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)))
        with self.raw.cursor() as cursor, cursor.copy(order) as copy:
            for row in rows:
                copy.write_row(row)

    def bare(self) -> list[str]:
        found = self.raw.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND schemaname = current_schema()"
            " AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname)", (list(TABLES),),
        ).fetchall()
        for name, _text in found:
            self.raw.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        return [text for _name, text in found]

    def restore(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self.raw.execute(statement.encode())
        for table in TABLES:
            counter = self.raw.execute("SELECT pg_get_serial_sequence(%s, 'id')", (table,)).fetchone()
            if counter is not None and counter[0] is not None:
                self.raw.execute(sql.SQL("SELECT setval(%s, (SELECT coalesce(max(id), 1) FROM {}))").format(sql.Identifier(table)), counter)
