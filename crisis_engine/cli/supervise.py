"""`crisis supervise` and `zero-report`: what the engine opens by rules, once by hand, and the act that says that there was nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console


@command("supervise", "crisis supervise")
def supervise(console: Console) -> None:
    """Look at every unit by the rules of its policy, and open what they find."""
    with console.engine() as engine:
        report = engine.supervise()
    if console.as_json:
        console.json(report.to_json())
        return
    console.print(console.say("supervise.done", looked=report.looked, held=report.held, opened=report.opened))
    if report.failed:
        console.print(console.say("supervise.failed", failed=report.failed), "bold red")


@command("zero-report", "crisis zero-report --as p-33 --unit xinyang/shihe/no-3 --month 2026-02")
def zero_report(
    console: Console,
    *,
    unit: Annotated[str, typer.Option("--unit")],
    month: Annotated[str, typer.Option("--month", metavar="YYYY-MM")],
) -> None:
    """Say for a school that there was nothing to report in a month that is over."""
    by = console.actor
    with console.engine() as engine:
        report = engine.zero_report(unit=unit, month=month, by=by)
    if console.as_json:
        console.json(report.to_json())
    else:
        console.print(console.say("zero_report.done", unit=report.unit, month=report.month))
