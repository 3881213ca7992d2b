"""Danger now, who stays with the child, the guardian told or withheld, the law, the county, and new signals that somebody must handle."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crisis_engine import BadInput, CommandRejected, NotAllowed, NotFound

from .story import (
    CITY_OFFICER,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_DUTY,
    COUNTY_OFFICER,
    DAY_DUTY,
    GRADE_HEAD,
    LAW_VICE_PRINCIPAL,
    LEADING_GROUP,
    NIGHT_DUTY,
    OTHER_PARENT,
    PARENT,
    PEER,
    PRINCIPAL,
    SECOND_COUNSELOR,
    VICE_PRINCIPAL,
    City,
)


def test_danger_now_tells_seven_posts_at_once_and_asks_within_ten_minutes_who_is_with_the_child(city: City) -> None:
    """The drafts: red, tier at least school; class teacher, grade head, counselor, duty teacher, leading group and county duty hear it."""
    city.at("14:30")
    case = city.report(PEER, danger_now=True, with_child="同桌")

    assert (case.case.danger, case.risk, case.tier, case.answers) == (True, "red", "school", PRINCIPAL)
    assert case.due("stay_with") == city.time("14:40")
    assert case.who("stay_with") == CLASS_TEACHER
    assert case.heard() == {
        CLASS_TEACHER, GRADE_HEAD, COUNSELOR, SECOND_COUNSELOR, DAY_DUTY, NIGHT_DUTY, VICE_PRINCIPAL, *LEADING_GROUP, COUNTY_DUTY,
    }
    assert all(message.urgent for message in city.messages())


def test_imminent_danger_ignores_quiet_hours(city: City) -> None:
    """Promise 7: quiet hours hold messages back, never checks; imminent danger ignores them."""
    city.at("2026-03-07 02:00")  # a Saturday night
    case = city.report(PARENT, danger_now=True)

    assert case.heard() >= {CLASS_TEACHER, COUNSELOR, NIGHT_DUTY, *LEADING_GROUP, COUNTY_DUTY}


def test_nobody_says_who_is_with_the_child_so_the_county_hears_in_10_minutes_and_the_city_in_20(city: City) -> None:
    city.at("14:30")
    case = city.report(PEER, danger_now=True)
    city.at("14:40")
    assert (case.tier, case.answers) == ("county", COUNTY_OFFICER)
    city.at("14:50")
    assert (case.tier, case.answers) == ("city", CITY_OFFICER)

    case.heard()
    city.at("15:05")
    assert case.heard() >= {CITY_OFFICER, PRINCIPAL, "p-1", "p-9"}  # every quarter of an hour, with an alarm at the terminal


def test_who_stays_is_asked_again_at_the_confirmed_time_or_after_an_hour(city: City) -> None:
    city.at("14:30")
    case = city.report(PEER, danger_now=True)
    city.at("14:35")
    case.act(DAY_DUTY, "child_is_safe", with_child="值班教师", until=city.time("15:05"))
    assert case.due("stay_with") == city.time("15:05")
    city.at("15:00")
    case.act(CLASS_TEACHER, "child_is_safe", with_child="班主任", until=city.time("18:00"))

    assert case.due("stay_with") == city.time("16:00")
    assert "past" in str(case.refused(BadInput, CLASS_TEACHER, "child_is_safe", with_child="班主任", until=city.time("14:00")))


def test_danger_is_declared_from_any_open_stage_by_anyone_who_may_report(city: City) -> None:
    calm = city.report(PEER).reach("intervening", "yellow").act(COUNSELOR, "danger_now", place="宿舍")
    assert (calm.case.danger, calm.risk, calm.case.peak.value) == (True, "red", "red")
    assert set(calm.shows) == {"110", "120", "12356"}

    quiet = city.report(PEER, subject="stu-41")
    city.report("p-72", subject="stu-41", danger_now=True)
    assert (quiet.case.danger, quiet.tier) == (True, "school")


def test_danger_is_over_only_when_two_people_say_so_and_the_guardian_knows(city: City) -> None:
    """Promise 4: lowering is proposed by one and confirmed by another."""
    case = city.report(PEER, danger_now=True)
    over = {"because": "情绪平稳", "handed_to": "示例家长"}
    assert "guardian" in str(case.refused(CommandRejected, COUNSELOR, "danger_over", **over))
    case.tell_guardian().act(COUNSELOR, "danger_over", **over)
    assert case.case.danger
    case.refused(NotAllowed, COUNSELOR, "confirm")
    case.act(VICE_PRINCIPAL, "confirm")

    assert (case.case.danger, case.risk) == (False, "red")
    assert "stay_with" not in case.clocks


def test_an_unreachable_guardian_does_not_end_the_danger(city: City) -> None:
    case = city.report(PEER, danger_now=True).act(CLASS_TEACHER, "guardian_unreachable", tried="两个号码")

    assert "guardian" in str(case.refused(CommandRejected, COUNSELOR, "danger_over", because="平稳", handed_to="宿管"))
    assert "guardian_told" in case.clocks


def test_the_risk_is_not_lowered_while_there_is_danger(city: City) -> None:
    case = city.report(PEER).reach("intervening", "red").act(CLASS_TEACHER, "danger_now")

    assert "danger" in str(case.refused(CommandRejected, COUNSELOR, "lower_risk", risk="orange", because="稳定"))


@pytest.mark.parametrize(("cue", "minutes"), [("suicide_words", 30), ("old_scars", 120)])
def test_the_guardian_is_told_within_the_minutes_of_the_risk(city: City, cue: str, minutes: int) -> None:
    case = city.report(PEER, cues=[cue])

    assert case.due("guardian_told") == city.clock() + timedelta(minutes=minutes)
    assert case.who("guardian_told") == CLASS_TEACHER
    case.tell_guardian(answer="refused")
    assert "guardian_told" not in case.clocks
    assert case.case.facts["guardian"] == "refused"


def test_a_yellow_child_starts_no_clock_for_the_guardian_and_turning_orange_does(city: City) -> None:
    case = city.report(PEER, cues=["withdrawn"])
    assert "guardian_told" not in case.clocks

    case.act(CLASS_TEACHER, "raise_risk", risk="orange", because="两天未进食")
    assert case.due("guardian_told") == city.time("10:00")


def test_the_guardian_clock_runs_on_when_the_guardian_cannot_be_reached_and_goes_up(city: City) -> None:
    case = city.report(PEER, cues=["suicide_words"]).act(CLASS_TEACHER, "acknowledge").assess("red")
    case.act(CLASS_TEACHER, "guardian_unreachable", tried="电话停机")
    city.at("08:30")
    assert case.late == {"guardian_told"}
    assert case.tier == "school"
    city.at("09:00")

    assert case.tier == "county"


def test_withholding_from_the_guardian_takes_two_people_and_forces_the_mandatory_report(city: City) -> None:
    """Promise 4 (withholding: two persons) and 3 (the suspected parent does not learn that it exists)."""
    case = city.report(PEER, cues=["abuse_present"])
    case.act(COUNSELOR, "withhold_from_guardian", because="孩子指认家长")
    assert case.waits
    assert "guardian_told" in case.clocks
    case.refused(NotAllowed, COUNSELOR, "confirm")
    case.act(LAW_VICE_PRINCIPAL, "confirm")

    assert case.case.facts["guardian"] == "withheld"
    assert "guardian_told" not in case.clocks
    assert case.case.recused >= {PARENT, OTHER_PARENT}
    assert case.due("mandatory_report") == city.time("10:00")
    assert case.who("mandatory_report") == LAW_VICE_PRINCIPAL
    assert LAW_VICE_PRINCIPAL in case.heard()


def test_a_mandatory_report_that_nobody_makes_goes_up(city: City) -> None:
    case = city.report(COUNSELOR, cues=["home_violence"]).agreed(COUNSELOR, LAW_VICE_PRINCIPAL, "withhold_from_guardian", because="家暴")
    case.assess("orange")
    city.at("10:00")
    assert case.late == {"mandatory_report"}
    city.at("10:30")
    assert (case.tier, case.answers) == ("county", COUNTY_OFFICER)

    case.act(LAW_VICE_PRINCIPAL, "mandatory_reported", category="family_violence", receipt="示例回执-1")
    assert "mandatory_report" not in case.clocks
    assert "示例回执-1" in str(case.history(by=LAW_VICE_PRINCIPAL))
    assert "示例回执-1" not in str(case.history(by=COUNSELOR))  # secrecy 4


def test_the_county_is_told_of_every_red_case_within_the_hour(city: City) -> None:
    case = city.report(PEER, cues=["means"])
    assert case.due("county_told") == city.time("09:00")
    assert case.who("county_told") == PRINCIPAL
    case.heard()
    case.act(PRINCIPAL, "report_to_county")

    assert (case.tier, case.answers) == ("county", COUNTY_OFFICER)
    assert "county_told" not in case.clocks
    assert COUNTY_OFFICER in case.heard()
    assert case.due("oversight") == city.time("10:00")


def test_a_county_that_joins_by_itself_has_been_told(city: City) -> None:
    case = city.report(PEER, cues=["means"])
    city.at("09:30")
    assert case.tier == "county"
    case.act(COUNTY_OFFICER, "join")

    assert "county_told" not in case.clocks


def test_a_new_signal_must_be_handled_in_the_time_of_the_risk_and_says_what_follows(city: City) -> None:
    case = city.report(PEER).reach("intervening", "yellow")
    city.at("2026-03-03 09:00")
    case.heard()
    city.report("p-72", facts="又哭了")

    assert case.stage == "intervening"
    assert case.due("handled_signal") == city.time("2026-03-04 09:00")
    assert COUNSELOR in case.heard()
    case.act(COUNSELOR, "signal_handled", because="约谈已安排")
    assert "handled_signal" not in case.clocks


def test_a_second_signal_brings_the_running_clock_nearer_and_starts_no_second_one(city: City) -> None:
    """Promise 4: a clock only comes nearer."""
    case = city.report(PEER).reach("intervening", "yellow")
    city.report("p-72", facts="又哭了")
    city.at("2026-03-02 12:00")
    city.report(CLASS_TEACHER, facts="缺课")
    assert case.due("handled_signal") == city.time("2026-03-03 08:00")

    city.report("p-72", facts="手臂有伤", cues=["fresh_injury"])
    assert case.due("handled_signal") == city.time("2026-03-02 12:30")
    assert case.clock("handled_signal").n == 1


def test_a_signal_that_nobody_handles_goes_up_to_the_city(city: City) -> None:
    case = city.report(PEER).reach("intervening", "orange")
    city.report("p-72", facts="又哭了")
    city.at("10:29")
    assert case.tier == "school"
    city.at("10:30")
    assert case.tier == "county"
    city.at("12:00")

    assert case.tier == "city"


def test_a_person_found_to_be_concerned_loses_sight_at_once_and_the_clocks_find_others(city: City) -> None:
    """Promise 3: persons whom the case concerns count as absent everywhere and do not learn that it exists."""
    case = city.report(PEER)
    assert case.who("acknowledge") == CLASS_TEACHER
    case.act(COUNSELOR, "exclude_person", person=[CLASS_TEACHER], because="与班主任有关")

    assert case.who("acknowledge") == "p-17"
    assert case.answers == "p-17"
    case.refused(NotFound, CLASS_TEACHER, "acknowledge")
    assert CLASS_TEACHER not in case.heard()
