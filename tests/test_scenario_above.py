"""Those above: join, take over, hand back, keep watching, take in hand (催办), pause and resume; and proposals of two-person moves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crisis_engine import BadInput, CommandRejected, NotAllowed, NotFound

from .story import (
    CHILD,
    CITY_EXPERT,
    CITY_OFFICER,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_DUTY,
    COUNTY_EXPERT,
    COUNTY_OFFICER,
    GRADE_HEAD,
    PEER,
    PRINCIPAL,
    SECOND_COUNSELOR,
    VICE_PRINCIPAL,
    City,
    Story,
)


def at_the_county(city: City) -> Story:
    """Return an orange case under intervention that came to the county."""
    return city.report(PEER).reach("intervening").act(PRINCIPAL, "report_to_county")


def test_a_case_at_the_county_is_under_oversight_until_the_county_looked(city: City) -> None:
    story = at_the_county(city)
    assert story.due("oversight") == city.clock() + timedelta(hours=24)
    assert story.who("oversight") == COUNTY_OFFICER
    story.act(COUNTY_OFFICER, "join")

    assert story.tier == "county"
    assert story.due("oversight") == city.clock() + timedelta(hours=72)  # met, and armed again: it recurs


def test_an_oversight_that_nobody_does_goes_to_the_next_level_above(city: City) -> None:
    """The one relative rung: above the clock's own holder."""
    story = at_the_county(city).meet()
    city.wait(hours=24)

    assert (story.tier, story.answers) == ("city", CITY_OFFICER)
    assert story.who("oversight") == CITY_OFFICER


def test_keep_watching_meets_the_oversight_and_leaves_the_tier(city: City) -> None:
    story = at_the_county(city)
    story.refused(NotAllowed, VICE_PRINCIPAL, "keep_watching", note="学校自查")
    story.act(COUNTY_OFFICER, "keep_watching", note="学校措施得当")

    assert story.tier == "county"
    assert story.clock("oversight").n == 2


def test_the_county_takes_over_and_the_work_finds_the_countys_people(city: City) -> None:
    """Counterparts: the counselor's clocks go to the county's expert, the vice principal's to its officer."""
    story = at_the_county(city)
    assert story.who("contact") == COUNSELOR
    story.act(COUNTY_OFFICER, "take_over", because="学校无力处置")

    assert story.case.lead == "county"
    assert story.who("contact") == COUNTY_EXPERT
    assert story.who("review") == COUNTY_OFFICER
    assert COUNTY_EXPERT in story.heard()
    story.meet(by=COUNTY_EXPERT)
    assert story.clock("contact").n == 2
    assert "oversight" not in story.clocks  # who leads is not watched by itself


def test_the_county_hands_back_and_the_school_works_and_answers_again(city: City) -> None:
    story = at_the_county(city).act(COUNTY_OFFICER, "take_over", because="学校无力处置")
    story.act(COUNTY_OFFICER, "hand_back", because="学校已配齐人员")

    assert (story.case.lead, story.tier, story.answers) == (None, "school", PRINCIPAL)
    assert story.who("contact") == COUNSELOR
    assert "oversight" not in story.clocks


def test_nobody_hands_back_a_late_case_or_a_child_in_danger_or_somebody_elses_case(city: City) -> None:
    story = at_the_county(city)
    story.refused(NotAllowed, VICE_PRINCIPAL, "hand_back", because="学校自己来")
    city.skip(days=4)
    assert "late" in str(story.refused(CommandRejected, COUNTY_OFFICER, "hand_back", because="无事"))
    story.meet().act(COUNTY_OFFICER, "keep_watching", note="看过").act(CLASS_TEACHER, "danger_now")

    assert "danger" in str(story.refused(CommandRejected, COUNTY_OFFICER, "hand_back", because="无事"))


def test_the_city_takes_over_from_the_county(city: City) -> None:
    story = city.report(COUNTY_OFFICER, cues=["old_scars"]).act(CLASS_TEACHER, "pass_up", to="city")
    story.act(CITY_OFFICER, "take_over", because="跨县")

    assert (story.case.lead, story.tier, story.answers) == ("city", "city", CITY_OFFICER)
    assert story.who("assessment") == CITY_EXPERT
    story.assess("orange", by=CITY_EXPERT)
    assert story.who("triage") == CITY_OFFICER


def test_whoever_answers_takes_a_late_clock_in_hand_its_ladder_waits_and_its_lateness_stays(city: City) -> None:
    """催办: take_in_hand holds the ladder up to the policy's limit, once per level."""
    story = city.report(PEER)
    city.at("08:59")
    assert (story.tier, story.late) == ("school", {"acknowledge"})
    hold = {"clock": "acknowledge", "because": "已联系班主任"}
    assert "at most" in str(story.refused(CommandRejected, PRINCIPAL, "take_in_hand", until=city.time("09:30"), **hold))
    story.act(PRINCIPAL, "take_in_hand", until=city.time("09:29"), **hold)
    city.at("09:28")
    assert (story.tier, story.late) == ("school", {"acknowledge"})  # the county's rung of 09:00 waited
    assert "once is all" in str(story.refused(CommandRejected, PRINCIPAL, "take_in_hand", until=city.time("09:40"), **hold))

    city.at("09:29")
    assert (story.tier, story.answers) == ("county", COUNTY_OFFICER)
    story.act(COUNTY_OFFICER, "take_in_hand", until=city.time("09:59"), **hold)
    assert story.clock("acknowledge").held_until == city.time("09:59")


def test_a_hold_ends_as_soon_as_a_higher_risk_asks_and_never_grows_again(city: City) -> None:
    """A hold that yellow allowed for a day is no day's silence for a red child."""
    story = city.report(PEER, cues=["withdrawn"])
    city.at("08:46")
    assert (story.risk, story.tier, story.late) == ("yellow", "school", {"acknowledge"})
    story.act(PRINCIPAL, "take_in_hand", clock="acknowledge", until=city.clock() + timedelta(hours=24), because="已联系")
    city.at("10:00")
    story.act(CLASS_TEACHER, "raise_risk", risk="red", because="写告别信")
    assert story.clock("acknowledge").next_at == city.time("10:30")   # [hold] red: 30m from the raise

    city.at("10:10")
    story.act(CLASS_TEACHER, "danger_now")
    assert story.clock("acknowledge").next_at == city.time("10:30")
    city.at("10:30")
    assert story.clock("acknowledge").held_until is None   # its next rung fired


def test_a_pause_ends_as_soon_as_a_higher_risk_asks(city: City) -> None:
    story = city.report(PEER).reach("county_reviewed", "orange")
    until = city.clock() + timedelta(days=14)
    story.act(CITY_OFFICER, "pause_clock", clock="city_evaluation", reason="panel_cannot_meet", until=until)
    city.skip(days=1)
    story.act(COUNSELOR, "raise_risk", risk="red", because="复发")

    assert story.clock("city_evaluation").next_at == city.clock() + timedelta(days=7)   # [pause] red
    city.clock.set(city.clock() + timedelta(days=7))
    city.sweep()
    assert story.clock("city_evaluation").paused_at is None


def test_a_higher_holder_takes_in_hand_what_has_not_reached_it_only_after_it_was_told(city: City) -> None:
    story = city.report(PEER)
    city.at("08:59")

    story.refused(NotAllowed, COUNTY_OFFICER, "take_in_hand", clock="acknowledge", until=city.time("09:20"), because="看")


def test_take_in_hand_is_refused_for_a_clock_that_is_not_late_or_does_not_run(city: City) -> None:
    story = city.report(PEER).act(CLASS_TEACHER, "pass_up", to="school")
    soon = city.time("08:20")
    early = story.refused(CommandRejected, PRINCIPAL, "take_in_hand", clock="assessment", until=soon, because="看")
    assert "no clock is late" in str(early)
    city.at("08:16")
    assert "not late" in str(story.refused(CommandRejected, PRINCIPAL, "take_in_hand", clock="assessment", until=soon, because="看"))
    story.refused(NotFound, PRINCIPAL, "take_in_hand", clock="contact", until=soon, because="看")


def test_only_paper_clocks_pause_for_a_named_reason_up_to_a_date_and_once(city: City) -> None:
    story = city.report(PEER).reach("closure_requested")
    due, until = story.due("county_review"), city.clock() + timedelta(days=5)
    pause = {"clock": "county_review", "reason": "waiting_for_documents"}
    story.refused(CommandRejected, COUNTY_OFFICER, "pause_clock", clock="contact", reason="waiting_for_documents", until=until)
    story.refused(CommandRejected, COUNTY_OFFICER, "pause_clock", clock="county_review", reason="panel_cannot_meet", until=until)
    story.refused(CommandRejected, COUNTY_OFFICER, "pause_clock", until=city.clock() + timedelta(days=8), **pause)
    story.refused(BadInput, COUNTY_OFFICER, "pause_clock", clock="county_review", reason="tired", until=until)
    story.act(COUNTY_OFFICER, "pause_clock", until=until, **pause)

    assert story.clock("county_review").next_at == until  # promise 1: a pause has an end, and that end is its next rung
    city.skip(days=2)
    story.act(COUNTY_OFFICER, "resume_clock", clock="county_review")
    assert story.due("county_review") == due + timedelta(days=2)
    story.refused(CommandRejected, COUNTY_OFFICER, "resume_clock", clock="county_review")
    story.refused(CommandRejected, COUNTY_OFFICER, "pause_clock", until=city.clock() + timedelta(days=1), **pause)


def test_a_pause_that_nobody_ends_ends_by_itself_at_its_date(city: City) -> None:
    """Promise 1: a parked case keeps its ladder."""
    story = city.report(PEER).reach("closure_requested")
    due, until = story.due("county_review"), city.clock() + timedelta(days=5)
    story.act(COUNTY_OFFICER, "pause_clock", clock="county_review", reason="waiting_for_documents", until=until)
    city.clock.set(until)
    city.sweep()

    assert story.clock("county_review").paused_at is None
    assert story.due("county_review") == due + timedelta(days=5)


# ---- proposals ---------------------------------------------------------------------------------------------------------

LOWER = {"risk": "yellow", "because": "三周稳定"}


def test_a_proposal_waits_with_a_clock_of_its_own_for_a_named_second_person(city: City) -> None:
    story = city.report(PEER).reach("intervening").act(COUNSELOR, "lower_risk", **LOWER)

    assert (story.waits, story.risk) == (True, "orange")
    assert story.who("second_person") == VICE_PRINCIPAL
    assert story.due("second_person") == city.clock() + timedelta(hours=24)
    assert VICE_PRINCIPAL in story.heard()
    assert "proposed" in (story.moves(VICE_PRINCIPAL)["lower_risk"].why_not or "")


def test_the_proposer_cannot_confirm_and_another_person_can(city: City) -> None:
    """Promise 4: proposed by one, confirmed by another."""
    story = city.report(PEER).reach("intervening").act(VICE_PRINCIPAL, "lower_risk", **LOWER)
    assert "Two different people" in str(story.refused(NotAllowed, VICE_PRINCIPAL, "confirm"))
    story.refused(NotAllowed, GRADE_HEAD, "confirm")
    story.act(PRINCIPAL, "confirm")

    assert (story.risk, story.case.proposals) == ("yellow", ())
    assert "second_person" not in story.clocks


def test_a_proposal_is_declined_by_the_second_person_or_withdrawn_by_the_first(city: City) -> None:
    story = city.report(PEER).reach("intervening").act(COUNSELOR, "lower_risk", **LOWER)
    story.refused(NotAllowed, VICE_PRINCIPAL, "withdraw")
    story.act(VICE_PRINCIPAL, "decline", because="家长刚离异")
    assert (story.risk, story.case.proposals) == ("orange", ())
    assert "second_person" not in story.clocks
    story.refused(CommandRejected, PRINCIPAL, "confirm")

    story.act(COUNSELOR, "lower_risk", **LOWER).act(COUNSELOR, "withdraw")
    assert (story.risk, story.case.proposals) == ("orange", ())
    assert [event.how for event in story.happened("proposal_ended")][-2:] == ["declined", "withdrawn"]  # type: ignore[attr-defined]


def test_a_signal_voids_what_waits_for_a_second_person(city: City) -> None:
    """Promise 4: void if a signal came between."""
    story = city.report(PEER).reach("intervening").act(COUNSELOR, "lower_risk", **LOWER)
    city.report("p-72", facts="又哭了")

    assert story.case.proposals == ()
    assert [event.how for event in story.happened("proposal_ended")][-1] == "voided"  # type: ignore[attr-defined]
    assert "voided" in str(story.refused(CommandRejected, VICE_PRINCIPAL, "confirm"))
    assert "signal" in str(story.refused(CommandRejected, COUNSELOR, "lower_risk", **LOWER))


def test_a_proposal_is_void_when_its_stage_is_left(city: City) -> None:
    story = city.report(PEER).reach("triaging", "yellow").act(COUNSELOR, "exclude", because="误会")
    story.act(VICE_PRINCIPAL, "request_end", why="of_age", evidence="证明")

    assert story.case.proposals == ()


def test_the_same_move_is_not_proposed_twice(city: City) -> None:
    story = city.report(PEER).reach("intervening").act(COUNSELOR, "lower_risk", **LOWER)

    assert "already proposed" in str(story.refused(CommandRejected, VICE_PRINCIPAL, "lower_risk", **LOWER))


@pytest.mark.parametrize(("risk", "second"), [("red", True), ("orange", True), ("yellow", False)])
def test_lowering_takes_two_from_red_and_orange_and_one_from_yellow(city: City, risk: str, second: bool) -> None:  # noqa: FBT001
    """Promise 4 and policy second_to_lower_from."""
    story = city.report(PEER).reach("intervening", risk).act(COUNSELOR, "lower_risk", risk="blue", because="稳定")

    assert story.waits is second
    assert story.risk == (risk if second else "blue")
    assert story.case.peak.value == risk


def test_raising_takes_one_and_running_clocks_come_nearer(city: City) -> None:
    story = city.report(PEER).reach("intervening", "blue").act(GRADE_HEAD, "raise_risk", risk="orange", because="写告别信")

    assert (story.risk, story.waits) == ("orange", False)
    assert story.due("contact") == city.clock() + timedelta(hours=72)
    assert story.due("review") == city.clock() + timedelta(days=14)
    lowering = story.moves(COUNSELOR)["raise_risk"]
    assert lowering.possible


def test_a_clock_that_is_nearer_already_stays_where_it_is_when_the_risk_rises(city: City) -> None:
    """Promise 4: a clock only comes nearer: due = min(due, now + new budget)."""
    story = city.report(PEER).reach("intervening", "yellow")
    due = story.due("contact")
    city.skip(days=6)
    story.act(GRADE_HEAD, "raise_risk", risk="orange", because="两天未到校")  # three days from now would be later

    assert story.due("contact") == due


def test_a_move_called_raise_does_not_lower(city: City) -> None:
    story = city.report(PEER).reach("intervening", "orange")

    story.refused(CommandRejected, CLASS_TEACHER, "raise_risk", risk="yellow", because="好些")


def test_a_second_signer_who_waits_too_long_is_reminded_and_the_case_goes_up(city: City) -> None:
    story = city.report(PEER, subject=CHILD, cues=["means"]).assess("red").panel("red").tell_guardian()
    story.act(PRINCIPAL, "report_to_county").act(COUNTY_OFFICER, "hand_back", because="学校跟进")
    story.act(COUNSELOR, "plan", goals="安全", measures="每日", safety_plan="陪护")
    assert story.due("second_person") == city.clock() + timedelta(hours=2)
    story.heard()
    city.at("10:00")
    assert story.late == {"second_person"}
    assert VICE_PRINCIPAL in story.heard()
    story.refused(NotAllowed, SECOND_COUNSELOR, "confirm")
    assert COUNTY_DUTY not in story.heard()
