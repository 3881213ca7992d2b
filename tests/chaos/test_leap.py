"""The machine's clock leaps forward and back under a crew, by libfaketime, while the monotonic clock goes on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.chaos.crew import Crew
from tests.chaos.test_kill import ROUNDS, say
from tests.story import copy_city

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))

pytestmark = pytest.mark.skipif(sys.platform != "linux" or not LIBRARIES, reason="libfaketime is missing")


@pytest.mark.parametrize(("seed", "kills"), ROUNDS)
def test_leaps_of_the_clock_forward_and_back_lose_nothing_and_double_nothing(
    city_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, kills: int,
) -> None:
    copy_city(city_template, tmp_path / "city.db")
    leap = tmp_path / "leap"
    leap.write_text("+0", encoding="ascii")
    for name, value in {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME_TIMESTAMP_FILE": str(leap), "FAKETIME_NO_CACHE": "1",
                        "FAKETIME_DONT_FAKE_MONOTONIC": "1"}.items():
        monkeypatch.setenv(name, value)
    with Crew(f"sqlite:///{tmp_path / 'city.db'}", tmp_path / "heard", seed) as crew:
        for name in [name for name in os.environ if name.startswith("FAKETIME") or name == "LD_PRELOAD"]:
            monkeypatch.delenv(name)   # the crew has it; this process goes by the true clock
        offset = 0.0

        def jump(turn: int) -> None:
            nonlocal offset
            if turn % 3 == 1:   # a quarter of an hour of the story is a second here
                offset = crew.rnd.choice([-4.0, -0.3, 0.0, 0.5, 4.0, 20.0])
                ahead = leap.with_suffix(".new")
                ahead.write_text(f"{offset:+}", encoding="ascii")
                ahead.replace(leap)
                crew.faults["leap"] += 1

        crew.rage(kills, jump)
        crew.since -= 30   # the judge comes after the farthest leap
        flaws = crew.judge()
    say("leaps of the clock", crew)
    assert not flaws, "\n".join(flaws)
    assert crew.faults["leap"]
    assert crew.faults["acknowledged"]
