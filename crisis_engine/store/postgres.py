"""PostgreSQL alone: how connections are made and begin, how our SQL is spelled for it, and what is said to its driver."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import count
from typing import Any, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from crisis_engine.core.errors import CrisisError
from crisis_engine.store import postgres_bulk as bulk
from crisis_engine.store.dialect import BEGIN
from crisis_engine.store.hold import GATE
from crisis_engine.store.postgres_error import lost, translate
from crisis_engine.store.statement import Listed

NAME = "postgresql"
ONE_WRITER = False

READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# READ COMMITTED: each question is asked after the locks before it were had, so that it sees what their last holder wrote.
WRITE = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock_shared({GATE})"
ALONE = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({GATE})"

CHANNEL = "crisis_due"
"""What is called when the nearest deadline of all came nearer; who sleeps until the next one listens to it."""

_CONNECT: Mapping[str, object] = {
    "connect_timeout": 10, "keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 30_000,   # ms until a peer that does not answer what was sent is given up: half-open connections
    "application_name": "crisis_engine",
}
_LONGEST_STATEMENT, _LONGEST_SILENCE = 600_000, 300_000   # ms: a proof reads for minutes; whoever holds locks must not sleep on them
_SETTINGS = (
    "SET lock_timeout = {wait}; SET statement_timeout = {statement}; SET idle_in_transaction_session_timeout = {silence};"
    " SET client_encoding = 'UTF8'; SET timezone = 'UTC'; SET bytea_output = 'hex'; SET standard_conforming_strings = on;"
    # A server that acknowledges before it has written would lose acknowledged commands.
    " SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)

_AMONG = re.compile(r"IN \(SELECT value FROM json_each\(:(\w+)\)\)")
_FIELD = re.compile(r"json_extract\(([\w.]+), '\$\.([\w.]+)'\)")
_TOKEN = re.compile(r"('(?:[^']|'')*')|(::)|:([A-Za-z_]\w*)|(%)")
_names = count(1)


def check(url: URL, *, create: bool) -> None:
    """Look for nothing: the server itself says whether there is such a database."""


def engine_for(url: URL, wait: float) -> Engine:
    """Return an engine whose transactions begin as the execution option BEGIN says and wait so many seconds for a lock."""
    given = {name: value for name, value in _CONNECT.items() if name not in url.query}
    engine = create_engine(url, hide_parameters=True, connect_args=given, pool_timeout=wait, pool_use_lifo=True)
    settings = _SETTINGS.format(wait=int(wait * 1000), statement=_LONGEST_STATEMENT, silence=_LONGEST_SILENCE)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - psycopg's, behind SQLAlchemy's name for it
        connection.autocommit = True   # `_on_begin` says BEGIN, in the same breath as it takes the lock
        connection.execute(settings)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        begin = connection.get_execution_options().get(BEGIN, "BEGIN")
        try:
            _driver(connection).execute(begin)
        except psycopg.Error as error:
            raise _failed(connection, error) from error

    return engine


def limit_cache(engine: Engine, megabytes: Callable[[], int]) -> None:
    """Leave the cache to the server."""


def keep_journal(connection: Connection) -> None:
    """Leave the write-ahead log to the server."""


def only_read(connection: Connection, *, only: bool) -> None:
    """Leave it to READ: the transaction itself is read-only."""


def undo(connection: Connection) -> None:
    """Afterwards nothing of a transaction whose commit failed is left on this connection."""
    if connection.invalidated:   # the server is gone, and with it the transaction
        return
    driver = _driver(connection)
    if not driver.closed:
        driver.rollback()


def wipe_freed(connection: Connection, *, wipe: bool) -> None:
    """Leave freed rows to the server: `scrub` rewrites what was shredded, and what is sealed needs no wiping (docs/operations.md)."""


def scrub(connection: Connection, *, whole: bool) -> None:
    """Let no dead row of what was erased stand in a page; with `whole` the tables are written anew. Not inside a transaction."""
    try:
        for table in ("crisis_data_key", "crisis_event", "crisis_receipt", "crisis_subject", "crisis_guardian", "crisis_person"):
            _driver(connection).execute(f"VACUUM {'(FULL) ' if whole else ''}{table}")
    except psycopg.Error as error:
        raise _failed(connection, error) from error


def has_table(connection: Connection, name: str) -> bool:
    """Whether the database has a table of that name."""
    return bool(fetch(connection, "SELECT to_regclass(:name) IS NOT NULL", {"name": name})[0][0])


def holds_transaction(connection: Connection) -> bool:
    """Whether what is written on this connection now waits for a COMMIT."""
    driver = _driver(connection)
    return not driver.autocommit or driver.info.transaction_status != TransactionStatus.IDLE


def fetch(connection: Connection, sql: str, binds: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """Return all rows of a query as plain tuples, past SQLAlchemy's result objects."""
    try:
        return _driver(connection).execute(spelled(sql), _bound(binds)).fetchall()
    except (psycopg.Error, UnicodeEncodeError) as error:
        raise _failed(connection, error) from error


fetch_bytes = fetch
"""The same: a text is always one here, for the server lets in nothing else."""


def stream(connection: Connection, sql: str, binds: Mapping[str, object]) -> Iterator[Any]:
    """Yield rows as the server finds them, some hundred at a time: who stops early never pays for the rest."""
    try:
        with _driver(connection).cursor(name=f"crisis_{next(_names)}") as cursor:
            cursor.itersize = 500
            yield from cursor.execute(spelled(sql), _bound(binds))
    except (psycopg.Error, UnicodeEncodeError) as error:
        raise _failed(connection, error) from error


def run(connection: Connection, sql: str, binds: Mapping[str, object]) -> int:
    """Run one write and return how many rows it touched."""
    try:
        return _driver(connection).execute(spelled(sql), _bound(binds)).rowcount
    except (psycopg.Error, UnicodeEncodeError) as error:
        raise _failed(connection, error) from error


def run_many(connection: Connection, sql: str, rows: list[tuple[Any, ...]]) -> int:
    """Run one write for many rows of values, all of them in one statement, and return how many rows it touched."""
    try:
        return bulk.write(_driver(connection), connection.engine, sql, rows)
    except (psycopg.Error, UnicodeEncodeError) as error:
        raise _failed(connection, error) from error


def now(connection: Connection) -> float:
    """Return the seconds since the epoch by the server's clock; it is compared, and nothing is decided by it."""
    return float(fetch(connection, "SELECT extract(epoch FROM clock_timestamp())::float8", {})[0][0])


@cache
def spelled(sql: str) -> str:
    """Return one of our statements as psycopg knows it: named binds, arrays, JSON; all are written in this package."""
    sql = _AMONG.sub(r"= ANY(:\1)", sql)
    sql = _FIELD.sub(lambda found: f"({found[1]}::jsonb #>> '{{{found[2].replace('.', ',')}}}')", sql)
    sql = sql.replace("X'00'", r"'\x00'::bytea").replace("instr(", "strpos(")

    def token(found: re.Match[str]) -> str:
        text, cast_, name, _percent = found.groups()
        return text.replace("%", "%%") if text else cast_ or (f"%({name})s" if name else "%%")

    return _TOKEN.sub(token, sql)


def _bound(binds: Mapping[str, object]) -> dict[str, object]:
    return {name: value.values if type(value) is Listed else value for name, value in binds.items()}


def _failed(connection: Connection, error: psycopg.Error | UnicodeEncodeError) -> CrisisError:
    """Return our own error; a connection that was lost does not go back among those that wait."""
    if _driver(connection).closed and not connection.invalidated:
        connection.invalidate(error)
    return translate(error)


def _driver(connection: Connection) -> psycopg.Connection[tuple[Any, ...]]:
    if connection.invalidated:   # lost before: whoever goes on after that error hears it again
        raise lost()
    driver: Any = connection.connection.driver_connection
    return cast("psycopg.Connection[tuple[Any, ...]]", driver)


__all__ = ["ALONE", "CHANNEL", "NAME", "ONE_WRITER", "READ", "WRITE", "DBAPIError", "translate"]
