"""Real processes on a real database: killed, stopped past any lease and woken; nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.chaos.crew import Crew
from tests.story import copy_city

KILLS = int(os.environ.get("CRISIS_CHAOS") or 12)
SEED = int(os.environ.get("CRISIS_SEED") or 20260302)

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="SIGSTOP, fork and /proc are Linux")


def say(what: str, crew: Crew) -> None:
    """Print the figures of a long run."""
    if os.environ.get("CRISIS_CHAOS"):
        sys.stderr.write(f"\n{what}: {dict(crew.faults)}\n")


def test_kills_and_stops_on_sqlite_lose_nothing_and_double_nothing(city_template: Path, tmp_path: Path) -> None:
    copy_city(city_template, tmp_path / "city.db")
    with Crew(f"sqlite:///{tmp_path / 'city.db'}", tmp_path / "heard", SEED) as crew:
        crew.rage(KILLS)
        flaws = crew.judge()
    say("SQLite", crew)
    assert not flaws, "\n".join(flaws)
    assert crew.faults["acknowledged"]
    assert crew.faults["rungs"]
