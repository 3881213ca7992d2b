"""Two versions of a definition compared in words: every change is told, stricter and looser as the orders say, with the open cases."""

from __future__ import annotations

from typing import Any

import pytest

from crisis_engine.author import Change, differences, grouped
from crisis_engine.author.facet import GROUPS
from crisis_engine.core.order import Verdict
from crisis_engine.core.parse_policy import parse_policy
from crisis_engine.core.parse_workflow import parse_workflow
from crisis_engine.definitions import load_access, load_policy_doc, load_retention, load_workflow_doc
from crisis_engine.words import LANGUAGES
from tests.test_workflow import GONE, changed

from . import test_cli
from .story import CLASS
from .test_cli import Crisis

crisis = test_cli.crisis   # the fixture
POLICY: dict[str, Any] = load_policy_doc("default_v1")
WORKFLOW: dict[str, Any] = load_workflow_doc("school_crisis_v1")
NAMES = {table: {name: entry["label"] for name, entry in WORKFLOW[table].items()} for table in ("stage", "clock", "move")}


def of_policy(*edits: tuple[str, Any]) -> tuple[Change, ...]:
    doc = POLICY
    for path, value in edits:
        doc = changed(doc, path, value)
    return differences(parse_policy(POLICY, "old.toml"), parse_policy(doc, "new.toml"))


def of_workflow(*edits: tuple[str, Any]) -> tuple[Change, ...]:
    doc = WORKFLOW
    for path, value in edits:
        doc = changed(doc, path, value)
    return differences(parse_workflow(WORKFLOW, "old.toml"), parse_workflow(doc, "new.toml"))


def told(changes: tuple[Change, ...], lang: str = "en") -> list[str]:
    return [line for _, lines in grouped(changes, NAMES, lang) for line in lines]


BY_POLICY: list[tuple[str, Any, Verdict | None, str]] = [
    ("clock.assessment.within.orange", "2h", Verdict.STRICTER, "orange assess: 4h -> 2h [stricter]"),
    ("clock.assessment.within.orange", "5h", Verdict.LOOSER, "orange assess: 4h -> 5h [looser]"),
    ("clock.county_review.within.red", "2d", Verdict.UNLIKE, "red county review: 3wd -> 2d [cannot be compared]"),
    ("clock.county_told.within", "1h", Verdict.STRICTER, "report to the county: 2h -> 1h [stricter]"),
    ("clock.county_review.cap.blue", "20d", Verdict.STRICTER, "blue county review (cap): 21d -> 20d [stricter]"),
    ("clock.stay_with.again", "2h", Verdict.LOOSER, "who is with the child (again): 60m -> 2h [looser]"),
    ("clock.acknowledge.remind", [], Verdict.LOOSER, "clock acknowledge, reminders: -5m -> none [looser]"),
    ("clock.acknowledge.mark", "D", None, "clock acknowledge, mark: T (template) -> D (unverified: our design)"),
    ("clock.acknowledge.source", "the city", None, "the city"),
    ("clock.triage.ladder", "work", None, "clock panel, ladder: safety -> work"),
    ("ladder.work", POLICY["ladder"]["safety"], Verdict.STRICTER, "ladder work: "),
    ("cue.withdrawn.floor", "blue", Verdict.LOOSER, "cue withdrawn, floor: yellow -> blue [looser]"),
    ("holder.school", "vice_principal", None, "who answers school: crisis leading group -> vice principal for mental health"),
    ("closure.by_peak.red", "county", Verdict.LOOSER, "the city's panel closes -> the county closes [looser]"),
    ("hold.red", "10m", Verdict.STRICTER, "longest hold"),
    ("terminal.to", ["operator"], Verdict.LOOSER, "terminal alarm, to: city leading group, operator -> operator [looser]"),
    ("clock.assessment.not_after", GONE, Verdict.LOOSER, "gone: before dismissal [looser]"),
]


@pytest.mark.parametrize(("path", "value", "verdict", "said"), BY_POLICY, ids=[case[0] for case in BY_POLICY])
def test_a_change_of_a_policy_is_told_with_its_verdict(path: str, value: Any, verdict: Verdict | None, said: str) -> None:  # noqa: ANN401 (any value of a file)
    changes = of_policy((path, value))
    assert changes
    assert {change.verdict for change in changes} == {verdict}
    assert all(change.key.startswith(path) for change in changes)
    assert any(said in line for line in told(changes)), told(changes)
    assert len(told(changes, "zh")) == len(changes)


BY_WORKFLOW: list[tuple[str, Any, Verdict | None, str]] = [
    ("move.plan.second", ["vice_principal"], Verdict.STRICTER, "move sign the plan, second person"),
    ("move.plan.second", [], Verdict.LOOSER, "-> none [looser]"),
    ("move.exclude.needs", [], Verdict.LOOSER, "move exclude, conditions"),
    ("clock.review.in", ["follow_up"], Verdict.LOOSER, "clock review, runs in: follow-up, intervening -> follow-up [looser]"),
    ("stage.planning.lead", "county", None, "stage planning, led by: school -> county"),
    ("stage.planning.label.en", "to plan", None, "stage planning, label: planning -> to plan"),
    ("danger.tells", ["counselor"], Verdict.LOOSER, "danger now, tells"),
    ("source", "another", None, "another"),
]


@pytest.mark.parametrize(("path", "value", "verdict", "said"), BY_WORKFLOW, ids=[f"{case[0]} {case[3]}" for case in BY_WORKFLOW])
def test_a_change_of_a_workflow_is_told_with_its_verdict(path: str, value: Any, verdict: Verdict | None, said: str) -> None:  # noqa: ANN401 (any value of a file)
    changes = of_workflow((path, value))
    assert [change.verdict for change in changes] == [verdict]
    assert said in told(changes)[0]


def test_a_stage_that_is_gone_and_one_that_is_new_are_told() -> None:
    stages = {**WORKFLOW["stage"], "paused": {"lead": "school", "label": {"zh": "暂停", "en": "paused"}}}
    changes = of_workflow(("stage", stages))
    assert [line for line in told(changes) if "new: " in line] == ["stage paused, led by: new: school", "stage paused, label: new: paused"]


def test_the_same_span_written_otherwise_is_no_difference() -> None:
    assert of_policy(("clock.assessment.within.red", "1h")) == ()
    assert of_policy() == of_workflow() == ()


def test_every_group_has_its_heading_and_comes_in_its_order() -> None:
    changes = of_policy(("clock.triage.mark", "B"), ("clock.triage.within.red", "1h"), ("ladder.safety", POLICY["ladder"]["danger"]))
    assert [heading for heading, _ in grouped(changes, NAMES, "en")] == ["Budgets", "Ladders", "Marks"]
    one_of_each = [Change("x", group, "text", "a", "b", None) for group in GROUPS]
    for lang in LANGUAGES:
        assert len({heading for heading, _ in grouped(one_of_each, {}, lang)}) == len(GROUPS)


def test_rights_and_terms_are_compared_too() -> None:
    from crisis_engine.core.parse_access import parse_access
    from crisis_engine.core.parse_retention import parse_retention
    from tests.test_schema import document

    access = changed(document("access_v1"), "role.counselor.reads", 4)
    access = changed(access, "action.key.rotate.anywhere", ["security_officer", "operator"])
    lines = told(differences(load_access(), parse_access(access, "new.toml")))
    assert lines == ["role counselor, reads up to secrecy: 3 -> 4 [looser]",
                     "action key.rotate, anywhere: security officer -> operator, security officer [looser]"]
    terms = changed(document("retention_v1"), "keep.case.for", "365d")
    assert told(differences(load_retention(), parse_retention(terms, "new.toml"))) == ["keep case, for: 3650d -> 365d"]


# ---- on the console -------------------------------------------------------------------------------------------------------------------


def test_the_console_tells_how_many_open_cases_it_is_about_to_an_operator_only(crisis: Crisis) -> None:
    for child in range(6):
        assert crisis("report", "--as", "p-11", "--unit", CLASS, "--facts", f"x{child}", "--cue", "fresh_injury").code == 0
    told_ = crisis("definitions", "diff", "xinyang_v1", "default_v1", "--as", "p-9").out   # the example city follows xinyang_v1
    assert "  red panel: 2h -> 4h [looser]; affects 0 open cases" in told_
    assert "  report to the county: 1h -> 2h [looser]; affects 6 open cases" in told_
    other = crisis("definitions", "diff", "xinyang_v1", "default_v1", "--as", "p-11")
    assert other.code == 0
    assert "affects" not in other.out
    assert "affects" not in crisis("definitions", "diff", "xinyang_v1", "default_v1").out


def test_the_console_gives_a_difference_as_json_and_refuses_two_kinds(crisis: Crisis) -> None:
    found = crisis("definitions", "diff", "default_v1", "xinyang_v1", "--json").json
    assert found["kind"] == "policies"
    change = {"key": "clock.triage.within.red", "group": "budgets", "old": "4h", "new": "2h", "verdict": "stricter", "affects": None}
    assert change in found["changes"]
    assert crisis("definitions", "diff", "default_v1", "default_v1").out == "No difference.\n"
    assert crisis("definitions", "diff", "default_v1", "access_v1").code == 2
    assert crisis("definitions", "diff", "default_v1", "nothing_v1").code == 65
