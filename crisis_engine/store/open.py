"""The store: opens a database, begins and ends its transactions, and lets a host bring its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import RLock

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from crisis_engine.core.errors import Busy, StoreError
from crisis_engine.store import sqlite
from crisis_engine.store.append import CaseWrites
from crisis_engine.store.evidence import EvidenceReads
from crisis_engine.store.forget import ForgetRows
from crisis_engine.store.key import MASTER
from crisis_engine.store.ledger import LedgerRows
from crisis_engine.store.log import LogReads
from crisis_engine.store.master import Given, Masters, key_file_of
from crisis_engine.store.migrate import make_current, refuse_other
from crisis_engine.store.outbox import OutboxRows
from crisis_engine.store.pinned import PinnedReads
from crisis_engine.store.read import CaseReads
from crisis_engine.store.read_log import ReadLogRows
from crisis_engine.store.receipt import ReceiptRows
from crisis_engine.store.register import RegisterReads
from crisis_engine.store.roster import RosterRows
from crisis_engine.store.rotation import RotationRows
from crisis_engine.store.shred import ledger_of
from crisis_engine.store.tree import TreeRows
from crisis_engine.store.vault import Vault


class Tx(
    CaseReads, CaseWrites, LogReads, OutboxRows, ReadLogRows, ReceiptRows, RegisterReads, RosterRows, RotationRows, ForgetRows, LedgerRows,
    TreeRows, EvidenceReads, PinnedReads,
):
    """All that can be read and written inside one transaction; it holds as long as the transaction does."""


class Store:
    """A database that is open. Threads may share it; each transaction belongs to the thread that began it."""

    def __init__(self, url: str, engine: Engine, wait: float, vault: Vault, *, alone: bool) -> None:
        self.url = url
        self.vault = vault        # what opens sealed rows; it asks for the master key when the first is read
        self._engine = engine
        self._wait = wait
        self._alone = alone       # one connection for all, as in memory: readers wait for it too
        self._lock = RLock()      # one writer at a time in this process: waiting here is fair, SQLite's busy handler is not
        self._open: Connection | None = None   # the transaction under way, as far as the lock's holder has begun one

    @classmethod
    def open(cls, url: str, *, create: bool = True, wait: float = 10.0, master_key: Given | None = None) -> Store:
        """Open the database at a URL such as `sqlite:///crisis.db`, or `sqlite://` for one in memory.

        With `create` it is made, or brought to this version's schema; without, one that is missing or has another schema is
        refused. A newer schema is always refused. `wait` is how many seconds a command waits for another writer. `master_key` is
        the key that secrets are sealed under, where it does not come from the environment or the file beside the database; it is
        asked for when it is needed. Raises StoreError.
        """
        parsed = sqlite.parse(url)
        path = sqlite.path_of(parsed)
        if path is not None and not create and not path.exists():
            raise StoreError("There is no database of that name.", way_out="Check --db or CRISIS_DB, or run `crisis init`.")
        if path is not None and not path.parent.exists():
            raise StoreError("The folder of the database does not exist.", way_out="Make the folder first, or choose another.")
        engine = sqlite.engine_for(parsed, wait)
        try:
            with engine.connect() as connection:
                make_current(connection) if create else refuse_other(connection)
        except DBAPIError as error:
            engine.dispose()
            raise sqlite.translate(error) from error
        except BaseException:
            engine.dispose()
            raise
        vault = Vault(Masters(master_key, key_file_of(parsed.database)), ledger_of(parsed.database))
        store = cls(url, engine, wait, vault, alone=sqlite.in_memory(parsed))
        try:
            if create:
                store._begin_keys()
            store.replay()
        except BaseException:
            engine.dispose()
            raise
        return store

    def replay(self) -> int:
        """Erase again what the shred ledger says and a restored backup still holds; return how many lines were done."""
        if self.vault.ledger is None or not self.vault.ledger.exists():
            return 0
        with self.reading() as tx:
            waiting = tx.unreplayed()
        if not waiting:
            return 0
        with self.writing(wipe=True) as tx:
            done = tx.replay()
        self.scrub()
        return done

    def _begin_keys(self) -> None:
        """Give a new database its keys, and a file for the master key where that comes from nowhere else."""
        with self.reading() as tx:
            begun = tx.meta(MASTER) is not None
        if not begun:
            self.vault.masters.make()
            with self.writing() as tx:
                tx.begin_keys()

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        """Give a transaction that sees the database as it is at its first read, until the end; it waits for no writer."""
        with self._turn() if self._alone else nullcontext():
            if self._alone and self._open is not None:
                yield Tx(self._open, self.vault)  # in memory there is one connection: inside a transaction a reader looks through it
                return
            with self._transaction("BEGIN") as connection:
                sqlite.only_read(connection, only=True)  # a write here would wait for nobody and could be lost
                try:
                    yield Tx(connection, self.vault)
                finally:
                    sqlite.only_read(connection, only=False)

    @contextmanager
    def writing(self, *, wipe: bool = False) -> Iterator[Tx]:
        """Give a transaction that holds the write lock from its begin: committed at the end, undone by any exception.

        With `wipe` what it deletes or replaces is overwritten in the file. Raises Busy when another writer keeps the lock for
        longer than `wait`.
        """
        with self._turn():
            if self._open is not None:
                raise StoreError("A write was begun inside another transaction of the same thread.",
                                 way_out="End the outer one first.")
            with self._transaction("BEGIN IMMEDIATE") as connection:
                self._open = connection
                if wipe:
                    sqlite.wipe_freed(connection, wipe=True)
                try:
                    yield Tx(connection, self.vault)
                finally:
                    self._open = None
                    if wipe:
                        sqlite.wipe_freed(connection, wipe=False)

    def joining(self, connection: Connection) -> Tx:
        """Give the same calls inside the host's own transaction, which the host alone begins, commits or rolls back."""
        return Tx(connection, self.vault)

    def scrub(self, *, whole: bool = False) -> None:
        """Afterwards the write-ahead log holds nothing of what was overwritten; with `whole` no free page of the file does either."""
        with self._turn(), self._engine.connect() as connection:
            sqlite.scrub(connection, whole=whole)

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
    def _transaction(self, begin: str) -> Iterator[Connection]:
        try:
            connection = self._engine.connect().execution_options(**{sqlite.BEGIN: begin})
        except DBAPIError as error:
            raise sqlite.translate(error) from error
        with connection:
            try:
                connection.begin()
            except DBAPIError as error:
                raise sqlite.translate(error) from error
            yield connection  # an exception in the body leaves `with connection`, which rolls back
            try:
                connection.commit()
            except DBAPIError as error:
                sqlite.undo(connection)   # SQLAlchemy takes it for ended, SQLite goes on with it
                raise sqlite.translate(error) from error
