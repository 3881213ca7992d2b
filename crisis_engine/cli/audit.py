"""`crisis audit`: seal, cosign and verify the log of all chains, and the keys and checkpoints to be kept elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.database import BROKEN
from crisis_engine.cli.failure import Failure

if TYPE_CHECKING:
    from crisis_engine.engine.audit import VerifyReport

_SHOWN = 20
_LARGEST_TEXT = 1_000_000
_PROCESSES = 8
_SEALED = (
    'crisis report --as p-71 --unit xinyang/shihe/no-3/g7/c2 --subject stu-42 --facts "Sits alone for days."\n'
    "crisis audit seal\n"
)
_COSIGN = "crisis audit keygen --name example.org/shihe --out shihe.key\ncrisis audit cosign --key shihe.key --as p-101"


@command("audit seal", "crisis audit seal")
def seal(
    console: Console,
    limit: Annotated[int | None, typer.Option("--limit", min=1, metavar="N")] = None,
    reconcile: Annotated[bool, typer.Option("--reconcile")] = False,
    new_key: Annotated[bool, typer.Option("--new-key")] = False,
) -> None:
    """Append what grew to the Merkle log and sign a checkpoint."""
    named = console.env.get("CRISIS_SEAL_KEY_FILE")
    with console.engine() as engine:
        report = engine.seal(by=console.by or None, key_file=Path(named) if named else None, limit=limit, reconcile=reconcile,
                             new_key=new_key)
    if console.as_json:
        console.json(report.to_json())
        return
    console.print(console.say("audit.sealed", leaves=report.leaves, events=report.events, batches=report.batches))
    if report.sealed is not None:
        console.print(console.say("audit.newest", short=report.sealed.checkpoint.short))


@command("audit checkpoint", _SEALED + "crisis audit checkpoint --as p-9")
def checkpoint(console: Console) -> None:
    """Print the newest checkpoint with its signatures, as it is to be kept elsewhere."""
    with console.engine(reads=True) as engine:
        sealed = engine.checkpoint(by=console.actor)
    if console.as_json:
        console.json({"origin": sealed.checkpoint.origin, "size": sealed.checkpoint.size, "root": sealed.checkpoint.root.hex(),
                      "short": sealed.checkpoint.short, "sealed_at": console.when(sealed.at), "note": sealed.note})
    else:
        sys.stdout.write(sealed.note)


@command("audit keys", "crisis audit keys --as p-9")
def keys(console: Console) -> None:
    """Print the public keys that are known here, with who added them."""
    with console.engine(reads=True) as engine:
        verifiers = engine.verifiers(by=console.actor)
    if console.as_json:
        console.json([{"key": one.key.text, "duty": one.duty, "by": one.by, "at": console.when(one.at)} for one in verifiers])
        return
    for one in verifiers:
        console.print(f"{one.key.text}  {console.word('duty', one.duty)}  {one.by}  {console.when(one.at)}")
    if not verifiers:
        console.print(console.say("audit.no_keys"))


@command("audit keygen", "crisis audit keygen --name example.org/shihe --out shihe.key")
def keygen(
    console: Console,
    key_name: Annotated[str, typer.Option("--name", metavar="NAME")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE")],
) -> None:
    """Make a key to cosign with; the file is its owner's alone."""
    from crisis_engine.engine.audit import make_key

    key = make_key(out, name=key_name)
    if console.as_json:
        console.json({"file": str(out), "key": key.text})
        return
    console.print(console.say("audit.key_made", file=out))
    console.print(key.text)


@command("audit cosign", _SEALED + _COSIGN)
def cosign(
    console: Console,
    key_file: Annotated[Path, typer.Option("--key", metavar="FILE")],
    kept: Annotated[Path | None, typer.Option("--checkpoint", metavar="FILE")] = None,
) -> None:
    """Put one's own signature under the newest checkpoint."""
    text = text_of(kept) if kept is not None else None
    with console.engine() as engine:
        sealed = engine.cosign(key_file, by=console.actor, kept=text)
    if console.as_json:
        console.json({"short": sealed.checkpoint.short, "signatures": len(sealed.signatures), "note": sealed.note})
    else:
        console.print(console.say("audit.cosigned", short=sealed.checkpoint.short, signatures=len(sealed.signatures)))


_EXPORT = (
    "crisis report --as p-71 --unit xinyang/shihe/no-3/g7/c2 --subject stu-42 --facts 'A note in her desk.' --cue suicide_words\n"
    "crisis audit seal\ncrisis audit export next --out dossier.zip --as p-35"
)


@command("audit export", _EXPORT)
def export(
    console: Console,
    number: Annotated[str, typer.Argument()],
    out: Annotated[Path, typer.Option("--out", metavar="FILE")],
    because: Annotated[str, typer.Option("--because", metavar="TEXT")] = "",
) -> None:
    """Write the dossier of a case."""
    by = console.actor
    with console.engine() as engine:
        data = engine.export(console.number(engine, number), by=by, because=because)
    written(out, data)
    if console.as_json:
        console.json({"file": str(out), "size": len(data)})
    else:
        console.print(console.say("audit.exported", file=out, size=len(data)))


@command("audit verify", "crisis audit verify --as p-9")
def verify(
    console: Console,
    kept: Annotated[Path | None, typer.Option("--checkpoint", metavar="FILE")] = None,
) -> int:
    """Prove everything: chains, rows, clocks, leaves, tiles, signatures; exit code 6 when something is not what was written."""
    from crisis_engine.clock import wall_clock

    text = text_of(kept) if kept is not None else None
    watched = sys.stderr.isatty() and not console.as_json

    def progress(cases: int) -> None:
        sys.stderr.write("\r" + console.say("audit.progress", cases=f"{cases:,}"))

    with console.engine() as engine:
        began = wall_clock()
        report = engine.verify(by=console.actor, kept=text, processes=min(_PROCESSES, os.cpu_count() or 1),
                               progress=progress if watched else None)
        seconds = (wall_clock() - began).total_seconds()
    if watched:
        sys.stderr.write("\r" + " " * 60 + "\r")
    rate = round(report.events / seconds) if seconds > 0 else report.events
    if console.as_json:
        console.json(report.to_json() | {"events_per_second": rate})
    else:
        _tell(console, report, rate)
    return 0 if report.ok else BROKEN


def _tell(console: Console, report: VerifyReport, rate: int) -> None:
    console.print(console.say("audit.walked", cases=report.cases, events=report.events, leaves=report.leaves,
                              checkpoints=report.checkpoints, signatures=report.signatures))
    for flaw in report.flaws[:_SHOWN]:
        what = console.refusal(flaw.what)
        key = "audit.flaw_record" if flaw.number and flaw.seq is not None else "audit.flaw_case" if flaw.number else "audit.flaw_log"
        console.print(console.say(key, number=flaw.number, seq=flaw.seq, what=what), "bold red")
    if not report.ok:
        console.print(console.say("audit.broken", count=report.count))
        return
    console.print(console.say("audit.clean", rate=f"{rate:,}"))
    if report.closed:
        console.print(console.say("audit.closed", secrets=report.closed))
    if report.unsealed:
        console.print(console.say("audit.unsealed", events=report.unsealed))
    if report.sealed is not None:
        console.print(console.say("audit.newest", short=report.sealed.checkpoint.short))


def written(path: Path, data: bytes) -> None:
    """Write a new file for its owner alone; one that exists is never written over."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError:
        raise Failure("StoreError", 74, key="audit.out_exists", name=str(path)) from None


def text_of(path: Path) -> str:
    """Return the text of a file that somebody named; what is wrong with it is told by its name."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read(_LARGEST_TEXT).replace("\r\n", "\n")   # it may have come by mail
    except OSError:
        raise Failure("FileError", 65, key="audit.no_file", name=str(path)) from None
    except UnicodeDecodeError:
        raise Failure("FileError", 65, key="audit.no_text", name=str(path)) from None
