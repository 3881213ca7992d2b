"""Group events on the console: children from options and from a file whose faults are named with their lines; supervision by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from crisis_engine.core.errors import RosterError
from crisis_engine.roster.children import read_children

from . import test_cli
from .test_cli import Crisis

crisis = test_cli.crisis   # the fixture
OPEN = ("incident", "open", "--as", "p-35", "--unit", "xinyang/shihe/no-3", "--kind", "attempt", "--facts", "seen on the roof")


def test_an_event_is_opened_and_added_to_and_each_child_has_a_receipt(crisis: Crisis, tmp_path: Path) -> None:
    first = crisis(*OPEN, "--child", "stu-41", "--child", "stu-42", "--json").json
    assert len(first["receipts"]) == 2
    (tmp_path / "children.csv").write_text("学号,情形,此刻危险\nstu-43,suicide_words;withdrawn,否\n,,是\n", encoding="utf-8")
    more = crisis("incident", "add", first["number"], "--as", "p-35", "--children", "children.csv", "--json").json
    assert (more["number"], len(more["receipts"])) == (first["number"], 2)
    said = crisis(*OPEN, "--child", "stu-44", "--lang", "zh").out
    assert "群体事件" in said


def test_a_fault_of_the_file_is_named_with_its_line_and_repeats_no_fact(crisis: Crisis, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("subject,facts,danger_now\nstu-41,he cries,no\nstu-42,secret words,perhaps\n", encoding="utf-8")
    done = crisis(*OPEN, "--children", "c.csv")
    assert (done.code, "c.csv, line 3" in done.err or "c.csv:3" in done.err) == (65, True), done.err
    assert "perhaps" not in done.err
    (tmp_path / "d.csv").write_text("subject\nstu-41\nstu-nobody\n", encoding="utf-8")
    unknown = crisis(*OPEN, "--children", "d.csv")
    assert unknown.code == 65
    assert "d.csv" in unknown.err
    assert "3" in unknown.err
    assert crisis("cases", "--as", "p-35", "--json").json == []


@pytest.mark.parametrize(("text", "line", "says"), [
    ("", None, "empty"), ("subject\n", None, "no child"), ("subject,risk\nstu-1,red\n", 1, "unknown column"),
    ("subject,学号\na,b\n", 1, "twice"),
    ("subject\nstu-1\nstu-1\n", 3, "line 2"), ("subject\nstu-1,extra\n", 2, "cells"), ('subject\n"stu-1\n', 2, "no CSV"),
])
def test_a_file_of_children_that_is_wrong_is_refused(tmp_path: Path, text: str, line: int | None, says: str) -> None:
    path = tmp_path / "children.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RosterError, match=says) as caught:
        read_children(path)
    assert caught.value.line == line


def test_supervision_by_hand_and_a_zero_report(crisis: Crisis) -> None:
    assert crisis("supervise", "--json").json == {"looked": 15, "held": 1, "opened": 1, "failed": 0}
    assert "0 opened" in crisis("supervise").out
    number = crisis("cases", "--as", "p-121", "--json").json[0]["number"]
    assert "no counselor" in crisis("explain", number, "--as", "p-121").out
    assert crisis("explain", number, "--as", "p-121", "--json").json["rule"] == "no_teacher"
    assert "2026-02" in crisis("zero-report", "--as", "p-33", "--unit", "xinyang/shihe/no-3", "--month", "2026-02").out
    assert crisis("zero-report", "--as", "p-11", "--unit", "xinyang/shihe/no-3", "--month", "2026-02").code == 4
    wrong = crisis("zero-report", "--as", "p-33", "--unit", "xinyang/shihe/no-3", "--month", "2026-03", "--lang", "zh")
    assert wrong.code == 2
    assert not wrong.err.isascii()
