"""Lateness: a real daemon process by the wall clock, the whole city armed, and a steady number of cases due each second."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import crisis_engine as ce

from .city import City
from .database import Database
from .figure import Figure, percentile, shown
from .run import Run, crisis, environment
from .screen import progress

READY_SECONDS = 25.0
"""Between the making of the steady cases and the first of them that is due: they are written, the daemon starts and rests."""

AFTER_SECONDS = 3.0
"""How long the daemon is watched after the last was due."""


def bench_lateness(run: Run) -> Iterator[Figure]:
    """Let a daemon fire what is due steadily; read from the log when each rung fired, from the system what the daemon took."""
    count = run.rate * run.seconds
    for database in run.databases:
        city = run.city(database)
        base = f"{city}_late"
        with database.copied(city, base) as url:
            with ce.open_engine(url) as engine:
                patterns = City(engine)
            begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=READY_SECONDS)

            dues = [begin + timedelta(seconds=place / run.rate) for place in range(count)]
            with database.session(base, fill=True) as session:
                patterns.fill(session, dues, prefix="S")
            memory, peak = _watched(url, dues[-1], f"lateness on {database.name}")
            late = _lateness(database, base, dues)
        title = f"lateness {database.name}, {run.rate} due a second for {run.seconds} s among {run.cases}"
        half, most = percentile(late, 0.5) * 1000, max(late) * 1000
        yield Figure(f"lateness.{database.name}", f"{title}, p99", percentile(late, 0.99) * 1000, "ms",
                     {"p50": f"{shown(half)} ms", "max": f"{shown(most)} ms", "rungs": f"{len(late):,}"},
                     {"p50": half, "max": most, "cases": run.cases})
        if memory:
            title = f"resident memory of the daemon on {database.name}"
            yield Figure(f"memory.{database.name}", title, memory, "MB", {"peak": f"{shown(peak)} MB"}, {"peak": peak})


def daemon(url: str) -> list[str]:
    """Return the command line of the daemon."""
    return crisis("daemon", "--db", url)


def _watched(url: str, last: datetime, what: str) -> tuple[float, float]:
    """Run the daemon until everything was due and some seconds more; return its largest and peak resident memory in megabytes."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(daemon(url), env=environment(), stdout=said, stderr=said)
        memory = peak = 0.0
        try:
            while (left := (last - datetime.now(UTC)).total_seconds() + AFTER_SECONDS) > 0:
                progress(f"{what}: {left:.0f} s left")
                if process.poll() is not None:
                    said.seek(0)
                    sys.exit(f"the daemon ended with {process.returncode}: {said.read()[-2000:].decode(errors='replace')}")
                now, most = resident(process.pid)
                memory, peak = max(memory, now), max(peak, most)
                time.sleep(min(0.5, left))
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            progress("")
    return memory, peak


def resident(pid: int) -> tuple[float, float]:
    """Return what a process holds and held at most, in megabytes; zeros where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0, 0.0
    found = {line.partition(":")[0]: line.partition(":")[2] for line in status.splitlines()}
    now, most = (float(found.get(name, "0 kB").split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


def _lateness(database: Database, base: str, dues: list[datetime]) -> list[float]:
    """Return how many seconds after its time each first rung fired, as the log says; SystemExit when one did not."""
    with database.session(base) as session:
        fired = dict(session.rows(
            "SELECT number, min(at) FROM crisis_event JOIN crisis_case ON crisis_case.id = case_id"
            " WHERE substr(number, 1, 1) = 'S' AND kind = 'rung_fired' GROUP BY number"))
    missing = len(dues) - len(fired)
    if missing:
        sys.exit(f"{missing} of {len(dues)} rungs on {database.name} had not fired {AFTER_SECONDS:.0f} s after the last was due")
    return [fired[f"S{place:08}"] / 1_000_000 - due.timestamp() for place, due in enumerate(dues)]
