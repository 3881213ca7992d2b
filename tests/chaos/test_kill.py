"""Real processes on a real database: killed, stopped past any lease and woken; nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.crew import Crew, rounds_of
from tests.story import copy_city

KILLS = int(os.environ.get("CRISIS_CHAOS") or 12)
SEED = int(os.environ.get("CRISIS_SEED") or 20260302)
ROUNDS = rounds_of(SEED, KILLS)
_TOTALS: dict[str, Counter[str]] = {}

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="SIGSTOP, fork and /proc are Linux")


def say(what: str, crew: Crew) -> None:
    """Print the figures of a round of a long run, and those of all rounds so far."""
    if os.environ.get("CRISIS_CHAOS"):
        total = _TOTALS.setdefault(what, Counter())
        total.update({**crew.faults, "rounds": 1})
        sys.stderr.write(f"\n{what}: {dict(crew.faults)}; so far {dict(total)}\n")


@pytest.mark.parametrize(("seed", "kills"), ROUNDS)
def test_kills_and_stops_on_sqlite_lose_nothing_and_double_nothing(city_template: Path, tmp_path: Path, seed: int, kills: int) -> None:
    copy_city(city_template, tmp_path / "city.db")
    with Crew(f"sqlite:///{tmp_path / 'city.db'}", tmp_path / "heard", seed) as crew:
        crew.rage(kills)
        flaws = crew.judge()
    say("SQLite", crew)
    assert not flaws, "\n".join(flaws)
    assert crew.faults["acknowledged"]
    assert crew.faults["rungs"]
