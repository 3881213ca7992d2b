"""The metronome: APScheduler calls the jobs, in memory only; the deadlines themselves are rows of the database."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, timedelta
from threading import Thread
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers import SchedulerNotRunningError
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.interval import IntervalTrigger

from crisis_engine.clock import wall_clock

THREADS = 10
"""As many as there are jobs: none waits for another's thread."""


class Metronome:
    """A scheduler in a thread of its own. That thread is what must live: APScheduler's own `running` stays true without it."""

    def __init__(self) -> None:
        """Make it; nothing runs before `start`."""
        # It warns whenever a job is due while it runs, which is how a long sweep looks from there.
        logging.getLogger("apscheduler").addHandler(logging.NullHandler())
        logging.getLogger("apscheduler").propagate = False
        self._scheduler: Any = BlockingScheduler(
            timezone=UTC, executors={"default": ThreadPoolExecutor(THREADS)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._thread = Thread(target=self._scheduler.start, name="metronome", daemon=True)

    def add(self, name: str, call: Callable[[], None], every: float) -> None:
        """Call something every so many seconds, for the first time at once."""
        self._scheduler.add_job(call, IntervalTrigger(seconds=every, timezone=UTC), id=name, next_run_time=wall_clock())

    def start(self) -> None:
        """Begin to call."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread lives that calls the jobs."""
        return self._thread.is_alive()

    def wake(self, name: str, seconds: float = 0.0) -> None:
        """Call a job in so many seconds instead of when it would be called."""
        with suppress(JobLookupError):
            self._scheduler.modify_job(name, next_run_time=wall_clock() + timedelta(seconds=seconds))

    def nudge(self) -> None:
        """Call every job now: the wall clock stepped back, and the scheduler waits for a time that is long in coming."""
        for job in self._scheduler.get_jobs():
            self.wake(job.id)

    def stop(self) -> None:
        """Call nothing more; what runs goes on."""
        with suppress(SchedulerNotRunningError):
            self._scheduler.shutdown(wait=False)
