"""The one way in which every part of the store runs SQL: named binds, our own errors, nothing that begins or commits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from secrets import randbelow
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, PendingRollbackError

from crisis_engine.core.errors import StoreError
from crisis_engine.store.dialect import dialect_of

if TYPE_CHECKING:
    from crisis_engine.store.vault import Vault


AMONG = "IN (SELECT value FROM json_each(:{}))"
"""One bound value, `listed`, for any number of values. SQL is spelled as SQLite knows it; PostgreSQL's room says = ANY there."""


class Listed(str):
    """Many values as one bound text, and the values themselves for a database that knows arrays."""

    __slots__ = ("values",)
    values: list[Any]


def listed(values: Iterable[object]) -> Listed:
    """Return the bound value that stands for many values in AMONG."""
    many = list(values)
    bound = Listed(json.dumps(many))
    bound.values = many
    return bound


class Statements:
    """SQL on one connection that is inside a transaction; who made the connection begins and ends it."""

    def __init__(self, connection: Connection, vault: Vault, *, holds: bool = False) -> None:
        self.connection = connection
        self.vault = vault   # what opens sealed rows
        self._sql = dialect_of(connection)
        self._holds = holds and not self._sql.ONE_WRITER   # whether what a command decides by must be locked one by one

    @property
    def locks(self) -> bool:
        """Whether others write beside this transaction, so that it locks what it decides by."""
        return self._holds

    def _rows(self, sql: str, **binds: object) -> list[tuple[Any, ...]]:
        return self._sql.fetch(self.connection, sql, binds)

    def _row(self, sql: str, **binds: object) -> tuple[Any, ...] | None:
        rows = self._rows(sql, **binds)
        return rows[0] if rows else None

    def _value(self, sql: str, **binds: object) -> Any:  # noqa: ANN401 (the column says what it is)
        rows = self._rows(sql, **binds)
        return rows[0][0] if rows else None

    def _stream(self, sql: str, **binds: object) -> Iterator[Any]:
        """Yield rows as the database finds them: who stops early never pays for the rest."""
        return self._sql.stream(self.connection, sql, binds)

    def _run(self, sql: str, **binds: object) -> int:
        """Run one write and return how many rows it touched."""
        return self._sql.run(self.connection, sql, binds)

    def _bulk(self, sql: str, rows: list[tuple[Any, ...]]) -> int:
        """Run one write for many rows of values, past everything that costs time by the row; return how many rows it touched."""
        return self._sql.run_many(self.connection, sql, rows) if rows else 0

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All writes inside are done, or none of them: also for a host that catches our error and goes on."""
        try:
            if not (self.connection.in_transaction() and self._sql.holds_transaction(self.connection)):
                raise StoreError("The connection commits every statement by itself, so a case could be half written.",
                                 way_out="Begin a transaction on it first.")
            self.connection.exec_driver_sql("SAVEPOINT crisis_whole")
        except (DBAPIError, UnicodeEncodeError) as error:
            raise self._sql.translate(error) from error
        try:
            yield
        except BaseException:
            with suppress(DBAPIError, PendingRollbackError):  # a full disk or a lost connection has ended the whole transaction already
                self.connection.exec_driver_sql("ROLLBACK TO SAVEPOINT crisis_whole")
                self.connection.exec_driver_sql("RELEASE SAVEPOINT crisis_whole")
            raise
        try:
            self.connection.exec_driver_sql("RELEASE SAVEPOINT crisis_whole")
        except (DBAPIError, UnicodeEncodeError) as error:
            raise self._sql.translate(error) from error


def version_step() -> int:
    """Return by how much the next version of the roster or the calendar is greater: by chance.

    So what was rolled back is never taken for what came after it.
    """
    return 1 + randbelow(2**31)
