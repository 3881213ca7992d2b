"""Whom a case concerns (回避) hears, from every method, what a city without that case would say: one run with it, one without."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crisis_engine import CrisisError, Engine
from crisis_engine.testing import SettableClock, open_test_engine

from .story import CHILD, CLASS, CLASS_TEACHER, COUNSELOR, PEER, PRINCIPAL, VICE_PRINCIPAL, City, copy_city

ABSENT = "AB2-CD3-EF4"
NOWHERE = "AAA-AAA-AAA"
AUDITOR, SECURITY_OFFICER = "p-52", "p-51"
CONCERNED = ("p-11", "p-31", "p-33", "p-34", "p-36", "p-101", "p-102", "p-3", "p-9", AUDITOR, SECURITY_OFFICER, "p-71", "gd-42")


def every_method(engine: Engine, clock: SettableClock, number: str, by: str) -> dict[str, Callable[[], object]]:
    """Return what a person can call who has a number, knows the child, and guesses the numbers of proposals."""
    soon = clock() + timedelta(hours=1)
    calls: dict[str, Callable[[], object]] = {
        "case": lambda: engine.case(number, by=by), "history": lambda: engine.history(number, by=by),
        "moves": lambda: engine.moves(number, by=by), "link": lambda: engine.link(number, NOWHERE, by=by),
        "link back": lambda: engine.link(NOWHERE, number, by=by), "link itself": lambda: engine.link(number, number, by=by),
        "stale": lambda: engine.act(number, "acknowledge", by=by, version=1),
        "cases": lambda: engine.cases(by=by), "ended": lambda: engine.cases(by=by, ended=True),
        "page": lambda: engine.cases(by=by, after=number), "counts": lambda: engine.counts(by=by), "queue": lambda: engine.queue(by=by),
        "reads": lambda: engine.reads(number, by=by), "own": lambda: engine.own_reads(by=by),
        "reporter": lambda: engine.reporter(number, by=by, why="why"), "glass": lambda: engine.break_glass(number, by=by, because="why"),
        "dossier": lambda: engine.export(number, by=by), "due": lambda: engine.erasures_due(by=by),
        "propose": lambda: engine.propose_erasure("case", number, because="why", by=by),
        "hold": lambda: engine.place_hold("case", number, because="why", by=by), "lift": lambda: engine.lift_hold("case", number, by=by),
        "pack": lambda: pack(engine, by), "track": lambda: engine.open_case("counselling_v1", parent=number, by=by),
        "export": lambda: engine.export_subject(CHILD, by=by)["cases"],
        "leave": lambda: engine.add_absence(person="p-17", begins_at=clock(), ends_at=soon, by=by),
        "end": lambda: engine.end_duty(role="class_teacher", unit=CLASS, person="p-11", by=by),
        "lift none": lambda: engine.lift_hold("subject", CHILD, by=by),
        "hold child": lambda: engine.place_hold("subject", CHILD, because="why", by=by),
        "lift own": lambda: engine.lift_hold("subject", CHILD, by=by), "roster": lambda: engine.roster(CLASS, by=by),
        "empty report": lambda: engine.report(unit=CLASS, subject=CHILD, by=by, facts=""),
        "report": lambda: engine.report(unit=CLASS, subject=CHILD, by=by, facts="a word").shows,
    }
    for move in ("acknowledge", "note", "confirm", "join", "signal", "no_move"):
        calls[f"act {move}"] = lambda move=move: engine.act(number, move, by=by)  # type: ignore[misc]
    for guess in (1, 2):
        calls[f"confirm {guess}"] = lambda guess=guess: engine.confirm_erasure(guess, by=by)  # type: ignore[misc]
        calls[f"decline {guess}"] = lambda guess=guess: engine.decline_erasure(guess, by=by)  # type: ignore[misc]
    return calls


def pack(engine: Engine, by: str) -> list[list[str]]:
    with zipfile.ZipFile(io.BytesIO(engine.compliance_pack(2026, by=by))) as archive:
        return [row for name in ("incidents.csv", "holds.csv", "erasures.csv")
                for row in csv.reader(io.StringIO(archive.read(name).decode("utf-8-sig")))]


def heard(call: Callable[[], Any]) -> str:
    try:
        found = call()
    except CrisisError as error:
        return f"{type(error).__name__} {error} {error.data}"
    return str([one.to_json() if hasattr(one, "to_json") else one for one in found] if isinstance(found, (list, tuple)) else found)


def begin(city: City, person: str, *, closed: bool) -> str:
    """A case that concerns the person, with all that leaves a trace beside it; closed, one also proposed to be erased and held."""
    teacher, counselor, vice = (
        other if person == usual else usual
        for usual, other in ((CLASS_TEACHER, "p-17"), (COUNSELOR, "p-32"), (VICE_PRINCIPAL, PRINCIPAL))
    )
    story = city.report("p-72" if person == PEER else PEER, about_staff=[person])
    city.engine.break_glass(story.number, by="p-12", because="why")
    if closed:
        story.act(teacher, "acknowledge").act(counselor, "start_assessment").assess("blue", by=counselor, ideation="no")
        story.agreed(counselor, vice, "exclude", because="no danger was found")
        city.engine.propose_erasure("case", story.number, because="why", by=SECURITY_OFFICER)
        city.engine.place_hold("case", story.number, because="why", by="p-4")
    city.engine.sweep()
    city.engine.seal()
    return story.number


@pytest.mark.parametrize("person", CONCERNED)
@pytest.mark.parametrize("closed", [False, True])
def test_whom_a_case_concerns_hears_from_every_method_what_a_city_without_it_says(
    person: str, closed: bool, city_template: Path, tmp_path: Path,  # noqa: FBT001 (pytest gives it by name)
) -> None:
    if closed and person == SECURITY_OFFICER:
        pytest.skip("whom it concerns cannot propose to erase it")
    said: list[dict[str, str]] = []
    for there in (False, True):
        path = tmp_path / f"{there}.db"
        copy_city(city_template, path)
        with open_test_engine(url=f"sqlite:///{path}") as (engine, clock, channel):
            number = begin(City(engine, clock, channel, ""), person, closed=closed) if there else ABSENT
            said.append({
                name: heard(call).replace(number, ABSENT) for name, call in every_method(engine, clock, number, person).items()
            })
    assert {name: (without, said[1][name]) for name, without in said[0].items() if without != said[1][name]} == {}
