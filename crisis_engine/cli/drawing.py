"""`crisis definitions draw`: a workflow as a graph, a policy's ladders as swim-lanes, a case's way over both."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crisis_engine.cli.audit import written
from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.definition import _load
from crisis_engine.cli.failure import bad_input

if TYPE_CHECKING:
    from crisis_engine.core.policy import Policy
    from crisis_engine.core.workflow import Workflow
    from crisis_engine.draw import Way

_BY_SUFFIX = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid"}
_FORMATS = ("svg", "mermaid", "text")


@command("definitions draw", "crisis definitions draw school_crisis_v1 --format mermaid")
def draw(
    console: Console,
    name: Annotated[str, typer.Argument()],
    ladder: Annotated[bool, typer.Option("--ladder")] = False,
    case: Annotated[str | None, typer.Option("--case", metavar="NUMBER")] = None,
    policy: Annotated[str | None, typer.Option("--policy", metavar="NAME")] = None,
    format_: Annotated[str | None, typer.Option("--format", metavar="FORMAT")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE")] = None,
) -> None:
    """Draw a definition; with a case, the way it went, as far as whoever acts may read its history."""
    form = format_ or (_BY_SUFFIX.get(out.suffix.lower(), "text") if out is not None else "text")
    if form not in _FORMATS:
        raise bad_input("draw.format", name=form[:20])
    workflow, numbers = _pair(name, policy)
    way = _way(console, case, workflow, numbers, name) if case is not None else None
    picture = _drawn(console, workflow, numbers, way, form, ladder=ladder or workflow is None)
    if out is not None:
        data = picture.encode()
        written(out, data)
    if console.as_json:
        console.json({"name": name, "format": form, "file": str(out) if out is not None else None, "drawing": picture})
    elif out is not None:
        console.print(console.say("draw.written", file=out, size=len(picture.encode())))
    else:
        sys.stdout.write(picture)


def _pair(name: str, policy: str | None) -> tuple[Workflow | None, Policy | None]:
    """Return what is drawn: a workflow with the numbers that were asked for, or else with the default ones; or a policy alone."""
    from crisis_engine.core.parse_policy import parse_policy
    from crisis_engine.definitions import load_policy_doc, load_procedure

    found, kind = _load(name)
    if kind == "policies":
        return None, found
    if kind != "workflows":
        raise bad_input("draw.kind", name=name[:60])
    if policy is not None:
        procedure = load_procedure(name, policy)
        return procedure.workflow, procedure.policy
    default = parse_policy(load_policy_doc("default_v1"), "default_v1.toml")
    return found, default if found.id in default.applies_to else None


def _way(console: Console, number: str, workflow: Workflow | None, policy: Policy | None, name: str) -> Way:
    from crisis_engine.draw import Way

    by = console.actor
    with console.engine(reads=True) as engine:
        number = console.number(engine, number)
        history = engine.history(number, by=by)
        follows = engine.case(number, by=by).workflow
    if workflow is not None and follows != workflow.id:
        raise bad_input("draw.other_workflow", workflow=follows, name=name[:60])
    return Way.of(number, history, policy)


def _drawn(console: Console, workflow: Workflow | None, policy: Policy | None, way: Way | None, form: str, *, ladder: bool) -> str:
    from crisis_engine import draw as drawing

    lang = console.lang
    if ladder and policy is not None:
        title = console.say("draw.ladders", name=f"{policy.id}  {way.number}" if way is not None else policy.id)
        panels = drawing.panels_of(policy, workflow, lang, way)
        if form == "svg":
            return drawing.svg_of_lanes(title, panels, lang)
        return drawing.mermaid_of_lanes(panels, lang) if form == "mermaid" else drawing.text_of_lanes(title, panels, lang)
    if workflow is None:
        raise AssertionError
    graph = drawing.graph_of(workflow, policy, lang, way)
    return {"svg": drawing.svg_of, "mermaid": drawing.mermaid_of, "text": drawing.text_of}[form](graph)
