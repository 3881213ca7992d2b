"""Real `crisis daemon` processes by the wall clock: a backlog drained while an operator works, then a steady number due each second."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import crisis_engine as ce
from crisis_engine.engine import Engine

from .city import STRIDE, City, build
from .database import Database
from .figure import Figure, percentile, shown
from .run import Run, crisis, environment
from .screen import progress

OVERDUE = "crisis_bench_overdue"

READY_SECONDS = 15.0
"""Between the making of the steady cases and the first of them that is due: they are written, and the daemon rests meanwhile."""

AFTER_SECONDS = 3.0
"""How long the daemon is watched after the last was due."""

PAUSE_SECONDS = 0.02
"""Between two commands of the operator who works while a backlog drains."""

PATIENCE_SECONDS = 600.0
"""How long a backlog may drain."""


@dataclass
class Watch:
    """Daemons that run, what they said, and the most that one of them held with its workers, in megabytes."""

    processes: list[subprocess.Popen[bytes]]
    said: IO[bytes]
    memory: float = 0.0
    waits: list[float] = field(default_factory=list)

    def look(self) -> None:
        """Note the memory; SystemExit with its last words when a daemon ended."""
        for process in self.processes:
            if process.poll() is not None:
                self.said.seek(0)
                sys.exit(f"a daemon ended with {process.returncode}: {self.said.read()[-2000:].decode(errors='replace')}")
            self.memory = max(self.memory, resident(process.pid))


def command(url: str, notices: Path) -> list[str]:
    """Return the command line of a daemon."""
    return crisis("daemon", "--db", url, "--listen", "none", "--to", str(notices))


@contextmanager
def watched(run: Run, url: str, count: int) -> Iterator[Watch]:
    """Run so many daemons for as long as the block lasts."""
    with tempfile.TemporaryFile() as said:
        processes = [
            subprocess.Popen(command(url, run.folder / f"notices-{place}.jsonl"), env=environment(), stdout=said, stderr=said)
            for place in range(count)
        ]
        try:
            yield Watch(processes, said)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            progress("")


def bench_daemon(run: Run) -> Iterator[Figure]:
    """Drain a backlog by two daemons where the database takes two, and by one beside an operator; then measure that one's lateness."""
    for database in run.databases:
        now = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
        city = build(database, OVERDUE, now, run.cases, run.due, schools=run.schools)
        try:
            if database.name != "sqlite":   # on one file a second daemon only waits for the first
                with database.copied(OVERDUE, f"{OVERDUE}_two") as url, watched(run, url, 2) as watch:
                    yield _drained(run, database, 2, _drain(run, database, f"{OVERDUE}_two", now, watch))
            with watched(run, database.url(OVERDUE), 1) as watch, ce.open_engine(database.url(OVERDUE)) as engine:
                seconds = _drain(run, database, OVERDUE, now, watch, _Operator(engine, city, database, now))
                backlog, watch.memory = watch.memory, 0.0
                dues = _steady(run, database, city, watch)
            yield _drained(run, database, 1, seconds)
            yield from _waited(database, watch.waits)
            yield _late(run, database, dues)
            if backlog:
                title = f"resident memory of the daemon on {database.name} when nothing waits long"
                yield Figure(f"memory.{database.name}", title, watch.memory, "MB",
                             {"with its workers while the backlog drained": f"{shown(backlog)} MB"}, {"peak": backlog})
        finally:
            database.drop(OVERDUE)


class _Operator:
    """Somebody who notes something on case after case that is not due."""

    def __init__(self, engine: Engine, city: City, database: Database, now: datetime) -> None:
        tomorrow = int((now + timedelta(days=1)).timestamp() * 1_000_000)
        with database.session(OVERDUE) as session:
            found = session.rows(f"SELECT number FROM crisis_case WHERE next_at > {tomorrow} ORDER BY id LIMIT 2000")  # noqa: S608 - a number
        self._numbers = [row[0] for row in found]
        self._engine, self._city, self._place = engine, city, 0

    def act(self) -> float:
        """Make one command; return the seconds that it took."""
        number = self._numbers[self._place % len(self._numbers)]
        self._place += 1
        teacher = self._city.teachers[self._city.classes[int(number[1:]) * STRIDE % len(self._city.classes)]]
        begin = time.perf_counter()
        self._engine.act(number, "note", by=teacher, fields={"text": "seen at noon"})
        return time.perf_counter() - begin


def _drain(run: Run, database: Database, base: str, now: datetime, watch: Watch, operator: _Operator | None = None) -> float:
    """Wait until nothing is due any more; return the seconds since the daemons were started."""
    begin, due = time.perf_counter(), int(now.timestamp() * 1_000_000)
    with database.session(base) as session:
        while session.rows(f"SELECT 1 FROM crisis_case WHERE final IS NULL AND next_at <= {due} LIMIT 1"):  # noqa: S608 - a number
            spent = time.perf_counter() - begin
            progress(f"{len(watch.processes)} daemon(s) drain {run.due:,} on {database.name}: {spent:.0f} s")
            watch.look()
            if spent > PATIENCE_SECONDS:
                sys.exit(f"{base} was not drained in {PATIENCE_SECONDS:.0f} s")
            if operator is not None:
                watch.waits.append(operator.act())
            time.sleep(PAUSE_SECONDS)
        seconds = time.perf_counter() - begin
        fired = session.rows("SELECT count(*) FROM crisis_event WHERE kind = 'rung_fired'")[0][0]
    if fired != run.due:
        sys.exit(f"the daemons fired {fired} rungs of {run.due}")
    return seconds


def _drained(run: Run, database: Database, count: int, seconds: float) -> Figure:
    title = f"daemon {database.name} {run.due} overdue among {run.cases}" + (", two daemons" if count == 2 else "")
    return Figure(f"daemon.{database.name}.{count}", title, run.due / seconds, "/s", {"start-up included:": f"{seconds:.1f} s"})


def _waited(database: Database, waits: list[float]) -> Iterator[Figure]:
    late, worst = percentile(waits, 0.99) * 1000, max(waits) * 1000
    title = f"operator's command while a daemon drains {database.name}, p50"
    yield Figure(f"wait.{database.name}", title, statistics.median(waits) * 1000, "ms",
                 {"p99": f"{shown(late)} ms", "max": f"{shown(worst)} ms", "commands": f"{len(waits):,}"},
                 {"max": worst, "p99": late, "commands": len(waits)})


def _steady(run: Run, database: Database, city: City, watch: Watch) -> list[datetime]:
    """Write cases that are due one after the other while the daemon runs, and wait until all were due; return their times."""
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=READY_SECONDS)
    dues = [begin + timedelta(seconds=place / run.rate) for place in range(run.rate * run.seconds)]
    with database.session(OVERDUE) as session:
        city.fill(session, dues, prefix="S")
    while (left := (dues[-1] - datetime.now(UTC)).total_seconds() + AFTER_SECONDS) > 0:
        progress(f"lateness on {database.name}: {left:.0f} s left")
        watch.look()
        time.sleep(min(0.5, left))
    return dues


def _late(run: Run, database: Database, dues: list[datetime]) -> Figure:
    """Return how long after its time each first rung fired, as the log says; SystemExit when one did not."""
    with database.session(OVERDUE) as session:
        fired = dict(session.rows(
            "SELECT number, min(at) FROM crisis_event JOIN crisis_case ON crisis_case.id = case_id"
            " WHERE substr(number, 1, 1) = 'S' AND kind = 'rung_fired' GROUP BY number"))
    missing = len(dues) - len(fired)
    if missing:
        sys.exit(f"{missing} of {len(dues)} rungs on {database.name} had not fired {AFTER_SECONDS:.0f} s after the last was due")
    late = [fired[f"S{place:08}"] / 1_000 - due.timestamp() * 1_000 for place, due in enumerate(dues)]
    half, most = percentile(late, 0.5), max(late)
    title = f"lateness {database.name}, {run.rate} due a second for {run.seconds} s among {run.cases}, p99"
    return Figure(f"lateness.{database.name}", title, percentile(late, 0.99), "ms",
                  {"p50": f"{shown(half)} ms", "max": f"{shown(most)} ms", "rungs": f"{len(late):,}"},
                  {"p50": half, "max": most, "cases": run.cases})


def resident(pid: int) -> float:
    """Return what a process and its children hold, in megabytes; nothing where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return 0.0
    own = next((line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")), "0")
    return float(own) / 1024 + sum(resident(int(child)) for child in children)
