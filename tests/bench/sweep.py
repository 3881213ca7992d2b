"""The sweep: draining what is due at one instant by one process and by two, beside the same rows written raw."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import crisis_engine as ce
from crisis_engine.testing import SettableClock

from .database import Database
from .figure import Figure, median_of, per_second, shown
from .raw import raw_limit, work_of
from .run import Run, crisis, start
from .screen import progress


def sweepers(run: Run, database: Database, url: str, count: int) -> tuple[float, int]:
    """Let so many whole `crisis sweep` processes share what is due; return the seconds until the last is done, and cases raised."""
    begin = time.perf_counter()
    processes = [_sweeper(run, url, f"{place + 1}/{count}") for place in range(count)]
    reports = [json.loads(process.communicate()[0]) for process in processes]
    seconds = time.perf_counter() - begin
    if any(process.returncode for process in processes):
        sys.exit(f"a sweep of {database.name} ended with {[process.returncode for process in processes]}: {reports}")
    return seconds, sum(report["raised"] for report in reports)


def _sweeper(run: Run, url: str, share: str) -> subprocess.Popen[str]:
    return start(crisis("sweep", "--json", "--db", url, "--share", share), {"CRISIS_NOW": run.now.isoformat()})


def bench_sweep(run: Run) -> Iterator[Figure]:
    """Drain all that is due at one instant, several times; write the same rows by the plain driver; ask again when nothing is due."""
    for database in run.databases:
        city = run.city(database)
        rates: dict[int, list[float]] = {1: [], 2: []}
        limits: list[float] = []
        for place in range(run.rounds):
            for count, found in rates.items():
                progress(f"sweep {database.name}, {count} process(es), round {place + 1} of {run.rounds}")
                with database.copied(city, f"{city}_sweep") as url:
                    seconds, raised = sweepers(run, database, url, count)
                    if raised != run.due:
                        sys.exit(f"the sweep raised {raised} cases of {run.due}")
                    found.append(run.due / seconds)
                    if place == 0 and count == 1:
                        work = work_of(database, city, f"{city}_sweep")
                        idle = _idle(run, url)
            limits.append(raw_limit(database, city, work))
        progress("")
        raw = statistics.median(limits)
        for count, found in rates.items():
            rate = statistics.median(found)
            title = f"sweep {database.name} {run.due} due among {run.cases}" + (", two processes" if count == 2 else "")
            yield Figure(f"sweep.{database.name}.{count}", title, rate, "/s", {"raw limit": per_second(raw), "ratio": shown(rate / raw)},
                         {"rounds": found, "raw": raw, "raw_rounds": limits, "due": run.due, "cases": run.cases})
        yield Figure(f"idle.{database.name}", f"idle sweep {database.name}", idle * 1000, "ms")


def _idle(run: Run, url: str) -> float:
    with ce.open_engine(url, clock=SettableClock(run.now)) as engine:
        return median_of(engine.sweep, 200)
