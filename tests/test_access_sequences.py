"""No sequence of allowed commands lets anybody read above the own tier: random days of many people, and then everybody looks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crisis_engine import CrisisError, Engine, NotFound
from crisis_engine.core.workflow import FieldDef
from crisis_engine.definitions import load_procedure
from crisis_engine.testing import SettableClock, open_test_engine

from .story import copy_city

CANARY = "金丝雀"
WORKFLOW = load_procedure("school_crisis_v1", "xinyang_v1").workflow

# By hand: what each person's duty reads of a case of class g7/c2 at the most, and what behind broken glass.
BASE: Mapping[str, tuple[int, int]] = {
    "p-71": (-1, -1), "p-9": (0, -1), "p-11": (1, 2), "p-17": (1, 2), "p-19": (-1, -1), "p-12": (-1, 2), "p-21": (1, 2), "p-31": (3, 3),
    "p-33": (2, 2), "p-34": (4, 4), "p-35": (2, 2), "p-38": (1, 2), "p-101": (2, 2), "p-102": (1, 2), "p-103": (3, 3), "p-111": (-1, -1),
    "p-105": (-1, -1), "p-3": (2, 2), "p-5": (2, 2), "p-7": (1, 2), "p-1": (1, 2), "stu-42": (-1, -1), "gd-42": (-1, -1),
}
PEOPLE = st.sampled_from(sorted(BASE))
STAFF = ("p-11", "p-31", "p-33", "p-34", "p-35", "p-101", "p-103", "p-3")   # who makes most of what is made

STEP = st.one_of(
    st.tuples(st.just("act"), st.sampled_from(STAFF) | PEOPLE, st.sampled_from(sorted(WORKFLOW.moves))),
    st.tuples(st.just("act"), st.sampled_from(STAFF), st.sampled_from(("confirm", "decline", "note", "assess", "join", "pass_up"))),
    st.tuples(st.just("glass"), PEOPLE, st.sampled_from((1, 4, 8))),
    st.tuples(st.just("report"), PEOPLE, st.sampled_from(("", "p-31", "p-33", "p-101"))),
    st.tuples(st.just("link"), PEOPLE, st.none()),
    st.tuples(st.just("wait"), PEOPLE, st.sampled_from((1, 30, 90, 300))),
    st.tuples(st.just("end_duty"), PEOPLE, PEOPLE),
)


class Days:
    """An engine in the hands of many people, and what each of them may hear by the table above."""

    def __init__(self, engine: Engine, clock: SettableClock) -> None:
        self.engine, self.clock = engine, clock
        self.glass: dict[tuple[str, str], datetime] = {}
        self.numbers: list[str] = []

    def say(self, secrecy: int) -> str:
        return f"{CANARY}T{secrecy} 某句话"

    def value(self, field: FieldDef) -> Any:  # noqa: ANN401 - each type has its own
        at = self.clock()
        return {
            "text": self.say(field.secrecy), "risk": "orange", "tier": "county", "bool": True, "time": at + timedelta(minutes=20),
            "date": "2026-04-01", "persons": ["p-31", "p-33", "p-35"], "person": "p-37", "subject": "stu-41", "clock": "contact",
            "cues": ["withdrawn"], "choice": next(iter(WORKFLOW.choices.get(field.of or "", {"x": {}}))), "case": self.numbers[0],
        }.get(field.type, "x")

    def step(self, what: str, by: str, how: Any) -> None:  # noqa: ANN401 - what the step takes
        calls: dict[str, Callable[[], object]] = {
            "act": lambda: self._act(by, how), "glass": lambda: self._break(by, how), "report": lambda: self._report(by, how),
            "link": lambda: self.engine.link(self.numbers[0], self.numbers[-1], by=by), "wait": lambda: self._wait(how),
            "end_duty": lambda: self._end_duty(by, how),
        }
        with suppress(CrisisError):
            calls[what]()

    def _act(self, by: str, move: str) -> None:
        found = WORKFLOW.moves.get(move)
        fields: dict[str, Any] = {f.name: self.value(f) for f in found.fields} if found is not None else {"because": self.say(2)}
        if move == "exclude_person":
            fields["person"] = ["p-33"]
        self.engine.act(self.numbers[0], move, by=by, fields=fields)

    def _break(self, by: str, hours: int) -> None:
        view = self.engine.break_glass(self.numbers[0], by=by, because=self.say(2), hours=hours)
        self.glass[by, self.numbers[0]] = view.until

    def _report(self, by: str, about: str) -> None:
        self.engine.report(unit="xinyang/shihe/no-3/g7/c2", subject="stu-42", by=by, facts=self.say(1), with_child=self.say(1),
                           about_staff=[about] if about else [])

    def _wait(self, minutes: int) -> None:
        self.clock.advance(timedelta(minutes=minutes))
        self.engine.sweep()

    def _end_duty(self, by: str, person: str) -> None:
        for duty in self.engine.roster(subjects=False)["duties"]:
            if duty["person"] == person:
                self.engine.end_duty(role=duty["role"], unit=duty["unit"], person=person, by=by)

    def everybody_hears_no_more_than_they_may(self) -> None:
        for person, (base, behind) in BASE.items():
            until = self.glass.get((person, self.numbers[0]))
            most = max(base, behind) if until is not None and until > self.clock() else base
            looks: list[Callable[[], object]] = [
                lambda person=person: [line.to_json() for line in self.engine.cases(by=person)],  # type: ignore[misc]
                lambda person=person: [item.to_json() for item in self.engine.queue(by=person)],  # type: ignore[misc]
                lambda person=person: [cell.to_json() for cell in self.engine.counts(by=person)],  # type: ignore[misc]
            ]
            for number in self.numbers:
                looks += [
                    lambda person=person, number=number: self.engine.case(number, by=person).to_json(),  # type: ignore[misc]
                    lambda person=person, number=number: self.engine.history(number, by=person),  # type: ignore[misc]
                    lambda person=person, number=number: [move.to_json() for move in self.engine.moves(number, by=person)],  # type: ignore[misc]
                ]
            for look in looks:
                try:
                    said = str(look())
                except CrisisError as error:
                    said = f"{error} {error.data}"
                heard = max((int(tier) for tier in re.findall(rf"{CANARY}T(\d)", said)), default=-1)
                assert heard <= most, (person, heard, most)

    def whom_a_case_concerns_hears_of_none(self) -> None:
        for number in self.numbers:
            with self.engine.store.reading() as tx:
                stored = tx.case(number)
            assert stored is not None
            for person in stored.case.recused & BASE.keys():
                with pytest.raises(NotFound):
                    self.engine.case(number, by=person)
                with suppress(CrisisError):   # whoever writes blind has no list at all
                    assert number not in str([line.to_json() for line in self.engine.cases(by=person)])
                assert number not in str([item.to_json() for item in self.engine.queue(by=person)])


@settings(deadline=None, max_examples=40, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large])
@given(steps=st.lists(STEP, min_size=4, max_size=14))
def test_no_sequence_of_commands_lets_anybody_read_above_the_own_tier(
    steps: list[tuple[str, str, Any]], city_template: Path, tmp_path: Path,
) -> None:
    path = tmp_path / "city.db"
    for old in tmp_path.glob("city.db*"):
        old.unlink()
    copy_city(city_template, path)
    with open_test_engine(url=f"sqlite:///{path}") as (engine, clock, _channel):
        days = Days(engine, clock)
        days.numbers.append(_number(engine, engine.report(
            unit="xinyang/shihe/no-3/g7/c2", subject="stu-42", by="p-71", facts=days.say(1), cues=["means"]).token))
        days.numbers.append(_number(engine, engine.report(
            unit="xinyang/shihe/no-3/g7/c2", subject="stu-41", by="p-11", facts=days.say(1)).token))
        for step in steps:
            days.step(*step)
        days.everybody_hears_no_more_than_they_may()
        days.whom_a_case_concerns_hears_of_none()


def _number(engine: Engine, token: str) -> str:
    with engine.store.reading() as tx:
        found = tx.receipt(token)
    assert found is not None
    return found.number
