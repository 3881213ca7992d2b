"""Random lives of a few children, every promise checked after every command; `run` serves test_machine_city.py too.

CRISIS_SOAK=1 makes the two files take 1,000,000 steps between them, with seeds of their own, which they print; CRISIS_SEED=… repeats one.
A step is 1.7 commands on average and took 15 ms (2 cores, Python 3.11): a soak lasts 4 hours, 2 where the files run side by side.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from random import SystemRandom

from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine import City, OneLife

SOAK = os.environ.get("CRISIS_SOAK") == "1"
STEPS = 50
EXAMPLES = 1_000_000 // STEPS // 2 if SOAK else 85   # of each of the two machines


def run(machine: type[City], examples: int = EXAMPLES) -> None:
    """Run a machine: in CI the same examples each time, in a soak new ones."""
    # Without a deadline: a step waits for the disk, whose mood is no fault of the code under test.
    chosen = settings(max_examples=examples, stateful_step_count=STEPS, deadline=None, database=None, derandomize=not SOAK)
    if SOAK:
        number = int(os.environ.get("CRISIS_SEED") or SystemRandom().randrange(2**32))
        sys.stderr.write(f"\nCRISIS_SEED={number} repeats this soak of {machine.__name__}.\n")
        seed(number)(machine)
    machine.commands, machine.seen = 0, Counter()
    run_state_machine_as_test(machine, settings=chosen)
    sys.stdout.write(f"{machine.__name__}: {machine.commands} commands, lives that came to {dict(machine.seen)}\n")
    assert machine.commands > examples * STEPS // 2, "the machine hardly did anything"
    assert machine.seen["two tracks of one case"] > examples // 10, "hardly any case had two tracks"


def test_no_promise_breaks_in_the_long_lives_of_a_few_cases() -> None:
    run(OneLife)
