"""The store: opens a database, begins and ends its transactions, and lets a host bring its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock, local
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, PendingRollbackError

from crisis_engine.core.errors import Busy, StoreError
from crisis_engine.store import sqlite
from crisis_engine.store.append import CaseWrites
from crisis_engine.store.child_move import ChildMoveRows
from crisis_engine.store.daemon import DaemonRows
from crisis_engine.store.dialect import BEGIN, Dialect, PoolTimeout, dialect_named, parse
from crisis_engine.store.evidence import EvidenceReads
from crisis_engine.store.forget import ForgetRows
from crisis_engine.store.hold import Holds
from crisis_engine.store.home import Files
from crisis_engine.store.key import MASTER
from crisis_engine.store.ledger import LedgerRows
from crisis_engine.store.lock import Holder, holder_of, keeper_of
from crisis_engine.store.log import LogReads
from crisis_engine.store.master import Given
from crisis_engine.store.migrate import is_current, make_current, refuse_other
from crisis_engine.store.partner import PartnerRows
from crisis_engine.store.pinned import PinnedRows
from crisis_engine.store.read import CaseReads
from crisis_engine.store.read_log import ReadLogRows
from crisis_engine.store.receipt import ReceiptRows
from crisis_engine.store.register import RegisterReads
from crisis_engine.store.roster import RosterRows
from crisis_engine.store.rotation import RotationRows
from crisis_engine.store.tree import TreeRows
from crisis_engine.store.vault import Vault

if TYPE_CHECKING:
    from crisis_engine.store.postgres_listen import Ear


class Tx(
    CaseReads, CaseWrites, LogReads, ReadLogRows, ReceiptRows, RegisterReads, RosterRows, PartnerRows, RotationRows, ForgetRows, LedgerRows,
    TreeRows, EvidenceReads, Holds, DaemonRows, PinnedRows, ChildMoveRows,
):
    """All that can be read and written inside one transaction; it holds as long as the transaction does."""


class _Begun(local):
    """The transaction that a thread has begun and not ended; each thread has its own."""

    connection: Connection | None = None


class Store:
    """A database that is open. Threads may share it; each transaction belongs to the thread that began it."""

    def __init__(self, url: str, engine: Engine, wait: float, vault: Vault, dialect: Dialect, *, alone: bool) -> None:
        self.url = url
        self.vault = vault        # what opens sealed rows; it asks for the master key when the first is read
        self._engine = engine
        self._wait = wait
        self._sql = dialect
        self._alone = alone       # one connection for all, as in memory: readers wait for it too
        self._lock = RLock()      # one writer at a time in this process: waiting here is fair, SQLite's busy handler is not
        self._begun = _Begun()

    @property
    def dialect(self) -> str:
        """Which database it is: "sqlite" or "postgresql"."""
        return self._sql.NAME

    @property
    def shared(self) -> bool:
        """Whether another process can open the same database: it is not in memory."""
        return not self._alone

    @classmethod
    def open(
        cls, url: str, *, create: bool = True, wait: float = 10.0, master_key: Given | None = None, home: Path | None = None,
    ) -> Store:
        """Open the database at a URL such as `sqlite:///crisis.db` or `postgresql://user@host/crisis`, or `sqlite://` in memory.

        With `create` its tables are made, or brought to this version's schema; without, a database that is missing or has another
        schema is refused. A newer schema is always refused. `wait` is how many seconds a command waits for another writer.
        `master_key` is the key that secrets are sealed under, where it does not come from the environment or a file; it is asked
        for when it is needed. `home` is the folder of the files that belong to a PostgreSQL database (store/home.py). Raises StoreError.
        """
        parsed = parse(url)
        dialect = dialect_named(parsed.get_backend_name())
        dialect.check(parsed, create=create)
        files = Files.of(parsed, home)
        engine = dialect.engine_for(parsed, wait)
        memory = dialect.NAME == sqlite.NAME and sqlite.in_memory(parsed)
        store = cls(url, engine, wait, Vault(files.masters(master_key), files.ledger, files.seal), dialect, alone=memory)
        try:
            store._make_current(create=create)
            if create:
                store._begin_keys()
            store.replay()
        except BaseException:
            engine.dispose()
            raise
        return store

    def _make_current(self, *, create: bool) -> None:
        with self._transaction(self._sql.READ) as connection:
            if not create:
                refuse_other(connection)
            current = is_current(connection)
        if create and not current:
            with self._connected() as connection:
                self._sql.keep_journal(connection)
            with self._transaction(self._sql.ALONE) as connection:
                make_current(connection)

    def replay(self) -> int:
        """Erase again what the shred ledger says and a restored backup still holds; return how many lines were done."""
        if self.vault.ledger is None or not self.vault.ledger.exists():
            return 0
        with self.reading() as tx:
            waiting = tx.unreplayed()
        if not waiting:
            return 0
        with self.writing(wipe=True, alone=True) as tx:
            done = tx.replay()
        self.scrub()
        return done

    def _begin_keys(self) -> None:
        """Give a new database its keys, and a file for the master key where that comes from nowhere else."""
        with self.reading() as tx:
            begun = tx.meta(MASTER) is not None
        if not begun:
            self.vault.masters.make()
            with self.writing(alone=True) as tx:
                tx.begin_keys()

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        """Give a transaction that sees the database as it is at its first read, until the end; it waits for no writer."""
        with self._turn() if self._alone else nullcontext():
            if self._alone and self._begun.connection is not None:
                yield Tx(self._begun.connection, self.vault)  # in memory there is one connection: a reader looks through the writer's
                return
            with self._transaction(self._sql.READ) as connection:
                self._sql.only_read(connection, only=True)  # a write here would wait for nobody and could be lost
                try:
                    yield Tx(connection, self.vault)
                finally:
                    self._sql.only_read(connection, only=False)

    @contextmanager
    def writing(self, *, wipe: bool = False, alone: bool = False) -> Iterator[Tx]:
        """Give a transaction that may write: committed at the end, undone by any exception.

        On SQLite it holds the one write lock from its begin. On PostgreSQL others write beside it, and it locks what it decides by
        (store/hold.py); with `alone` nobody does, from the begin to the end: for what changes the ground under other commands, such as
        the roster. With `wipe` what it deletes or replaces is overwritten in the file. Raises Busy when another keeps a lock for
        longer than `wait`.
        """
        with self._turn() if self._sql.ONE_WRITER else nullcontext():
            if self._begun.connection is not None:
                raise StoreError("A write was begun inside another transaction of the same thread.",
                                 way_out="End the outer one first.")
            with self._transaction(self._sql.ALONE if alone else self._sql.WRITE) as connection:
                self._begun.connection = connection
                if wipe:
                    self._sql.wipe_freed(connection, wipe=True)
                try:
                    yield Tx(connection, self.vault, holds=True)
                finally:
                    self._begun.connection = None
                    if wipe:
                        self._sql.wipe_freed(connection, wipe=False)

    def joining(self, connection: Connection) -> Tx:
        """Give the same calls inside the host's own transaction, which the host alone begins, commits or rolls back."""
        return Tx(connection, self.vault, holds=True)

    def scrub(self, *, whole: bool = False) -> None:
        """Afterwards the write-ahead log holds nothing of what was overwritten; with `whole` no free page of the file does either."""
        with self._turn(), self._connected() as connection:
            self._sql.scrub(connection, whole=whole)

    def database_now(self) -> datetime:
        """Return the instant by the database's own clock. The daemon compares it with its own; nothing is ever decided by it."""
        with self._connected() as connection:
            return datetime.fromtimestamp(self._sql.now(connection), UTC)

    def lock_holder(self, *, keeps: bool = False) -> Holder | None:
        """Return which process holds the write lock of a SQLite file; None on a server, which ends a session that stands still itself.

        With `keeps` only one that has it at each of some looks within a second, which nobody does who works.
        """
        path = sqlite.path_of(parse(self.url)) if self._sql.ONE_WRITER else None
        if path is None:
            return None
        return keeper_of(path) if keeps else holder_of(path)

    def listen(self) -> Ear | None:
        """Return what hears that the nearest deadline came nearer; None where a database cannot call (SQLite). Close it afterwards."""
        if self._sql.ONE_WRITER:
            return None
        from crisis_engine.store.postgres_listen import ear_on  # noqa: PLC0415 (PostgreSQL's driver)

        return ear_on(self._engine)

    def limit_cache(self, megabytes: Callable[[], int]) -> None:
        """Let no connection keep more of a SQLite database in memory than that says, asked at each transaction's begin."""
        self._sql.limit_cache(self._engine, megabytes)

    def close(self) -> None:
        """Close all connections; what was written is on the disk."""
        self._engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=self._wait):
            raise Busy(way_out="Try again in a moment.")
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Give a connection outside a transaction."""
        try:
            connection = self._engine.connect()
        except (DBAPIError, PoolTimeout) as error:
            raise self._sql.translate(error) from error
        with connection:
            yield connection

    def _begin(self, begin: str) -> Connection:
        """Return a connection on which a transaction has begun: if the server ended one that waited in the pool, then another one."""
        for tries in (1, 0):
            try:
                connection = self._engine.connect().execution_options(**{BEGIN: begin})
            except (DBAPIError, PoolTimeout) as error:
                raise self._sql.translate(error) from error
            try:
                connection.begin()
            except BaseException as error:
                lost = connection.invalidated
                connection.close()
                if lost and tries:
                    self._engine.dispose()
                    continue
                if isinstance(error, DBAPIError):
                    raise self._sql.translate(error) from error
                raise
            return connection
        raise AssertionError

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        connection = self._begin(begin)
        try:
            yield connection
            try:
                connection.commit()
            except (DBAPIError, PendingRollbackError) as error:   # the latter where the connection was lost and the body went on
                self._sql.undo(connection)   # SQLAlchemy takes it for ended, SQLite goes on with it
                raise self._sql.translate(error) from error
        finally:
            self._leave(connection)

    @staticmethod
    def _leave(connection: Connection) -> None:
        """Roll back what was not committed, and give the connection back.

        Where it is lost by now the server has done the one, and there is nothing to give: whatever was refused stays refused for its
        own reason.
        """
        try:
            connection.close()
        except DBAPIError as error:
            connection.invalidate(error)
            connection.close()
