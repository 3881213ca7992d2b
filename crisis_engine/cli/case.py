"""`crisis report`, `open`, `act`, `moves`, `queue`, `show` and `history`: everything that people do with cases."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crisis_engine.cli.attachment import with_files
from crisis_engine.cli.command import command
from crisis_engine.cli.console import RISK_STYLE, Console
from crisis_engine.cli.failure import bad_input

if TYPE_CHECKING:
    from crisis_engine import CaseView, QueueItem

MOST_FACTS = 20_000
"""Characters that a report may have; the workflow's form says the same."""

_REPORT = ("crisis report --as p-71 --unit xinyang/shihe/no-3/g7/c2 --subject stu-42"
           ' --facts "She showed me a fresh cut on her arm" --cue fresh_injury\n')
_RUN = f"{_REPORT}crisis {{}}"

Number = Annotated[str, typer.Argument()]
Fields = Annotated[list[str] | None, typer.Option("--field", metavar="NAME=VALUE")]
Key = Annotated[str | None, typer.Option("--key")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT")]


@command("report", _REPORT.rstrip())
def report(
    console: Console,
    *,
    unit: Annotated[str, typer.Option("--unit")],
    facts: Annotated[str | None, typer.Option("--facts", metavar="TEXT")] = None,
    facts_file: Annotated[Path | None, typer.Option("--facts-file", metavar="FILE")] = None,
    subject: Annotated[str | None, typer.Option("--subject")] = None,
    cue: Annotated[list[str] | None, typer.Option("--cue")] = None,
    danger_now: Annotated[bool, typer.Option("--danger-now")] = False,
    with_child: Annotated[str | None, typer.Option("--with-child", metavar="TEXT")] = None,
    about_staff: Annotated[list[str] | None, typer.Option("--about-staff", metavar="PERSON")] = None,
    key: Key = None,
) -> None:
    """Take a word about a child and print the receipt, which says nothing about a case."""
    by, text = console.actor, facts_of(console, facts, facts_file)
    with console.engine() as engine:
        receipt = engine.report(
            unit=unit, by=by, facts=text, subject=subject, cues=cue or [], danger_now=danger_now, with_child=with_child,
            about_staff=about_staff or [], key=key,
        )
    if console.as_json:
        console.json(receipt.to_json())
        return
    console.print(console.say("report.done", receipt=receipt.token))
    console.numbers(shows=receipt.shows)


@command("open", "crisis open school_crisis_v1 --as p-11 --subject stu-41"
                 ' --field facts="He has not spoken for days" --field cues=withdrawn')
def open_(
    console: Console,
    workflow: Annotated[str, typer.Argument()],
    unit: Annotated[str | None, typer.Option("--unit")] = None,
    subject: Annotated[str | None, typer.Option("--subject")] = None,
    field: Fields = None,
    parent: Annotated[str | None, typer.Option("--parent", metavar="NUMBER")] = None,
    key: Key = None,
) -> None:
    """Open a case by its workflow's opening move."""
    by, fields = console.actor, fields_of(field)
    with console.engine() as engine:
        parent = console.number(engine, parent, to_act=True) if parent else None
        fields = with_files(fields, lambda: engine.form(workflow, by=by, unit=unit, subject=subject, parent=parent))
        case = engine.open_case(workflow, by=by, unit=unit, subject=subject, fields=fields, parent=parent, key=key)
    _print_case(console, case)


@command("act", _RUN.format("act next acknowledge --as p-11"))
def act(
    console: Console,
    number: Number,
    move: Annotated[str, typer.Argument()],
    field: Fields = None,
    seen: Annotated[int | None, typer.Option("--version", metavar="N")] = None,
    key: Key = None,
) -> None:
    """Make a move, propose it where two persons are due, or answer a proposal: confirm, decline, withdraw."""
    by, fields = console.actor, fields_of(field)
    with console.engine() as engine:
        number = console.number(engine, number, to_act=True)
        fields = with_files(fields, lambda: [each for one in engine.moves(number, by=by) if one.name == move for each in one.fields])
        case = engine.act(number, move, by=by, fields=fields, version=seen, key=key)
    _print_case(console, case)


@command("moves", _RUN.format("moves next --as p-11"))
def moves(console: Console, number: Number) -> None:
    """Show what is possible now, and for the rest why not."""
    by = console.actor
    with console.engine(reads=True) as engine:
        found = engine.moves(console.number(engine, number), by=by)
    if console.as_json:
        console.json([move.to_json() for move in found])
        return
    possible = [move for move in found if move.possible]
    console.print(console.say("moves.possible" if possible else "moves.none"), "bold")
    for move in possible:
        second = f" ({console.say('moves.second')})" if move.second else ""
        console.print(f"  {move.name}  {console.label(move.label)}{second}")
        if move.fields:
            fields = ", ".join(f"{field.name}{'*' if field.required else ''} ({console.label(field.label)})" for field in move.fields)
            console.print(f"      {console.say('moves.fields', fields=fields)}")
    if len(possible) < len(found):
        console.print(console.say("moves.not"), "bold")
    for move in found:
        if not move.possible:
            console.print(f"  {move.name}  {console.label(move.label)}: {console.refusal(move.why_not or '')}")


@command("candidates", _RUN.format("open joint_intervention_v1 --parent next --as p-31 --field because=expert\n")
         + "crisis candidates next assign --as p-101")
def candidates(console: Console, number: Number, move: Annotated[str, typer.Argument()]) -> None:
    """Show who can be named in a move, and how many open cases each of them has."""
    by = console.actor
    with console.engine(reads=True) as engine:
        found = engine.candidates(console.number(engine, number), move, by=by)
    if console.as_json:
        console.json([one.to_json() for one in found])
        return
    if not found:
        console.print(console.say("candidates.none"))
        return
    console.grid(("head.person", "head.role", "head.unit", "head.cases"),
                 [(one.person, console.word("role", one.role), one.unit, str(one.load)) for one in found])


@command("queue", "crisis queue --as p-11")
def queue(console: Console, limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, metavar="N")] = 50) -> None:
    """Show what waits for whoever acts, soonest due first."""
    by = console.actor
    with console.look() as look:
        items, now = look.queue(by=by, limit=limit), look.now()
    if console.as_json:
        console.json([item.to_json() for item in items])
        return
    if not items:
        console.print(console.say("queue.empty"))
        return
    from rich.text import Text

    def cells(item: QueueItem) -> tuple[Any, ...]:
        due = f"{console.soon(item.due_at, now)} {console.span(item.due_at, now)}"
        return (
            item.number, Text(console.word("risk", item.risk), style=RISK_STYLE[item.risk]), console.label(item.clock_label, item.clock),
            Text(due, style="bold red" if item.late else ""), console.who(item.role, item.who),
            console.label(item.stage_label, item.stage), console.word("tier", item.tier),
        )

    heads = ("head.number", "head.risk", "head.clock", "head.due", "head.who", "head.stage", "head.tier")
    console.grid(heads, [cells(item) for item in items], firm=("head.number", "head.risk", "head.due"))
    console.print(console.say("queue.count", count=len(items), late=sum(item.late for item in items)))
    if any(item.danger or item.risk == "red" for item in items):
        console.numbers("red")


@command("show", _RUN.format("show next --as p-11"))
def show(console: Console, number: Number, why: Why = "") -> None:
    """Draw a case's life: the stages it went through, who answers, the clocks with the time used."""
    by = console.actor
    with console.engine(reads=True) as engine:
        number = console.number(engine, number)
        case, now = engine.case(number, by=by, why=why), engine.now()
        history = [] if console.as_json else engine.history(number, by=by, why=why)
    if console.as_json:
        console.json(case.to_json())
        return
    from crisis_engine.cli.picture import draw_case

    draw_case(console, case, history, now)


@command("history", _RUN.format("history next --as p-11"))
def history(console: Console, number: Number, why: Why = "") -> None:
    """Show everything that happened, as far as the reader may know it."""
    by = console.actor
    with console.engine(reads=True) as engine:
        number = console.number(engine, number)
        lines = engine.history(number, by=by, why=why)
        case = None if console.as_json else engine.case(number, by=by, why=why)
    if case is None:
        console.json(lines)
        return
    from crisis_engine.cli.picture import draw_history

    draw_history(console, case, lines)


def facts_of(console: Console, facts: str | None, file: Path | None) -> str:
    """Return what was seen or heard from the option, a UTF-8 file or the input; asked for only where a person sits at a terminal."""
    if facts is not None and file is not None:
        raise bad_input("usage.two_facts")
    if facts is None and file is None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or console.as_json:
            raise bad_input("usage.no_facts")
        facts = typer.prompt(console.say("report.ask"))
    if file is not None or facts == "-":
        try:
            with (file.open("rb") if file is not None else open(0, "rb", closefd=False)) as stream:  # the input has no path
                raw = stream.read(MOST_FACTS * 4 + 4)  # a character of UTF-8 has at most four bytes
        except (OSError, ValueError) as error:
            raise bad_input("usage.facts_file", reason=getattr(error, "strerror", None) or type(error).__name__) from None
        if len(raw) > MOST_FACTS * 4 + 3:
            raise bad_input("usage.facts_long", most=MOST_FACTS)
        try:
            facts = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise bad_input("usage.facts_utf8") from None
    text = (facts or "").strip()
    if not text:
        raise bad_input("usage.no_facts")
    if len(text) > MOST_FACTS:
        raise bad_input("usage.facts_long", most=MOST_FACTS)
    return text


def fields_of(given: list[str] | None) -> dict[str, Any]:
    """Return a form's fields from name=value; a name that comes again makes a list."""
    fields: dict[str, Any] = {}
    for place, one in enumerate(given or [], start=1):
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise bad_input("usage.field", place=place)  # what stands there may be a fact, so it is not repeated
        name = name.strip()
        before = fields.get(name)
        fields[name] = value if before is None else [*(before if isinstance(before, list) else [before]), value]
    return fields


def _print_case(console: Console, case: CaseView) -> None:
    if console.as_json:
        console.json(case.to_json())
        return
    stage = console.label(case.stage_label, case.stage)
    if case.final is not None:
        console.print(console.say("case.closed", number=case.number, stage=stage))
        return
    console.print(console.say("case.line", number=case.number, stage=stage, tier=console.word("tier", case.tier),
                              risk=console.word("risk", case.risk), version=case.version))
    if case.waits:
        console.print(console.say("case.waits"))
    running = [clock for clock in case.deadlines if clock.ended_at is None]
    if running:
        first = min(running, key=lambda clock: clock.due_at)
        console.print(console.say("case.due", clock=console.label(first.label, first.name), when=console.when(first.due_at),
                                  who=console.who(first.role, first.who)))
    if case.prints:
        console.print(console.say("case.prints", names=", ".join(case.prints), number=case.number))
    console.numbers(case.risk, danger=case.danger, shows=case.shows)
