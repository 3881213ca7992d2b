"""`crisis definitions`: what the shipped files and a host's own say, with every unverified number marked as such."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console

if TYPE_CHECKING:
    from crisis_engine.core.calendar import Span
    from crisis_engine.core.model import Risk
    from crisis_engine.core.policy import Access, Policy
    from crisis_engine.core.retention import Retention
    from crisis_engine.core.workflow import Workflow
    from crisis_engine.prover import Proof

_UNVERIFIED = {"B", "D"}
_RISKS = ("unrated", "red", "orange", "yellow", "blue")


@command("definitions list", "crisis definitions list")
def list_(console: Console) -> None:
    """List what comes with the package."""
    from crisis_engine.definitions import shipped

    found = shipped()
    if console.as_json:
        console.json({kind: list(names) for kind, names in found.items()})
        return
    for kind, names in found.items():
        console.print(f"{console.word('definitions', kind)}: {', '.join(names)}")


@command("definitions show", "crisis definitions show default_v1")
def show(console: Console, name: Annotated[str, typer.Argument()]) -> None:
    """Show a workflow, policy or access file by name or path."""
    from crisis_engine.core.workflow import Workflow

    found, kind = _load(name)
    if console.as_json:
        console.json({"kind": kind, "definition": _document(name, kind)})
    elif isinstance(found, Workflow):
        _workflow(console, found)
    elif kind == "access":
        _access(console, found)
    elif kind == "retention":
        _retention(console, found)
    else:
        _policy(console, found)


@command("definitions check", "crisis definitions check glass_review_v1")
def check(console: Console, name: Annotated[list[str] | None, typer.Argument()] = None) -> int:
    """Check files as hard as the engine does before a case may follow them, and prove each workflow with the policies that are for it.

    The first fault of a file is named with file and key (65); a law that does not hold is told as a story (6).
    """
    from crisis_engine.definitions import shipped

    names = name or [each for names in shipped().values() for each in names]
    kinds = {one: _load(one)[1] for one in names}
    pairs = list(dict.fromkeys(pair for one, kind in kinds.items() for pair in _pairs(one, kind)))
    for workflow, policy in pairs:
        _taken(workflow, policy)
    proofs = _proofs(pairs)
    unproven = {each for pair, proof in zip(pairs, proofs, strict=True) if not proof.holds for each in pair}
    sound = [{"name": one, "kind": kind} for one, kind in kinds.items() if one not in unproven]
    if console.as_json:
        from crisis_engine.prover import as_json

        console.json({"sound": sound, "proofs": [as_json(proof) for proof in proofs]})
    else:
        for proof in proofs:
            _proof(console, proof)
        for each in sound:
            console.print(console.say("definitions.sound", name=each["name"]))
    return 0 if all(proof.holds for proof in proofs) else 6


def _proofs(pairs: list[tuple[str, str]]) -> list[Proof]:
    if not pairs:
        return []   # rights and terms have no stages to walk
    from crisis_engine.prover import prove_all

    return prove_all(pairs)


def _proof(console: Console, proof: Proof) -> None:
    """Print what was proven and how long silence lasts at the most, or each law that does not hold with its story."""
    from crisis_engine.prover import say_fault, say_span, tell

    if proof.holds:
        console.print(console.say("prover.holds", workflow=proof.workflow, policy=proof.policy, situations=proof.situations,
                                  decisions=proof.decisions), "bold")
    else:
        console.print(console.say("prover.fails", workflow=proof.workflow, policy=proof.policy, faults=len(proof.faults)), "bold red")
    for fault in proof.faults:
        console.print("* " + say_fault(proof, fault, console.lang), "red")
        if fault.story:
            console.print("  " + console.say("prover.story"))
        for line in tell(proof, fault, console.lang):
            console.print("    " + line)
    if proof.worst:
        console.print(console.say("prover.worst"))
        after = {(one.stage, one.risk.value): say_span(one.after, console.lang) for one in proof.worst}
        stages = dict.fromkeys(one.stage for one in proof.worst)
        console.grid(("head.stage", *(f"risk.{risk}" for risk in _RISKS)), [
            (console.label(proof.labels[f"stage.{stage}"]), *(after.get((stage, risk), "") for risk in _RISKS)) for stage in stages
        ])
        console.numbers("red")


def _kind(name: str) -> str:
    """Return what a file is: by the shipped names, else by a table that only this kind has."""
    from crisis_engine.core.errors import DefinitionError
    from crisis_engine.definitions import load_workflow_doc, shipped

    for kind, names in shipped().items():
        if name in names:
            return kind
    try:
        doc = load_workflow_doc(name)  # by path it reads any file
    except DefinitionError as error:
        if "/" not in name and "." not in name:
            every = ", ".join(each for names in shipped().values() for each in names)
            here = Path(f"{name}.toml").is_file()   # whoever has just written it means that one
            way_out = f"Did you mean ./{name}.toml?" if here else f"Known: {every}; or give a path."
            raise DefinitionError("there is no such definition.", file=f"{name[:60]}.toml", way_out=way_out) from error
        raise
    return next((kind for key, kind in (("stage", "workflows"), ("role", "access"), ("keep", "retention")) if key in doc), "policies")


def _load(name: str) -> tuple[Any, str]:
    from crisis_engine import definitions
    from crisis_engine.core.parse_policy import parse_policy
    from crisis_engine.core.parse_workflow import parse_workflow

    kind = _kind(name)
    file = name.rpartition("/")[2]
    file = file if "." in file else f"{file}.toml"
    if kind == "workflows":
        return parse_workflow(definitions.load_workflow_doc(name), file), kind
    if kind in {"access", "retention"}:
        return (definitions.load_access if kind == "access" else definitions.load_retention)(name), kind
    return parse_policy(definitions.load_policy_doc(name), file), kind


def _document(name: str, kind: str) -> object:
    from crisis_engine import definitions

    if kind == "access":
        return _plain(definitions.load_access(name))
    if kind == "retention":
        terms = definitions.load_retention(name)
        return {"name": terms.name, "version": terms.version, "keep": {
            what: {"for": str(keep.span), "source": keep.source, "mark": keep.mark} for what, keep in terms.keeps.items()
        }}
    return definitions.load_policy_doc(name) if kind == "policies" else definitions.load_workflow_doc(name)


_SCOPES = ("sight", "unit", "near", "anywhere")
_FLAGS = ("everybody", "workflow", "glass", "reason", "concerned", "separate")


def _plain(access: Access) -> dict[str, Any]:
    return {"name": access.name, "version": access.version, "source": access.source, "mark": access.mark, "role": {
        role.name: {"level": role.level, "reads": role.reads, "scope": role.scope, "addressed": role.addressed, "glass": role.glass,
                    "label": dict(role.label)}
        for role in access.roles.values()
    }, "action": {
        rule.name: {**{scope: sorted(getattr(rule, scope)) for scope in _SCOPES}, **{flag: getattr(rule, flag) for flag in _FLAGS}}
        for rule in access.actions.values()
    }, "separate": sorted(access.separate), "glass_at_most": str(access.glass_at_most), "least_count": access.least_count,
        "trust": {name: {"source": source, "mark": mark} for name, (source, mark) in access.trust.items()},
    }


def _pairs(name: str, kind: str) -> list[tuple[str, str]]:
    """Return the procedures that a file is part of: a workflow with each policy for it, a policy with each of its workflows."""
    from crisis_engine import definitions

    if kind == "workflows":
        workflow = _load(name)[0].id
        return [(name, policy) for policy in definitions.shipped()["policies"] if workflow in _load(policy)[0].applies_to]
    return [(workflow, name) for workflow in _load(name)[0].applies_to] if kind == "policies" else []


def _taken(workflow: str, policy: str) -> None:
    """Let the loader take a procedure, or refuse it with file and key."""
    from crisis_engine.definitions import load_procedure

    load_procedure(workflow, policy)


def _workflow(console: Console, workflow: Workflow) -> None:
    console.print(f"{workflow.id}  {console.label(workflow.label)}", "bold")
    console.grid(("head.stage", "head.name", "head.lead"), [
        (stage.name, console.label(stage.label), console.word("tier", stage.lead) if stage.lead else stage.final or "")
        for stage in workflow.stages.values()
    ])
    console.print()
    console.grid(("head.clock", "head.name", "head.who", "head.kind"), [
        (clock.name, console.label(clock.label), console.word("role", clock.who), clock.kind) for clock in workflow.clocks.values()
    ])
    console.print()
    console.grid(("head.what", "head.name", "head.by"), [
        (move.name, console.label(move.label), ", ".join(console.word("role", role) for role in move.by))
        for move in workflow.moves.values()
    ])
    if workflow.danger is not None:
        console.numbers(shows=workflow.danger.shows)


def _policy(console: Console, policy: Policy) -> None:
    console.print(f"{policy.id}  {console.label(policy.label)}", "bold")
    marks = [rule.mark for rule in policy.clocks.values()] + [mark for _, mark in policy.trust.values()]
    for name, rule in policy.clocks.items():
        console.print(f"  {name}: {_by_risk(console, rule.within)}")
        console.print(f"      {_trust(console, rule.source, rule.mark)}")
    put_off = {"hold": policy.hold, "pause": policy.pause}
    for name, (source, mark) in policy.trust.items():
        numbers = f"  {_by_risk(console, put_off[name])}\n     " if name in put_off else ""
        console.print(f"  [{name}]{numbers}  {_trust(console, source, mark)}")
    console.print(console.say("definitions.unverified", count=sum(mark in _UNVERIFIED for mark in marks)))
    console.numbers("red")


def _by_risk(console: Console, spans: Mapping[Risk, Span]) -> str:
    written = {risk.value: str(span) for risk, span in spans.items()}
    return "  ".join(f"{console.word('risk', risk)} {written[risk]}" for risk in _RISKS if risk in written)


def _access(console: Console, access: Access) -> None:
    console.print(f"{access.name}_v{access.version}", "bold")
    console.grid(("head.role", "head.name", "head.unit", "head.what"), [
        (role.name, console.label(role.label), role.level, f"{role.reads} {role.scope}") for role in access.roles.values()
    ])
    console.print()
    console.grid(("head.what", "head.by"), [
        (rule.name, "; ".join(f"{scope}: {', '.join(sorted(roles))}" for scope in _SCOPES if (roles := getattr(rule, scope)))
         or ", ".join(flag for flag in _FLAGS if getattr(rule, flag))) for rule in access.actions.values()
    ])
    console.print()
    for name, (source, mark) in access.trust.items():
        console.print(f"  [{name}]  {_trust(console, source, mark)}")
    console.print(_trust(console, access.source, access.mark))


def _retention(console: Console, terms: Retention) -> None:
    console.print(f"{terms.name}_v{terms.version}", "bold")
    for what, keep in terms.keeps.items():
        console.print(f"{what}  {keep.span}")
        console.print(_trust(console, keep.source, keep.mark))


def _trust(console: Console, source: str, mark: str) -> str:
    meaning: Mapping[str, str] = {known: console.say(f"mark.{known}") for known in "VTBD"}
    return console.say("definitions.source", source=source, mark=mark, meaning=meaning.get(mark, ""))
