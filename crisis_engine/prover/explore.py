"""Walks breadth-first through every situation that a case can come to, and lays each step before the laws."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from crisis_engine.core import events as ev
from crisis_engine.core.case import Case
from crisis_engine.core.errors import CrisisError
from crisis_engine.core.workflow import MoveDef, Workflow

from .close import closing_stages, of_closing
from .form import Form, forms, said
from .law import Broken, at_rest, of_step
from .prepare import prepared
from .reading import Reading, parts_of
from .situation import Key, Situation, Step, at_start, core_key, flags_of, signal_clocks
from .stagehand import Made, Stagehand
from .town import START

Report = Callable[[Broken, tuple[Step, ...]], None]


@dataclass(frozen=True, slots=True)
class Edge:
    """A move with a form, and the situation to which it leads with all its signatures."""

    move: MoveDef
    form: Form
    to: Key


@dataclass(slots=True)
class Explorer:
    """Finds the reachable situations. `met` says which clocks a move of people met, from which situation."""

    hand: Stagehand
    report: Report
    found: dict[Key, Situation] = field(default_factory=dict)
    met: set[tuple[object, ...]] = field(default_factory=set)     # (scope of a move, clock): in which situations it met which clock
    signals: frozenset[str] = frozenset()
    closing: frozenset[str] = frozenset()     # stages in which a closure was asked for
    reading: Reading = field(init=False)
    _queue: deque[Situation] = field(default_factory=deque)
    _outcomes: dict[tuple[object, ...], list[Edge]] = field(default_factory=dict)   # what a move came to, by all that it reads

    @property
    def workflow(self) -> Workflow:
        """The workflow that is walked."""
        return self.hand.procedure.workflow

    def walk(self) -> None:
        """Visit everything."""
        workflow, policy = self.workflow, self.hand.procedure.policy
        self.signals, self.reading = signal_clocks(workflow), Reading(workflow, self.hand.town.access)
        self.closing = closing_stages(workflow)
        for made in self.hand.openings(forms(workflow, policy, workflow.opening, None, START)):
            self._reach(None, (Step(made.who, made.move, made.form),), made, made.case)
        while self._queue or self._complete():
            self._expand(self._queue.popleft())

    def _complete(self) -> bool:
        """Go, once nothing else is left, wherever a move should lead by what it reads and nobody was yet; return whether it led on."""
        for here in [each for each in self.found.values() if not parts_of(each.key.flag)[0]]:
            for edge in self.edges(here.key):
                tried = "completed", here.key, edge.move.name, edge.to
                if edge.to not in self.found and tried not in self._outcomes:
                    self._outcomes[tried] = []
                    self._go(here, edge)
        return bool(self._queue)

    def _go(self, here: Situation, edge: Edge) -> None:
        """Make one move with all its signatures."""
        ready = prepared(self.hand, here.case, here.proposed, edge.move, edge.form)
        made = self.hand.agree(ready.case, edge.move, edge.form, ready.proposed, ready.now) if ready is not None else None
        if ready is None or made is None or isinstance(made, CrisisError):
            return
        steps, before, second = ready.steps, ready.case, None
        for one in made:
            of = edge.move.name if one.move != edge.move.name else ""
            waited = ready.waited if one is made[0] else timedelta()
            steps = (*steps, Step(one.who, one.move, {} if of else said(edge.form), waited, of))
            self._reach(here, steps, one, before, second=second, of=of)
            before, second = one.case, one.who

    # ---- one situation --------------------------------------------------------------------------------------------------

    def _expand(self, here: Situation) -> None:
        flag, of = parts_of(here.key.flag)
        if flag == "proposed":
            self._answers(here, of)
            return
        for move in self.workflow.moves.values():
            if here.key.stage in move.from_stages and not move.engine_only and (not flag or self._touches(move, flag)):
                self._try(here, move)

    def _touches(self, move: MoveDef, flag: str) -> bool:
        """Whether a move reads or clears what stands open beside the situation; all others do there what they do without it."""
        if flag == "signal":
            final = move.to is not None and self.workflow.stages[move.to].final is not None
            return final or not self.signals.isdisjoint(move.meets)
        if flag == "paused":
            return "resume" in move.sets
        return flag == "unidentified" and move.sets.get("subject") is not None

    def _try(self, here: Situation, move: MoveDef) -> None:
        scope = self.reading.scope(move, here.key)
        if scope in self._outcomes:
            return
        outcomes = self._outcomes[scope] = []
        for form in forms(self.workflow, self.hand.procedure.policy, move, here.case, START):
            ready = prepared(self.hand, here.case, here.proposed, move, form)
            if ready is None:
                continue
            made = self.hand.make(ready.case, move, form, ready.proposed, ready.now)
            if isinstance(made, Made):
                step = (*ready.steps, Step(made.who, made.move, said(form), ready.waited))
                self._note_met(scope, made)
                outcomes.append(Edge(move, form, self._reach(here, step, made, ready.case)))
                if self._ended(ready.case, made.case) and not self.workflow.parents:
                    held = self.hand.make(ready.case, move, form, ready.proposed, ready.now, held=True)
                    if isinstance(held, Made) and self._ended(ready.case, held.case):
                        self._tell(Broken("end_track", move.name), here, step)
                elif made.waits and here.key.flag:   # two things would stand open: answered at once, so that one is left
                    self._confirmed(here, step, made)

    def _confirmed(self, here: Situation, steps: tuple[Step, ...], made: Made) -> None:
        second = self.hand.second(made.case, made.move, made.proposed)
        if isinstance(second, Made):
            steps = (*steps, Step(second.who, "confirm", of=made.move))
            self._reach(here, steps, second, made.case, second=made.who, of=made.move)

    @staticmethod
    def _ended(before: Case, after: Case) -> bool:
        return before.open and not after.open and after.final != "merged"

    # ---- a proposal -------------------------------------------------------------------------------------------------------

    def _answers(self, here: Situation, of: str) -> None:
        """Answer a proposal in every way, by the right person and by the wrong one, and let a new word come first."""
        proposal = next(one for one in here.case.proposals if one.move == of)
        alone = self.hand.answer(here.case, "confirm", of, proposal.by, here.proposed)
        if isinstance(alone, Made):
            self._tell(Broken("same", of), here, (Step(proposal.by, "confirm", of=of),))
        for how in ("confirm", "decline"):
            made = self.hand.second(here.case, of, here.proposed, how)
            if isinstance(made, Made):
                to = self._reach(here, (Step(made.who, how, of=of),), made, here.case, second=proposal.by, of=of)
                if how == "confirm" and here.before is not None:
                    scope = self.reading.scope(self.workflow.moves[of], here.before.key)
                    self._note_met(scope, made)
                    self._outcomes.setdefault(scope, []).append(Edge(self.workflow.moves[of], here.proposed[proposal.id], to))
                if how == "confirm" and self._ended(here.case, made.case) and not self.workflow.parents:
                    held = self.hand.answer(here.case, "confirm", of, made.who, here.proposed, held=True)
                    if isinstance(held, Made) and self._ended(here.case, held.case):
                        self._tell(Broken("end_track", of), here, (Step(made.who, how, of=of),))
        back = self.hand.answer(here.case, "withdraw", of, proposal.by, here.proposed)
        if isinstance(back, CrisisError):
            self._tell(Broken("withdraw", of), here, ())
        else:
            self._reach(here, (Step(proposal.by, "withdraw", of=of),), back, here.case)
        for move in self.workflow.moves.values():
            leaves = move.to is not None and move.to not in self.workflow.moves[of].from_stages and not move.second
            word = move.signal or move.name == self.workflow.again or "danger" in move.sets
            once = ("beside", of, here.key.stage, move.name)
            if here.key.stage in move.from_stages and not move.engine_only and (word or leaves) and once not in self._outcomes:
                self._outcomes[once] = []
                self._try_once(here, move)

    def _try_once(self, here: Situation, move: MoveDef) -> None:
        form = next(forms(self.workflow, self.hand.procedure.policy, move, here.case, START), None)
        made = self.hand.make(here.case, move, form, here.proposed) if form is not None else None
        if isinstance(made, Made):
            self._reach(here, (Step(made.who, made.move, said(form or {})),), made, here.case)

    # ---- what a step came to --------------------------------------------------------------------------------------------

    def _reach(
        self, here: Situation | None, steps: tuple[Step, ...], made: Made, before: Case, *, second: str | None = None, of: str = "",
    ) -> Key:
        case, workflow = made.case, self.workflow
        broken = list(at_rest(workflow, self.hand.town.resolver, case, moved=here is not None))
        if here is not None:
            named = replace(made, move=of) if of else made
            broken += of_step(workflow, self.signals, before, named, second)
            broken += of_closing(self.hand, self.closing, before, named, second)
        for one in broken:
            self._tell(one, here, steps)
        flags = tuple(flags_of(case, workflow, self.signals))
        if len(flags) > 1:
            return core_key(case)
        plain = core_key(case)
        key = self.reading.narrowed(replace(plain, flag=flags[0] if flags else ""))
        if key in self.found and (plain in self.found or len(flags) == 0 or not case.open):
            return key
        if key in self.found:
            key = replace(plain, flag=flags[0])   # what stands open is known, but not from here: it may be the only way to somewhere
            if key in self.found:
                return key
        reached = Situation(key, at_start(case), made.proposed, here, steps)
        self.found[key] = reached
        self._queue.append(reached)   # one that is over too: some stages can be left again (reopen)
        return key

    def _note_met(self, scope: tuple[object, ...], made: Made) -> None:
        self.met |= {(scope, event.clock) for event in made.pen.events if isinstance(event, ev.ClockMet)}

    def edges(self, key: Key) -> Iterator[Edge]:
        """Yield every move that leads on from a situation, also those that were tried only where they do the same."""
        seen: set[tuple[str, Key]] = set()
        for move in self.workflow.moves.values():
            if key.stage in move.from_stages and not move.engine_only:
                for edge in self._outcomes.get(self.reading.scope(move, key), ()):
                    to = self.reading.carried(edge.to, key, move)
                    if (move.name, to) not in seen:
                        seen.add((move.name, to))
                        yield Edge(move, edge.form, to)

    def meets(self, key: Key, clock: str) -> bool:
        """Whether a move of people meets the clock in this situation."""
        moves = (move for move in self.workflow.moves.values() if clock in move.meets and key.stage in move.from_stages)
        return any((self.reading.scope(move, key), clock) in self.met for move in moves)

    def _tell(self, broken: Broken, here: Situation | None, steps: tuple[Step, ...]) -> None:
        self.report(broken, (*(here.story() if here is not None else ()), *steps))

    def open(self) -> Iterator[Situation]:
        """Yield the situations that are not over, nearest to the first word first."""
        yield from (each for each in self.found.values() if each.case.open)
