"""Drawings of definitions: everything is there in both languages, no two boxes overlap, and a case's way is drawn for its readers only."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisis_engine import draw
from crisis_engine.core.procedure import Procedure
from crisis_engine.definitions import load_procedure, shipped
from crisis_engine.draw import Way, graph_of, lane_svg, mermaid_of, panels_of, svg_of, svg_of_lanes, text_of
from crisis_engine.draw.layout import Box, Link, Size, lay_out
from crisis_engine.draw.measure import folded, width_of
from crisis_engine.draw.svg import place
from crisis_engine.words import LANGUAGES

from . import test_cli
from .story import CHILD, CLASS, CLASS_TEACHER, COUNSELOR, PEER, City
from .test_cli import Crisis

crisis = test_cli.crisis   # the fixture
WORKFLOWS = shipped()["workflows"]
each_drawing = pytest.mark.parametrize(("name", "lang"), list(itertools.product(WORKFLOWS, LANGUAGES)))


@pytest.fixture(scope="module")
def procedures() -> dict[str, Procedure]:
    return {name: load_procedure(name, "default_v1") for name in WORKFLOWS}


def overlapping(boxes: list[Box]) -> list[tuple[Box, Box]]:
    return [(one, other) for one, other in itertools.combinations(boxes, 2) if one.overlaps(other)]


# ---- nothing overlaps ---------------------------------------------------------------------------------------------------------------


@each_drawing
def test_no_two_boxes_of_a_workflow_overlap_and_every_line_fits_its_box(procedures: dict[str, Procedure], name: str, lang: str) -> None:
    procedure = procedures[name]
    placed = place(graph_of(procedure.workflow, procedure.policy, lang))
    boxes, layout = placed.layout.boxes, placed.layout
    assert overlapping(list(boxes.values())) == []
    assert all(box.x >= 0 and box.x + box.width <= layout.width and box.y + box.height <= layout.height for box in boxes.values())
    for key, (_, words) in {**placed.nodes, **placed.labels}.items():
        assert max(width_of(text, size) for text, size, _ in words.lines) <= boxes[key].width


@each_drawing
def test_no_arrow_crosses_a_stage_or_a_label_that_is_not_its_own(procedures: dict[str, Procedure], name: str, lang: str) -> None:
    placed = place(graph_of(procedures[name].workflow, procedures[name].policy, lang))
    for key, points in placed.layout.ways.items():
        arrow, _ = placed.labels[key]
        others = [box for other, box in placed.layout.boxes.items() if other not in {arrow.source, arrow.target, key}]
        for (x, y), (to_x, to_y) in itertools.pairwise(points):
            if x == to_x:   # within a row; between rows there is no box
                line = Box(x, min(y, to_y), 0.1, abs(y - to_y))
                assert not any(line.overlaps(box) for box in others), key


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_two_boxes_of_a_ladder_overlap(procedures: dict[str, Procedure], lang: str) -> None:
    y = 0.0
    boxes: list[Box] = []
    for panel in panels_of(procedures["school_crisis_v1"].policy, None, lang):
        _, found, y = lane_svg.place(panel, y, lang)
        boxes += found
    assert overlapping(boxes) == []


@settings(max_examples=60)
@given(st.data())
def test_no_graph_of_a_dozen_stages_is_laid_out_with_an_overlap(data: st.DataObject) -> None:
    names = [f"s{place}" for place in range(data.draw(st.integers(1, 12)))]
    sizes = st.builds(Size, st.floats(20, 330), st.floats(10, 120))
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)).filter(lambda pair: pair[0] != pair[1]),
                               max_size=24, unique=True))
    links = [Link(source, target, f"{source} > {target}") for source, target in pairs]
    layout = lay_out({name: data.draw(sizes) for name in names}, links, {link.label: data.draw(sizes) for link in links})
    assert overlapping(list(layout.boxes.values())) == []
    assert layout.ways.keys() == {link.label for link in links}


@given(st.text(alphabet="ab 中文，W", max_size=80), st.floats(30, 200))
def test_folding_loses_no_character(text: str, most: float) -> None:
    assert "".join("".join(folded(text, 11, most)).split()) == "".join(text.split())


# ---- everything is there --------------------------------------------------------------------------------------------------------------


@each_drawing
def test_every_stage_move_clock_and_budget_is_in_each_format(procedures: dict[str, Procedure], name: str, lang: str) -> None:
    workflow, policy = procedures[name].workflow, procedures[name].policy
    graph = graph_of(workflow, policy, lang)
    svg = " ".join("".join(ET.fromstring(svg_of(graph)).itertext()).split())  # noqa: S314 (our own)
    squeezed = svg.replace(" ", "")
    labels = [each.label for table in (workflow.stages, workflow.moves, workflow.clocks) for each in table.values()]
    for label in labels:
        said = label[lang]
        assert said.replace(" ", "") in squeezed
        assert said in text_of(graph)
        assert said in mermaid_of(graph)
    for clock in workflow.clocks:
        assert str(next(iter(policy.clocks[clock].within.values()))) in squeezed


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_rung_is_in_each_format(procedures: dict[str, Procedure], lang: str) -> None:
    policy = procedures["school_crisis_v1"].policy
    panels = panels_of(policy, None, lang)
    assert {panel.name for panel in panels} == set(policy.ladders)
    for drawn in (svg_of_lanes("x", panels, lang), draw.mermaid_of_lanes(panels, lang), draw.text_of_lanes("x", panels, lang)):
        for rungs in policy.ladders.values():
            assert all(str(rung.every or rung.at) in drawn for rung in rungs if rung.every or (rung.at and rung.at.amount))


def test_an_svg_carries_no_script_and_fetches_nothing(procedures: dict[str, Procedure]) -> None:
    procedure = procedures["school_crisis_v1"]
    drawn = svg_of(graph_of(procedure.workflow, procedure.policy, "zh"))
    root = ET.fromstring(drawn)  # noqa: S314 (our own)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "title", "defs", "marker", "path", "rect", "text", "g"}
    assert not re.search(r"href|url\((?!#)|<script|@import", drawn)


def test_a_label_that_looks_like_code_stays_a_label(procedures: dict[str, Procedure]) -> None:
    from tests.test_workflow import changed

    body: dict[str, Any] = json.loads(procedures["glass_review_v1"].body)
    evil = '<script>alert(1)</script>" --> n9 %% #'
    workflow = Procedure.of(changed(body["workflow"], "stage.asked.label.en", evil), body["policy"]).workflow
    graph = graph_of(workflow, None, "en")
    assert "<script" not in svg_of(graph)
    node = next(line for line in mermaid_of(graph).splitlines() if line.startswith("  n0"))
    assert re.fullmatch(r'  n0\["[^"<>]*(<br/>[^"<>]*)*"\]', node)


# ---- a case's way -----------------------------------------------------------------------------------------------------------------------


def test_a_way_is_drawn_over_stages_moves_and_rungs(city: City) -> None:
    city.at("14:30").engine.report(unit=CLASS, by=PEER, subject=CHILD, facts="x", cues=["suicide_words"])
    number = city.engine.queue(by=CLASS_TEACHER)[0].number
    city.at("14:34").engine.act(number, "acknowledge", by=CLASS_TEACHER)
    city.at("15:31")
    procedure = load_procedure()
    way = Way.of(number, city.engine.history(number, by=COUNSELOR), procedure.policy)
    graph = graph_of(procedure.workflow, procedure.policy, "en", way)
    nodes = {node.name: node for node in graph.nodes}
    assert [name for name, node in nodes.items() if node.visited] == ["reported", "acknowledged"]
    assert nodes["acknowledged"].here
    assert "entered 2026-03-02 14:34" in nodes["acknowledged"].lines
    assert [arrow.moves for arrow in graph.arrows if arrow.steps] == [("acknowledge",)]
    fired = {(panel.name, place): step.fired for panel in panels_of(procedure.policy, procedure.workflow, "en", way)
             for place, step in enumerate(panel.steps) if step.fired}
    assert fired == {("safety", 0): "2026-03-02 15:00", ("safety", 1): "2026-03-02 15:30"}
    assert "x" not in text_of(graph).split()   # no fact and no person
    assert "p-" not in text_of(graph)


def test_the_console_draws_a_case_for_whoever_may_read_it_and_writes_no_file_over(crisis: Crisis) -> None:
    crisis("report", "--as", "p-71", "--unit", CLASS, "--subject", "stu-42", "--facts", "x", "--cue", "fresh_injury")
    number = crisis("queue", "--as", "p-11", "--json").json[0]["number"]
    done = crisis("definitions", "draw", "school_crisis_v1", "--case", number, "--as", "p-31", "--out", "way.svg")
    assert (done.code, done.out.startswith("Drawn into way.svg (")) == (0, True)
    assert crisis("definitions", "draw", "school_crisis_v1", "--out", "way.svg").code == 74
    refused = crisis("definitions", "draw", "school_crisis_v1", "--case", number, "--as", "p-71")
    assert (refused.code, refused.out) == (4, "")
    assert crisis("definitions", "draw", "glass_review_v1", "--case", number, "--as", "p-31").code == 2
    entries = crisis("audit", "reads", number, "--as", "p-34", "--json").json
    assert {entry["who"] for entry in entries} == {"p-31"}


def test_the_console_says_what_it_cannot_draw(crisis: Crisis) -> None:
    assert crisis("definitions", "draw", "access_v1").code == 2
    assert crisis("definitions", "draw", "school_crisis_v1", "--format", "png").code == 2
    assert crisis("definitions", "draw", "nothing_v1").code == 65
    drawn = crisis("definitions", "draw", "xinyang_v1", "--json").json
    assert drawn["format"] == "text"
    assert "Ladder first_word" in drawn["drawing"]
    assert crisis("definitions", "draw", "school_crisis_v1", "--format", "mermaid", "--lang", "zh").out.startswith("flowchart TD")
