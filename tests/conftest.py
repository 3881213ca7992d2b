"""What tests share: the example city on a SQLite file of its own, migrated and imported once, copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from crisis_engine.testing import open_test_engine

from .postgres import postgres_bare, postgres_empty, postgres_schema, postgres_server, postgres_template, postgres_url
from .story import City, copy_city

__all__ = ["postgres_bare", "postgres_empty", "postgres_schema", "postgres_server", "postgres_template", "postgres_url"]

settings.register_profile("untimed", deadline=None)   # a busy machine is no fault; speed is the benchmark's
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Take back how a console's run set up logging: its stream ends with its test."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def city_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sandbox database with the example roster and no case."""
    path = tmp_path_factory.mktemp("template") / "city.db"
    with open_test_engine(url=f"sqlite:///{path}") as (engine, _clock, _channel):
        engine.mark_sandbox()
    return path


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let every story that is told in the example city be told on PostgreSQL too."""
    parser.addoption("--postgres", action="store_true", help="tell the stories (fixture `city`) on a real PostgreSQL server")


@pytest.fixture
def city(request: pytest.FixtureRequest, city_template: Path, tmp_path: Path) -> Iterator[City]:
    """Give the example city at 08:00 on Monday, 2 March 2026, on a real SQLite file; with --postgres on a real server."""
    if request.config.getoption("--postgres"):
        url = str(request.getfixturevalue("postgres_url"))
    else:
        copy_city(city_template, tmp_path / "city.db")
        url = f"sqlite:///{tmp_path / 'city.db'}"
    with open_test_engine(url=url) as (engine, clock, channel):
        yield City(engine, clock, channel, url)
