"""The seams at which a simulated process stops and may fail: around its store's transactions and its channel's messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from crisis_engine.core.errors import Busy, StoreError
from crisis_engine.notify import DeliveryFailed, Message
from crisis_engine.store import Store, Tx
from tests.chaos.baton import Order, Runner, Told
from tests.chaos.history import Sent

FAULTS: dict[str, tuple[Order, ...]] = {
    "idle": (Order.CRASH,),
    "read": (Order.CRASH, Order.FAIL, Order.BREAK),
    "saw": (Order.CRASH,),
    "write": (Order.CRASH, Order.FAIL, Order.BREAK, Order.BUSY),
    "commit": (Order.CRASH, Order.FAIL),
    "done": (Order.CRASH, Order.LOSE),
    "send": (Order.CRASH, Order.FAIL),
    "sent": (Order.CRASH, Order.LOSE),
}
"""What may go wrong where. `write` stands before the lock is asked for, `commit` before the commit, `done` behind it."""


@dataclass
class WriteLock:
    """Who holds the database's one write lock: a process that stands inside a transaction keeps the others out."""

    holder: Runner | None = None


def disk_failed() -> StoreError:
    """Return what the store raises when the disk refuses."""
    return StoreError("The disk could not be read or written; nothing was changed.", way_out="Check the disk and try again.")


class Seam:
    """Stands around the transactions of one process' store."""

    def __init__(self, runner: Runner, lock: WriteLock, store: Store, clock: Callable[[], datetime]) -> None:
        self._runner, self._lock, self._clock = runner, lock, clock
        self._reading, self._writing = store.reading, store.writing
        for name in ("reading", "writing"):
            setattr(store, name, getattr(self, name))

    @contextmanager
    def reading(self, **kind: Any) -> Iterator[Tx]:  # noqa: ANN401 - whatever the store takes
        """Give a reading transaction; others may write between its last read and its end."""
        told = self._runner.stand("read")
        if told.order is Order.FAIL:
            raise disk_failed()
        with self._reading(**kind) as tx:
            _arm(tx, told)
            yield tx
            self._runner.stand("saw")

    @contextmanager
    def writing(self, **kind: Any) -> Iterator[Tx]:  # noqa: ANN401 - whatever the store takes
        """Give a writing transaction; the scheduler sends nobody into it while another holds the lock."""
        told = self._runner.stand("write")
        if told.order is Order.BUSY:
            raise Busy(way_out="Try again in a moment.")
        if told.order is Order.FAIL:
            raise disk_failed()
        self._lock.holder = self._runner
        try:
            with self._writing(**kind) as tx:
                _arm(tx, told)
                yield tx
                if self._runner.stand("commit").order is Order.FAIL:
                    raise disk_failed()
        finally:
            self._lock.holder = None
        self._runner.committed_at = self._clock()
        if self._runner.stand("done").order is Order.LOSE:
            raise StoreError("The connection was lost.", way_out="Send the command again under its key.")


def _arm(tx: Tx, told: Told) -> None:
    """Let the n-th statement of this transaction fail."""
    if told.order is not Order.BREAK:
        return
    left = [told.number]

    def breaking(usual: Callable[..., Any]) -> Callable[..., Any]:
        def statement(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the statement takes
            left[0] -= 1
            if left[0] == 0:
                raise disk_failed()
            return usual(*given, **named)
        return statement

    for name in ("_rows", "_run", "_bulk"):
        setattr(tx, name, breaking(getattr(tx, name)))


class Gateway:
    """A channel to receivers who keep every key that they took: a message that comes again under its key is taken once."""

    name = "gateway"

    def __init__(self, runner: Runner, book: list[Sent]) -> None:
        self._runner, self._book = runner, book

    def send(self, message: Message) -> str:
        """Hand the message over; the gateway may refuse it, or take it and keep silent."""
        claimed = self._runner.committed_at
        sent = Sent(message.key, message.to, by=self._runner.name, fence=message.fence, claimed=claimed)
        if self._runner.stand("send").order is Order.FAIL:
            self._book.append(replace(sent, taken=False))
            raise DeliveryFailed("the gateway is down")
        self._book.append(sent)
        if self._runner.stand("sent").order is Order.LOSE:
            self._book[self._book.index(sent)] = replace(sent, answered=False)
            raise DeliveryFailed("the gateway did not answer in time", unsure=True)
        return ""
