"""`crisis attachment`: what is attached to a case, and one of it in a file; and the files that `--field NAME=@PATH` means."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.failure import Failure, bad_input

if TYPE_CHECKING:
    from crisis_engine.core.workflow import FieldDef

AT = "@"
"""What begins the value of a field that is a file."""

_EXAMPLE = ('crisis report --as p-71 --unit xinyang/shihe/no-3/g7/c2 --subject stu-42 --facts "He has not slept for a week"\n'
            "crisis attachment next --as p-11")


@command("attachment", _EXAMPLE)
def attachment(
    console: Console,
    number: Annotated[str, typer.Argument()],
    which: Annotated[str | None, typer.Argument(metavar="ID")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE")] = None,
    why: Annotated[str, typer.Option("--why", metavar="TEXT")] = "",
) -> None:
    """List what is attached to a case; with an ID write that file, which must be a new one."""
    by = console.actor
    if (which is None) != (out is None):
        raise bad_input("usage.attachment_out")
    with console.engine() as engine:
        number = console.number(engine, number)
        if which is None or out is None:
            _list(console, engine.attachments(number, by=by, why=why))
            return
        refuse_there(out)
        found = engine.attachment(number, which, by=by, why=why)
    written(out, found.content)
    if console.as_json:
        console.json({"file": str(out), "sort": found.sort, "size": found.size})
    else:
        console.print(console.say("attachment.written", file=out, size=f"{found.size:,}"))


def _list(console: Console, found: Sequence[Any]) -> None:
    if console.as_json:
        console.json([one.to_json() for one in found])
        return
    from crisis_engine.cli.picture import harmless

    if found:
        console.grid(("head.attachment", "head.when", "head.what", "head.name", "head.size", "head.secrecy"), [
            (one.id, console.when(one.at), console.label(one.label, one.field), harmless(one.name), f"{one.size:,}", f"T{one.secrecy}")
            for one in found
        ], firm=("head.attachment", "head.when", "head.size", "head.secrecy"))
    console.print(console.say("attachment.count", count=len(found)))


def with_files(fields: dict[str, Any], form: Callable[[], Sequence[FieldDef]]) -> dict[str, Any]:
    """Return a form's fields with the file read for each `@PATH` of a field that takes an attachment.

    The form is asked for only where a value begins with `@`: a text may begin so too, and then it stays one.
    """
    if not any(isinstance(value, str) and value.startswith(AT) for value in fields.values()):
        return fields
    taking = {field.name: field for field in form() if field.type == "attachment"}
    return {
        name: read_file(Path(value.removeprefix(AT)), taking[name].most)
        if name in taking and isinstance(value, str) and value.startswith(AT) else value
        for name, value in fields.items()
    }


def read_file(path: Path, most: int | None) -> Any:  # noqa: ANN401 - an Attachment, whose room only this command needs
    """Return the file as an attachment; refused before it is read where it is no plain file or has more bytes than are kept."""
    from crisis_engine.core.attachment import MOST_BYTES, Attachment

    most = most or MOST_BYTES
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))   # a pipe without a writer would wait for one
    except (OSError, ValueError) as error:
        raise bad_input("usage.attached", reason=getattr(error, "strerror", None) or type(error).__name__) from None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_size > most:
        os.close(handle)
        if not stat.S_ISREG(found.st_mode):
            raise bad_input("usage.attached_kind")
        raise bad_input("usage.attached_long", size=f"{found.st_size:,}", most=f"{most:,}")
    try:
        with os.fdopen(handle, "rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise bad_input("usage.attached", reason=error.strerror or type(error).__name__) from None
    if len(content) > most:   # it grew meanwhile
        raise bad_input("usage.attached_long", size=f"{len(content):,}", most=f"{most:,}")
    return Attachment(path.name, content)


def refuse_there(path: Path) -> None:
    """Refuse before anything is read what could not be written afterwards: a reading that gave nothing would stand in the read log."""
    if os.path.lexists(path):
        raise bad_input("usage.file_there")
    if not path.absolute().parent.is_dir():
        raise Failure("StoreError", 74, key="usage.output")


def written(path: Path, data: bytes) -> None:
    """Write a new file for its owner alone; one that is there stays, and half a file is taken away again."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise bad_input("usage.file_there") from None
    except OSError:
        raise Failure("StoreError", 74, key="usage.output") from None
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
    except OSError:
        path.unlink(missing_ok=True)
        raise Failure("StoreError", 74, key="usage.output") from None
