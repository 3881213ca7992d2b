"""`crisis print`: a document of a case on paper: a page of HTML that a browser prints, or a PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crisis_engine.cli.attachment import refuse_there, written
from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.failure import bad_input

_EXAMPLE = (
    'crisis report --as p-71 --unit xinyang/shihe/no-3/g7/c2 --subject stu-42 --facts "He has not slept for a week"\n'
    "crisis print next --as p-11"
)


@command("print", _EXAMPLE)
def print_(
    console: Console,
    number: Annotated[str, typer.Argument()],
    document: Annotated[str | None, typer.Option("--document", metavar="NAME")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE")] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", metavar="zh|en|both")] = None,
    why: Annotated[str, typer.Option("--why", metavar="TEXT")] = "",
) -> None:
    """List the documents of a case; with --out write one, as .html or .pdf, into a new file."""
    by = console.actor
    end = out.suffix.lower() if out is not None else ""
    if out is not None and end not in {".html", ".pdf"}:
        raise bad_input("usage.print_out")
    with console.engine() as engine:
        number = console.number(engine, number)
        if out is None:
            found = engine.documents(number, by=by)
        else:
            refuse_there(out)
            if end == ".pdf":
                from crisis_engine.print import refuse_pdf

                refuse_pdf()   # before the printing is written down
            page = engine.document(number, document, by=by, lang=sheet or console.lang, why=why)
    if out is None:
        if console.as_json:
            console.json([one.to_json() for one in found])
            return
        for one in found:
            state = console.say("print.now") if one.possible else console.refusal(one.why_not or "")
            console.print(f"  {one.name}  {console.label(one.label)}: {state}")
        if not found:
            console.print(console.say("print.none"))
        return
    from crisis_engine.print import pdf_of

    data = pdf_of(page) if end == ".pdf" else page.encode()
    written(out, data)
    if console.as_json:
        console.json({"file": str(out), "size": len(data)})
    else:
        console.print(console.say("print.written", file=out))
