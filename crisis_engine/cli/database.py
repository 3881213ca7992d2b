"""`crisis init`, `doctor` and `demo`: the database itself, the proof that it keeps the promises, the day that shows why."""

from __future__ import annotations

from typing import Annotated

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.failure import bad_input

EXAMPLE_CITY = "xinyang"
BROKEN = 6
DEMO_WIDTH = 100
"""Columns of the demo where no terminal says how many it has."""


@command("init", "crisis init --sandbox --example xinyang")
def init(
    console: Console,
    sandbox: Annotated[bool, typer.Option("--sandbox")] = False,
    example: Annotated[str | None, typer.Option("--example", metavar="NAME")] = None,
) -> None:
    """Make the database or bring it up to date; with an example, import its roster."""
    if example not in {None, EXAMPLE_CITY}:
        raise bad_input("usage.no_example", name=str(example)[:40])
    counts: dict[str, int] = {}
    with console.engine(create=True, sandbox=sandbox) as engine:
        if example:
            from crisis_engine.example import example_roster

            counts = engine.import_roster(example_roster())
        is_sandbox = engine.sandbox
        key_beside = engine.key_source == "beside"
        plain = engine.plain_rows
    from crisis_engine.store.dialect import masked

    if console.as_json:
        console.json({"db": masked(console.db), "sandbox": is_sandbox, "imported": counts})
        return
    console.print(console.say("init.made", db=masked(console.db)))
    if is_sandbox:
        console.print(console.say("init.sandbox"))
    elif key_beside:
        console.print(console.say("keys.beside"), "bold")
    if plain:
        console.print(console.say("keys.plain", count=plain), "bold red")
    if counts:
        console.print(imported(console, counts))
        console.print(console.say("init.next", command="crisis report --help"))
    else:
        console.print(console.say("init.next", command="crisis roster import PATH"))


@command("doctor", "crisis doctor")
def doctor(console: Console) -> int:
    """Check every promise on the live database; the exit code is 6 when one is broken."""
    from crisis_engine.doctor import examine

    with console.engine() as engine:
        findings = examine(engine)
    broken = [finding for finding in findings if not finding.ok]
    if console.as_json:
        console.json({"ok": not broken, "findings": [
            {"promise": one.promise, "name": one.name, "ok": one.ok, "text": {"zh": one.text_zh, "en": one.text_en},
             "cases": list(one.cases)}
            for one in findings
        ]})
        return BROKEN if broken else 0
    for one in findings:
        text = one.text_zh if console.lang == "zh" else one.text_en
        console.print(console.say("doctor.ok" if one.ok else "doctor.broken", promise=one.promise, text=text), "" if one.ok else "bold red")
        if one.cases:
            console.print("    " + console.say("doctor.cases", cases=", ".join(one.cases)))
    console.print(console.say("doctor.not_clean", count=len(broken)) if broken else console.say("doctor.clean"))
    return BROKEN if broken else 0


@command("demo", "crisis demo")
def demo(console: Console) -> int:
    """Replay School H's day three ways, then one case's whole life; it needs no database."""
    from dataclasses import asdict

    from crisis_engine.cli.log import configure
    from crisis_engine.demo import commands, play, run

    configure(console.env)
    if not console.as_json:
        return run(lang=console.lang, console=console.pen(width=DEMO_WIDTH))
    parts = [{"kind": type(part).__name__.lower(), **asdict(part)} for part in play(console.lang)]
    console.json({"parts": parts, "next": list(commands(console.lang))})
    return 0


def imported(console: Console, counts: dict[str, int]) -> str:
    """Return what an import brought."""
    said = ", ".join(f"{console.word('count', kind)} {count}" for kind, count in counts.items())
    return console.say("roster.imported", counts=said)
