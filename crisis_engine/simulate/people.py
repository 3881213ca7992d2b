"""People who act with delays: they hear of a clock, take their time, and try what the file of habits says; nobody acts by chance alone.

Each child has a chance of its own, drawn from seed and case, so that nothing depends on which process lives which school.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from crisis_engine.core.calendar import parse_span
from crisis_engine.core.case import Case, Clock
from crisis_engine.core.commands import ANSWERS
from crisis_engine.core.errors import CrisisError
from crisis_engine.core.model import RISKS, TIERS, Risk
from crisis_engine.core.pen import Pen
from crisis_engine.core.resolve import level_of
from crisis_engine.core.workflow import FieldDef, MoveDef
from crisis_engine.simulate.habit import Deed, Habits, Later, happens
from crisis_engine.simulate.rehearsal import Rehearsal

_PANEL = ("counselor", "vice_principal", "class_teacher", "county_officer", "city_officer", "leading_group")
_TRIES = 4


@dataclass(slots=True)
class Child:
    """A child of the rehearsal: how it truly is, its own chance, and what people have in mind to do about it."""

    ref: str
    truth: str
    chance: Random
    entered: int = 0                                   # how many stages its case has come into
    planned: set[tuple[str, int]] = field(default_factory=set)


class People:
    """Watches a rehearsal and plans what people do. `coming` is the child of whom a word comes in right now."""

    def __init__(self, rehearsal: Rehearsal, habits: Habits) -> None:
        self.rehearsal, self.habits = rehearsal, habits
        self.children: dict[str, Child] = {}
        self.coming: Child | None = None
        self.refused: Counter[str] = Counter()

    def __call__(self, pen: Pen) -> None:
        """Hear of what one decision did to one case."""
        number = pen.number
        child = self.children.get(number)
        if child is None:
            if self.coming is None:
                return
            child = self.children[number] = self.coming
        for event in pen.events:
            kind = event.kind
            if kind == "clock_armed":
                self._owe(child, pen.case, event.clock, event.n)      # type: ignore[attr-defined]  # the kind says which event
            elif kind == "rung_fired":
                for armed in event.armed or ():                       # type: ignore[attr-defined]
                    self._owe(child, pen.case, armed.clock, armed.n)
                running = pen.case.clock(event.clock)                 # type: ignore[attr-defined]
                late = running is not None and running.due_at <= pen.now
                if late or (event.clock, event.n) not in child.planned:   # type: ignore[attr-defined]  # who is late stops putting it off
                    self._owe(child, pen.case, event.clock, event.n, again=True)  # type: ignore[attr-defined]
            elif kind == "moved" and event.to != event.origin:        # type: ignore[attr-defined]
                self._entered(child, pen.case)

    # ---- clocks -----------------------------------------------------------------------------------------------------------

    def _owe(self, child: Child, case: Case, clock: str, n: int, *, again: bool = False) -> None:
        """Somebody heard of a clock, for the first time or again: they will act on it after a while, or forget it till the next time."""
        habit = self.habits.clocks.get(clock)
        if habit is None or (habit.never and happens(habit.never, child.chance)):
            return
        child.planned.add((clock, n))
        at = habit.at(self.rehearsal.now, case.risk, child.chance, self.rehearsal.book.calendar,
                      self.habits.again if again else None)
        self.rehearsal.plan(at, partial(self._meet, child, case.number, clock, n))

    def _meet(self, child: Child, number: str, clock: str, n: int) -> None:
        child.planned.discard((clock, n))
        case = self.rehearsal.book.cases[number]
        running = case.clock(clock)
        if running is None or running.n != n:
            return
        for deed in self.habits.clocks[clock].deeds:
            if self._fits(child, case, deed) and self._try(child, case, deed, self._doers(case, deed, running)):
                break
        case = self.rehearsal.book.cases[number]
        running = case.clock(clock)
        if running is not None and running.n == n and (clock, n) not in child.planned:
            self._owe(child, case, clock, n, again=True)

    def _fits(self, child: Child, case: Case, deed: Deed) -> bool:
        if (deed.when and child.truth not in deed.when) or any(one.move == deed.move for one in case.proposals):
            return False
        move = self.rehearsal.book.pinned(case).workflow.moves.get(deed.move)
        here = case.stage in move.from_stages if move is not None else bool(case.proposals)
        return here and (deed.chance >= 100 or happens(deed.chance, child.chance))  # noqa: PLR2004 - percent

    # ---- what people do unasked -----------------------------------------------------------------------------------------

    def _entered(self, child: Child, case: Case) -> None:
        child.entered += 1
        for later in self.habits.later:
            if later.stage == case.stage and case.open:
                self._intend(child, case, later)

    def _intend(self, child: Child, case: Case, later: Later) -> None:
        since = self.rehearsal.now
        if later.stable:
            since = max(since, self._stable_at(case))
        at = since + later.delay.draw(child.chance)
        self.rehearsal.plan(at, partial(self._proceed, child, case.number, later, child.entered))

    def _stable_at(self, case: Case) -> datetime:
        return (case.signal_at or case.opened_at) + self.rehearsal.book.pinned(case).policy.stable_for[case.peak].wall

    def _proceed(self, child: Child, number: str, later: Later, entered: int) -> None:
        case = self.rehearsal.book.cases[number]
        if child.entered != entered or case.stage != later.stage:
            return
        wanted = not later.risks or case.risk in later.risks
        early = later.stable and self._stable_at(case) > self.rehearsal.now
        if wanted and not early and not any(one.move == later.deed.move for one in case.proposals):
            policy = self.rehearsal.book.pinned(case).policy
            found = self.rehearsal.book.resolver(self.rehearsal.now).find(case.unit, later.by, policy, case.recused).person
            self._try(child, case, later.deed, iter([found] if found is not None else []))
        case = self.rehearsal.book.cases[number]
        if case.stage == later.stage and child.entered == entered:
            self._intend(child, case, later)

    # ---- trying -----------------------------------------------------------------------------------------------------------

    def _try(self, child: Child, case: Case, deed: Deed, doers: Iterator[str]) -> bool:
        """Let the first of these people whom the rules allow it make the move; return whether it was made."""
        why = "nobody"
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
        move: MoveDef = self.rehearsal.book.pinned(case).workflow.moves[deed.move]
        given = deed.fields or {}
        return {one.name: self._value(child, case, one, given.get(one.name)) for one in move.fields if one.required or one.name in given
                or one.name == "members"}

    def _value(self, child: Child, case: Case, one: FieldDef, given: Any) -> Any:  # noqa: ANN401 - any field of a form
        if one.type == "risk":
            return self._risk(child, case, str(given or "truth"))
        if one.type == "time":
            after = parse_span(given.removeprefix("+")).wall if isinstance(given, str) else timedelta()
            return self.rehearsal.now + after
        if given is not None:
            return given
        if one.type == "persons":
            return self._panel(case)
        if one.type == "choice":
            return next(iter(self.rehearsal.book.pinned(case).workflow.choices[one.of or ""]))
        if one.type == "subject":
            return child.ref
        if one.type == "tier":
            return TIERS[min(case.tier.rank + 1, len(TIERS) - 1)].value
        return one.type == "bool" or "-"

    def _risk(self, child: Child, case: Case, word: str) -> str:
        if word == "same":
            return (case.risk if case.risk is not Risk.UNRATED else Risk.YELLOW).value
        if word == "lower":
            return RISKS[max(case.risk.rank - 1, 1)].value
        return "blue" if child.truth == "none" else child.truth

    def _panel(self, case: Case) -> list[str]:
        book = self.rehearsal.book
        resolver, policy = book.resolver(self.rehearsal.now), book.pinned(case).policy
        found = (resolver.find(case.unit, (role,), policy, case.recused).person for role in _PANEL)
        return list(dict.fromkeys(person for person in found if person is not None))
