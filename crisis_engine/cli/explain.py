"""`crisis explain`: a case in a person's words: why each clock runs, which rule and source set it, who answers and why, what is next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crisis_engine.cli.case import Number, Why
from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console

if TYPE_CHECKING:
    from datetime import datetime

    from crisis_engine.core.explain import Answerer, Reason
    from crisis_engine.engine.explain import Explanation

_EXAMPLE = ("crisis report --as p-71 --unit xinyang/shihe/no-3/g7/c2 --subject stu-42"
            ' --facts "She showed me a fresh cut on her arm" --cue fresh_injury\ncrisis explain next --as p-11')


@command("explain", _EXAMPLE)
def explain(console: Console, number: Number, why: Why = "") -> None:
    """Say why a case stands as it stands; the reading is written down as that of `show`."""
    by = console.actor
    with console.engine(reads=True) as engine:
        found, now = engine.explain(console.number(engine, number), by=by, why=why), engine.now()
    if console.as_json:
        console.json(found.to_json())
        return
    procedure = found.procedure
    console.print(console.say("explain.title", number=found.number, workflow=procedure.workflow.id, policy=procedure.policy.id), "bold")
    rule = procedure.policy.rules.get(found.rule or "")
    if rule is not None:
        console.print(console.say("explain.rule", rule=console.label(rule.label, rule.name)))
        console.print(console.say("definitions.source", source=rule.source, mark=rule.mark, meaning=console.say(f"mark.{rule.mark}")))
    if found.answers is None:
        console.print(console.say("explain.over"))
        return
    console.print(console.say("explain.answers", tier=console.word("tier", found.tier), who=_who(console, found.answers)))
    for reason in found.reasons:
        _clock(console, found, reason, now)
    console.numbers(found.risk)


def _clock(console: Console, found: Explanation, reason: Reason, now: datetime) -> None:
    workflow, clock = found.procedure.workflow, reason.clock
    definition = workflow.clocks[clock.name]
    console.print()
    console.print(console.say("explain.clock", clock=console.label(definition.label), when=console.when(clock.due_at),
                              span=console.span(clock.due_at, now)), "bold")
    detail = reason.detail
    if detail in workflow.stages:
        detail = console.label(workflow.stages[detail].label, detail)
    elif detail in workflow.moves:
        detail = console.label(workflow.moves[detail].label, detail)
    elif reason.condition == "from_risk":
        detail = console.word("risk", detail)
    console.print("  " + console.say(f"explain.runs.{reason.condition}", of=detail, since=console.when(clock.armed_at)))
    console.print("  " + console.say(f"explain.due.{reason.set_by}", span=reason.span, risk=console.word("risk", reason.risk.value),
                                     at=console.when(reason.set_at)))
    console.print("  " + console.say("definitions.source", source=reason.rule.source, mark=reason.rule.mark,
                                     meaning=console.say(f"mark.{reason.rule.mark}")))
    if clock.provisional:
        console.print("  " + console.say("explain.provisional"))
    console.print("  " + console.say("explain.does", who=_who(console, reason.who)))
    console.print("  " + _next(console, reason))


def _who(console: Console, one: Answerer) -> str:
    wanted = console.word("role", one.instead_of)
    return console.say(f"explain.step.{one.step}", who=console.who(one.role, one.person), unit=one.unit, wanted=wanted)


def _next(console: Console, reason: Reason) -> str:
    step = reason.next
    when = console.when(step.at)
    if step.kind == "resume":
        return console.say("explain.next.resume", when=when)
    tells = ", ".join(console.word("role", role) for role in step.tells)
    if step.kind == "reminder":
        said = console.say("explain.next.reminder", when=when, tells=tells)
    elif step.raises_to is not None:
        said = console.say("explain.next.raise", when=when, tier=console.word("tier", step.raises_to.value), tells=tells)
    else:
        said = console.say("explain.next.tell", when=when, tells=tells)
    if step.alarm:
        said += console.say("explain.next.alarm")
    return said + (console.say("explain.next.held") if step.held else "")
