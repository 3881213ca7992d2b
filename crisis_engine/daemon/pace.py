"""The pace of a sweep: batches as large as the machine writes in a tenth of a second, so that a person's command need not wait long."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .meter import Meter
    from .vitals import Vitals

TARGET = 0.1
"""Seconds from reading a batch to its commit; the write lock is held for about half of it (D)."""

SMALLEST, LARGEST = 50, 1_000


class EvenPace:
    """Grows and shrinks the batches by what the last one took."""

    def __init__(self) -> None:
        """Begin with a batch of middle size: the first one is measured like any other."""
        self._size, self._began = LARGEST // 2, 0.0

    def size(self, most: int) -> int:
        """Return how many cases the next batch takes."""
        self._began = time.monotonic()
        return min(self._size, most)

    def wrote(self, due: Sequence[datetime]) -> bool:
        """Measure the batch."""
        if due:
            self._size = next_size(self._size, len(due), time.monotonic() - self._began)
        return True


class BatchPace(EvenPace):
    """Notes progress and how late the rungs were too, and stops the sweep when the daemon does."""

    def __init__(self, vitals: Vitals, meter: Meter, now: Callable[[], datetime], job: str = "sweep") -> None:
        """Know where to note it."""
        super().__init__()
        self._vitals, self._meter, self._now, self._job = vitals, meter, now, job

    def wrote(self, due: Sequence[datetime]) -> bool:
        """Measure the batch and how late its rungs were; False once the daemon is to stop."""
        super().wrote(due)
        self._vitals.moved(self._job)
        now = self._now()
        for at in due:
            self._meter.lateness.observe(max(0.0, (now - at).total_seconds()))
        return not self._vitals.stopping


def next_size(size: int, wrote: int, took: float, most: int = LARGEST) -> int:
    """Return the size of the next batch: what would have taken TARGET, at most twice as many, at once fewer."""
    fits = int(wrote * TARGET / max(took, 1e-6))
    return max(SMALLEST, min(fits, size * 2, most))
