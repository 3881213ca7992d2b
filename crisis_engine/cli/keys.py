"""`crisis keys`: how the keys stand, a new master key while others work, sealing what is still plain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.database import BROKEN


@command("keys status", "crisis keys status --as p-51")
def status(console: Console) -> None:
    """Show which master key is in use, what it opens, and what is not sealed yet."""
    with console.engine(reads=True) as engine:
        found = engine.key_status(by=console.actor)
    if console.as_json:
        console.json(found)
        return
    console.print(console.say("keys.master", master=found["master"], source=console.say(f"keys.source.{found['source']}")))
    console.print(console.say("keys.kinds", **{kind: found["by_kind"].get(kind, 0) for kind in ("case", "subject")}))
    if found["rotating"]:
        console.print(console.say("keys.rotating"), "bold")
    plain = sum(found["unsealed"].values())
    console.print(console.say("keys.plain", count=plain) if plain else console.say("keys.sealed_all"), "bold red" if plain else "")
    for entry in found["log"]:
        console.print(f"{entry['at']}  {entry['what']}  {entry['master']}  ({entry['by']})")


@command("keys rotate", "crisis keys rotate --as p-51")
def rotate(console: Console) -> int:
    """Take a new master key and wrap every data key anew; a rotation that was broken off is finished."""
    by = console.actor
    with console.engine() as engine:
        report = engine.rotate_key(by=by)
    code = BROKEN if report["broken"] else 0
    if console.as_json:
        console.json(report)
        return code
    console.print(console.say("keys.rotated", master=report["master"], count=report["keys"]))
    if report["broken"]:
        console.print(console.say("keys.broken", count=report["broken"]), "bold red")
    if report["retired"]:
        console.print(console.say("keys.retired"))
    return code


@command("keys seal", "crisis keys seal --as p-51")
def seal(console: Console) -> None:
    """Seal what an older version wrote in plain."""
    by = console.actor
    with console.engine() as engine:
        counts = engine.seal_plain(by=by)
    if console.as_json:
        console.json(counts)
    else:
        console.print(console.say("keys.sealed", count=sum(counts.values())))


@command("keys new", "crisis keys new other.key")
def new(console: Console, file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Make a file with a fresh master key; it is never shown."""
    from crisis_engine.engine.secrecy import new_key_file

    master = new_key_file(file)
    if console.as_json:
        console.json({"file": str(file), "master": master})
    else:
        console.print(console.say("keys.new", master=master))
