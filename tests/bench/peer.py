"""Other people's durable timers: N jobs that do nothing, due at one instant among M that are due much later, drained by one process.

Each peer runs in a process of its own (`python -m tests.bench.peer NAME URL DUE FUTURE`), under the settings that its documentation
gives for throughput. A peer's time begins with its first job, so its start-up and its wait for the instant do not count; ours do.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

from .database import Database
from .figure import Figure, per_second
from .run import Run, environment
from .screen import progress

LEAD_SECONDS = 1.5
"""Between the end of the filling and the instant at which the jobs are due."""

LONG_SECONDS = 30 * 86_400
"""When the others are due."""

PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Peer:
    """A peer: its room, the kinds of database it is measured on, its settings in words, what keeps it from being compared."""

    name: str
    room: str
    databases: tuple[str, ...]
    settings: str
    slower: int = 1     # by how much fewer jobs are due, so that a round ends within a minute
    weaker: str = ""    # a promise of ours that it does not keep under these settings: it is printed, and left out of the ratio


PEERS = (
    Peer("apscheduler", "peer_apscheduler", ("sqlite",),
         "SQLAlchemyJobStore, WAL, synchronous=FULL as ours, thread pool of 10, misfire_grace_time=None"),
    Peer("apscheduler-normal", "peer_apscheduler", ("sqlite",),
         "SQLAlchemyJobStore, WAL, synchronous=NORMAL, thread pool of 10, misfire_grace_time=None",
         weaker="may forget in a power cut that a job was done"),
    Peer("procrastinate", "peer_procrastinate", ("postgresql",), "async tasks, concurrency 20, pool of 20, delete_jobs=always",
         slower=4),
    Peer("dbos", "peer_dbos", ("sqlite", "postgresql"),
         "delayed workflows on one queue, no limit of workers, polling every 50 ms, pool of 20; SQLite: WAL, synchronous=FULL"),
)


class Tally:
    """Counts jobs as they are done, from any thread, and notes when the first began and the last ended."""

    def __init__(self, due: int) -> None:
        self.due, self.count, self.first, self.last = due, 0, 0.0, 0.0
        self.done = threading.Event()
        self._lock = threading.Lock()

    def one(self) -> None:
        """Count one job."""
        with self._lock:
            now = time.perf_counter()
            self.first = self.first or now
            self.count += 1
            self.last = now
            if self.count >= self.due:
                self.done.set()

    def wait(self, left: Callable[[], int]) -> float:
        """Wait until every job was run and the database has none left that is due; return the seconds since the first began."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            if self.done.wait(0.2) and left() == 0:
                return time.perf_counter() - self.first
        sys.exit(f"{self.count} of {self.due} jobs after {PATIENCE_SECONDS} s")


def drain(peer: Peer, url: str, due: int, future: int) -> float:
    """Fill and drain in this process; return the seconds."""
    seconds: float = import_module(f"{__package__}.{peer.room}").drain(url, due, future, full=not peer.weaker)
    return seconds


def in_process(peer: Peer, url: str, due: int, future: int) -> float:
    """Fill and drain in a process of its own; return the seconds."""
    command = [sys.executable, "-m", f"{__package__}.peer", peer.name, url, str(due), str(future)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{peer.name}: {done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def bench_peers(run: Run, figures: dict[str, Figure]) -> Iterator[Figure]:
    """Drain each peer on each of its databases, in fresh databases, then compare with our sweeps of the same run."""
    fastest: tuple[float, str] = (0.0, "")
    for database in run.databases:
        for peer in PEERS:
            if database.name not in peer.databases:
                continue
            due, armed = max(1, run.peer_due // peer.slower), run.peer_due + run.peer_future
            rates = [due / _round(run, peer, database, place, due) for place in range(run.rounds)]
            rate = statistics.median(rates)
            title = f"peer {peer.name} {database.name} {due} due among {armed}, jobs that do nothing"
            extra = {"with": peer.settings} | ({"but": peer.weaker} if peer.weaker else {})
            yield Figure(f"peer.{peer.name}.{database.name}", title, rate, "/s", extra,
                         {"rounds": rates, "weaker": peer.weaker, "due": due, "armed": armed})
            if not peer.weaker:
                fastest = max(fastest, (rate, f"{peer.name} on {database.name}"))
    for database in run.databases:
        ours = figures.get(f"sweep.{database.name}.1")
        if ours is not None and fastest[0]:
            title = f"sweep {database.name}, one process, to the fastest peer as durable"
            yield Figure(f"peer.ratio.{database.name}", title, ours.value / fastest[0], "times",
                         {"ours": per_second(ours.value), fastest[1]: per_second(fastest[0])})


def _round(run: Run, peer: Peer, database: Database, place: int, due: int) -> float:
    progress(f"{peer.name} on {database.name}, round {place + 1} of {run.rounds}")
    base = f"crisis_bench_{peer.name.replace('-', '_')}"
    database.make(base)
    try:
        return in_process(peer, database.url(base), due, run.peer_due + run.peer_future - due)
    finally:
        database.drop(base)
        progress("")


if __name__ == "__main__":
    _, name, at, many, later = sys.argv
    chosen = next(peer for peer in PEERS if peer.name == name)
    print(json.dumps({"seconds": drain(chosen, at, int(many), int(later))}), flush=True)
    os._exit(0)   # a peer's threads may go on for seconds, and nobody waits for them
