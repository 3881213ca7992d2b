"""`crisis compliance pack`: the evidence for the yearly audit of minors' data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crisis_engine.cli.audit import written
from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console


@command("compliance pack", "crisis compliance pack --year 2026 --out pack-2026.zip --as p-3")
def pack(
    console: Console,
    year: Annotated[int, typer.Option("--year", metavar="YEAR")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE")],
) -> None:
    """Write the tables and the cover page of a year."""
    by = console.actor
    with console.engine() as engine:
        data = engine.compliance_pack(year, by=by)
    written(out, data)
    if console.as_json:
        console.json({"file": str(out), "size": len(data), "year": year})
    else:
        console.print(console.say("pack.written", file=out, size=len(data)))
