"""Leave and return (休学与复学): the child is away and not forgotten, the return is assessed by two, and done in steps."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from crisis_engine import BadInput, CommandRejected, NotAllowed
from crisis_engine.core.calendar import CHINA

from .story import (
    CITY_EXPERT,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_EXPERT,
    COUNTY_OFFICER,
    PEER,
    PRINCIPAL,
    VICE_PRINCIPAL,
    City,
    Story,
)

PLAN = {"because": "量表与面谈均好", "weeks_1_4": "半天到校", "weeks_5_8": "全天到校", "weeks_9_12": "参加考试"}


def asked(city: City, risk: str = "yellow") -> tuple[Story, Story]:
    """Bring a child's case into follow-up and let the class teacher ask for leave; return the case and the track beside it."""
    case = city.report(PEER).reach("follow_up", risk)
    view = city.engine.open_case("leave_v1", by=CLASS_TEACHER, parent=case.number, fields={"document": "市医院证明：建议休息"})
    return case, Story(city, view.number)


def away(city: City, until: str = "2026-06-30") -> tuple[Story, Story]:
    case, leave = asked(city)
    leave.act(PRINCIPAL, "school_agrees", because="家长申请属实").act(COUNTY_OFFICER, "approve", until=until)
    return case, leave


def assessed(city: City) -> Story:
    _case, leave = away(city)
    city.skip(days=80)
    leave.act(CLASS_TEACHER, "ask_return").act(CLASS_TEACHER, "materials_complete", materials="三方协议", document="可以复学")
    return leave.act(COUNSELOR, "school_view", opinion="fit", note="愿意回来")


def test_school_and_county_approve_a_leave_and_then_the_school_answers_again(city: City) -> None:
    _case, leave = asked(city)
    assert (leave.stage, leave.who("leave_school_says")) == ("asked", PRINCIPAL)
    leave.act(PRINCIPAL, "school_agrees", because="属实")
    assert (leave.tier, leave.who("leave_approval")) == ("county", COUNTY_OFFICER)
    leave.act(COUNTY_OFFICER, "approve", until="2026-06-30")
    assert (leave.stage, leave.tier, leave.clocks) == ("away", "school", {"leave_contact", "leave_return_asked"})


def test_the_return_is_to_be_asked_for_fifteen_days_before_the_leave_ends(city: City) -> None:
    _case, leave = away(city, until="2026-06-30")
    assert leave.due("leave_return_asked") == datetime(2026, 6, 16, tzinfo=CHINA)     # the 30th is over at midnight; 15 days earlier
    assert leave.who("leave_return_asked") == CLASS_TEACHER


def test_a_leave_of_a_week_has_its_return_due_on_its_last_day_and_one_in_the_past_is_refused(city: City) -> None:
    _case, leave = asked(city)
    leave.act(PRINCIPAL, "school_agrees", because="属实")
    leave.refused(BadInput, COUNTY_OFFICER, "approve", until="2026-03-01")
    leave.act(COUNTY_OFFICER, "approve", until="2026-03-09")
    assert leave.due("leave_return_asked") == datetime(2026, 3, 10, tzinfo=CHINA)


def test_a_longer_leave_moves_the_return_and_takes_two_persons(city: City) -> None:
    _case, leave = away(city)
    leave.agreed(PRINCIPAL, COUNSELOR, "extend", until="2026-08-31", because="治疗未完")
    assert leave.due("leave_return_asked") == datetime(2026, 8, 17, tzinfo=CHINA)


def test_a_child_who_is_away_is_not_forgotten(city: City) -> None:
    """Contact while away is a safety clock: where nobody keeps it, the school's leaders hear, then the county, then the city."""
    case, leave = away(city)
    leave.act(COUNSELOR, "keep_contact", mode="home_visit", note="在家读书")
    first = leave.due("leave_contact")
    assert first == city.clock() + timedelta(days=14)
    city.wait(days=16)
    assert leave.late == {"leave_contact"}
    assert leave.tier == "county"
    assert case.clock_or_none("contact") is not None, "the crisis case kept its own clock throughout"


def test_a_case_does_not_close_while_the_child_is_away_or_coming_back(city: City) -> None:
    case, leave = away(city)
    city.skip(days=40)
    case.meet()
    refused = case.refused(CommandRejected, VICE_PRINCIPAL, "request_closure", reason="已稳定", evidence="记录")
    assert "leave" in str(refused)
    assert ("track", leave.number) in case.links()


def test_a_leave_ends_with_its_case_where_two_persons_ended_that(city: City) -> None:
    case, leave = away(city)
    case.act(PRINCIPAL, "request_end", why="left_city", evidence="转学材料").act(COUNTY_OFFICER, "confirm_end", because="属实")
    assert (case.case.final, leave.stage, leave.clocks) == ("ended", "gone", set())


def test_two_assess_and_the_child_comes_back_in_three_steps(city: City) -> None:
    leave = assessed(city)
    assert (leave.stage, leave.tier, leave.who("leave_county_view")) == ("county_assessing", "county", COUNTY_EXPERT)
    leave.act(COUNTY_EXPERT, "pass", **PLAN)
    assert (leave.stage, leave.tier) == ("weeks_1_4", "school")
    assert leave.due("return_step") == city.clock() + timedelta(days=28)
    assert leave.due("return_week_1_4") == city.clock() + timedelta(days=7)
    leave.act(COUNSELOR, "meet", mode="face", note="睡得好").act(VICE_PRINCIPAL, "to_weeks_5_8", note="稳定")
    assert leave.due("return_week_5_8") == city.clock() + timedelta(days=14)     # yellow: fortnightly by now
    leave.act(VICE_PRINCIPAL, "to_weeks_9_12", note="稳定").agreed(COUNSELOR, VICE_PRINCIPAL, "settled", note="已适应")
    assert (leave.stage, leave.case.final) == ("back", "closed")


def test_nobody_passes_a_child_before_the_school_said_its_view_or_after_an_own_view(city: City) -> None:
    _case, leave = away(city)
    leave.refused(CommandRejected, COUNTY_EXPERT, "pass", **PLAN)
    leave.act(CLASS_TEACHER, "ask_return").act(CLASS_TEACHER, "materials_complete", materials="三方协议", document="可以复学")
    leave.act(COUNTY_OFFICER, "school_view", opinion="fit", note="代学校评估")
    leave.refused(CommandRejected, COUNTY_OFFICER, "pass", **PLAN)
    leave.act(COUNTY_EXPERT, "pass", **PLAN)


def test_an_appeal_goes_to_the_city_where_somebody_else_decides(city: City) -> None:
    leave = assessed(city).act(COUNTY_EXPERT, "not_pass", because="仍需治疗")
    assert (leave.stage, leave.who("leave_what_next")) == ("not_passed", VICE_PRINCIPAL)
    leave.act(CLASS_TEACHER, "appeal", because="家长不同意")
    assert (leave.stage, leave.tier, leave.who("leave_appeal")) == ("appealed", "city", CITY_EXPERT)
    leave.refused(NotAllowed, COUNTY_EXPERT, "appeal_refused", because="x", until="2026-09-30")
    leave.act(CITY_EXPERT, "appeal_granted", **PLAN)
    assert (leave.stage, leave.tier) == ("weeks_1_4", "school")


def test_a_no_without_an_appeal_means_away_until_another_day(city: City) -> None:
    leave = assessed(city).act(COUNTY_EXPERT, "not_pass", because="仍需治疗").act(VICE_PRINCIPAL, "stay_away", until="2026-09-30")
    assert (leave.stage, leave.due("leave_return_asked")) == ("away", datetime(2026, 9, 16, tzinfo=CHINA))


def test_a_child_may_leave_again_and_that_is_approved_anew(city: City) -> None:
    leave = assessed(city).act(COUNTY_EXPERT, "pass", **PLAN).act(CLASS_TEACHER, "leave_again", because="又不能到校")
    assert leave.stage == "asked"
    leave.act(PRINCIPAL, "school_agrees", because="属实").act(COUNTY_OFFICER, "approve", until="2026-12-31")
    assert leave.due("leave_return_asked") == datetime(2026, 12, 17, tzinfo=CHINA)


def test_whom_the_case_concerns_never_hears_of_the_leave(city: City) -> None:
    case = city.report(PEER).reach("follow_up", "yellow")
    case.act(COUNSELOR, "exclude_person", person=[PRINCIPAL], because="与其有关")
    view = city.engine.open_case("leave_v1", by=CLASS_TEACHER, parent=case.number, fields={"document": "证明"})
    leave = Story(city, view.number)
    assert PRINCIPAL in leave.case.recused
    assert leave.who("leave_school_says") != PRINCIPAL


def test_a_leave_stands_beside_a_case_and_never_alone(city: City) -> None:
    with pytest.raises(BadInput, match="beside a case"):
        city.engine.open_case("leave_v1", by=CLASS_TEACHER, subject="stu-42", fields={"document": "x"})


def test_where_two_end_the_case_otherwise_the_leave_stops_with_it(city: City) -> None:
    case, leave = away(city)
    case.act(PRINCIPAL, "request_end", why="left_city", evidence="转学证明").act(COUNTY_OFFICER, "confirm_end", because="属实")
    assert (case.stage, leave.stage) == ("ended", "stopped")
    assert leave.case.clocks == ()
