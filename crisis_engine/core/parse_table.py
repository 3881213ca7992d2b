"""Reading one table of a definition file: each value is asked for by name and type, and what nobody asked for is refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from datetime import timedelta
from enum import StrEnum
from typing import NoReturn, TypeVar

from .calendar import Span, parse_span
from .errors import DefinitionError

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
"""What a stage, clock, move, role, choice or cue may be called; such a word is no path, no attribute and no code."""

MARKS: Mapping[str, str] = {
    "V": "read in a public source",
    "T": "read in a template",
    "B": "background knowledge",
    "D": "our own design",
}
"""How far a number can be trusted, the best first; B and D are unverified."""

LANGUAGES = ("zh", "en")
MOST_ENTRIES = 300
"""The most names of a table and items of a list: a person reads them, and a loader must not be kept busy by a file."""

WALL_MOST, DAYS_MOST = timedelta(days=3660), 250
"""The longest span of the wall clock (a school's records are kept ten years), and the most working or school days of a budget."""

_DEEPEST = 16
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")   # ends of lines, escapes, turns of the direction
TEXT_MOST = 500  # characters of a label or a source; a definition is read by people, on one line

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a sentence with the known word that `word` was probably meant to be, or else with all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word[:80], names, n=1)
    if close:
        return f'Did you mean "{close[0]}"?'
    return f"Known here: {', '.join(names)}." if names else "Nothing is known here yet."


class Table:
    """A table of a definition file, with the file's name and the table's key for the errors.

    Every method that reads a value marks its name as known; `close` then refuses the names that are left over. All errors are
    DefinitionError with file, key and a way out.
    """

    def __init__(self, data: object, file: str, key: str = "") -> None:
        self.file, self.key = file, key
        if not isinstance(data, Mapping):
            self.refuse("this must be a table.", way_out='Write names and values, such as { zh = "…", en = "…" }.')
        if not key and _is_deep(data):
            self.refuse("this is nested too deeply.", way_out="A definition needs four levels.")
        self._data: Mapping[str, object] = data
        self._asked: set[str] = set()

    # ---- errors -------------------------------------------------------------------------------------------------------

    def path(self, name: str = "") -> str:
        """Return the dotted key of a value of this table."""
        return ".".join(part for part in (self.key, name) if part)

    def refuse(self, message: str, name: str = "", *, way_out: str = "") -> NoReturn:
        """Raise DefinitionError about one value of this table, or about the table itself."""
        raise DefinitionError(message, file=self.file, key=self.path(name), way_out=way_out)

    def close(self) -> None:
        """Refuse whatever was written but never asked for."""
        for name in self._data:
            if name not in self._asked:
                self.refuse("this key is not known.", str(name)[:80], way_out=nearest(str(name), self._asked))

    # ---- values -------------------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Whether a value of that name is written; the name is known from now on."""
        self._asked.add(name)
        return name in self._data

    def raw(self, name: str) -> object:
        """Return the value as it was written; refused when it is missing."""
        if not self.has(name):
            self.refuse("this key is missing.", name, way_out=f"Write {name} = … here.")
        return self._data[name]

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text that is not empty."""
        if default is not None and not self.has(name):
            return default
        value = self.raw(name)
        if not isinstance(value, str) or not value.strip() or len(value) > TEXT_MOST:
            self.refuse(f"this must be a text of 1 to {TEXT_MOST} characters.", name, way_out="Write it in quotes.")
        return value

    def line(self, name: str, default: str | None = None) -> str:
        """Return a text on one line, such as one that becomes a mail's subject; nothing in it steers a terminal."""
        value = self.text(name, default)
        if _CONTROL.search(value):
            self.refuse("this must stand on one line, without control characters.", name, way_out="Write it as it is to be read.")
        return value

    def word(self, name: str, default: str | None = None) -> str:
        """Return a name such as `county_officer`."""
        return self.check_word(self.text(name, default), name)

    def check_word(self, value: str, name: str) -> str:
        """Return the value if it is a proper name."""
        if not NAME.fullmatch(value):
            self.refuse(f"{value[:80]!r} is not a name.", name, way_out="A name begins with a-z and goes on with a-z, 0-9 and _.")
        return value

    def one_of(self, name: str, known: Iterable[str], default: str | None = None) -> str:
        """Return one of the known words."""
        return self.check_known(self.text(name, default), frozenset(known), name)

    def check_known(self, value: str, known: frozenset[str], name: str) -> str:
        """Return the value if it is one of the known words."""
        if value not in known:
            self.refuse(f"{value[:80]!r} is not known here.", name, way_out=nearest(value, known))
        return value

    def enum(self, name: str, kind: type[E]) -> E:
        """Return a risk or a tier."""
        return kind(self.one_of(name, [member.value for member in kind]))

    def flag(self, name: str) -> bool:
        """Return true or false; false when nothing is written."""
        value = self._data[name] if self.has(name) else False
        if not isinstance(value, bool):
            self.refuse("this must be true or false.", name, way_out="Write it without quotes.")
        return value

    def number(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """Return a whole number within the bounds, both included."""
        if default is not None and not self.has(name):
            return default
        value = self.raw(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.refuse(
                f"this must be a whole number from {least} to {most}.", name, way_out="Write it without quotes and point."
            )
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts without doubles; empty when nothing is written."""
        value = self._data[name] if self.has(name) else []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.refuse("this must be a list of texts.", name, way_out='Write it such as ["counselor", "vice_principal"].')
        self._check_length(value, name)
        if len(set(value)) != len(value):
            self.refuse("something stands here twice.", name, way_out="Name each only once.")
        return tuple(value)

    def words(self, name: str) -> tuple[str, ...]:
        """Return a list of names; empty when nothing is written."""
        return tuple(self.check_word(value, name) for value in self.texts(name))

    def some_of(self, name: str, known: Iterable[str]) -> tuple[str, ...]:
        """Return a list of known words; empty when nothing is written."""
        words = frozenset(known)
        return tuple(self.check_known(value, words, name) for value in self.texts(name))

    def parsed(self, name: str, parse: Callable[[object], T]) -> T:
        """Return the value through a parser that raises ValueError with a sentence."""
        value = self.raw(name)
        try:
            return parse(value)
        except ValueError as error:
            self.refuse(str(error)[:300], name)

    def span(self, name: str) -> Span:
        """Return a span that a calendar can reach."""
        span = self.parsed(name, parse_span)
        if (span.wall > WALL_MOST) if span.is_wall else (span.amount > DAYS_MOST):
            way_out = f"Write at most {WALL_MOST.days}d, or {DAYS_MOST}wd."
            self.refuse(f"{span} is longer than anything here can last.", name, way_out=way_out)
        return span

    def wall_span(self, name: str) -> Span:
        """Return a span of the wall clock that is longer than nothing."""
        span = self.span(name)
        if not span.is_wall or not span.amount:
            self.refuse(
                f"{span} does not say a time of the wall clock above nothing.",
                name,
                way_out="Write minutes, hours or days: 15m, 4h, 7d.",
            )
        return span

    # ---- tables within -------------------------------------------------------------------------------------------------

    def table(self, name: str) -> Table:
        """Return the table of that name; refused when it is missing."""
        return Table(self.raw(name), self.file, self.path(name))

    def table_or_none(self, name: str) -> Table | None:
        """Return the table of that name, or None when it is not written."""
        return self.table(name) if self.has(name) else None

    def tables(self, name: str) -> Iterator[Table]:
        """Yield the tables of a list; none when nothing is written."""
        value = self._data[name] if self.has(name) else []
        if not isinstance(value, list):
            self.refuse("this must be a list of tables.", name, way_out="Write it such as [{ … }, { … }].")
        self._check_length(value, name)
        for number, item in enumerate(value, start=1):
            yield Table(item, self.file, f"{self.path(name)}[{number}]")

    def names(self) -> tuple[str, ...]:
        """Return what is written here and was not asked for yet, each a proper name; all of it is known from now on."""
        self._check_length(self._data)
        found = tuple(str(name) for name in self._data if name not in self._asked)
        for name in found:
            if not NAME.fullmatch(name):
                self.refuse(
                    f"{name[:80]!r} is not a name.", name[:80], way_out="A name begins with a-z and goes on with a-z, 0-9 and _."
                )
        self._asked.update(found)
        return found

    def _check_length(self, value: Sized, name: str = "") -> None:
        if len(value) > MOST_ENTRIES:
            self.refuse(f"{len(value)} entries are too many.", name, way_out=f"At most {MOST_ENTRIES} are read.")

    # ---- what definitions share ---------------------------------------------------------------------------------------

    def label(self, name: str = "label") -> dict[str, str]:
        """Return what a person reads, in Chinese and in English; refused when one of them is missing."""
        table = self.table(name)
        label = {language: table.line(language) for language in LANGUAGES}
        table.close()
        return label

    def trust(self) -> tuple[str, str]:
        """Return source and mark; no number goes without them."""
        for name in ("source", "mark"):
            if not self.has(name):
                self.refuse(
                    "a number without source and mark.", name, way_out=f"Write where it comes from, and a mark: {_marks()}."
                )
        return self.line("source"), self.one_of("mark", MARKS)


def _is_deep(data: object) -> bool:
    """Whether a document goes deeper than any definition does; asked first, for whatever quotes a value goes down into it."""
    level = [data]
    for _depth in range(_DEEPEST):
        tables = [each.values() if isinstance(each, Mapping) else each for each in level
                  if isinstance(each, Mapping | list) and len(each) <= MOST_ENTRIES]   # a longer one is refused for its length
        level = [item for table in tables for item in table]
        if not level:
            return False
    return True


def _marks() -> str:
    return ", ".join(f"{mark} {meaning}" for mark, meaning in MARKS.items())
