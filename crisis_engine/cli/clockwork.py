"""`crisis sweep` and `deliver`: one turn of the clockwork by hand, as a host's scheduler would drive it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console, channels_of
from crisis_engine.cli.failure import bad_input
from crisis_engine.core.errors import StoreError

if TYPE_CHECKING:
    from crisis_engine.engine.sweep import Pace

DIGITS = 3
"""A share of more than 999 sweepers is a slip of the keyboard."""


@command("sweep", "crisis sweep")
def sweep(
    console: Console,
    limit: Annotated[int | None, typer.Option("--limit", min=1, metavar="N")] = None,
    share: Annotated[str, typer.Option("--share", metavar="K/N")] = "1/1",
) -> None:
    """Fire what is due and hand over what somebody left."""
    place, slash, sweepers = share.partition("/")
    if not (slash and place.isdecimal() and sweepers.isdecimal() and len(sweepers) <= DIGITS and 1 <= int(place) <= int(sweepers)):
        raise bad_input("usage.share", given=share)
    with console.engine() as engine:
        report = engine.sweep(limit=limit, share=(int(place) - 1, int(sweepers)), pace=_pace() if int(sweepers) > 1 else None)
    if console.as_json:
        console.json(report.to_json())
        return
    console.print(console.say("sweep.done", cases=report.cases, rungs=report.rungs, raised=report.raised, handed_over=report.handed_over))
    if report.failed:
        console.print(console.say("sweep.failed", failed=report.failed), "bold red")
    if report.next_at is not None:
        console.print(console.say("sweep.next", when=console.when(report.next_at)))


def _pace() -> Pace:
    """Return the pace of a sweep that shares the database with others: a person's command waits for none of them."""
    from crisis_engine.daemon.pace import EvenPace

    return EvenPace()


@command("deliver", "crisis deliver --to crisis-notices.jsonl")
def deliver(
    console: Console,
    limit: Annotated[int | None, typer.Option("--limit", min=1, metavar="N")] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE")] = None,
    channels: Annotated[Path | None, typer.Option("--channels", metavar="FILE")] = None,
) -> int:
    """Send the notices that wait over the channels; what fails stays and comes again, and the exit code says so."""
    if to is not None and channels is not None:
        raise bad_input("usage.to_or_channels")
    with console.engine(channels=channels_of(to, channels, console.env)) as engine:
        report = engine.deliver(limit=limit)
    if console.as_json:
        console.json(report.to_json())
    else:
        console.print(console.say("deliver.done", sent=report.sent, failed=report.failed, waiting=report.waiting))
        if report.reason:
            console.print(console.say("deliver.reason", reason=console.refusal(report.reason)), "bold red")
    return StoreError.exit_code if report.failed else 0
