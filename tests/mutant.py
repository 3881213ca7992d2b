"""Mutants of definition files: one rule taken out, loosened or widened, every rule in turn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Doc = dict[str, Any]
Path = tuple[Any, ...]

KINDS = ("key deleted", "item deleted", "second person removed", "guard removed", "telling removed", "number loosened", "level loosened",
         "flag flipped", "role widened")
"""What a mutant does to the rule, in the order of the report."""

_GONE = object()
_SPAN = re.compile(r"(\d+)(m|h|d|wd|sd)")
_OFFSET = re.compile(r"-(\d+)(m|h|d)|(\d+)%")
_TELLING = frozenset({"tell", "tells", "raise", "shows", "alarm"})
_LONGER_IS_STRICTER = frozenset({"stable_for", "before", "keep"})
_MORE_IS_STRICTER = frozenset({"sample", "min", "at_least"})
_NO_RULE = frozenset({"label", "field_label", "choice"})       # of texts one of each is enough: a text less is the loader's affair
_HEAD = frozenset({"format", "version"})
_ONE_LESS: Mapping[str, str] = {
    "red": "orange", "orange": "yellow", "yellow": "blue",
    "city": "county", "county": "school", "school": "grade", "grade": "class", "next": "class",
    "city_panel": "city_one", "city_one": "county",
    "safety": "paper", "closed": "merged", "excluded": "merged", "ended": "merged",
}
"""What a word of an order is when it asks one step less; an ending that counts as a merge asks for no second person."""
_ONE_MORE = {less: more for more, less in _ONE_LESS.items() if more in {"red", "orange", "yellow"}}
_WIDER_SIGHT = {"reached": "unit", "none": "unit"}
_LISTS_OF_ROLES = frozenset({"by", "second", "sight", "unit", "near", "anywhere"})
_ADDED_ROLES = ("peer", "engine", "class_teacher")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One rule of a document that is taken out, or is another."""

    kind: str
    key: str            # where, as the loader names it, and what is there now
    path: Path
    value: Any

    def made(self, doc: Doc) -> Doc:
        """Return the document with this change; the given one stays as it is, what did not change is shared."""
        return _changed(doc, self.path, self.value)   # type: ignore[no-any-return]


def mutants(doc: Doc) -> Iterator[Mutant]:
    """Yield the document without each key and item in turn, and with each number, level, flag and list of roles one step looser."""
    for path in paths(doc):
        value, key = at(doc, path), dotted(path)
        yield Mutant(_kind_of_loss(path), key, path, _GONE)
        if path[0] in _HEAD:
            continue
        for kind, looser in _looser(path, value):
            yield Mutant(kind, f"{key} = {looser!r}", path, looser)
        if path[-1] in _LISTS_OF_ROLES and isinstance(value, list):
            for role in _ADDED_ROLES:
                if role not in value:
                    yield Mutant("role widened", f"{key} + {role}", path, [*value, role])
        if path[:-1] == ("stage",) and isinstance(value, dict) and "settled" not in value and "final" not in value:
            yield Mutant("flag flipped", f"{key}.settled = True", path, {**value, "settled": True})


def _kind_of_loss(path: Path) -> str:
    if "second" in path:
        return "second person removed"
    if "needs" in path:
        return "guard removed"
    if _TELLING.intersection(name for name in path[2 if path[0] == "move" else 1:] if isinstance(name, str)):
        return "telling removed"
    if "remind" in path:
        return "number loosened"
    return "item deleted" if isinstance(path[-1], int) else "key deleted"


def _looser(path: Path, value: object) -> Iterator[tuple[str, object]]:
    names = [name for name in path if isinstance(name, str)]
    last = names[-1]
    if isinstance(value, bool):
        yield "flag flipped", not value
    elif isinstance(value, int):
        yield "number loosened", _looser_number(names, value)
    elif isinstance(value, str) and (match := _SPAN.fullmatch(value)):
        yield "number loosened", _looser_span(names, int(match[1]), match[2])
    elif isinstance(value, str) and "remind" in names and (match := _OFFSET.fullmatch(value)):
        yield "number loosened", "90%" if match[3] else "-1m"
    elif isinstance(value, str) and last == "from_risk":
        if value in _ONE_MORE:
            yield "level loosened", _ONE_MORE[value]
    elif isinstance(value, str) and last == "scope":
        if value in _WIDER_SIGHT:
            yield "level loosened", _WIDER_SIGHT[value]
    elif isinstance(value, str) and ("ladder" in names[2:] or "ladder_for" in names) and value != "paper":
        yield "level loosened", "paper"
    elif isinstance(value, str) and value in _ONE_LESS and last not in {"start", "to", "from", "in"} and isinstance(path[-1], str):
        yield "level loosened", _ONE_LESS[value]


def _looser_number(names: list[str], value: int) -> int:
    if _MORE_IS_STRICTER.intersection(names):
        return max(1, value // 2) if names[-1] != "sample" and "sample" not in names else value // 2
    if names[-1] in {"reads", "addressed", "glass"}:   # a secrecy that may be read
        return value + 1
    return value - 1 if names[-1] == "secrecy" else value * 2


def _looser_span(names: list[str], amount: int, unit: str) -> str:
    if _LONGER_IS_STRICTER.intersection(names):
        return f"{max(1, amount // 2)}{unit}"
    return f"{amount * 2}{unit}" if amount else "30m"


# ---- where things stand in a document ------------------------------------------------------------------------------------


def paths(doc: Any, path: Path = ()) -> Iterator[Path]:  # noqa: ANN401 (any TOML)
    """Yield where each key and item of a document stands; of labels and choices the first floor alone."""
    items = doc.items() if isinstance(doc, dict) else enumerate(doc) if isinstance(doc, list) else ()
    for name, value in items:
        here = (*path, name)
        yield here
        if name not in _NO_RULE:
            yield from paths(value, here)


def at(doc: Any, path: Path) -> Any:  # noqa: ANN401 (any TOML)
    """Return what stands there."""
    for name in path:
        doc = doc[name]
    return doc


def dotted(path: Path) -> str:
    """Return the place as the loader names it: `ladder.work[2].at`."""
    return "".join(f"[{name + 1}]" if isinstance(name, int) else f".{name}" for name in path).lstrip(".")


def _changed(doc: Any, path: Path, value: Any) -> Any:  # noqa: ANN401 (any TOML)
    here = list(doc) if isinstance(doc, list) else dict(doc)
    name = path[0]
    if len(path) > 1:
        here[name] = _changed(doc[name], path[1:], value)
    elif value is _GONE:
        del here[name]
    else:
        here[name] = value
    return here
