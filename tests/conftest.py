"""What tests share: the example city on a SQLite file of its own, migrated and imported once, copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from crisis_engine.testing import open_test_engine

from .story import City, copy_city

settings.register_profile("untimed", deadline=None)   # a busy machine is no fault; speed is the benchmark's
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def city_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sandbox database with the example roster and no case."""
    path = tmp_path_factory.mktemp("template") / "city.db"
    with open_test_engine(url=f"sqlite:///{path}") as (engine, _clock, _channel):
        engine.mark_sandbox()
    return path


@pytest.fixture
def city(city_template: Path, tmp_path: Path) -> Iterator[City]:
    """Give the example city at 08:00 on Monday, 2 March 2026, on a real SQLite file."""
    path = tmp_path / "city.db"
    copy_city(city_template, path)
    url = f"sqlite:///{path}"
    with open_test_engine(url=url) as (engine, clock, channel):
        yield City(engine, clock, channel, url)
