"""Every number has a budget for each risk, a ladder without end, a source and a mark; and a policy that extends another is stricter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from crisis_engine.core.calendar import Span, parse_span
from crisis_engine.core.check import check_together
from crisis_engine.core.errors import DefinitionError
from crisis_engine.core.model import Risk, Tier
from crisis_engine.core.parse_access import parse_access
from crisis_engine.core.parse_policy import parse_policy
from crisis_engine.core.parse_workflow import parse_workflow
from crisis_engine.core.policy import Access, Policy
from crisis_engine.core.stricter import check_stricter, extend
from crisis_engine.core.workflow import Workflow
from crisis_engine.definitions import load_access, load_policy_doc, load_workflow_doc
from tests.test_workflow import GONE, changed

FILE = "default_v1.toml"
OWN = "county_v1.toml"


@pytest.fixture(scope="module")
def doc() -> dict[str, Any]:
    """Return the default numbers of the main line alone; those of the tracks are proven with them (tests/test_prover.py)."""
    whole: dict[str, Any] = load_policy_doc("default_v1")
    return {**whole, "clock": {name: whole["clock"][name] for name in load_workflow_doc("school_crisis_v1")["clock"]}}  # type: ignore[attr-defined]  # a table


@pytest.fixture(scope="module")
def policy(doc: dict[str, Any]) -> Policy:
    return parse_policy(doc, FILE)


@pytest.fixture(scope="module")
def workflow() -> Workflow:
    return parse_workflow(load_workflow_doc("school_crisis_v1"), "school_crisis_v1.toml")


@pytest.fixture(scope="module")
def access() -> Access:
    return load_access()


# ---- what the shipped numbers say -------------------------------------------------------------------------------------------


def test_every_clock_of_the_main_line_has_a_budget_for_each_risk(policy: Policy, workflow: Workflow) -> None:
    assert set(policy.clocks) == set(workflow.clocks)
    assert all(set(rule.within) == set(Risk) for rule in policy.clocks.values())


def test_an_unrated_child_is_clocked_as_orange_where_nothing_else_is_written(policy: Policy) -> None:
    assert policy.clocks["plan"].within[Risk.UNRATED] == Span(48, "h")
    assert policy.clocks["acknowledge"].within[Risk.UNRATED] == Span(15, "m")
    assert policy.clocks["confirm_end"].cap[Risk.UNRATED] == Span(7, "d")


def test_one_span_counts_for_every_risk(policy: Policy) -> None:
    assert set(policy.clocks["stay_with"].within.values()) == {Span(10, "m")}
    assert set(policy.clocks["stay_with"].again.values()) == {Span(60, "m")}


def test_a_red_child_whom_nobody_met_climbs_the_ladder_of_safety(policy: Policy) -> None:
    contact = policy.clocks["contact"]
    assert contact.ladder_at(Risk.RED) == "safety"
    assert contact.ladder_at(Risk.ORANGE) == "work"


def test_background_and_own_design_are_named_unverified(policy: Policy) -> None:
    assert {name for name, rule in policy.clocks.items() if not rule.unverified} == {"acknowledge", "assessment", "county_told"}
    assert all(rule.source for rule in policy.clocks.values())
    assert set(policy.trust) == {"cue", "risk", "ladder", "hold", "pause", "terminal", "closure", "checklist.on_site"}


def test_nobody_acting_brings_an_unrated_report_to_the_county_within_the_hour(policy: Policy) -> None:
    minutes = policy.clocks["acknowledge"].within[Risk.UNRATED].wall
    county = next(rung for rung in policy.ladders["first_word"] if rung.raise_to == "county")
    assert county.at is not None
    assert minutes + county.at.wall == parse_span("60m").wall


def test_a_peer_and_a_child_write_blind_and_a_counselor_reads_notes(access: Access) -> None:
    reads = {name: role.reads for name, role in access.roles.items()}
    assert reads["peer"] == reads["student"] == -1
    assert (reads["counselor"], reads["class_teacher"], reads["law_vice_principal"], reads["operator"]) == (3, 1, 4, 0)
    assert all(role.label["zh"] and role.label["en"] for role in access.roles.values())


# ---- what is refused ----------------------------------------------------------------------------------------------------------

SAFETY = [{"at": "0m", "raise": "school"}, {"every": "6h", "tell": ["tier_holder"]}]

BROKEN: list[tuple[str, Any, str, str]] = [
    ("format", "1", "format", "whole number"),
    ("for", [], "for", "no workflow"),
    ("for", ["referral_v1"], "for", "not made for school_crisis_v1"),
    ("mark", "X", "mark", "not known"),
    ("mark", GONE, "mark", "without source and mark"),
    ("off_hours", {}, "off_hours", "not known"),
    ("extends", "other_v1", "extends", "not known"),
    ("risk.unrated_counts_as", "unrated", "risk.unrated_counts_as", "itself"),
    ("risk.second_to_lower_from", ["red"], "risk.second_to_lower_from", "two persons, always"),
    ("risk.source", GONE, "risk.source", "without source and mark"),
    ("cue.means.floor", "rde", "cue.means.floor", 'Did you mean "red"'),
    ("cue.means.floor", "unrated", "cue.means.floor", "not known"),
    ("cue.means.label.en", GONE, "cue.means.label.en", "missing"),
    ("clock.triage", GONE, "clock.triage", "no budget for this clock"),
    ("clock.triag", {"within": "4h", "ladder": "safety", "source": "x", "mark": "D"}, "clock.triag", 'Did you mean "triage"'),
    ("clock.triage.source", GONE, "clock.triage.source", "without source and mark"),
    ("clock.triage.mark", GONE, "clock.triage.mark", "without source and mark"),
    ("clock.triage.mark", "v", "clock.triage.mark", "not known"),
    ("clock.triage.within", GONE, "clock.triage.within", "missing"),
    ("clock.triage.within", 4, "clock.triage.within", "table"),
    ("clock.triage.within.red", GONE, "clock.triage.within.red", "missing"),
    ("clock.triage.within.rot", "4h", "clock.triage.within.rot", "Known here: blue"),
    ("clock.triage.within.red", "-4h", "clock.triage.within.red", "no span"),
    ("clock.triage.within.red", "0m", "clock.triage.within.red", "no time"),
    ("clock.triage.within.red", "4", "clock.triage.within.red", "no span"),
    ("clock.triage.within.red", 4, "clock.triage.within.red", "no span"),
    ("clock.triage.within.red", 4.5, "clock.triage.within.red", "no span"),
    ("clock.triage.within.red", "1wd", "clock.triage.cap.red", "no cap"),
    ("clock.triage.remind", ["-5"], "clock.triage.remind", "no offset"),
    ("clock.triage.remind", ["101%"], "clock.triage.remind", "no offset"),
    ("clock.triage.ladder", "safty", "clock.triage.ladder", 'Did you mean "safety"'),
    ("clock.triage.ladder_for", {"red": "safty"}, "clock.triage.ladder_for.red", 'Did you mean "safety"'),
    ("clock.triage.pause", {"reasons": ["panel_cannot_meet"], "at_most": "7d"}, "clock.triage.pause", "safety clock cannot pause"),
    ("clock.triage.not_after", {"red": "dinner"}, "clock.triage.not_after.red", "dismissal"),
    ("clock.county_review.cap", GONE, "clock.county_review.cap.blue", "no cap"),
    ("clock.county_review.cap.red", "3wd", "clock.county_review.cap.red", "wall clock"),
    ("clock.county_review.pause.at_most", "0d", "clock.county_review.pause.at_most", "above nothing"),
    ("clock.county_review.pause.times", 0, "clock.county_review.pause.times", "1 to 9"),
    ("clock.county_review.pause.at_most", "15d", "clock.county_review.pause.at_most", "at most 14d"),
    ("clock.county_review.pause.times", 3, "clock.county_review.pause.at_most", "7d, 3 times, is longer"),
    ("pause", GONE, "pause", "missing"),
    ("pause.source", GONE, "pause.source", "without source and mark"),
    ("pause.blue", GONE, "pause.blue", "missing"),
    ("pause.blue", "31d", "pause.blue", "at most 30d"),
    ("hold.red", GONE, "hold.red", "missing"),
    ("hold.blue", "3000d", "hold.blue", "longer than anything may be put off"),
    ("clock.county_review.pause.reasons", [], "clock.county_review.pause.reasons", "without a reason"),
    ("clock.county_review.pause.reasons", ["holiday"], "clock.county_review.pause.reasons", "no pause_reason"),
    ("ladder.source", GONE, "ladder.source", "without source and mark"),
    ("ladder.safety", [], "ladder.safety", "ends"),
    ("ladder.safety", SAFETY[:1], "ladder.safety", "ends"),
    ("ladder.safety", [SAFETY[1], SAFETY[1]], "ladder.safety[1].every", "only the last"),
    ("ladder.safety", [SAFETY[0], SAFETY[0], SAFETY[1]], "ladder.safety[2].at", "not after"),
    ("ladder.safety", [{"at": "1wd", "raise": "city"}, SAFETY[1]], "ladder.safety[1].at", "wall clock"),
    ("ladder.safety", [{"at": "1h"}, SAFETY[1]], "ladder.safety[1].tell", "nobody hears"),
    ("ladder.safety", [{"at": "1h", "every": "1h", "tell": ["tier_holder"]}], "ladder.safety[1].at", "either at or every"),
    ("ladder.safety", [{"every": "0m", "tell": ["tier_holder"]}], "ladder.safety[1].every", "above nothing"),
    ("ladder.safety", [{"at": "0m", "raise": "peer"}, SAFETY[1]], "ladder.safety[1].raise", "not known"),
    ("ladder.safety", [{"at": "0m", "tell": ["headmaster"]}, SAFETY[1]], "ladder.safety[1].tell", "unknown to access_v1"),
    ("ladder.safety", [{"at": "0m", "move": "expire"}, SAFETY[1]], "ladder.safety[1].move", "no move that the engine makes"),
    ("ladder.safety", "safety", "ladder.safety", "list of tables"),
    ("hold.red", "0m", "hold.red", "above nothing"),
    ("hold.blue", GONE, "hold.blue", "missing"),
    ("instead.counselor", ["peer"], "instead.counselor", "pupil"),
    ("instead.counselor", [], "instead.counselor", "nobody"),
    ("instead.counselor", ["os.system"], "instead.counselor", "not a name"),
    ("instead.counsellor", ["vice_principal"], "instead.counsellor", 'Did you mean "counselor"'),
    ("holder.peer", "peer", "holder.peer", "pupil"),
    ("holder.city", GONE, "holder.city", "missing"),
    ("counterpart.counselor.county", "county_expret", "counterpart.counselor", 'Did you mean "county_expert"'),
    ("on_site.roles", ["student"], "on_site.roles", "pupil"),
    ("on_duty.county", "peer", "on_duty.county", "pupil"),
    ("on_duty.street", "county_duty", "on_duty.street", "not known"),
    ("terminal.to", [], "terminal.to", "nobody"),
    ("terminal.every", "1wd", "terminal.every", "wall clock"),
    ("closure.by_peak.red", "village", "closure.by_peak.red", "not known"),
    ("closure.sample.blue", 101, "closure.sample.blue", "0 to 100"),
    ("closure.sample.blue", "2%", "closure.sample.blue", "0 to 100"),
    ("closure.stable_for.red", GONE, "closure.stable_for.red", "missing"),
    ("closure.mark", GONE, "closure.mark", "without source and mark"),
]


@pytest.mark.parametrize("broken", BROKEN, ids=[case[2] for case in BROKEN])
def test_a_broken_policy_is_refused_with_file_key_and_reason(
    doc: dict[str, Any], workflow: Workflow, access: Access, broken: tuple[str, Any, str, str],
) -> None:
    path, value, key, word = broken
    with pytest.raises(DefinitionError) as caught:
        check_together(workflow, parse_policy(changed(doc, path, value), FILE), access, files=("school_crisis_v1.toml", FILE))
    assert caught.value.file == FILE
    assert caught.value.key == key
    assert word in str(caught.value)


def test_a_safety_clock_on_working_days_is_refused_even_with_a_cap(doc: dict[str, Any], workflow: Workflow, access: Access) -> None:
    days = changed(changed(doc, "clock.triage.within.red", "1wd"), "clock.triage.cap", {"red": "7d"})
    with pytest.raises(DefinitionError, match="a safety clock counts no working or school days") as caught:
        check_together(workflow, parse_policy(days, FILE), access, files=("w.toml", FILE))
    assert caught.value.key == "clock.triage.within.red"


def test_a_role_of_the_workflow_that_access_does_not_know_is_refused(policy: Policy, access: Access) -> None:
    broken = parse_workflow(changed(load_workflow_doc("school_crisis_v1"), "move.assess.by", ["counsellor"]), "w.toml")
    with pytest.raises(DefinitionError, match='Did you mean "counselor"') as caught:
        check_together(broken, policy, access, files=("w.toml", FILE))
    assert (caught.value.file, caught.value.key) == ("w.toml", "move.assess.by")


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("role.peer.reads", 1, "role.peer.reads"), ("role.counselor.reads", 5, "role.counselor.reads"),
        ("role.counselor.reads", True, "role.counselor.reads"), ("role.counselor.level", "school_", "role.counselor.level"),
        ("role.counselor.scope", "all", "role.counselor.scope"), ("role.counselor.label.zh", GONE, "role.counselor.label.zh"),
        ("role.counselor.admin", True, "role.counselor.admin"), ("mark", GONE, "mark"),
    ],
)
def test_broken_rights_are_refused(path: str, value: object, key: str) -> None:
    from crisis_engine import definitions

    found = definitions._read(definitions._find("access_v1", "policies"), "access_v1.toml")  # noqa: SLF001 (there is no public document)
    with pytest.raises(DefinitionError) as caught:
        parse_access(changed(found, path, value), "access_v1.toml")
    assert caught.value.key == key


# ---- only stricter --------------------------------------------------------------------------------------------------------------

HEAD = {"format": 1, "name": "county", "version": 1, "extends": "default_v1", "source": "a county", "mark": "D"}
TRUST = {"source": "a county's own", "mark": "V"}


def extended(doc: Mapping[str, Any], own: Mapping[str, Any]) -> Policy:
    found = parse_policy(extend(doc, {**HEAD, **own}, OWN), OWN)
    check_stricter(parse_policy(doc, FILE), found, OWN)
    return found


EARLIER = [
    {"at": "0m", "raise": "school", "tell": ["vice_principal", "counselor"]}, {"at": "10m", "raise": "county"},
    {"at": "1h", "raise": "city"}, {"every": "2h", "tell": ["tier_holder"]},
]

STRICTER: list[dict[str, Any]] = [
    {},
    {"for": ["school_crisis_v1"], "label": {"zh": "县", "en": "county"}},
    {"clock": {"triage": {"within": {"red": "3h"}, **TRUST}}},
    {"clock": {"triage": {"within": "2h", **TRUST}}},
    {"clock": {"stay_with": {"again": {"red": "30m"}, **TRUST}}},
    {"clock": {"county_told": {"within": {"red": "1h"}, **TRUST}}},
    {"clock": {"triage": {"again": "4h", **TRUST}}},
    {"clock": {"county_review": {"within": {"red": "2wd"}, "cap": {"red": "5d"}, **TRUST}}},
    {"clock": {"triage": {"remind": ["25%", "-2h", "-5m"], **TRUST}}},
    {"ladder": {"safety": EARLIER, **TRUST}},
    {"cue": {"bullied": {"floor": "yellow", "label": {"zh": "被欺凌", "en": "is bullied"}}, "withdrawn": {"floor": "orange"}, **TRUST}},
    {"hold": {"red": "10m", **TRUST}},
    {"terminal": {"every": "5m", **TRUST}},
    {"closure": {"by_peak": {"blue": "city_one"}, "sample": {"blue": 3, "orange": 1}, "stable_for": {"red": "200d"}, **TRUST}},
]

LOOSER: list[tuple[dict[str, Any], str, str]] = [
    ({"clock": {"triage": {"within": {"red": "5h"}, **TRUST}}}, "clock.triage.within.red", "5h is looser than 4h"),
    ({"clock": {"triage": {"within": "5h", **TRUST}}}, "clock.triage.within.unrated", "looser"),
    ({"clock": {"triage": {"within": {"red": "241m"}, **TRUST}}}, "clock.triage.within.red", "looser"),
    ({"clock": {"county_review": {"within": {"red": "1d"}, **TRUST}}}, "clock.county_review.within.red", "cannot be compared"),
    ({"clock": {"county_review": {"within": {"red": "4wd"}, **TRUST}}}, "clock.county_review.within.red", "looser"),
    ({"clock": {"county_review": {"cap": {"red": "8d"}, **TRUST}}}, "clock.county_review.cap.red", "looser"),
    ({"clock": {"stay_with": {"again": {"blue": "2h"}, **TRUST}}}, "clock.stay_with.again.blue", "looser"),
    ({"clock": {"triage": {"again": "8d", **TRUST}}}, "clock.triage.again.unrated", "looser"),
    ({"clock": {"triage": {"remind": ["50%", "-30m"], **TRUST}}}, "clock.triage.remind", "no reminder as early as -1h"),
    ({"clock": {"triage": {"remind": [], **TRUST}}}, "clock.triage.remind", "no reminder"),
    ({"clock": {"triage": {"ladder": "paper", **TRUST}}}, "clock.triage.ladder", "cannot be changed"),
    ({"clock": {"county_review": {"pause": {}, **TRUST}}}, "clock.county_review.pause", "cannot be changed"),
    ({"clock": {"triage": {"within": {"red": "3h"}}}}, "clock.triage.source", "without source and mark"),
    ({"clock": {"triag": {"within": "2h", **TRUST}}}, "clock.triag", 'Did you mean "triage"'),
    ({"ladder": {"safety": EARLIER[1:], **TRUST}}, "ladder.safety[1]", "nothing here does"),
    ({"ladder": {"safety": [*EARLIER[:3], {"every": "7h", "tell": ["tier_holder"]}], **TRUST}}, "ladder.safety[4]", "every 6h"),
    ({"ladder": {"safety": [{"at": "0m", "raise": "school"}, *EARLIER[1:]], **TRUST}}, "ladder.safety[1]", "at 0m"),
    ({"ladder": {"above": [{"at": "0m", "raise": "city"}, {"every": "1h", "tell": ["tier_holder"]}], **TRUST}}, "ladder.above[1]", "at 0m"),
    ({"ladder": {"extra": EARLIER, **TRUST}}, "ladder.extra", "no such ladder"),
    ({"cue": {"means": {"floor": "orange"}, **TRUST}}, "cue.means.floor", "orange is looser than red"),
    ({"hold": {"red": "31m", **TRUST}}, "hold.red", "looser"),
    ({"terminal": {"every": "16m", **TRUST}}, "terminal.every", "looser"),
    ({"terminal": {"to": ["operator"], **TRUST}}, "terminal.to", "cannot be changed"),
    ({"closure": {"by_peak": {"red": "city_one"}, **TRUST}}, "closure.by_peak.red", "city_one is looser than city_panel"),
    ({"closure": {"sample": {"yellow": 9}, **TRUST}}, "closure.sample.yellow", "9 is looser than 10"),
    ({"closure": {"stable_for": {"red": "179d"}, **TRUST}}, "closure.stable_for.red", "looser"),
    ({"instead": {"counselor": ["school_duty"]}}, "instead", "not for a policy that extends"),
    ({"risk": {"unrated_counts_as": "yellow"}}, "risk", "not for a policy that extends"),
    ({"holder": {}}, "holder", "not for a policy that extends"),
    ({"clok": {}}, "clok", 'Did you mean "clock"'),
    ({"for": ["no_such_v1"]}, "for", "not known"),
    ({"clock": {"triage": 5}}, "clock.triage", "table"),
    ({"clock": []}, "clock", "table"),
]


@pytest.mark.parametrize("own", STRICTER, ids=str)
def test_a_county_may_be_stricter(doc: dict[str, Any], own: dict[str, Any]) -> None:
    assert extended(doc, own).id == "county_v1"


@pytest.mark.parametrize(("own", "key", "word"), LOOSER, ids=[case[1] for case in LOOSER])
def test_a_county_may_not_be_looser(doc: dict[str, Any], own: dict[str, Any], key: str, word: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        extended(doc, own)
    assert (caught.value.file, caught.value.key) == (OWN, key)
    assert word in str(caught.value)


def test_one_stricter_number_leaves_the_others_and_keeps_the_weaker_mark(doc: dict[str, Any], policy: Policy) -> None:
    found = extended(doc, {"clock": {"triage": {"within": {"red": "3h"}, **TRUST}}})
    assert found.clocks["triage"].within == {**policy.clocks["triage"].within, Risk.RED: Span(3, "h")}
    assert found.clocks["triage"].mark == "D"
    assert found.clocks["triage"].source.startswith("a county's own; the rest as in default_v1: ")
    assert found.clocks["plan"] == policy.clocks["plan"]


def test_xinyang_keeps_every_default_or_is_stricter_and_says_whose_words_it_follows(policy: Policy) -> None:
    found = parse_policy(load_policy_doc("xinyang_v1"), "xinyang_v1.toml")
    assert found.clocks["triage"].within[Risk.RED] == Span(2, "h")
    assert found.sample[Risk.YELLOW] == 20
    assert set(policy.cues) < set(found.cues)
    assert "信阳市教育体育局 2023-05-25" in found.clocks["triage"].source
    assert found.clocks["triage"].mark == "D"
    assert found.holder[Tier.CITY] == "city_officer"
