"""Walks a track along its file, in memory: to its end by the shortest way that its people may go, whatever its stages are called.

Where its people cannot end it, for it ends with its case, it comes to a stage that is settled. What a walk found is a list of
steps that can be made again on an engine with a database; a workflow that comes new is walked as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from crisis_engine.almanac import published_calendar
from crisis_engine.core.decide import decide_due
from crisis_engine.core.errors import CrisisError
from crisis_engine.core.workflow import MoveDef, Workflow
from crisis_engine.definitions import load_access
from crisis_engine.example import EXAMPLE_NOW, example_roster
from crisis_engine.simulate import Book, Rehearsal, Shelf
from crisis_engine.simulate.child import Child
from crisis_engine.simulate.form import filled

from .story import PEER

MOST = 40     # steps of a walk


@dataclass(frozen=True)
class Step:
    """Somebody makes a move at an instant; the first step of a walk opens the track."""

    at: datetime
    move: str
    by: str
    fields: Mapping[str, Any]


def walk(track: str, subject: str, unit: str, *, danger: bool = False) -> list[Step]:
    """Return the steps by which a track beside a new case comes to its end; AssertionError with the stage where it comes no further."""
    return Walker(track, subject, unit, danger=danger).steps


_ROSTER, _ACCESS, _CALENDAR, _SHELF = example_roster(), load_access(), published_calendar(), Shelf()


class Walker:
    """One walk; `steps` are those that were allowed."""

    def __init__(self, track: str, subject: str, unit: str, *, danger: bool) -> None:
        self.rehearsal = Rehearsal(Book(_ROSTER, _ACCESS, _CALENDAR, _SHELF), EXAMPLE_NOW)
        self.book = self.rehearsal.book
        self.child = Child(subject, "orange", Random(0))
        self.staff = sorted({duty.person for held in self.book.duties.values() for duty in held})
        self.parent = self.rehearsal.report(unit=unit, subject=subject, by=PEER, danger_now=danger)
        self.steps: list[Step] = []
        self.been: set[str] = set()
        procedure = self.book.procedure_for(track, unit)
        self.workflow = procedure.workflow
        self.far = distances(self.workflow)
        form = filled(self.book, self.rehearsal.now, self.child, self.book.cases[self.parent], procedure, self.workflow.opening, {})
        self.number = next(number for by in self.staff if (number := self._opens(track, by, form)))
        while self.far[self.book.cases[self.number].stage]:
            case = self.book.cases[self.number]
            assert len(self.steps) < MOST, f"{track} comes to no end: it stands in {case.stage}"
            if not any(self._make(name, by) for name in self._next() for by in self.staff):
                self._wait(timedelta(days=1))
                assert self.rehearsal.now < EXAMPLE_NOW + timedelta(days=400), f"{track} comes no further than {case.stage}"

    def _wait(self, span: timedelta) -> None:
        """Let time pass while nobody sweeps, and sweep once, as whoever makes the steps again does."""
        living = self.rehearsal
        living.now += span
        for case in living.open_cases:
            if case.next_at is not None and case.next_at <= living.now:
                living.write(decide_due(self.book.world_of_engine(living.now, case)))

    def _opens(self, track: str, by: str, form: dict[str, Any]) -> str:
        try:
            number = self.rehearsal.open_case(track, by=by, parent=self.parent, fields=form)
        except CrisisError:
            return ""
        self.steps.append(Step(self.rehearsal.now, self.workflow.opening.name, by, form))
        return number

    def _next(self) -> Iterator[str]:
        """Yield what may be tried: an answer to what waits, then moves that come nearer to the end, then those that only do some work."""
        case = self.book.cases[self.number]
        if case.proposals:
            yield "confirm"
            return
        made = {step.move for step in self.steps}
        self.been.add(case.stage)
        here = [move for move in self.workflow.moves.values() if case.stage in move.from_stages and not move.engine_only and not move.opens]
        onward = [move for move in here if move.to in self.far and move.to not in self.been]
        yield from (move.name for move in sorted(onward, key=self._rank))
        yield from (move.name for move in here if move.to is None and move.meets and move.name not in made)

    def _rank(self, move: MoveDef) -> tuple[bool, int]:
        """The good end first: what stops a track from everywhere is no way that it should go."""
        to = self.workflow.stages[move.to or ""]
        return len(move.from_stages) > 3, self.far[move.to or ""] + (to.final == "ended")

    def _make(self, name: str, by: str) -> bool:
        case = self.book.cases[self.number]
        procedure = self.book.pinned(case)
        form = {"proposal": case.proposals[-1].move} if name == "confirm" else filled(
            self.book, self.rehearsal.now, self.child, case, procedure, procedure.workflow.moves[name], {})
        try:
            self.rehearsal.act(self.number, name, by=by, fields=form)
        except CrisisError:
            return False
        self.steps.append(Step(self.rehearsal.now, name, by, form))
        return True


def distances(workflow: Workflow) -> dict[str, int]:
    """Return how many moves of people each stage is away from a good end, or where there is none from any, or from a settled stage."""
    ways = [move for move in workflow.moves.values() if not move.engine_only and move.to is not None and not move.opens]
    stages, reached = workflow.stages, {move.to for move in ways}
    final = [name for name in stages if name in reached and stages[name].final]
    settled = [name for name, stage in stages.items() if stage.settled]
    ends = [name for name in final if stages[name].final == "closed"] or final or settled
    far = dict.fromkeys(ends, 0)
    for steps in range(1, len(stages) + 1):
        for move in ways:
            if far.get(move.to or "", MOST) < steps:
                for stage in move.from_stages:
                    far.setdefault(stage, steps)
    return far
