"""Definition files broken at random: what does not belong there, in documents and in text."""

from __future__ import annotations

import copy
import random
import re
from typing import Any

from .mutant import Doc, at, paths

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
        places = list(paths(doc))
        if not places:
            break
        path = chance.choice(places)
        place, name = at(doc, path[:-1]), path[-1]
        match chance.randrange(6):
            case 0:
                del place[name]
            case 1:
                place[name] = copy.deepcopy(at(doc, chance.choice(places)))
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
        place = chance.randrange(len(text) or 1)
        lines = text.split("\n")
        one = chance.randrange(len(lines))
        match chance.randrange(7):
            case 0:
                text = text[:place] + chance.choice("\x00\"'[]{}=#\\\n\t,.￿é心") + text[place:]
            case 1:
                text = text[:place] + text[place + chance.randint(1, 40):]
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
