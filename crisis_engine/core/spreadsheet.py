"""Cells for a spreadsheet: text that no spreadsheet program takes for a formula, and lines of CSV made of such cells."""

from __future__ import annotations

from collections.abc import Iterable

_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What spreadsheet programs take for the beginning of a formula, in the full width of Chinese input too."""


def cell(value: object) -> str:
    """Return a value as a cell: a text that would begin a formula begins with an apostrophe instead, numbers stay, None is empty."""
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return str(value)
    text = str(value)
    return f"'{text}" if text.lstrip(" \u3000\u00a0\ufeff").startswith(_BEGINS) else text


def line(values: Iterable[object]) -> str:
    """Return one line of CSV (RFC 4180), every cell quoted, without its line end."""
    return ",".join('"' + cell(value).replace('"', '""') + '"' for value in values)
