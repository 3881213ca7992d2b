"""What a drawing of a workflow shows: stages with their clocks and budgets, moves with who makes them, and a case's way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from crisis_engine.core.calendar import CHINA
from crisis_engine.core.model import Risk
from crisis_engine.core.policy import ClockRule, Policy
from crisis_engine.core.workflow import ClockDef, MoveDef, Stage, Workflow
from crisis_engine.words import knows, say

MANY = 4
"""A move from more stages than these is drawn from one dashed box, which the legend spells out: ten arrows say less than one."""

_RISKS = (Risk.RED, Risk.ORANGE, Risk.YELLOW, Risk.BLUE, Risk.UNRATED)
_SHOWN_ROLES = 2


@dataclass(frozen=True, slots=True)
class Node:
    """A stage, or a dashed box that stands for several."""

    name: str
    title: str
    lines: tuple[str, ...]
    kind: str                      # open, final, many
    visited: bool = False
    here: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """All moves from one node to another; `steps` are the numbers under which a case went along it."""

    source: str
    target: str
    moves: tuple[str, ...]
    lines: tuple[str, ...]
    steps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """A workflow as it is drawn."""

    title: str
    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]
    notes: tuple[tuple[str, tuple[str, ...]], ...]     # headings with lines that stand below the picture


@dataclass(frozen=True, slots=True)
class Way:
    """A case's way: (move, from, to, when) of each stage that it entered, in order; no person and no fact."""

    number: str
    steps: tuple[tuple[str, str | None, str, datetime], ...] = ()
    fired: Mapping[tuple[str, int], datetime] = field(default_factory=dict)   # (ladder, rung) -> when it first fired

    @classmethod
    def of(cls, number: str, history: Sequence[Mapping[str, Any]], policy: Policy | None = None) -> Way:
        """Return the way that a history as the reader may see it tells."""
        steps: list[tuple[str, str | None, str, datetime]] = []
        fired: dict[tuple[str, int], datetime] = {}
        risk = Risk.UNRATED
        for line in history:
            at, kind = datetime.fromisoformat(str(line["at"])), line["kind"]
            risk = Risk(line["risk"]) if kind in {"opened", "risk_raised", "risk_lowered"} and "risk" in line else risk
            if kind == "opened":
                steps.append((str(line["move"]), None, str(line["stage"]), at))
            elif kind == "moved" and line["to"] != line["origin"]:
                steps.append((str(line["move"]), str(line["origin"]), str(line["to"]), at))
            elif kind == "rung_fired" and policy is not None and line["clock"] in policy.clocks:
                rule = policy.clocks[line["clock"]]
                rung = min(int(line["rung"]) - len(rule.remind), len(policy.ladders[rule.ladder_at(risk)]) - 1)
                if rung >= 0:
                    fired.setdefault((rule.ladder_at(risk), rung), at)
        return cls(number, tuple(steps), fired)


Say = Callable[..., str]


def graph_of(workflow: Workflow, policy: Policy | None, lang: str, way: Way | None = None) -> Graph:
    """Return what is drawn of a workflow, with the budgets of a policy where there is one."""
    return _Drawer(workflow, policy, lang, way).graph()


def role_of(name: str, lang: str) -> str:
    """Return what a role is called; `counselor@addressee` says both."""
    role, _, at = name.partition("@")
    word = say(f"role.{role}", lang) if knows(f"role.{role}") else role
    return f"{word}@{role_of(at, lang)}" if at else word


def roles_of(names: Sequence[str], lang: str, most: int = _SHOWN_ROLES) -> str:
    """Return the first few roles, and how many more there are."""
    said = ", ".join(role_of(name, lang) for name in names[:most])
    return say("draw.and_more", lang, said=said, count=len(names) - most) if len(names) > most else said


def budget_of(rule: ClockRule, lang: str) -> str:
    """Return a budget for each risk, once where all are one."""
    spans = {risk: str(rule.within[risk]) for risk in _RISKS if risk in rule.within}
    if len(set(spans.values())) == 1:
        return next(iter(spans.values()))
    return "  ".join(f"{say(f'draw.short.{risk}', lang)} {span}" for risk, span in spans.items())


def when_of(at: datetime) -> str:
    """Return China's time to the minute."""
    return at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")


class _Drawer:
    """Puts a graph together for one language."""

    def __init__(self, workflow: Workflow, policy: Policy | None, lang: str, way: Way | None) -> None:
        self.workflow, self.policy, self.lang, self.way = workflow, policy, lang, way
        self.entered: dict[str, list[str]] = {}
        for _move, _origin, to, at in way.steps if way else ():
            self.entered.setdefault(to, []).append(when_of(at))

    def graph(self) -> Graph:
        many = {move.name: move for move in self.workflow.moves.values() if move.to and len(move.from_stages) > MANY}
        arrows = self._arrows(many)
        nodes = [self._stage(stage) for stage in self.workflow.stages.values()]
        nodes += [Node(f"many {name}", self._say("draw.many", count=len(move.from_stages)), (), "many") for name, move in many.items()]
        title = f"{self.workflow.label[self.lang]}  {self.workflow.id}"
        title += f"  {self.policy.id}" if self.policy else ""
        title += f"  {self.way.number}" if self.way else ""
        return Graph(title, tuple(nodes), tuple(arrows), tuple(self._notes(many)))

    def _say(self, key: str, **fields: object) -> str:
        return say(key, self.lang, **fields)

    def _stage(self, stage: Stage) -> Node:
        lines: list[str] = []
        if stage.lead is not None:
            lines.append(self._say("draw.lead", tier=self._say(f"tier.{stage.lead.value}")))
        lines += [self._clock(clock) for clock in self.workflow.clocks.values() if stage.name in clock.stages]
        lines += [self._say("draw.entered", when=when) for when in self.entered.get(stage.name, ())]
        here = bool(self.way and self.way.steps and self.way.steps[-1][2] == stage.name)
        return Node(stage.name, stage.label[self.lang], tuple(lines), "final" if stage.final else "open", stage.name in self.entered, here)

    def _clock(self, clock: ClockDef) -> str:
        rule = self.policy.clocks.get(clock.name) if self.policy else None
        said = self._say("draw.clock", clock=clock.label[self.lang], who=role_of(clock.who, self.lang))
        return f"{said}: {budget_of(rule, self.lang)} [{rule.mark}]" if rule is not None else said

    def _arrows(self, many: Mapping[str, MoveDef]) -> list[Arrow]:
        moves: dict[tuple[str, str], list[MoveDef]] = {}
        for move in self.workflow.moves.values():
            if move.to is not None and not move.opens_case:
                stages = [name for name in self.workflow.stages if name in move.from_stages]
                for source in [f"many {move.name}"] if move.name in many else stages:
                    moves.setdefault((source, move.to), []).append(move)
        return [
            Arrow(source, target, tuple(move.name for move in group), tuple(self._move(move) for move in group),
                  self._steps(source, target, group))
            for (source, target), group in moves.items()
        ]

    def _steps(self, source: str, target: str, group: Sequence[MoveDef]) -> tuple[int, ...]:
        names = {move.name for move in group}
        return tuple(
            number for number, (move, origin, to, _at) in enumerate(self.way.steps if self.way else (), start=1)
            if move in names and to == target and source in {origin, f"many {move}"}
        )

    def _move(self, move: MoveDef) -> str:
        said = self._say("draw.move", move=move.label[self.lang], who=roles_of(move.by, self.lang))
        return f"{said} {self._say('draw.second')}" if move.second else said

    def _notes(self, many: Mapping[str, MoveDef]) -> list[tuple[str, tuple[str, ...]]]:
        notes: list[tuple[str, tuple[str, ...]]] = []
        opening = self.workflow.opening
        notes.append((self._say("draw.opens"), (self._move(opening),)))
        if many:
            notes.append((self._say("draw.from_many"), tuple(
                self._say("draw.listed", move=move.label[self.lang], stages=", ".join(
                    stage.label[self.lang] for stage in self.workflow.stages.values() if stage.name in move.from_stages))
                for move in many.values()
            )))
        other = [clock for clock in self.workflow.clocks.values() if not clock.stages]
        if other:
            notes.append((self._say("draw.other_clocks"), tuple(f"{self._clock(clock)}  {self._condition(clock)}" for clock in other)))
        stay = [move for move in self.workflow.moves.values() if move.to is None]
        if stay:
            notes.append((self._say("draw.stay"), tuple(self._move(move) for move in stay)))
        if self.way:
            notes.append((self._say("draw.way", number=self.way.number), tuple(
                f"{number}. {when_of(at)}  {self.workflow.moves[move].label[self.lang] if move in self.workflow.moves else move}"
                f" > {self.workflow.stages[to].label[self.lang] if to in self.workflow.stages else to}"
                for number, (move, _origin, to, at) in enumerate(self.way.steps, start=1)
            )))
        return notes

    def _condition(self, clock: ClockDef) -> str:
        if clock.flag is not None:
            return self._say(f"draw.while.{clock.flag}")
        if clock.once_from_risk is not None:
            return self._say("draw.from_risk", risk=self._say(f"risk.{clock.once_from_risk.value}"))
        moves = self.workflow.moves
        on = [moves[name].label[self.lang] if name in moves else self._say(f"draw.on.{name}") for name in clock.once_on]
        return self._say("draw.on", moves=", ".join(on))
