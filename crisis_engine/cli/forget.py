"""`crisis forget` and `crisis hold`: what is due, two people who erase it, what a court keeps, all that is held on one child."""

from __future__ import annotations

import io
import json
import os
import zipfile
from base64 import b64decode
from pathlib import Path
from typing import Annotated, Any

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.failure import Failure, bad_input

KINDS = ("case", "subject", "receipts", "reads")
_PROPOSED = 'crisis forget propose subject stu-42 --because "left the city" --as p-51'
_HELD = 'crisis hold place subject stu-42 --because "asked for by a court" --as p-51'
_EPOCH = (1980, 1, 1, 0, 0, 0)


@command("forget due", "crisis forget due --as p-51")
def due(console: Console) -> None:
    """Show what the terms have reached, as numbers alone, with open proposals and holds."""
    with console.engine(reads=True) as engine:
        found = engine.erasures_due(by=console.actor)
    if console.as_json:
        console.json(found)
        return
    console.print(console.say("forget.due", cases=len(found["cases"]), subjects=len(found["subjects"]), receipts=found["receipts"],
                              reads=found["reads"]))
    for number in found["cases"]:
        console.print(f"  case {number}")
    for child in found["subjects"]:
        console.print(f"  subject {child}")
    for one in found["proposed"]:
        console.print(console.say("forget.proposal", id=one["id"], what=f"{one['kind']} {one['ref'] or ''}".strip(), by=one["by"],
                                  because=one["because"]))
    for one in found["held"]:
        console.print(console.say("forget.hold", what=f"{one['kind']} {one['ref']}", by=one["by"], because=one["because"]))


@command("forget propose", _PROPOSED)
def propose(
    console: Console,
    kind: Annotated[str, typer.Argument(metavar="KIND")],
    ref: Annotated[str | None, typer.Argument(metavar="REF")] = None,
    because: Annotated[str, typer.Option("--because", metavar="TEXT")] = "",
) -> None:
    """Propose to erase a closed case's secrets, a child's row, old receipts or the old read log."""
    if kind not in KINDS or (ref is None) != (kind in KINDS[2:]):
        raise bad_input("usage.forget_kind")
    by = console.actor
    with console.engine() as engine:
        erasure = engine.propose_erasure(kind, ref, because=because, by=by)
    if console.as_json:
        console.json({"id": erasure, "kind": kind})
    else:
        console.print(console.say("forget.proposed", id=erasure))


@command("forget confirm", f"{_PROPOSED}\ncrisis forget confirm 1 --as p-3")
def confirm(console: Console, erasure: Annotated[int, typer.Argument(metavar="ID")]) -> None:
    """Confirm a proposal as a second person: it is erased at once and for good."""
    by = console.actor
    with console.engine() as engine:
        done = engine.confirm_erasure(erasure, by=by)
    if console.as_json:
        console.json(done)
    else:
        what = f"{done['kind']} {done['ref'] or ''}".strip()
        console.print(console.say("forget.erased", what=what, by=done["by"], second=done["second"]))


@command("forget decline", f"{_PROPOSED}\ncrisis forget decline 1 --as p-3")
def decline(console: Console, erasure: Annotated[int, typer.Argument(metavar="ID")]) -> None:
    """Take a proposal back, or decline another's."""
    by = console.actor
    with console.engine() as engine:
        engine.decline_erasure(erasure, by=by)
    if console.as_json:
        console.json({"id": erasure, "declined": True})
    else:
        console.print(console.say("forget.declined", id=erasure))


@command("forget replay", "crisis forget replay")
def replay(console: Console) -> None:
    """Erase again what the shred ledger says: after a backup was restored."""
    with console.engine() as engine:
        done = engine.replay_shreds()
    if console.as_json:
        console.json(done)
    else:
        console.print(console.say("forget.replayed", lines=done["lines"]))


@command("forget export", "crisis forget export stu-42 --out stu-42.zip --as p-34")
def export(
    console: Console,
    ref: Annotated[str, typer.Argument(metavar="REF")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE")],
) -> None:
    """Write all that is held on one child into a zip file: the right to look and to have a copy."""
    by = console.actor
    with console.engine() as engine:
        found = engine.export_subject(ref, by=by)
    _write(out, _zip(found))
    if console.as_json:
        console.json({"file": str(out), "cases": len(found["cases"])})
    else:
        console.print(console.say("forget.exported", cases=len(found["cases"])))


@command("hold place", _HELD)
def place(
    console: Console,
    kind: Annotated[str, typer.Argument(metavar="KIND")],
    ref: Annotated[str, typer.Argument(metavar="REF")],
    because: Annotated[str, typer.Option("--because", metavar="TEXT")] = "",
) -> None:
    """Place a legal hold on a case, or on a child and all its cases: nothing of it is erased."""
    by = console.actor
    with console.engine() as engine:
        engine.place_hold(kind, ref, because=because, by=by)
    if console.as_json:
        console.json({"kind": kind, "held": True})
    else:
        console.print(console.say("hold.placed"))


@command("hold lift", f"{_HELD}\ncrisis hold lift subject stu-42 --as p-3")
def lift(
    console: Console, kind: Annotated[str, typer.Argument(metavar="KIND")], ref: Annotated[str, typer.Argument(metavar="REF")],
) -> None:
    """Lift a legal hold."""
    by = console.actor
    with console.engine() as engine:
        engine.lift_hold(kind, ref, by=by)
    if console.as_json:
        console.json({"kind": kind, "held": False})
    else:
        console.print(console.say("hold.lifted"))


# ---- the zip ----------------------------------------------------------------------------------------------------------------


def _zip(found: dict[str, Any]) -> bytes:
    """Return a zip of the data as JSON and of a page in each language that says what it is and shows it line by line."""
    packed = io.BytesIO()
    cases = found["cases"]
    files = {f"attachments/{case['number']}-{name}": b64decode(text) for case in cases for name, text in case["attachments"].items()}
    found = {**found, "cases": [{**case, "attachments": sorted(case["attachments"])} for case in cases]}
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        parts: dict[str, str | bytes] = {"data.json": json.dumps(found, ensure_ascii=False, indent=2, default=str) + "\n"}
        parts |= {f"{lang}.txt": _page(found, lang) for lang in ("zh", "en")}
        for name, text in {**parts, **files}.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), text)   # the same data gives the same bytes
    return packed.getvalue()


def _page(found: dict[str, Any], lang: str) -> str:
    from crisis_engine.words import say

    lines = [say("export.title", lang, id=found["subject"]["id"], when=found["made_at"]), say("export.what", lang), ""]
    lines += [f"{name}: {value}" for name, value in found["subject"].items()]
    lines += [f"{say('export.guardian', lang)}: {one['id']} {one['name']} {one['contact']}" for one in found["guardians"]]
    for case in found["cases"]:
        lines += ["", say("export.case", lang, number=case["number"], opened=case["opened_at"], closed=case["closed_at"] or "-")]
        if case["erased_at"]:
            lines.append(say("export.erased", lang, when=case["erased_at"]))
        for line in case["history"]:
            rest = {name: value for name, value in line.items() if name not in {"seq", "at", "by", "kind"}}
            lines.append(f"  {line['seq']} {line['at']} {_event(line['kind'], lang)} {json.dumps(rest, ensure_ascii=False)}")
        lines += [f"  {say('export.read', lang)} {one['at']} {one['who']} {one['what']}" for one in case["reads"]]
        if case["left_out"]:
            lines.append(say("export.left_out", lang, count=case["left_out"]))
    return "\n".join(lines) + "\n"


def _event(kind: str, lang: str) -> str:
    from crisis_engine.words import knows, say

    return say(f"event.{kind}", lang) if knows(f"event.{kind}") else kind


def _write(path: Path, data: bytes) -> None:
    """Write a new file for its owner alone; one that is there stays."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
    except FileExistsError:
        raise bad_input("usage.file_there") from None
    except OSError:
        raise Failure("StoreError", 74, key="usage.output") from None
