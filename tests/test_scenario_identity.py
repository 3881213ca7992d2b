"""Who it is and who must not know: an unknown child found, merged, corrected; the accused teacher; siblings, a group event, tracks."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from crisis_engine import BadInput, CommandRejected, NotAllowed, NotFound, open_engine
from crisis_engine.core.errors import CrisisError
from crisis_engine.doctor import examine

from .story import (
    CHILD,
    CITY_OFFICER,
    CLASS,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    DEPUTY_TEACHER,
    GRADE_HEAD,
    LAW_VICE_PRINCIPAL,
    PARENT,
    PEER,
    PRINCIPAL,
    VICE_PRINCIPAL,
    City,
    Story,
)


def test_an_unknown_child_has_a_case_at_once_and_a_clock_to_find_out_who_it_is(city: City) -> None:
    case = city.report(PEER, subject=None, facts="走廊里有人哭，不认识")

    assert case.case.subject is None
    assert case.due("identity") == city.time("10:00")
    assert case.who("identity") == CLASS_TEACHER
    case.act(CLASS_TEACHER, "identify", subject=CHILD)
    assert "identity" not in case.clocks
    assert city.engine.case(case.number, by=CLASS_TEACHER).subject == CHILD
    assert "known already" in str(case.refused(CommandRejected, CLASS_TEACHER, "identify", subject="stu-41"))


def test_an_identity_that_nobody_finds_out_goes_up(city: City) -> None:
    case = city.report(COUNSELOR, subject=None, cues=["missing"]).assess("red").tell_guardian()
    city.at("08:30")
    assert case.late == {"identity"}
    city.at("09:00")

    assert case.tier == "county"


def test_identifying_takes_the_case_to_the_childs_own_class(city: City) -> None:
    case = city.report(PEER, subject=None).act(CLASS_TEACHER, "identify", subject="stu-51")

    assert case.case.unit == "xinyang/shihe/no-3/g7/c3"
    assert (case.answers, case.who("acknowledge")) == ("p-12", "p-12")
    case.refused(NotAllowed, CLASS_TEACHER, "acknowledge")


def test_identifying_a_child_with_an_open_case_merges_in_one_transaction(city: City) -> None:
    """The drafts: signals, danger, peak, tier and the nearest clocks go over."""
    known = city.report(PEER, cues=["withdrawn"]).act(CLASS_TEACHER, "acknowledge")
    city.at("08:30")
    unknown = city.report(COUNSELOR, subject=None, danger_now=True)
    nearest = unknown.due("stay_with")
    unknown.act(CLASS_TEACHER, "identify", subject=CHILD)

    assert (unknown.stage, unknown.case.final, unknown.case.clocks) == ("merged", "merged", ())
    assert (known.stage, known.risk, known.case.peak.value, known.tier) == ("acknowledged", "red", "red", "school")
    assert known.case.danger
    assert known.due("stay_with") == nearest
    assert known.due("handled_signal") == city.time("09:00")
    assert ("merged_into", known.number) in unknown.links()
    assert ("merged_from", unknown.number) in known.links()
    city.report("p-72")
    assert known.case.signal_seq > 1


def glass_broken(city: City, case: Story) -> Story:
    """A teacher of another class reads a case in an emergency; return the review of that, a track beside the case."""
    city.engine.break_glass(case.number, by="p-12", because="she is not at home")
    return Story(city, next(number for link, number in case.links() if link == "track"))


def test_whom_a_merged_case_concerns_the_tracks_of_the_older_one_concern_too(city: City) -> None:
    """Promise 6: a merge carries recusals over, also to whoever holds a clock beside the case."""
    review = glass_broken(city, city.report(PEER).reach("triaging"))
    assert review.answers == COUNTY_OFFICER
    city.report(PEER, subject=None, about_staff=[COUNTY_OFFICER]).act(CLASS_TEACHER, "identify", subject=CHILD)

    assert COUNTY_OFFICER in review.case.recused
    assert COUNTY_OFFICER not in {review.answers, review.who("second_person")}
    assert [finding.name for finding in examine(city.engine) if not finding.ok and finding.promise in {1, 3, 5, 6}] == []


def test_whom_the_older_case_concerns_the_tracks_of_the_merged_one_concern_too(city: City) -> None:
    city.report(PEER, about_staff=[COUNTY_OFFICER])
    unknown = city.report(PEER, subject=None).act(COUNSELOR, "start_assessment").assess("orange")
    review = glass_broken(city, unknown)
    assert review.answers == COUNTY_OFFICER
    unknown.act(CLASS_TEACHER, "identify", subject=CHILD)

    assert unknown.case.final == "merged"
    assert review.case.open
    assert COUNTY_OFFICER not in {review.answers, review.who("second_person")}
    city.wait(hours=100)
    assert review.tier == "city"
    review.act(review.answers or "", "find_justified", because="it had to be")
    assert not review.case.open


def test_a_track_stays_with_its_own_county_when_its_child_turns_out_to_live_in_another(city: City) -> None:
    """Promise 3: the levels of a track are those of its own unit, wherever the case beside it went."""
    case = city.report(PEER, subject=None).act(COUNSELOR, "start_assessment").assess("blue")
    review = glass_broken(city, case)
    case.act(CLASS_TEACHER, "identify", subject="stu-128")
    assert case.case.unit.startswith("xinyang/pingqiao/")
    with open_engine(city.url, clock=city.clock) as fresh:   # a process that never saw the other county
        fresh.report(unit="xinyang/pingqiao/primary-2", subject="stu-128", by="p-301", facts="about her", about_staff=["p-31"])

    assert "p-31" in review.case.recused
    assert (review.tier, review.answers) == ("county", COUNTY_OFFICER)


def test_two_open_cases_of_one_child_never_come_about(city: City) -> None:
    one = city.report(PEER)
    other = city.report(PEER, subject="stu-41")
    other.agreed(COUNSELOR, VICE_PRINCIPAL, "correct_subject", subject=CHILD, because="认错人")

    assert (other.stage, one.stage) == ("merged", "reported")


def test_the_wrong_child_is_corrected_by_two_people(city: City) -> None:
    case = city.report(PEER, subject="stu-41").act(COUNSELOR, "correct_subject", subject="stu-51", because="同名")
    assert case.waits
    case.refused(NotAllowed, COUNSELOR, "confirm")
    case.act(VICE_PRINCIPAL, "confirm")

    assert city.engine.case(case.number, by=COUNSELOR).subject == "stu-51"
    assert case.case.unit == "xinyang/shihe/no-3/g7/c3"
    assert case.answers == "p-12"


def test_a_case_with_signals_of_its_own_is_not_corrected_away(city: City) -> None:
    case = city.report(PEER, subject="stu-41")
    city.report("p-72", subject="stu-41")

    assert "new case" in str(case.refused(CommandRejected, COUNSELOR, "correct_subject", subject="stu-51", because="同名"))


def test_a_merge_needs_another_open_case_of_the_same_child(city: City) -> None:
    case, stranger = city.report(PEER), city.report(PEER, subject="stu-41")

    case.refused(NotFound, COUNSELOR, "merge", into=stranger.number)
    case.refused(NotFound, COUNSELOR, "merge", into="222-222-222")


# ---- whom the case concerns ------------------------------------------------------------------------------------------------


def test_an_accused_class_teacher_is_never_told_and_for_that_person_the_case_does_not_exist(city: City) -> None:
    """Promise 3: persons whom the case concerns count as absent everywhere and do not learn that it exists."""
    case = city.report(PEER, cues=["abuse_present"], about_staff=[CLASS_TEACHER], danger_now=True)
    assert (case.who("acknowledge"), case.who("guardian_told"), case.who("stay_with")) == (PRINCIPAL, DEPUTY_TEACHER, "p-38")
    city.at("12:00")
    city.report("p-72", facts="又一次")

    assert CLASS_TEACHER not in case.heard()
    assert not any(CLASS_TEACHER in event.people for event in case.happened("told"))  # type: ignore[attr-defined]
    assert city.engine.queue(by=CLASS_TEACHER) == []
    visible = city.report(PEER, subject="stu-41")
    stranger = _sentences(city, "222-222-222", visible)
    assert _sentences(city, case.number, visible) == [text.replace("222-222-222", case.number) for text in stranger]


def _sentences(city: City, number: str, visible: Story) -> list[str]:
    """Return what an outsider hears when asking for a case in every way."""
    engine, said = city.engine, []
    for ask in (
        lambda: engine.case(number, by=CLASS_TEACHER), lambda: engine.history(number, by=CLASS_TEACHER),
        lambda: engine.moves(number, by=CLASS_TEACHER), lambda: engine.act(number, "acknowledge", by=CLASS_TEACHER),
        lambda: engine.act(number, "confirm", by=CLASS_TEACHER), lambda: engine.act(number, "nonsense", by=CLASS_TEACHER),
        lambda: engine.link(number, "333-333-333", by=CLASS_TEACHER), lambda: engine.link(visible.number, number, by=CLASS_TEACHER),
    ):
        with pytest.raises(NotFound) as caught:
            ask()
        said.append(f"{type(caught.value).__name__} {caught.value} {caught.value.exit_code}")
    return said


def test_the_accused_teachers_own_report_is_taken_with_the_same_receipt(city: City) -> None:
    """Promise 6: the receipt is the same whether or not a case exists, and shows nothing of it."""
    case = city.report(PEER, about_staff=[CLASS_TEACHER])
    receipt = city.engine.report(unit=CLASS, subject=CHILD, by=CLASS_TEACHER, facts="该生说谎")

    assert receipt.shows == ()
    assert len(receipt.token) == 12
    assert case.case.signal_seq > 1
    with pytest.raises(NotFound):
        city.engine.case(case.number, by=CLASS_TEACHER)


def test_who_is_excluded_is_shown_to_those_who_read_abuse_and_reports_only(city: City) -> None:
    case = city.report(PEER, about_staff=[CLASS_TEACHER])

    assert f"'person': '{CLASS_TEACHER}'" in str(case.history(by=LAW_VICE_PRINCIPAL))
    assert f"'person': '{CLASS_TEACHER}'" not in str(case.history(by=COUNSELOR))


def test_nobody_is_excluded_who_does_not_exist(city: City) -> None:
    assert city.refused(NotFound, PEER, about_staff=["p-9999"]).way_out
    assert city.cases() == 0
    case = city.report(PEER)
    case.refused(NotFound, COUNSELOR, "exclude_person", person=["p-9999"], because="?")


def test_an_accused_leading_group_leaves_the_school_to_the_vice_principal(city: City) -> None:
    case = city.report(COUNSELOR, about_staff=["p-35", "p-36", "p-37"])

    assert (case.tier, case.answers) == ("school", VICE_PRINCIPAL)
    assert not {"p-35", "p-36", "p-37"} & case.heard()


def test_a_suspected_parent_may_still_report_and_learns_nothing(city: City) -> None:
    case = city.report(PEER, cues=["home_violence"], about_staff=[PARENT])
    city.report(PARENT, facts="孩子不听话")

    assert case.case.recused == {PARENT}
    with pytest.raises(CrisisError):
        city.engine.case(case.number, by=PARENT)


# ---- links -----------------------------------------------------------------------------------------------------------------


def test_a_group_event_is_reported_in_one_transaction_and_each_child_has_a_case_of_its_own(city: City) -> None:
    """The drafts: many crisis cases linked `part_of`, opened in one transaction."""
    host = create_engine(city.url)
    with Session(host) as session, session.begin(), city.engine.join(session) as joined:
        tokens = [
            joined.report(unit=CLASS, subject=child, by=CLASS_TEACHER, facts="同学坠楼，在场", cues=["withdrawn"]).token
            for child in ("stu-41", "stu-42", "stu-43")
        ]
    host.dispose()
    first, *others = [city.story(token) for token in tokens]
    for other in others:
        city.engine.link(other.number, first.number, by=COUNSELOR, relation="part_of")

    assert city.cases() == 3
    assert all(("part_of", first.number) in other.links() for other in others)
    assert {other.due("acknowledge") for other in others} == {first.due("acknowledge")}
    first.reach("triaging", "red")
    assert [other.risk for other in others] == ["yellow", "yellow"]


def test_siblings_are_linked_and_share_no_field(city: City) -> None:
    """The drafts: siblings: a link, no shared fields."""
    older = city.report(PEER, facts="姐姐的事")
    younger = city.report("p-77", subject="stu-101", unit="xinyang/shihe/no-3/g8/c1", facts="弟弟的事")
    with pytest.raises(NotAllowed):
        city.engine.link(older.number, younger.number, by=CLASS_TEACHER)
    city.engine.link(older.number, younger.number, by=COUNSELOR)

    assert older.links() == {("related", younger.number)}
    assert younger.links() == {("related", older.number)}
    assert "弟弟的事" not in str(older.history(by=COUNSELOR))
    older.act(GRADE_HEAD, "danger_now")
    assert (younger.risk, younger.case.danger, younger.tier) == ("unrated", False, "peer")
    with pytest.raises(BadInput):
        city.engine.link(older.number, younger.number, by=COUNSELOR, relation="merged_into")


def test_a_link_does_not_betray_a_case_to_the_person_whom_it_concerns(city: City) -> None:
    """Promise 3: whom the case concerns does not learn that it exists, not by a sibling's link either."""
    open_to_all, hidden = city.report(PEER), city.report(PEER, subject="stu-41", about_staff=[CLASS_TEACHER])
    city.engine.link(open_to_all.number, hidden.number, by=COUNSELOR)

    assert ("related", hidden.number) in city.engine.case(open_to_all.number, by=COUNSELOR).links
    assert city.engine.case(open_to_all.number, by=CLASS_TEACHER).links == ()
    assert hidden.number not in str(open_to_all.history(by=CLASS_TEACHER))


def test_a_child_reported_by_another_school_keeps_its_home_unit_and_both_may_speak(city: City) -> None:
    """The drafts: one home unit answers, other units may report."""
    case = city.report("p-201", subject=CHILD, unit="xinyang/exp-1/c1", facts="在校外见到")

    assert case.case.unit == CLASS
    assert case.answers == PRINCIPAL
    case.refused(NotAllowed, "p-201", "acknowledge")
    city.report("p-201", subject=CHILD, unit="xinyang/exp-1/c1", facts="又见到")
    assert "handled_signal" in case.clocks
    assert {COUNTY_OFFICER, CITY_OFFICER} & case.heard() == set()
