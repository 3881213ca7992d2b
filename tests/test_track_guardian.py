"""Talking with the family (家校沟通与知情同意): each answer leads on, and a refusal is a path that ends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crisis_engine import CommandRejected, NotAllowed

from .story import (
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_EXPERT,
    COUNTY_OFFICER,
    LAW_VICE_PRINCIPAL,
    PARENT,
    PEER,
    PRINCIPAL,
    VICE_PRINCIPAL,
    City,
    Story,
)
from .tracks import open_track, track_of, tracks_of


@pytest.fixture
def case(city: City) -> Story:
    return city.report(PEER, cues=["old_scars"])


@pytest.fixture
def talk(city: City, case: Story) -> Story:
    return open_track(city, case, "guardian_v1")


def told(talk: Story) -> Story:
    return talk.act(CLASS_TEACHER, "tell", who="母亲", at=talk.city.clock(), mode="face", told="所见与下一步")


def test_the_class_teacher_tells_and_whoever_agrees_is_talked_with_regularly(city: City, talk: Story) -> None:
    assert talk.due("tell_guardian") == city.clock() + timedelta(hours=2)
    told(talk).act(CLASS_TEACHER, "agree")
    assert (talk.stage, talk.clocks) == ("agreed", {"regular_talk"})
    city.wait(days=10)
    talk.act(CLASS_TEACHER, "talked", mode="home_visit", note="家访，父母在家")
    assert talk.due("regular_talk") == city.clock() + timedelta(days=14)


def test_a_refusal_is_a_path_that_ends_with_the_school_keeping_watch(city: City, case: Story, talk: Story) -> None:
    told(talk).act(CLASS_TEACHER, "refuse", because="家长认为不需要")
    assert (talk.stage, talk.who("talk_again")) == ("refused", COUNSELOR)
    talk.act(COUNSELOR, "still_refuses", note="再谈")
    assert talk.who("family_meeting") == VICE_PRINCIPAL
    talk.act(VICE_PRINCIPAL, "meeting_failed", members=[VICE_PRINCIPAL, COUNSELOR], note="未达成", notice="书面告知内容")

    assert (talk.stage, talk.tier, talk.who("county_helps")) == ("written", "county", COUNTY_OFFICER)
    talk.agreed(COUNTY_OFFICER, PRINCIPAL, "refusal_stands", safety_plan="每日陪护")
    assert (talk.stage, talk.tier, talk.clocks) == ("standing_refusal", "school", {"regular_talk"})
    assert case.case.facts["guardian"] == "refused"
    case.reach("follow_up")
    city.skip(days=90)
    case.meet().ask_closure()     # it holds nothing up any more


def test_a_refusal_that_nobody_follows_up_goes_to_the_county_by_itself(city: City, talk: Story) -> None:
    told(talk).act(CLASS_TEACHER, "refuse", because="不同意")
    city.wait(days=4)
    assert talk.tier in {"county", "city"}
    assert "talk_again" in talk.late


def test_a_guardian_whom_nobody_reaches_is_visited_and_sought(city: City, case: Story, talk: Story) -> None:
    talk.act(CLASS_TEACHER, "cannot_reach", tried="三次电话")
    assert (talk.stage, case.case.facts["guardian"]) == ("unreachable", "unreachable")
    assert talk.due("find_guardian") == city.clock() + timedelta(hours=12)
    talk.act(CLASS_TEACHER, "searched", mode="home_visit", tried="家中无人")
    assert "find_guardian" in talk.clocks
    told(talk)
    assert "guardian_told" not in case.clocks


def test_withholding_takes_two_is_reviewed_and_opens_the_mandatory_report(city: City, case: Story, talk: Story) -> None:
    talk.act(COUNSELOR, "withhold", because="孩子指认父亲")
    assert talk.waits
    with pytest.raises(NotAllowed):
        talk.act(COUNSELOR, "confirm")
    talk.act(LAW_VICE_PRINCIPAL, "confirm")

    assert (talk.stage, talk.who("withheld_review")) == ("withheld", LAW_VICE_PRINCIPAL)
    assert case.case.facts["guardian"] == "withheld"
    assert "guardian_told" not in case.clocks
    report = track_of(city, case, "mandatory_report_v1")
    assert (report.who("tell_police"), report.case.parent) == (LAW_VICE_PRINCIPAL, case.number)
    for one in (case, talk, report):
        assert PARENT in one.case.recused


def test_what_is_withheld_on_the_case_itself_is_not_told_in_the_track(city: City, case: Story, talk: Story) -> None:
    case.agreed(COUNSELOR, LAW_VICE_PRINCIPAL, "withhold_from_guardian", because="孩子指认父亲")
    assert (talk.stage, talk.clocks) == ("withheld", {"withheld_review"})
    assert talk.happened("moved", move="follow_withholding")[0].by == "engine"
    talk.refused(CommandRejected, CLASS_TEACHER, "tell", who="父亲", at=city.clock(), mode="phone", told="情况")
    assert len(tracks_of(city, case, "mandatory_report_v1")) == 1


def test_lifting_the_withholding_takes_two_and_begins_at_the_beginning(case: Story, talk: Story) -> None:
    talk.agreed(COUNSELOR, LAW_VICE_PRINCIPAL, "withhold", because="核实中")
    talk.agreed(LAW_VICE_PRINCIPAL, PRINCIPAL, "lift", because="查无此事")
    assert (talk.stage, case.case.facts["guardian"]) == ("to_tell", "unreachable")
    told(talk)
    assert case.case.facts["guardian"] == "told"


def test_agreeing_in_part_says_to_what(talk: Story) -> None:
    told(talk)
    talk.act(CLASS_TEACHER, "agree_in_part", what="同意校内咨询，不同意就医")
    assert (talk.stage, talk.clocks) == ("partly", {"regular_talk"})
    talk.act(CLASS_TEACHER, "refuse", because="改变主意")
    assert talk.stage == "refused"


def test_an_expert_of_the_county_does_not_read_a_track_that_never_came_up(city: City, talk: Story) -> None:
    with pytest.raises(NotAllowed):
        city.engine.case(talk.number, by=COUNTY_EXPERT)


# ---- beside the main line: nobody is asked for the same thing twice ----------------------------------------------------------------------


def test_whoever_tells_on_the_main_line_moves_the_open_track_in_the_same_transaction(city: City, case: Story, talk: Story) -> None:
    case.tell_guardian(answer="told")
    assert talk.stage == "told"
    assert {"tell_guardian", "guardian_answer"} & talk.clocks == {"guardian_answer"}
    (followed,) = talk.happened("moved", move="follow_told")
    assert (followed.by, followed.at) == ("engine", city.clock())
    case.tell_guardian(answer="refused")
    assert (talk.stage, talk.tier, talk.who("talk_again")) == ("refused", "school", COUNSELOR)
    talk.act(COUNSELOR, "still_refuses", note="再谈")
    case.tell_guardian(answer="refused")
    assert talk.stage == "meeting", "a refusal that is being talked about goes its way"
    case.tell_guardian(answer="partly")
    assert talk.stage == "partly"
    case.tell_guardian(answer="agreed")
    assert talk.stage == "agreed"
    assert "regular_talk" in talk.clocks


def test_a_guardian_who_is_not_reached_on_the_main_line_is_sought_in_the_track(case: Story, talk: Story) -> None:
    case.act(CLASS_TEACHER, "guardian_unreachable", tried="三次电话")
    assert (talk.stage, talk.clocks) == ("unreachable", {"find_guardian"})
    told(talk)
    assert "guardian_told" not in case.clocks


def test_a_track_that_is_opened_later_begins_where_the_talk_stands(city: City, case: Story) -> None:
    yellow = city.report("p-72", subject="stu-41", cues=["withdrawn"])
    yellow.tell_guardian(answer="refused")
    assert tracks_of(city, yellow, "guardian_v1") == [], "below orange nothing opens by itself"
    talk = open_track(city, yellow, "guardian_v1")
    assert (talk.stage, talk.clocks) == ("refused", {"talk_again"})
    assert case.case.open


@pytest.mark.parametrize(("answer", "stage"), [("told", "told"), ("agreed", "agreed"), ("partly", "partly"), ("refused", "refused")])
def test_from_orange_on_the_talk_goes_on_by_itself_from_what_the_main_line_heard(
    city: City, case: Story, answer: str, stage: str,
) -> None:
    assert tracks_of(city, case, "guardian_v1") == [], "the main line's own clock asks that the guardian be told, and nobody else does"
    case.tell_guardian(answer=answer)
    talk = track_of(city, case, "guardian_v1")
    assert (talk.stage, talk.happened("opened")[0].by) == (stage, "engine")
    case.tell_guardian(answer=answer)
    assert len(tracks_of(city, case, "guardian_v1")) == 1


def test_it_opens_at_whichever_comes_second_the_telling_or_the_risk(city: City) -> None:
    case = city.report(PEER, cues=["withdrawn"])
    case.tell_guardian(answer="told")
    assert tracks_of(city, case, "guardian_v1") == []
    case.act(COUNSELOR, "raise_risk", risk="orange", because="夜里离开宿舍")
    assert track_of(city, case, "guardian_v1").stage == "told"


def test_what_two_persons_withhold_is_reviewed_by_itself(city: City, case: Story) -> None:
    case.agreed(COUNSELOR, LAW_VICE_PRINCIPAL, "withhold_from_guardian", because="孩子指认父亲")
    talk = track_of(city, case, "guardian_v1")
    assert (talk.stage, talk.who("withheld_review")) == ("withheld", LAW_VICE_PRINCIPAL)
    assert PARENT in talk.case.recused


def test_a_false_alarm_is_excluded_over_the_talk_which_ends_with_it(city: City, case: Story) -> None:
    case.reach("triaging").tell_guardian(answer="refused")
    talk = track_of(city, case, "guardian_v1")
    case.agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="误报")
    assert (case.case.final, talk.stage, talk.clocks) == ("excluded", "over", set())


def test_a_talk_without_an_answer_holds_the_closure(city: City, case: Story) -> None:
    case.reach("follow_up").tell_guardian(answer="refused")
    city.skip(days=90)
    case.meet()
    refusal = case.refused(CommandRejected, VICE_PRINCIPAL, "request_closure", reason="好", evidence="有")
    assert "hold the case: guardian" in str(refusal)
    case.tell_guardian(answer="agreed").ask_closure()
