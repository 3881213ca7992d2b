"""`crisis roster`: units, people, duties and pupils come in, show their gaps, go on leave and end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.database import BROKEN, imported


@command("roster import", "printf 'id,name\\np-900,Example person 900\\n' > persons.csv\ncrisis roster import persons.csv")
def import_(console: Console, path: Annotated[list[Path], typer.Argument()]) -> None:
    """Import roster files; a row replaces the one with the same id, and one fault keeps all of them out."""
    from crisis_engine.roster import read_roster

    with console.engine() as engine:
        counts = engine.import_roster(read_roster(path, engine.known_roster()), by=console.by or "operator")
    if console.as_json:
        console.json({"imported": counts})
    else:
        console.print(imported(console, counts))


@command("roster check", "crisis roster check")
def check(console: Console) -> int:
    """Name each place where the network has nobody; exit code 6 where a level would have nobody who answers."""
    with console.engine(reads=True) as engine:
        gaps = engine.roster_gaps()
    stops = sum(gap.severity == "stop" for gap in gaps)
    if console.as_json:
        console.json({"gaps": [
            {"unit": gap.unit, "kind": gap.kind, "role": gap.role, "severity": gap.severity, "text": {"zh": gap.text_zh, "en": gap.text_en}}
            for gap in gaps
        ], "stops": stops})
        return BROKEN if stops else 0
    for gap in gaps:
        text = gap.text_zh if console.lang == "zh" else gap.text_en
        console.print(f"{console.say(f'roster.{gap.severity}')} {text}", "bold" if gap.severity == "stop" else "")
    console.print(console.say("roster.gaps", total=len(gaps), stops=stops) if gaps else console.say("roster.no_gaps"))
    return BROKEN if stops else 0


@command("roster show", "crisis roster show --unit xinyang/shihe/no-3/g7")
def show(console: Console, unit: Annotated[str | None, typer.Option("--unit")] = None) -> None:
    """Show units, duties and pupils at and below a unit, without names; whoever acts sees the pupils of the own units alone."""
    with console.engine(reads=True) as engine:
        roster = engine.roster(unit, by=console.by or None)
    if console.as_json:
        console.json(roster)
        return
    console.grid(("head.unit", "head.kind", "head.name"),
                 [(one["id"], console.word("tier", one["kind"]), one["name"]) for one in roster["units"]])
    console.print()
    console.grid(("head.role", "head.person", "head.unit"),
                 [(console.word("role", one["role"]), one["person"], one["unit"]) for one in roster["duties"]])
    console.print()
    console.grid(("head.subject", "head.unit"), [(one["id"], one["unit"]) for one in roster["subjects"]])


@command("roster absent", "crisis roster absent p-11 --from 2026-03-02T08:00+08:00 --until 2026-03-06T18:00+08:00 --as p-35")
def absent(
    console: Console,
    person: Annotated[str, typer.Argument()],
    from_: Annotated[str, typer.Option("--from", metavar="TIME")],
    until: Annotated[str, typer.Option("--until", metavar="TIME")],
) -> None:
    """Note that a person is away; clocks go to whoever stands next when it begins."""
    by, begins_at, ends_at = console.actor, console.time(from_), console.time(until)
    with console.engine() as engine:
        cases = engine.add_absence(person=person, begins_at=begins_at, ends_at=ends_at, by=by)
    if console.as_json:
        console.json({"person": person, "begins_at": begins_at.isoformat(), "ends_at": ends_at.isoformat(), "handed_over": cases})
    else:
        console.print(console.say("roster.absent", person=person, cases=cases))


@command("roster end-duty", "crisis roster end-duty peer xinyang/shihe/no-3/g7/c2 p-72 --as p-35")
def end_duty(
    console: Console,
    role: Annotated[str, typer.Argument()],
    unit: Annotated[str, typer.Argument()],
    person: Annotated[str, typer.Argument()],
    at: Annotated[str | None, typer.Option("--at", metavar="TIME")] = None,
) -> None:
    """End a duty now or at a time; its clocks are handed over at that moment."""
    by, ends_at = console.actor, console.time(at) if at else None
    with console.engine() as engine:
        cases = engine.end_duty(role=role, unit=unit, person=person, at=ends_at, by=by)
    if console.as_json:
        console.json({"role": role, "unit": unit, "person": person, "ends_at": ends_at and ends_at.isoformat(), "handed_over": cases})
    else:
        console.print(console.say("roster.duty_ended", person=person, role=console.word("role", role), cases=cases))
