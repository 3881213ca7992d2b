"""`crisis definitions migrate`: open cases to another version of their procedure, rehearsed, signed by two operators, undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.failure import bad_input

if TYPE_CHECKING:
    from crisis_engine.engine.migrate import MigrationReport

_SHOWN, _KEYS = 100, 6
_EXAMPLE = ("crisis report --as p-71 --unit xinyang/shihe/no-3/g7/c2 --subject stu-42"
            ' --facts "She showed me a fresh cut on her arm" --cue fresh_injury\n'
            "crisis definitions migrate xinyang_v1 default_v1 --as p-9")


@command("definitions migrate", _EXAMPLE)
def migrate(
    console: Console,
    old: Annotated[str | None, typer.Argument()] = None,
    new: Annotated[str | None, typer.Argument()] = None,
    propose: Annotated[bool, typer.Option("--propose")] = False,
    apply: Annotated[str | None, typer.Option("--apply", metavar="ID")] = None,
    undo: Annotated[str | None, typer.Option("--revert", metavar="ID")] = None,
) -> None:
    """Rehearse, propose, apply or undo a migration; without an option nothing is changed."""
    by = console.actor
    named = old is not None and new is not None
    if [named, apply is not None, undo is not None].count(True) != 1 or (propose and not named):
        raise bad_input("migrate.one")
    if undo is not None or propose:
        with console.engine() as engine:
            number = engine.propose_revert(undo, by=by) if undo is not None else engine.propose_migration(str(old), str(new), by=by)
        if console.as_json:
            console.json({"id": number})
        else:
            console.print(console.say("migrate.proposed", id=number))
        return
    with console.engine(reads=apply is None) as engine:
        report = engine.apply_migration(apply, by=by) if apply is not None else engine.rehearse_migration(str(old), str(new), by=by)
    _tell(console, report, done=apply is not None)


def _tell(console: Console, report: MigrationReport, *, done: bool) -> None:
    if console.as_json:
        console.json(report.to_json())
        return
    console.print(console.say("migrate.done" if done else "migrate.would", old=report.origin, new=report.target, cases=report.cases,
                              clocks=report.clocks, nearer=report.nearer))
    if report.looser:
        console.print(console.say("migrate.looser", count=len(report.looser), keys=", ".join(report.looser[:_KEYS]),
                                  old=report.origin, new=report.target), "bold")
    if report.stuck:
        console.print(console.say("migrate.stuck", count=len(report.stuck)), "bold")
    for number, why, name in report.stuck[:_SHOWN]:
        console.print(f"  {number}  {console.say(f'migrate.why.{why}', name=name)}")
    if len(report.stuck) > _SHOWN:
        console.print(console.say("migrate.more", count=len(report.stuck) - _SHOWN))
    if not done:
        console.print(console.say("migrate.next"))
