"""Open cases moved to another version of their procedure and back: two operators, nothing later, nothing lost, while others work."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crisis_engine import BadInput, CommandRejected, NotAllowed, NotFound
from crisis_engine.core.case import Case
from crisis_engine.core.events import Migrated
from crisis_engine.core.evolve import fold
from crisis_engine.core.model import Duty, Person
from crisis_engine.core.procedure import Procedure
from crisis_engine.doctor import examine
from crisis_engine.roster import RosterSet

from . import test_cli
from .story import CHILD, CLASS, CLASS_TEACHER, COUNSELOR, OPERATOR, PEER, City
from .test_cli import Crisis

crisis = test_cli.crisis   # the fixture
SECOND = "p-99"
ROOT = Path(__file__).parent.parent

STRICTER = """
format  = 1
name    = "nearer"
version = 1
extends = "xinyang_v1"
label   = { zh = "更近", en = "nearer" }
source  = "a test"
mark    = "D"

[clock.assessment]
within = { red = "30m", orange = "2h", unrated = "2h" }
remind = ["25%", "50%", "-15m"]
source = "a test"
mark   = "D"
"""


@pytest.fixture
def two(city: City) -> City:
    """The city with a second operator."""
    city.engine.import_roster(RosterSet(persons=(Person(SECOND, "x"),), duties=(Duty("operator", "xinyang", SECOND),)))
    return city


@pytest.fixture
def nearer(tmp_path: Path) -> str:
    path = tmp_path / "nearer_v1.toml"
    path.write_text(STRICTER, encoding="utf-8")
    return str(path)


def stored(city: City, number: str) -> Case:
    with city.engine.store.reading() as tx:
        found = tx.case(number)
        assert found is not None
        assert fold(tx.events(number)) == found.case
        return found.case


def due(case: Case, name: str) -> Any:  # noqa: ANN401 (a time)
    clock = case.clock(name)
    assert clock is not None
    return clock.due_at


def reported(city: City, when: str = "14:30", cue: str = "suicide_words") -> str:
    city.at(when).engine.report(unit=CLASS, by=PEER, subject=CHILD, facts="x", cues=[cue])
    return city.engine.queue(by=CLASS_TEACHER)[0].number


def moved(city: City, old: str, new: str) -> str:
    number = city.engine.propose_migration(old, new, by=OPERATOR)
    city.engine.apply_migration(number, by=SECOND)
    return number


def sound(city: City) -> None:
    passed_over = set() if city.url.startswith("sqlite") else {"settings"}   # the tests' server forgets on purpose
    assert [finding for finding in examine(city.engine) if not finding.ok and finding.name not in passed_over] == []


def test_a_rehearsal_names_the_numbers_that_ask_less_than_before(two: City, nearer: str) -> None:
    reported(two)
    assert two.engine.rehearse_migration("xinyang_v1", nearer, by=OPERATOR).looser == []
    looser = two.engine.rehearse_migration("xinyang_v1", "default_v1", by=OPERATOR).looser
    assert {"clock.triage.within.red", "clock.county_told.within.red", "closure.sample.blue"} <= set(looser)


# ---- what becomes of a case -------------------------------------------------------------------------------------------------------------


def test_time_already_spent_counts_and_a_nearer_budget_brings_the_clock_nearer(two: City, nearer: str) -> None:
    number = reported(two)
    before = stored(two, number)
    two.at("14:40")
    report = two.engine.rehearse_migration("xinyang_v1", nearer, by=OPERATOR)
    assert (report.cases, report.nearer, report.stuck) == (1, 1, [])
    assert stored(two, number).procedure == before.procedure   # a rehearsal changes nothing
    moved(two, "xinyang_v1", nearer)
    after = stored(two, number)
    assert after.procedure != before.procedure
    assert due(after, "assessment") == due(before, "assessment") - timedelta(minutes=30)
    assert due(after, "acknowledge") == due(before, "acknowledge")
    two.at("15:01")
    fired = [line for line in two.engine.history(number, by=COUNSELOR) if line["kind"] == "rung_fired" and line["clock"] == "assessment"]
    assert fired[-1]["at"].startswith("2026-03-02T15:00")
    sound(two)


def test_a_later_budget_never_pushes_a_running_clock(two: City) -> None:
    number = reported(two)
    before = stored(two, number)
    moved(two, "xinyang_v1", "default_v1")   # two hours for the county instead of one
    after = stored(two, number)
    assert {clock.key: clock.due_at for clock in after.clocks} == {clock.key: clock.due_at for clock in before.clocks}
    assert all(after.clock(clock.name).next_at <= clock.next_at for clock in before.clocks)  # type: ignore[union-attr]  # it runs
    sound(two)


def test_the_event_names_both_versions_and_both_operators(two: City, nearer: str) -> None:
    number = reported(two)
    before = stored(two, number)
    moved(two, "xinyang_v1", nearer)
    with two.engine.store.reading() as tx:
        event = next(event for event in tx.events(number) if isinstance(event, Migrated))
    assert (event.origin, event.procedure, event.by, event.second) == (before.procedure, stored(two, number).procedure, SECOND, OPERATOR)
    explained = two.engine.explain(number, by=COUNSELOR).to_json()
    assert explained["policy"] == "nearer_v1"
    assert {clock["clock"]: clock["due"]["set_by"] for clock in explained["clocks"]}["assessment"] == "migrated"


def test_a_revert_gives_back_what_the_version_took(two: City, nearer: str) -> None:
    number = reported(two)
    before = stored(two, number)
    done = moved(two, "xinyang_v1", nearer)
    back = two.engine.propose_revert(done, by=SECOND)
    two.engine.apply_migration(back, by=OPERATOR)
    after = stored(two, number)
    assert after.procedure == before.procedure
    assert {clock.key: (clock.due_at, clock.next_at, clock.rung) for clock in after.clocks} == {
        clock.key: (clock.due_at, clock.next_at, clock.rung) for clock in before.clocks}
    assert after.version > before.version   # events again, never deletion
    sound(two)
    with pytest.raises(CommandRejected):
        two.engine.propose_revert(back, by=SECOND)


def test_a_revert_keeps_what_happened_since(two: City, nearer: str) -> None:
    number = reported(two)
    done = moved(two, "xinyang_v1", nearer)
    two.at("15:05")   # the assessment was late by the new version, and the school was told
    late = stored(two, number)
    two.engine.apply_migration(two.engine.propose_revert(done, by=SECOND), by=OPERATOR)
    after = stored(two, number)
    assert after.tier is late.tier
    two.at("18:00")
    sound(two)


def test_a_case_whose_stage_the_new_version_lacks_stays_and_is_named(two: City, tmp_path: Path) -> None:
    number = reported(two)
    text = (ROOT / "workflows" / "school_crisis_v1.toml").read_text(encoding="utf-8")
    text = text.replace("reported ", "told ").replace('"reported"', '"told"')
    path = tmp_path / "school_crisis_v1.toml"
    path.write_text(text, encoding="utf-8")
    report = two.engine.rehearse_migration("school_crisis_v1", str(path), by=OPERATOR)
    assert (report.cases, report.stuck) == (0, [(number, "stage", "reported")])
    before = stored(two, number)
    moved(two, "school_crisis_v1", str(path))
    assert stored(two, number) == before


def test_a_case_with_an_open_proposal_waits(two: City, nearer: str) -> None:
    number = reported(two)
    two.engine.act(number, "withhold_from_guardian", by=COUNSELOR, fields={"because": "x"})
    assert two.engine.rehearse_migration("xinyang_v1", nearer, by=OPERATOR).stuck == [(number, "proposal", "withhold_from_guardian")]


# ---- who may, and what the database refuses --------------------------------------------------------------------------------------------


def test_it_takes_two_operators(two: City, nearer: str) -> None:
    reported(two)
    with pytest.raises(NotAllowed):
        two.engine.rehearse_migration("xinyang_v1", nearer, by=CLASS_TEACHER)
    number = two.engine.propose_migration("xinyang_v1", nearer, by=OPERATOR)
    with pytest.raises(CommandRejected, match="two operators"):
        two.engine.apply_migration(number, by=OPERATOR)
    with pytest.raises(NotAllowed):
        two.engine.apply_migration(number, by=COUNSELOR)
    with pytest.raises(NotFound):
        two.engine.apply_migration("nothing", by=SECOND)
    with pytest.raises(BadInput):
        two.engine.rehearse_migration("default_v1", nearer, by=OPERATOR)
    assert two.engine.apply_migration(number, by=SECOND).cases == 1
    assert two.engine.apply_migration(number, by=SECOND).cases == 0   # again: nothing is left to move


def test_the_database_itself_refuses_another_procedure_without_the_event(two: City, nearer: str) -> None:
    number = reported(two)
    first = stored(two, number).procedure
    moved(two, "xinyang_v1", nearer)
    if not two.url.startswith("sqlite"):
        pytest.skip("raw SQL on a file; tests/test_contract_store.py has the server's refusals")
    connection = sqlite3.connect(two.url.removeprefix("sqlite:///"))
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE crisis_case SET procedure = 'elsewhere' WHERE number = ?", [number])
    with pytest.raises(sqlite3.IntegrityError):   # the event of an earlier migration will not do
        connection.execute("UPDATE crisis_case SET procedure = ? WHERE number = ?", [first, number])
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE crisis_migration SET proposed_by = 'x'")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("DELETE FROM crisis_migration")
    connection.close()


# ---- many, while others work ---------------------------------------------------------------------------------------------------


def test_two_thousand_cases_move_and_return_while_a_sweep_runs(two: City, nearer: str) -> None:
    engine, many = two.engine, 2000
    for place in range(many):
        engine.report(unit=CLASS, by=CLASS_TEACHER, facts=f"x{place}", cues=["fresh_injury"])
    with engine.store.reading() as tx:
        before = {one.case.number: one.case for one in tx.cases(list(range(1, many + 1)))}
    two.skip(minutes=12)
    stop, failed = threading.Event(), []

    def sweeping() -> None:
        while not stop.is_set():
            failed.append(engine.sweep().failed)

    sweeper = threading.Thread(target=sweeping)
    sweeper.start()
    try:
        number = engine.propose_migration("xinyang_v1", nearer, by=OPERATOR)
        forth = engine.apply_migration(number, by=SECOND)
        back = engine.apply_migration(engine.propose_revert(number, by=SECOND), by=OPERATOR)
    finally:
        stop.set()
        sweeper.join()
    assert (forth.cases, back.cases, sum(failed)) == (many, many, 0)
    engine.sweep()
    with engine.store.reading() as tx:
        after = {one.case.number: one.case for one in tx.cases(list(range(1, many + 1)))}
    assert after.keys() == before.keys()
    for number, case in after.items():
        assert case.procedure == before[number].procedure
        assert {clock.key for clock in before[number].clocks} <= {clock.key for clock in case.clocks}
    sound(two)


def test_the_console_rehearses_proposes_and_refuses(crisis: Crisis, nearer: str) -> None:
    crisis("report", "--as", "p-71", "--unit", CLASS, "--subject", CHILD, "--facts", "x", "--cue", "fresh_injury")
    done = crisis("definitions", "migrate", "xinyang_v1", nearer, "--as", "p-9")
    assert (done.code, "1 open cases can move" in done.out) == (0, True)
    assert crisis("definitions", "migrate", "xinyang_v1", nearer, "--as", "p-9", "--json").json["cases"] == 1
    number = crisis("definitions", "migrate", "xinyang_v1", nearer, "--propose", "--as", "p-9", "--json").json["id"]
    assert crisis("definitions", "migrate", "--apply", number, "--as", "p-9").code == 1
    assert crisis("definitions", "migrate", "--apply", number, "--as", "p-11").code == 4
    assert crisis("definitions", "migrate", "xinyang_v1", "--as", "p-9").code == 2
    assert crisis("definitions", "migrate", "xinyang_v1", nearer, "--apply", number, "--as", "p-9").code == 2


def test_a_procedure_is_built_as_it_would_be_loaded(two: City, nearer: str) -> None:
    number = reported(two)
    moved(two, "xinyang_v1", nearer)
    with two.engine.store.reading() as tx:
        body = tx.definition(stored(two, number).procedure)
    assert body is not None
    assert Procedure.from_body(body).policy.id == "nearer_v1"


def chosen(city: City, policy: str) -> None:
    """Let every new case of the city follow this policy."""
    with city.engine.store.reading() as tx:
        unit = tx.units({"xinyang"})["xinyang"]
    city.engine.import_roster(RosterSet(units=(replace(unit, policy=policy),)))


def test_a_revert_leaves_a_case_that_began_with_the_new_version(two: City, nearer: str) -> None:
    number = reported(two)
    done = moved(two, "xinyang_v1", nearer)
    chosen(two, nearer)
    began = two.report(PEER, subject="stu-43", cues=["suicide_words"]).number
    before = stored(two, began)
    assert before.procedure == stored(two, number).procedure
    report = two.engine.apply_migration(two.engine.propose_revert(done, by=SECOND), by=OPERATOR)
    assert (report.cases, report.stuck) == (1, [])
    assert stored(two, number).procedure != before.procedure
    assert stored(two, began) == before
    sound(two)
