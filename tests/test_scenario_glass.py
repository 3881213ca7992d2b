"""Reading is written down, and breaking the glass: who saw what, why, until when, and who looks at it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

import crisis_engine as ce
from crisis_engine import BadInput, CommandRejected, CrisisError, NotAllowed, NotFound
from crisis_engine.store.trigger import install

from .story import (
    CITY_OFFICER,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_EXPERT,
    COUNTY_OFFICER,
    LAW_VICE_PRINCIPAL,
    OPERATOR,
    PEER,
    PRINCIPAL,
    SECOND_COUNSELOR,
    VICE_PRINCIPAL,
    City,
    Story,
)

AUDITOR = "p-52"
OTHER_TEACHER = "p-12"      # of another class of the same school


@pytest.fixture
def audited(city: City) -> City:
    """Give the example city, which has an auditor."""
    return city


def assessed(city: City) -> Story:
    return city.report(PEER).reach("triaging")


# ---- the read log -------------------------------------------------------------------------------------------------------------------


def test_every_reading_of_an_assessment_is_written_down_and_a_signal_alone_is_not(audited: City) -> None:
    case = assessed(audited)
    before = len(audited.engine.reads(case.number, by=AUDITOR))
    audited.engine.case(case.number, by=CLASS_TEACHER)
    audited.engine.history(case.number, by=CLASS_TEACHER)
    assert len(audited.engine.reads(case.number, by=AUDITOR)) == before

    audited.wait(minutes=5)
    audited.engine.history(case.number, by=VICE_PRINCIPAL, why="before the panel")
    audited.engine.case(case.number, by=VICE_PRINCIPAL)
    newest, first = audited.engine.reads(case.number, by=AUDITOR)[:2]
    assert (first.who, first.what, first.number, first.tier, first.why) == (VICE_PRINCIPAL, "history", case.number, 2, "before the panel")
    assert first.at == audited.clock()
    assert (newest.what, newest.tier) == ("case", 2)


def test_the_tier_that_is_written_down_is_the_highest_that_was_shown(audited: City) -> None:
    case = assessed(audited).act(COUNSELOR, "note", text="咨询内容")
    audited.engine.history(case.number, by=COUNSELOR)
    audited.engine.history(case.number, by=PRINCIPAL)
    assert [(entry.who, entry.tier) for entry in audited.engine.reads(case.number, by=AUDITOR)[:2]] == [(PRINCIPAL, 2), (COUNSELOR, 3)]


def test_what_a_command_shows_is_written_down_in_its_own_transaction(audited: City) -> None:
    case = audited.report(PEER)
    case.act(COUNSELOR, "start_assessment")
    assert [(entry.who, entry.what) for entry in audited.engine.reads(case.number, by=AUDITOR)] == [(COUNSELOR, "act")]


def test_a_reading_that_cannot_be_written_down_is_refused(city: City) -> None:
    case = assessed(city)
    with city.engine.store.writing() as tx:
        install(tx.connection, ["CREATE TRIGGER filled BEFORE INSERT ON crisis_access_log BEGIN SELECT RAISE(ABORT, 'no room'); END"])
    for read in (city.engine.case, city.engine.history):
        with pytest.raises(CrisisError):
            read(case.number, by=COUNSELOR)
    assert city.engine.case(case.number, by=CLASS_TEACHER).stage == "triaging"   # no secret of tier 2 in it
    case.refused(CrisisError, COUNSELOR, "note", text="x")                     # nor is a command answered that cannot show what it did


def test_inside_a_hosts_transaction_the_entry_is_the_hosts_to_commit(city: City) -> None:
    import sqlalchemy as sa

    case = assessed(city)
    host = sa.create_engine(city.url)
    for commit in (False, True):
        with host.connect() as connection, city.engine.join(connection) as joined:
            connection.exec_driver_sql("BEGIN")
            joined.history(case.number, by=SECOND_COUNSELOR)
            connection.commit() if commit else connection.rollback()
        found = [entry for entry in city.engine.reads(case.number, by=LAW_VICE_PRINCIPAL) if entry.who == SECOND_COUNSELOR]
        assert len(found) == int(commit)
    host.dispose()


def test_the_leaders_of_a_case_and_the_auditor_see_its_reads_and_nobody_else_does(audited: City) -> None:
    case = assessed(audited)
    for by in (AUDITOR, PRINCIPAL, LAW_VICE_PRINCIPAL):
        assert audited.engine.reads(case.number, by=by)
    for by in (CLASS_TEACHER, COUNSELOR, OPERATOR, COUNTY_OFFICER, CITY_OFFICER, OTHER_TEACHER, PEER):
        with pytest.raises(NotAllowed):
            audited.engine.reads(case.number, by=by)


def test_everybody_sees_the_own_reads_but_not_of_a_case_that_came_to_concern_them(city: City) -> None:
    case, other = assessed(city), city.report(PEER, subject="stu-41").reach("triaging")
    city.engine.case(case.number, by=VICE_PRINCIPAL)
    city.engine.case(other.number, by=VICE_PRINCIPAL)
    assert {entry.number for entry in city.engine.own_reads(by=VICE_PRINCIPAL)} == {case.number, other.number}
    case.act(COUNSELOR, "exclude_person", person=[VICE_PRINCIPAL], because="it is about him")

    assert {entry.number for entry in city.engine.own_reads(by=VICE_PRINCIPAL)} == {other.number}
    assert city.engine.own_reads(by=PEER) == []
    with pytest.raises(NotFound):
        city.engine.reads(case.number, by=VICE_PRINCIPAL)


def test_who_reported_is_read_by_one_role_with_a_reason_and_written_down(audited: City) -> None:
    case = assessed(audited)
    assert PEER not in str(audited.engine.history(case.number, by=LAW_VICE_PRINCIPAL))
    for by in (CLASS_TEACHER, COUNSELOR, PRINCIPAL, AUDITOR, OPERATOR):
        with pytest.raises(NotAllowed):
            audited.engine.reporter(case.number, by=by, why="out of curiosity")
    with pytest.raises(NotAllowed, match="reason"):
        audited.engine.reporter(case.number, by=LAW_VICE_PRINCIPAL, why=" ")

    assert [line["reporter"] for line in audited.engine.reporter(case.number, by=LAW_VICE_PRINCIPAL, why="the police ask")] == [PEER]
    entry = audited.engine.reads(case.number, by=AUDITOR)[0]
    assert (entry.what, entry.tier, entry.why) == ("reporter", 4, "the police ask")


# ---- breaking the glass ---------------------------------------------------------------------------------------------------------------


def test_broken_glass_opens_the_plan_for_some_hours_and_not_a_moment_longer(audited: City) -> None:
    case = assessed(audited).act(COUNSELOR, "note", text="咨询内容")
    with pytest.raises(NotAllowed):
        audited.engine.history(case.number, by=OTHER_TEACHER)
    view = audited.engine.break_glass(case.number, by=OTHER_TEACHER, because="the child stands on the roof", hours=2)
    assert (view.number, view.reads, view.until) == (case.number, 2, audited.clock() + timedelta(hours=2))

    text = str(audited.engine.history(case.number, by=OTHER_TEACHER))
    assert "ideation" in text
    assert "咨询内容" not in text        # counselling notes stay closed
    with pytest.raises(NotAllowed):
        case.act(OTHER_TEACHER, "start_assessment")
    assert case.number not in [line.number for line in audited.engine.cases(by=OTHER_TEACHER)]
    audited.skip(hours=2)
    for read in (audited.engine.case, audited.engine.history):
        with pytest.raises(NotAllowed, match="emergency reading is over"):
            read(case.number, by=OTHER_TEACHER)


def test_broken_glass_ends_with_the_duty_by_which_it_was_broken(audited: City) -> None:
    case = assessed(audited)
    audited.engine.break_glass(case.number, by=OTHER_TEACHER, because="roof", hours=8)
    for duty in audited.engine.roster(subjects=False)["duties"]:
        if duty["person"] == OTHER_TEACHER:
            audited.engine.end_duty(role=duty["role"], unit=duty["unit"], person=OTHER_TEACHER, by=PRINCIPAL)
    for read in (audited.engine.case, audited.engine.history):
        with pytest.raises(NotAllowed):
            read(case.number, by=OTHER_TEACHER)


def test_whoever_answers_and_the_next_level_are_told_at_once_without_a_fact(audited: City) -> None:
    case = assessed(audited)
    audited.messages().clear()
    audited.engine.break_glass(case.number, by=OTHER_TEACHER, because="the child stands on the roof")
    told = {message.to for message in audited.messages() if case.number in message.subject + message.body}
    assert told >= {PRINCIPAL, COUNTY_OFFICER}
    assert OTHER_TEACHER not in told
    text = "".join(message.subject + message.body for message in audited.messages())
    assert "roof" not in text
    assert OTHER_TEACHER not in text


def test_every_reading_behind_broken_glass_is_written_down_with_the_reason(audited: City) -> None:
    case = audited.report(PEER)
    audited.engine.break_glass(case.number, by=OTHER_TEACHER, because="roof")
    audited.engine.case(case.number, by=OTHER_TEACHER)
    audited.engine.history(case.number, by=OTHER_TEACHER)
    found = [(entry.what, entry.glass) for entry in audited.engine.reads(case.number, by=AUDITOR) if entry.who == OTHER_TEACHER]
    assert found == [("history", "roof"), ("case", "roof")]
    with audited.engine.store.reading() as tx:   # the reason itself is sealed in the log, the entry only points at it
        assert "roof" not in str(tx.reads_of(case.number, 10))
    assert audited.engine.reads(case.number, by=AUDITOR)[0].what == "audit.reads"


def test_the_log_says_who_and_until_when_and_keeps_the_reason_from_who_reads_less(audited: City) -> None:
    case = audited.report(PEER)
    audited.engine.break_glass(case.number, by=OTHER_TEACHER, because="roof", hours=1)
    lines = {by: next(line for line in case.history(by=by) if line["kind"] == "glass_broken") for by in (CLASS_TEACHER, COUNSELOR)}
    assert all(line["person"] == OTHER_TEACHER and "until" in line for line in lines.values())
    assert "fields" not in lines[CLASS_TEACHER]
    assert lines[COUNSELOR]["fields"] == {"because": "roof"}


def review_of(city: City, case: Story, by: str) -> Story:
    """Return the review that stands beside a case, as somebody finds it there."""
    found = [link for link in city.engine.case(case.number, by=by).links if link[0] == "track"]
    return Story(city, found[-1][1])


def test_a_review_begins_at_the_next_level_and_whoever_broke_the_glass_does_not_see_it(audited: City) -> None:
    case = assessed(audited)
    audited.engine.break_glass(case.number, by=OTHER_TEACHER, because="roof")
    review = review_of(audited, case, COUNTY_OFFICER)

    assert (review.case.tier, review.case.answers, review.who("second_person")) == ("county", COUNTY_OFFICER, COUNTY_OFFICER)
    assert review.number in [item.number for item in audited.engine.queue(by=COUNTY_OFFICER)]
    with pytest.raises(NotFound, match=f"no case {review.number}"):
        audited.engine.case(review.number, by=OTHER_TEACHER)
    review.refused(NotFound, OTHER_TEACHER, "find_justified", because="it had to be")
    review.act(COUNTY_OFFICER, "find_justified", because="it was an emergency")
    assert (review.case.final, review.case.ended_by, review.case.ended_second) == ("closed", COUNTY_OFFICER, OTHER_TEACHER)


def test_a_review_that_nobody_makes_goes_up_and_outlives_its_case(audited: City) -> None:
    case = assessed(audited)
    audited.engine.break_glass(case.number, by=OTHER_TEACHER, because="roof")
    review = review_of(audited, case, COUNTY_OFFICER)
    case.agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="a misunderstanding")

    assert not case.case.open
    assert review.case.open
    audited.wait(days=11)
    assert review.case.tier == "city"
    review.act(CITY_OFFICER, "find_unjustified", because="curiosity")
    assert review.stage == "unjustified"


def test_a_review_that_went_up_is_in_the_hands_of_whoever_answers_now_and_goes_on_when_that_person_leaves(city: City) -> None:
    """Promise 3: a clock that goes with the tier is found through who answers, so nobody else may hold it."""
    case = assessed(city)
    city.engine.break_glass(case.number, by=OTHER_TEACHER, because="roof")
    review = review_of(city, case, COUNTY_OFFICER)
    city.wait(days=11)
    assert (review.answers, review.who("second_person")) == (CITY_OFFICER, CITY_OFFICER)

    city.engine.add_absence(person=CITY_OFFICER, begins_at=city.clock(), ends_at=city.clock() + timedelta(days=9), by=OPERATOR)
    assert (review.answers, review.who("second_person")) == ("p-4", "p-4")
    assert review.number in [item.number for item in city.engine.queue(by="p-4")]


def test_an_officer_of_the_city_who_broke_the_glass_is_reviewed_by_a_colleague(city: City) -> None:
    case = assessed(city)
    city.engine.break_glass(case.number, by=CITY_OFFICER, because="the hospital asks")
    review = review_of(city, case, COUNTY_OFFICER)
    assert CITY_OFFICER in review.case.recused
    city.wait(days=11)
    assert review.case.answers == "p-4"


def test_broken_glass_needs_a_reason_and_an_end_within_the_policy(city: City) -> None:
    case = assessed(city)
    for because, hours in (("", 1.0), ("  ", 1.0), ("roof", 0), ("roof", -1), ("roof", 8.1), ("roof", float("nan")), ("x" * 501, 1)):
        with pytest.raises(BadInput):
            city.engine.break_glass(case.number, by=OTHER_TEACHER, because=because, hours=hours)
    assert case.case.grants == ()


def test_a_person_whom_the_case_concerns_hears_what_a_strangers_number_gives(city: City) -> None:
    """Whoever is recused cannot break the glass, and is told the same as for a number that does not exist."""
    case = city.report(PEER, about_staff=[OTHER_TEACHER, COUNTY_EXPERT])
    said = []
    for number in (case.number, "ZZZ-ZZZ-ZZZ"):
        with pytest.raises(NotFound) as caught:
            city.engine.break_glass(number, by=OTHER_TEACHER, because="roof")
        said.append(str(caught.value).replace(number, "…"))
    assert said[0] == said[1]
    with pytest.raises(NotFound):
        city.engine.break_glass(case.number, by=COUNTY_EXPERT, because="roof")


@pytest.mark.parametrize("spell", [str, str.lower, lambda number: number.replace("-", ""), lambda number: f" {number} "])
def test_however_a_number_is_spelled_whom_the_case_concerns_is_not_told_that_it_exists(city: City, spell: Callable[[str], str]) -> None:
    case = city.report(PEER, about_staff=[OTHER_TEACHER])
    answers = []
    for number in (case.number, "ZZZ-ZZZ-ZZZ"):
        with pytest.raises(NotFound) as caught:
            city.engine.case(spell(number), by=OTHER_TEACHER)
        answers.append(str(caught.value).replace(number, "…"))
    assert answers[0] == answers[1]


def test_a_case_that_is_over_can_be_read_in_an_emergency_and_that_is_reviewed_too(city: City) -> None:
    case = assessed(city).agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="a misunderstanding")
    city.engine.break_glass(case.number, by=OTHER_TEACHER, because="roof")
    assert "ideation" in str(city.engine.history(case.number, by=OTHER_TEACHER))
    assert review_of(city, case, COUNTY_OFFICER).case.open


def test_nobody_breaks_the_glass_without_a_staff_duty_near_the_case(city: City) -> None:
    case = assessed(city)
    for by in (PEER, OPERATOR, "p-111", "p-105", "stu-41", "gd-42"):    # another county's officer, a hospital's liaison, a pupil, a parent
        with pytest.raises(NotAllowed):
            city.engine.break_glass(case.number, by=by, because="roof")
    with pytest.raises(CommandRejected, match="nothing more"):
        city.engine.break_glass(case.number, by=COUNSELOR, because="roof")


def test_a_second_click_breaks_the_glass_once(city: City) -> None:
    case = assessed(city)
    first, second = (city.engine.break_glass(case.number, by=OTHER_TEACHER, because="roof", key="k") for _ in range(2))
    assert first == second
    assert len(case.case.grants) == 1


def test_a_word_about_whoever_broke_the_glass_takes_the_reading_away(city: City) -> None:
    case = assessed(city)
    city.engine.break_glass(case.number, by=OTHER_TEACHER, because="roof")
    case.act(COUNSELOR, "exclude_person", person=[OTHER_TEACHER], because="it is about her")
    with pytest.raises(NotFound):
        city.engine.history(case.number, by=OTHER_TEACHER)


def test_the_public_face_names_what_these_calls_give() -> None:
    assert callable(ce.Engine.break_glass)
    assert callable(ce.Engine.reads)
