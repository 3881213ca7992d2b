"""Cases that people worked on: made of real events by the real fold, for the city's patterns and for what is sealed and proven."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import crisis_engine as ce
from crisis_engine.core import events as ev
from crisis_engine.core.evolve import fold
from crisis_engine.core.model import Risk, Tier
from crisis_engine.core.resolve import Found
from crisis_engine.engine.gather import Sources
from crisis_engine.example.city import generate_city
from crisis_engine.store import Change
from crisis_engine.testing import SettableClock

from .screen import progress

MEETINGS = 12
"""Of one case in `build_lives`: 3 events open it, and 3 come with each meeting."""


def case_at(number: str, unit: str, doer: Found, teacher: str, due_at: datetime, procedure: str) -> Change:
    """Return the opening of a yellow case whose `assessment` clock was armed a day before it is due."""
    at = due_at - timedelta(hours=24)
    events: list[ev.Event] = [
        ev.Opened(case=number, seq=1, at=at, by="reporter", workflow="school_crisis_v1", procedure=procedure, unit=unit, subject=None,
                  parent=None, stage="acknowledged", tier=Tier.CLASS, risk=Risk.YELLOW, move="report"),
        ev.AnswererChanged(case=number, seq=2, at=at, by="engine", role="class_teacher", unit=unit, holder=teacher),
        ev.ClockArmed(case=number, seq=3, at=at, by="engine", clock="assessment", n=1, sort="safety", role=doer.role, unit=doer.unit,
                      holder=doer.person, due_at=due_at, next_at=due_at, rung=2),
    ]
    return Change(before=None, after=fold(events), events=tuple(events), notices=(), two=True, sole=True)


def meetings(first: Change, count: int, now: datetime) -> Iterator[ev.Event]:
    """What the counselor did: each time a note, the clock met, and the next one armed."""
    number, armed = first.after.number, first.events[2]
    assert isinstance(armed, ev.ClockArmed)
    for place in range(count):
        at, seq = now - timedelta(hours=20) + timedelta(minutes=place), 4 + 3 * place
        yield ev.Moved(case=number, seq=seq, at=at, by="p-31", move="note", origin="acknowledged", to="acknowledged",
                       secret={"text": f"Met at noon for the {place}th time; she ate with her friends and slept better than last week."})
        yield ev.ClockMet(case=number, seq=seq + 1, at=at, by="p-31", clock=armed.clock, n=place + 1, late=False)
        yield replace(armed, seq=seq + 2, at=at, n=place + 2)


def build_lives(path: Path, cases: int, now: datetime) -> int:
    """Fill a SQLite database with cases that people worked on for some weeks, notes and all; return how many events it has."""
    with ce.open_engine(f"sqlite:///{path}", clock=SettableClock(now)) as engine:
        engine.import_roster(generate_city(seed=1, schools=20, pupils=1_000))
        classes = [unit["id"] for unit in engine.roster(subjects=False)["units"] if unit["kind"] == "class"]
        sources = Sources()
        with engine.store.writing() as tx:
            procedure = sources.procedure_for(tx, "school_crisis_v1", "xinyang")
        for start in range(0, cases, 500):
            changes = []
            for place in range(start, min(start + 500, cases)):
                unit = classes[place % len(classes)]
                counselor = Found("counselor", unit.rsplit("/", 2)[0], Tier.SCHOOL, "p-31")
                first = case_at(f"L{place:08}", unit, counselor, "p-11", now, procedure.hash)
                events = [*first.events, *meetings(first, MEETINGS, now)]
                changes.append(Change(before=None, after=fold(events), events=tuple(events), notices=(), two=True, sole=True))
            with engine.store.writing() as tx:
                tx.append(changes)
            progress(f"building lives: {start:,} of {cases:,} cases")
    progress("")
    return cases * (3 + 3 * MEETINGS)
