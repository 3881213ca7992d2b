"""`crisis transfer` and `crisis graduate`: sealed dossiers for another city, and classes that leave."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from crisis_engine.cli.audit import text_of, written
from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.failure import Failure, bad_input

_KEY = "crisis transfer keygen --out nanyang.key"
_GROUP = 4
_LEAVERS = (
    "printf 'subject,to\\nstu-42,unknown\\nstu-41,leaves_city\\n' > leavers.csv\n"
    "crisis graduate leavers.csv --begins 2026-09-01 --as p-33"
)


@command("transfer keygen", _KEY)
def keygen(console: Console, out: Annotated[Path, typer.Option("--out", metavar="FILE")]) -> None:
    """Make a key that opens packets; the public line and its fingerprint go to whoever sends them."""
    from crisis_engine.engine.packet import make_recipient_key

    public, fingerprint = make_recipient_key(out)
    if console.as_json:
        console.json({"file": str(out), "key": public, "fingerprint": fingerprint})
        return
    console.print(console.say("transfer.key_made", file=out))
    console.print(public)
    console.print(console.say("transfer.fingerprint", fingerprint=grouped(fingerprint)))


@command("transfer fingerprint", "crisis transfer fingerprint --help")
def fingerprint(console: Console, public: Annotated[Path, typer.Argument()]) -> None:
    """Print the fingerprint of a receiver's public key, to be compared by two persons."""
    from crisis_engine.engine.packet import fingerprint_of

    found = fingerprint_of(text_of(public))
    if console.as_json:
        console.json({"fingerprint": found})
    else:
        console.print(console.say("transfer.fingerprint", fingerprint=grouped(found)))


@command("transfer seal", "crisis transfer seal --help")
def seal(
    console: Console,
    number: Annotated[str, typer.Argument()],
    public: Annotated[Path, typer.Option("--recipient", metavar="FILE")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE")],
    because: Annotated[str, typer.Option("--because", metavar="TEXT")] = "",
) -> None:
    """Seal the dossier of a child who leaves the city, and note its hash on the hand-over."""
    by, key = console.actor, text_of(public)
    if out.exists():
        raise Failure("StoreError", 74, key="audit.out_exists", name=str(out))
    with console.engine() as engine:
        packet = engine.seal_packet(console.number(engine, number, to_act=True), key, by=by, because=because)
    written(out, packet.data)
    if console.as_json:
        console.json({"file": str(out), **packet.to_json()})
        return
    console.print(console.say("transfer.sealed", file=out, size=len(packet.data), cases=len(packet.cases)))
    console.print(console.say("transfer.hash", hash=grouped(packet.sha256)))


@command("transfer open", "crisis transfer open --help")
def open_(
    console: Console,
    packet: Annotated[Path, typer.Argument()],
    key_file: Annotated[Path, typer.Option("--key", metavar="FILE")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE")],
) -> None:
    """Open a packet with one's own key, and print the hash for the receipt; it needs no database."""
    from crisis_engine.engine.packet import open_packet

    content, digest = open_packet(packet, key_file)
    written(out, content)
    if console.as_json:
        console.json({"file": str(out), "size": len(content), "sha256": digest})
        return
    console.print(console.say("transfer.opened", file=out, size=len(content)))
    console.print(console.say("transfer.hash", hash=grouped(digest)))


@command("graduate", _LEAVERS)
def graduate(
    console: Console,
    *,
    leavers: Annotated[Path | None, typer.Argument()] = None,
    unit: Annotated[str | None, typer.Option("--unit")] = None,
    begins: Annotated[str, typer.Option("--begins", metavar="DATE")],
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
    key: Annotated[str | None, typer.Option("--key")] = None,
) -> None:
    """Let leaving classes go: a hand-over for each child with a case, and the roster on the day."""
    from crisis_engine.roster.leaver import read_leavers

    by = console.actor
    try:
        day = date.fromisoformat(begins)
    except ValueError:
        raise bad_input("usage.no_date") from None
    if leavers is None and unit is None:
        raise bad_input("usage.leavers")
    rows = read_leavers(leavers) if leavers is not None else ()
    with console.engine() as engine:
        found = engine.graduate(rows, begins=day, by=by, unit=unit, file=str(leavers or ""), key=key, dry_run=dry_run)
    if console.as_json:
        console.json(found.to_json())
        return
    if dry_run:
        console.print(console.say("graduate.dry_run"), "bold")
    console.print(console.say("graduate.done", children=found.children, moves=found.moves, begins=found.begins))
    console.print(console.say("graduate.transfers", count=len(found.transfers)))
    for number in found.transfers:
        console.print(f"  {number}")


def grouped(digits: str) -> str:
    """Return hexadecimal digits in groups that two people can read to each other."""
    return " ".join(digits[place:place + _GROUP] for place in range(0, len(digits), _GROUP))
