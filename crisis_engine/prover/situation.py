"""A situation of a proof: what of a case the rules can tell apart, one case that stands for it, and the way that led there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from crisis_engine.core.case import Case, Clock
from crisis_engine.core.model import Risk, Tier
from crisis_engine.core.workflow import Workflow

from .town import START


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a story: after a wait somebody did something. `move` may be `confirm`, `decline`, `withdraw` or `silence`."""

    who: str
    move: str
    form: Mapping[str, Any] = field(default_factory=dict)
    waited: timedelta = timedelta()
    of: str = ""                # the proposed move that an answer is about


@dataclass(frozen=True, slots=True)
class Key:
    """An abstract situation. `flag` is one thing that stands open beside it: a proposal, a new signal, a pause, an unknown child."""

    stage: str
    tier: Tier
    risk: Risk
    danger: bool
    lead: Tier | None
    flag: str = ""


@dataclass(slots=True, eq=False)
class Situation:
    """A reachable situation with the case that stands for it; all of them stand at one instant."""

    key: Key
    case: Case
    proposed: Mapping[int, Mapping[str, Any]]
    before: Situation | None
    steps: tuple[Step, ...]

    def story(self) -> tuple[Step, ...]:
        """Return the whole way from the first word."""
        steps: list[Step] = []
        here: Situation | None = self
        while here is not None:
            steps[:0] = here.steps
            here = here.before
        return tuple(steps)


def core_key(case: Case) -> Key:
    """Return the situation without what stands open beside it."""
    return Key(case.stage, case.tier, case.risk, case.danger, case.lead)


def signal_clocks(workflow: Workflow) -> frozenset[str]:
    """Return the clocks that a word from outside starts: as long as one runs, nobody has said what follows from the word."""
    words = {move.name for move in workflow.moves.values() if move.signal}
    return frozenset(clock.name for clock in workflow.clocks.values() if words.intersection(clock.once_on))


def flags_of(case: Case, workflow: Workflow, signals: frozenset[str]) -> Iterator[str]:
    """Yield what stands open beside the situation."""
    for proposal in case.proposals:
        yield f"proposed:{proposal.move}:{proposal.risk or ''}"
    if any(clock.name in signals for clock in case.clocks):
        yield "signal"
    if any(clock.paused_until is not None for clock in case.clocks):
        yield "paused"
    if case.subject is None and workflow.subject == "student":
        yield "unidentified"


def at_start(case: Case) -> Case:
    """Return the same case as if its last event were now: situations that differ only by the hour are one."""
    by = START - case.last_at
    if not by:
        return case
    return replace(
        case, opened_at=case.opened_at + by, last_at=START, closed_at=_moved(case.closed_at, by), signal_at=_moved(case.signal_at, by),
        done={name: replace(done, at=done.at + by) for name, done in case.done.items()},
        clocks=tuple(_shifted(clock, by) for clock in case.clocks),
        proposals=tuple(replace(proposal, at=proposal.at + by) for proposal in case.proposals),
    )


def _moved(at: datetime | None, by: timedelta) -> datetime | None:
    return at + by if at is not None else None


def _shifted(clock: Clock, by: timedelta) -> Clock:
    return replace(
        clock, armed_at=clock.armed_at + by, due_at=clock.due_at + by, next_at=clock.next_at + by, cap_at=_moved(clock.cap_at, by),
        held_until=_moved(clock.held_until, by), paused_at=_moved(clock.paused_at, by), paused_until=_moved(clock.paused_until, by),
    )
