"""The demo: what it plays is what the engine answers, and what it prints can be read at 80 columns, in a pipe, in two languages."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
import unicodedata
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from crisis_engine import demo
from crisis_engine.core.calendar import CHINA
from crisis_engine.demo import Afternoon, Day, Life
from crisis_engine.demo.page import folded
from crisis_engine.demo.text import TEXTS


def on(time: str) -> datetime:
    """Return a time of the day that is played."""
    return datetime.fromisoformat(f"2026-03-03T{time}+08:00")


@pytest.fixture(scope="module")
def parts() -> list[Day | Life | Afternoon]:
    return list(demo.play("en"))


@pytest.fixture(scope="module")
def days(parts: list[Day | Life | Afternoon]) -> dict[str, Day]:
    return {part.name: part for part in parts if isinstance(part, Day)}


@pytest.fixture(scope="module")
def life(parts: list[Day | Life | Afternoon]) -> Life:
    return next(part for part in parts if isinstance(part, Life))


@pytest.fixture(scope="module")
def afternoon(parts: list[Day | Life | Afternoon]) -> Afternoon:
    return next(part for part in parts if isinstance(part, Afternoon))


def page(parts: list[Day | Life | Afternoon], monkeypatch: pytest.MonkeyPatch, *, lang: str, width: int, terminal: bool = False) -> str:
    """Print the parts that were played already."""
    monkeypatch.setattr(demo, "play", lambda _lang: iter(parts))
    to = io.StringIO()
    console = Console(file=to, width=width, force_terminal=terminal, color_system="standard" if terminal else None, highlight=False)
    assert demo.run(lang=lang, console=console) == 0
    return to.getvalue()


# ---- the day, three ways ------------------------------------------------------------------------------------------------------------


def test_the_day_is_a_tuesday_as_the_real_one_was(days: dict[str, Day]) -> None:
    assert {day.asked_at.strftime("%A %H:%M") for day in days.values()} == {"Tuesday 20:34"}
    assert datetime(2023, 2, 7, tzinfo=CHINA).strftime("%A") == "Tuesday"


@pytest.mark.parametrize("way", ["nobody", "then"])
def test_the_guardian_clock_is_late_by_15_00_and_the_county_told_by_15_30(days: dict[str, Day], way: str) -> None:
    day = days[way]
    assert day.late["guardian_told"] == on("15:00")
    assert [entry.at for entry in day.entries if entry.kind == "late" and entry.clock == "guardian_told"] == [on("15:00")]
    told = day.told_at("county")
    assert told is not None
    assert told <= on("15:30")


def test_when_nobody_acts_the_word_climbs_every_level_up_to_the_city(days: dict[str, Day]) -> None:
    day = days["nobody"]
    raised = [(f"{at:%H:%M}", tier) for at, tier in day.raised]
    assert raised == [("14:40", "grade"), ("14:55", "school"), ("15:25", "county"), ("16:40", "city")]
    assert day.view.tier == "city"
    assert {tier for tier, _role in day.first_told()} == {"class", "grade", "school", "county", "city"}


def test_as_people_acted_then_the_talks_met_no_clock_and_the_acknowledgement_was_late(days: dict[str, Day]) -> None:
    day = days["then"]
    met = [entry for entry in day.entries if entry.kind == "met"]
    assert [(entry.clock, entry.at, entry.due_at) for entry in met] == [("acknowledge", on("16:00"), on("14:40"))]
    assert met[0].late
    assert set(day.late) == {"guardian_told", "assessment", "county_told", "oversight"}
    record = [(f"{entry.at:%H:%M}", entry.text) for entry in day.entries if entry.kind in {"people", "record"}]
    assert record == [("14:30", "note_found"), ("16:00", "grade_head_hears"), ("17:30", "first_talk"), ("18:14", "second_talk"),
                      ("20:25", "farewell"), ("20:34", "record_ends")]


def test_as_the_policy_asks_no_clock_is_ever_late_and_two_people_end_the_danger(days: dict[str, Day]) -> None:
    day = days["policy"]
    assert day.ever_late == {}
    assert day.late == {}
    assert (day.view.stage, day.view.danger) == ("intervening", False)
    met = {entry.clock: entry.at for entry in reversed(day.entries) if entry.kind == "met"}
    assert met["acknowledge"] == on("14:32")
    assert met["guardian_told"] < on("15:00")
    assert met["county_told"] < on("15:30")
    assert [entry.text for entry in day.entries if entry.kind == "refused"] == ["danger_over_alone"]


def test_somebody_is_confirmed_to_be_with_the_child_at_every_minute_of_the_danger(days: dict[str, Day]) -> None:
    day = days["policy"]
    dues = [entry.due_at for entry in day.entries if entry.kind == "armed" and entry.clock == "stay_with"]
    met = [entry.at for entry in day.entries if entry.kind == "met" and entry.clock == "stay_with"]
    assert len(met) == 3
    assert all(due is not None and at <= due for at, due in zip(met, dues, strict=True))


def test_every_step_that_is_to_be_refused_was_refused_and_no_other(days: dict[str, Day]) -> None:
    for name, day in days.items():
        expected = [step.text for step in demo.WAYS[name] if step.refused]
        assert [entry.text for entry in day.entries if entry.kind == "refused"] == expected


def test_the_reporter_is_shown_whom_to_call(days: dict[str, Day]) -> None:
    assert all(set(day.shows) == {"110", "120", "12356"} for day in days.values())


def test_no_notice_names_the_child_or_says_what_was_seen(days: dict[str, Day]) -> None:
    for day in days.values():
        assert day.messages
        for message in day.messages:
            assert not re.search("stu-42|示例学生|字条|note", message.subject + message.body)


# ---- the life and the queues -------------------------------------------------------------------------------------------------------


def test_the_life_goes_through_every_stage_to_the_citys_closure_evaluation(life: Life) -> None:
    assert [station.stage["zh"] for station in life.stations] == [
        "已上报，待确认", "已确认，初谈中", "评估中", "待研判", "制定一生一策", "干预中", "随访观察",
        "结案申请，待县级审核", "县级已审，待市级结案评估", "已结案",
    ]
    assert all(one.at <= other.at for one, other in pairwise(life.stations))
    assert life.view.final == "closed"
    assert (life.stations[-1].by, life.stations[-1].second) == ("p-3", "p-101")
    assert life.stations[0].by == "reporter"


def test_the_rhythm_is_kept_but_for_one_contact_of_which_others_heard(life: Life) -> None:
    assert life.contacts > 15
    assert life.reviews >= 3
    (missed,) = life.missed
    assert missed.made_at > missed.due_at
    assert ("school", "vice_principal") in missed.told
    assert [risk for _at, risk in life.risks] == ["orange", "yellow"]


def test_the_four_queues_show_each_role_what_is_theirs(afternoon: Afternoon) -> None:
    assert list(afternoon.queues) == ["class_teacher", "counselor", "county_officer", "city_officer"]
    assert all(afternoon.queues.values())
    assert afternoon.queues["class_teacher"][0].late
    assert "county" in {item.tier for item in afternoon.queues["county_officer"]}
    assert {item.tier for item in afternoon.queues["city_officer"]} == {"city"}
    for items in afternoon.queues.values():
        assert list(items) == sorted(items, key=lambda item: item.due_at)


# ---- the page ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_screen_nor_than_100_columns(
    parts: list[Day | Life | Afternoon], monkeypatch: pytest.MonkeyPatch, lang: str, width: int,
) -> None:
    printed = page(parts, monkeypatch, lang=lang, width=width)
    assert max(cell_len(line) for line in printed.splitlines()) <= min(width, 100)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_pipe_gets_plain_text_without_characters_of_doubtful_width(
    parts: list[Day | Life | Afternoon], monkeypatch: pytest.MonkeyPatch, lang: str,
) -> None:
    printed = page(parts, monkeypatch, lang=lang, width=80)
    assert "\x1b" not in printed
    assert sorted({char for char in printed if unicodedata.east_asian_width(char) == "A" or char in "│┃|"}) == []


def test_a_terminal_gets_late_clocks_in_red(parts: list[Day | Life | Afternoon], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[1;31m" in page(parts, monkeypatch, lang="en", width=80, terminal=True)


def test_the_page_says_what_the_engine_answered(
    parts: list[Day | Life | Afternoon], days: dict[str, Day], life: Life, monkeypatch: pytest.MonkeyPatch,
) -> None:
    printed = page(parts, monkeypatch, lang="en", width=100)
    assert "tell the guardian [D]: since 15:00, 5h 34m, class teacher p-11" in printed
    assert "The county would have been told at 15:25, 5h before the note of farewell." in printed
    assert "Until 20:34 no clock was ever late." in printed
    assert f"{life.contacts} contacts with the child, {life.contacts - 1} of them in time" in printed
    assert days["nobody"].messages[0].body.splitlines()[0] in printed
    marks = dict(life.marks) | {name: mark for day in days.values() for name, mark in day.marks.items()}
    unverified = sum(mark in "BD" for mark in marks.values())
    assert f"{len(marks)} kinds of clock ran here; the durations of {unverified} are marked [B] or [D]" in printed


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_numbers_to_call_stand_wherever_red_does(
    parts: list[Day | Life | Afternoon], monkeypatch: pytest.MonkeyPatch, lang: str,
) -> None:
    lines = [line for line in page(parts, monkeypatch, lang=lang, width=100).splitlines() if "12356" in line]
    assert len(lines) == 4
    assert all("110" in line and "120" in line for line in lines)


def test_every_text_is_there_in_both_languages_with_the_same_fields() -> None:
    for key, (zh, en) in TEXTS.items():
        assert zh, key
        assert en, key
        assert set(re.findall(r"{(\w+)}", zh)) == set(re.findall(r"{(\w+)}", en)), key


def test_the_three_commands_at_the_end_work_when_they_are_pasted(tmp_path: Path) -> None:
    for command in demo.commands("en"):
        words = shlex.split(command.replace("\\\n", " "))
        assert words[0] == "crisis"
        python = [sys.executable, "-m", "crisis_engine", *words[1:]]
        done = subprocess.run(python, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert "red" in done.stdout


def test_a_long_text_is_folded_between_chinese_characters_and_never_before_a_closing_mark() -> None:
    lines = list(folded("学校说「时限」到了，上级就会知道。then the city hears", 10))
    assert all(cell_len(line) <= 12 for line in lines)  # a closing mark may stand one character out
    assert not any(line[0] in "，。」" for line in lines)
    assert "".join(lines).replace(" ", "") == "学校说「时限」到了，上级就会知道。thenthecityhears"
