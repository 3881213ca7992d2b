"""A few seeds of the simulation in every run of the tests: no promise breaks, and a seed is the same city each time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.chaos.city import Simulation

SEEDS = range(10)   # `make chaos` takes hundreds, `make chaos-long` as many as fit into the night


@pytest.mark.parametrize("seed", SEEDS)
def test_no_promise_breaks_under_faults_and_all_that_is_owed_happens_when_they_stop(seed: int) -> None:
    figures = Simulation(seed).run()
    assert figures.rungs
    assert figures.messages


def test_a_seed_gives_the_same_trace_in_any_process() -> None:
    code = "from tests.chaos.city import Simulation; print(Simulation(5, steps=120).run().trace)"
    hashes = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                             env=os.environ | {"PYTHONHASHSEED": seed}).stdout for seed in ("1", "2")]
    assert hashes[0] == hashes[1] == f"{Simulation(5, steps=120).run().trace}\n"
    assert Simulation(6, steps=120).run().trace != hashes[0].strip()
