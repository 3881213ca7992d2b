"""`crisis cases`, `counts`, `reporter`, `glass break`, `audit reads` and `audit own`: who may see what, and who saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import RISK_STYLE, Console
from crisis_engine.core import spreadsheet

if TYPE_CHECKING:
    from crisis_engine.engine.reading import ReadView

_REPORT = 'crisis report --as p-31 --unit xinyang/shihe/no-3 --subject stu-42 --facts "She has not eaten for days" --cue withdrawn\n'
_WORD = 'crisis report --as p-71 --unit xinyang/shihe/no-3/g7/c2 --subject stu-42 --facts "A cut on her arm" --cue fresh_injury\n'
_REPORTER = ('crisis act next withhold_from_guardian --as p-31 --field because="the child fears the father"\n'
             'crisis reporter next --as p-34 --why "the police ask"')

_COLUMNS = ("number", "workflow", "unit", "stage", "tier", "risk", "opened_at", "due_at", "closed_at")

Number = Annotated[str, typer.Argument()]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000, metavar="N")]


@command("cases", f"{_REPORT}crisis cases --as p-31")
def cases(
    console: Console,
    after: Annotated[str | None, typer.Option("--after", metavar="NUMBER")] = None,
    limit: Limit = 50,
    ended: Annotated[bool, typer.Option("--ended")] = False,
    csv: Annotated[bool, typer.Option("--csv")] = False,
) -> None:
    """List the cases that whoever acts may see, without a child or a fact."""
    by = console.actor
    with console.engine(reads=True) as engine:
        lines, now = engine.cases(by=by, after=after, limit=limit, ended=ended), engine.now()
    if console.as_json:
        console.json([line.to_json() for line in lines])
        return
    if csv:
        console.print(spreadsheet.line(_COLUMNS))
        for row in (line.to_json() for line in lines):
            console.print(spreadsheet.line(row[name] for name in _COLUMNS))
        return
    from rich.text import Text

    heads = ("head.number", "head.risk", "head.stage", "head.tier", "head.due", "head.unit")
    console.grid(heads, [
        (line.number, Text(console.word("risk", line.risk), style=RISK_STYLE[line.risk]), console.label(line.stage_label, line.stage),
         console.word("tier", line.tier), console.soon(line.due_at, now) if line.due_at else "", line.unit) for line in lines
    ], firm=("head.number", "head.risk", "head.due"))
    console.print(console.say("cases.count", count=len(lines)))
    if any(line.danger or line.risk == "red" for line in lines):
        console.numbers("red")


@command("counts", f"{_REPORT}crisis counts --as p-101")
def counts(console: Console) -> None:
    """Count the open cases by unit: exactly those that may be listed, and merged those that may only be counted."""
    by = console.actor
    with console.engine(reads=True) as engine:
        cells = engine.counts(by=by)
    if console.as_json:
        console.json([cell.to_json() for cell in cells])
        return
    console.grid(("head.unit", "head.what", "head.name", "head.count", "head.state"), [
        (cell.unit, console.say(f"head.{cell.by}"), cell.value if cell.by == "stage" else console.word(cell.by, cell.value),
         console.say("counts.few") if cell.count is None else str(cell.count), console.say("counts.seen" if cell.seen else "counts.unseen"))
        for cell in cells
    ])
    console.print(console.say("counts.merged"))


@command("reporter", f"{_REPORT}{_REPORTER}")
def reporter(console: Console, number: Number, why: Annotated[str, typer.Option("--why", metavar="TEXT")]) -> None:
    """Say who spoke: for one role alone, with a reason, and written down."""
    by = console.actor
    with console.engine() as engine:
        spoke = engine.reporter(console.number(engine, number), by=by, why=why)
    if console.as_json:
        console.json(spoke)
        return
    for line in spoke:
        console.print(f"{line['at']}  {line['reporter']}")


@command("glass break", f'{_WORD}crisis glass break next --as p-11 --because "She stands on the roof" --hours 4')
def break_(
    console: Console,
    number: Number,
    because: Annotated[str, typer.Option("--because", metavar="TEXT")],
    hours: Annotated[float, typer.Option("--hours", metavar="N")] = 4.0,
    key: Annotated[str | None, typer.Option("--key")] = None,
) -> None:
    """Read a case in an emergency, for some hours: told at once, reviewed afterwards."""
    by = console.actor
    with console.engine() as engine:
        glass = engine.break_glass(console.number(engine, number), by=by, because=because, hours=hours, key=key)
    if console.as_json:
        console.json(glass.to_json())
    else:
        console.print(console.say("glass.broken", number=glass.number, until=console.when(glass.until)))


@command("audit reads", f"{_REPORT}crisis audit reads next --as p-35")
def audit_reads(console: Console, number: Number, limit: Limit = 100) -> None:
    """Say who read a case: what, how secret, when and why."""
    by = console.actor
    with console.engine() as engine:
        _print(console, engine.reads(console.number(engine, number), by=by, limit=limit))


@command("audit own", "crisis audit own --as p-31")
def audit_own(console: Console, limit: Limit = 100) -> None:
    """Say what whoever acts has read."""
    by = console.actor
    with console.engine(reads=True) as engine:
        _print(console, engine.own_reads(by=by, limit=limit))


def _print(console: Console, entries: list[ReadView]) -> None:
    if console.as_json:
        console.json([entry.to_json() for entry in entries])
        return
    from crisis_engine.cli.picture import harmless

    console.grid(("head.when", "head.person", "head.number", "head.what", "head.secrecy", "head.why"), [
        (console.when(entry.at), entry.who, entry.number or "", console.word("read", entry.what), f"T{entry.tier}",
         harmless("; ".join(part for part in (entry.why, entry.glass) if part))) for entry in entries
    ], firm=("head.when", "head.number", "head.secrecy"))
    console.print(console.say("audit.count", count=len(entries)))
