"""The prover: what is shipped holds in every situation, and each rule that is taken out ends in a story that tells what happens then."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from crisis_engine.cli import main
from crisis_engine.core import decide, move, settle
from crisis_engine.core.errors import NotFound
from crisis_engine.core.model import Risk, Tier
from crisis_engine.core.pen import Pen
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.resolve import Found, Resolver
from crisis_engine.definitions import load_access, load_policy_doc, load_procedure, load_workflow_doc
from crisis_engine.definitions import shipped as shipped_definitions
from crisis_engine.prover import Proof, as_json, prove, say_fault, stagehand, tell, vacancy
from crisis_engine.prover.silence import fall_silent, freshly_met
from crisis_engine.prover.stagehand import Made, Stagehand
from crisis_engine.prover.town import Town, worst_calendar
from crisis_engine.words import LANGUAGES
from crisis_engine.words.prover import PROVER

Doc = dict[str, Any]
MINUTE, HOUR, DAY = 60, 3600, 86_400


@cache
def shipped(workflow: str, policy: str) -> Proof:
    return prove(load_procedure(workflow, policy), load_access())


def broken(change: Callable[[Doc, Doc], object], workflow: str = "school_crisis_v1") -> Proof:
    """Return the proof of a shipped procedure after somebody changed its documents past the loader's checks."""
    flow, numbers = copy.deepcopy(load_workflow_doc(workflow)), copy.deepcopy(load_policy_doc("default_v1"))
    change(flow, numbers)
    return prove(Procedure.of(flow, numbers), load_access(), first=True)


def worst(proof: Proof, stage: str, risk: str) -> int:
    return next(int(one.after.total_seconds()) for one in proof.worst if (one.stage, one.risk.value) == (stage, risk))


# ---- what is shipped ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["default_v1", "xinyang_v1"])
@pytest.mark.parametrize("workflow", shipped_definitions()["workflows"])
def test_what_is_shipped_holds_in_every_situation(workflow: str, policy: str) -> None:
    proof = shipped(workflow, policy)
    assert [(fault.law, fault.what) for fault in proof.faults] == []
    assert {one.stage for one in proof.worst} == {
        name for name, stage in load_procedure(workflow, policy).workflow.stages.items() if stage.final is None}


def test_the_walk_comes_to_every_stage_at_every_risk_that_it_knows() -> None:
    rated = {(one.stage, one.risk) for one in shipped("school_crisis_v1", "default_v1").worst}
    for stage in ("reported", "assessing", "planning", "intervening", "follow_up", "closure_requested", "county_reviewed", "ending"):
        assert {risk for at, risk in rated if at == stage} >= {Risk.RED, Risk.ORANGE, Risk.YELLOW, Risk.BLUE}, stage


def test_the_longest_silence_is_what_the_numbers_come_to_by_hand() -> None:
    """The figures are reckoned from policies/default_v1.toml on paper: budget, ladder to the city, or the repeating rung at the city."""
    proof = shipped("school_crisis_v1", "default_v1")
    assert worst(proof, "reported", "red") == 10 * MINUTE + 2 * HOUR            # acknowledge, then `first_word` to the city
    assert worst(proof, "reported", "unrated") == 15 * MINUTE + 2 * HOUR
    assert worst(proof, "assessing", "red") == 1 * HOUR + 2 * HOUR + 6 * HOUR   # at the city already: told again by `every`
    assert worst(proof, "planning", "orange") == 2 * DAY + 3 * DAY              # plan, then `work` to the city
    assert worst(proof, "ending", "blue") == 10 * DAY + 7 * DAY                 # the cap of five working days, then `paper`
    assert worst(shipped("school_crisis_v1", "xinyang_v1"), "triaging", "red") == 2 * HOUR + 2 * HOUR + 6 * HOUR


def test_a_silent_case_of_the_proof_climbs_as_the_policy_says() -> None:
    procedure = load_procedure()
    hand = Stagehand(procedure, Town(load_access(), worst_calendar(procedure.policy)))
    made = next(made for made in hand.openings([{"facts": "x"}]) if made.case.tier is Tier.PEER)
    told = fall_silent(hand, freshly_met(hand, made.case)).told
    assert {tier: int(at.total_seconds()) // MINUTE for tier, at in told.items() if tier is not Tier.CLASS} == {
        Tier.GRADE: 15, Tier.SCHOOL: 30, Tier.COUNTY: 60, Tier.CITY: 135}


# ---- what is broken ---------------------------------------------------------------------------------------------------


def _without(*path: str) -> Callable[[Doc, Doc], object]:
    """Take one key out of the workflow's document."""
    def change(flow: Doc, _numbers: Doc) -> None:
        for name in path[:-1]:
            flow = flow[name]
        del flow[path[-1]]

    return change


def _set(value: object, *path: str | int, numbers: bool = True) -> Callable[[Doc, Doc], object]:
    def change(flow: Doc, policy: Doc) -> None:
        doc: Any = policy if numbers else flow
        for name in path[:-1]:
            doc = doc[name]
        doc[path[-1]] = value

    return change


def _drop(guard: str, move: str) -> Callable[[Doc, Doc], object]:
    return lambda flow, _numbers: flow["move"][move]["needs"].remove(guard)


LADDERS = ("first_word", "danger", "safety", "work", "paper", "above")
ONLY_TELLS = [{"at": "0m", "tell": ["vice_principal"]}, {"every": "6h", "tell": ["counselor"]}]

BROKEN: dict[str, tuple[Callable[[Doc, Doc], object], str]] = {
    "an exclusion by one person": (_without("move", "exclude", "second"), "two_end"),
    "an exclusion under danger": (_drop("no_danger", "exclude"), "end_danger"),
    "an exclusion over a new signal": (_drop("no_signal_since_proposal", "exclude"), "end_signal"),
    "an exclusion of a child whom nobody assessed": (_drop("assessed", "exclude"), "unseen"),
    "a word that does not stop the closure": (_without("move", "signal_stops_closure"), "word_closing"),
    "a second report that is no new word": (_without("move", "signal", "signal"), "void"),
    "a guardian who is not recused": (_set({"guardian": "withheld"}, "move", "withhold_from_guardian", "sets", numbers=False), "withheld"),
    "a plan that nothing signs": (_without("move", "plan", "meets"), "meet"),
    "a case that stays below its lead": (_without("move", "assess", "tier"), "below"),
    "ladders that never reach the city": (
        lambda _flow, numbers: numbers["ladder"].update(dict.fromkeys(LADDERS, ONLY_TELLS)),
        "silence"),
    "a danger without an alarm": (
        lambda _flow, numbers: [rung.pop("alarm", None) for rung in numbers["ladder"]["danger"]], "no_alarm"),
    "a red that waits longer than orange": (_set("30h", "clock", "assessment", "within", "red"), "order"),
    "a closure that the city cannot decide": (_without("move", "county_agree"), "closing"),
    "a county officer who cannot identify a child whom nobody below can": (_set(
        ["class_teacher", "grade_head", "counselor", "vice_principal", "leading_group", "city_officer"], "move", "identify", "by",
        numbers=False), "holder"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_rule_taken_out_ends_in_a_story_in_both_languages(name: str) -> None:
    change, law = BROKEN[name]
    proof = broken(change)
    assert [fault.law for fault in proof.faults] == [law]
    fault = proof.faults[0]
    for lang in LANGUAGES:
        assert say_fault(proof, fault, lang)
        assert law == "order" or tell(proof, fault, lang)
    assert json.loads(json.dumps(as_json(proof)))["faults"][0]["law"] == law


def test_a_story_says_who_did_what_after_how_long() -> None:
    proof = broken(BROKEN["an exclusion under danger"][0])
    en, zh = tell(proof, proof.faults[0], "en"), tell(proof, proof.faults[0], "zh")
    assert re.fullmatch(r"0m  .+ [AB]: report( \(.+\))?", en[0])
    assert "confirms: exclude" in en[-1]
    assert "确认「排除」" in zh[-1]
    assert len(en) == len(zh) <= 6


def test_the_core_refuses_whoever_proposed_as_the_second_person_and_the_proof_tries_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule stands in the core, so it is broken there: the proof must see it."""
    real = Stagehand.answer

    def lenient(self: Stagehand, case: Any, how: str, of: str, by: str, proposed: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        made = real(self, case, how, of, by, proposed, *args, **more)
        return made if isinstance(made, Made) or how != "confirm" else self.second(case, of, proposed)

    monkeypatch.setattr(Stagehand, "answer", lenient)
    assert [fault.law for fault in broken(lambda _flow, _numbers: None).faults] == ["same"]


# ---- every law kills something ----------------------------------------------------------------------------------------------

ALONE = {"two_lower", "two_danger", "two_withhold", "two_end"}
CLOSING = {"unquiet", "owed", "depth", "panel"}


def laws(change: Callable[[Doc, Doc], object], workflow: str = "school_crisis_v1") -> set[str]:
    """Return every law that does not hold after a change past the loader's checks."""
    flow, numbers = copy.deepcopy(load_workflow_doc(workflow)), copy.deepcopy(load_policy_doc("default_v1"))
    change(flow, numbers)
    return {fault.law for fault in prove(Procedure.of(flow, numbers), load_access()).faults}


def test_a_closure_that_asks_for_nothing_breaks_every_law_of_closing() -> None:
    def bare(flow: Doc, _numbers: Doc) -> None:
        for name in ("request_closure", "close_at_county", "city_pass"):
            flow["move"][name]["needs"] = ["no_holding_track", "no_signal_since_proposal"]

    assert laws(bare) >= CLOSING


def test_a_core_that_asks_nobody_for_a_second_signature_breaks_every_law_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "needs_second", lambda _world, _case, _move: False)
    assert laws(lambda _flow, _numbers: None) >= ALONE


def _nobody(real: Any) -> Callable[..., Found]:  # noqa: ANN401 (a method)
    return lambda self, *args, **more: replace(real(self, *args, **more), person=None)


def _never_withdrawn(real: Any) -> Callable[..., Any]:  # noqa: ANN401 (a method)
    return lambda self, case, how, *args, **more: NotFound("gone") if how == "withdraw" else real(self, case, how, *args, **more)


def _lowering(real: Any) -> Callable[..., Any]:  # noqa: ANN401 (a function)
    def due(world: Any) -> Any:  # noqa: ANN401 (a pen)
        pen = real(world)
        pen.case = replace(pen.case, risk=Risk.UNRATED, tier=Tier.PEER)
        return pen

    return due


IN_CORE: dict[str, tuple[Any, str, Callable[[Any], Any], str]] = {
    "standing": (settle, "stands", lambda _real: lambda _pen, _clock: False, "drill_v1"),
    "clock": (settle, "stands", lambda _real: lambda _pen, _clock: False, "drill_v1"),
    "answers": (Resolver, "answerer", _nobody, "drill_v1"),
    "over": (settle, "_end", lambda _real: lambda _pen: None, "drill_v1"),
    "withdraw": (Stagehand, "answer", _never_withdrawn, "drill_v1"),
    "absent": (vacancy, "_is_there", lambda _real: lambda _town, _person: False, "drill_v1"),
    "software": (stagehand, "decide_due", _lowering, "glass_review_v1"),
}
"""Laws that no definition can break: the core keeps them, so it is broken there, and the proof must see it."""


@pytest.mark.parametrize("law", IN_CORE)
def test_a_core_that_is_broken_breaks_the_law(law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    room, name, broken_by, workflow = IN_CORE[law]
    monkeypatch.setattr(room, name, broken_by(getattr(room, name)))
    assert law in laws(lambda _flow, _numbers: None, workflow)


def _endless(flow: Doc, _numbers: Doc) -> None:
    for entry in flow["move"].values():
        if entry.get("second"):
            entry["needs"] = ["danger"]


IN_FILES: dict[str, tuple[Callable[[Doc, Doc], object], str]] = {
    "danger": (_set("class", "danger", "tier", numbers=False), "school_crisis_v1"),
    "skipped": (_set("school", "ladder", "safety", 1, "raise"), "school_crisis_v1"),
    "ending": (_endless, "drill_v1"),
}


@pytest.mark.parametrize("law", IN_FILES)
def test_a_file_that_is_broken_past_the_loader_breaks_the_law(law: str) -> None:
    change, workflow = IN_FILES[law]
    found = {fault.law for fault in broken(change, workflow).faults} if workflow == "school_crisis_v1" else laws(change, workflow)
    assert law in found


@pytest.mark.parametrize(("law", "room", "name", "instead", "change"), [
    ("end_track", move, "end_with", lambda *_args, **_more: [], _drop("no_track_holds:excluded", "exclude")),
    ("unheard", settle, "_triggered", lambda _pen, clock: "proposed" in clock.once_on, lambda _flow, _numbers: None),
    ("danger_told", Pen, "tell", lambda *_args, **_more: None, lambda _flow, _numbers: None),
])
def test_a_law_that_file_and_core_keep_together_is_broken_when_neither_does(
    law: str, room: Any, name: str, instead: Any, change: Callable[[Doc, Doc], object], monkeypatch: pytest.MonkeyPatch,  # noqa: ANN401
) -> None:
    monkeypatch.setattr(room, name, instead)
    assert law in {fault.law for fault in broken(change).faults}


def test_each_law_of_the_catalogue_is_broken_by_something() -> None:
    every = {key.removeprefix("prover.law.") for key in PROVER if key.startswith("prover.law.")}
    together = {"same", "unheard", "end_track", "danger_told"}
    assert every == {law for _change, law in BROKEN.values()} | ALONE | CLOSING | together | {*IN_CORE} | {*IN_FILES}


# ---- the console --------------------------------------------------------------------------------------------------------


def test_the_console_exits_with_6_and_the_story_when_a_proof_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = (Path(__file__).parent.parent / "policies" / "default_v1.toml").read_text(encoding="utf-8")
    own = tmp_path / "mine_v1.toml"
    text = source.replace('name    = "default"', 'name    = "mine"')
    own.write_text(text.replace('orange = "4h", yellow = "24h"', 'orange = "40h", yellow = "24h"', 1), encoding="utf-8")
    assert main(["definitions", "check", str(own), "--lang", "en"]) == 6
    said = capsys.readouterr().out
    assert "not proven" in said
    assert "clock.assessment.within.orange" in said
    assert main(["definitions", "check", str(own), "--json"]) == 6
    found = json.loads(capsys.readouterr().out)
    assert found["sound"] == []
    assert found["proofs"][0]["faults"][0]["law"] == "order"


def test_rights_and_terms_are_checked_without_a_proof(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["definitions", "check", "access_v1", "retention_v1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["proofs"] == []
