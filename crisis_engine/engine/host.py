"""The host's transaction in the place of the store: for whoever embeds the engine and commits by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from crisis_engine.core.errors import BadInput
from crisis_engine.store import Store, Tx


class HostStore:
    """The store inside a host's transaction: every read and write is the host's own, who alone commits or rolls back."""

    def __init__(self, tx: Tx) -> None:
        """Stand for the store as long as the host's transaction lasts."""
        self._tx = tx
        self.dialect = tx.connection.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        """Give the host's transaction."""
        yield self._tx

    @contextmanager
    def writing(self, *, wipe: bool = False, alone: bool = False) -> Iterator[Tx]:
        """Give the host's transaction; an exception undoes what was written here, and a host that catches it keeps only its own work.

        What is freed is wiped when the host itself asks for that.
        """
        del wipe
        with self._tx.whole():
            self._tx.enter(alone=alone)
            yield self._tx

    def replay(self) -> int:
        """Do nothing: opening the host's database did it."""
        return 0

    def scrub(self, *, whole: bool = False) -> None:
        """Leave the file to the host."""

    def joining(self, connection: Any) -> Tx:  # noqa: ANN401 - a connection of the host
        """Join nothing twice."""
        del connection
        return self._tx

    def close(self) -> None:
        """Leave the host's connection alone."""


def refuse_host(store: Store | HostStore) -> None:
    """Refuse what also changes a file beside the database, inside a transaction that a host may still roll back."""
    if isinstance(store, HostStore):
        raise BadInput("This is not done inside a host's transaction: it cannot be undone.", way_out="Call it on the engine itself.")
