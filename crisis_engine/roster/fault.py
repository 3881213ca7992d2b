"""The faults found in roster files, gathered so that a person mends them in one go."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from itertools import islice
from typing import NoReturn

from crisis_engine.core.errors import RosterError

MOST_FAULTS = 20
"""So many faults are reported together; reading stops there, since a wrong file would otherwise name each of its rows."""

_FEW = 2000  # up to here difflib compares every name; beyond, only names that share a half with the word

_SLIP = 3  # a slip of the hand adds or loses no more signs


class Faults:
    """Collects up to 20 faults; `finish` raises them as one RosterError with a line for each."""

    def __init__(self) -> None:
        """Begin without a fault."""
        self._found: list[RosterError] = []

    def add(self, message: str, *, file: str, line: int | None = None, key: str = "", way_out: str = "") -> None:
        """Note a fault; raise all of them at once when it is the twentieth."""
        self._found.append(RosterError(message, file=file, line=line, key=key, way_out=way_out))
        if len(self._found) == MOST_FAULTS:
            self._raise(f"Reading stopped after {MOST_FAULTS} faults; there may be more.")

    def finish(self) -> None:
        """Raise what was found, if anything."""
        if self._found:
            self._raise("")

    def _raise(self, last_line: str) -> NoReturn:
        first, *others = self._found
        if not others:
            raise first
        lines = [str(fault) for fault in self._found]
        if last_line:
            lines.append(last_line)
        error = RosterError("\n".join(lines), way_out="")
        error.file, error.line, error.key = first.file, first.line, first.key
        raise error


def did_you_mean(word: str, names: Collection[str], otherwise: str) -> str:
    """Return the question for the nearest of `names`, or `otherwise` when none is near."""
    candidates = list(names)
    if len(candidates) > _FEW:
        half = max(1, len(word) // 2)
        near = (name for name in names if name[:half] == word[:half] or name[-half:] == word[-half:])
        candidates = list(islice((name for name in near if abs(len(name) - len(word)) <= _SLIP), _FEW))
    nearest = difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    return f'Did you mean "{nearest[0]}"?' if nearest else otherwise
