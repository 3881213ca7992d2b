"""Closure asked by the school, reviewed by the county, evaluated by the city, by the peak risk; and every way in which it does not come."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crisis_engine import CommandRejected, NotAllowed
from crisis_engine.core.guard import is_sampled

from .story import (
    CITY_EXPERT,
    CITY_OFFICER,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_EXPERT,
    COUNTY_OFFICER,
    PEER,
    PRINCIPAL,
    SECOND_CITY_OFFICER,
    VICE_PRINCIPAL,
    City,
    Story,
)

PANEL = [CITY_OFFICER, CITY_EXPERT, "p-6"]


def requested(city: City, risk: str, *, drawn: bool) -> Story:
    """Return a closure request that the city's sample (抽查) has drawn, or has not; cases that fell otherwise are excluded again.

    policies/xinyang_v1.toml draws 10 percent of the blue closures and 20 of the yellow ones: these are drawn by both or by neither.
    """
    for _ in range(300):
        story = city.report(PEER)
        if is_sampled(story.number, 10) is drawn and is_sampled(story.number, 20) is drawn:
            return story.reach("closure_requested", risk)
        story.assess("blue").agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="误会")
    raise AssertionError("the draw never came")


@pytest.mark.parametrize("risk", ["yellow", "blue"])
def test_a_case_that_was_never_graver_is_closed_at_the_county_by_two_people(city: City, risk: str) -> None:
    """The school's applicant is the other person."""
    story = requested(city, risk, drawn=False)
    assert (story.stage, story.tier, story.answers) == ("closure_requested", "county", COUNTY_OFFICER)
    story.act(COUNTY_EXPERT, "close_at_county", opinion="同意")

    assert (story.stage, story.case.final) == ("closed", "closed")
    assert (story.case.ended_by, story.case.ended_second) == (COUNTY_EXPERT, VICE_PRINCIPAL)
    assert story.case.clocks == ()


def test_a_case_that_the_city_drew_goes_to_the_city_though_the_county_might_have_closed_it(city: City) -> None:
    """抽查: the draw is a hash of the case number, so that nobody chooses."""
    story = requested(city, "yellow", drawn=True)
    assert "抽查" in str(story.refused(CommandRejected, COUNTY_OFFICER, "close_at_county", opinion="同意"))
    story.act(COUNTY_EXPERT, "county_agree", opinion="同意")
    assert (story.stage, story.tier, story.answers) == ("county_reviewed", "city", CITY_OFFICER)
    story.act(CITY_EXPERT, "city_pass", opinion="通过")

    assert story.stage == "closed"
    assert (story.case.ended_by, story.case.ended_second) == (CITY_EXPERT, COUNTY_EXPERT)


def test_a_case_that_was_orange_once_is_the_citys_to_evaluate(city: City) -> None:
    story = city.report(PEER).reach("closure_requested", "orange")

    assert "city evaluates" in str(story.refused(CommandRejected, COUNTY_OFFICER, "close_at_county", opinion="同意"))


def test_an_orange_peak_is_closed_by_the_county_and_one_evaluator_of_the_city(city: City) -> None:
    story = city.report(PEER).reach("county_reviewed", "orange").act(CITY_OFFICER, "city_pass", opinion="通过")

    assert (story.stage, story.case.final) == ("closed", "closed")
    assert (story.case.ended_by, story.case.ended_second) == (CITY_OFFICER, COUNTY_OFFICER)
    assert story.case.closed_at == city.clock()
    city.wait(days=30)
    assert story.stage == "closed"


def test_a_red_peak_needs_a_panel_of_three_though_the_risk_is_orange_by_now(city: City) -> None:
    """Closure depth goes by `peak`, the highest risk ever."""
    story = city.report(PEER).reach("county_reviewed", "red")
    assert (story.risk, story.case.peak.value) == ("orange", "red")
    assert "panel of at least 3" in str(story.refused(CommandRejected, CITY_OFFICER, "city_pass", opinion="通过"))
    story.refused(CommandRejected, CITY_OFFICER, "city_pass", opinion="通过", members=PANEL[:2])
    story.act(CITY_OFFICER, "city_pass", opinion="通过", members=PANEL)

    assert story.stage == "closed"


@pytest.mark.parametrize(("risk", "days"), [("red", 180), ("orange", 90), ("yellow", 30), ("blue", 14)])
def test_closure_is_asked_only_after_the_quiet_days_of_the_peak(city: City, risk: str, days: int) -> None:
    story = city.report(PEER).reach("follow_up", risk)
    city.skip(days=days, minutes=-1)
    refusal = story.refused(CommandRejected, VICE_PRINCIPAL, "request_closure", reason="稳定", evidence="记录")
    assert f"{days}d without a new signal" in str(refusal)

    city.skip(minutes=1)
    story.ask_closure()
    assert (story.stage, story.tier, story.answers) == ("closure_requested", "county", COUNTY_OFFICER)
    assert story.who("county_review") == COUNTY_OFFICER
    assert "contact" in story.clocks  # the child is still met while papers wait


def test_closure_is_not_asked_while_a_duty_is_owed(city: City) -> None:
    story = city.report(PEER).reach("intervening", "orange")
    city.report("p-72")
    story.act(COUNSELOR, "step_down")
    city.skip(days=90)
    assert "handled_signal" in str(story.refused(CommandRejected, VICE_PRINCIPAL, "request_closure", reason="稳定", evidence="记录"))

    story.meet().ask_closure()
    assert story.stage == "closure_requested"


def test_the_county_returns_the_request_with_reasons_and_the_tier_goes_back_to_the_school(city: City) -> None:
    story = city.report(PEER).reach("closure_requested").act(COUNTY_OFFICER, "county_return", because="缺前后测")

    assert (story.stage, story.tier, story.answers) == ("follow_up", "school", PRINCIPAL)
    assert "county_review" not in story.clocks
    assert {"contact", "review"} <= story.clocks
    assert "缺前后测" in str(story.history(by=VICE_PRINCIPAL))


def test_the_city_returns_the_evaluation_with_reasons(city: City) -> None:
    story = city.report(PEER).reach("county_reviewed").act(CITY_EXPERT, "city_return", because="随访间隔过长")

    assert (story.stage, story.tier) == ("follow_up", "school")
    assert "city_evaluation" not in story.clocks
    story.ask_closure()
    assert story.clock("county_review").n == 2


@pytest.mark.parametrize("stage", ["closure_requested", "county_reviewed"])
def test_the_school_withdraws_its_request(city: City, stage: str) -> None:
    story = city.report(PEER).reach(stage).act(VICE_PRINCIPAL, "withdraw_closure")

    assert story.stage == "follow_up"
    assert not {"county_review", "city_evaluation"} & story.clocks


@pytest.mark.parametrize("stage", ["closure_requested", "county_reviewed"])
def test_a_new_signal_stops_a_closure_in_the_same_transaction(city: City, stage: str) -> None:
    """Promise 4 and the drafts: a signal in a closing stage stops the closure."""
    story = city.report(PEER).reach(stage)
    city.report("p-72", facts="又看到伤口", cues=["fresh_injury"])

    assert (story.stage, story.risk, story.case.peak.value) == ("follow_up", "red", "red")
    assert story.due("handled_signal") == city.clock() + timedelta(minutes=30)
    stopped = story.happened("moved", move="signal_stops_closure")
    assert [event.by for event in stopped] == ["engine"]
    assert not {"county_review", "city_evaluation"} & story.clocks
    assert COUNSELOR in story.heard()


def test_whoever_asked_for_the_closure_cannot_agree_to_it_for_the_county_or_the_city(city: City) -> None:
    """Promise 4: closing needs two different people; the database itself refuses one person."""
    story = city.report(PEER).reach("closure_requested")
    story.refused(NotAllowed, VICE_PRINCIPAL, "county_agree", opinion="同意")
    story.refused(NotAllowed, COUNSELOR, "close_at_county", opinion="同意")
    city.engine.add_absence(person=COUNTY_OFFICER, begins_at=city.clock(), ends_at=city.clock() + timedelta(days=40), by="p-9")
    city.engine.add_absence(person="p-102", begins_at=city.clock(), ends_at=city.clock() + timedelta(days=40), by="p-9")
    assert (story.tier, story.answers) == ("city", CITY_OFFICER)  # promise 3: nobody there means up, now
    story.act(CITY_OFFICER, "county_agree", opinion="县级无人，市级代办")
    assert "two persons" in str(story.refused(CommandRejected, CITY_OFFICER, "city_pass", opinion="通过"))

    story.act(SECOND_CITY_OFFICER, "city_pass", opinion="通过")
    assert story.stage == "closed"


def test_danger_in_a_closing_stage_stops_the_closure_too(city: City) -> None:
    story = city.report(PEER).reach("county_reviewed").act(CLASS_TEACHER, "danger_now", place="教学楼")

    assert (story.stage, story.case.danger, story.risk) == ("follow_up", True, "red")
    assert "stay_with" in story.clocks
    story.refused(CommandRejected, VICE_PRINCIPAL, "request_closure", reason="稳定", evidence="记录")


def test_a_closed_case_is_reopened_explicitly_at_the_school_with_its_peak_as_risk(city: City) -> None:
    story = city.report(PEER).reach("county_reviewed", "orange").act(CITY_OFFICER, "city_pass", opinion="通过")
    story.act(COUNSELOR, "reopen", because="复学后再次出现")

    assert (story.stage, story.tier, story.risk) == ("assessing", "school", "orange")
    assert (story.case.final, story.case.closed_at, story.case.ended_by) == (None, None, None)
    assert story.due("assessment") == city.clock() + timedelta(hours=4)
    assert story.answers == PRINCIPAL


def test_an_excluded_case_is_reopened_at_least_as_yellow(city: City) -> None:
    story = city.report(PEER).reach("triaging", "blue").agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="误会")
    story.act(VICE_PRINCIPAL, "reopen", because="误会不成立")

    assert (story.stage, story.risk) == ("assessing", "yellow")


def test_a_closed_case_is_not_reopened_while_the_child_has_another_open_one(city: City) -> None:
    old = city.report(PEER).reach("triaging", "blue").agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="误会")
    city.report("p-72")

    assert "another open case" in str(old.refused(CommandRejected, COUNSELOR, "reopen", because="再看"))


def test_a_report_about_a_child_whose_cases_are_all_closed_opens_a_new_case_linked_earlier_at_least_yellow(city: City) -> None:
    """The drafts: a new case, linked `earlier`, floor yellow; the old one stays closed."""
    old = city.report(PEER).reach("county_reviewed", "orange").act(CITY_OFFICER, "city_pass", opinion="通过")
    new = city.report("p-72", facts="又哭了")

    assert new.number != old.number
    assert (new.stage, new.risk, old.stage) == ("reported", "yellow", "closed")
    assert ("earlier", old.number) in new.links()


def test_another_ending_is_requested_by_the_school_and_confirmed_by_the_county(city: City) -> None:
    """Promise 4: ending otherwise takes two people; it is never `closed`."""
    story = city.report(PEER).reach("intervening")
    story.act(VICE_PRINCIPAL, "request_end", why="left_city", evidence="转学证明")
    assert (story.stage, story.tier) == ("ending", "county")
    assert story.who("confirm_end") == COUNTY_OFFICER
    assert "contact" in story.clocks
    story.refused(NotAllowed, VICE_PRINCIPAL, "confirm_end", because="自行核准")
    story.act(COUNTY_OFFICER, "confirm_end", because="已核实")

    assert (story.stage, story.case.final) == ("ended", "ended")
    assert (story.case.ended_by, story.case.ended_second) == (COUNTY_OFFICER, VICE_PRINCIPAL)


def test_the_county_that_requested_an_ending_does_not_confirm_it_itself(city: City) -> None:
    story = city.report(COUNTY_OFFICER).act(COUNTY_OFFICER, "request_end", why="lost_contact", evidence="多次走访")
    assert "two persons" in str(story.refused(CommandRejected, COUNTY_OFFICER, "confirm_end", because="核准"))

    story.act("p-102", "confirm_end", because="值班员核实")  # the policy's stand-in of the county officer
    assert story.stage == "ended"


def test_the_county_refuses_the_ending_and_the_child_is_assessed(city: City) -> None:
    story = city.report(PEER).reach("intervening").act(VICE_PRINCIPAL, "request_end", why="lost_contact", evidence="电话停机")
    story.act(COUNTY_OFFICER, "refuse_end", because="请家访")

    assert (story.stage, story.tier) == ("assessing", "school")
    assert "assessment" in story.clocks


def test_a_signal_about_a_child_who_is_said_to_have_left_stops_the_ending(city: City) -> None:
    story = city.report(PEER).reach("intervening").act(VICE_PRINCIPAL, "request_end", why="left_city", evidence="转学证明")
    city.report("p-72", facts="今天在校门口见到")
    assert story.stage == "assessing"
    story.refused(CommandRejected, COUNTY_OFFICER, "confirm_end", because="核准")

    story.act(COUNSELOR, "signal_handled", because="认错人").act(VICE_PRINCIPAL, "request_end", why="left_city", evidence="转学证明")
    story.act(COUNTY_OFFICER, "confirm_end", because="核准")
    assert story.stage == "ended"


def test_an_ending_does_not_pass_on_the_signature_of_somebody_who_was_recused_since(city: City) -> None:
    story = city.report(PEER).reach("intervening").act(VICE_PRINCIPAL, "request_end", why="left_city", evidence="转学证明")
    story.act("p-34", "exclude_person", person=VICE_PRINCIPAL, because="涉事")
    story.refused(CommandRejected, COUNTY_OFFICER, "confirm_end", because="核准")
    assert story.stage == "ending"


def test_reopening_runs_the_clocks_of_the_guardian_and_the_county_again_and_asks_for_a_new_assessment(city: City) -> None:
    story = city.report(PEER, cues=["suicide_words"])
    story.act(COUNSELOR, "assess", risk="red", ideation="no", plan="no", means="no", attempt="no")
    story.agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="误会").act(COUNSELOR, "reopen", because="又有新情况")
    assert {"guardian_told", "county_told", "assessment"} <= {clock.name for clock in story.case.clocks}
    story.refused(CommandRejected, COUNSELOR, "exclude", because="误会")


def test_after_the_end_no_move_but_reopening_is_possible_and_nothing_fires(city: City) -> None:
    story = city.report(PEER).reach("triaging", "blue").agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="误会")
    story.heard()
    city.wait(days=60)

    assert story.heard() == set()
    assert {name for name, move in story.moves(COUNSELOR).items() if move.possible} == {"reopen"}
