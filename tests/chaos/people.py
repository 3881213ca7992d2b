"""The people and daemons of the simulated city: what each process does between the seams at which it stops."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from functools import cache
from pathlib import Path
from random import Random
from threading import current_thread
from typing import Any
from unittest.mock import patch

from crisis_engine import CrisisError, Engine, open_engine
from crisis_engine.core.case import Case
from crisis_engine.core.errors import Busy, StoreError
from crisis_engine.core.model import Absence
from crisis_engine.core.procedure import Procedure
from crisis_engine.definitions import load_procedure
from crisis_engine.engine import sweep
from crisis_engine.example import EXAMPLE_NOW, example_roster
from crisis_engine.roster import RosterSet
from crisis_engine.store import Change, Store
from crisis_engine.store.append import Batch
from tests.chaos.baton import Runner
from tests.chaos.history import FAIL, OK, UNKNOWN, Call, Sent
from tests.chaos.seam import Gateway, Seam, WriteLock
from tests.promise import FACT, Watch

CLASSES = {"xinyang/shihe/no-3/g7/c2": ("stu-41", "stu-42"), "xinyang/shihe/no-3/g7/c1": ("stu-31",)}
STAFF = ("p-11", "p-21", "p-31", "p-33", "p-34", "p-35", "p-101", "p-3")


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


class People:
    """What processes do; whoever drives them gives the baton on."""

    path: Path
    watch: Watch

    def __init__(self, rnd: Random) -> None:
        self.rnd = rnd
        self.now = EXAMPLE_NOW.astimezone(UTC)
        self.figures = Figures()
        self.calls: list[Call] = []
        self.book: list[Sent] = []
        self.lock = WriteLock()
        self.rounds: Counter[str] = Counter()          # of each daemon
        self.under_way: dict[str, Command] = {}        # by process: the command that it gives
        self.again: deque[Command] = deque()           # commands of unknown outcome that somebody will send again
        self.called: dict[str, list[str]] = {}         # by daemon: who gets something by the batch that it decided and had nothing of it
        self.between = ""                              # a daemon that is kept between its decision and its write
        self.calm = False                              # no more faults, and no new commands
        self.revised: set[str] = set()                 # processes that go by other definitions
        self.number = 0

    @contextmanager
    def _open(self, runner: Runner) -> Iterator[Engine]:
        gateway = Gateway(runner, self.book)
        engine = open_engine(f"sqlite:///{self.path}", clock=lambda: self.now, channels=(gateway,), create=False)
        assert isinstance(engine.store, Store)
        Seam(runner, self.lock, engine.store, lambda: self.now)
        _know(engine, revised=runner.name in self.revised)
        try:
            yield engine
        finally:
            engine.close()

    def daemon(self, runner: Runner) -> None:
        with self._open(runner) as engine:
            while True:
                runner.stand("idle")
                with suppress(CrisisError):   # an outage: the daemon logs it and comes again
                    assert engine.sweep().failed == 0, "a case could not be decided"
                self.called.pop(runner.name, None)
                with suppress(CrisisError):
                    engine.deliver()
                self.rounds[runner.name] += 1

    def operator(self, runner: Runner) -> None:
        with self._open(runner) as engine:
            while True:
                runner.stand("idle")
                if not self.calm:
                    with suppress(CrisisError):
                        self._change_roster(engine)

    @contextmanager
    def overhearing(self) -> Iterator[None]:
        """Let the operator know whom a sweep calls on before it writes that: there the races are."""
        usual = vars(sweep)["prepare"]   # as it is by now: a planted bug may have changed it

        def prepared(changes: Sequence[Change], first_id: int = 0) -> Batch:
            self.called[current_thread().name] = sorted({
                person for change in changes if change.before is not None
                for person in _busy(change.after) - _busy(change.before.case)})
            batch: Batch = usual(changes, first_id)
            return batch

        with patch.object(sweep, "prepare", prepared):
            yield

    def _change_roster(self, engine: Engine) -> None:
        empty = RosterSet((), (), (), (), (), ())
        if called := self.called.get(self.between):   # a daemon has decided and not written: now somebody goes whom it calls on
            gone = Absence(self.rnd.choice(called), self.now, self.now + timedelta(minutes=10))
            engine.import_roster(replace(empty, absences=(gone,)))
            return
        person, start = self.rnd.choice(STAFF), self.now + timedelta(minutes=self.rnd.choice([0, 0, 20, 600]))
        what = self.rnd.random()
        if what < 0.5:
            engine.add_absence(person=person, begins_at=start, ends_at=start + timedelta(hours=self.rnd.choice([1, 30])), by="p-9")
        elif what < 0.7:
            engine.import_roster(replace(empty, absences=(Absence(person, self.now, self.now + timedelta(hours=3)),)))
        else:
            duty = self.rnd.choice([duty for duty in example_roster().duties if duty.person in STAFF])
            engine.end_duty(role=duty.role, unit=duty.unit, person=duty.person, at=start, by="p-9")

    def writer(self, runner: Runner) -> None:
        with self._open(runner) as engine:
            while True:
                runner.stand("idle")
                command = self.again.popleft() if self.again and (self.calm or self.rnd.random() < 0.6) else self._new_command()
                if command is not None:
                    self._give(engine, runner, command)

    def _new_command(self) -> Command | None:
        if self.calm:
            return None
        self.number += 1
        key, rnd = f"k-{self.number}", self.rnd
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
        by = rnd.choice(["p-33", "p-31", "p-101"])
        return Command(key, "act", {"number": rnd.choice(numbers), "move": move, "by": by, "fields": form})

    def _give(self, engine: Engine, runner: Runner, command: Command) -> None:
        self.under_way[runner.name] = command
        outcome, answer = OK, ""
        try:
            if command.what == "report":
                answer = engine.report(**command.fields, key=command.key).token
            else:
                answer = engine.act(**command.fields, key=command.key).number
        except CrisisError as error:
            outcome = UNKNOWN if isinstance(error, StoreError) and not isinstance(error, Busy) else FAIL
        self.ended(runner.name, outcome, answer)

    def ended(self, name: str, outcome: str, answer: str = "") -> None:
        """Keep how a command ended for whoever gave it."""
        command = self.under_way.pop(name)
        self.figures.calls[outcome] += 1
        if command.what == "report" or command.fields["fields"]:   # the others leave no words by which to find them
            self.calls.append(Call(command.key, outcome, answer))
        if outcome == UNKNOWN and self.rnd.random() < 0.8:   # some people never ask again
            self.again.append(command)


def _busy(case: Case) -> set[str]:
    return {person for person in (case.answers, *(clock.holder for clock in case.clocks)) if person is not None}


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
