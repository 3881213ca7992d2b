"""The tools for a host's own tests: a clock that stands still, and an engine that records what it sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crisis_engine import BadInput
from crisis_engine.core.calendar import CHINA
from crisis_engine.core.model import Unit
from crisis_engine.example import EXAMPLE_NOW
from crisis_engine.roster import RosterSet
from crisis_engine.testing import SettableClock, open_test_engine

CLASS = "xinyang/shihe/no-3/g7/c2"


def test_a_settable_clock_stands_still_until_it_is_moved_either_way() -> None:
    clock = SettableClock(datetime(2026, 3, 2, 8, 0, tzinfo=CHINA))
    assert clock() == clock() == datetime(2026, 3, 2, 0, 0, tzinfo=UTC)

    assert clock.advance(timedelta(minutes=15)) == clock() == datetime(2026, 3, 2, 8, 15, tzinfo=CHINA)
    assert clock.advance(timedelta(hours=-1)) == datetime(2026, 3, 2, 7, 15, tzinfo=CHINA)
    assert clock.set(datetime(2030, 1, 1, tzinfo=UTC)) == clock() == datetime(2030, 1, 1, tzinfo=UTC)


def test_a_clock_is_not_set_to_a_time_without_zone() -> None:
    naive = datetime(2026, 3, 2, 8, 0)  # noqa: DTZ001 - that is what is refused
    with pytest.raises(BadInput):
        SettableClock(naive)
    clock = SettableClock()
    with pytest.raises(BadInput, match="zone"):
        clock.set(naive)
    assert clock() == EXAMPLE_NOW


def test_a_test_engine_brings_the_example_city_a_standing_clock_and_keeps_what_it_sent() -> None:
    with open_test_engine() as (engine, clock, channel):
        assert clock() == EXAMPLE_NOW
        receipt = engine.report(unit=CLASS, subject="stu-42", by="p-71", facts="纸条")
        assert receipt.received_at == EXAMPLE_NOW
        assert engine.sweep().cases == 0
        clock.advance(timedelta(minutes=15))
        assert engine.sweep().raised == 1
        assert engine.deliver().sent == len(channel.sent) == len({message.key for message in channel.sent}) > 0
        assert {"p-11", "p-21"} <= {message.to for message in channel.sent}


def test_two_test_engines_share_nothing() -> None:
    with open_test_engine() as one, open_test_engine() as other:
        one.engine.report(unit=CLASS, subject="stu-42", by="p-71", facts="纸条")

        assert one.engine.queue(by="p-11")
        assert other.engine.queue(by="p-11") == []


def test_a_host_brings_its_own_roster_and_its_own_time() -> None:
    mine = RosterSet(units=(Unit("mine", "city", "示例市", None), Unit("mine/one", "county", "示例县", "mine")))
    start = datetime(2026, 9, 1, 12, 0, tzinfo=CHINA)
    with open_test_engine(mine, start=start) as bench:
        assert [unit["id"] for unit in bench.engine.roster()["units"]] == ["mine", "mine/one"]
        assert bench.engine.now() == start


def test_a_file_that_already_has_a_roster_keeps_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'host.db'}"
    with open_test_engine(RosterSet(units=(Unit("mine", "city", "示例市", None),)), url=url):
        pass
    with open_test_engine(url=url) as (engine, _clock, _channel):
        assert [unit["id"] for unit in engine.roster()["units"]] == ["mine"]
