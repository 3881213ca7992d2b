"""A case explained: why each clock runs, what set its due time, who must meet it and by which step, what comes next, for readers only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from crisis_engine import NotAllowed
from crisis_engine.words import LANGUAGES

from . import test_cli, test_migrate
from .story import CHILD, CLASS, CLASS_TEACHER, COUNSELOR, COUNTY_OFFICER, DEPUTY_TEACHER, LAW_VICE_PRINCIPAL, PEER, SCHOOL, City
from .test_cli import Crisis
from .test_migrate import chosen, moved

crisis, two, nearer = test_cli.crisis, test_migrate.two, test_migrate.nearer   # the fixtures


def reported(city: City, *, cues: tuple[str, ...] = ("suicide_words",)) -> str:
    city.at("14:30").engine.report(unit=CLASS, by=PEER, subject=CHILD, facts="QX7", cues=cues)
    return city.engine.queue(by=CLASS_TEACHER)[0].number


def clocks(city: City, number: str, by: str = COUNSELOR) -> dict[str, dict[str, Any]]:
    return {clock["clock"]: clock for clock in city.engine.explain(number, by=by).to_json()["clocks"]}


def test_each_clock_has_a_reason_a_rule_a_source_and_a_next_step(city: City) -> None:
    number = reported(city)
    found = clocks(city, number)
    assert {name: clock["runs"]["because"] for name, clock in found.items()} == {
        "acknowledge": "stage", "assessment": "stage", "guardian_told": "from_risk", "county_told": "from_risk",
    }
    due = found["acknowledge"]["due"]
    assert (due["budget"], due["risk"], due["set_by"], due["mark"], due["unverified"]) == ("10m", "red", "budget", "T", False)
    assert "首接负责制" in due["source"]
    assert found["acknowledge"]["next"] == {
        "at": "2026-03-02T14:35:00+08:00", "kind": "reminder", "raises_to": None, "tells": ["class_teacher"], "alarm": False, "held": False,
    }
    city.at("14:40")
    rung = clocks(city, number)["acknowledge"]["next"]
    assert (rung["kind"], rung["raises_to"], rung["at"]) == ("rung", "school", "2026-03-02T14:55:00+08:00")
    assert "leading_group" in rung["tells"]


def test_what_it_says_of_the_next_step_is_what_then_happens(city: City) -> None:
    number = reported(city)
    for _ in range(12):
        first = min(clocks(city, number).values(), key=lambda clock: clock["next"]["at"])
        before = len(city.engine.history(number, by=COUNSELOR))
        city.clock.set(datetime.fromisoformat(first["next"]["at"]))
        city.sweep()
        new = city.engine.history(number, by=COUNSELOR)[before:]
        assert first["clock"] in {line["clock"] for line in new if line["kind"] == "rung_fired"}
        assert {first["next"]["raises_to"]} <= {None, *(line["tier"] for line in new if line["kind"] == "tier_raised")}
        assert set(first["next"]["tells"]) <= {line["role"] for line in new if line["kind"] == "told"}


def test_a_risk_that_rises_and_a_word_that_comes_are_named_as_what_set_the_time(city: City) -> None:
    number = reported(city, cues=("withdrawn",))
    assert clocks(city, number)["assessment"]["due"]["risk"] == "yellow"
    city.at("14:40").engine.report(unit=CLASS, by=PEER, subject=CHILD, facts="QX7", cues=("fresh_injury",))
    due = clocks(city, number)["assessment"]["due"]
    assert (due["set_by"], due["risk"], due["budget"], due["set_at"]) == ("risk", "red", "60m", "2026-03-02T14:40:00+08:00")


def test_a_clock_that_came_with_another_case_says_so(city: City) -> None:
    number = reported(city, cues=("withdrawn",))
    city.at("14:40").engine.report(unit=CLASS, by=PEER, facts="QX7", cues=("fresh_injury",))
    other = next(item.number for item in city.engine.queue(by=CLASS_TEACHER) if item.number != number)
    city.at("14:50").engine.act(other, "identify", by=CLASS_TEACHER, fields={"subject": CHILD})
    due = clocks(city, number)["assessment"]["due"]
    assert (due["set_by"], due["at"], due["set_at"]) == ("merged", "2026-03-02T15:40:00+08:00", "2026-03-02T14:50:00+08:00")


def test_a_clock_that_kept_its_time_through_a_new_version_is_not_called_confirmed(two: City, nearer: str) -> None:
    number = reported(two)
    moved(two, "xinyang_v1", nearer)
    chosen(two, nearer)
    began = two.at("14:35").report(PEER, subject="stu-43", cues=["fresh_injury"]).number
    assert clocks(two, number)["assessment"]["due"]["set_by"] == "migrated"
    assert clocks(two, began)["assessment"]["due"]["set_by"] == "budget"
    moved(two, "nearer_v1", "xinyang_v1")   # 60 minutes again, which gives no running clock more time
    kept = clocks(two, began)["assessment"]["due"]
    assert (kept["set_by"], kept["at"]) == ("kept", "2026-03-02T15:05:00+08:00")
    assert clocks(two, number)["acknowledge"]["due"]["set_by"] == "budget"


def test_who_must_do_it_is_said_with_the_step_that_found_them(city: City) -> None:
    number = reported(city)
    assert clocks(city, number)["acknowledge"]["who"]["step"] == "holder"
    city.engine.add_absence(person=CLASS_TEACHER, begins_at=city.time("14:31"), ends_at=city.time("20:00"), by=CLASS_TEACHER)
    city.at("14:32")
    who = clocks(city, number)["guardian_told"]["who"]
    assert (who["person"], who["step"], who["instead_of"]) == (DEPUTY_TEACHER, "stand_in", "class_teacher")
    for role, person in (("counselor", "p-31"), ("counselor", "p-32")):
        city.engine.end_duty(role=role, unit=SCHOOL, person=person, by="p-33")
    city.at("14:33")
    assert clocks(city, number, LAW_VICE_PRINCIPAL)["assessment"]["who"]["step"] == "stand_in"
    for role, person in (("vice_principal", "p-33"), ("leading_group", "p-35"), ("leading_group", "p-36"), ("leading_group", "p-37")):
        city.engine.end_duty(role=role, unit=SCHOOL, person=person, by="p-101")
    city.at("14:34")
    assert clocks(city, number, COUNTY_OFFICER)["assessment"]["who"]["step"] == "next_level"


def test_only_a_reader_is_told_and_the_reading_is_written_down(city: City) -> None:
    number = reported(city)
    with pytest.raises(NotAllowed):
        city.engine.explain(number, by=PEER)
    with pytest.raises(NotAllowed):
        city.engine.explain(number, by="p-101")
    city.engine.explain(number, by=COUNSELOR, why="to hand it over")
    entries = city.engine.reads(number, by=LAW_VICE_PRINCIPAL)
    assert [(entry.who, entry.what, entry.why) for entry in entries] == [(COUNSELOR, "explain", "to hand it over")]


def test_no_fact_and_no_child_stand_in_an_explanation(city: City) -> None:
    text = str(city.engine.explain(reported(city), by=COUNSELOR).to_json())
    assert "QX7" not in text
    assert CHILD not in text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_console_says_it_in_both_languages(crisis: Crisis, lang: str) -> None:
    crisis("report", "--as", "p-71", "--unit", CLASS, "--subject", CHILD, "--facts", "x", "--cue", "fresh_injury")
    done = crisis("explain", "next", "--as", "p-11", "--lang", lang)
    assert done.code == 0
    assert {"zh": "为何计时：个案处于「已上报，待确认」阶段", "en": "Why it runs: the case is in the stage reported"}[lang] in done.out
    assert "explain." not in done.out
    assert crisis("explain", "next", "--as", "p-11", "--json").json["policy"] == "xinyang_v1"
    number = crisis("queue", "--as", "p-11", "--json").json[0]["number"]
    assert crisis("explain", number, "--as", "p-71").code == 4


def test_every_way_in_which_a_due_time_can_be_set_has_its_words() -> None:
    from crisis_engine.words.explain import EXPLAIN

    ways = {"budget", "again", "cap", "dismissal", "confirmed", "risk", "signal", "calendar", "resumed", "migrated", "merged", "kept"}
    assert {key.rpartition(".")[2] for key in EXPLAIN if key.startswith("explain.due.")} == ways
