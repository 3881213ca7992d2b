"""Mandatory report (强制报告): the police at once, with a receipt; every word of it is read by those alone who must know."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crisis_engine import BadInput, CommandRejected, NotAllowed, definitions

from .story import CLASS_TEACHER, COUNSELOR, LAW_VICE_PRINCIPAL, PEER, PRINCIPAL, VICE_PRINCIPAL, City, Story
from .tracks import open_track, track_of

WORKFLOW = "mandatory_report_v1"


@pytest.fixture
def case(city: City) -> Story:
    return city.report(PEER, cues=["abuse_present"])


@pytest.fixture
def report(city: City, case: Story) -> Story:
    case.agreed(COUNSELOR, LAW_VICE_PRINCIPAL, "withhold_from_guardian", because="孩子指认父亲")
    return track_of(city, case, WORKFLOW)


def police(report: Story, category: str = "family_violence") -> Story:
    return report.act(LAW_VICE_PRINCIPAL, "report_to_police", category=category, at=report.city.clock(),
                      decided=[LAW_VICE_PRINCIPAL, PRINCIPAL], receipt="示例回执-1")


def test_withholding_on_the_case_opens_the_report_by_itself_for_the_law_vice_principal(city: City, case: Story, report: Story) -> None:
    assert (report.stage, report.who("tell_police")) == ("found", LAW_VICE_PRINCIPAL)
    assert report.due("tell_police") == city.clock() + timedelta(hours=1)
    assert "mandatory_report" in case.clocks


def test_the_receipt_of_the_police_meets_the_clock_of_the_case_too(case: Story, report: Story) -> None:
    police(report)
    assert "mandatory_report" not in case.clocks
    assert report.clocks >= {"tell_supervisor", "guardian_decided"}


def test_without_a_receipt_nothing_counts_as_reported(city: City, report: Story) -> None:
    report.refused(BadInput, LAW_VICE_PRINCIPAL, "report_to_police", category="neglect", at=city.clock(), decided=[PRINCIPAL])


def test_the_whole_way_to_its_conclusion_by_two(city: City, report: Story) -> None:
    police(report).agreed(LAW_VICE_PRINCIPAL, PRINCIPAL, "decide_guardian", guardian="withheld", because="父亲为嫌疑人")
    report.act(LAW_VICE_PRINCIPAL, "bring_in", organ=["civil_affairs", "womens_federation", "procuratorate"], at=city.clock())
    report.act(LAW_VICE_PRINCIPAL, "tell_supervisor", at=city.clock())
    assert (report.stage, report.tier) == ("followed", "county")
    report.act(LAW_VICE_PRINCIPAL, "asked", outcome="已立案")
    report.agreed(LAW_VICE_PRINCIPAL, PRINCIPAL, "conclude", outcome="已立案，临时监护已落实")
    assert (report.case.final, report.clocks) == ("closed", set())


def test_a_report_that_nobody_makes_goes_up_within_the_hour(city: City, report: Story) -> None:
    city.wait(hours=1)
    assert report.tier == "school"
    city.wait(minutes=30)
    assert report.tier == "county"
    assert report.late == {"tell_police"}


def test_that_there_is_no_duty_is_said_by_two(report: Story) -> None:
    report.act(LAW_VICE_PRINCIPAL, "find_no_duty", because="核实为误会")
    assert report.waits
    report.refused(NotAllowed, LAW_VICE_PRINCIPAL, "confirm")
    report.act(PRINCIPAL, "confirm")
    assert report.case.final == "excluded"


def test_it_holds_the_case_until_the_supervising_organ_knows(city: City, case: Story, report: Story) -> None:
    case.reach("follow_up")
    city.skip(days=180)
    case.meet()
    refusal = case.refused(CommandRejected, VICE_PRINCIPAL, "request_closure", reason="好", evidence="有")
    assert "mandatory_report" in str(refusal)
    assert report.case.open


def test_there_are_nine_kinds_and_every_word_of_them_is_for_the_highest_secrecy() -> None:
    workflow = definitions.load_procedure(WORKFLOW).workflow
    assert len(workflow.choices["mandatory_kind"]) == 9
    assert all(field.secrecy == 4 for move in workflow.moves.values() for field in move.fields)


def test_who_reads_the_report_and_who_only_knows_that_something_is_due(city: City, case: Story, report: Story) -> None:
    police(report)
    assert "示例回执-1" in str(city.engine.history(report.number, by=LAW_VICE_PRINCIPAL))
    assert "示例回执-1" not in str(city.engine.history(report.number, by=PRINCIPAL))     # answers for it, and reads no word of it
    for by in (VICE_PRINCIPAL, COUNSELOR, CLASS_TEACHER):
        with pytest.raises(NotAllowed):
            city.engine.history(report.number, by=by)
        assert report.number not in {line.number for line in city.engine.cases(by=by)}
        assert report.number not in str(city.engine.case(case.number, by=by).to_json())
    for by in (LAW_VICE_PRINCIPAL, PRINCIPAL):
        assert report.number in {line.number for line in city.engine.cases(by=by)}
    assert "示例回执-1" not in str(city.engine.history(case.number, by=COUNSELOR))
    assert "示例回执-1" not in "".join(message.subject + message.body for message in city.messages())


def test_anybody_of_the_school_may_open_one(city: City) -> None:
    for child, by in (("stu-41", CLASS_TEACHER), ("stu-31", COUNSELOR)):
        case = city.report(COUNSELOR, subject=child)
        track = open_track(city, case, WORKFLOW, by=by, facts="孩子身上有伤")
        assert track.who("tell_police") == LAW_VICE_PRINCIPAL
