"""The backtest: under the same policy nothing changes; under another one, what it would have made of the same acts; counts alone."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisis_engine import CrisisError, DefinitionError, NotAllowed
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.replay import Lived, lived, replay
from crisis_engine.core.resolve import Resolver
from crisis_engine.definitions import load_policy_doc, load_workflow_doc
from crisis_engine.simulate import Rehearsal

from .story import CLASS_TEACHER, COUNSELOR, COUNTY_OFFICER, OPERATOR, PEER, PRINCIPAL, City, Story
from .test_simulate import QUICK, Life, rehearsal

OTHER_COUNTY = "p-111"   # the officer of another county, where there is no case


def under(policy: str = "default_v1", **within: str) -> Procedure:
    """Return the main line with the default policy, some clocks with another budget at every risk."""
    doc = load_policy_doc(policy)
    clocks = dict(doc["clock"])  # type: ignore[call-overload]  # the table of a parsed file
    for clock, span in within.items():
        clocks[clock] = {**clocks[clock], "within": span}
    return Procedure.of(load_workflow_doc("school_crisis_v1"), {**doc, "clock": clocks})


def again(living: Rehearsal, number: str, procedure: Procedure) -> Lived:
    """Replay a case of a rehearsal under another policy."""
    def resolver_at(_unit: str, at: datetime) -> Resolver:
        return living.book.resolver(at)

    return lived(replay(living.log[number], procedure, resolver_at, living.now), living.now)


def word(living: Rehearsal, *minutes_and_acts: tuple[int, str, str]) -> str:
    """Let a peer say a word, and people act so many minutes after it; return the case's number a day later."""
    start = living.now
    number = living.report(unit="xinyang/shihe/no-3/g7/c2", subject="stu-42", by=PEER, cues=["suicide_words"])
    for minutes, by, move in minutes_and_acts:
        living.run(start + timedelta(minutes=minutes))
        living.act(number, move, by=by)
    living.run(start + timedelta(days=1))
    return number


def test_a_shorter_budget_would_have_been_missed_by_the_same_act_and_the_grade_told_sooner() -> None:
    living = rehearsal()
    number = word(living, (8, CLASS_TEACHER, "acknowledge"))
    was, would = lived(living.log[number], living.now), again(living, number, under(acknowledge="5m"))
    assert not was.spells["acknowledge", 1].missed
    assert would.spells["acknowledge", 1].missed
    assert was.spells["acknowledge", 1].due_at - would.spells["acknowledge", 1].due_at == timedelta(minutes=5)
    assert (was.told["grade_head"], would.told["grade_head"]) == (0, 1)
    assert would.raised["grade"] == 1


def test_a_longer_budget_would_have_been_met_and_fewer_people_told() -> None:
    living = rehearsal()
    number = word(living, (40, CLASS_TEACHER, "acknowledge"), (50, PRINCIPAL, "report_to_county"))
    was, would = lived(living.log[number], living.now), again(living, number, under(acknowledge="60m"))
    assert was.spells["acknowledge", 1].missed
    assert not would.spells["acknowledge", 1].missed
    assert would.told["grade_head"] < was.told["grade_head"]


@settings(max_examples=15, derandomize=True)
@given(seed=st.integers(0, 999_999), steps=st.integers(5, 50))
def test_under_the_same_policy_a_replay_is_what_happened(seed: int, steps: int) -> None:
    living = rehearsal(numbers=Numbers())
    life = Life(Alone(living), seed)
    for _step in range(steps):
        life.step()
    living.run(living.now + timedelta(days=1))
    for number, case in living.book.cases.items():
        procedure = living.book.pinned(case)
        was, would = lived(living.log[number], living.now), again(living, number, procedure)
        assert would.spells == was.spells
        assert (would.rungs, would.alarms, would.raised) == (was.rungs, was.alarms, was.raised)


def test_a_clock_that_runs_towards_a_named_day_is_replayed_with_that_day() -> None:
    living = rehearsal(numbers=Numbers())
    life = Life(WithTracks(living), 5_449)   # in which a leave is approved until a day
    for _step in range(30):
        life.step()
    named = 0
    for number, case in living.book.cases.items():
        if case.workflow == "leave_v1":
            was, would = lived(living.log[number], living.now), again(living, number, living.book.pinned(case))
            days = {key: spell.due_at for key, spell in was.spells.items() if key[0] == "leave_return_asked"}
            assert {key: would.spells[key].due_at for key in days} == days
            named += len(days)
    assert named


class Numbers:
    """Case numbers in a row: which cases the city samples goes by them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _workflow: str) -> str:
        self.count += 1
        return f"case-{self.count}"


class Alone:
    """What `Life` drives where no engine runs beside it; what the rules refuse is passed over."""

    def __init__(self, living: Rehearsal) -> None:
        self.rehearsal = living

    def report(self, **form: Any) -> None:  # noqa: ANN401 - fields of the form
        with suppress(CrisisError):
            self.rehearsal.report(**form)

    def open_case(self, workflow: str, parent: str, by: str, fields: dict[str, Any]) -> None:
        """Nobody opens a track by hand: what follows in another case is not replayed with this one."""

    def act(self, number: str, move: str, by: str, fields: dict[str, Any]) -> None:
        with suppress(CrisisError):
            self.rehearsal.act(number, move, by=by, fields=fields)

    def absent(self, _person: str, _begins_at: datetime, _ends_at: datetime) -> None:
        """Nobody is away: a vacancy of that day is a matter of the roster, not of the policy."""

    def vacate(self, _role: str, _unit: str, _person: str) -> None:
        """Nobody leaves."""

    def wait(self, span: timedelta) -> None:
        self.rehearsal.run(self.rehearsal.now + min(span, timedelta(days=8)))


class WithTracks(Alone):
    """The same, and people open tracks by hand."""

    def open_case(self, workflow: str, parent: str, by: str, fields: dict[str, Any]) -> None:
        with suppress(CrisisError):
            self.rehearsal.open_case(workflow, by=by, parent=parent, fields=fields)


# ---- on a database ----------------------------------------------------------------------------------------------------------


def quick(tmp_path: Path) -> str:
    (tmp_path / "quick.toml").write_text(QUICK.format(within="5m"), encoding="utf-8")
    return str(tmp_path / "quick.toml")


def test_it_counts_and_names_no_case(city: City, tmp_path: Path) -> None:
    numbers = []
    for child in ("stu-41", "stu-42", "stu-43", "stu-44", "stu-45"):
        numbers.append(city.report(subject=child).number)
        city.wait(minutes=7)
        Story(city, numbers[-1]).act(CLASS_TEACHER, "acknowledge")
    before = city.cases()
    view = city.engine.backtest(quick(tmp_path), by=OPERATOR)
    assert (view.cases, view.failed) == (5, 0)
    cells = {(cell["measure"], cell["group"], cell["name"]): cell["count"] for cell in view.cells}
    assert cells["nearer", "clock", "acknowledge"] == 5
    assert cells["now_missed", "clock", "acknowledge"] == 5
    assert ("now_met", "all", "all") not in cells
    assert not any(number in str(view.to_json()) for number in numbers)
    assert city.cases() == before


def test_a_cell_too_small_to_publish_is_merged_or_left_out(city: City, tmp_path: Path) -> None:
    city.report()
    view = city.engine.backtest(quick(tmp_path), by=OPERATOR)
    assert view.cases is None
    assert all(cell["count"] is None or cell["count"] >= 5 for cell in view.cells)


def test_only_who_leads_or_runs_the_machine_may_ask_and_only_of_the_own_units(city: City, tmp_path: Path) -> None:
    for child in ("stu-41", "stu-42", "stu-43", "stu-44", "stu-45"):
        city.report(subject=child)
    for by in (PEER, CLASS_TEACHER, COUNSELOR):
        with pytest.raises(NotAllowed):
            city.engine.backtest(quick(tmp_path), by=by)
    assert city.engine.backtest(quick(tmp_path), by=COUNTY_OFFICER).cases == 5
    assert city.engine.backtest(quick(tmp_path), by=OTHER_COUNTY).cases == 0


def test_a_case_that_concerns_whoever_asks_is_left_out(city: City, tmp_path: Path) -> None:
    for child in ("stu-41", "stu-42", "stu-43", "stu-44", "stu-45"):
        city.report(subject=child)
    city.report(subject=None, about_staff=[COUNTY_OFFICER])
    assert city.engine.backtest(quick(tmp_path), by=COUNTY_OFFICER).cases == 5
    assert city.engine.backtest(quick(tmp_path), by=OPERATOR).cases == 6


def test_a_faulty_policy_is_refused_before_any_case_is_read(city: City, tmp_path: Path) -> None:
    (tmp_path / "faulty.toml").write_text(QUICK.format(within="2h"), encoding="utf-8")
    with pytest.raises(DefinitionError, match="acknowledge"):
        city.engine.backtest(str(tmp_path / "faulty.toml"), by=OPERATOR)
