"""`crisis notices`: messages that did not arrive, looked at, tried again or dropped; and the digests of a day or week."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.failure import bad_input

if TYPE_CHECKING:
    from crisis_engine.engine.view import MessageView

_STATUSES = ("waiting", "sent", "dead", "dropped")
_KINDS = ("daily", "weekly")
_SENT = (
    "crisis report --as p-71 --unit xinyang/shihe/no-3/g7/c2 --subject stu-42 --facts 'A note in her desk.'\n"
    "crisis deliver --to notices.jsonl\n"
)


@command("notices list", f"{_SENT}crisis notices list --status sent --as p-9")
def show_all(
    console: Console,
    status: Annotated[list[str] | None, typer.Option("--status", metavar="STATUS")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N")] = 50,
) -> None:
    """List messages that wait or were given up."""
    statuses = _known(status or ["dead", "waiting"])
    with console.engine(reads=True) as engine:
        found = engine.notices(by=console.actor, statuses=statuses, limit=limit)
    if console.as_json:
        console.json([one.to_json() for one in found])
        return
    if not found:
        console.print(console.say("notices.none"))
        return
    heads = ("head.message", "head.number", "head.person", "head.channel", "head.state", "head.tries", "head.next")
    console.grid(heads, [
        (str(one.id), ", ".join(one.cases) or one.kind, one.person, one.channel, console.say(f"message.{one.status}"), str(one.tries),
         console.when(one.next_try_at))
        for one in found
    ], firm=("head.message", "head.number", "head.next"))


@command("notices show", f"{_SENT}crisis notices show 1 --as p-9")
def show(console: Console, message: Annotated[int, typer.Argument()]) -> None:
    """Show one message."""
    with console.engine(reads=True) as engine:
        one = engine.notice(message, by=console.actor)
    if console.as_json:
        console.json(one.to_json())
        return
    console.print(console.say("notices.title", id=one.id, status=console.say(f"message.{one.status}"), message_key=one.key))
    console.print(console.say("notices.to", person=one.person, channel=one.channel, cases=", ".join(one.cases) or one.kind))
    console.print(console.say("notices.tries", tries=one.tries, made=console.when(one.made_at), next=console.when(one.next_try_at) or "-"))
    _print_end(console, one)


def _print_end(console: Console, one: MessageView) -> None:
    if one.error:
        console.print(console.say("deliver.reason", reason=console.refusal(one.error)))
    if one.answer:
        console.print(console.say("notices.answer", answer=one.answer))
    if one.received_at is not None:
        console.print(console.say("notices.received", when=console.when(one.received_at)))


@command("notices retry", f"{_SENT}crisis notices retry 1 --as p-9\ncrisis notices retry --all --as p-9")
def retry(
    console: Console,
    messages: Annotated[list[int] | None, typer.Argument()] = None,
    every: Annotated[bool, typer.Option("--all")] = False,
) -> None:
    """Let messages be tried again by the next delivery."""
    if bool(messages) is every:
        raise bad_input("usage.messages")
    with console.engine() as engine:
        done = engine.retry_notices(None if every else messages, by=console.actor)
    _print_done(console, "notices.retried", done)


@command("notices drop", f"{_SENT}crisis notices drop 1 --as p-9")
def drop(console: Console, messages: Annotated[list[int], typer.Argument()]) -> None:
    """Give messages up for good."""
    with console.engine() as engine:
        done = engine.drop_notices(messages, by=console.actor)
    _print_done(console, "notices.dropped", done)


@command("notices digest", "crisis notices digest --kind daily\ncrisis notices digest --kind weekly")
def digest(console: Console, digest_kind: Annotated[str, typer.Option("--kind", metavar="daily|weekly")] = "daily") -> None:
    """Put the digests of this day or week into the outbox, once each."""
    if digest_kind not in _KINDS:
        raise bad_input("usage.digest", name=digest_kind[:20])
    with console.engine() as engine:
        report = engine.digest(kind=digest_kind)
    if console.as_json:
        console.json(report.to_json())
    else:
        console.print(console.say("notices.digested", period=report.period, made=report.made, before=report.before, quiet=report.quiet))


def _known(statuses: list[str]) -> list[str]:
    wrong = [status for status in statuses if status not in _STATUSES]
    if wrong:
        raise bad_input("usage.status", name=wrong[0][:20])
    return statuses


def _print_done(console: Console, key: str, done: int) -> None:
    if console.as_json:
        console.json({"messages": done})
    else:
        console.print(console.say(key, count=done))

