"""The status across machines: which daemons live, what is due and unfired, what waits to be told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from crisis_engine.engine.look import local
from crisis_engine.store import Store
from crisis_engine.store.daemon import ClockWord, Living
from crisis_engine.store.lock import Holder

from .rule import ALIVE

if TYPE_CHECKING:
    from crisis_engine.engine import Look

LATE = timedelta(seconds=60)
"""What is due for longer and unfired is a fault of the clockwork (D)."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """All daemons of a database as they last said, and what waits."""

    now: datetime
    daemons: tuple[Living, ...]
    oldest_due: datetime | None
    next_at: datetime | None
    waiting: int
    oldest_waiting: datetime | None
    dead: int
    late_after: timedelta = LATE
    keeper: Holder | None = None           # who keeps SQLite's write lock, so that nobody else can write
    trusted: ClockWord | None = None       # who said last that a clock is right

    def alive(self, one: Living) -> bool:
        """Whether a daemon showed life lately."""
        return abs(self.now - one.beat_at) < ALIVE

    @property
    def late(self) -> bool:
        """Whether a rung is due for longer than it may."""
        return self.oldest_due is not None and self.now - self.oldest_due > self.late_after

    @property
    def works(self) -> bool:
        """Whether any daemon lives that sweeps."""
        return any(self.alive(one) and one.state == "working" for one in self.daemons)

    @property
    def ok(self) -> bool:
        """Whether people may rely on it."""
        return self.works and not self.late and self.keeper is None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "ok": self.ok, "works": self.works, "late": self.late,
            "daemons": [
                {"id": one.id, "host": one.host, "pid": one.pid, "version": one.version, "schema": one.revision,
                 "definitions": one.definitions, "alive": self.alive(one), "state": one.state, "started_at": local(one.started_at),
                 "beat_at": local(one.beat_at), "round_at": local(one.round_at), "success_at": local(one.success_at)}
                for one in self.daemons
            ],
            "oldest_due": local(self.oldest_due), "next_at": local(self.next_at), "outbox": self.waiting,
            "oldest_waiting": local(self.oldest_waiting), "dead": self.dead,
            "lock": None if self.keeper is None else {
                "pid": self.keeper.pid, "stopped": self.keeper.stopped, "wrote_at": local(self.keeper.wrote_at)},
            "clock_trusted": None if self.trusted is None else {"at": local(self.trusted.at), "by": self.trusted.by},
        }


def status(look: Look, *, late_after: timedelta = LATE) -> StatusReport:
    """Return how the clockwork stands; reads only."""
    now = look.now()
    keeper = look.store.lock_holder(keeps=True) if isinstance(look.store, Store) else None
    with look.store.reading() as tx:
        found = tx.backlog(now)
        return StatusReport(now, tuple(tx.daemons()), found.oldest_due, tx.pulse().next_at, found.waiting, found.oldest_waiting,
                            tx.dead_count(), late_after, keeper, tx.last_clock_word())
