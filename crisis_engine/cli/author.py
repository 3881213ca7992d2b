"""`crisis definitions diff`, `schema` and `new`: help for whoever writes definitions."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crisis_engine.cli.audit import written
from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.definition import _load
from crisis_engine.cli.failure import bad_input

if TYPE_CHECKING:
    from crisis_engine.author import Change

Out = Annotated[Path | None, typer.Option("--out", metavar="FILE")]


@command("definitions diff", "crisis definitions diff default_v1 xinyang_v1")
def diff(console: Console, old: Annotated[str, typer.Argument()], new: Annotated[str, typer.Argument()]) -> None:
    """Tell what changed between two versions; with an operator and a database, how many open cases it is about."""
    from crisis_engine.author import differences, grouped

    (before, kind), (after, other) = _load(old), _load(new)
    if kind != other:
        raise bad_input("diff.kinds", old=old[:60], new=new[:60])
    changes = _counted(console, differences(before, after), getattr(before, "id", ""))
    if console.as_json:
        console.json({"kind": kind, "old": old, "new": new, "changes": [change.to_json() for change in changes]})
        return
    if not changes:
        console.print(console.say("diff.none"))
        return
    for heading, lines in grouped(changes, _names(kind, before, after), console.lang):
        console.print(heading, "bold")
        for line in lines:
            console.print(f"  {line}")
    verdicts = [change.verdict for change in changes]
    console.print(console.say("diff.count", total=len(changes), stricter=verdicts.count(_verdict("stricter")),
                              looser=verdicts.count(_verdict("looser"))))


def _verdict(name: str) -> Any:  # noqa: ANN401 (a Verdict, imported when a difference is asked for)
    from crisis_engine.core.order import Verdict

    return Verdict(name)


def _counted(console: Console, changes: Sequence[Change], definition: str) -> Sequence[Change]:
    """Return the changes with the open cases that each is about, where whoever acts may count them; else as they were."""
    from crisis_engine.core.errors import CrisisError

    if not console.by or not definition:
        return changes
    try:
        with console.engine(reads=True) as engine:
            wanted = [(change.clock, change.risk, change.stage) for change in changes]
            counts = engine.affected(definition, wanted, by=console.by)
        return [change.affecting(count) for change, count in zip(changes, counts, strict=True)]
    except CrisisError:   # no database here, or no right: the difference itself is told all the same
        return changes


def _names(kind: str, before: Any, after: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401 (two definitions of one kind)
    """Return the labels by which a person knows stages, clocks, moves and cues; a policy's clocks are named by its workflows."""
    from crisis_engine.definitions import shipped

    workflows, cues = [], {}
    if kind == "workflows":
        workflows = [before, after]
    elif kind == "policies":
        named = [name for name in shipped()["workflows"] if name in {*before.applies_to, *after.applies_to}]
        workflows = [_load(name)[0] for name in named]
        cues = {name: cue.label for policy in (before, after) for name, cue in policy.cues.items()}
    found: dict[str, dict[str, Any]] = {"stage": {}, "clock": {}, "move": {}, "cue": cues}
    for workflow in workflows:
        for table, entries in (("stage", workflow.stages), ("clock", workflow.clocks), ("move", workflow.moves)):
            found[table] |= {name: entry.label for name, entry in entries.items()}
    return found


@command("definitions schema", "crisis definitions schema policy")
def schema(console: Console, sort: Annotated[str, typer.Argument()], out: Out = None) -> None:
    """Print the JSON Schema of a kind of file, or write it into a new file."""
    from crisis_engine.author import FILE_KINDS, schema_of

    if sort not in FILE_KINDS:
        raise bad_input("schema.kind", name=sort[:40], kinds=", ".join(FILE_KINDS))
    text = json.dumps(schema_of(sort), ensure_ascii=False, indent=1) + "\n"
    _put(console, text, out)


@command("definitions new", "crisis definitions new policy shihe")
def new(console: Console, sort: Annotated[str, typer.Argument()], name: Annotated[str, typer.Argument()], out: Out = None) -> None:
    """Write a file to begin with into this folder: NAME_v1.toml."""
    from crisis_engine.author import scaffold
    from crisis_engine.author.scaffold import KINDS

    if sort not in KINDS:
        raise bad_input("schema.kind", name=sort[:40], kinds=", ".join(KINDS))
    try:
        text = scaffold(sort, name, console.lang)
    except ValueError:
        raise bad_input("new.name", name=name[:40]) from None
    file = out or Path(f"{name}_v1.toml")
    written(file, text.encode())
    if console.as_json:
        console.json({"kind": sort, "name": name, "file": str(file)})
    else:
        console.print(console.say("new.made", file=file))


def _put(console: Console, text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    written(out, text.encode())
    if console.as_json:
        console.json({"file": str(out)})
    else:
        console.print(console.say("schema.written", file=out, size=len(text.encode())))
