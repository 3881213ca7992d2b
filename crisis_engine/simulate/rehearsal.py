"""A rehearsal: cases that live on a virtual clock. The core decides as ever; a heap stands in for the daemon, a book for the database.

At each instant the order is the engine's: whoever left is handed over first, then what is due fires, then people act.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

from crisis_engine.core.case import Case
from crisis_engine.core.commands import Act, Open
from crisis_engine.core.decide import Decision, decide_act, decide_again, decide_due, decide_open, decide_presence
from crisis_engine.core.events import Event
from crisis_engine.core.model import Absence
from crisis_engine.core.pen import Pen
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.resolve import Resolver
from crisis_engine.engine.worlds import CRISIS
from crisis_engine.simulate.book import Book, Numbers

Watch = Callable[[Pen], None]
"""Is shown each pen after it was written: what one decision did to one case."""

Look = Callable[[Case, Procedure, Resolver], None]
"""Is shown each case that was looked at because somebody left, whether or not anything had to be done."""

_LEFT, _DUE, _PLANNED = range(3)
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def number_from(draw: Random) -> str:
    """Return a case number from seeded chance, spelled as the engine spells its own; only `random()` is drawn, which Python keeps."""
    token = "".join(_ALPHABET[int(draw.random() * len(_ALPHABET))] for _ in range(9))
    return f"{token[:3]}-{token[3:6]}-{token[6:]}"


class Rehearsal:
    """A discrete-event loop over the core. `log` has every event of each case where `keep` asks for it; `watch` sees every decision."""

    def __init__(
        self, book: Book, start: datetime, *, numbers: Numbers | None = None, watch: Sequence[Watch] = (), keep: bool = True,
    ) -> None:
        self.book, self.now = book, start.astimezone(UTC)
        self.watch: list[Watch] = list(watch)
        self.looks: list[Look] = []
        self.log: dict[str, list[Event]] = {}
        self.decisions = 0
        self._keep = keep
        seeded = Random(0)  # noqa: S311 - must repeat, and is no secret
        self.numbers: Numbers = numbers or (lambda _workflow: number_from(seeded))
        self._heap: list[tuple[datetime, int, int, Any]] = []
        self._order = itertools.count()
        for absences in book.absences.values():
            for absence in absences:
                self._push(absence.begins_at, _LEFT, absence.person)
        for held in book.duties.values():
            for duty in held:
                if duty.ends_at is not None and duty.ends_at >= self.now:
                    self._push(duty.ends_at, _LEFT, duty.person)

    # ---- what people do ---------------------------------------------------------------------------------------------------

    def report(self, *, unit: str, by: str, subject: str | None = None, workflow: str = CRISIS, **form: Any) -> str:  # noqa: ANN401 - fields of the form
        """Somebody says a word about a child, now; return the number of the case into which it went. Raises as the engine does."""
        form = {"facts": "-", "cues": [], "danger_now": False, "with_child": None, "about_staff": [], **form}
        child = self.book.subject(subject)
        self.book.people_known(form["about_staff"])
        number = self.numbers(workflow) if child is None or not any(one.open for one in self.book.cases_of(child.id)) else ""
        world = self.book.world_of_report(self.now, by, number, workflow, child, unit, form, self.numbers)
        command = Open(child.unit if child is not None else unit, child.id if child is not None else None, form)
        return self._apply(decide_again(world, command) if world.case is not None else decide_open(world, command))

    def open_case(
        self, workflow: str, *, by: str, unit: str | None = None, subject: str | None = None, parent: str | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> str:
        """Somebody opens a case of any workflow, beside another where it is a track; return its number. Raises as the engine does."""
        form, book = dict(fields or {}), self.book
        above, child = book.case(parent) if parent is not None else None, book.subject(subject)
        world, home = book.world_of_open(self.now, by, workflow, above, child, unit, form, self.numbers)
        key = child.id if child is not None else above.subject if above is not None else None
        return self._apply(decide_open(world, Open(home, key, form)))

    def act(self, number: str, move: str, *, by: str, fields: Mapping[str, Any] | None = None) -> Decision:
        """Somebody makes a move, proposes it or answers a proposal, now. Raises as the engine does; then nothing was changed."""
        form = dict(fields or {})
        case = self.book.case(number)
        decision = decide_act(self.book.world_of_act(self.now, by, case, move, form, self.numbers), Act(move, form))
        self._apply(decision)
        return decision

    def absent(self, absence: Absence) -> None:
        """Somebody is away from then on; the clocks are handed over at that moment, or now where it has passed."""
        self.book.add_absence(absence)
        self._push(max(absence.begins_at, self.now), _LEFT, absence.person)

    def vacate(self, role: str, unit: str, person: str | None = None) -> None:
        """A duty ends now, for one or for all who hold it."""
        for left in self.book.end_duty(role, unit, self.now, person):
            self._hand_over(left)

    def plan(self, at: datetime, what: Callable[[], None]) -> None:
        """Let something happen at an instant, after all that is due then."""
        self._push(at, _PLANNED, what)

    # ---- time passes --------------------------------------------------------------------------------------------------------

    def run(self, until: datetime) -> None:
        """Let time pass: each moment at which anything is due, and each plan, has its turn."""
        until = until.astimezone(UTC)
        heap = self._heap
        while heap and heap[0][0] <= until:
            at, kind, _order, what = heapq.heappop(heap)
            self.now = max(self.now, at)
            if kind == _DUE:
                self._sweep(what, at)
            elif kind == _LEFT:
                self._hand_over(what)
            else:
                what()
        self.now = max(self.now, until)

    @property
    def open_cases(self) -> list[Case]:
        """The cases for which somebody still answers."""
        return [case for case in self.book.cases.values() if case.open]

    def _sweep(self, number: str, at: datetime) -> None:
        case = self.book.cases[number]
        if case.next_at != at:      # it moved since; its new moment stands in the heap too
            return
        self.write(decide_due(self.book.world_of_engine(self.now, case)))

    def _hand_over(self, person: str) -> None:
        """Look again at every case that the person holds a clock of or answers for, as the sweep does when somebody left."""
        for case in self.open_cases:
            if person == case.answers or any(clock.holder == person for clock in case.clocks):
                self.write(decide_presence(world := self.book.world_of_engine(self.now, case)))
                for look in self.looks:
                    look(self.book.cases[case.number], world.procedure, world.resolver)

    def _apply(self, decision: Decision) -> str:
        for pen in decision.pens:
            self.write(pen)
        return decision.pens[0].number

    def write(self, pen: Pen) -> None:
        """Keep what one decision did to one case, and show it to whoever watches."""
        if not pen.events:
            return
        self.decisions += 1
        self.book.write(pen)
        if self._keep:
            self.log.setdefault(pen.number, []).extend(pen.events)
        at = pen.case.next_at
        if at is not None and (pen.before is None or pen.before.next_at != at):
            self._push(at, _DUE, pen.number)
        for watch in self.watch:
            watch(pen)

    def _push(self, at: datetime, kind: int, what: Any) -> None:  # noqa: ANN401 - a case's number, a person's id, or a call
        heapq.heappush(self._heap, (at.astimezone(UTC), kind, next(self._order), what))
