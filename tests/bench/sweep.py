"""The sweep: draining what is due at one instant by one process and by two, and what an operator waits for meanwhile."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import crisis_engine as ce
from crisis_engine.testing import SettableClock

from .city import STRIDE
from .database import Database
from .figure import Figure, median_of, per_second, percentile, shown
from .raw import raw_limit, work_of
from .run import Run, crisis, start
from .screen import progress

PAUSE_SECONDS = 0.02
"""Between two commands of the operator who works while a backlog drains."""


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


def bench_wait(run: Run) -> Iterator[Figure]:
    """Act as an operator on cases that are not due, while another process drains the backlog: each command's wait."""
    for database in run.databases:
        city = run.city(database)
        progress(f"an operator's wait while {database.name} drains")
        with database.copied(city, f"{city}_wait") as url, ce.open_engine(url, clock=SettableClock(run.now)) as engine:
            roster = engine.roster(subjects=False)
            classes = sorted(unit["id"] for unit in roster["units"] if unit["kind"] == "class")
            teachers = {duty["unit"]: duty["person"] for duty in roster["duties"] if duty["role"] == "class_teacher"}
            tomorrow = int((run.base + timedelta(days=1)).timestamp() * 1_000_000)
            with database.session(f"{city}_wait") as session:
                found = session.rows(f"SELECT number FROM crisis_case WHERE next_at > {tomorrow} ORDER BY id LIMIT 2000")  # noqa: S608 - a number
            quiet = [row[0] for row in found]
            process = _sweeper(run, url, "1/1")
            waits: list[float] = []
            place = 0
            while process.poll() is None:
                number = quiet[place % len(quiet)]
                teacher = teachers[classes[int(number[1:]) * STRIDE % len(classes)]]
                begin = time.perf_counter()
                engine.act(number, "note", by=teacher, fields={"text": "seen at noon"})
                waits.append(time.perf_counter() - begin)
                place += 1
                time.sleep(PAUSE_SECONDS)
            report = json.loads(process.communicate()[0])
        progress("")
        if report["raised"] != run.due:
            sys.exit(f"the sweep raised {report['raised']} cases of {run.due} beside an operator")
        late, worst = percentile(waits, 0.99) * 1000, max(waits) * 1000
        title = f"operator's command while {database.name} drains, p50"
        yield Figure(f"wait.{database.name}", title, statistics.median(waits) * 1000, "ms",
                     {"p99": f"{shown(late)} ms", "max": f"{shown(worst)} ms", "commands": f"{len(waits):,}"},
                     {"max": worst, "p99": late, "commands": len(waits)})
