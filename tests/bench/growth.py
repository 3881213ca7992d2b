"""Growth: what an idle sweep and a drained case cost as the number of armed deadlines grows."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import crisis_engine as ce
from crisis_engine.testing import SettableClock

from .city import build
from .database import Database
from .figure import Figure, median_of, per_second
from .run import Run
from .screen import progress


def bench_growth(run: Run) -> Iterator[Figure]:
    """Measure each size in a city of its own, the smallest first; say how much the idle cost grew from the first to the last."""
    for database in run.databases:
        idles: dict[int, float] = {}
        for size in run.sizes:
            idle, rate = _measured(run, database, size)
            idles[size] = idle
            yield Figure(f"growth.{database.name}.{size}", f"growth {database.name}, {size:,} armed: idle sweep", idle * 1000, "ms",
                         {"drain": per_second(rate)}, {"armed": size, "idle_ms": idle * 1000, "drain": rate})
        if len(idles) > 1:
            first, last = min(idles), max(idles)
            title = f"idle sweep {database.name}, {last:,} armed to {first:,}"
            yield Figure(f"growth.{database.name}", title, idles[last] / idles[first], "times", facts={"from": first, "to": last})


def _measured(run: Run, database: Database, size: int) -> tuple[float, float]:
    """Return the seconds of an idle sweep and the cases a second that one sweep in this process drains, medians of the rounds."""
    due = min(run.growth_due, size // 2)
    progress(f"growth {database.name}: a city of {size:,}")
    if size == run.cases:   # the city that the other parts have is of this size
        base, due = run.city(database), min(due, run.due)
    else:
        base = f"crisis_bench_growth_{size}"
        build(database, base, run.base, size, due, schools=run.schools)
    try:
        idles, rates = [], []
        for _round in range(run.rounds):
            with database.copied(base, f"{base}_copy") as url:
                with ce.open_engine(url, clock=SettableClock(run.base - timedelta(minutes=1))) as engine:
                    idles.append(median_of(engine.sweep, 200))
                with ce.open_engine(url, clock=SettableClock(run.now)) as engine:
                    begin = time.perf_counter()
                    report = engine.sweep(limit=due)
                    rates.append(due / (time.perf_counter() - begin))
                if report.raised != due:
                    sys.exit(f"the sweep raised {report.raised} of {due} among {size}")
    finally:
        progress("")
        if size != run.cases:
            database.drop(base)
    return statistics.median(idles), statistics.median(rates)
