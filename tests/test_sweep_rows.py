"""What a sweep writes does not hang on how it is cut up: batches, shares, one case at a time, either database, the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crisis_engine.core import events as ev
from crisis_engine.core.evolve import fold
from crisis_engine.core.model import Risk, Tier
from crisis_engine.core.resolve import Found
from crisis_engine.engine import Engine
from crisis_engine.engine import sweep as sweep_room
from crisis_engine.engine.gather import Sources
from crisis_engine.example import EXAMPLE_NOW
from crisis_engine.store import Change
from crisis_engine.testing import open_test_engine

from .bench.life import case_at
from .story import CLASS_TEACHER, COUNSELOR, SCHOOL, copy_city

RISKS = (Risk.YELLOW, Risk.RED, Risk.ORANGE)
ROWS = {
    "crisis_case": "*", "crisis_notice": "key, case_id, people, what, why, due_at, urgent, at, not_before, status, next_try_at",
    "crisis_event": 'case_id, seq, at, kind, "by", second, two, header, commitment, secret, prev, hash, deadline, rung, times',
    "crisis_deadline": "case_id, name, n, sort, role, unit, holder, armed_at, due_at, cap_at, provisional, at_tier, status, ended_at, late",
}


def backlog(place: int, unit: str, procedure: str) -> Change:
    """A case that is late by some minutes or hours, of its own risk; every fourth has a second clock, every fifth names somebody."""
    number, due_at = f"S{place:04}", EXAMPLE_NOW - timedelta(minutes=17 * place)
    first = case_at(number, unit, Found("counselor", SCHOOL, Tier.SCHOOL, COUNSELOR), CLASS_TEACHER, due_at, procedure)
    at, more = due_at - timedelta(hours=1), list[ev.Event]()

    def add(kind: type[ev.Event], **fields: Any) -> None:  # noqa: ANN401 - fields of the event's own class
        more.append(kind(case=number, seq=4 + len(more), at=at, by="engine", **fields))

    if place % 3:
        add(ev.RiskRaised, risk=RISKS[place % 3])
    if place % 4 == 0:
        add(ev.ClockArmed, clock="contact", n=1, sort="safety", role="counselor", unit=SCHOOL, holder=COUNSELOR, due_at=due_at,
            next_at=due_at, rung=0)
    if place % 5 == 0:
        add(ev.PersonRecused, person="p-21")
    events = (*first.events, *more)
    return replace(first, after=fold(events), events=events)


def swept(url: str, sweep: Callable[[Engine], object]) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows that a backlog comes to."""
    with open_test_engine(url=url) as (engine, _clock, _channel):
        units = sorted(unit["id"] for unit in engine.roster(subjects=False)["units"] if unit["kind"] == "class")
        with engine.store.writing(alone=True) as tx:
            procedure = Sources().procedure_for(tx, "school_crisis_v1", SCHOOL).hash
            tx.append([backlog(place, units[place % len(units)], procedure) for place in range(1, 25)])
        sweep(engine)
        assert engine.sweep().cases == 0
        with engine.store.reading() as tx:
            found = {table: tx.connection.exec_driver_sql(f"SELECT {columns} FROM {table}").all() for table, columns in ROWS.items()}  # noqa: S608
    rows = {table: sorted([tuple(map(_plain, row)) for row in rows], key=repr) for table, rows in found.items()}
    rows["crisis_notice"] = [row for row in rows["crisis_notice"] if row[3] != "sweep_gap"]   # each sweep that finds an outage tells of it
    return rows


def _plain(value: object) -> object:
    """A truth is a number on SQLite; bytes are bytes."""
    return int(value) if isinstance(value, bool) else bytes(value) if isinstance(value, memoryview | bytearray) else value


def one_by_one(engine: Engine) -> None:
    while engine.sweep(limit=1).cases:
        pass


def shared(engine: Engine) -> None:
    engine.sweep(share=(1, 2))
    engine.sweep(share=(0, 2))


def test_a_backlog_comes_to_the_same_rows_however_it_is_cut_up_on_either_database(
    city_template: Path, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def on_file(name: str, sweep: Callable[[Engine], object]) -> dict[str, list[tuple[Any, ...]]]:
        copy_city(city_template, tmp_path / f"{name}.db")
        return swept(f"sqlite:///{tmp_path / name}.db", sweep)

    whole = on_file("whole", Engine.sweep)
    with monkeypatch.context() as patch:
        patch.setattr(sweep_room, "BATCH", 5)
        cut = on_file("cut", Engine.sweep)
    assert sum(row[3] == "rung_fired" for row in whole["crisis_event"]) > 24
    assert {row[4] for row in whole["crisis_notice"]} >= {"late", "handover"}
    assert cut == on_file("one", one_by_one) == on_file("shared", shared) == whole
    assert swept(postgres_url, Engine.sweep) == whole
