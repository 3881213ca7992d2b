"""A crew of real processes on one database, and the hand that kills, stops and wakes them; what they heard is judged at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from crisis_engine import open_engine
from crisis_engine.core.errors import StoreError
from tests.chaos.verdict import find_flaws
from tests.chaos.worker import Book, Task, busy, heard, open_calls, order

ROOT = Path(__file__).parent.parent.parent
SPEED = 900.0   # a quarter of an hour in a second
A_ROUND = 100
"""Kills on one database before it is judged: a long run is many rounds, each on a fresh copy of the city and with a seed of its own."""


def rounds_of(seed: int, kills: int, most: int = A_ROUND) -> list[tuple[int, int]]:
    """Return seed and kills of each round of a run: a flaw is found early, and a run that was cut off goes on with its next round."""
    return [(seed + place, min(most, kills - done)) for place, done in enumerate(range(0, kills, most))]


class Crew:
    """Writers and daemons on one database. Each has a name; a killed one comes back at once under another."""

    def __init__(self, url: str, folder: Path, seed: int, *, writers: int = 3, daemons: int = 2, speed: float = SPEED) -> None:
        self.url, self.folder, self.rnd = url, folder, Random(seed)
        folder.mkdir(exist_ok=True)
        self.since, self.speed = time.time(), speed
        self.faults: Counter[str] = Counter()
        self.pids: dict[str, int] = {}
        self.stopped: dict[str, float] = {}    # until when
        self._roles = ["writer"] * writers + ["daemon"] * daemons
        self._number = 0
        self._server = subprocess.Popen([sys.executable, "-m", "tests.chaos.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        cwd=ROOT)

    def __enter__(self) -> Self:
        for role in self._roles:
            self.start(role)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for name in list(self.pids):
            self.kill(name)
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(10)
        assert self._server.stdout is not None
        self._server.stdout.close()

    def start(self, role: str, after: str = "") -> str:
        """Start a process; as the successor of a writer it may send again what that one heard no answer to."""
        self._number += 1
        name = f"{role}-{self._number}"
        again = open_calls(self.folder / f"{after}.jsonl") if after and self.rnd.random() < 0.8 else []
        task = Task(name, role, self.rnd.randrange(2**32), self.url, str(self.folder), self.since, self.speed, again)
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(order(task).encode())
        self._server.stdin.flush()
        self.pids[name] = int(self._server.stdout.readline())
        return name

    def kill(self, name: str) -> None:
        """Kill a process and wait until it is gone."""
        pid = self.pids.pop(name)
        self.stopped.pop(name, None)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 30
        while is_alive(pid):
            assert time.monotonic() < until, f"{name} does not die"
            time.sleep(0.001)

    def harm(self) -> None:
        """Do one thing to one of them: most often a kill, else a stop that is longer than any lease of the story, or a waking."""
        for name, until in list(self.stopped.items()):
            if time.monotonic() > until:
                os.kill(self.pids[name], signal.SIGCONT)
                del self.stopped[name]
        name = self.rnd.choice(sorted(self.pids))
        self._let_work(name)
        if name not in self.stopped and len(self.stopped) < 2 and self.rnd.random() < 0.15:
            os.kill(self.pids[name], signal.SIGSTOP)
            self.stopped[name] = time.monotonic() + self.rnd.choice([0.1, 0.5, 1.0])
            self.faults["SIGSTOP"] += 1
            return
        self.kill(name)
        self.faults["SIGKILL"] += 1
        self.start(name.partition("-")[0], after=name)

    def _let_work(self, name: str) -> None:
        """Wait until a process has come to do something, or is stopped: who dies before its first command proves little."""
        file, most = self.folder / f"{name}.jsonl", self.rnd.choice([1, 400, 2_000])
        until = time.monotonic() + 1
        while name not in self.stopped and time.monotonic() < until and (not file.exists() or file.stat().st_size < most):
            time.sleep(0.005)

    def rage(self, kills: int, beside: Callable[[int], None] = lambda _turn: None) -> None:
        """Harm them until so many were killed, each after a moment of work; `beside` may do more at each turn."""
        turn = 0
        while self.faults["SIGKILL"] < kills:
            time.sleep(self.rnd.uniform(0.0, 0.03))
            for name, pid in self.pids.items():
                assert is_alive(pid), f"{name} fell over by itself: {self._last_words(name)}"
            beside(turn)
            self.harm()
            turn += 1

    def work(self, seconds: float, beside: Callable[[], None] = lambda: None) -> None:
        """Leave them to their work for so long; `beside` is called every second."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(min(1.0, max(0.0, until - time.monotonic())))
            for name, pid in self.pids.items():
                assert is_alive(pid), f"{name} fell over by itself: {self._last_words(name)}"
            beside()

    def _last_words(self, name: str) -> str:
        file = self.folder / f"{name}.fell"
        return file.read_text(encoding="utf-8") if file.exists() else "without a word"

    def judge(self, url: str = "", unasked: Collection[str] = ()) -> list[str]:
        """Let one last process do what is owed, then return every flaw that is found."""
        for name in list(self.pids):
            self.kill(name)
        task = Task("judge", "daemon", 10**9, url or self.url, str(self.folder), self.since, self.speed)
        now = [task.now()]
        with open_engine(url or self.url, clock=lambda: now[0], channels=(_Patient(task),), create=False) as engine:
            for hours in (0, 2, 26):
                now[0] += timedelta(hours=hours)
                until = time.monotonic() + 60
                while True:
                    try:
                        assert engine.sweep().failed == 0, "a case could not be decided"
                        engine.deliver()
                        break
                    except StoreError:
                        assert time.monotonic() < until, "the database does not come back"
                        time.sleep(0.05)
            calls, book = heard(self.folder)
            self.faults["commands"] = len(calls)
            self.faults["unknown"] = sum(call.outcome == "unknown" for call in calls)
            self.faults["acknowledged"] = sum(call.outcome == "ok" for call in calls)
            self.faults["busy"] = busy(self.folder)
            self.faults["messages"] = len({one.key for one in book})
            with engine.store.reading() as tx:
                self.faults["rungs"] = int(tx._value("SELECT count(*) FROM crisis_event WHERE kind = 'rung_fired'"))  # noqa: SLF001 - counts
            return find_flaws(engine, now[0], calls, book, unasked=unasked)


class _Patient(Book):
    """The gateway of the last process: it refuses nothing."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._rnd = _Calm()


class _Calm(Random):
    def random(self) -> float:
        return 1.0


def is_alive(pid: int) -> bool:
    """Whether there is such a process, not merely its name in the table."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
