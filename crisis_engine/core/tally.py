"""Tallies that name no child: cells too small to publish are merged with others, so that no difference gives them back."""

from __future__ import annotations

from collections.abc import Mapping

MERGED = "*"
"""The name of what was merged."""


def merged(cells: Mapping[str, int], least: int) -> list[tuple[str, int | None]]:
    """Return the cells with those below `least` merged into one, called `*`, with as many more as it takes to reach `least`.

    None stands for a whole that is itself below `least`. Which cells were merged is not said, empty cells are left out, and
    the sum stays: a reader who knows the whole learns of no smaller group than `least` (DOMAIN.md 4.2: suppress cells below 5, or merge).
    """
    rest = sorted(((count, name) for name, count in cells.items() if count), reverse=True)
    pooled, names = 0, 0
    while rest and (rest[-1][0] < least or 0 < pooled < least):
        pooled += rest.pop()[0]
        names += 1
    shown: list[tuple[str, int | None]] = [(name, count) for count, name in sorted(rest, key=lambda one: one[1])]
    if names:
        shown.append((MERGED, pooled if pooled >= least else None))
    return shown
