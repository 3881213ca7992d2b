"""The county's experts beside a school (县专家团队): assigned, panels with votes, an emergency by the checklist, review and drills."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from crisis_engine import BadInput, CommandRejected, NotAllowed, NotFound
from crisis_engine.core.check import check_together
from crisis_engine.core.errors import DefinitionError
from crisis_engine.core.guard import refusals
from crisis_engine.core.parse_policy import parse_policy
from crisis_engine.core.parse_workflow import parse_workflow
from crisis_engine.definitions import load_access, load_policy_doc, load_workflow_doc
from crisis_engine.engine.worlds import stored_case

from .story import (
    COUNSELOR,
    COUNTY_DUTY,
    COUNTY_EXPERT,
    COUNTY_OFFICER,
    NIGHT_DUTY,
    PEER,
    PRINCIPAL,
    SCHOOL,
    VICE_PRINCIPAL,
    City,
    Story,
)

ITEMS = ("somebody_with_child", "means_removed", "others_away", "called_120_110", "guardian_reached", "one_voice",
         "facts_written", "next_hours")


def asked(city: City, risk: str = "red") -> tuple[Story, Story]:
    case = city.report(PEER).reach("intervening", risk)
    view = city.engine.open_case("joint_intervention_v1", by=VICE_PRINCIPAL, parent=case.number, fields={"because": "校内力量不足"})
    return case, Story(city, view.number)


def working(city: City) -> Story:
    return asked(city)[1].act(COUNTY_OFFICER, "assign", members=[COUNTY_EXPERT])


def on_site(city: City) -> Story:
    return working(city).act(COUNSELOR, "emergency", roles="陪护：班主任；对外：校长")


def test_the_county_assigns_an_expert_who_then_has_the_work(city: City) -> None:
    case, joint = asked(city)
    assert (joint.tier, joint.who("joint_assign")) == ("county", COUNTY_OFFICER)
    assert joint.due("joint_assign") == city.clock() + timedelta(hours=2)
    joint.act(COUNTY_OFFICER, "assign", members=[COUNTY_EXPERT])
    assert (joint.stage, joint.who("joint_panel")) == ("working", COUNTY_EXPERT)
    assert COUNTY_EXPERT in joint.heard()
    assert ("track", joint.number) in case.links()


def test_nobody_is_assigned_who_is_no_expert_or_whom_the_case_concerns(city: City) -> None:
    case, joint = asked(city)
    assert "county_expert" in str(joint.refused(CommandRejected, COUNTY_OFFICER, "assign", members=[COUNSELOR]))
    joint.refused(NotFound, COUNTY_OFFICER, "assign", members=["p-nobody"])
    case.act(COUNSELOR, "exclude_person", person=[COUNTY_EXPERT], because="是学生亲属")
    joint.refused(CommandRejected, COUNTY_OFFICER, "assign", members=[COUNTY_EXPERT])


def test_a_panel_keeps_minutes_votes_and_dissent_and_the_next_one_is_due(city: City) -> None:
    joint = working(city)
    first = joint.due("joint_panel")
    form = {"minutes": "会议纪要", "decision": "继续在校干预", "in_favour": [COUNTY_EXPERT, COUNSELOR], "against": [VICE_PRINCIPAL],
            "dissent": "建议住院评估"}
    joint.refused(BadInput, COUNTY_EXPERT, "panel", members=[COUNTY_EXPERT, COUNSELOR], **form)
    joint.act(COUNTY_EXPERT, "panel", members=[COUNTY_EXPERT, COUNSELOR, VICE_PRINCIPAL], **form)
    assert first == city.clock() + timedelta(hours=24)
    assert joint.due("joint_panel") == city.clock() + timedelta(days=7)
    kept = next(line for line in joint.history(by=COUNTY_EXPERT) if line.get("move") == "panel")
    assert kept["fields"]["dissent"] == "建议住院评估"
    assert kept["fields"]["against"] == [VICE_PRINCIPAL]


def test_an_emergency_shows_the_numbers_tells_everybody_and_is_ticked_off_item_by_item(city: City) -> None:
    joint = on_site(city)
    assert joint.shows[:3] == ("110", "120", "12356")
    assert joint.heard() >= {COUNTY_EXPERT, COUNTY_DUTY, PRINCIPAL}
    assert joint.due("joint_on_site") == city.clock() + timedelta(minutes=30)
    joint.act(COUNSELOR, "tick", items=ITEMS[:3])
    refused = joint.refused(CommandRejected, COUNTY_EXPERT, "hand_over", handed_to="家长", note="平稳")
    assert "called_120_110" in str(refused)
    assert "means_removed" not in str(refused)
    joint.refused(BadInput, COUNSELOR, "tick", items=["no_such_item"])
    joint.act(NIGHT_DUTY, "tick", items=ITEMS[2:]).act(COUNTY_EXPERT, "hand_over", handed_to="家长", note="平稳")
    assert (joint.stage, joint.who("joint_review")) == ("handed_over", COUNTY_OFFICER)
    joint.act(COUNTY_OFFICER, "review", members=[COUNTY_EXPERT, PRINCIPAL], learned="夜间值班应更早到场")
    assert joint.stage == "working"


def test_a_second_emergency_begins_its_checklist_anew(city: City) -> None:
    joint = on_site(city).act(COUNSELOR, "tick", items=list(ITEMS)).act(COUNTY_EXPERT, "hand_over", handed_to="家长", note="平稳")
    joint.act(COUNTY_OFFICER, "review", members=[COUNTY_EXPERT], learned="x").act(COUNSELOR, "emergency", roles="同前")
    joint.refused(CommandRejected, COUNTY_EXPERT, "hand_over", handed_to="家长", note="平稳")


def test_an_emergency_of_which_nothing_is_heard_climbs_within_minutes(city: City) -> None:
    joint = on_site(city)
    city.wait(minutes=45)
    assert joint.tier == "city"


def test_the_work_ends_by_two_and_holds_the_case_until_then(city: City) -> None:
    case, joint = asked(city, risk="yellow")
    joint.act(COUNTY_OFFICER, "assign", members=[COUNTY_EXPERT])
    case.act(COUNSELOR, "step_down")
    city.skip(days=40)
    case.meet()
    assert "joint_intervention" in str(case.refused(CommandRejected, VICE_PRINCIPAL, "request_closure", reason="x", evidence="x"))
    joint.agreed(COUNTY_EXPERT, VICE_PRINCIPAL, "finish", because="学校可自行跟进")
    assert joint.case.final == "closed"
    case.ask_closure()


def test_a_drill_goes_by_the_same_checklist_and_names_no_child(city: City) -> None:
    view = city.engine.open_case("drill_v1", by=VICE_PRINCIPAL, unit=SCHOOL, fields={"by_day": "2026-03-31"})
    drill = Story(city, view.number)
    assert (drill.tier, drill.who("drill_run"), drill.case.subject) == ("school", PRINCIPAL, None)
    drill.refused(CommandRejected, PRINCIPAL, "finish_drill")
    drill.act(COUNSELOR, "tick", items=list(ITEMS)).act(PRINCIPAL, "finish_drill")
    drill.agreed(PRINCIPAL, VICE_PRINCIPAL, "review", learned="对讲机不够")
    assert drill.case.final == "closed"
    with pytest.raises(BadInput):
        city.engine.open_case("drill_v1", by=VICE_PRINCIPAL, subject="stu-42", fields={})


def test_a_checklist_that_the_policy_lacks_is_refused() -> None:
    doc = load_policy_doc("default_v1")
    workflow = parse_workflow(load_workflow_doc("drill_v1"), "drill_v1.toml")
    without = parse_policy({**doc, "checklist": {"other": {"source": "x", "mark": "D", "one": {"zh": "一", "en": "one"}}}}, "own.toml")
    with pytest.raises(DefinitionError, match="no checklist"):
        check_together(workflow, without, load_access(), files=("drill_v1.toml", "own.toml"), other_clocks=set(without.clocks))
    with pytest.raises(DefinitionError, match="without an item"):
        parse_policy({**doc, "checklist": {"other": {"source": "x", "mark": "D"}}}, "own.toml")


# ---- experts by load --------------------------------------------------------------------------------------------------------------------

CITY_EXPERT = "p-5"


def load(city: City, joint: Story, by: str = COUNTY_OFFICER, move: str = "assign") -> dict[str, int]:
    return {one.person: one.load for one in city.engine.candidates(joint.number, move, by=by)}


def test_whoever_assigns_sees_how_many_open_cases_each_expert_has(city: City) -> None:
    _, first = asked(city)
    assert load(city, first)[COUNTY_EXPERT] == 0
    first.act(COUNTY_OFFICER, "assign", members=[COUNTY_EXPERT])
    other = city.report("p-72", subject="stu-41").reach("intervening", "red")
    second = Story(city, city.engine.open_case("joint_intervention_v1", by=VICE_PRINCIPAL, parent=other.number,
                                               fields={"because": "校内力量不足"}).number)
    found = city.engine.candidates(second.number, "assign", by=COUNTY_OFFICER)
    assert [one.load for one in found] == sorted(one.load for one in found)
    assert load(city, second)[COUNTY_EXPERT] == 1, "a member, and the panel's clock, of one case"

    second.act(COUNTY_OFFICER, "assign", members=[CITY_EXPERT])
    assert load(city, second, move="reassign")[CITY_EXPERT] == 1
    second.act(COUNTY_OFFICER, "reassign", members=[COUNTY_EXPERT], because="更合适")
    assert load(city, second, move="reassign")[CITY_EXPERT] == 0, "who was named last counts"


def test_who_is_concerned_or_away_is_left_out_and_nothing_says_why(city: City) -> None:
    case, joint = asked(city)
    everybody = set(load(city, joint))
    case.act(COUNSELOR, "exclude_person", person=[COUNTY_EXPERT], because="是学生亲属")
    assert set(load(city, joint)) == everybody - {COUNTY_EXPERT}
    city.engine.add_absence(person=CITY_EXPERT, begins_at=city.clock(), ends_at=city.clock() + timedelta(days=1), by="p-3")
    assert set(load(city, joint)) == everybody - {COUNTY_EXPERT, CITY_EXPERT}


def test_a_case_that_whoever_assigns_must_not_know_of_is_not_counted(city: City) -> None:
    case, joint = asked(city)
    joint.act(COUNTY_OFFICER, "assign", members=[COUNTY_EXPERT])
    case.act(COUNSELOR, "exclude_person", person=[COUNTY_OFFICER], because="是学生亲属")
    other = city.report("p-72", subject="stu-41").reach("intervening", "red")
    second = Story(city, city.engine.open_case("joint_intervention_v1", by=VICE_PRINCIPAL, parent=other.number,
                                               fields={"because": "校内力量不足"}).number)
    assert load(city, second)[COUNTY_EXPERT] == 0


def test_only_who_may_make_the_move_asks_who_can_be_named(city: City) -> None:
    _, joint = asked(city)
    for by, error in ((COUNSELOR, NotAllowed), (PEER, NotAllowed), ("p-111", NotAllowed)):
        with pytest.raises(error):
            city.engine.candidates(joint.number, "assign", by=by)
    with pytest.raises(BadInput, match="Did you mean 'assign'"):
        city.engine.candidates(joint.number, "asign", by=COUNTY_OFFICER)
    assert city.engine.candidates(joint.number, "not_needed", by=COUNTY_OFFICER) == []


@pytest.mark.parametrize(("loads", "named", "refused"), [
    ({"a": 5, "b": 4}, ["a"], True), ({"a": 5, "b": 4}, ["a", "b"], False), ({"a": 5, "b": 5}, ["a"], False),
    ({"a": 4, "b": 9}, ["a"], False), ({"a": 6, "b": 0, "c": 5}, ["a", "c"], True), ({}, ["a"], False),
])
def test_nobody_gets_one_more_while_somebody_else_has_fewer_and_nobody_is_turned_away(
    city: City, loads: dict[str, int], named: list[str], refused: bool,  # noqa: FBT001 - one row of a table
) -> None:
    _, joint = asked(city)
    with city.engine.store.reading() as tx:
        world = city.engine._world(tx, city.clock(), COUNTY_OFFICER, stored_case(tx, joint.number))  # noqa: SLF001 - a world as the engine has it
    reasons = refusals(replace(world, loads=loads), joint.case, ("load_below:county_expert",), {"members": named})
    assert bool(reasons) is refused
