"""Nobody there means up, now: vacancies, deputies, handovers at the minute, nights, a school of one person or without grades."""

from __future__ import annotations

import pytest

from crisis_engine import BadInput, NotAllowed
from crisis_engine.core.model import Duty, Person, Unit
from crisis_engine.roster import RosterSet

from .story import (
    CITY_DUTY,
    CITY_LEADERS,
    CITY_OFFICER,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_DUTY,
    COUNTY_OFFICER,
    DAY_DUTY,
    DEPUTY_TEACHER,
    GRADE_HEAD,
    LEADING_GROUP,
    NIGHT_DUTY,
    OPERATOR,
    PEER,
    PRINCIPAL,
    SCHOOL,
    SECOND_CITY_OFFICER,
    SECOND_COUNSELOR,
    VICE_PRINCIPAL,
    City,
    Story,
)


def away(city: City, *people: str, begins: str = "2026-03-01 00:00", ends: str = "2026-03-31 00:00") -> None:
    """Let people be absent."""
    for person in people:
        city.engine.add_absence(person=person, begins_at=city.time(begins), ends_at=city.time(ends), by=OPERATOR)


# ---- vacancies ------------------------------------------------------------------------------------------------------------


def test_a_class_without_any_teacher_there_moves_the_word_up_at_once(city: City) -> None:
    """Promise 3: nobody there means up, now: when a clock is armed."""
    away(city, CLASS_TEACHER, DEPUTY_TEACHER, GRADE_HEAD)
    case = city.report(PEER)

    assert (case.tier, case.answers, case.who("acknowledge")) == ("school", PRINCIPAL, PRINCIPAL)
    assert case.heard() >= LEADING_GROUP


def test_a_school_without_counselor_and_leaders_goes_to_the_county_as_soon_as_the_assessment_clock_is_armed(city: City) -> None:
    """Promise 3: the class teacher is there, but nobody who could assess the child: that is a vacancy too."""
    away(city, COUNSELOR, SECOND_COUNSELOR, VICE_PRINCIPAL, *LEADING_GROUP)
    case = city.report(PEER)

    assert (case.tier, case.answers) == ("county", COUNTY_OFFICER)
    assert (case.who("acknowledge"), case.who("assessment")) == (CLASS_TEACHER, COUNTY_OFFICER)
    assert case.heard() >= {CLASS_TEACHER, COUNTY_OFFICER}


def test_a_vacant_county_duty_moves_the_case_to_the_city_at_once(city: City) -> None:
    """Promise 3: the county's officer and its stand-in are away; the city hears when the county should have."""
    away(city, COUNTY_OFFICER, COUNTY_DUTY)
    case = city.report(PEER)
    city.at("08:59")
    assert case.tier == "school"
    city.at("09:00")

    assert (case.tier, case.answers) == ("city", CITY_OFFICER)
    assert CITY_OFFICER in case.heard()
    assert case.raises()[-1] == ("09:00", "city")


def test_a_stand_in_at_the_same_unit_comes_before_the_next_level(city: City) -> None:
    """Promise 3, the order: deputy, stand-in at the same unit, next level that exists."""
    away(city, COUNSELOR)
    assert city.report(PEER).who("assessment") == SECOND_COUNSELOR
    away(city, SECOND_COUNSELOR)
    case = city.report(PEER, subject="stu-41")

    assert case.who("assessment") == VICE_PRINCIPAL
    assert case.tier == "peer"


def test_when_nobody_answers_at_the_city_the_terminal_alarm_goes_on_every_quarter_of_an_hour(city: City) -> None:
    """Promise 3: the terminal alarm; an alarm in an empty room is none, so absent people hear it too."""
    away(city, COUNTY_OFFICER, COUNTY_DUTY, CITY_OFFICER, SECOND_CITY_OFFICER, CITY_DUTY, "p-8", "p-1")
    case = city.report(PEER)
    city.at("09:00")
    assert (case.tier, case.answers) == ("city", None)
    assert case.heard() >= {*CITY_LEADERS, OPERATOR}

    for quarter in ("09:15", "09:30", "09:45"):
        city.at(quarter)
        assert case.heard() >= {*CITY_LEADERS, OPERATOR}, quarter
    assert case.case.next_at is not None


def test_somebody_who_takes_office_ends_the_terminal_alarm(city: City) -> None:
    away(city, COUNTY_OFFICER, COUNTY_DUTY, CITY_OFFICER, SECOND_CITY_OFFICER, CITY_DUTY, "p-8")
    case = city.report(PEER)
    city.at("09:00")
    assert case.answers is None
    new = RosterSet(persons=(Person("p-990", "示例新负责人990"),), duties=(Duty("city_officer", "xinyang", "p-990"),))
    city.engine.import_roster(new)

    assert case.answers == "p-990"
    assert case.who("oversight") == "p-990"


def test_a_school_under_the_city_without_grades_has_no_vacancy_at_the_levels_that_do_not_exist(city: City) -> None:
    """Promise 3: a level that does not exist (市直 school, no grades) is no vacancy."""
    case = city.report("p-221", subject="stu-121", unit="xinyang/exp-1/c1")
    assert (case.tier, case.answers, case.who("acknowledge")) == ("peer", "p-211", "p-211")
    city.at("08:15")
    assert (case.tier, case.answers) == ("school", "p-204")  # the grade's rung finds the school
    city.at("09:00")
    assert (case.tier, case.answers) == ("city", CITY_OFFICER)  # the county's rung finds the city

    assert [tier for _at, tier in case.raises()] == ["school", "city"]
    assert not any(line.get("alarm") for line in case.history())


def test_a_grade_that_exists_and_that_nobody_heads_is_passed_by_at_once(city: City) -> None:
    case = city.report("p-333", subject="stu-131", unit="xinyang/pingqiao/primary-2/g3/c1")
    city.at("08:15")

    assert (case.tier, case.answers) == ("school", "p-304")


# ---- a duty ends ------------------------------------------------------------------------------------------------------------


def test_a_duty_that_ends_before_the_next_rung_hands_the_clock_over_at_that_very_moment(city: City) -> None:
    """The drafts: a duty that ends before the next rung makes that moment a rung (handover)."""
    case = city.report(PEER)
    city.engine.end_duty(role="counselor", unit=SCHOOL, person=COUNSELOR, at=city.time("08:40"), by=OPERATOR)
    case.heard()
    city.at("08:39")
    assert case.who("assessment") == COUNSELOR
    city.clock.set(city.time("08:40"))
    assert city.sweep().handed_over == 1

    assert case.who("assessment") == SECOND_COUNSELOR
    assert SECOND_COUNSELOR in case.heard()
    assert case.due("assessment") == city.time("12:00")  # the time does not begin anew
    assert [event.at for event in case.happened("handed_over", clock="assessment")] == [city.time("08:40")]


def test_an_absence_that_begins_hands_over_at_its_first_minute_and_its_end_takes_nothing_back_before_the_next_move(city: City) -> None:
    case = city.report(PEER)
    away(city, CLASS_TEACHER, begins="2026-03-02 08:05", ends="2026-03-02 18:00")
    assert case.who("acknowledge") == CLASS_TEACHER
    city.clock.set(city.time("08:05"))
    city.sweep()

    assert (case.who("acknowledge"), case.answers) == (DEPUTY_TEACHER, DEPUTY_TEACHER)
    assert case.who("guardian_told") == DEPUTY_TEACHER


def test_a_duty_that_ends_now_is_handed_over_now(city: City) -> None:
    case = city.report(PEER)

    assert city.engine.end_duty(role="class_teacher", unit="xinyang/shihe/no-3/g7/c2", person=CLASS_TEACHER, by=OPERATOR) == 1
    assert case.who("acknowledge") == DEPUTY_TEACHER
    case.refused(NotAllowed, CLASS_TEACHER, "acknowledge")


def test_the_last_duty_at_a_level_that_ends_takes_the_case_up_at_that_moment(city: City) -> None:
    """Promise 3: at the moment a duty or presence ends."""
    case = city.report(PEER)
    city.at("08:15")
    assert case.tier == "grade"
    away(city, GRADE_HEAD, begins="2026-03-02 08:20", ends="2026-03-02 18:00")
    away(city, DAY_DUTY, NIGHT_DUTY)
    city.clock.set(city.time("08:20"))
    city.sweep()

    assert (case.tier, case.answers) == ("school", PRINCIPAL)


# ---- the night ----------------------------------------------------------------------------------------------------------------


def test_at_night_the_boarding_schools_duty_teacher_is_told_and_nobody_counts_as_absent(city: City) -> None:
    """The drafts: safety clocks tell the holder and whoever is on duty; a person asleep is no vacancy."""
    city.at("2026-03-10 23:00")
    case = city.report("p-543", subject="stu-147", unit="xinyang/gushi/boarding-1/g11/c1", cues=["suicide_words"])

    assert (case.tier, case.who("assessment")) == ("peer", "p-501")  # the counselor sleeps, and has the duty
    heard = case.heard()
    assert heard >= {"p-523", "p-501", "p-507"}
    assert "p-506" not in heard  # the day's duty teacher
    assert case.due("acknowledge") == city.time("23:10")
    city.at("23:40")
    assert case.tier == "school"


def test_by_day_the_duty_teacher_is_not_called_for_what_the_counselor_hears(city: City) -> None:
    city.at("2026-03-10 10:00")
    case = city.report("p-543", subject="stu-147", unit="xinyang/gushi/boarding-1/g11/c1", cues=["suicide_words"])

    assert not {"p-506", "p-507"} & case.heard()


def test_a_county_officer_off_hours_is_told_together_with_the_county_duty(city: City) -> None:
    city.at("2026-03-07 02:00")  # a Saturday night
    case = city.report(PEER)
    city.at("03:00")

    assert case.tier == "county"
    assert case.heard() >= {COUNTY_OFFICER, COUNTY_DUTY}


def test_paper_waits_for_office_hours_and_its_clock_does_not(city: City) -> None:
    """Promise 7: evaluate always, defer only delivery."""
    case = city.report(PEER).reach("follow_up")
    city.skip(days=90, hours=14)  # 22:00
    case.meet()
    case.heard()
    case.ask_closure()
    armed = case.clock("county_review").armed_at
    told_at_night = {message.to for message in city.messages() if "县级审核" in message.body}
    city.skip(hours=11)

    assert armed == case.case.done["request_closure"].at
    assert COUNTY_OFFICER not in told_at_night
    assert COUNTY_OFFICER in case.heard()


# ---- a school of one person ------------------------------------------------------------------------------------------------------


def _village(city: City) -> Story:
    return city.report("p-411", subject="stu-139", unit="xinyang/luoshan/village-1/c1")


def test_in_a_school_of_one_person_the_second_signer_is_borrowed_from_the_county(city: City) -> None:
    """The drafts: one-person school."""
    case = _village(city)
    assert (case.who("acknowledge"), case.who("assessment")) == ("p-401", "p-401")
    case.assess("yellow", by="p-401")
    case.act("p-401", "triage", risk="yellow", members=["p-401", "p-402", "p-412"], minutes="纪要")
    assert case.waits
    assert case.who("second_person") == "p-123"
    case.refused(NotAllowed, "p-401", "confirm")
    case.refused(NotAllowed, "p-402", "confirm")
    assert case.heard() >= {"p-123", "p-124"}
    case.act("p-123", "confirm")

    assert (case.stage, case.risk) == ("planning", "yellow")


def test_an_accused_headteacher_of_a_one_person_school_sends_the_case_to_the_county(city: City) -> None:
    case = city.report("p-411", subject="stu-139", unit="xinyang/luoshan/village-1/c1", about_staff=["p-401"], cues=["abuse_present"])

    assert (case.tier, case.answers) == ("county", "p-121")
    assert case.who("assessment") == "p-121"
    assert "p-401" not in case.heard()
    case.assess("red", by="p-121")
    assert case.stage == "triaging"


# ---- after an outage -----------------------------------------------------------------------------------------------------------------


def test_after_an_outage_all_rungs_are_decided_at_once_the_tier_is_the_highest_and_each_is_told_once(city: City) -> None:
    """Promise 7 and the drafts: after an outage all due rungs of a case are decided at once and each person is told once."""
    city.at("14:30")
    case = city.report(PEER)
    case.heard()
    city.engine.deliver()
    before = len(city.channel.sent)
    city.skip(hours=3)  # the daemon is down from 14:30 to 17:30
    assert city.engine.sweep().cases == 1

    assert (case.tier, case.answers) == ("city", CITY_OFFICER)
    assert case.raises() == [("17:30", "city")]
    rungs = case.happened("rung_fired", clock="acknowledge")
    assert [event.rung for event in rungs] == [0, 1, 2, 3, 4]  # type: ignore[attr-defined]
    sent = [(message.to, message.body) for message in city.messages()[before:]]
    by_clock = [to for to, body in sent if "确认线索" in body]
    assert len(by_clock) == len(set(by_clock))
    assert {CLASS_TEACHER, CITY_OFFICER} <= set(by_clock)
    assert city.engine.sweep().cases == 0


def test_a_rung_never_fires_twice_though_several_daemons_sweep(city: City) -> None:
    """Promise 2: a rung fires once."""
    case = city.report(PEER)
    city.skip(minutes=15)
    assert [city.engine.sweep().rungs for _ in range(3)] == [2, 0, 0]

    fired = [(event.clock, event.n, event.rung, event.times) for event in case.happened("rung_fired")]  # type: ignore[attr-defined]
    assert len(fired) == len(set(fired))


def test_a_gateway_that_is_down_loses_no_message_and_changes_no_key(city: City) -> None:
    """Promise 2: a message goes at least once, always under one key."""
    case = city.report(PEER)
    city.channel.fail = "the gateway is down"
    report = city.engine.deliver()
    assert (report.sent, report.failed) == (0, report.waiting)
    assert report.waiting > 0
    city.channel.fail = ""
    city.skip(minutes=2)

    assert case.heard() == {CLASS_TEACHER, COUNSELOR, SECOND_COUNSELOR}
    keys = [message.key for message in city.channel.sent]
    assert len(keys) == len(set(keys))
    assert city.engine.deliver().sent == 0


def test_a_notice_carries_number_what_when_urgency_and_link_and_no_fact(city: City) -> None:
    """Promise 6: a notice carries exactly that."""
    case = city.report(PEER, facts="他说过不想活了", cues=["suicide_words"], about_staff=["p-19"])
    case.heard()

    assert city.channel.sent
    for message in city.channel.sent:
        text = message.subject + message.body
        assert case.number in text
        assert not any(secret in text for secret in ("不想活", "stu-42", "示例", "七年级", "p-71", "red", "红", "自杀"))


def test_one_counselors_workload_is_a_queue_the_soonest_due_first(city: City) -> None:
    slow = city.report(PEER, subject="stu-41", cues=["withdrawn"])
    urgent = city.report(PEER, cues=["suicide_words"])
    queue = city.engine.queue(by=COUNSELOR)

    assert [item.number for item in queue] == [urgent.number, slow.number]
    assert [(item.clock, item.who) for item in queue] == [("assessment", COUNSELOR), ("assessment", COUNSELOR)]
    assert city.engine.queue(by=COUNTY_OFFICER) == []
    assert {item.number for item in city.engine.queue(by=PRINCIPAL)} == {urgent.number}  # county_told is theirs
    assert {city.engine.queue(by=PRINCIPAL)[0].who} <= LEADING_GROUP


def test_an_incomplete_roster_refuses_nothing_and_forgets_nothing(city: City) -> None:
    """Promise 1: a class of which nobody is responsible still has somebody who answers."""
    city.engine.import_roster(RosterSet(units=(Unit("xinyang/xinxian/new-1", "school", "示例新学校", "xinyang/xinxian"),)))
    case = city.report("p-41", subject=None, unit="xinyang/xinxian/new-1")

    assert (case.tier, case.answers) == ("county", "p-141")
    assert all(clock.holder is not None for clock in case.case.clocks)


@pytest.mark.parametrize("begins", ["2026-03-02 18:00", "2026-03-02 08:00"])
def test_an_absence_whose_end_is_not_after_its_begin_is_refused(city: City, begins: str) -> None:
    with pytest.raises(BadInput):
        away(city, COUNSELOR, begins=begins, ends="2026-03-02 08:00")
