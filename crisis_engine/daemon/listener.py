"""The listener: where the database can call (PostgreSQL), a round comes at once when somebody arms a nearer deadline."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import TYPE_CHECKING

from crisis_engine.core.errors import CrisisError

from .log import tell
from .vitals import Vitals

if TYPE_CHECKING:
    from crisis_engine.store import Store

TURN = 2.0
"""Seconds of one wait: so long the end of the daemon may have to wait for it."""

AGAIN = 1.0
"""Seconds until a lost connection is sought anew; meanwhile rounds look by themselves, as on SQLite."""


class Listener:
    """A thread that hears the database. It is not watched: without it rounds come as often as on SQLite."""

    def __init__(self, store: Store, vitals: Vitals, called: Callable[[], None]) -> None:
        """Call `called` at each call of the database, once begun."""
        self._store, self._vitals, self._called = store, vitals, called
        self._end = Event()
        self._thread = Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Begin to listen, if the database can call."""
        if self._store.dialect != "sqlite":
            self._thread.start()

    def stop(self) -> None:
        """Hear no more, some seconds later."""
        self._end.set()

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                self._listen()
            except CrisisError:   # the rounds say that the database is away
                pass
            except Exception as error:  # noqa: BLE001 - without it rounds come by themselves, and the daemon must not end of it
                tell("error", "daemon.listener_failed", error=type(error).__name__)
                return
            finally:
                self._vitals.hears = False
            self._end.wait(AGAIN)

    def _listen(self) -> None:
        ear = self._store.listen()
        if ear is None:
            return
        try:
            self._vitals.hears = True
            self._called()   # what was armed before it listened
            while not self._end.is_set():
                if ear.wait(TURN):
                    self._called()
        finally:
            ear.close()
