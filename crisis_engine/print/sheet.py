"""A sheet: what stands on a paper, in words and values, each in both languages; nothing here asks where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Words = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `kind` is text, value, or what is left blank (line, lines, date, signature, stamp, box)."""

    kind: str
    label: Words
    value: Words


@dataclass(frozen=True, slots=True)
class Section:
    """A part under its heading; `cut` begins one that is torn off."""

    label: Words
    entries: tuple[Entry, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole document: its title, the number of the case, its parts."""

    title: Words
    number: str
    sections: tuple[Section, ...]
