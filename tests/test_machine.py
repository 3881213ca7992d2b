"""Random lives of a few children, every promise checked after every step; `make soak` takes 1,000,000 steps (see `run`)."""

from __future__ import annotations

import os
from random import SystemRandom

import pytest
from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine import City, OneLife

SOAK = os.environ.get("CRISIS_SOAK") == "1"
STEPS = 50
EXAMPLES = 1_000_000 // STEPS // 2 if SOAK else 100   # there are two machines; a CI run takes 2 x 100 examples
"""How long a soak takes stands in CONTRIBUTING of the numbers: about 20 ms a step on one core."""


def run(machine: type[City]) -> None:
    """Run the machine: the same examples each time in CI, new ones with a printed seed in a soak."""
    # No deadline: a step waits for the disk, whose mood is no fault of the code under test.
    if not SOAK:
        chosen = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, derandomize=True)
        run_state_machine_as_test(machine, settings=chosen)
        return
    number = int(os.environ.get("CRISIS_SEED") or SystemRandom().randrange(2**32))
    print(f"\nCRISIS_SEED={number} for {machine.__name__}", flush=True)  # noqa: T201 - who meets a failure must be able to repeat it
    seed(number)(machine)
    run_state_machine_as_test(machine, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None))


@pytest.mark.parametrize("machine", [OneLife])
def test_no_promise_breaks_in_the_long_lives_of_a_few_cases(machine: type[City]) -> None:
    run(machine)

    assert machine.steps > EXAMPLES * STEPS // 4
