"""The children who leave a school, in one CSV file: who, and whereto; read with every fault named at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crisis_engine.roster.cell import BadCell, plain, read_id, refuse_control
from crisis_engine.roster.column import Column, Layout
from crisis_engine.roster.fault import Faults
from crisis_engine.roster.sheet import open_as

UNKNOWN, LEAVES_CITY = "unknown", "leaves_city"
"""What stands for a unit where nobody knows the next school yet, and where the child leaves the city."""

_WORDS = {
    "unknown": UNKNOWN, "未定": UNKNOWN, "待定": UNKNOWN, "去向未定": UNKNOWN, "不详": UNKNOWN,
    "leaves city": LEAVES_CITY, "leaves_city": LEAVES_CITY, "离开本市": LEAVES_CITY, "外市": LEAVES_CITY, "市外": LEAVES_CITY,
}


@dataclass(frozen=True, slots=True)
class Leaver:
    """A child who leaves (毕业、升学): its ref, and a unit, `unknown` or `leaves_city`; `line` says where it stands in its file."""

    subject: str
    to: str
    line: int = 0


def _destination(text: str) -> str:
    return _WORDS.get(plain(text)) or read_id(text)


LEAVERS = Layout("leavers", Leaver, "leavers graduates 毕业生 去向", (
    Column("subject", "学号 学籍号 学生 学生编号 学生学号 ref id", read_id, required=True),
    Column("to", "去向 接收学校 新单位 新学校 录取学校 单位编号", _destination, required=True),
))


def read_leavers(path: Path) -> tuple[Leaver, ...]:
    """Return what the file says, UTF-8 or GB18030, in its order. Raises RosterError with file, line, column and way out of each fault."""
    faults, leavers = Faults(), []
    sheet = open_as(path, LEAVERS, faults)
    for line, cells in sheet.rows if sheet is not None else ():
        values: dict[str, str] = {}
        for place, header, column in sheet.columns if sheet is not None else ():
            cell = cells[place] if place < len(cells) else ""
            try:
                refuse_control(cell)
                if not cell:
                    raise BadCell("the cell is empty.", "Every row must fill this column.")  # noqa: TRY301 (handled as any bad cell)
                values[column.name] = str(column.read(cell))
            except BadCell as bad:
                faults.add(bad.message, file=str(path), line=line, key=header, way_out=bad.way_out)
        if len(values) == len(LEAVERS.columns):
            leavers.append(Leaver(values["subject"], values["to"], line))
    faults.finish()
    return tuple(leavers)
