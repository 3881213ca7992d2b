"""SQLite alone: how connections are made and begin, what its errors mean, and the few words that only its SQL knows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, TextClause, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from crisis_engine.core.errors import BadInput, Busy, CrisisError, StoreError
from crisis_engine.store.breach import BREACHES
from crisis_engine.store.dialect import BEGIN

NAME = "sqlite"
READ, WRITE, ALONE = "BEGIN", "BEGIN IMMEDIATE", "BEGIN IMMEDIATE"   # there is one writer at a time, so each is alone
ONE_WRITER = True

_PRAGMAS = (
    "PRAGMA busy_timeout = {wait}",
    "PRAGMA synchronous = FULL",            # NORMAL lost acknowledged commits in a third of the simulated power losses
    "PRAGMA foreign_keys = ON",
    "PRAGMA recursive_triggers = ON",       # so that INSERT OR REPLACE meets the trigger that forbids deleting events
    "PRAGMA cache_size = -262144",          # 256 MiB at most, and only as far as pages are touched
    "PRAGMA wal_autocheckpoint = 16000",    # with a cache of that size a sweep writes half as many pages
)

_SENTENCES: dict[str, tuple[type[StoreError], str, str]] = {
    "BUSY": (Busy, "Another writer holds the database.", "Try again in a moment."),
    "LOCKED": (Busy, "Another writer holds the database.", "Try again in a moment."),
    "READONLY": (StoreError, "The database may only be read.", "Make the file and its folder writable for this user."),
    "FULL": (StoreError, "The disk is full; nothing was changed.", "Make room and try again."),
    "CORRUPT": (StoreError, "The database file is damaged.", "Stop all writers and restore the last backup."),
    "NOTADB": (StoreError, "The file is no database.", "Check the name after --db or in CRISIS_DB."),
    "CANTOPEN": (StoreError, "The database file cannot be opened.", "Check that its folder exists and may be read."),
    "IOERR": (StoreError, "The disk could not be read or written; nothing was changed.", "Check the disk and try again."),
    "PERM": (StoreError, "The database file may not be opened.", "Check the rights of the file and its folder."),
}

# What SQLite calls a constraint that has a name elsewhere.
_NAMES = {
    "crisis_case.workflow, crisis_case.subject": "crisis_case_sole",
    "crisis_case.number": "crisis_case_number",
    "crisis_event.case_id, crisis_event.seq": "crisis_event_seq",
    "crisis_event.deadline, crisis_event.rung, crisis_event.times": "crisis_event_rung",
}


def path_of(url: URL) -> Path | None:
    """Return the file of the database; None for one in memory or one named by a `file:` URI."""
    name = url.database
    return None if not name or name == ":memory:" or name.startswith("file:") else Path(name)


def in_memory(url: URL) -> bool:
    """Whether the database lives in memory and ends with its only connection."""
    return not url.database or url.database == ":memory:"


def check(url: URL, *, create: bool) -> None:
    """Raise StoreError where there is no such file and none can be, or is to be, made."""
    path = path_of(url)
    if path is not None and not create and not path.exists():
        raise StoreError("There is no database of that name.", way_out="Check --db or CRISIS_DB, or run `crisis init`.")
    if path is not None and not path.parent.exists():
        raise StoreError("The folder of the database does not exist.", way_out="Make the folder first, or choose another.")


def engine_for(url: URL, wait: float) -> Engine:
    """Return an engine whose transactions begin as the execution option BEGIN says and wait so many seconds for a lock."""
    options: dict[str, Any] = {"poolclass": StaticPool} if in_memory(url) else {"pool_use_lifo": True}
    engine = create_engine(url, hide_parameters=True, connect_args={"check_same_thread": False}, **options)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: object, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]  # sqlite3's own BEGIN comes late and is never IMMEDIATE
        for pragma in _PRAGMAS:
            connection.execute(pragma.format(wait=int(wait * 1000)))  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        begin = connection.get_execution_options().get(BEGIN, "BEGIN")
        if begin != "BEGIN IMMEDIATE":
            connection.exec_driver_sql(begin)
            return
        driver = _driver(connection)
        driver.execute("PRAGMA busy_timeout = 3")
        try:
            if not _begun_soon(driver, wait):
                connection.exec_driver_sql(begin)   # says what is wrong
        finally:
            driver.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")

    return engine


def _begun_soon(driver: sqlite3.Connection, wait: float) -> bool:
    """Begin to write as soon as the writer before is done; whether that was so within about `wait` seconds.

    SQLite's own waiting sleeps longer and longer, at last 100 ms a time: meanwhile two sweepers leave the lock unused, and a person
    comes last. So it is asked to wait 3 ms (it sleeps 1 and 2), again and again.
    """
    for _try in range(int(wait * 1000 / 3)):
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
                return False
        else:
            return True
    return False


def limit_cache(engine: Engine, megabytes: Callable[[], int]) -> None:
    """Let no connection keep more of the database in memory than this says when a transaction begins; the rest is given free then."""
    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        most = megabytes()
        if connection.info.get("crisis_cache") != most:
            _driver(connection).execute(f"PRAGMA cache_size = -{most * 1024}")
            connection.info["crisis_cache"] = most


def keep_journal(connection: Connection) -> None:
    """Afterwards the file has a write-ahead log: readers and the writer do not wait for each other. Not inside a transaction."""
    raw = connection.connection.dbapi_connection
    try:
        if raw is not None:
            raw.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as error:
        raise translate(error) from error


def only_read(connection: Connection, *, only: bool) -> None:
    """Afterwards every write on this connection is refused, or allowed again."""
    raw = connection.connection.dbapi_connection
    if raw is not None:
        raw.execute(f"PRAGMA query_only = {int(only)}")


def undo(connection: Connection) -> None:
    """Afterwards nothing of a transaction whose commit failed is left on this connection."""
    raw = connection.connection.dbapi_connection
    if raw is not None:
        raw.rollback()


def wipe_freed(connection: Connection, *, wipe: bool) -> None:
    """Afterwards what this connection deletes is overwritten with zeros in the file, or only given free again."""
    raw = connection.connection.dbapi_connection
    if raw is not None:
        raw.execute(f"PRAGMA secure_delete = {int(wipe)}")


def scrub(connection: Connection, *, whole: bool) -> None:
    """Empty the write-ahead log into the file, and write the whole file anew where that is asked. Not inside a transaction."""
    raw = connection.connection.dbapi_connection
    try:
        if raw is not None and whole:
            raw.execute("VACUUM")
        if raw is not None:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        raise translate(error) from error


def has_table(connection: Connection, name: str) -> bool:
    """Whether the database has a table of that name."""
    found = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?", (name,))
    return bool(found.scalar())


def holds_transaction(connection: Connection) -> bool:
    """Whether what is written on this connection now waits for a COMMIT; begins what a host's sqlite3 has put off so far.

    The sqlite3 module sends the BEGIN of a transaction only before its first write, and a SAVEPOINT before that would commit.
    """
    raw = connection.connection.dbapi_connection
    if raw is not None and not raw.in_transaction:
        connection.exec_driver_sql("UPDATE crisis_meta SET value = value WHERE 1 = 0")
    return bool(raw is not None and raw.in_transaction)


def fetch(connection: Connection, sql: str, binds: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """Return all rows of a query as plain tuples, past SQLAlchemy's result objects: a command asks thirty questions of one row each."""
    try:
        return _driver(connection).execute(sql, binds).fetchall()
    except (sqlite3.Error, UnicodeEncodeError) as error:
        raise translate(error) from error


def fetch_bytes(connection: Connection, sql: str, binds: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """Return the rows as `fetch` does, also where a text is none: bytes that are no UTF-8 become lone surrogates, equal to nothing."""
    driver = _driver(connection)
    usual, driver.text_factory = driver.text_factory, _as_it_stands
    try:
        return driver.execute(sql, binds).fetchall()
    except sqlite3.Error as error:
        raise translate(error) from error
    finally:
        driver.text_factory = usual


def _as_it_stands(stored: bytes) -> str:
    return stored.decode(errors="surrogateescape")


def run(connection: Connection, sql: str, binds: Mapping[str, object]) -> int:
    """Run one write and return how many rows it touched."""
    try:
        return _driver(connection).execute(sql, binds).rowcount
    except (sqlite3.Error, UnicodeEncodeError) as error:
        raise translate(error) from error


def run_many(connection: Connection, sql: str, rows: list[tuple[Any, ...]]) -> int:
    """Run one write for many rows of values and return how many rows it touched."""
    try:
        return _driver(connection).executemany(sql, rows).rowcount
    except (sqlite3.Error, UnicodeEncodeError) as error:
        raise translate(error) from error


def stream(connection: Connection, sql: str, binds: Mapping[str, object]) -> Iterator[Any]:
    """Yield rows as the database finds them: who stops early never pays for the rest."""
    try:
        yield from connection.execute(_text(sql), binds)
    except (DBAPIError, UnicodeEncodeError) as error:
        raise translate(error) from error


def now(connection: Connection) -> float:
    """Return the seconds since the epoch by the clock of the machine, which is the database's own here."""
    return float(connection.exec_driver_sql("SELECT (julianday('now') - 2440587.5) * 86400.0").scalar_one())


@cache
def _text(sql: str) -> TextClause:
    """Return the parsed statement; all of them are written in this package, so the cache has an end."""
    return text(sql)


def _driver(connection: Connection) -> sqlite3.Connection:
    driver: Any = connection.connection.driver_connection
    return cast("sqlite3.Connection", driver)


def translate(error: DBAPIError | sqlite3.Error | UnicodeEncodeError) -> CrisisError:
    """Return our own error for a database's: what happened in a plain sentence, and what to do. It tells no value."""
    if isinstance(error, UnicodeEncodeError):
        return BadInput("A text holds half a character.", way_out="Type that text anew.")
    origin = error.orig if isinstance(error, DBAPIError) else error
    name = str(getattr(origin, "sqlite_errorname", "")).removeprefix("SQLITE_")
    if name.startswith("CONSTRAINT"):
        said = str(origin)
        known = next((own for called, own in _NAMES.items() if said.endswith(called)), said)
        for constraint, (cls, sentence) in BREACHES.items():
            if known.endswith(constraint):
                return cls(sentence)
        return CrisisError(f"The database refused a change: {said}.")
    for word, (kind, sentence, way_out) in _SENTENCES.items():
        if name.partition("_")[0] == word:
            return kind(sentence, way_out=way_out)
    return StoreError(f"The database cannot be read or written: {origin}.", way_out="Run `crisis doctor`.")
