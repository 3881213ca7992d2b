"""From the assessment to the follow-up: the panel, the plan, the rhythm of contacts, reviews, up and down, and exclusion by two."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crisis_engine import BadInput, CommandRejected, NotAllowed

from .story import (
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_EXPERT,
    COUNTY_OFFICER,
    GRADE_HEAD,
    PEER,
    PRINCIPAL,
    SECOND_COUNSELOR,
    VICE_PRINCIPAL,
    City,
)

PANEL = {"members": [VICE_PRINCIPAL, COUNSELOR, CLASS_TEACHER], "minutes": "研判会纪要"}
PLAN = {"goals": "安全", "measures": "每周面谈", "safety_plan": "联系人"}


@pytest.mark.parametrize(
    ("risk", "triage"),
    [("red", "2026-03-02 11:00"), ("orange", "2026-03-03 09:00"), ("yellow", "2026-03-05 09:00"), ("blue", "2026-03-09 09:00")],
)
def test_the_assessment_rates_an_unrated_child_and_the_panel_is_due_by_that_risk(city: City, risk: str, triage: str) -> None:
    story = city.report(PEER).reach("assessing")
    city.at("09:00")
    story.assess(risk)

    assert (story.stage, story.risk, story.case.peak.value) == ("triaging", risk, risk)
    assert story.due("triage") == city.time(triage)
    assert story.who("triage") == VICE_PRINCIPAL
    assert {"triage", "contact"} <= story.clocks
    assert ("county_told" in story.clocks) is (risk == "red")
    assert ("guardian_told" in story.clocks) is True  # an unrated child counts as orange: the duty was born with the report


def test_an_assessment_below_the_present_risk_lowers_nothing_and_the_panel_decides(city: City) -> None:
    """Promise 4: software raises, people lower. What one person finds lower is for the panel (研判) to decide."""
    story = city.report(PEER, cues=["suicide_words"]).assess("yellow")
    assert (story.stage, story.risk) == ("triaging", "red")

    story.act(VICE_PRINCIPAL, "triage", risk="yellow", **PANEL)
    assert story.waits
    assert (story.stage, story.risk) == ("triaging", "red")
    assert story.who("second_person") == COUNSELOR

    story.act(COUNSELOR, "confirm")
    assert (story.stage, story.risk, story.case.peak.value) == ("planning", "yellow", "red")
    lowered = story.happened("risk_lowered")
    assert [(e.by, e.second, e.two) for e in lowered] == [(VICE_PRINCIPAL, COUNSELOR, True)]  # type: ignore[attr-defined]


def test_the_panel_raises_and_the_clocks_follow(city: City) -> None:
    story = city.report(PEER).reach("triaging", "yellow").panel("red")

    assert (story.stage, story.risk, story.case.peak.value) == ("planning", "red", "red")
    assert story.due("plan") == city.time("2026-03-03 08:00")
    assert story.due("county_told") == city.time("09:00")
    assert "triage" not in story.clocks


def test_a_panel_of_two_people_or_without_minutes_is_none(city: City) -> None:
    story = city.report(PEER).reach("triaging")

    assert "at least 3" in str(story.refused(BadInput, VICE_PRINCIPAL, "triage", risk="red", members=[COUNSELOR], minutes="纪要"))
    assert "minutes" in str(story.refused(BadInput, VICE_PRINCIPAL, "triage", risk="red", members=PANEL["members"]))
    story.refused(NotAllowed, CLASS_TEACHER, "triage", risk="red", **PANEL)


def test_the_plan_waits_until_the_guardian_was_told_or_sought_in_vain(city: City) -> None:
    story = city.report(PEER).reach("planning")
    assert "guardian" in str(story.refused(CommandRejected, COUNSELOR, "plan", **PLAN))

    story.act(CLASS_TEACHER, "guardian_unreachable", tried="三次电话")
    story.agreed(COUNSELOR, PRINCIPAL, "plan", **PLAN)

    assert story.stage == "intervening"
    assert "guardian_told" in story.clocks  # no dead end, and the duty stays


def test_the_county_plans_when_the_school_does_not(city: City) -> None:
    story = city.report(PEER).reach("planning").tell_guardian()
    story.act(PRINCIPAL, "report_to_county").act(COUNTY_EXPERT, "plan", **PLAN)
    assert story.waits
    story.act(VICE_PRINCIPAL, "confirm")

    assert story.stage == "intervening"


@pytest.mark.parametrize(("risk", "days"), [("red", 1), ("orange", 3), ("yellow", 7), ("blue", 30)])
def test_contacts_recur_in_the_rhythm_of_the_risk_counted_from_the_last_contact(city: City, risk: str, days: int) -> None:
    story = city.report(PEER).reach("intervening", risk)
    city.skip(hours=10)
    story.meet()
    assert story.due("contact") - city.clock() == timedelta(days=days)
    n = story.clock("contact").n
    city.skip(hours=5)
    story.meet(by=CLASS_TEACHER)

    assert story.clock("contact").n == n + 1
    assert story.due("contact") - city.clock() == timedelta(days=days)


def test_a_red_child_whom_nobody_met_reaches_the_county_half_an_hour_after_the_contact_was_due(city: City) -> None:
    """The drafts' known weak spot: a red `contact` belongs on the safety ladder, not on the two days of work."""
    story = city.report(PEER, cues=["suicide_words"]).assess("red").panel("red").tell_guardian()
    story.agreed(COUNSELOR, VICE_PRINCIPAL, "plan", **PLAN).act(COUNSELOR, "attempt", mode="phone")
    story.act(PRINCIPAL, "report_to_county").act(COUNTY_OFFICER, "hand_back", because="学校跟进")
    assert story.tier == "school"
    assert story.due("contact") == city.time("2026-03-03 08:00")

    city.at("2026-03-03 08:29")
    assert story.tier == "school"
    assert story.late == {"contact"}
    city.at("08:30")
    assert (story.tier, story.answers) == ("county", COUNTY_OFFICER)


def test_an_attempt_to_reach_is_noted_and_meets_nothing(city: City) -> None:
    story = city.report(PEER).reach("intervening")
    before = story.clock("contact")
    city.wait(hours=1)
    story.act(COUNSELOR, "attempt", mode="phone", note="无人接听").act(GRADE_HEAD, "note", text="今日按时到校")

    assert story.clock("contact") == before
    assert [e.move for e in story.happened("moved")][-2:] == ["attempt", "note"]  # type: ignore[attr-defined]


def test_a_contact_that_finds_it_worse_raises_the_risk_and_one_that_finds_it_better_is_refused(city: City) -> None:
    story = city.report(PEER).reach("intervening", "yellow")
    story.meet(risk="orange")
    assert story.risk == "orange"

    better = {"on": city.clock(), "mode": "phone", "note": "好些", "risk": "blue"}
    assert "lower_risk" in str(story.refused(CommandRejected, COUNSELOR, "contact", **better))


def test_a_review_keeps_or_raises_the_risk_and_begins_anew(city: City) -> None:
    story = city.report(PEER).reach("intervening", "yellow")
    assert story.due("review") == city.clock() + timedelta(days=30)
    city.skip(days=20)
    story.act(VICE_PRINCIPAL, "review", risk="orange", because="近期反复")

    assert story.risk == "orange"
    assert story.due("review") == city.clock() + timedelta(days=14)
    story.refused(CommandRejected, VICE_PRINCIPAL, "review", risk="blue", because="好了")


def test_step_down_and_up_again(city: City) -> None:
    story = city.report(PEER).reach("follow_up")
    assert "plan" not in story.clocks
    story.act(COUNSELOR, "step_up")

    assert story.stage == "intervening"
    assert {"contact", "review"} <= story.clocks


def test_a_red_case_does_not_step_down_before_two_people_lowered_it(city: City) -> None:
    story = city.report(PEER).reach("intervening", "red")
    assert "below red" in str(story.refused(CommandRejected, COUNSELOR, "step_down"))

    story.agreed(COUNSELOR, VICE_PRINCIPAL, "lower_risk", risk="orange", because="稳定").act(COUNSELOR, "step_down")
    assert (story.stage, story.risk, story.case.peak.value) == ("follow_up", "orange", "red")


def test_a_later_case_is_assessed_again_when_a_person_decides_so(city: City) -> None:
    story = city.report(PEER).reach("follow_up")
    city.report("p-72", cues=["means"])
    assert story.stage == "follow_up"  # a signal stops a closure, not a follow-up: a person decides
    story.act(COUNSELOR, "reassess")

    assert (story.stage, story.risk) == ("assessing", "red")
    assert story.due("assessment") == city.time("09:00")


def test_exclusion_takes_two_people_after_an_assessment(city: City) -> None:
    """Promise 4: excluding is proposed by one and confirmed by another."""
    story = city.report(PEER).reach("assessing")
    assert "assessed" in str(story.refused(CommandRejected, COUNSELOR, "exclude", because="误会"))
    story.assess("blue").act(COUNSELOR, "exclude", because="误会，已核实")
    assert (story.stage, story.waits) == ("triaging", True)
    story.refused(NotAllowed, COUNSELOR, "confirm")
    story.refused(NotAllowed, SECOND_COUNSELOR, "confirm")  # not in `second`
    story.act(VICE_PRINCIPAL, "confirm")

    assert (story.stage, story.case.final) == ("excluded", "excluded")
    assert (story.case.ended_by, story.case.ended_second) == (COUNSELOR, VICE_PRINCIPAL)
    assert story.case.clocks == ()


def test_nobody_excludes_a_child_in_danger_or_with_a_signal_that_nobody_handled(city: City) -> None:
    danger = city.report(PEER, subject="stu-41").reach("triaging", "yellow").act(CLASS_TEACHER, "danger_now")
    assert "danger" in str(danger.refused(CommandRejected, COUNSELOR, "exclude", because="误会"))

    signalled = city.report(PEER, subject="stu-43").reach("triaging", "blue")
    city.report("p-72", subject="stu-43")
    assert "signal" in str(signalled.refused(CommandRejected, COUNSELOR, "exclude", because="误会"))
    signalled.act(COUNSELOR, "signal_handled", because="同一件事").agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="误会")
    assert signalled.stage == "excluded"
