"""A policy's ladders as swim-lanes: levels as lanes, time to the right, each rung a box in the lane that it reaches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crisis_engine.core.model import TIERS, Risk, Tier
from crisis_engine.core.network import ROLE_LEVEL
from crisis_engine.core.policy import Policy, Rung
from crisis_engine.core.workflow import Workflow
from crisis_engine.draw.graph import Way, role_of, when_of
from crisis_engine.words import say

LANES: tuple[Tier, ...] = tuple(reversed(TIERS[1:]))
"""The lanes from the city down; a pupil has none."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rung: when, in which lane (None: whoever answers then), what happens, and when it fired for a case."""

    when: str
    lane: Tier | None
    lines: tuple[str, ...]
    fired: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One ladder with the clocks that climb it."""

    name: str
    title: str
    clocks: tuple[str, ...]
    steps: tuple[Step, ...]


def panels_of(policy: Policy, workflow: Workflow | None, lang: str, way: Way | None = None) -> tuple[Panel, ...]:
    """Return the ladders of a policy, or those that the clocks of a workflow climb."""
    return tuple(
        Panel(name, say("draw.ladder", lang, name=name), clocks, tuple(_steps(name, rungs, lang, way)))
        for name, rungs in policy.ladders.items()
        if (clocks := tuple(_clocks(policy, workflow, name, lang))) or workflow is None
    )


def _clocks(policy: Policy, workflow: Workflow | None, ladder: str, lang: str) -> Iterator[str]:
    """Yield the clocks that climb this ladder: at every risk, or at those named."""
    for name, rule in policy.clocks.items():
        definition = workflow.clocks.get(name) if workflow is not None else None
        risks = [risk for risk in Risk if rule.ladder_at(risk) == ladder]
        if risks and (workflow is None or definition is not None):
            label = definition.label[lang] if definition is not None else name
            some = ", ".join(say(f"risk.{risk.value}", lang) for risk in risks)
            yield label if len(risks) == len(Risk) else f"{label} ({some})"


def _steps(ladder: str, rungs: tuple[Rung, ...], lang: str, way: Way | None) -> Iterator[Step]:
    lane: Tier | None = None
    for number, rung in enumerate(rungs):
        lines: list[str] = []
        if rung.raise_to == "next":
            lines.append(say("draw.raise_next", lang))
            lane = None
        elif rung.raise_to is not None:
            lane = Tier(rung.raise_to)
            lines.append(say("draw.raise", lang, tier=say(f"tier.{rung.raise_to}", lang)))
        lines += [say("draw.tell", lang, who=role_of(role, lang)) for role in rung.tell]
        lane = lane or _told(rung)
        if rung.move is not None:
            lines.append(say("draw.engine_move", lang, move=rung.move))
        if rung.alarm:
            lines.append(say("draw.alarm", lang))
        fired = way.fired.get((ladder, number)) if way is not None else None
        when = say("draw.again_every", lang, span=rung.every) if rung.every is not None else _after(rung, lang)
        yield Step(when, lane, tuple(lines), when_of(fired) if fired is not None else "")


def _told(rung: Rung) -> Tier | None:
    """Return the highest level whose people a rung tells without raising."""
    levels = [Tier(level) for role in rung.tell if (level := ROLE_LEVEL.get(role)) in set(Tier)] if rung.raise_to is None else []
    return max(levels, key=lambda tier: tier.rank, default=None)


def _after(rung: Rung, lang: str) -> str:
    return say("draw.when_due", lang) if rung.at is None or not rung.at.amount else say("draw.after_due", lang, span=rung.at)
