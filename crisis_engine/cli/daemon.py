"""`crisis daemon`: the clockwork that runs for years, its status on all machines, and an operator's word that the clock is right."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console, channels_of
from crisis_engine.cli.failure import bad_input

if TYPE_CHECKING:
    from crisis_engine.daemon import StatusReport
    from crisis_engine.notify import Channel

FAULT = 6
MOST_WORKERS = 64


@command("daemon", "crisis daemon --once --listen none")
def daemon(
    console: Console, *,
    listen: Annotated[str | None, typer.Option("--listen", metavar="HOST:PORT|none")] = None,
    ping: Annotated[str | None, typer.Option("--ping", metavar="URL")] = None,
    ping_every: Annotated[float | None, typer.Option("--ping-every", min=1, metavar="SECONDS")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, max=MOST_WORKERS, metavar="N")] = None,
    stuck_after: Annotated[float | None, typer.Option("--stuck-after", min=1, metavar="SECONDS")] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE")] = None,
    channels: Annotated[Path | None, typer.Option("--channels", metavar="FILE")] = None,
    once: Annotated[bool, typer.Option("--once")] = False,
    trust: Annotated[bool, typer.Option("--trust-clock")] = False,
    leave: Annotated[bool, typer.Option("--exit-when-aside")] = False,
) -> int:
    """Sweep, deliver, make digests, seal and clear away until a signal says to stop."""
    from crisis_engine import __version__
    from crisis_engine.daemon import Daemon, Settings
    from crisis_engine.daemon.ping import is_ping
    from crisis_engine.daemon.process import HUNG, end_now
    from crisis_engine.daemon.settings import LISTEN

    env = console.env
    if env.get("CRISIS_NOW") and not once:
        raise bad_input("usage.daemon_now")
    asked = listen or env.get("CRISIS_LISTEN") or ""
    settings = Settings(
        version=__version__,
        listen=asked or LISTEN, listen_must=bool(asked), ping_url=ping or env.get("CRISIS_PING_URL") or "",
        ping_every=ping_every or _number(console, "CRISIS_PING_EVERY", 60.0),
        workers=workers or int(_number(console, "CRISIS_WORKERS", min(os.cpu_count() or 1, MOST_WORKERS))),
        stuck_after=stuck_after or _number(console, "CRISIS_STUCK_AFTER", 60.0), trust_clock=trust, started_by=console.by or "operator",
        exit_when_aside=leave, once=once,
        seal_key_file=Path(env["CRISIS_SEAL_KEY_FILE"]) if env.get("CRISIS_SEAL_KEY_FILE") else None,
    )
    if settings.ping_url and not is_ping(settings.ping_url):
        raise bad_input("usage.ping_url")
    read = _channels(console, to, channels)
    settings = replace(settings, channels=read)
    with console.engine(channels=read() if read is not None else (), level="info") as engine:
        found = Daemon(engine, settings, {**env, "CRISIS_DB": console.db})
        code = found.run()
        if code == HUNG or found.vitals.running:
            end_now(code)
    if once:
        state = found.vitals.state
        if console.as_json:
            console.json({"state": state, "exit_code": code})
        else:
            console.print(console.say("daemon.once", state=console.word("clockwork", state)))
    return code


@command("daemon status", "crisis daemon status")
def daemon_status(
    console: Console,
    late_after: Annotated[float, typer.Option("--late-after", min=0, metavar="SECONDS")] = 60.0,
) -> int:
    """Show the daemons of all machines and what waits; the exit code is 6 when nobody can rely on them."""
    from crisis_engine.daemon.status import status

    with console.look() as look:
        found = status(look, late_after=timedelta(seconds=late_after))
    _show(console, found)
    return 0 if found.ok else FAULT


@command("daemon trust-clock", "crisis daemon trust-clock --as p-9")
def daemon_trust_clock(console: Console) -> None:
    """Say that the clock of this machine is right, so that daemons that did not believe theirs go on; who says so is kept."""
    by = console.actor
    with console.engine() as engine:
        now = engine.trust_clock(by=by)
    if console.as_json:
        console.json({"now": now.isoformat(), "by": by})
        return
    console.print(console.say("daemon.trusted", when=console.when(now)))


def _number(console: Console, name: str, otherwise: float) -> float:
    text = console.env.get(name, "")
    if not text:
        return otherwise
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 1 <= found < float("inf"):
        raise bad_input("usage.env_number", name=name)
    return found


def _channels(console: Console, to: Path | None, channels: Path | None) -> Callable[[], tuple[Channel, ...]] | None:
    """Return what reads the channels, also again on SIGHUP; None where none was named."""
    if to is not None and channels is not None:
        raise bad_input("usage.to_or_channels")
    if to is None and channels is None and not console.env.get("CRISIS_CHANNELS") and not console.env.get("CRISIS_NOTICES"):
        return None
    return lambda: channels_of(to, channels, console.env)


def _show(console: Console, found: StatusReport) -> None:
    if console.as_json:
        console.json(found.to_json())
        return
    rows = []
    for one in found.daemons:
        alive = found.alive(one)
        state = console.word("clockwork", one.state) if alive else console.say("daemon.silent", when=console.when(one.beat_at))
        rows.append((f"{one.host}/{one.pid}", state, console.when(one.started_at), f"{one.version} {one.revision} {one.definitions[:8]}"))
    if rows:
        console.grid(("daemon.head.where", "daemon.head.state", "daemon.head.since", "daemon.head.version"), rows)
    if not found.works:
        console.print(console.say("daemon.none"), "bold red")
    if found.oldest_due is not None:
        console.print(console.say("daemon.oldest_due", span=console.span(found.oldest_due, found.now)), "bold red" if found.late else "")
    elif found.next_at is not None:
        console.print(console.say("sweep.next", when=console.when(found.next_at)))
    if found.keeper is not None:
        said = "daemon.lock_stopped" if found.keeper.stopped else "daemon.lock"
        console.print(console.say(said, pid=found.keeper.pid, when=console.when(found.keeper.wrote_at)), "bold red")
    if found.trusted is not None:
        console.print(console.say("daemon.trusted_by", by=found.trusted.by, when=console.when(found.trusted.at)))
    console.print(console.say("daemon.outbox", waiting=found.waiting, dead=found.dead))
