"""Random commands all over a city, every promise checked after every command; a file of its own so that it runs beside the other."""

from __future__ import annotations

from tests.machine import City
from tests.test_machine import run


def test_no_promise_breaks_in_a_city_of_many_schools() -> None:
    run(City)
