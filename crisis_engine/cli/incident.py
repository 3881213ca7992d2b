"""`crisis incident open` and `add`: a group event with a word about each child in it, from options or from a CSV file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crisis_engine.cli.case import Key, Number, facts_of
from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.failure import bad_input
from crisis_engine.core.errors import CrisisError, RosterError

if TYPE_CHECKING:
    from crisis_engine import Engine
    from crisis_engine.engine.incident import Incident

INCIDENT = "incident_v1"
_LISTED = 1_000

Child = Annotated[list[str] | None, typer.Option("--child", metavar="PUPIL")]
Children = Annotated[Path | None, typer.Option("--children", metavar="FILE")]

_OPEN = ('crisis incident open --as p-35 --unit xinyang/shihe/no-3 --kind attempt --facts "Their classmate was seen on the roof"'
         " --child stu-41 --child stu-42")


@command("incident open", _OPEN)
def open_(
    console: Console,
    *,
    unit: Annotated[str, typer.Option("--unit")],
    event_kind: Annotated[str, typer.Option("--kind", metavar="KIND")],
    facts: Annotated[str | None, typer.Option("--facts", metavar="TEXT")] = None,
    facts_file: Annotated[Path | None, typer.Option("--facts-file", metavar="FILE")] = None,
    child: Child = None,
    children: Children = None,
    about_staff: Annotated[list[str] | None, typer.Option("--about-staff", metavar="PERSON")] = None,
    key: Key = None,
) -> None:
    """Open a case about a unit and take a word about each child, all of it or nothing; a receipt for each."""
    by, text = console.actor, facts_of(console, facts, facts_file)
    words, lines = _words(child, children)
    with console.engine() as engine:
        found = _told(children, lines, lambda: engine.open_incident(
            unit=unit, by=by, kind=event_kind, facts=text, children=words, about_staff=about_staff or [], key=key))
    _print(console, found)


@command("incident add", f"{_OPEN}\nprintf 'subject,cues\\nstu-43,suicide_words\\n' > children.csv\n"
                         "crisis incident add next --as p-35 --children children.csv")
def add(
    console: Console,
    number: Number,
    facts: Annotated[str | None, typer.Option("--facts", metavar="TEXT")] = None,
    child: Child = None,
    children: Children = None,
    key: Key = None,
) -> None:
    """Take a word about further children of a group event that runs."""
    by = console.actor
    words, lines = _words(child, children)
    with console.engine() as engine:
        number = _event(engine, by) if number == "next" else number
        found = _told(children, lines, lambda: engine.add_to_incident(number, children=words, by=by, facts=facts, key=key))
    _print(console, found)


def _event(engine: Engine, by: str) -> str:
    """Return the one group event that whoever acts may see: `next` stands for it, whatever else is in the queue."""
    open_ones = [one.number for one in engine.cases(by=by, limit=_LISTED) if one.workflow == INCIDENT]
    if len(open_ones) != 1:
        raise bad_input("usage.next_many" if open_ones else "usage.next_none")
    return open_ones[0]


def _words(named: list[str] | None, file: Path | None) -> tuple[list[dict[str, Any]], list[int | None]]:
    """Return a word about each child that an option or the file names, and in which line of the file it stands."""
    words: list[dict[str, Any]] = [{"subject": one} for one in named or ()]
    lines: list[int | None] = [None] * len(words)
    if file is not None:
        from crisis_engine.roster.children import read_children

        for line, child in read_children(file):
            words.append(child)
            lines.append(line)
    return words, lines


def _told(file: Path | None, lines: list[int | None], call: Callable[[], Incident]) -> Incident:
    """Say with a refusal about a child in which line of the file that child stands."""
    try:
        return call()
    except CrisisError as error:
        place = error.data.get("child")
        line = lines[place] if isinstance(place, int) and place < len(lines) else None
        if file is None or line is None:
            raise
        raise RosterError(error.message, file=str(file), line=line, way_out=error.way_out) from error


def _print(console: Console, found: Incident) -> None:
    if console.as_json:
        console.json(found.to_json())
        return
    console.print(console.say("incident.done", number=found.number))
    for receipt in found.receipts:
        console.print(console.say("incident.receipt", receipt=receipt))
