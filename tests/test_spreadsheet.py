"""Cells of a spreadsheet: no text becomes a formula, and what went in comes out again."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crisis_engine.core.spreadsheet import cell, line


@pytest.mark.parametrize("text", [
    "=1+1", "+86", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "＠x", "\u3000=1", "\ufeff=1", "\x0c@", "\x1c+1",
    "=cmd|' /C calc'!A0",
])
def test_a_text_that_would_begin_a_formula_begins_with_an_apostrophe(text: str) -> None:
    assert cell(text) == f"'{text}"


def test_numbers_and_harmless_texts_stay_as_they_are() -> None:
    values = (-3, 2.5, True, None, "", "7KD-MQ2-XTE", "示例")
    assert [cell(value) for value in values] == ["-3", "2.5", "True", "", "", "7KD-MQ2-XTE", "示例"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20), min_size=1, max_size=5))
def test_a_line_is_read_back_cell_by_cell(values: list[str]) -> None:
    rows = list(csv.reader(io.StringIO(line(values), newline="")))
    assert rows == [[cell(value) for value in values]]
    assert not any(text.lstrip().startswith(("=", "+", "-", "@")) for text in rows[0])
