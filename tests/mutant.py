"""Mutants of definition files: each rule taken out or loosened in turn, and files broken at random."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Doc = dict[str, Any]
_SPAN = re.compile(r"(\d+)(m|h|d|wd|sd)")
_HEAD = frozenset({"format", "name", "version", "source", "mark", "label", "extends", "for"})

CLASSES: tuple[tuple[str, str], ...] = (
    (r"(^|\.)(label|field_label|source|mark|format|name|version)(\.|$)", "head: what a person reads, and where it comes from"),
    (r"\.remind", "reminder: comes before the time, and no law stands on it"),
    (r"(^forms|^field_label|\.fields|\.form$)", "form: what somebody has to write down"),
    (r"\.shows|\.tells|\.tell(\.|\[|$)", "told: somebody more who hears of it"),
    (r"^(instead|counterpart|on_site|on_duty|holder|terminal)", "people: one of several who stand in or are told"),
    (r"\.(by|second)(\[|$)", "people: one of several who may"),
    (r"\.(instead|up)$", "people: a stand-in or somebody above may too"),
    (r"^choice", "form: a word to choose"),
    (r"^cue", "number: by what is seen, how dangerous it counts"),
    (r"\.(needs|when)", "guard: another rule holds the same, or it stops what no law forbids"),
    (r"(within|again|cap|at_most|every|\.at|hold|stable_for|by_peak|sample|not_after|ladder_for|pause|times)",
     "number: another clock is the slower or the sooner one"),
    (r"ladder", "ladder: another rung comes to the same"),
    (r"^move|^sets_of_stages", "move: another leads there too"),
)
"""Why a rule may be taken out without a law breaking, by its key; the first that fits."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A document with one rule taken out or loosened."""

    kind: str          # "deleted" or "loosened"
    key: str
    doc: Doc

    @property
    def why(self) -> str:
        """Why it may survive."""
        return next((reason for pattern, reason in CLASSES if re.search(pattern, self.key)), "other")


def mutants(doc: Doc) -> Iterator[Mutant]:
    """Yield the document without each of its keys and items in turn, and with each span and number loosened."""
    for path in _paths(doc, ()):
        key = _dotted(path)
        without = copy.deepcopy(doc)
        place = _at(without, path[:-1])
        del place[path[-1]]
        yield Mutant("deleted", key, without)
        value = _at(doc, path)
        looser = _looser(value)
        if looser is not None and path[0] not in {"format", "version"}:
            loosened = copy.deepcopy(doc)
            _at(loosened, path[:-1])[path[-1]] = looser
            yield Mutant("loosened", key, loosened)


def _looser(value: object) -> object:
    if isinstance(value, str) and (match := _SPAN.fullmatch(value)):
        return f"{int(match[1]) * 10}{match[2]}" if int(match[1]) else "30m"
    if isinstance(value, bool):
        return not value
    return value // 10 if isinstance(value, int) else None


def _paths(doc: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 (any TOML)
    items = doc.items() if isinstance(doc, dict) else enumerate(doc) if isinstance(doc, list) else ()
    for name, value in items:
        here = (*path, name)
        yield here
        if name not in {"label", "field_label", "choice"}:   # a text less is the loader's affair: one of each kind is enough
            yield from _paths(value, here)


def _at(doc: Any, path: tuple[Any, ...]) -> Any:  # noqa: ANN401 (any TOML)
    for name in path:
        doc = doc[name]
    return doc


def _dotted(path: tuple[Any, ...]) -> str:
    return "".join(f"[{name + 1}]" if isinstance(name, int) else f".{name}" for name in path).lstrip(".")


# ---- files broken at random ------------------------------------------------------------------------------------------------

EVIL: tuple[Any, ...] = (
    "os.system", "crisis_engine.core.errors", "__import__('os')", "field:__class__", "actor_of:os.system",
    "\x00", "￿", "𐍈" * 40, "", " ", "心理",
    "9999999d", "250wd", "251wd", "0m", "-5m", "1e9", "99999999999999999999m", "3660d", "3661d", "wd", "m",
    0, -1, 2**63, 2**4000, 1.5, float("nan"),
    float("inf"), True, False, [], {}, [[]], [{}], [None], "open", "engine", "peer", "../default_v1", "default_v1",
    "a" * 501, "a" * 100_000,
    [f"r{number}" for number in range(5_000)], {f"k{number}": 1 for number in range(5_000)}, [{"at": "1m", "raise": "city"}] * 20_000,
)
"""What does not belong into a definition."""


LINES = ('extends = "own_v1"', "a = " + "[" * 3_000, "[[stage]]", "x.y.z = 1", '"os.system" = 1')


def nested(deep: int) -> list[Any]:
    """Return a list in a list, so deep."""
    found: list[Any] = []
    for _level in range(deep):
        found = [found]
    return found


def broken_document(doc: Doc, chance: random.Random) -> Doc:
    """Return the document with one to three things wrong."""
    doc = copy.deepcopy(doc)
    for _time in range(chance.randint(1, 3)):
        paths = list(_paths(doc, ()))
        if not paths:
            break
        path = chance.choice(paths)
        place, name = _at(doc, path[:-1]), path[-1]
        match chance.randrange(6):
            case 0:
                del place[name]
            case 1:
                place[name] = copy.deepcopy(_at(doc, chance.choice(paths)))
            case 2 if isinstance(place, dict):
                place[str(chance.choice(EVIL))[:200]] = place.pop(name)
            case 3:
                place[name] = nested(chance.choice([3, 50, 900, 5_000]))
                return doc
            case 4 if isinstance(place, list):
                place.insert(0, place[name])
            case _:
                place[name] = copy.deepcopy(chance.choice(EVIL))   # a later break must not reach the list above
    return doc


def broken_text(text: str, chance: random.Random) -> str:
    """Return the text with a few characters, lines or words changed."""
    for _time in range(chance.randint(1, 4)):
        at = chance.randrange(len(text) or 1)
        lines = text.split("\n")
        one = chance.randrange(len(lines))
        match chance.randrange(7):
            case 0:
                text = text[:at] + chance.choice("\x00\"'[]{}=#\\\n\t,.￿é心") + text[at:]
            case 1:
                text = text[:at] + text[at + chance.randint(1, 40):]
            case 2:
                text = "\n".join([*lines[:one], *lines[one + 1:]])
            case 3:
                text = "\n".join([*lines[:one], lines[one], *lines[one:]])
            case 4:
                text = "\n".join([*lines[:one], chance.choice(LINES), *lines[one:]])
            case 5:
                text = re.sub(r"\d+(?=[mhd])", lambda _m: str(chance.choice([0, 7, 9_999_999, 10**30])), text, count=chance.randint(1, 3))
            case _:
                words = re.findall(r"[a-z_]{4,}", text)
                text = text.replace(chance.choice(words), chance.choice([*words, "os.system", "__import__"]), 1) if words else text
    return text
