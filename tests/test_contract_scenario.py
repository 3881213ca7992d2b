"""The stories that touch every part of the store, on a real PostgreSQL server; `pytest --postgres` tells all the others there too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crisis_engine.testing import open_test_engine

from .story import City

# ruff: noqa: F403 - the stories themselves, told with the `city` of this file
from .test_scenario_commands import *
from .test_scenario_identity import *
from .test_scenario_network import *
from .test_scenario_school_h import *


@pytest.fixture
def city(postgres_url: str) -> Iterator[City]:
    """Give the example city at 08:00 on Monday, 2 March 2026, on the server."""
    with open_test_engine(url=postgres_url) as (engine, clock, channel):
        yield City(engine, clock, channel, postgres_url)
