"""Threads under one baton: whoever holds it runs, everybody else stands at a known point; so one seed gives one order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto


class Order(Enum):
    """What the scheduler says to whoever gets the baton."""

    GO = auto()
    CRASH = auto()   # the process dies here
    FAIL = auto()    # the database or the gateway refuses here
    BUSY = auto()    # another writer holds the lock for too long
    BREAK = auto()   # a statement further on fails
    LOSE = auto()    # it was done, and the word that says so is lost


class Killed(BaseException):
    """The process of this thread is gone: nothing catches that but the thread's own end."""


@dataclass(frozen=True, slots=True)
class Told:
    """An order with its number: for BREAK, which statement from here on fails."""

    order: Order
    number: int = 0


class Runner:
    """One process of the simulation: a thread that stops at each `stand` until the scheduler hands it the baton."""

    def __init__(self, name: str, life: Callable[[Runner], None], passes: Callable[[str], bool]) -> None:
        self.name = name
        self.point = "born"
        self.done = False
        self.fault: BaseException | None = None   # what ended it that nobody foresaw
        self.committed_at: datetime | None = None   # when it committed last: of whoever sends, since when its claim holds
        self._life, self._passes = life, passes
        self._told = Told(Order.GO)
        self._go, self._back = threading.Lock(), threading.Lock()   # both taken: a release hands the baton on
        self._go.acquire()
        self._back.acquire()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def step(self, told: Told) -> None:
        """Hand the baton over, from the scheduler's thread, and return when the runner stands again or is gone."""
        self._told = told
        self._go.release()
        self._back.acquire()

    def stand(self, point: str) -> Told:
        """Stop here, in the runner's own thread, until the baton comes; raise Killed when the order is to die."""
        if self._passes(point):
            return Told(Order.GO)
        self.point = point
        self._back.release()
        self._go.acquire()
        if self._told.order is Order.CRASH:
            raise Killed
        return self._told

    def _run(self) -> None:
        self._go.acquire()
        try:
            if self._told.order is not Order.CRASH:
                with suppress(Killed):
                    self._life(self)
        except BaseException as fault:  # noqa: BLE001 - the scheduler raises it in its own thread
            self.fault = fault
        finally:
            self.point, self.done = "gone", True
            self._back.release()
