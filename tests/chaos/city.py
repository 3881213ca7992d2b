"""A city in one process: two daemons, people who write, an operator and receivers, all driven from one seed; see docs/chaos.md."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from traceback import extract_tb
from unittest.mock import patch

from crisis_engine import open_engine
from crisis_engine.example import example_roster
from tests.chaos.baton import Order, Runner, Told
from tests.chaos.history import UNKNOWN
from tests.chaos.people import Figures, People
from tests.chaos.seam import FAULTS
from tests.chaos.verdict import find_flaws
from tests.machine import template
from tests.promise import Watch
from tests.story import copy_city

DAEMONS, WRITERS = ("d1", "d2"), ("w1", "w2", "w3")
MOST_STEPS = 20_000   # of the liveness mode: more means that somebody turns in a circle


class Flawed(AssertionError):
    """A promise is broken; `seed` repeats it."""


class Simulation(People):
    """One city from one seed. `run` is the whole of it; what breaks a promise raises."""

    def __init__(self, seed: int, *, steps: int = 300) -> None:
        super().__init__(Random(seed))
        self.seed, self.steps = seed, steps
        self.runners: dict[str, Runner] = {}
        self._paused: set[str] = set()
        self._trace = sha256()
        self._faults = self.rnd.choice([0.0, 0.02, 0.05, 0.15])
        self._stays = self.rnd.choice([0.0, 0.5, 0.8, 0.95])  # how likely the same process goes on: short and long runs
        self._last = ""
        self._held: tuple[str, int] | None = None             # a daemon that decided and is kept from writing until somebody else wrote
        self._behind: set[str] = set()                        # daemons that decided by a roster that has changed since
        self._suspicious = False                              # one of them wrote: nobody who left may hold anything now
        self._stamp = -1

    # ---- the whole -------------------------------------------------------------------------------------------------------

    def run(self) -> Figures:
        """Play the seed: faults with every promise looked after at each step, then calm, in which everything owed must happen."""
        folder = Path(tempfile.mkdtemp(prefix="crisis-chaos-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))  # noqa: S108 - made by mkdtemp
        self.path = folder / "city.db"
        copy_city(template(), self.path)
        try:
            chance = patch("crisis_engine.engine.deliver.chance", Random(self.seed).random)
            with patch("secrets.choice", Random(self.seed).choice), chance, self.overhearing(), self._watched():
                try:
                    for _step in range(self.steps):
                        self._tick()
                    self._calm_down()
                finally:
                    self._end()
                flaws = find_flaws(self.observer, self.now, self.calls, self.book)
                assert not flaws, "; ".join(flaws[:5])
                self._read_off()
        except AssertionError as flaw:
            where = extract_tb(flaw.__traceback__)[-1]
            raise Flawed(f"seed {self.seed}, step {self.figures.steps}: {str(flaw) or where.line}") from flaw
        finally:
            shutil.rmtree(folder)
        return self.figures

    @contextmanager
    def _watched(self) -> Iterator[None]:
        roster = example_roster()
        known = [*(person.id for person in roster.persons), *(guardian.id for guardian in roster.guardians)]
        with open_engine(f"sqlite:///{self.path}", clock=lambda: self.now, create=False) as self.observer:
            self.watch = Watch(self.path, self.observer, [*known, *(kid.ref for kid in roster.subjects)])
            for name in (*DAEMONS, *WRITERS, "operator"):
                self._start(name)
            try:
                yield
            finally:
                self.watch.close()

    def _start(self, name: str) -> None:
        life = self.daemon if name in DAEMONS else self.writer if name in WRITERS else self.operator
        self.runners[name] = Runner(name, life, self._passes)
        self.runners[name].step(Told(Order.GO))

    def _passes(self, point: str) -> bool:
        """Whether a process does not stop at a point: in calm only where it must, else now and then."""
        if self.calm:
            return point not in {"idle", "write"}
        return point in {"read", "saw", "sent"} and self.rnd.random() < 0.6

    def _end(self) -> None:
        for runner in self.runners.values():
            while not runner.done:
                runner.step(Told(Order.CRASH))

    def _read_off(self) -> None:
        """Take the figures, and the log of every case into the trace: what came of it belongs to what happened."""
        self.figures.messages = len({one.key for one in self.book if one.taken})
        with self.observer.store.reading() as tx:
            for case in self.watch.cases.values():
                for event in tx.events(case.number):
                    self.figures.rungs += event.kind == "rung_fired"
                    self._note(case.number, event.kind, event.by, event.at.isoformat())
        self.figures.trace = self._trace.hexdigest()

    # ---- the scheduler ---------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        chance = self.rnd.random()
        if self._suspicious:
            self._look_around()
        elif chance < 0.06:
            self._time_passes()
        elif chance < 0.075 and self._faults:
            self._clock_jumps()
        elif chance < 0.09 and self._faults:
            self._pause_or_resume()
        elif chance < 0.105:
            self._look_around()
        else:
            self._let_run(self._choose())

    def _time_passes(self) -> None:
        moments = [case.next_at for case in self.watch.cases.values() if case.open and case.next_at is not None]
        if moments and self.rnd.random() < 0.7:
            self.now = max(self.now, min(moments))
        else:
            self.now += timedelta(minutes=self.rnd.choice([1, 5, 20, 90, 60 * 7]))
        self._note("time", self.now.isoformat())

    def _clock_jumps(self) -> None:
        span = timedelta(minutes=self.rnd.choice([-60, -5, 60, 60 * 24]))
        self.now += span
        if span < timedelta():
            self.watch.ran_back(self.now)
        self._count("clock jump")
        self._note("jump", self.now.isoformat())

    def _pause_or_resume(self) -> None:
        name = self.rnd.choice(sorted(self.runners))
        if name in self._paused:
            self._paused.discard(name)
        elif len(self._paused) < 2:
            self._paused.add(name)
            self._count("pause")
        self._note("pause", name)

    def _choose(self) -> Runner | None:
        kept = self._held[0] if self._held is not None and self.figures.steps < self._held[1] else None
        able = [runner for name, runner in self.runners.items() if name not in self._paused and name != kept]
        held = self.lock.holder
        stuck = held is not None and held.name in self._paused   # then SQLite's patience ends, and a writer is told so
        able = [runner for runner in able if runner.point != "write" or held in {None, runner} or (stuck and self.rnd.random() < 0.3)]
        if not able:
            return None
        if self.rnd.random() < self._stays:
            for runner in able:
                if runner.name == self._last:
                    return runner
        return self.rnd.choice([*able, *(runner for runner in able if runner.name in {*DAEMONS, "operator"})])

    def _let_run(self, runner: Runner | None) -> None:
        if runner is None:
            self._paused.clear()
            return
        self._last = runner.name
        if runner.done:
            self._restart(runner)
            return
        point, told = runner.point, self._order(runner)
        self._step(runner, told)
        self._note(f"{runner.name} {point} {told.order.name} {told.number}", runner.point)

    def _order(self, runner: Runner) -> Told:
        if runner.point == "write" and self.lock.holder not in {None, runner}:
            self._count("busy")
            return Told(Order.BUSY)
        if self.calm or self.rnd.random() >= self._faults:
            return Told(Order.GO)
        order = self.rnd.choice(FAULTS[runner.point])
        self._count(f"{order.name.lower()} at {runner.point}")
        return Told(order, self.rnd.choice([1, 2, 3, 5, 8, 13]))

    def _step(self, runner: Runner, told: Told) -> None:
        """Let one process go on to its next seam, then look at every promise if anything was committed."""
        self.figures.steps += 1
        runner.step(told)
        if runner.fault is not None:
            raise AssertionError(f"{runner.name} died of {type(runner.fault).__name__}: {runner.fault}") from runner.fault
        if runner.done:
            self._cut_off(runner.name)
        if self.lock.holder is None and self.watch.stamp() != self._stamp:
            self.watch.look(self.now)
            self._stamp, self._held = self.watch.stamp(), None
            self._roster_moved(runner)
        if runner.point == "write" and runner.name in DAEMONS and not self.calm:
            if self._faults and self.rnd.random() < 0.3:
                self._held = runner.name, self.figures.steps + 30
            if self.called.get(runner.name) and self.rnd.random() < 0.6:
                self._roster_moves(runner)

    def _roster_moves(self, daemon: Runner) -> None:
        """Let the operator, between a sweep's decision and its write, send somebody away whom it calls on; then it writes."""
        operator = self.runners["operator"]
        if operator.point != "idle" or self.lock.holder is not None:
            return
        self.between = daemon.name
        for runner in (operator, daemon):
            self._step(runner, Told(Order.GO))
            while runner.point not in {"done", "idle", "gone"}:
                self._step(runner, Told(Order.GO))
        self.between = ""
        self._note("roster moves", daemon.name)

    def _roster_moved(self, wrote: Runner) -> None:
        """Keep who decided by the roster as it was before this commit; when one of them writes, it is looked after at once."""
        if wrote.name == "operator":
            self._behind |= {name for name in DAEMONS if self.runners[name].point == "write"}
        elif wrote.name in self._behind:
            self._behind.discard(wrote.name)
            self._suspicious = not self.calm

    def _cut_off(self, name: str) -> None:
        """Whoever waited for this process hears nothing more."""
        if name in self.under_way:
            self.ended(name, UNKNOWN)

    def _restart(self, runner: Runner) -> None:
        if self.rnd.random() < 0.2:
            self.revised ^= {runner.name}   # it comes back with other definitions
        self.called.pop(runner.name, None)
        self._start(runner.name)
        self._note("start", runner.name)

    def _count(self, what: str) -> None:
        self.figures.faults[what] += 1

    def _note(self, *what: str) -> None:
        self._trace.update(" ".join(what).encode() + b"\n")

    def _look_around(self) -> None:
        """Let everybody come to rest and one sweep be made: then everything that is due has fired, and nobody who left holds anything."""
        calm, self.calm = self.calm, True
        for name in sorted(self.runners):
            while self.runners[name].point not in {"idle", "gone"}:
                holder = self.lock.holder
                self._let_run(holder if holder is not None and self.runners[name].point == "write" else self.runners[name])
        self.calm = calm
        assert self.observer.sweep().failed == 0, "a case could not be decided"
        self.watch.look(self.now, swept=True)
        self._stamp, self._suspicious = self.watch.stamp(), False
        self._note("look", str(self.figures.steps))

    # ---- liveness --------------------------------------------------------------------------------------------------------

    def _calm_down(self) -> None:
        """Faults stop: within bounded steps every command is answered, everything due has fired, every message has arrived."""
        self.calm = True
        self._paused.clear()
        self._settle()
        for hours in (2, 26):   # whoever may be woken at once; whoever is asleep the next morning
            self.now = max(self.now, self.watch.latest) + timedelta(hours=hours)
            self._settle()
        self.watch.look(self.now, swept=True)

    def _settle(self) -> None:
        """Let everybody work until all commands are answered and both daemons had two whole rounds."""
        rounds = {name: self.rounds[name] + 2 for name in DAEMONS}
        for _step in range(MOST_STEPS):
            if not self.again and not self.under_way and all(self.rounds[name] >= most for name, most in rounds.items()):
                return
            able = [runner for runner in self.runners.values() if runner.point != "write" or self.lock.holder in {None, runner}]
            busy = [runner for runner in able if runner.name in DAEMONS or self.again or runner.point not in {"idle", "gone"}]
            self._let_run(self.rnd.choice(busy))
        raise AssertionError(f"no end after {MOST_STEPS} steps without faults")
