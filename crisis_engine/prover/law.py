"""The laws that hold after every decision, whoever made it: each looks at one step and says what it breaks, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crisis_engine.core import events as ev
from crisis_engine.core.case import Case
from crisis_engine.core.guard import is_raised
from crisis_engine.core.model import Risk, Tier
from crisis_engine.core.resolve import Resolver
from crisis_engine.core.workflow import ClockDef, Workflow

from .stagehand import Made
from .town import GUARDIANS

HIGH = frozenset({Risk.RED, Risk.ORANGE})


@dataclass(frozen=True, slots=True)
class Broken:
    """A law that a step breaks, with what its sentence names: a stage, a clock, a move."""

    law: str
    what: str = ""


def at_rest(workflow: Workflow, resolver: Resolver, case: Case, *, moved: bool) -> Iterator[Broken]:
    """Yield what an open case lacks: a clock, somebody who answers, a clock of its stage."""
    if not case.open:
        if case.clocks or case.proposals:
            yield Broken("over")
        return
    if not case.clocks or case.next_at is None:
        yield Broken("clock")
    if not case.answers_role or case.answers is None:
        yield Broken("answers")
    for clock in workflow.clocks.values():
        if clock.standing and case.clock(clock.name) is None and _stands(workflow, clock, case):
            yield Broken("standing", clock.name)
    lead = workflow.stages[case.stage].lead or Tier.SCHOOL
    if moved and case.tier.rank < min(lead.rank, resolver.level_from(case.unit, lead).rank):
        yield Broken("below", case.stage)
    if case.danger and (workflow.danger is None or case.risk.rank < Risk.RED.rank or case.tier.rank < Tier.SCHOOL.rank):
        yield Broken("danger")


def _stands(workflow: Workflow, clock: ClockDef, case: Case) -> bool:
    if clock.flag == "danger":
        return case.danger
    if clock.flag == "raised":
        return is_raised(case.tier, case.lead or workflow.stages[case.stage].lead or Tier.SCHOOL)
    return case.stage in clock.stages


def of_step(  # noqa: C901 (a list of laws, each two lines)
    workflow: Workflow, signals: frozenset[str], before: Case, made: Made, second: str | None,
) -> Iterator[Broken]:
    """Yield what a step breaks: what cannot be taken back takes two, nothing ends under danger or over a new word, a word voids."""
    after, signers = made.case, signers_of(made, second)
    for event in made.pen.events:
        if isinstance(event, ev.RiskLowered) and before.risk in HIGH and len(signers) < 2:  # noqa: PLR2004 (two persons)
            yield Broken("two_lower", made.move)
        if isinstance(event, ev.DangerEnded) and len(signers) < 2:  # noqa: PLR2004 (two persons)
            yield Broken("two_danger", made.move)
        if isinstance(event, ev.FactSet) and (event.name, event.value) == ("guardian", "withheld"):
            if len(signers) < 2:  # noqa: PLR2004 (two persons)
                yield Broken("two_withhold", made.move)
            if not after.recused.issuperset(GUARDIANS):
                yield Broken("withheld", made.move)
        if isinstance(event, ev.DangerBegan) and (not made.shows or not any(isinstance(each, ev.Told) for each in made.pen.events)):
            yield Broken("danger_told", made.move)
    if before.open and after.open and (made.move == workflow.again or any(isinstance(event, ev.DangerBegan) for event in made.pen.events)):
        yield from _heard(workflow, before, after, made)
    if before.open and not after.open and after.final != "merged":
        if len({after.ended_by, after.ended_second, None}) < 3:  # noqa: PLR2004 (two and nobody)
            yield Broken("two_end", made.move)
        if before.danger:
            yield Broken("end_danger", made.move)
        if any(clock.name in signals for clock in before.clocks):
            yield Broken("end_signal", made.move)


def signers_of(made: Made, second: str | None) -> set[str]:
    """Return who signed a step: whoever made or confirmed it, and whoever the log names beside."""
    moved = [event for event in made.pen.events if isinstance(event, ev.Moved) and event.by != "engine"]
    return {made.who, *(event.by for event in moved), *(event.second for event in moved if event.second), *([second] if second else [])} - {
        "reporter"}


def _heard(workflow: Workflow, before: Case, after: Case, made: Made) -> Iterator[Broken]:
    """Yield what a new word from outside leaves as it was: what was proposed before is void, and somebody has to look at it."""
    if any(proposal in after.proposals for proposal in before.proposals):
        yield Broken("void", made.move)
    started = [clock.name for clock in workflow.clocks.values() if workflow.again in clock.once_on]
    if made.move == workflow.again and started and not any(after.clock(name) for name in started):
        yield Broken("unheard", made.move)


def by_software(before: Case, after: Case) -> Iterator[Broken]:
    """Yield what software did that only people do: it raises, they lower."""
    if after.risk.rank < before.risk.rank or after.tier.rank < before.tier.rank or (before.danger and not after.danger):
        yield Broken("software")
    if not after.open and before.open:
        yield Broken("software")
