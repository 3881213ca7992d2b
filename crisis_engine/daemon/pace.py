"""The pace of a sweep: batches as large as the machine writes in a quarter of a second, so that a person's command need not wait long."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from .meter import Meter
from .vitals import Vitals

TARGET = 0.25
"""Seconds from reading a batch to its commit; the write lock is held for about half of it."""

SMALLEST = 50


class BatchPace:
    """Grows and shrinks the batches by what the last one took, notes progress, and stops the sweep when the daemon does."""

    def __init__(self, vitals: Vitals, meter: Meter, now: Callable[[], datetime], job: str = "sweep") -> None:
        """Begin with a batch of middle size: the first one is measured like any other."""
        self._vitals, self._meter, self._now, self._job = vitals, meter, now, job
        self._size, self._began = 1_000, 0.0

    def size(self, most: int) -> int:
        """Return how many cases the next batch takes."""
        self._began = time.monotonic()
        return min(self._size, most)

    def wrote(self, due: Sequence[datetime]) -> bool:
        """Measure the batch and how late its rungs were; False once the daemon is to stop."""
        took = time.monotonic() - self._began
        self._vitals.moved(self._job)
        now = self._now()
        for at in due:
            self._meter.lateness.observe(max(0.0, (now - at).total_seconds()))
        if due:
            self._size = next_size(self._size, len(due), took)
        return not self._vitals.stopping


def next_size(size: int, wrote: int, took: float, most: int = 2_500) -> int:
    """Return the size of the next batch: what would have taken TARGET, at most twice as many, at once fewer."""
    fits = int(wrote * TARGET / max(took, 1e-6))
    return max(SMALLEST, min(fits, size * 2, most))
