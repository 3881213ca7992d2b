"""A city in one process: two daemons, people who write, an operator and receivers, all driven from one seed; see docs/chaos.md."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random
from traceback import extract_tb
from typing import Any
from unittest.mock import patch

from crisis_engine import CrisisError, Engine, open_engine
from crisis_engine.core.errors import Busy, StoreError
from crisis_engine.core.events import Notice
from crisis_engine.core.model import Absence
from crisis_engine.core.procedure import Procedure
from crisis_engine.definitions import load_procedure
from crisis_engine.doctor import examine
from crisis_engine.example import EXAMPLE_NOW, example_roster
from crisis_engine.roster import RosterSet
from crisis_engine.store.instant import instant, instant_or_none
from tests.chaos.baton import Order, Runner, Told
from tests.chaos.history import FAIL, OK, UNKNOWN, Call, Life, Sent, lost_or_doubled, messages, rungs, still_due, untold, words
from tests.chaos.seam import FAULTS, Gateway, Seam, WriteLock
from tests.machine import template
from tests.promise import FACT, Watch
from tests.story import copy_city

DAEMONS, WRITERS = ("d1", "d2"), ("w1", "w2", "w3")
CLASSES = {"xinyang/shihe/no-3/g7/c2": ("stu-41", "stu-42"), "xinyang/shihe/no-3/g7/c1": ("stu-31",)}
STAFF = ("p-11", "p-21", "p-31", "p-33", "p-34", "p-35", "p-101", "p-3")
MOST_STEPS = 20_000   # of the liveness mode: more means that somebody turns in a circle
_KEY = re.compile(f"{FACT}<(.+?)>")


class Flawed(AssertionError):
    """A promise is broken; `seed` repeats it."""


@dataclass(frozen=True)
class Command:
    """One thing that somebody wants: which call of the face, with what, under which key."""

    key: str
    what: str
    fields: dict[str, Any]


@dataclass
class Figures:
    """What a run came to."""

    steps: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    rungs: int = 0
    messages: int = 0
    trace: str = ""

    def add(self, other: Figures) -> None:
        """Add what another run came to."""
        self.steps += other.steps
        self.faults += other.faults
        self.calls += other.calls
        self.rungs += other.rungs
        self.messages += other.messages


class Simulation:
    """One city from one seed. `run` is the whole of it; what breaks a promise raises."""

    def __init__(self, seed: int, *, steps: int = 300) -> None:
        self.seed, self.steps = seed, steps
        self.rnd = Random(seed)
        self.now = EXAMPLE_NOW.astimezone(UTC)
        self.skew: dict[str, timedelta] = {}
        self.figures = Figures()
        self.calls: list[Call] = []
        self.book: list[Sent] = []
        self.lock = WriteLock()
        self.runners: dict[str, Runner] = {}
        self._under_way: dict[str, Command] = {}             # by process: the command that it gives
        self._again: deque[Command] = deque()                # commands of unknown outcome that somebody will send again
        self._paused: set[str] = set()
        self._number = 0
        self._rounds: Counter[str] = Counter()
        self._trace = sha256()
        self._faults = self.rnd.choice([0.0, 0.02, 0.05, 0.15])
        self._stays = self.rnd.choice([0.0, 0.5, 0.8, 0.95])  # how likely the same process goes on: short and long runs
        self._last = ""
        self._calm = False
        self._revised: set[str] = set()
        self._stamp = -1

    # ---- the whole -------------------------------------------------------------------------------------------------------

    def run(self) -> Figures:
        """Play the seed: faults with every promise looked after at each step, then calm, in which everything owed must happen."""
        folder = Path(tempfile.mkdtemp(prefix="crisis-chaos-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))  # noqa: S108 - made by mkdtemp
        self.path = folder / "city.db"
        copy_city(template(), self.path)
        try:
            with patch("secrets.choice", Random(self.seed).choice), self._watched():
                try:
                    for _step in range(self.steps):
                        self._tick()
                    self._calm_down()
                finally:
                    self._end()
                self._examine()
        except AssertionError as flaw:
            where = extract_tb(flaw.__traceback__)[-1]
            raise Flawed(f"seed {self.seed}, step {self.figures.steps}: {str(flaw) or where.line}") from flaw
        finally:
            shutil.rmtree(folder)
        self.figures.trace = self._trace.hexdigest()
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
        life = self._daemon if name in DAEMONS else self._writer if name in WRITERS else self._operator
        self.runners[name] = Runner(name, life, self._passes)
        self.runners[name].step(Told(Order.GO))

    def _passes(self, point: str) -> bool:
        """Whether a process does not stop at a point: in calm only where it must, else now and then."""
        if self._calm:
            return point not in {"idle", "write"}
        return point in {"read", "saw", "sent"} and self.rnd.random() < 0.6

    def _end(self) -> None:
        for runner in self.runners.values():
            while not runner.done:
                runner.step(Told(Order.CRASH))

    # ---- the scheduler ---------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        chance = self.rnd.random()
        if chance < 0.06:
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
        able = [runner for name, runner in self.runners.items() if name not in self._paused]
        held = self.lock.holder
        stuck = held is not None and held.name in self._paused   # then SQLite's patience ends, and a writer is told so
        able = [runner for runner in able if runner.point != "write" or held in {None, runner} or (stuck and self.rnd.random() < 0.3)]
        if not able:
            return None
        if self.rnd.random() < self._stays:
            for runner in able:
                if runner.name == self._last:
                    return runner
        return self.rnd.choice([*able, *(runner for runner in able if runner.name in DAEMONS)])

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
        if self._calm or self.rnd.random() >= self._faults:
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
            self._stamp = self.watch.stamp()

    def _cut_off(self, name: str) -> None:
        """Whoever waited for this process hears nothing more."""
        if name in self._under_way:
            self._ended(name, UNKNOWN)

    def _restart(self, runner: Runner) -> None:
        if self.rnd.random() < 0.2:
            self._revised ^= {runner.name}   # it comes back with other definitions
        self._start(runner.name)
        self._note("start", runner.name)

    def _count(self, what: str) -> None:
        self.figures.faults[what] += 1

    def _note(self, *what: str) -> None:
        self._trace.update(" ".join(what).encode() + b"\n")

    def _look_around(self) -> None:
        """Let everybody come to rest and one sweep be made: then everything that is due has fired, and nobody who left holds anything."""
        calm, self._calm = self._calm, True
        for name in sorted(self.runners):
            while self.runners[name].point not in {"idle", "gone"}:
                holder = self.lock.holder
                self._let_run(holder if holder is not None and self.runners[name].point == "write" else self.runners[name])
        self._calm = calm
        assert self.observer.sweep().failed == 0, "a case could not be decided"
        self.watch.look(self.now, swept=True)
        self._stamp = self.watch.stamp()
        self._note("look", str(self.figures.steps))

    # ---- liveness --------------------------------------------------------------------------------------------------------

    def _calm_down(self) -> None:
        """Faults stop: within bounded steps every command is answered, everything due has fired, every message has arrived."""
        self._calm = True
        self._paused.clear()
        self._settle()
        for hours in (2, 26):   # whoever may be woken at once; whoever is asleep the next morning
            self.now = max(self.now, self.watch.latest) + timedelta(hours=hours)
            self._settle()
        self.watch.look(self.now, swept=True)

    def _settle(self) -> None:
        """Let everybody work until all commands are answered and both daemons had two whole rounds."""
        rounds = {name: self._rounds[name] + 2 for name in DAEMONS}
        for _step in range(MOST_STEPS):
            if not self._again and not self._under_way and all(self._rounds[name] >= most for name, most in rounds.items()):
                return
            able = [runner for runner in self.runners.values() if runner.point != "write" or self.lock.holder in {None, runner}]
            busy = [runner for runner in able if runner.name in DAEMONS or self._again or runner.point not in {"idle", "gone"}]
            self._let_run(self.rnd.choice(busy))
        raise AssertionError(f"no end after {MOST_STEPS} steps without faults")

    # ---- what processes do -------------------------------------------------------------------------------------------------

    @contextmanager
    def _open(self, runner: Runner) -> Iterator[Engine]:
        gateway = Gateway(runner, self.book, lambda: self.now)
        engine = open_engine(f"sqlite:///{self.path}", clock=lambda: self.now, channels=(gateway,), create=False)
        Seam(runner, self.lock, engine.store)
        _know(engine, revised=runner.name in self._revised)
        try:
            yield engine
        finally:
            engine.close()

    def _daemon(self, runner: Runner) -> None:
        with self._open(runner) as engine:
            while True:
                runner.stand("idle")
                jobs: tuple[Callable[[], object], ...] = (engine.sweep, engine.deliver)
                for job in jobs:
                    with suppress(CrisisError):   # an outage: the daemon logs it and comes again
                        report = job()
                        assert not (job == engine.sweep and getattr(report, "failed", 0)), "a case could not be decided"
                self._rounds[runner.name] += 1

    def _operator(self, runner: Runner) -> None:
        with self._open(runner) as engine:
            while True:
                runner.stand("idle")
                if not self._calm:
                    with suppress(CrisisError):
                        self._change_roster(engine)

    def _change_roster(self, engine: Engine) -> None:
        person, start = self.rnd.choice(STAFF), self.now + timedelta(minutes=self.rnd.choice([0, 0, 20, 600]))
        what = self.rnd.random()
        if what < 0.5:
            engine.add_absence(person=person, begins_at=start, ends_at=start + timedelta(hours=self.rnd.choice([1, 30])), by="p-9")
        elif what < 0.7:
            empty = RosterSet((), (), (), (), (), ())
            engine.import_roster(replace(empty, absences=(Absence(person, self.now, self.now + timedelta(hours=3)),)))
        else:
            duty = self.rnd.choice([duty for duty in example_roster().duties if duty.person in STAFF])
            engine.end_duty(role=duty.role, unit=duty.unit, person=duty.person, at=start, by="p-9")

    def _writer(self, runner: Runner) -> None:
        with self._open(runner) as engine:
            while True:
                runner.stand("idle")
                command = self._again.popleft() if self._again and (self._calm or self.rnd.random() < 0.6) else self._new_command()
                if command is not None:
                    self._give(engine, runner, command)

    def _new_command(self) -> Command | None:
        if self._calm:
            return None
        self._number += 1
        key, rnd = f"k-{self._number}", self.rnd
        said = f"{FACT}<{key}>"
        numbers = [case.number for case in self.watch.cases.values() if case.open]
        if not numbers or rnd.random() < 0.3:
            unit = rnd.choice(sorted(CLASSES))
            cues = rnd.sample(["withdrawn", "old_scars", "suicide_words"], rnd.choice([0, 1]))
            return Command(key, "report", {"unit": unit, "subject": rnd.choice([*CLASSES[unit], None]), "by": "p-33", "facts": said,
                                           "cues": cues, "danger_now": rnd.random() < 0.1})
        move, form = rnd.choice([
            ("note", {"text": said}), ("note", {"text": said}), ("raise_risk", {"risk": "red", "because": said}),
            ("raise_risk", {"risk": "orange", "because": said}), ("exclude_person", {"person": ["p-36"], "because": said}),
            ("withhold_from_guardian", {"because": said}), ("acknowledge", {}), ("start_assessment", {}),
        ])
        return Command(key, "act", {"number": rnd.choice(numbers), "move": move, "by": rnd.choice(["p-33", "p-31", "p-101"]), "fields": form})

    def _give(self, engine: Engine, runner: Runner, command: Command) -> None:
        self._under_way[runner.name] = command
        outcome, answer = OK, ""
        try:
            if command.what == "report":
                answer = engine.report(**command.fields, key=command.key).token
            else:
                answer = engine.act(**command.fields, key=command.key).number
        except CrisisError as error:
            outcome = UNKNOWN if isinstance(error, StoreError) and not isinstance(error, Busy) else FAIL
        self._ended(runner.name, outcome, answer)

    def _ended(self, name: str, outcome: str, answer: str = "") -> None:
        """Keep how a command ended for whoever gave it."""
        command = self._under_way.pop(name)
        self.figures.calls[outcome] += 1
        if command.what == "report" or command.fields["fields"]:   # the others leave no words by which to find them
            self.calls.append(Call(command.key, outcome, answer))
        if outcome == UNKNOWN and self.rnd.random() < 0.8:   # some people never ask again
            self._again.append(command)

    # ---- the end -------------------------------------------------------------------------------------------------------------

    def _examine(self) -> None:
        """Hold the clients' history, the receivers' books and the database against each other."""
        lives, flaws = [], []
        with self.observer.store.reading() as tx:
            for row, case in self.watch.cases.items():
                clocks = self.watch.procedure(case).policy.clocks
                life = Life(case.number, tx.events(case.number), tuple(self._notices(row, case.number)))
                flaws += rungs(life, lambda clock, clocks=clocks: len(clocks[clock].remind)) + untold(life)  # type: ignore[misc]
                lives.append(life)
            flaws += [str(flaw) for flaw in tx.verify()]
        flaws += still_due([(case.number, case.next_at) for case in self.watch.cases.values() if case.open], self.now)
        flaws += lost_or_doubled(self.calls, words(lives, key_of))
        recused = {case.number: case.recused for case in self.watch.cases.values()}
        owed = {f"{notice.key}:{person}": (notice, person) for life in lives for notice in life.notices for person in notice.people}
        absent = {key for key, (notice, person) in owed.items()
                  if person in recused[notice.case] or (notice.not_before is not None and notice.not_before > self.now)}
        flaws += messages(self.book, {key: person for key, (_notice, person) in owed.items()}, absent=absent, finished=True)
        flaws += [f"doctor: {one.text_en} {one.cases}" for one in examine(self.observer) if not one.ok and one.name != "settings"]
        assert not flaws, "; ".join(flaws[:5])
        self.figures.rungs = sum(1 for life in lives for event in life.events if event.kind == "rung_fired")
        self.figures.messages = len({one.key for one in self.book if one.taken})
        for life in lives:
            for event in life.events:
                self._note(life.number, event.kind, event.by, event.at.isoformat())

    def _notices(self, row: int, number: str) -> Iterator[Notice]:
        sql = 'SELECT key, people, what, why, due_at, urgent, at, not_before FROM crisis_notice WHERE case_id = ? ORDER BY id'
        for key, people, what, why, due_at, urgent, at, not_before in self.watch.db.execute(sql, (row,)):
            yield Notice(key, number, tuple(people.split(",")), what, why, instant_or_none(due_at), bool(urgent), instant(at),
                         instant_or_none(not_before))


def key_of(text: str) -> str | None:
    """Return the key of the command whose words these are."""
    found = _KEY.search(text)
    return found and found[1]


@cache
def _revision() -> Procedure:
    """Return the city's procedure as it stands after somebody made the budgets shorter: new cases go by it, old ones do not."""
    return Procedure.from_body(load_procedure("school_crisis_v1", "xinyang_v1").body.replace('"4h"', '"3h"'))


_PARSED: dict[str, Procedure] = {}


def _know(engine: Engine, *, revised: bool) -> None:
    """Let the process know the procedures that another has parsed, and go by the revised one where it came back with that."""
    sources = vars(engine)["_sources"]
    vars(sources)["_procedures"] = _PARSED
    if revised:
        _PARSED.setdefault(_revision().hash, _revision())
        vars(sources)["_pinned"]["school_crisis_v1", "xinyang_v1"] = _revision().hash
