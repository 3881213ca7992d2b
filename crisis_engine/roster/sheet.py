"""One roster file: its bytes, its encoding, its header and its rows, refused with file and line where they are wrong."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crisis_engine.roster.cell import plain
from crisis_engine.roster.column import IGNORED, LAYOUTS, Column, Layout
from crisis_engine.roster.fault import Faults, did_you_mean

LARGEST_FILE = 200_000_000
"""Bytes; a city's million pupils are 60 MB."""

_LONGEST_TITLE = 60  # characters of a header that an error repeats
_CJK = re.compile("[\u4e00-\u9fff]")
_CJK_IS_NO_ACCIDENT = 4  # so many Chinese characters in valid UTF-8 do not happen by chance in GB18030


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file whose header was understood; `columns` holds place, header as written and meaning."""

    file: str
    layout: Layout
    columns: tuple[tuple[int, str, Column], ...]
    width: int
    rows: Iterator[tuple[int, list[str]]]

    def header(self, name: str) -> str:
        """Return how this file calls the column `name`."""
        return next((header for _, header, column in self.columns if column.name == name), name)


def open_sheet(path: Path, faults: Faults) -> Sheet | None:
    """Return the sheet at `path` with its rows still to be read, or None with the faults that make it unreadable."""
    return open_as(path, None, faults)


def open_as(path: Path, layout: Layout | None, faults: Faults) -> Sheet | None:
    """Return what `open_sheet` does, of a file whose layout is known; of one that has to be recognised with None."""
    file = str(path)
    data = _read_bytes(path, faults)
    encoding = _detect(data, file, faults) if data is not None else None
    if data is None or encoding is None:
        return None
    rows = _rows(data, encoding, file, faults)
    line, header = next(rows, (1, []))
    header = [title[:_LONGEST_TITLE] for title in header]
    while header and not header[-1]:
        header.pop()
    if not header:
        faults.add("the file is empty.", file=file, way_out="Its first line must name the columns.")
        return None
    layout = layout or _recognise(path, header, faults)
    columns = _match(layout, header, file, line, faults) if layout is not None else None
    return Sheet(file, layout, columns, len(header), rows) if layout is not None and columns is not None else None


def kind_of_stem(stem: str) -> str | None:
    """Return the kind of roster file that a file name says, None if it says none."""
    return next((kind for kind, layout in LAYOUTS.items() if plain(stem) in layout.stems.split()), None)


def _read_bytes(path: Path, faults: Faults) -> bytes | None:
    file = str(path)
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            message = f"the file has {size} bytes, more than {LARGEST_FILE}."
            faults.add(message, file=file, way_out="Split it and import the parts.")
            return None
        data = path.read_bytes()
    except FileNotFoundError:
        faults.add("there is no such file.", file=file, way_out="Check the path.")
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        faults.add(f"the file cannot be read: {reason}.", file=file, way_out="Check the path and who may read it.")
        return None
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        message = "the file holds NUL bytes: it is no CSV, or saved as UTF-16."
        faults.add(message, file=file, line=line, way_out='Save it as "CSV UTF-8".')
        return None
    return data


def _detect(data: bytes, file: str, faults: Faults) -> str | None:
    """Return the encoding: UTF-8 where every byte fits, else GB18030 where every byte fits, else None with a fault."""
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        utf8_start = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
    else:
        return "utf-8-sig"
    readable = data[:utf8_start].decode("utf-8", "replace")
    is_utf8 = data.startswith(b"\xef\xbb\xbf") or len(_CJK.findall(readable)) >= _CJK_IS_NO_ACCIDENT
    gb_start = 0
    if not is_utf8:
        try:
            data.decode("gb18030")
        except UnicodeDecodeError as error:
            gb_start = error.start
        else:
            return "gb18030"
    # The encoding that came further is the one that was meant.
    name, start = ("UTF-8", utf8_start) if is_utf8 or utf8_start > gb_start else ("GB18030", gb_start)
    line = data.count(b"\n", 0, start) + 1
    faults.add(
        f"byte {data[start]:#04x} is neither UTF-8 nor GB18030." if not is_utf8 else f"byte {data[start]:#04x} is no {name}.",
        file=file, line=line, way_out='Save the file as "CSV UTF-8".',
    )  # fmt: skip
    return None


def _rows(data: bytes, encoding: str, file: str, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and stripped cells of each row that is not blank; raise what was found when a line is no CSV."""
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding, newline=""), strict=True)
    line = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        faults.add(f"the line is no CSV: {error}.", file=file, line=line, way_out="Check the quotes and commas there.")
        faults.finish()  # where the next row begins cannot be known


def _recognise(path: Path, header: list[str], faults: Faults) -> Layout | None:
    kind = kind_of_stem(path.stem)
    if kind is not None:
        return LAYOUTS[kind]
    words = {_word(title) for title in header if title} - IGNORED
    fitting = [layout for layout in LAYOUTS.values() if _fits(layout, words)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(f"{kind}.csv" for kind in LAYOUTS)
    message = "neither name nor header says what kind of roster file this is."
    faults.add(message, file=str(path), line=1, way_out=f"Name it one of {names}.")
    return None


def _fits(layout: Layout, words: set[str]) -> bool:
    by_header = layout.by_header
    meant = {by_header[word].name for word in words if word in by_header}
    return words <= by_header.keys() and all(column.name in meant for column in layout.required)


def _match(layout: Layout, header: list[str], file: str, line: int, faults: Faults) -> tuple[tuple[int, str, Column], ...] | None:
    """Return what each column means, or None with a fault for each that is unknown, doubled or missing."""
    by_header = layout.by_header
    found: dict[str, tuple[int, str, Column]] = {}
    wrong: list[tuple[str, str, str]] = []
    for place, title in enumerate(header):
        word = _word(title)
        column = by_header.get(word)
        if word in IGNORED:
            continue
        if column is None:
            names = ", ".join(known.name for known in layout.columns)
            wrong.append((title, f'unknown column "{title}".', did_you_mean(word, by_header, f"{layout.kind}.csv has {names}.")))
        elif column.name in found:
            wrong.append((title, f'column "{title}" says the same as "{found[column.name][1]}".', "Keep one."))
        else:
            found[column.name] = (place, title, column)
    for column in layout.required:
        if column.name not in found:
            way_out = f"Add it (in Chinese {column.also.split()[0]}) to the header."
            wrong.append((column.name, f'column "{column.name}" is missing.', way_out))
    for key, message, way_out in wrong:
        faults.add(message, file=file, line=line, key=key, way_out=way_out)
    return None if wrong else tuple(found.values())


def _word(title: str) -> str:
    return plain(title).strip("* ").replace(" ", "_")
