"""What the daemon knows of itself: when it last moved, what runs, why it does not sweep; read by whoever watches it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crisis_engine.store.daemon import Pulse

WORKING = "working"

LIMITS = {"sweep": 1.0, "beat": 2.0, "deliver": 10.0, "ping": 2.0, "measure": 5.0}
"""How many times the limit of a round each job may go without progress; the others, which may walk through all cases, 60 times."""
_LONG = 60.0


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
        if self.lost:
            return "database"
        if self.state != WORKING:
            return self.state
        if not self.succeeded or time.monotonic() - self.succeeded > recent:
            return "no round"
        return ""
