"""From every situation an ending can be reached, and every clock met: walked with the real core along what was found."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from crisis_engine.core.case import Case
from crisis_engine.core.errors import CrisisError
from crisis_engine.core.model import Risk

from .explore import Edge, Explorer
from .form import forms
from .prepare import prepared
from .situation import Key, Situation, Step, at_start, core_key
from .stagehand import DRAWN_NUMBER, Proposed, Stagehand
from .town import START

_MOST_CASES = 120     # cases that one walk looks at before it gives up; the longest of a shipped file needs a dozen
_FAR = 10_000


@dataclass(slots=True)
class Walker:
    """Walks cases to an end along the found moves, the nearest first."""

    explorer: Explorer
    wanted: Callable[[str], bool]       # whether a final word is an ending of the kind that is looked for
    _distance: Mapping[Key, int] = field(default_factory=dict)
    _good: set[tuple[object, ...]] = field(default_factory=set)      # cases, but for the hour, that were brought to an end

    def __post_init__(self) -> None:
        """Reckon how many moves each situation is away from an ending."""
        found, stages = self.explorer.found, self.explorer.workflow.stages
        comes_from: dict[Key, set[Key]] = {}
        for key in found:
            for edge in self.explorer.edges(key):
                comes_from.setdefault(edge.to, set()).add(key)
        ends = {name: final for name, stage in stages.items() if (final := stage.final) is not None and self.wanted(final)}
        last = [key for key in found if key.stage in ends or self._with_parent(key.stage)]
        distance = dict.fromkeys(last, 0)
        for key in last:   # grows as it is read: nearest first
            for other in comes_from.get(key, ()):
                if other not in distance:
                    distance[other] = distance[key] + 1
                    last.append(other)
        self._distance = distance

    def _with_parent(self, stage: str) -> bool:
        """Whether a track in this stage holds nobody up and ends with its parent, who always has an ending of the same kind."""
        workflow = self.explorer.workflow
        move = workflow.ending_from(stage) if not workflow.stages[stage].holds else None
        return move is not None and move.to is not None and self.wanted(workflow.stages[move.to].final or "merged")

    def near(self, key: Key) -> int:
        """Return how many moves the situation is away from an ending, as far as is known."""
        found = self._distance.get(key)
        return found if found is not None else self._distance.get(replace(key, flag=""), _FAR)

    def ends(  # noqa: C901 (one search, best first)
        self, case: Case, proposed: Proposed,
    ) -> bool:
        """Whether this very case can be brought to an ending by people."""
        hand, stages, order = self.explorer.hand, self.explorer.workflow.stages, count()
        first = _kind(case)
        heap = [_Way(self.near(core_key(case)), next(order), case, proposed, (first,))]
        seen = {first}
        for _looked in range(_MOST_CASES):
            if not heap:
                break
            here = heapq.heappop(heap)
            if here.path[-1] in self._good or self._with_parent(here.case.stage):
                self._good.update(here.path)
                return True
            at = self.near(core_key(here.case))
            if not here.wide:   # first only on towards an end; whatever else can be done, if that leads nowhere
                heapq.heappush(heap, replace(here, near=here.near + 1, order=next(order), wide=True))
            for edge in sorted(self.explorer.edges(core_key(here.case)), key=lambda edge: self.near(edge.to)):
                if (self.near(edge.to) < at) is here.wide or self.near(edge.to) == _FAR:
                    continue
                after = _take(hand, here.case, here.proposed, edge)
                if after is None:
                    continue
                final, kind = stages[after[0].stage].final, _kind(after[0])
                if final is not None and self.wanted(final):
                    self._good.update(here.path)
                    return True
                if final is None and kind not in seen:
                    seen.add(kind)
                    heapq.heappush(heap, _Way(self.near(core_key(after[0])), next(order), *after, (*here.path, kind)))
                    if not here.wide:
                        break
        return False


@dataclass(frozen=True, slots=True, order=True)
class _Way:
    """A case on its way to an end; `wide` where the moves that lead nearer were tried."""

    near: int
    order: int
    case: Case = field(compare=False)
    proposed: Proposed = field(compare=False)
    path: tuple[tuple[object, ...], ...] = field(compare=False)
    wide: bool = field(default=False, compare=False)


def _kind(case: Case) -> tuple[object, ...]:
    clocks = frozenset(clock.name for clock in case.clocks)
    return core_key(case), case.number, case.peak, case.subject is None, clocks, case.facts.get("guardian"), frozenset(case.done)


def _take(hand: Stagehand, case: Case, proposed: Proposed, edge: Edge) -> tuple[Case, Proposed] | None:
    form = next(forms(hand.procedure.workflow, hand.procedure.policy, edge.move, case, START), {}) | dict(edge.form)
    ready = prepared(hand, case, proposed, edge.move, form)
    if ready is None:
        return None
    made = hand.agree(ready.case, edge.move, form, ready.proposed, ready.now)
    return None if isinstance(made, CrisisError) else (at_start(made[-1].case), made[-1].proposed)


def unended(explorer: Explorer) -> Iterator[Situation]:
    """Yield the situations from which no ending was found, a merge not counted: the other case goes on.

    Each must have a way of found moves; one of each stage, danger and flag is walked to its end, guards, forms, signatures and all.
    """
    walker = Walker(explorer, lambda final: final != "merged")
    walked: set[tuple[object, ...]] = set()
    for here in explorer.open():
        if here.key.flag.startswith("proposed"):
            continue   # it can be withdrawn, which the walk tried
        kind = here.key.stage, here.key.danger, here.key.flag
        if kind not in walked or walker.near(core_key(here.case)) == _FAR:
            walked.add(kind)
            if not walker.ends(here.case, here.proposed):
                yield here


def unclosed(explorer: Explorer) -> Iterator[tuple[Situation, Risk]]:
    """Yield for each peak of risk the situation from which a case cannot be closed, drawn by the city (抽查) or not."""
    if not any(stage.final == "closed" for stage in explorer.workflow.stages.values()):
        return
    walker = Walker(explorer, lambda final: final == "closed")
    for risk in Risk:
        here = next((each for each in explorer.open() if each.case.risk is risk and each.case.peak is risk and not each.key.flag), None)
        if here is not None:
            for case in (here.case, replace(here.case, number=DRAWN_NUMBER)):
                if not walker.ends(case, here.proposed):
                    yield here, risk


def unmet(explorer: Explorer) -> Iterator[tuple[Situation, str, tuple[Step, ...]]]:
    """Yield the running clocks that no move of people meets in their situation."""
    workflow, hand = explorer.workflow, explorer.hand
    for here in explorer.open():
        if here.key.flag.startswith("proposed"):
            continue   # an answer meets its clock: the walk gave one to each proposal
        for clock in here.case.clocks:
            if workflow.clocks[clock.name].who == "second_signer" or explorer.meets(here.key, clock.name):
                continue
            if not _met_by_hand(hand, here, clock.name):
                yield here, clock.name, ()


def _met_by_hand(hand: Stagehand, here: Situation, clock: str) -> bool:
    workflow, policy = hand.procedure.workflow, hand.procedure.policy
    n = next(one.n for one in here.case.clocks if one.name == clock)
    for move in workflow.moves.values():
        if clock not in move.meets or here.key.stage not in move.from_stages or move.engine_only:
            continue
        for form in forms(workflow, policy, move, here.case, START):
            ready = prepared(hand, here.case, here.proposed, move, form)
            if ready is None:
                continue
            running = ready.case.clock(clock)
            if running is None or running.n != n:
                return True
            made = hand.agree(ready.case, move, form, ready.proposed, ready.now)
            if not isinstance(made, CrisisError) and ((after := made[-1].case.clock(clock)) is None or after.n != n):
                return True
    return False
