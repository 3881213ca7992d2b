"""For the tests of host systems: a clock that is set by hand, and an engine on a database of its own that records what it sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from crisis_engine.core.errors import BadInput
from crisis_engine.engine import Engine, open_engine
from crisis_engine.example import EXAMPLE_NOW, example_roster
from crisis_engine.notify import RecordingChannel

__all__ = ["Bench", "SettableClock", "open_test_engine"]


class SettableClock:
    """A clock that stands still until somebody moves it: give it to `open_engine(clock=…)` instead of the wall clock."""

    def __init__(self, start: datetime = EXAMPLE_NOW) -> None:
        self._now = _aware(start)

    def __call__(self) -> datetime:
        """Return the instant that was set last, with its zone."""
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move the clock by a span, a negative one back, and return the new instant. Nothing fires before the next `sweep`."""
        self._now += by
        return self._now

    def set(self, instant: datetime) -> datetime:
        """Put the clock to an instant, later or earlier, and return it; BadInput when it has no zone."""
        self._now = _aware(instant)
        return self._now


class Bench(NamedTuple):
    """What `open_test_engine` gives: the engine, its clock, and the channel that keeps what `engine.deliver()` sent."""

    engine: Engine
    clock: SettableClock
    channel: RecordingChannel


@contextmanager
def open_test_engine(
    roster: Any = None, *, start: datetime = EXAMPLE_NOW, url: str = "sqlite://", lang: str = "zh",  # noqa: ANN401 - any RosterSet
) -> Iterator[Bench]:
    """Open an engine for one test, on a fresh database in memory, with a clock that stands at `start`.

    `roster` is what `import_roster` takes; None brings the example city of `crisis_engine.example`. `url` names another database,
    for instance a file that the host's own session shares; its roster is left alone where `roster` is None and it has units.

        with open_test_engine() as (engine, clock, channel):
            engine.report(unit="xinyang/shihe/no-3/g7/c2", subject="stu-42", by="p-71", facts="…")
            clock.advance(timedelta(minutes=15))
            engine.sweep()
            engine.deliver()
    """
    clock, channel = SettableClock(start), RecordingChannel()
    with open_engine(url, clock=clock, channels=[channel], lang=lang) as engine:
        if roster is not None:
            engine.import_roster(roster)
        elif not engine.roster(subjects=False)["units"]:
            engine.import_roster(example_roster())
        yield Bench(engine, clock, channel)


def _aware(instant: datetime) -> datetime:
    if instant.utcoffset() is None:
        raise BadInput("A clock needs a time with its zone.", way_out="Write datetime(2026, 3, 2, 8, 0, tzinfo=CHINA).")
    return instant
