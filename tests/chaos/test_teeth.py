"""The harness has teeth: each planted bug turns it red within the seeds of every run, and says what it found."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.chaos.city import Flawed, Simulation
from tests.chaos.plant import PLANTS

SEEDS = range(4, 16)   # the first of them finds each of today's bugs, mostly


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Callable[[ExitStack], None]) -> None:
    found = []
    for seed in SEEDS:
        with ExitStack() as stack:
            plant(stack)
            try:
                Simulation(seed).run()
            except Flawed as flaw:
                found.append(str(flaw))
        if found and re.search(PLANTS[plant], found[-1]):
            return
    pytest.fail(f"{plant.__doc__} Nobody saw it in {len(SEEDS)} seeds; seen: {found}")
