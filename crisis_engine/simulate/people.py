"""People who act with delays: they hear of a clock, take their time, and try what the file of habits says; nobody acts by chance alone.

A track is lived through as its case is: by what the file says of its clocks, or else by the moves with which its definition meets them.
Each child has a chance of its own, drawn from seed and case, so that nothing depends on which process lives which school.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from crisis_engine.core.case import Case, Clock
from crisis_engine.core.commands import ANSWERS
from crisis_engine.core.errors import CrisisError
from crisis_engine.core.pen import Pen
from crisis_engine.core.resolve import level_of
from crisis_engine.simulate.child import Child
from crisis_engine.simulate.form import filled
from crisis_engine.simulate.habit import Deed, Habits, Later, Opening, happens
from crisis_engine.simulate.rehearsal import Rehearsal, number_from

_TRIES = 4


class People:
    """Watches a rehearsal and plans what people do. `coming` is the child of whom a word comes in right now."""

    def __init__(self, rehearsal: Rehearsal, habits: Habits) -> None:
        self.rehearsal, self.habits = rehearsal, habits
        self.children: dict[str, Child] = {}
        self.coming: Child | None = None
        self.refused: Counter[str] = Counter()

    def __call__(self, pen: Pen) -> None:
        """Hear of what one decision did to one case; a track is lived through with the case beside which it stands."""
        number = pen.number
        child = self.children.get(number)
        if child is None:
            child = self.children.get(pen.case.parent) if pen.case.parent is not None else self.coming
            if child is None:
                return
            self.children[number] = child
        for event in pen.events:
            kind = event.kind
            if kind == "clock_armed":
                self._owe(child, pen.case, event.clock, event.n)      # type: ignore[attr-defined]  # the kind says which event
            elif kind == "rung_fired":
                for armed in event.armed or ():                       # type: ignore[attr-defined]
                    self._owe(child, pen.case, armed.clock, armed.n)
                running = pen.case.clock(event.clock)                 # type: ignore[attr-defined]
                late = running is not None and running.due_at <= pen.now
                if late or (number, event.clock, event.n) not in child.planned:   # type: ignore[attr-defined]  # who is late stops putting it off
                    self._owe(child, pen.case, event.clock, event.n, again=True)  # type: ignore[attr-defined]
            elif kind == "moved" and event.to != event.origin:        # type: ignore[attr-defined]
                self._entered(child, pen.case)

    # ---- clocks -----------------------------------------------------------------------------------------------------------

    def _owe(self, child: Child, case: Case, clock: str, n: int, *, again: bool = False) -> None:
        """Somebody heard of a clock, for the first time or again: they will act on it after a while, or forget it till the next time."""
        habits, chance, calendar, now = self.habits, child.chance, self.rehearsal.book.calendar, self.rehearsal.now
        habit, told = habits.clocks.get(clock), habits.again if again else None
        never = habit.never if habit is not None else habits.rest.never
        if never and happens(never, chance):
            return
        if habit is not None:
            at = habit.at(now, case.risk, chance, calendar, told)
        else:
            running = case.clock(clock)
            at = habits.rest.at(now, running.due_at if running is not None else now, chance, calendar, told)
        child.planned.add((case.number, clock, n))
        self.rehearsal.plan(at, partial(self._meet, child, case.number, clock, n))

    def _meet(self, child: Child, number: str, clock: str, n: int) -> None:
        child.planned.discard((number, clock, n))
        case = self.rehearsal.book.cases[number]
        running = case.clock(clock)
        if running is None or running.n != n:
            return
        habit = self.habits.clocks.get(clock)
        for deed in habit.deeds if habit is not None else self._deeds(child, case, clock):
            if self._fits(child, case, deed) and self._try(child, case, deed, self._doers(case, deed, running)):
                break
        case = self.rehearsal.book.cases[number]
        running = case.clock(clock)
        if running is not None and running.n == n and (number, clock, n) not in child.planned:
            self._owe(child, case, clock, n, again=True)

    def _deeds(self, child: Child, case: Case, clock: str) -> Sequence[Deed]:
        """Return the moves by which the definition meets a clock from here, in the order of chance: the file says nothing of it."""
        moves = self.rehearsal.book.pinned(case).workflow.moves.values()
        fits = [Deed(move.name) for move in moves if clock in move.meets and case.stage in move.from_stages and not move.engine_only]
        for place in range(len(fits) - 1, 0, -1):
            other = int(child.chance.random() * (place + 1))
            fits[place], fits[other] = fits[other], fits[place]
        return fits

    def _fits(self, child: Child, case: Case, deed: Deed) -> bool:
        if (deed.when and child.truth not in deed.when) or any(one.move == deed.move for one in case.proposals):
            return False
        move = self.rehearsal.book.pinned(case).workflow.moves.get(deed.move)
        here = case.stage in move.from_stages if move is not None else bool(case.proposals)
        return here and (deed.chance >= 100 or happens(deed.chance, child.chance))  # noqa: PLR2004 - percent

    # ---- what people do unasked -----------------------------------------------------------------------------------------

    def _entered(self, child: Child, case: Case) -> None:
        child.entered[case.number] += 1
        if not case.open:
            return
        for later in self.habits.later:
            if later.stage == case.stage and later.deed.move in self.rehearsal.book.pinned(case).workflow.moves and (
                    later.deed.chance >= 100 or happens(later.deed.chance, child.chance)):  # noqa: PLR2004 - percent
                self._intend(child, case, later)
        for opening in self.habits.opens:
            if opening.stage == case.stage and case.parent is None and happens(opening.chance, child.chance):
                at = self.rehearsal.now + opening.delay.draw(child.chance)
                self.rehearsal.plan(at, partial(self._open, child, case.number, opening))

    def _open(self, child: Child, number: str, opening: Opening) -> None:
        """Somebody opens a track by hand, where the case is still in such a way and no such track stands beside it."""
        book, now = self.rehearsal.book, self.rehearsal.now
        case = book.cases[number]
        if not case.open or (opening.risks and case.risk not in opening.risks):
            return
        procedure = book.procedure_for(opening.track, case.unit, track=True)
        if any(track.workflow == procedure.workflow.id for track, _procedure in book.tracks_of(case)):
            return
        by = book.resolver(now).find(case.unit, opening.by, book.pinned(case).policy, case.recused).person
        if by is None:
            return
        form = filled(book, now, child, case, procedure, procedure.workflow.opening, opening.fields)
        self.rehearsal.numbers = lambda _workflow: number_from(child.chance)
        try:
            self.rehearsal.open_case(opening.track, by=by, parent=number, fields=form)
        except CrisisError as error:
            self.refused[f"{opening.track}: {type(error).__name__}"] += 1

    def _intend(self, child: Child, case: Case, later: Later) -> None:
        since = self.rehearsal.now
        if later.stable:
            since = max(since, self._stable_at(case))
        at = since + later.delay.draw(child.chance)
        self.rehearsal.plan(at, partial(self._proceed, child, case.number, later, child.entered[case.number]))

    def _stable_at(self, case: Case) -> datetime:
        return (case.signal_at or case.opened_at) + self.rehearsal.book.pinned(case).policy.stable_for[case.peak].wall

    def _proceed(self, child: Child, number: str, later: Later, entered: int) -> None:
        case = self.rehearsal.book.cases[number]
        if child.entered[number] != entered or case.stage != later.stage:
            return
        wanted = not later.risks or case.risk in later.risks
        early = later.stable and self._stable_at(case) > self.rehearsal.now
        if wanted and not early and not any(one.move == later.deed.move for one in case.proposals):
            policy = self.rehearsal.book.pinned(case).policy
            found = self.rehearsal.book.resolver(self.rehearsal.now).find(case.unit, later.by, policy, case.recused).person
            self._try(child, case, later.deed, iter([found] if found is not None else []))
        case = self.rehearsal.book.cases[number]
        if case.stage == later.stage and child.entered[number] == entered:
            self._intend(child, case, later)

    # ---- trying -----------------------------------------------------------------------------------------------------------

    def _try(self, child: Child, case: Case, deed: Deed, doers: Iterator[str]) -> bool:
        """Let the first of these people whom the rules allow it make the move; return whether it was made."""
        why = "nobody"
        self.rehearsal.numbers = lambda _workflow: number_from(child.chance)
        for _try, by in zip(range(_TRIES), doers, strict=False):
            try:
                self.rehearsal.act(case.number, deed.move, by=by, fields=self._form(child, case, deed))
            except CrisisError as error:
                why = type(error).__name__
                if why != "NotAllowed":   # the rules say no to whoever asks
                    break
            else:
                return True
        self.refused[f"{deed.move}: {why}"] += 1
        return False

    def _doers(self, case: Case, deed: Deed, running: Clock) -> Iterator[str]:
        """Yield whoever holds the clock, then holders of the roles that the move names."""
        if running.holder is not None:
            yield running.holder
        book = self.rehearsal.book
        resolver, procedure = book.resolver(self.rehearsal.now), book.pinned(case)
        move = procedure.workflow.moves.get(deed.move)
        chain = resolver.chain(case.unit)
        for role in move.by if move is not None else ():
            place = chain.get(level_of(book.access, role))
            for duty in resolver.holders(place, role, case.recused) if place is not None else ():
                if duty.person != running.holder:
                    yield duty.person

    def _form(self, child: Child, case: Case, deed: Deed) -> dict[str, Any]:
        if deed.move in ANSWERS:
            return {"proposal": case.proposals[-1].move}
        procedure = self.rehearsal.book.pinned(case)
        move = procedure.workflow.moves[deed.move]
        return filled(self.rehearsal.book, self.rehearsal.now, child, case, procedure, move, deed.fields or {})
