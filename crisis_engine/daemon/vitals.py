"""What the daemon knows of itself: when it last moved, what runs, why it does not sweep; read by whoever watches it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crisis_engine.store.daemon import Pulse
from crisis_engine.store.lock import Holder

WORKING = "working"

KEPT_LONG = 10.0
"""Seconds for which somebody keeps the write lock before it is told: as long as a command waits for it."""

AHEAD = 5.0
"""Seconds by which a record may be ahead of this clock: it was written by a clock that is fast, or this one is slow (D)."""

LIMITS = {"sweep": 1.0, "beat": 2.0, "deliver": 10.0, "ping": 2.0, "measure": 5.0}
"""How many times the limit of a round each job may go without progress; the others, which may walk through all cases, 60 times."""
_LONG = 60.0


@dataclass(frozen=True, slots=True)
class Keeper:
    """A process that was seen with the write lock, and since when, by the stopwatch, nothing was written."""

    holder: Holder
    since: float

    @property
    def seconds(self) -> float:
        """For how long it has been seen so."""
        return time.monotonic() - self.since

    @property
    def words(self) -> str:
        """Who it is, for a person who has to end it or let it go on."""
        stopped = ", which is stopped," if self.holder.stopped else ""
        return f"process {self.holder.pid}{stopped} has kept the write lock for {self.seconds:.0f} s"


@dataclass(slots=True)
class Vitals:
    """The daemon's own state. Each field is written by one thread and read by others as it stands."""

    mono: float = field(default_factory=time.monotonic)   # when it began
    turned: float = 0.0                        # the end of the last round, by the stopwatch
    succeeded: float = 0.0                     # the end of the last round that did all that it should
    round_at: datetime | None = None
    success_at: datetime | None = None
    state: str = WORKING                       # or why it does not sweep: "schema", "definitions", "clock", "apart", "database"
    aside: str = ""                            # "schema" or "definitions" while a newer daemon lives
    place: tuple[int, int] = (0, 1)            # the k-th of n daemons that work
    pulse: Pulse | None = None
    lost: float = 0.0                          # since when the database is away, by the stopwatch
    tries: int = 0
    step: timedelta = timedelta()              # the last step of the wall clock
    running: dict[str, float] = field(default_factory=dict)   # job -> its last progress
    hears: bool = False                        # the database calls when a nearer deadline is armed
    called: bool = False                       # it did, while a round ran
    stopping: bool = False
    keeper: Keeper | None = None               # who keeps the database's write lock, where one does
    ahead: float = 0.0                         # by how many seconds the log's newest record is ahead of this clock

    @contextmanager
    def at_work(self, job: str) -> Iterator[None]:
        """Keep that a job runs."""
        self.running[job] = time.monotonic()
        try:
            yield
        finally:
            self.running.pop(job, None)

    def moved(self, job: str) -> None:
        """Keep that a job that runs came further."""
        if job in self.running:
            self.running[job] = time.monotonic()

    def stuck(self, limit: float) -> str:
        """Return the job that has not come further for longer than it may; empty when there is none."""
        now = time.monotonic()
        return next((job for job, since in list(self.running.items()) if now - since > limit * LIMITS.get(job, _LONG)), "")

    def silent(self) -> float:
        """Return for how many seconds no round ended."""
        return time.monotonic() - (self.turned or self.mono)

    def unready(self, recent: float) -> str:
        """Return why nobody should rely on this daemon at the moment, or nothing."""
        if self.stopping:
            return "stopping"
        if self.keeper is not None and self.keeper.seconds >= KEPT_LONG:
            return f"database: {self.keeper.words}"
        if self.lost:
            return "database"
        if self.state != WORKING:
            return self.state
        if not self.succeeded or time.monotonic() - self.succeeded > recent:
            return "no round"
        return ""

    def remark(self) -> str:
        """Return what somebody should look at though this daemon does its work, or nothing."""
        return f"the newest record is {self.ahead:.0f} s ahead of this machine's clock" if self.ahead >= AHEAD else ""
