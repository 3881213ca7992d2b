"""A child of a rehearsed year: how it truly is, its own chance, and what people mean to do about its case and the tracks beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random


@dataclass(slots=True)
class Child:
    """A child and all that is remembered of its cases; `chance` is its own, so that nothing depends on which process lives which school."""

    ref: str
    truth: str
    chance: Random
    entered: Counter[str] = field(default_factory=Counter)            # by case: how many stages it came into
    planned: set[tuple[str, str, int]] = field(default_factory=set)   # case, clock and arming that somebody means to act on
