"""The children of a group event in a CSV file: one a line, every fault named with its line, and nothing repeated that may be a fact."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from crisis_engine.roster.cell import plain
from crisis_engine.roster.fault import Faults, did_you_mean
from crisis_engine.roster.sheet import lines_of

_COLUMNS = {
    "subject": "subject", "学生": "subject", "学号": "subject", "facts": "facts", "事实": "facts", "cues": "cues", "情形": "cues",
    "danger_now": "danger_now", "此刻危险": "danger_now", "with_child": "with_child", "陪同": "with_child",
    "about_staff": "about_staff", "涉及人员": "about_staff",
}
_LISTS = frozenset({"cues", "about_staff"})
_YES, _NO = frozenset({"yes", "y", "true", "1", "是", "有"}), frozenset({"no", "n", "false", "0", "否", "无", ""})
_BETWEEN = re.compile("[;；,，、\\s]+")
_NAMES = tuple(dict.fromkeys(_COLUMNS.values()))


class Line(NamedTuple):
    """One child of the file, as `Engine.open_incident` takes it, and the line where it stands."""

    line: int
    child: dict[str, Any]


def read_children(path: Path) -> list[Line]:
    """Return the children that a file names; a cell that is empty is left out, and a child without `subject` is one nobody knows yet.

    Columns: subject, facts, cues, danger_now, with_child, about_staff, in English or Chinese; several cues or people are divided by
    ";". UTF-8 or GB18030. Raises RosterError with file, line, column and way out of up to 20 faults.
    """
    faults = Faults()
    rows = lines_of(path, faults)
    lines: list[Line] = []
    if rows is not None:
        first, header = next(rows, (1, []))
        names = _names(header, str(path), first, faults)
        seen: dict[str, int] = {}
        for line, cells in rows if names is not None else ():
            if child := _child(cells, names or [], str(path), line, faults):
                again = seen.setdefault(str(child.get("subject", f"line {line}")), line)
                if again != line:
                    faults.add(f"this child stands in line {again} already.", file=str(path), line=line, key="subject",
                               way_out="Name each child once.")
                lines.append(Line(line, child))
        if names is not None and not lines:
            faults.add("the file names no child.", file=str(path), way_out="Write one child a line below the header.")
    faults.finish()
    return lines


def _names(header: list[str], file: str, line: int, faults: Faults) -> list[str] | None:
    """Return what each column means, or None with a fault for each that is unknown or doubled."""
    found: list[str] = []
    for title in header:
        word = plain(title).replace(" ", "_")
        if word not in _COLUMNS:
            faults.add("unknown column.", file=file, line=line, key=word[:40],
                       way_out=did_you_mean(word, _COLUMNS, f"Known columns: {', '.join(_NAMES)}."))
        elif _COLUMNS[word] in found:
            faults.add("this column stands here twice.", file=file, line=line, key=word[:40], way_out="Keep one.")
        else:
            found.append(_COLUMNS[word])
    if not header:
        faults.add("the file is empty.", file=file, way_out="Its first line must name the columns.")
    return found if header and len(found) == len(header) else None


def _child(cells: list[str], names: list[str], file: str, line: int, faults: Faults) -> dict[str, Any]:
    if len(cells) > len(names) and any(cells[len(names):]):
        faults.add(f"{len(cells)} cells stand here, the header names {len(names)} columns.", file=file, line=line,
                   way_out="Put a text with commas into quotes.")
        return {}
    child: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=False):
        if name == "danger_now":
            if plain(cell) not in _YES | _NO:
                faults.add("this is neither yes nor no.", file=file, line=line, key=name, way_out="Write yes or no.")
            child[name] = plain(cell) in _YES
        elif cell:
            child[name] = [part for part in _BETWEEN.split(cell) if part] if name in _LISTS else cell
    return child if any(child.values()) else {}
