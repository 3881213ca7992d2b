"""The proof of one procedure, or of several at once: every law over every reachable situation, with the worst silence of each."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing import get_context
from os import cpu_count

from crisis_engine.core.model import Risk
from crisis_engine.core.policy import Access
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.workflow import Label
from crisis_engine.definitions import load_access, load_procedure

from .close import misclosed
from .ending import unclosed, unended, unmet
from .explore import Explorer
from .law import Broken
from .order import disorder
from .silence import Worst, breaks, silences
from .situation import Situation, Step
from .stagehand import Stagehand
from .town import Lack, Town, worst_calendar
from .vacancy import stands, vacancies

_MOST_FAULTS = 12     # after so many kinds of fault a file is wrong enough


@dataclass(frozen=True, slots=True)
class Fault:
    """A law that does not hold, with the shortest story that was found for it; `lack` says what the town has not."""

    law: str
    what: str
    story: tuple[Step, ...] = ()
    lack: Lack | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proven of a workflow with a policy, or why it could not be."""

    workflow: str
    policy: str
    situations: int
    decisions: int
    faults: tuple[Fault, ...]
    worst: tuple[Worst, ...]
    labels: dict[str, Label] = field(default_factory=dict)     # of stages, clocks, moves and roles, for the stories

    @property
    def holds(self) -> bool:
        """Whether every law holds."""
        return not self.faults


class _Enough(Exception):
    """The first fault was found and no more is asked for."""


class _Faults:
    """Keeps the first, which is the shortest, story of each kind of fault."""

    def __init__(self, *, first: bool) -> None:
        self.found: dict[tuple[str, str], Fault] = {}
        self._first = first

    def add(self, broken: Broken, story: tuple[Step, ...] = (), lack: Lack | None = None) -> None:
        known = self.found.get((broken.law, broken.what))
        if known is None or len(story) < len(known.story):
            self.found[broken.law, broken.what] = Fault(broken.law, broken.what, story, lack)
        if self._first or len(self.found) >= _MOST_FAULTS:
            raise _Enough


def prove(procedure: Procedure, access: Access, *, first: bool = False) -> Proof:
    """Prove a procedure that the loader took. With `first` the proof ends at the first fault."""
    hand = Stagehand(procedure, Town(access, worst_calendar(procedure.policy)))
    faults = _Faults(first=first)
    explorer = Explorer(hand, faults.add)
    worst: dict[tuple[str, Risk], Worst] = {}
    variants: list[tuple[Lack, Stagehand]] = []
    with _without_gc():
        try:
            for broken in disorder(procedure.workflow, procedure.policy):
                faults.add(broken)
            explorer.walk()
            _silences(explorer, faults, worst)
            for here, clock, steps in unmet(explorer):
                faults.add(Broken("meet", clock), (*here.story(), *steps))
            for here in unended(explorer):
                faults.add(Broken("ending", here.key.stage), here.story())
            for here, risk in unclosed(explorer):
                faults.add(Broken("closing", risk.value), here.story())
            for broken, here, step in misclosed(hand, tuple(explorer.open())):
                faults.add(broken, (*here.story(), step))
            variants = stands(hand)
            _vacancies(explorer, variants, faults)
        except _Enough:
            pass
    decisions = hand.decisions + sum(other.decisions for _lack, other in variants if other is not hand)
    stages, risks = list(procedure.workflow.stages), list(Risk)
    table = sorted(worst.values(), key=lambda one: (stages.index(one.stage), risks.index(one.risk)))
    return Proof(procedure.workflow.id, procedure.policy.id, len(explorer.found), decisions, tuple(faults.found.values()), tuple(table),
                 _labels(procedure, access))


@contextmanager
def _without_gc() -> Iterator[None]:
    """Run without the collector of cycles: a proof makes a million small frozen things and no circle of them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _silences(explorer: Explorer, faults: _Faults, worst: dict[tuple[str, Risk], Worst]) -> None:
    for here in explorer.open():
        if here.key.flag:
            continue   # what stands open beside the situation only adds a clock
        for silence, steps in silences(explorer.hand, here):
            for broken in breaks(explorer.hand, here.key, silence, plain=not steps):
                faults.add(broken, (*here.story(), *steps, Step("", "silence", waited=silence.city or timedelta())))
            note_worst(worst, here, silence.city)


def note_worst(worst: dict[tuple[str, Risk], Worst], here: Situation, after: timedelta | None) -> None:
    """Keep the longest silence of each stage and risk."""
    place = here.key.stage, here.key.risk
    if after is not None and (place not in worst or after > worst[place].after):
        worst[place] = Worst(*place, after, here.key.tier)


def _vacancies(explorer: Explorer, variants: list[tuple[Lack, Stagehand]], faults: _Faults) -> None:
    seen: set[tuple[object, ...]] = set()
    for here in explorer.open():
        for lack, broken in vacancies(variants, here, seen):
            faults.add(broken, here.story(), lack)


def _labels(procedure: Procedure, access: Access) -> dict[str, Label]:
    workflow = procedure.workflow
    named = {f"stage.{name}": stage.label for name, stage in workflow.stages.items()}
    named |= {f"clock.{name}": clock.label for name, clock in workflow.clocks.items()}
    named |= {f"move.{name}": move.label for name, move in workflow.moves.items()}
    return named | {f"role.{name}": role.label for name, role in access.roles.items()}


def prove_named(pair: tuple[str, str]) -> Proof:
    """Load and prove a workflow and a policy, each by name or path; DefinitionError when a file is wrong."""
    return prove(load_procedure(*pair), load_access())


def prove_all(pairs: Sequence[tuple[str, str]]) -> list[Proof]:
    """Prove several procedures, as many at once as there are cores. The loader has taken them before."""
    workers = min(len(pairs), cpu_count() or 1)
    if workers < 2:  # noqa: PLR2004 (one worker is no pool)
        return [prove_named(pair) for pair in pairs]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(prove_named, pairs))
