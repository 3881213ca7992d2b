"""Cells for a spreadsheet: text that no spreadsheet program takes for a formula, and lines of CSV made of such cells."""

from __future__ import annotations

from collections.abc import Iterable

_BEGINS = frozenset("=+-@＝＋－＠")
"""What spreadsheet programs take for the beginning of a formula, in the full width of Chinese input too."""

_BLANK = ("\t", "\r", "\n")


def cell(value: object) -> str:
    """Return a value as a cell: a text that would begin a formula begins with an apostrophe instead, numbers stay, None is empty."""
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return str(value)
    text = str(value)
    begins = next((char for char in text if not _is_blank(char)), "")
    return f"'{text}" if text.startswith(_BLANK) or begins in _BEGINS else text


def _is_blank(char: str) -> bool:
    """Whether a program may pass over it: blanks of any width, control characters, the byte order mark."""
    return char.isspace() or not char.isprintable()


def line(values: Iterable[object]) -> str:
    """Return one line of CSV (RFC 4180), every cell quoted, without its line end."""
    return ",".join('"' + cell(value).replace('"', '""') + '"' for value in values)
