"""The roster in CSV files: read with every fault named at once, written so that reading gives the same again."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from crisis_engine.core.errors import RosterError
from crisis_engine.roster.cell import BadCell, refuse_control
from crisis_engine.roster.check import Entry, Gathered, RosterSet, check_roster
from crisis_engine.roster.column import LAYOUTS, MAY_BE_EMPTY, Record
from crisis_engine.roster.fault import Faults
from crisis_engine.roster.sheet import Sheet, kind_of_stem, open_sheet

__all__ = ["RosterSet", "read_roster", "write_roster"]


def read_roster(paths: Sequence[Path], known: RosterSet | None = None) -> RosterSet:
    """Return what the files say; a folder stands for the roster files in it.

    A file is units, persons, duties, absences, subjects or guardians by its name or, failing that, by its header; it is UTF-8
    (with or without BOM) or GB18030. References may also point to `known`, what the database has already; a row may replace a
    known one. Dates without a zone are China's time, a bare date is local midnight. A pupil's `ref` is unique in the whole
    roster.

    Raises RosterError with file, line, column and way out of up to 20 faults, each on its own line of the message.
    """
    faults = Faults()
    gathered = Gathered({kind: [] for kind in LAYOUTS}, {kind: set() for kind in LAYOUTS})
    complete = True
    for path in _files(paths, faults):
        sheet = open_sheet(path, faults)
        complete = complete and sheet is not None
        if sheet is not None:
            _gather(sheet, gathered, faults)
    if complete:  # with a whole file missing, each reference to it would be a fault of its own
        check_roster(gathered, known or RosterSet(), faults)
    faults.finish()
    return gathered.roster()


def write_roster(roster: RosterSet, folder: Path) -> list[Path]:
    """Write the six files into `folder` (made if needed) and return their paths; `read_roster` gives the same roster again.

    The keys of subjects are not written: they belong to one database. Cells stand as they are; whoever opens the files in a
    spreadsheet imports the columns as text. Raises RosterError if a file cannot be written.
    """
    written = []
    for kind, layout in LAYOUTS.items():
        path = folder / f"{kind}.csv"
        names = [column.name for column in layout.columns]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerow(names)
                writer.writerows([_text(getattr(record, name)) for name in names] for record in getattr(roster, kind))
        except OSError as error:
            msg = f"the file cannot be written: {error.strerror}."
            raise RosterError(msg, file=str(path), way_out="Check the folder and the free space.") from error
        written.append(path)
    return written


def _files(paths: Iterable[Path], faults: Faults) -> list[Path]:
    """Return the files behind `paths`; a folder's in the order of LAYOUTS, since later kinds refer to earlier ones."""
    order = list(LAYOUTS)
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [(kind, file) for file in path.glob("*.csv") if (kind := kind_of_stem(file.stem)) is not None]
            if not inside:
                names = ", ".join(f"{kind}.csv" for kind in order)
                faults.add("the folder holds no roster file.", file=str(path), way_out=f"It should hold some of {names}.")
            files += [file for _, file in sorted(inside, key=lambda pair: (order.index(pair[0]), pair[1].name))]
        else:
            files.append(path)
    return files


def _gather(sheet: Sheet, gathered: Gathered, faults: Faults) -> None:
    """Read every row of a sheet; a row with a fault is remembered by its id only."""
    kind = sheet.layout.kind
    entries, spoiled = gathered.entries[kind], gathered.spoiled[kind]
    id_place = next(place for place, _, column in sheet.columns if column is sheet.layout.columns[0])
    for line, cells in sheet.rows:
        record = _read_row(sheet, line, cells, faults)
        if record is not None:
            entries.append(Entry(record, sheet, line))
        elif id_place < len(cells):
            spoiled.add(cells[id_place])


def _read_row(sheet: Sheet, line: int, cells: list[str], faults: Faults) -> Record | None:
    """Return the record of a row, or None with a fault for each cell that is wrong."""
    values: dict[str, object] = {}
    sound = True
    if any(cells[sheet.width :]):
        faults.add(
            f"the row has {len(cells)} cells, the header {sheet.width}.",
            file=sheet.file, line=line, way_out="Put a cell that holds a comma in quotes.",
        )  # fmt: skip
        sound = False
    for place, header, column in sheet.columns:
        cell = cells[place] if place < len(cells) else ""
        try:
            refuse_control(cell)
            if cell:
                values[column.name] = column.read(cell)
            elif column.required and (sheet.layout.kind, column.name) not in MAY_BE_EMPTY:
                raise BadCell("the cell is empty.", "Every row must fill this column.")  # noqa: TRY301 (handled as any bad cell)
        except BadCell as bad:
            faults.add(bad.message, file=sheet.file, line=line, key=header, way_out=bad.way_out)
            sound = False
    begins_at, ends_at = values.get("begins_at"), values.get("ends_at")
    if isinstance(begins_at, datetime) and isinstance(ends_at, datetime) and begins_at >= ends_at:
        faults.add(
            "the end is not after the begin.",
            file=sheet.file, line=line, key=sheet.header("ends_at"), way_out="An end is the first moment that no longer counts.",
        )  # fmt: skip
        sound = False
    if not sound:
        return None
    if sheet.layout.kind == "units":
        values.setdefault("parent", None)
    if sheet.layout.kind == "subjects":
        values["id"] = ""
    return sheet.layout.record(**values)  # type: ignore[return-value]  # a layout of LAYOUTS makes a Record


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat()
        case _:
            return str(value)
