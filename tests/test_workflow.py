"""The main line as a graph and a ladder that can be walked, and every workflow file in which a case could be lost being refused."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from crisis_engine.core.check import GUARD_ARGUMENT, KNOWN_GUARDS, check_workflow
from crisis_engine.core.errors import CommandRejected, DefinitionError
from crisis_engine.core.guard import GUARDS
from crisis_engine.core.model import TIERS, Risk, Tier
from crisis_engine.core.parse_workflow import parse_workflow
from crisis_engine.core.policy import Policy
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.workflow import ClockDef, MoveDef, Workflow, tier_ladder
from crisis_engine.definitions import load_access, load_procedure, load_workflow_doc

FILE = "school_crisis_v1.toml"
GONE: Any = object()
"""Stands for a key that is taken out."""


def changed(doc: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 (whatever TOML can say)
    """Return a copy of a document in which the value at a dotted path is another, or GONE."""
    copied: dict[str, Any] = copy.deepcopy(dict(doc))
    *parents, last = path.split(".")
    table: Any = copied
    for name in parents:
        table = table[int(name)] if isinstance(table, list) else table.setdefault(name, {})
    if value is GONE:
        del table[last]
    elif isinstance(table, list):
        table[int(last)] = value
    else:
        table[last] = value
    return copied


@pytest.fixture(scope="module")
def doc() -> dict[str, Any]:
    return load_workflow_doc("school_crisis_v1")


@pytest.fixture(scope="module")
def procedure() -> Procedure:
    return load_procedure()


@pytest.fixture(scope="module")
def workflow(procedure: Procedure) -> Workflow:
    return procedure.workflow


def load(doc: Mapping[str, Any]) -> Workflow:
    found = parse_workflow(doc, FILE)
    check_workflow(found, FILE)
    return found


# ---- what the shipped main line says --------------------------------------------------------------------------------------


def test_the_main_line_leads_from_a_peers_word_to_the_citys_closure(procedure: Procedure) -> None:
    stage = procedure.workflow.start
    for move, to in (
        ("acknowledge", "acknowledged"), ("start_assessment", "assessing"), ("assess", "triaging"), ("triage", "planning"),
        ("plan", "intervening"), ("contact", "intervening"), ("step_down", "follow_up"), ("request_closure", "closure_requested"),
        ("county_agree", "county_reviewed"), ("city_pass", "closed"), ("reopen", "assessing"),
    ):
        stage = procedure.graph.step(stage, move)
        assert stage == to, move


def test_a_signal_takes_a_closure_back_to_follow_up_by_the_engine_alone(procedure: Procedure) -> None:
    move = procedure.workflow.moves["signal_stops_closure"]
    assert move.engine_only
    assert move.when == "signal"
    assert procedure.graph.step("county_reviewed", move.name) == "follow_up"


def test_a_refused_ending_is_assessed_again(procedure: Procedure) -> None:
    assert procedure.graph.step("ending", "refuse_end") == "assessing"


def test_both_words_from_outside_are_signals_and_a_note_is_none(workflow: Workflow) -> None:
    assert {move.name for move in workflow.moves.values() if move.signal} == {"signal", "danger_now"}


def test_every_label_is_there_in_both_languages(workflow: Workflow) -> None:
    labels = [workflow.label, *(stage.label for stage in workflow.stages.values()), *(clock.label for clock in workflow.clocks.values())]
    labels += [move.label for move in workflow.moves.values()]
    labels += [field.label for move in workflow.moves.values() for field in move.fields]
    labels += [label for values in workflow.choices.values() for label in values.values()]
    assert all(label["zh"] and label["en"] for label in labels)


def test_there_are_nine_kinds_of_mandatory_report(workflow: Workflow) -> None:
    assert len(workflow.choices["mandatory_kind"]) == 9
    assert all(field.secrecy == 4 for field in workflow.moves["mandatory_reported"].fields)


def meeting(workflow: Workflow, clock: ClockDef, stage: str) -> list[MoveDef]:
    return [move for move in workflow.moves.values() if clock.name in move.meets and stage in move.from_stages]


def can_meet(policy: Policy, move: MoveDef, role: str) -> bool:
    """Whether a role may make the move, itself or as stand-in of a role that may."""
    return role in move.by or (move.instead and any(role in policy.instead.get(named, ()) for named in move.by))


def test_whoever_a_clock_may_fall_to_can_meet_it_in_every_stage(procedure: Procedure) -> None:
    """The doer, the stand-ins, the counterpart after a take-over, and whoever answers at the levels above when a duty is vacant."""
    workflow, policy, access = procedure.workflow, procedure.policy, load_access()
    fallen: list[str] = []
    for clock in workflow.clocks.values():
        if clock.who in {"tier_holder", "second_signer"}:
            continue  # tier_holder stands in `by` itself; a second signer answers the proposal
        first = ("class_teacher", *policy.instead["class_teacher"])
        doers = {"first_receiver": first, "on_site": policy.on_site}.get(clock.who, (clock.who,))
        for stage in clock.stages or [name for name, stage in workflow.stages.items() if stage.final is None]:
            for doer in doers:
                level = access.roles[doer].level
                above = [role for tier, role in policy.holder.items() if tier is not Tier.PEER and tier.rank > Tier(level).rank]
                falls_to = {doer, *policy.instead.get(doer, ()), *policy.counterpart.get(doer, {}).values(), *above}
                fallen += [
                    f"{clock.name} in {stage}: {role}"
                    for role in falls_to
                    if not any(can_meet(policy, move, role) for move in meeting(workflow, clock, stage))
                ]
    assert fallen == []


# ---- the machines ---------------------------------------------------------------------------------------------------------


def test_the_graph_and_the_file_say_the_same_of_every_stage_and_move(procedure: Procedure) -> None:
    for stage in procedure.workflow.stages:
        for move in procedure.workflow.moves.values():
            if stage in move.from_stages:
                assert procedure.graph.step(stage, move.name) == (move.to or stage)
            else:
                with pytest.raises(CommandRejected):
                    procedure.graph.step(stage, move.name)


def test_an_illegal_move_names_the_moves_that_are_possible(procedure: Procedure) -> None:
    with pytest.raises(CommandRejected) as caught:
        procedure.graph.step("closed", "reopn")
    assert 'Did you mean "reopen"' in caught.value.way_out
    assert caught.value.data["possible"] == ("reopen",)


@pytest.mark.parametrize(("stage", "move"), [("nowhere", "assess"), ("closed", "os.system"), ("closed", ""), ("__class__", "trigger")])
def test_an_unknown_stage_or_move_never_reaches_the_machine(procedure: Procedure, stage: str, move: str) -> None:
    with pytest.raises(CommandRejected):
        procedure.graph.step(stage, move)


def test_the_graph_is_compiled_once_for_all_cases(procedure: Procedure) -> None:
    assert procedure.graph is procedure.graph
    assert procedure.tiers is tier_ladder()


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("to", TIERS)
def test_a_raise_takes_the_higher_tier_and_a_lowering_the_lower(tier: Tier, to: Tier) -> None:
    assert tier_ladder().raise_to(tier, to) is max(tier, to, key=lambda each: each.rank)
    assert tier_ladder().lower_to(tier, to) is min(tier, to, key=lambda each: each.rank)


# ---- what is refused ------------------------------------------------------------------------------------------------------

TWO = {"zh": "二", "en": "two"}
PARKED = {"lead": "school", "label": TWO}
WAITING = {"from": ["follow_up"], "to": "parked", "by": ["counselor"], "label": TWO}

BROKEN: list[tuple[str, Any, str, str]] = [
    # what is changed, to what, the key that the error names, a word of the error
    ("format", 2, "format", "1 to 1"),
    ("name", "School-Crisis", "name", "not a name"),
    ("name", GONE, "name", "missing"),
    ("version", True, "version", "whole number"),
    ("colour", "red", "colour", "not known"),
    ("start", "reportd", "start", 'Did you mean "reported"'),
    ("start", "closed", "move.report.to", "lead to the start"),
    ("again", "signl", "again", 'Did you mean "signal"'),
    ("again", "assess", "again", "second report"),
    ("label.en", GONE, "label.en", "missing"),
    ("stage", {}, "stage", "nothing stands here"),
    ("stage", [], "stage", "must be a table"),
    ("stage.assessing.label.zh", GONE, "stage.assessing.label.zh", "missing"),
    ("stage.assessing.label.en", " ", "stage.assessing.label.en", "text"),
    ("stage.assessing.lead", "shcool", "stage.assessing.lead", 'Did you mean "school"'),
    ("stage.assessing.final", "closed", "stage.assessing.lead", "either a lead or a final"),
    ("stage.assessing.leed", "school", "stage.assessing.leed", 'Did you mean "lead"'),
    ("stage.Parked", PARKED, "stage.Parked", "not a name"),
    ("stage.parked", PARKED, "stage.parked", "no path leads to this stage"),
    ("sets_of_stages.closing", ["closure_requestd"], "sets_of_stages.closing", "closure_requested"),
    ("sets_of_stages.closed", ["closed"], "sets_of_stages.closed", "has this name already"),
    ("clock.triage.in", ["triagng"], "clock.triage.in", 'Did you mean "triaging"'),
    ("clock.triage.in", [], "clock.triage.in", "no stage"),
    ("clock.triage.in", GONE, "clock.triage", "exactly once when"),
    ("clock.triage.in", ["closed", "triaging"], "clock.triage.in", "final stage"),
    ("clock.triage.in", ["planning", "triaging"], "clock.triage", "no move meets this clock in planning"),
    ("clock.triage.while", "danger", "clock.triage", "exactly once when"),
    ("clock.stay_with.while", "dangr", "clock.stay_with.while", 'Did you mean "danger"'),
    ("clock.triage.who", "peer", "clock.triage.who", "pupil"),
    ("clock.triage.who", "student@addressee", "clock.triage.who", "pupil"),
    ("clock.triage.who", "counselor@home", "clock.triage.who", "nobody"),
    ("clock.triage.who", "os.system", "clock.triage.who", "not a name"),
    ("clock.triage.kind", "safty", "clock.triage.kind", 'Did you mean "safety"'),
    ("clock.handled_signal.once.on", ["signals"], "clock.handled_signal.once.on", 'Did you mean "signal"'),
    ("clock.handled_signal.once.from_risk", "red", "clock.handled_signal.once", "on moves or from a risk"),
    ("clock.county_told.once.from_risk", "unrated", "clock.county_told.once.from_risk", "not known"),
    ("danger", GONE, "danger", "not defined"),
    ("danger.tier", "above", "danger.tier", "not known"),
    ("clock.stay_with", GONE, "move.child_is_safe.meets", "not known"),
    ("choice.end_reason.death.zh", GONE, "choice.end_reason.death.zh", "missing"),
    ("choice.end_reason", {}, "choice.end_reason", "without a value"),
    ("field_label.because.zh", GONE, "field_label.because.zh", "missing"),
    ("field_label.because", GONE, "label", "missing"),
    ("forms.facts.fields.0.type", "txt", "forms.facts.fields[1].type", 'Did you mean "text"'),
    ("forms.facts.fields.0.secrecy", 5, "forms.facts.fields[1].secrecy", "0 to 4"),
    ("forms.facts.fields.0.secrecy", GONE, "forms.facts.fields[1].secrecy", "missing"),
    ("move.report.form", "fact", "move.report.form", 'Did you mean "facts"'),
    ("move.report.from", "open", "move", "exactly one move opens a case, here: none"),
    ("move.assess.from", [], "move", "exactly one move opens a case"),
    ("move.assess.to", "triagin", "move.assess.to", 'Did you mean "triaging"'),
    ("move.assess.to", GONE, "stage.triaging", "no path leads to this stage"),
    ("move.assess.by", [], "move.assess.by", "nobody"),
    ("move.assess.meets", ["asessment"], "move.assess.meets", 'Did you mean "assessment"'),
    ("move.assess.meets", ["acknowledge"], "clock.assessment", "no move meets this clock"),
    ("move.assess.tier", "scool", "move.assess.tier", 'Did you mean "school"'),
    ("move.assess.sets.rsk", "red", "move.assess.sets.rsk", 'Did you mean "risk"'),
    ("move.assess.sets.risk", "field:plan", "move.assess.sets.risk", "risk"),
    ("move.assess.sets.risk", "redd", "move.assess.sets.risk", "cannot be set"),
    ("move.assess.sets.risk", 3, "move.assess.sets.risk", "cannot be set"),
    ("move.assess.needs", ["rate"], "move.assess.needs", 'Did you mean "rated"'),
    ("move.assess.needs", ["os.system"], "move.assess.needs", "no guard"),
    ("move.assess.needs", ["rated:red"], "move.assess.needs", "wrong argument"),
    ("move.step_down.needs", ["risk_below:rd"], "move.step_down.needs", 'Did you mean "red"'),
    ("move.step_down.needs", ["risk_below"], "move.step_down.needs", "wrong argument"),
    ("move.county_agree.needs", ["not_actor_of:request_closur"], "move.county_agree.needs", "request_closure"),
    ("move.assess.needs", "rated", "move.assess.needs", "list of texts"),
    ("move.assess.needs", ["rated", "rated"], "move.assess.needs", "twice"),
    ("move.assess.fields.1.of", "yes_no", "move.assess.fields[2].of", "yes_no_unknown"),
    ("move.assess.fields.1.name", "risk", "move.assess.fields", "one name"),
    ("move.assess.after", "os.system", "move.assess.after", "not known"),
    ("move.exclude.second", GONE, "move.exclude.second", "two persons"),
    ("move.city_pass.second", ["actor_of:county_agre"], "move.city_pass.second", "county_agree"),
    ("move.danger_over.second", GONE, "move.danger_over.second", "two persons"),
    ("move.withhold_from_guardian.second", GONE, "move.withhold_from_guardian.second", "two persons"),
    ("move.exclude.by", ["peer"], "move.exclude.second", "pupil"),
    ("move.raise_risk.by", ["peer"], "move.raise_risk.by", "pupil"),
    ("move.triage.by", ["engine", "vice_principal"], "move.triage.by", "engine"),
    ("move.raise_risk.fields.0.secrecy", 1, "move.raise_risk.fields", "secrecy 2 at least"),
    ("move.exclude_person.fields.0.secrecy", 3, "move.exclude_person.fields", "secrecy 4 at least"),
    ("move.withhold_from_guardian.fields.0.secrecy", 2, "move.withhold_from_guardian.fields", "secrecy 4 at least"),
    ("danger.tells", [], "danger.tells", "nobody hears"),
    ("danger.shows", GONE, "danger.shows", "without a number"),
    ("clock.handled_signal.once", {"on": ["danger_now"]}, "again", "look at a second report"),
    ("stage.closed.final", "merged", "move.close_at_county.to", "only a move that merges"),
    ("move.acknowledge.by", ["class_teacher", "peer"], "move.acknowledge.by", "speaks up"),
    ("move.acknowledge.by", ["class_teacher", "engine"], "move.acknowledge.by", "for people"),
    ("clock.handled_signal.once", {"on": ["assess"]}, "move.signal_stops_closure.needs", "would never refuse"),
    ("move.hand_back.by", ["engine"], "move.hand_back.by", "software raises, people lower"),
    ("move.danger_over.sets", {"danger": False, "risk": "blue"}, "move.danger_over.sets.risk", "lower"),
    ("move.acknowledge.when", "signal", "move.acknowledge.when", "engine"),
    ("move.pause_clock.fields.0.type", "text", "move.pause_clock.fields", "about which clock"),
    ("move.confirm", WAITING, "move.confirm", "answers a proposal"),
    ("move.os_system", {**WAITING, "to": "os.system"}, "move.os_system.to", "not known"),
    ("move.assess.label", "评估", "move.assess.label", "table"),
]


@pytest.mark.parametrize(("path", "value", "key", "word"), BROKEN, ids=[case[2] for case in BROKEN])
def test_a_broken_workflow_is_refused_with_file_key_and_reason(doc: dict[str, Any], path: str, value: object, key: str, word: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        load(changed(doc, path, value))
    assert caught.value.file == FILE
    assert caught.value.key.endswith(key) if key == "label" else caught.value.key == key
    assert word in str(caught.value)


def test_an_open_stage_without_a_standing_clock_is_refused(doc: dict[str, Any]) -> None:
    parked = changed(changed(doc, "stage.parked", PARKED), "move.park", WAITING)
    leaving = changed(parked, "move.unpark", {**WAITING, "from": ["parked"], "to": "follow_up"})
    with pytest.raises(DefinitionError) as endless:
        load(parked)
    with pytest.raises(DefinitionError) as forgotten:
        load(leaving)
    assert endless.value.key == "stage.parked"
    assert "no path leads from this stage to an end" in str(endless.value)
    assert forgotten.value.key == "stage.parked"
    assert "without a standing clock" in str(forgotten.value)


def test_a_clock_that_only_the_engine_could_meet_is_refused(doc: dict[str, Any]) -> None:
    by_engine = changed(changed(doc, "move.triage.by", ["engine"]), "move.triage.second", GONE)
    with pytest.raises(DefinitionError, match="no move meets this clock in triaging"):
        load(by_engine)


def test_open_means_every_stage_that_is_not_final(workflow: Workflow) -> None:
    assert workflow.moves["signal"].from_stages == {name for name, stage in workflow.stages.items() if stage.final is None}


def test_a_field_may_carry_its_own_label_or_take_the_files_word(workflow: Workflow) -> None:
    pause = {field.name: field.label for field in workflow.moves["pause_clock"].fields}
    assert pause["reason"]["en"] == "why it pauses"
    assert pause["until"] == {"zh": "截至", "en": "until"}


def test_each_guard_stands_once_and_only_named_ones_take_an_argument() -> None:
    assert len(set(KNOWN_GUARDS)) == len(KNOWN_GUARDS)
    assert set(GUARD_ARGUMENT) <= set(KNOWN_GUARDS)
    assert set(KNOWN_GUARDS) == set(GUARDS)


def test_danger_is_red_and_wakes_the_school_and_the_county(workflow: Workflow) -> None:
    assert workflow.danger is not None
    assert workflow.danger.risk is Risk.RED
    assert {"class_teacher", "counselor", "leading_group", "county_duty"} <= set(workflow.danger.tells)
    assert workflow.danger.shows == ("110", "120", "12356")


def test_a_case_cannot_begin_at_its_end(doc: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="cannot begin at its end") as caught:
        load(changed(changed(doc, "start", "closed"), "move.report.to", "closed"))
    assert caught.value.key == "start"


def test_a_danger_during_which_no_clock_runs_is_refused(doc: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="no clock runs while there is danger") as caught:
        load(changed(doc, "clock.stay_with.while", "raised"))
    assert caught.value.key == "danger"


@pytest.mark.parametrize(("opens", "key"), [("field:trak", "move.note.opens"), ("os.system", "move.note.opens")])
def test_a_track_is_opened_by_name_or_by_a_field_that_is_there(doc: dict[str, Any], opens: str, key: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        load(changed(doc, "move.note.opens", [opens]))
    assert caught.value.key == key
    assert load(changed(doc, "move.note.opens", ["guardian_v1", "field:text"])).moves["note"].opens == ("guardian_v1", "field:text")
